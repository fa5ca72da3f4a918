//! `seedkit push`

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use serde::Serialize;

use crate::cli::Answer;
use crate::cli::session::Session;
use crate::oci::Reference;
use crate::ops::push::{self, Naming, Options, Pushed};
use crate::progress::{Bytes, Reporter as _};
use crate::registry::{Endpoint, InvalidEndpoint, PlainHttp};
use crate::text::counted;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit push kit 192.168.6.1:5000                     to the kit's own registry
  seedkit push kit harbor.example/k3s --keep-registry   below a project, names in full
  seedkit push kit registry.example --ca-file ca.crt    with another authority";

/// Arguments of `seedkit push`.
#[derive(Debug, Args)]
pub(super) struct PushArguments {
    /// The kit.
    kit: PathBuf,
    /// The registry: `host[:port]`, and perhaps a path that goes before all names.
    #[arg(value_name = "REGISTRY")]
    registry: String,
    /// The registry's authority [default: the system's, and the kit's own for the kit's own registry].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Speak plain HTTP.
    #[arg(long)]
    plain_http: bool,
    /// Begin the names with the registry that the images come from: `quay.io/lab/hello:1.0`.
    #[arg(long)]
    keep_registry: bool,
    /// Blobs above this size are sent in chunks of it, and go on in the middle after a fault, in the next run too.
    #[arg(long, default_value_t = 32, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    chunk_size: u32,
}

#[derive(Serialize)]
struct PushResult<'a> {
    kit: &'a Path,
    registry: &'a str,
    #[serde(flatten)]
    pushed: Pushed,
}

pub(super) fn run(arguments: PushArguments, session: &Session) -> anyhow::Result<Answer> {
    let PushArguments { kit, registry, ca_file, plain_http, keep_registry, chunk_size } = arguments;
    if session.global.offline {
        bail!("--offline forbids pushing");
    }
    let (scheme, plain_http) =
        if plain_http { ("http", PlainHttp::Allowed) } else { ("https", PlainHttp::Refused) };
    let url = if registry.contains("://") { registry.clone() } else { format!("{scheme}://{registry}") };
    let unusable = |error: InvalidEndpoint| anyhow!("cannot push to `{}`: {}", error.url(), error.reason());
    let endpoint = Endpoint::new("", &url, plain_http).map_err(unusable)?;
    let place = endpoint.url().split_once("://").map_or("", |(_, place)| place);
    if let Err(error) = format!("{place}/image").parse::<Reference>() {
        bail!("cannot push to `{}`: nobody could pull from it: {error}", endpoint.url());
    }
    // Who cannot write to the store pushes all the same.
    let store = session.store().ok();
    let options = Options {
        kit: &kit,
        endpoint: &endpoint,
        client: &session.client_options(),
        ca_file: ca_file.as_deref(),
        naming: if keep_registry { Naming::WithRegistry } else { Naming::Path },
        chunk: u64::from(chunk_size) * 1024 * 1024,
        jobs: usize::from(session.global.jobs),
        store: store.as_ref(),
        keep_going: session.global.keep_going,
    };
    let pushed = crate::progress::step(&session.console, "push images", || {
        let pushed = push::run(&options, &session.console)?;
        let summary = summary(&pushed);
        anyhow::Ok((pushed, summary))
    })?;
    let narrowed = pushed.images.iter().filter(|image| image.is_narrowed).count();
    if narrowed > 0 {
        session.console.warn(format!(
            "{} of another digest than in the kit: the registry takes no index with platforms left out, and got \
             one that lists those of the kit",
            counted(narrowed, "image")
        ));
    }
    let result = PushResult { kit: &kit, registry: endpoint.url(), pushed };
    session.show("push", &result, |result| format!("{}: {}\n", result.registry, summary(&result.pushed)))
}

fn summary(pushed: &Pushed) -> String {
    let Pushed { images, left_out: _, attached, uploaded, mounted, bytes } = pushed;
    let present = images.iter().filter(|image| image.was_present).count();
    let uploaded = counted(usize::try_from(*uploaded).unwrap_or(usize::MAX), "blob");
    let attached = match attached {
        0 => String::new(),
        number => format!(
            " and {} attached to them",
            counted(usize::try_from(*number).unwrap_or(usize::MAX), "manifest")
        ),
    };
    format!(
        "{}{attached}, {present} there already; {uploaded} sent ({}), {mounted} mounted",
        counted(images.len(), "image"),
        Bytes(*bytes)
    )
}
