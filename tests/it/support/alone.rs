//! Tests that need a process of their own: one whose peak memory is asked for, or one that mounts.
//!
//! Such a test is `#[ignore]`d, and run by another one that names it here.

use std::process::Command;

use fs_err as fs;

use super::oracle;

/// Runs the ignored test `name` of the module `module` (its `module_path!()`) in a new process.
///
/// # Panics
/// If the test fails, or is not there.
pub(crate) fn run(module: &str, name: &str) {
    finish(Command::new(std::env::current_exe().unwrap()), module, name);
}

/// Runs a test as [`run`] does, with rights to mount; what it mounts ends with it.
pub(crate) fn run_with_mounts(module: &str, name: &str) {
    let mut command = oracle::command("unshare");
    command.args(["--mount", "--map-root-user"]).arg(std::env::current_exe().unwrap());
    finish(command, module, name);
}

/// Returns the most memory that this process had at any time, in KiB.
pub(crate) fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn finish(mut command: Command, module: &str, name: &str) {
    let (_crate, module) = module.split_once("::").unwrap();
    command.args(["--exact", "--ignored", "--test-threads=1"]).arg(format!("{module}::{name}"));
    let output = String::from_utf8(oracle::finish(&mut command).stdout).unwrap();
    assert!(output.contains("1 passed"), "{output}");
}
