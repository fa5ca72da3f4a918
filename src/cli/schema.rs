//! `seedkit schema`, `completions`, `man`: what other programs read.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::cli::{Answer, ui};

pub(super) const SCHEMA_EXAMPLES: &str = "\
Examples:
  seedkit schema > seedkit.schema.json
  seedkit schema check > check.schema.json

An editor with a YAML language server then explains and completes a spec that begins with
  # yaml-language-server: $schema=seedkit.schema.json";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/man/man1
  seedkit man > ~/.local/share/man/man1/seedkit.1
  seedkit man build | man -l -";

pub(super) const COMPLETION_EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions ~/.zfunc
  seedkit completions bash > ~/.local/share/bash-completion/completions/seedkit
  seedkit completions zsh > ~/.zfunc/_seedkit";

/// Arguments of `seedkit schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// What is described.
    #[arg(value_enum, default_value_t = Subject::Spec)]
    subject: Subject,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Subject {
    /// seedkit.yaml.
    Spec,
    /// What `seedkit check --json` prints.
    Check,
}

/// Arguments of `seedkit completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionArguments {
    /// The shell.
    shell: Shell,
}

/// Arguments of `seedkit man`.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// The command, such as `build` or `ca renew`; seedkit itself if there is none.
    command: Vec<String>,
}

pub(super) fn run(arguments: SchemaArguments) -> anyhow::Result<Answer> {
    let SchemaArguments { subject } = arguments;
    match subject {
        Subject::Spec => ui::print(&crate::spec::schema::json()),
        Subject::Check => ui::print(&ui::schema::<crate::ops::check::Outcome>("check")),
    }
}

pub(super) fn completions(
    arguments: CompletionArguments,
    mut command: clap::Command,
) -> anyhow::Result<Answer> {
    let CompletionArguments { shell } = arguments;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "seedkit", &mut script);
    ui::print(&String::from_utf8(script)?)
}

pub(super) fn man(arguments: ManArguments, mut command: clap::Command) -> anyhow::Result<Answer> {
    let ManArguments { command: names } = arguments;
    // Names such as `seedkit-build`, and the options of all commands in each.
    command.build();
    let command = names.iter().try_fold(&command, |command, name| {
        command
            .find_subcommand(name)
            .ok_or_else(|| anyhow::anyhow!("there is no command `{}`", names.join(" ")))
    })?;
    let mut page = Vec::new();
    let source = concat!("seedkit ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).render(&mut page)?;
    ui::print(&String::from_utf8(page)?)
}
