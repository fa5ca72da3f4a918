//! The machine's own programs, which make and run the guests. One that is missing fails the proof.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../it/support/oracle.rs"]
mod oracle;

pub(crate) use oracle::{command, finish};

/// Returns a command for `program` as root: network namespaces, taps and file systems need that.
pub(crate) fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return command(program);
    }
    let mut sudo = command("sudo");
    sudo.arg("--non-interactive").arg(command(program).get_program());
    sudo
}

/// Returns the path of something in the repository.
pub(crate) fn repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the folder for what outlives a run: the image, and the logs of the last one.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
