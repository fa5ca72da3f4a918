//! `seedkit build`: the main job of the README, on the lab, through the program itself.

mod console;
mod contents;
mod replace;
mod secrecy;
mod shared;

pub(crate) use replace::snapshot;

use std::path::Path;

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox};

/// The steps of a build, as progress and the table at the end name them.
const STEPS: [&str; 6] =
    ["fetch files", "mirror images", "certificates", "pack images for linux/amd64", "write seeds", "verify"];

#[test]
fn progress_is_on_stderr_and_the_result_alone_on_stdout() {
    let sandbox = Sandbox::lab();
    let run = sandbox.seedkit(&BUILD).succeeds();
    for step in STEPS {
        let started = run.stderr.lines().filter(|line| line.ends_with(&format!("Z {step}"))).count();
        let finished = run.stderr.lines().filter(|line| line.contains(&format!("Z {step}: "))).count();
        let row = run.stderr.lines().filter(|line| line.starts_with(&format!("  {step} "))).count();
        assert_eq!((started, finished, row), (1, 1, 1), "{step}:\n{}", run.stderr);
        assert!(!run.stdout.contains(&format!("{step}:")), "{}", run.stdout);
    }
    for line in run.stderr.lines().filter(|line| line.contains("Z ") && line.contains(": ")) {
        assert!(line.ends_with(" s)"), "a finished step says how long it took: {line}");
    }
    assert!(run.stderr.trim_end().lines().last().unwrap().starts_with("  total "), "{}", run.stderr);
    assert!(run.stdout.starts_with("kit/\n  .gitignore "), "{}", run.stdout);
    assert!(run.stdout.contains("\nnext: attach kit/seeds/seed-NODE.iso to each VM"), "{}", run.stdout);
    assert!(run.stdout.contains("`seedkit verify kit`"), "{}", run.stdout);
}

#[test]
fn a_quiet_build_says_nothing_but_its_result() {
    let run = Sandbox::lab().seedkit(&["build", "-q", "-f", SPEC]).succeeds();
    assert_eq!(run.stderr, "");
    assert!(run.stdout.starts_with("kit/\n"), "{}", run.stdout);
}

#[test]
fn the_json_result_has_a_version_and_names_what_was_built() {
    let sandbox = Sandbox::lab();
    let json = sandbox.seedkit(&[&BUILD[..], &["--json"]].concat()).succeeds().json();
    assert_eq!(
        (&json["version"], &json["command"], &json["kit"]),
        (&1.into(), &"build".into(), &"kit".into())
    );
    let artifacts = json["artifacts"].as_object().unwrap();
    for (path, artifact) in artifacts {
        assert_eq!(artifact["size"], fs::metadata(sandbox.path("kit").join(path)).unwrap().len(), "{path}");
        assert_eq!(artifact["digest"], sha256(&sandbox.path("kit").join(path)), "{path}");
    }
    assert_eq!(artifacts.keys().filter(|path| path.starts_with("seeds/")).count(), 3);
}

#[test]
fn without_a_lock_the_build_says_so_and_writes_the_one_it_used() {
    let sandbox = Sandbox::lab();
    let committed = sandbox.read("lab/seedkit.lock");
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
    let build = || Run::of(sandbox.prepare(&BUILD).env("SOURCE_DATE_EPOCH", "1763683200"));
    let run = build().succeeds();
    assert!(
        run.stderr.contains("there is no seedkit.lock: making one; review it and commit it"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("Z lock: 10 images, 2 files"), "{}", run.stderr);
    assert_eq!(sandbox.read("lab/seedkit.lock"), committed);
    let sums = sandbox.read("kit/SHA256SUMS");
    assert!(!build().succeeds().stderr.contains("lock"), "what is locked is not resolved again");
    assert_eq!(sandbox.read("kit/SHA256SUMS"), sums);
}

#[test]
fn a_second_build_fetches_no_blob_and_does_not_ask_the_source() {
    let sandbox = Sandbox::lab();
    let first = sandbox.seedkit(&BUILD).succeeds();
    assert!(
        first.stderr.contains("10 images, 21 blobs fetched (4.1 KiB), 0 there already"),
        "{}",
        first.stderr
    );
    let second = sandbox.seedkit(&BUILD).succeeds();
    assert!(
        second.stderr.contains("10 images, 0 blobs fetched (0 B), 21 there already"),
        "{}",
        second.stderr
    );
}

#[test]
fn a_locked_offline_build_works_from_the_store_with_all_sources_gone() {
    let sandbox = Sandbox::built_lab();
    let sums = sandbox.read("kit/SHA256SUMS");
    fs::rename(sandbox.path("lab/images"), sandbox.path("lab/images-are-gone")).unwrap();
    fs::remove_file(sandbox.path("lab/motd")).unwrap();
    fs::remove_file(sandbox.path("lab/k3s-stand-in.sh")).unwrap();
    fs::remove_dir_all(sandbox.path("kit")).unwrap();
    sandbox.seedkit(&[&BUILD[..], &["--offline", "--locked"]].concat()).succeeds();
    assert_eq!(sandbox.read("kit/SHA256SUMS"), sums);
}

#[test]
fn every_option_can_be_a_variable() {
    let sandbox = Sandbox::lab();
    let mut command = sandbox.prepare(&["build"]);
    command
        .env("SEEDKIT_FILE", SPEC)
        .env("SEEDKIT_OUTPUT", "out")
        .env("SEEDKIT_DELIVER", "delivered")
        .env("SEEDKIT_CACHE_DIR", "store")
        .env("SEEDKIT_SECRETS", "keys")
        .env("SEEDKIT_JOBS", "3")
        .env("SEEDKIT_PROGRESS", "none")
        .env("SEEDKIT_LOCKED", "true")
        .env("SEEDKIT_OFFLINE", "true");
    assert_eq!(Run::of(&mut command).succeeds().stderr.lines().filter(|line| line.contains('Z')).count(), 0);
    assert_eq!(sandbox.names(""), ["delivered", "keys", "lab", "out", "store"]);
    assert!(!sandbox.store().exists());
}

/// Returns the digest of a file as the lock and the bill write it, by somebody else's program.
fn sha256(file: &Path) -> String {
    let line = oracle::text("sha256sum", [file]);
    format!("sha256:{}", line.split(' ').next().unwrap())
}
