//! The machine's own programs, which make and run the guests. One that is missing fails the proof.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where administrators' programs such as `ip` live, for users whose `PATH` leaves these folders out.
const ADMINISTRATORS_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Returns a command for `program`, in the C locale.
pub(crate) fn command(program: &str) -> Command {
    in_c_locale(Command::new(place(program)))
}

/// Returns a command for `program` as root: network namespaces, taps and file systems need that.
pub(crate) fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return command(program);
    }
    let mut command = Command::new("sudo");
    command.arg("--non-interactive").arg(place(program));
    in_c_locale(command)
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started, or fails; the message then holds what it said.
pub(crate) fn finish(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} fails, {}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Returns the path of something in the repository.
pub(crate) fn repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the folder for what outlives a run: the image, and the logs of the last one.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn place(program: &str) -> PathBuf {
    let places = ADMINISTRATORS_FOLDERS.iter().map(|folder| Path::new(folder).join(program));
    places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| program.into())
}

fn in_c_locale(mut command: Command) -> Command {
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC".as_ref() as &OsStr);
    command
}
