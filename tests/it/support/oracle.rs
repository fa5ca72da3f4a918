//! Somebody else's programs, which judge what we wrote. One that is missing fails the test: it is never skipped.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

/// Where administrators' programs such as `blkid` live, for users whose `PATH` leaves these folders out.
const ADMINISTRATORS_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Returns a command for `program`, in the C locale, so that what it prints can be compared.
pub(crate) fn command(program: &str) -> Command {
    let places = ADMINISTRATORS_FOLDERS.iter().map(|folder| Path::new(folder).join(program));
    let place = places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| program.into());
    let mut command = Command::new(place);
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command
}

/// Runs `program` to its end and returns what it printed.
///
/// # Panics
/// If the program is not installed, or if it fails; the message then holds what it said.
pub(crate) fn run<I, S>(program: &str, arguments: I) -> Output
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    finish(command(program).args(arguments))
}

/// Runs a prepared command to its end, as [`run`] does.
///
/// # Panics
/// If the program is not installed, or if it fails; the message then holds what it said.
pub(crate) fn finish(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::NotFound {
            panic!("the oracle {command:?} is not installed")
        } else {
            panic!("cannot run the oracle {command:?}: {error}")
        }
    });
    assert!(
        output.status.success(),
        "{command:?} fails, {}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs `program` as [`run`] does and returns its standard output as text.
pub(crate) fn text<I, S>(program: &str, arguments: I) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    String::from_utf8(run(program, arguments).stdout).expect("the oracle prints UTF-8")
}

/// Returns the first of several names of one program that is installed.
///
/// # Panics
/// If none is.
pub(crate) fn first_of(names: &[&'static str]) -> &'static str {
    let installed = |name: &&&'static str| command(name).arg("--help").output().is_ok();
    names.iter().find(installed).unwrap_or_else(|| panic!("none of the oracles {names:?} is installed"))
}

mod tests {
    #[test]
    #[should_panic(expected = "is not installed")]
    fn a_missing_oracle_is_a_failure() {
        super::run("seedkit-no-such-oracle", [""]);
    }

    #[test]
    fn an_oracle_answers_in_text() {
        assert_eq!(super::text(super::first_of(&["seedkit-no-such-oracle", "printf"]), ["%s", "yes"]), "yes");
    }
}
