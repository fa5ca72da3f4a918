//! `seedkit pack`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::session::Session;
use crate::cli::{Answer, interrupt, ui};
use crate::ops::{mirror, pack};
use crate::progress::{Bytes, Event, Reporter, step};

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit pack images                one tarball per platform, here
  seedkit pack images -o out         one tarball per platform, in ./out
  ctr -n k8s.io images import airgap-images-linux-amd64-*.tar";

/// Arguments of `seedkit pack`.
#[derive(Debug, Args)]
pub(super) struct PackArguments {
    /// What to pack.
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The locked images, as a tarball that containerd, k3s, docker and podman load.
    #[command(after_help = EXAMPLES)]
    Images {
        /// The folder for the tarballs.
        #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = ".", value_name = "DIR")]
        output: PathBuf,
    },
}

#[derive(Serialize)]
struct PackedResult {
    path: String,
    digest: String,
    size: u64,
    images: Vec<String>,
}

pub(super) fn run(arguments: PackArguments, session: &Session) -> anyhow::Result<Answer> {
    let What::Images { output } = arguments.what;
    let workplace = session.workplace()?;
    let locked = session.locked(&workplace)?;
    let equipment = session.equipment(&workplace.store);
    let console = &session.console;
    interrupt::clean(output.clone());
    crate::fs::create_folder(&output, 0o755)?;
    let mirrored = step(console, "mirror images", || {
        let mirrored = mirror::fetch(&locked, &workplace.sources, &equipment)?;
        let summary = mirrored.summary();
        anyhow::Ok((mirrored, summary))
    })?;
    let mut results = Vec::new();
    for platform in &locked.lockfile().platforms {
        let options = pack::Options {
            platform,
            compression: workplace.spec.compression.into(),
            epoch: locked.epoch(),
            folder: &output,
        };
        let packed = step(console, &format!("pack images for {platform}"), || {
            let packed = pack::images(&mirrored, &options, &equipment)?;
            let summary = format!("{}, {}", packed.file_name, Bytes(packed.artifact.size));
            anyhow::Ok((packed, summary))
        })?;
        for reference in &packed.foreign {
            let text =
                format!("`{reference}` stays out of the tarball: it has layers that are in no registry");
            console.report(Event::Warning { text });
        }
        results.push(PackedResult {
            path: output.join(&packed.file_name).display().to_string(),
            digest: packed.artifact.digest.to_string(),
            size: packed.artifact.size,
            images: packed.names,
        });
    }
    if session.global.json {
        return ui::print_json("pack", serde_json::json!({ "tarballs": results }));
    }
    let text: String = results
        .iter()
        .map(|packed| format!("{}: {} images, {}\n", packed.path, packed.images.len(), Bytes(packed.size)))
        .collect();
    ui::print(&text)
}
