//! The systemd unit that `--print-unit` prints.

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::{Sandbox, program};

fn print(sandbox: &Sandbox, options: &[&str]) -> String {
    sandbox.seedkit(&[&["serve", "kit", "--print-unit"], options].concat()).succeeds().stdout
}

#[test]
fn systemd_accepts_the_unit_and_finds_it_confined() {
    let sandbox = Sandbox::built_lab();
    for options in [&[][..], &["--listen", "0.0.0.0:443", "--basic-auth-file", "100% users $HOME"]] {
        let unit = sandbox.path("seedkit-registry.service");
        fs::write(&unit, print(&sandbox, options)).unwrap();
        let output = oracle::run("systemd-analyze", ["verify", "--man=no", unit.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("seedkit"), "{said}");
        let security = ["security", "--offline=true", "--threshold=30", unit.to_str().unwrap()];
        oracle::run("systemd-analyze", security);
    }
}

#[test]
fn the_unit_starts_this_program_with_absolute_paths_as_the_owner_of_the_key() {
    let sandbox = Sandbox::built_lab();
    let unit = print(
        &sandbox,
        &["--listen", "192.168.6.1:443", "--stop-timeout", "7", "--basic-auth-file", "my $users"],
    );
    let line = |start: &str| unit.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    let kit = sandbox.path("kit").display().to_string();
    let users = sandbox.path("my $$users").display().to_string();
    let expected = format!(
        "ExecStart=\"{}\" \"serve\" \"{kit}\" \"--listen\" \"192.168.6.1:443\" \"--basic-auth-file\" \"{users}\" \
         \"--max-connections\" \"512\" \"--read-timeout\" \"60\" \"--write-timeout\" \"60\" \"--stop-timeout\" \"7\" ",
        program()
    );
    assert_eq!(line("ExecStart="), expected);
    let owner = rustix::process::geteuid().as_raw();
    assert_eq!(line("User="), format!("User={owner}"));
    assert_eq!(line("TimeoutStopSec="), "TimeoutStopSec=12");
    assert_eq!(line("AmbientCapabilities="), "AmbientCapabilities=CAP_NET_BIND_SERVICE");
    let plain = print(&sandbox, &[]);
    assert!(plain.contains("\nAmbientCapabilities=\n") && !plain.contains("--listen"), "{plain}");
}
