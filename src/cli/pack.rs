//! `seedkit pack`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::session::{Session, Workplace};
use crate::cli::{Answer, environment, interrupt};
use crate::ops::pack::{self, Options, PackError, Packed};
use crate::ops::packages::{self, PackedBundle};
use crate::progress::Bytes;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit pack images -o out         one tarball of images per platform
  seedkit pack packages -o out       one bundle of ops packages per architecture";

const OF_IMAGES: &str = "\
Examples:
  seedkit pack images                one tarball per platform, here
  seedkit pack images -o out         one tarball per platform, in ./out
  ctr -n k8s.io images import airgap-images-linux-amd64-*.tar";

const OF_PACKAGES: &str = "\
Examples:
  seedkit pack packages -o out       one bundle per architecture, in ./out
  tar -xzf ops-packages-bookworm-amd64-*.tar.gz
  sudo ./ops-packages-bookworm-amd64-*/install.sh";

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
    #[command(after_help = OF_IMAGES)]
    Images(OutputFolder),
    /// The locked ops packages, as a repository and its installer in one file.
    #[command(after_help = OF_PACKAGES)]
    Packages(OutputFolder),
}

#[derive(Debug, Args)]
struct OutputFolder {
    /// The folder for what is packed.
    #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = ".", value_name = "DIR")]
    output: PathBuf,
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
    let Some(locked) = &locked.lockfile().packages else {
        return Err(PackError::NoPackages.into());
    };
    // Opening the secrets makes their folder: only where something is to be in it.
    let key = match spec.packages.as_ref().and_then(|packages| packages.sign.as_ref()) {
        Some(_) => packages::signing_key(spec, &session.secrets(spec)?, environment::clock()?)?,
        None => None,
    };
    interrupt::clean(output.to_owned());
    let options = packages::Options { spec, locked, sources, key: key.as_ref(), folder: output };
    let packed = pack::packages(&options, &session.equipment(store))?;
    let line = |PackedBundle { path, artifact, packages, .. }: &PackedBundle| {
        format!("{}: {packages} packages, {}\n", path.display(), Bytes(artifact.size))
    };
    session.show("pack", &packed, |packed| packed.bundles.iter().map(line).collect())
}

fn images(output: &Path, session: &Session) -> anyhow::Result<Answer> {
    let workplace = session.workplace()?;
    let locked = session.locked(&workplace)?;
    let Workplace { spec, sources, store } = &workplace;
    interrupt::clean(output.to_owned());
    let options = Options { locked: &locked, sources, compression: spec.compression.into(), output };
    let packed = pack::run(&options, &session.equipment(store))?;
    let line = |Packed { path, artifact, images, .. }: &Packed| {
        format!("{}: {} images, {}\n", path.display(), images.len(), Bytes(artifact.size))
    };
    session.show("pack", &packed, |packed| packed.tarballs.iter().map(line).collect())
}
