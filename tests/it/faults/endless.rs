//! Files that never end, or never begin: devices, pipes, and some that are larger than any memory.

use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;

use crate::support::sandbox::{Run, SPEC, Sandbox, program};

/// Puts a pipe to which nobody writes at `path`.
fn pipe(path: &Path) {
    let _there_or_not = fs::remove_file(path);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

/// Puts a link to a device without end at `path`.
fn device(path: &Path) {
    let _there_or_not = fs::remove_file(path);
    symlink("/dev/zero", path).unwrap();
}

/// Puts a file of one TiB, of which nothing is on the disk, at `path`.
fn huge(path: &Path) {
    fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
}

/// Runs the program with 20 seconds, and the addresses of 3 GB.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let script = r#"ulimit -v 3000000; exec timeout --signal=KILL 20 "$SEEDKIT" "$@""#;
    let mut command = sandbox.command("sh");
    command.args(["-c", script, "sh"]).args(arguments);
    let bundle = sandbox.path("bundle.pem");
    if bundle.exists() {
        command.env("SSL_CERT_FILE", bundle);
    }
    Run::of(command.env("SEEDKIT", program()))
}

// They were read to their end, whatever they were: a pipe held the program for good, a device took all memory.
#[test]
fn a_file_that_never_ends_is_named_and_neither_memory_nor_time_runs_out() {
    let lock = ["lock", "-f", SPEC, "--check"];
    let verify = ["verify", "kit"];
    let push = ["push", "kit", "registry.invalid"];
    for (spoil, file, arguments, says) in [
        (pipe as fn(&Path), SPEC, &lock[..], "is not a regular file"),
        (device, SPEC, &lock, "is not a regular file"),
        (huge, SPEC, &lock, "more than 1048576 bytes"),
        (pipe, "lab/seedkit.lock", &lock, "is not a regular file"),
        (device, "lab/seedkit.lock", &lock, "is not a regular file"),
        (huge, "lab/seedkit.lock", &lock, "has more than 67108864 bytes"),
        (huge, "bundle.pem", &lock, "has more than 67108864 bytes"),
        (pipe, "bundle.pem", &lock, "is not a regular file"),
        (pipe, "kit/SHA256SUMS", &verify, "is not a regular file"),
        (huge, "kit/SHA256SUMS", &verify, "has more than 268435456 bytes"),
        (huge, "kit/kit.json", &push, "has more than 67108864 bytes"),
    ] {
        let sandbox = Sandbox::lab();
        fs::create_dir(sandbox.path("kit")).unwrap();
        spoil(&sandbox.path(file));
        let run = run(&sandbox, arguments);
        assert_eq!(run.code, Some(2), "{file}: {run:?}");
        let is_named = run.stderr.contains(&format!("{file}`")) || run.stderr.contains(&format!("{file}:"));
        assert!(is_named && run.stderr.contains(says), "{file}: {}", run.stderr);
    }
}
