//! `seedkit mirror`

use std::path::PathBuf;

use clap::Args;

use crate::cli::session::{Session, SharingArguments, Workplace};
use crate::cli::{Answer, interrupt};
use crate::fs::{follow_link, parent};
use crate::ops::mirror::{self, Options};

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit mirror                    fetch the locked images into ./images
  seedkit mirror -o /srv/images     into another folder, replacing a layout there
  seedkit inspect images            what the layout has, by name and platform";

/// Arguments of `seedkit mirror`.
#[derive(Debug, Args)]
pub(super) struct MirrorArguments {
    /// The layout's folder.
    #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = "images", value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    sharing: SharingArguments,
}

pub(super) fn run(arguments: MirrorArguments, session: &Session) -> anyhow::Result<Answer> {
    let MirrorArguments { output, sharing } = arguments;
    let output = follow_link(output);
    let workplace = session.workplace()?;
    let locked = session.locked(&workplace)?;
    let Workplace { spec, sources, store } = &workplace;
    interrupt::clean(parent(&output).to_owned());
    let options = Options { spec, locked: &locked, sources, output: &output, sharing: sharing.get() };
    let outcome = mirror::run(&options, &session.equipment(store))?;
    session.show("mirror", &outcome, |outcome| format!("{}: {}\n", output.display(), outcome.summary))
}
