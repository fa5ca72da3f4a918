use std::path::PathBuf;

use super::*;
use crate::epoch::Epoch;

fn io() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn path() -> PathBuf {
    PathBuf::from("x")
}

fn json() -> serde_json::Error {
    serde_json::from_str::<bool>("").unwrap_err()
}

/// Errors about which a user can do something, whatever made them.
fn known_to_be_mended() -> Vec<anyhow::Error> {
    let epoch = || "never".parse::<Epoch>().unwrap_err();
    let sums = || crate::artifact::ArtifactList::parse_sums("x").unwrap_err();
    vec![
        BillError::Read(path(), io()).into(),
        BillError::Malformed(path(), json()).into(),
        BillError::Version(path(), 9).into(),
        VerifyError::NotAKit(path()).into(),
        VerifyError::NoSums(path()).into(),
        VerifyError::Read(path(), io()).into(),
        VerifyError::Sums(path(), sums()).into(),
        UnusableTime::Variable(epoch()).into(),
        UnusableTime::Clock(epoch()).into(),
        InitError::Exist(vec![path()]).into(),
        PackError::NoPackages.into(),
        DeliverError::ReadsBackWrong(path()).into(),
        LockfileError::Malformed("x".to_owned()).into(),
        LockfileError::Version(9).into(),
        LockfileError::Duplicate("x".to_owned()).into(),
        StoreError::Read(crate::digest::Digest::sha256(b""), io()).into(),
        BuildError::Unsound(Vec::new()).into(),
        CaError::Kit(BillError::Version(path(), 9)).into(),
        InspectError::Bill(BillError::Version(path(), 9)).into(),
        DiffError::Inspect(path(), BillError::Version(path(), 9).into()).into(),
        OpenError::Bill(BillError::Version(path(), 9)).into(),
        OpenError::Verify(VerifyError::NotAKit(path())).into(),
        io::Error::from(io::ErrorKind::StorageFull).into(),
        io::Error::from(io::ErrorKind::QuotaExceeded).into(),
        io::Error::from(io::ErrorKind::FileTooLarge).into(),
        io::Error::from(io::ErrorKind::PermissionDenied).into(),
        io::Error::from(io::ErrorKind::ReadOnlyFilesystem).into(),
    ]
}

#[test]
fn what_can_be_mended_has_a_hint_once() {
    for error in known_to_be_mended() {
        assert_eq!(of(&error).len(), 1, "{error:#}");
    }
}

#[test]
fn what_cannot_be_read_is_not_said_to_be_written_elsewhere() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    for error in [
        anyhow::Error::from(BillError::Read(path(), denied())),
        VerifyError::Read(path(), denied()).into(),
        InspectError::Read(path(), denied()).into(),
    ] {
        assert_eq!(of(&error), ["it is not for this user to read: run it as the one that it belongs to"]);
    }
}

/// Types of errors without hints of their own, in the modules that are what the program does: why.
const WITHOUT: [(&str, &str); 8] = [
    ("CheckError", "that of `check` says in itself what to leave out"),
    ("Drift", "the lock that is stale has one"),
    ("ImageFailure", "its source has one"),
    ("InvalidEpoch", "whoever read it knows from where"),
    ("InvalidLooseFile", "it makes the lock malformed, which has one"),
    ("InvalidOrigin", "it makes the lock malformed, which has one"),
    ("InvalidRole", "it makes the lock malformed, which has one"),
    ("PartsError", "those who make seeds and kits have that of the clock"),
];

#[test]
fn every_error_of_an_operation_has_hints_or_a_reason_to_have_none() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let own = fs_err::read_to_string(root.join("cli/hints.rs")).unwrap();
    let mut seen = 0;
    for folder in ["ops", "verify", "bill.rs", "epoch.rs", "store", "lockfile"] {
        for entry in walkdir::WalkDir::new(root.join(folder)).into_iter().map(Result::unwrap) {
            if entry.file_type().is_dir() {
                continue;
            }
            let text = fs_err::read_to_string(entry.path()).unwrap();
            for declared in text.split("thiserror::Error").skip(1) {
                let line = declared.lines().find(|line| line.starts_with("pub ")).unwrap_or_default();
                let words = line.split(|character: char| !character.is_alphanumeric());
                let name =
                    words.skip_while(|word| !["enum", "struct"].contains(word)).nth(1).unwrap_or_default();
                let is_known = own.contains(&format!("known::<{name}>,"));
                let is_without = WITHOUT.iter().any(|(without, _)| *without == name);
                assert!(is_known || is_without, "`{name}` of {} has no hints", entry.path().display());
                seen += 1;
            }
        }
    }
    assert!(seen > 25, "{seen}");
}
