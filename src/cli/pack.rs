//! `seedkit pack`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::session::{Session, Workplace};
use crate::cli::{Answer, environment, interrupt, ui};
use crate::ops::packages::{self, PackedBundle};
use crate::ops::{mirror, pack};
use crate::progress::{Bytes, Event, Reporter, step};

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit pack images                one tarball per platform, here
  seedkit pack images -o out         one tarball per platform, in ./out
  ctr -n k8s.io images import airgap-images-linux-amd64-*.tar
  seedkit pack packages -o out       one bundle of ops packages per architecture";

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
    Images(OutputFolder),
    /// The locked ops packages, as a repository and its installer in one file.
    #[command(after_help = EXAMPLES)]
    Packages(OutputFolder),
}

#[derive(Debug, Args)]
struct OutputFolder {
    /// The folder for what is packed.
    #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = ".", value_name = "DIR")]
    output: PathBuf,
}

#[derive(Serialize)]
struct BundleResult {
    path: String,
    architecture: String,
    digest: String,
    size: u64,
    packages: usize,
}

#[derive(Serialize)]
struct PackedResult {
    path: String,
    digest: String,
    size: u64,
    images: Vec<String>,
}

pub(super) fn run(arguments: PackArguments, session: &Session) -> anyhow::Result<Answer> {
    match arguments.what {
        What::Images(OutputFolder { output }) => images(&output, session),
        What::Packages(OutputFolder { output }) => packages(&output, session),
    }
}

fn packages(output: &Path, session: &Session) -> anyhow::Result<Answer> {
    let workplace = session.workplace()?;
    let locked = session.locked(&workplace)?;
    let Workplace { spec, sources, store } = &workplace;
    let equipment = session.equipment(store);
    let Some(locked) = &locked.lockfile().packages else {
        anyhow::bail!("the spec asks for no `packages`");
    };
    // Opening the secrets makes their folder: only where something is to be in it.
    let key = match spec.packages.as_ref().and_then(|packages| packages.sign.as_ref()) {
        Some(_) => packages::signing_key(spec, &session.secrets(spec)?, environment::clock()?)?,
        None => None,
    };
    interrupt::clean(output.to_owned());
    crate::fs::create_folder(output, 0o755)?;
    let bundles = step(&session.console, "pack ops packages", || {
        packages::fetch(locked, spec, sources, &equipment)?;
        let bundles = packages::bundles(spec, locked, key.as_ref(), output, &equipment)?;
        anyhow::Ok((bundles, format!("{} packages", locked.packages.len())))
    })?;
    let result = |bundle: PackedBundle| BundleResult {
        path: output.join(&bundle.file_name).display().to_string(),
        architecture: bundle.architecture,
        digest: bundle.artifact.digest.to_string(),
        size: bundle.artifact.size,
        packages: bundle.packages,
    };
    let results: Vec<BundleResult> = bundles.into_iter().map(result).collect();
    if session.global.json {
        return ui::print_json("pack", serde_json::json!({ "bundles": results }));
    }
    let line = |bundle: &BundleResult| {
        format!("{}: {} packages, {}\n", bundle.path, bundle.packages, Bytes(bundle.size))
    };
    ui::print(&results.iter().map(line).collect::<String>())
}

fn images(output: &Path, session: &Session) -> anyhow::Result<Answer> {
    let workplace = session.workplace()?;
    let locked = session.locked(&workplace)?;
    let equipment = session.equipment(&workplace.store);
    let console = &session.console;
    interrupt::clean(output.to_owned());
    crate::fs::create_folder(output, 0o755)?;
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
            folder: output,
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
