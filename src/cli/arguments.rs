//! What can be typed.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::global::Global;
use crate::cli::{
    build, ca, check, diff, environment, init, inspect, iso, lock, mirror, pack, push, schema, serve, ui,
    verify,
};
use crate::text::plain;

const AFTER_HELP: &str = "\
Start here:
  seedkit init lab          write a commented lab/seedkit.yaml that builds
  cd lab && seedkit build   make kit/: images, registry CA, airgap tarball, one seed ISO per node
  seedkit check kit         do all of its parts fit each other?
  seedkit verify kit        later, elsewhere: is every byte still right?

Flags win over SEEDKIT_* variables, these over the spec, the spec over defaults.
Exit codes: 0 yes, 1 the answer is no, 2 could not do it, 130 interrupted.";

/// Prepares everything an air-gapped k3s cluster needs, and proves that it is complete before any VM boots.
#[derive(Debug, Parser)]
#[command(name = "seedkit", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(super) struct Arguments {
    /// What all commands take.
    #[command(flatten, next_help_heading = "Options of all commands")]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Parses what the process was started with.
    pub(super) fn of_process() -> Self {
        let arguments = command().try_get_matches_from(environment::arguments());
        arguments.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_else(|error| refuse(&error))
    }
}

/// Says what is wrong with the arguments, or prints the help that they ask for.
///
/// What a shell made of `*` may steer a terminal: then it is said without colours, by the writer of all errors.
fn refuse(error: &clap::Error) -> ! {
    let is_odd = |argument: OsString| {
        let text = argument.to_string_lossy().into_owned();
        plain(&text) != text
    };
    if environment::arguments().any(is_odd) {
        ui::write_error(&error.render().to_string());
        #[expect(clippy::exit, reason = "nothing has begun")]
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// Returns all that can be typed, as it is parsed, explained and completed.
pub(super) fn command() -> clap::Command {
    with_plain_variables(Arguments::command())
}

/// A variable that is set to nothing counts as unset, and help does not show what variables are set to.
fn with_plain_variables(command: clap::Command) -> clap::Command {
    let plain = |argument: clap::Arg| {
        let name = argument.get_env().map(|name| name.to_string_lossy().into_owned());
        let argument = argument.hide_env_values(true);
        if name.is_some_and(|name| environment::is_empty(&name)) {
            argument.env(clap::builder::Resettable::Reset)
        } else {
            argument
        }
    };
    command.mut_args(plain).mut_subcommands(with_plain_variables)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a commented seedkit.yaml, an image list and .gitignore to start from.
    #[command(after_help = init::EXAMPLES)]
    Init(init::InitArguments),
    /// Resolve tags, digests and files; write seedkit.lock.
    #[command(after_help = lock::EXAMPLES)]
    Lock(lock::LockArguments),
    /// Fetch the locked images into an OCI image layout.
    #[command(after_help = mirror::EXAMPLES)]
    Mirror(mirror::MirrorArguments),
    /// Make, show or renew the registry's certificates.
    #[command(after_help = ca::EXAMPLES)]
    Ca(ca::CaArguments),
    /// Pack airgap tarballs.
    #[command(after_help = pack::EXAMPLES)]
    Pack(pack::PackArguments),
    /// Write the seed ISO of each node.
    #[command(after_help = iso::EXAMPLES)]
    Iso(iso::IsoArguments),
    /// Do all of the above in order, verify it, publish the kit.
    #[command(after_help = build::EXAMPLES)]
    Build(build::BuildArguments),
    /// Do all the parts fit each other, before any VM boots?
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArguments),
    /// Is every byte of a kit what the kit says it is?
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyArguments),
    /// What is in a file, and is it what it says it is?
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(inspect::InspectArguments),
    /// What changed between two locks or two kits?
    #[command(after_help = diff::EXAMPLES)]
    Diff(diff::DiffArguments),
    /// Push a kit's images to another registry: what is missing there.
    #[command(after_help = push::EXAMPLES)]
    Push(push::PushArguments),
    /// Serve a kit's images to its nodes, as a read-only registry over TLS.
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::ServeArguments),
    /// Print the JSON schema of seedkit.yaml, for editors, or of a result.
    #[command(after_help = schema::SCHEMA_EXAMPLES)]
    Schema(schema::SchemaArguments),
    /// Print completions for a shell.
    #[command(after_help = schema::COMPLETION_EXAMPLES)]
    Completions(schema::CompletionArguments),
    /// Print the manual page of seedkit or of one command.
    #[command(after_help = schema::MAN_EXAMPLES)]
    Man(schema::ManArguments),
}
