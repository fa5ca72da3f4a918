//! `seedkit schema`, `completions`, `man`: what other programs read.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::arguments::Arguments;
use crate::cli::{Answer, ui};

pub(super) const COMPLETION_EXAMPLES: &str = "\
Examples:
  seedkit completions bash > ~/.local/share/bash-completion/completions/seedkit
  seedkit completions zsh  > ~/.zfunc/_seedkit";

/// Arguments of `seedkit completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionArguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn run() -> anyhow::Result<Answer> {
    ui::print(&crate::spec::schema::json())
}

pub(super) fn completions(arguments: CompletionArguments) -> anyhow::Result<Answer> {
    let CompletionArguments { shell } = arguments;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "seedkit", &mut script);
    ui::print(&String::from_utf8(script)?)
}

pub(super) fn man() -> anyhow::Result<Answer> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    ui::print(&String::from_utf8(page)?)
}
