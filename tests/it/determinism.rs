//! Same spec, lock and secrets: same bytes, whoever builds, wherever, whenever, and with how many threads.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::support::kitdiff::differences;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, files, lab, program};

/// When the secrets are made.
const THEN: &str = "1763683200";
/// When somebody else builds: the certificates are still valid.
const LATER: &str = "1798243200";

/// Makes the lab as somebody else would get it: files created the other way round, with other times and with
/// folders that their owner alone can enter.
fn copied_backwards(target: &Path) {
    let mut files = files(&lab());
    files.retain(|file| !file.starts_with("secrets"));
    files.reverse();
    for (number, file) in files.iter().enumerate() {
        let copy = target.join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(lab().join(file), &copy).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + 86_400 * number as u64);
        fs::OpenOptions::new().append(true).open(&copy).unwrap().set_modified(time).unwrap();
    }
}

/// Hands the secrets of one lab to another.
fn hand_over_secrets(one: &Sandbox, other: &Sandbox) {
    let (source, target) = (one.path("lab/secrets"), other.path("lab/secrets"));
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, PermissionsExt::from_mode(0o700)).unwrap();
    for file in files(&source).iter().rev() {
        fs::copy(source.join(file), target.join(file)).unwrap();
    }
}

fn lab_with(compression: &str, make: impl FnOnce(&Path)) -> Sandbox {
    let sandbox = Sandbox::new();
    make(&sandbox.path("lab"));
    let packed = format!("pack: {{ compression: {compression} }}\nssh:\n");
    sandbox.edit("lab/seedkit.yaml", "ssh:\n", &packed);
    sandbox
}

/// Prepares a build by another user on another machine, who is in another folder, time zone and year.
fn elsewhere(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command("sh");
    let spec = sandbox.path(SPEC);
    let kit = sandbox.path("kit");
    let script = r#"umask 077; exec "$0" "$@""#;
    command
        .args(["-c", script, program(), "build", "--jobs", "7", "-f"])
        .args([spec.as_os_str(), "-o".as_ref(), kit.as_os_str()])
        .current_dir("/")
        .env("TZ", "Asia/Kathmandu")
        .env("LC_ALL", "ko_KR.EUC-KR")
        .env("USER", "somebody-else")
        .env("SOURCE_DATE_EPOCH", LATER);
    command
}

fn two_builds_are_the_same(compression: &str) {
    let one = lab_with(compression, |lab_copy| crate::support::sandbox::copy_tree(&lab(), lab_copy));
    let mut first = one.prepare(&[&BUILD[..], &["--jobs", "1"]].concat());
    Run::of(first.env("SOURCE_DATE_EPOCH", THEN)).succeeds();
    let other = lab_with(compression, copied_backwards);
    hand_over_secrets(&one, &other);
    Run::of(&mut elsewhere(&other)).succeeds();
    assert_eq!(differences(&one.path("kit"), &other.path("kit")), "", "empty store, both times");
    fs::rename(one.path("kit"), one.path("first")).unwrap();
    let mut second = one.prepare(&[&BUILD[..], &["--jobs", "7", "--offline"]].concat());
    Run::of(second.env("SOURCE_DATE_EPOCH", LATER)).succeeds();
    assert_eq!(differences(&one.path("first"), &one.path("kit")), "", "empty store, full store");
}

#[test]
fn two_builds_with_plain_tarballs_are_the_same() {
    two_builds_are_the_same("none");
}

#[test]
fn two_builds_with_gzip_are_the_same() {
    two_builds_are_the_same("gzip");
}

#[test]
fn two_builds_with_zstd_are_the_same() {
    two_builds_are_the_same("zstd");
}

// Blobs that are copied because the store is on another disk were writable, linked ones were not.
#[test]
fn a_store_on_another_disk_makes_no_difference() {
    let sandbox = Sandbox::built_lab();
    let script = r#"mkdir store; mount -t tmpfs seedkit store
        exec "$SEEDKIT" build -f lab/seedkit.yaml -o other --cache-dir store"#;
    sandbox.with_own_mounts(script).succeeds();
    assert_eq!(differences(&sandbox.path("kit"), &sandbox.path("other")), "");
}
