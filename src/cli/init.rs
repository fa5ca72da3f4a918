//! `seedkit init`

use std::path::PathBuf;

use clap::Args;

use crate::cli::Answer;
use crate::cli::session::Session;
use crate::ops::init;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit init             into the current folder
  seedkit init lab         into ./lab, which is made";

/// Arguments of `seedkit init`.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: InitArguments, session: &Session) -> anyhow::Result<Answer> {
    let InitArguments { folder } = arguments;
    session.show("init", &init::run(&folder)?, |outcome| {
        let files = outcome.files.iter().map(|path| format!("wrote {}\n", path.display()));
        files.collect::<String>()
            + "next: edit addresses and MACs in seedkit.yaml, then run `seedkit build`\n"
    })
}
