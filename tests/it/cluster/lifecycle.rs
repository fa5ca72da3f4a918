//! Authorities are made once; what was lost, mixed up or has expired is an error that names it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use fs_err as fs;
use seedkit::cluster::authorities::UnusableAuthorities;
use seedkit::ops::cluster::{ClusterError, load_or_create_authorities};
use seedkit::secrets::Secrets;
use tempfile::TempDir;

use super::{at, load, secrets};
use crate::support::oracle;
use crate::support::sandbox::names;

/// In the order in which they are made.
const STEMS: [&str; 7] = [
    "root-ca",
    "intermediate-ca",
    "server-ca",
    "client-ca",
    "request-header-ca",
    "etcd-peer-ca",
    "etcd-server-ca",
];

fn made() -> (TempDir, Secrets) {
    let folder = tempfile::tempdir().unwrap();
    let secrets = secrets(folder.path());
    load(&secrets).unwrap();
    (folder, secrets)
}

fn path(secrets: &Secrets, name: &str) -> PathBuf {
    secrets.folder().join(format!("cluster-{name}"))
}

/// Copies one secret over another, as somebody who mixes up files does.
fn replace(secrets: &Secrets, name: &str, by: PathBuf) {
    fs::write(path(secrets, name), fs::read(by).unwrap()).unwrap();
}

/// Returns an error with all its causes.
fn message(error: ClusterError) -> String {
    let chain: Vec<String> = anyhow::Error::new(error).chain().map(ToString::to_string).collect();
    chain.join(": ")
}

#[test]
fn authorities_are_made_once_with_modes_for_their_owner() {
    let (_folder, secrets) = made();
    let mut expected: Vec<String> = STEMS
        .iter()
        .flat_map(|stem| [format!("cluster-{stem}.crt"), format!("cluster-{stem}.key")])
        .collect();
    expected.push("cluster-service.key".to_owned());
    expected.sort();
    let all: Vec<String> = [".gitignore".to_owned()].into_iter().chain(expected.iter().cloned()).collect();
    assert_eq!(names(secrets.folder()), all);
    let contents =
        || expected.iter().map(|name| fs::read(secrets.folder().join(name)).unwrap()).collect::<Vec<_>>();
    for name in &expected {
        let mode = fs::metadata(secrets.folder().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let before = contents();
    for days in [0, 1, 3699] {
        let (_, is_new) = load_or_create_authorities(&secrets, at(days)).unwrap();
        assert!(!is_new);
    }
    assert_eq!(contents(), before);
}

#[test]
fn an_interrupted_run_is_gone_on_with() {
    let (_folder, secrets) = made();
    let root = fs::read(path(&secrets, "root-ca.crt")).unwrap();
    for name in ["service.key", "etcd-server-ca.crt", "etcd-server-ca.key", "etcd-peer-ca.crt"] {
        fs::remove_file(path(&secrets, name)).unwrap();
    }
    let (authorities, is_new) = load(&secrets).unwrap();
    assert!(is_new && authorities.check(at(0)).is_ok());
    assert_eq!(fs::read(path(&secrets, "root-ca.crt")).unwrap(), root);
}

#[test]
fn what_was_lost_is_named_and_nothing_is_made_in_its_place() {
    for (lost, named) in [
        (&["root-ca.key"][..], "`cluster-root-ca.key`"),
        (&["root-ca.crt"], "`cluster-root-ca.crt`"),
        (&["intermediate-ca.key", "server-ca.crt"], "`cluster-intermediate-ca.key`, `cluster-server-ca.crt`"),
        (&["etcd-server-ca.key"], "`cluster-etcd-server-ca.key`"),
    ] {
        let (_folder, secrets) = made();
        for name in lost {
            fs::remove_file(path(&secrets, name)).unwrap();
        }
        let before = names(secrets.folder());
        let error = message(load(&secrets).unwrap_err());
        assert_eq!(error, format!("the secrets folder has `cluster-service.key`, but not {named}"));
        assert_eq!(names(secrets.folder()), before);
    }
}

#[test]
fn halves_of_different_sets_are_refused() {
    let (_one, secrets) = made();
    let (_other, foreign) = made();
    let good = |name: &str| fs::read(path(&secrets, name)).unwrap();
    for (name, by, expected) in [
        ("server-ca.key", path(&foreign, "server-ca.key"), "not that of the authority `CN=k3s-server-ca@"),
        ("root-ca.key", path(&secrets, "server-ca.key"), "not that of the authority `CN=k3s-root-ca@"),
        ("client-ca.crt", path(&secrets, "server-ca.crt"), "not that of the authority `CN=k3s-server-ca@"),
    ] {
        let before = good(name);
        replace(&secrets, name, by);
        let error = message(load(&secrets).unwrap_err());
        assert!(error.contains(expected), "{name}: {error}");
        fs::write(path(&secrets, name), before).unwrap();
    }
    for suffix in ["crt", "key"] {
        let name = format!("intermediate-ca.{suffix}");
        replace(&secrets, &name, path(&foreign, &name));
    }
    let error = load(&secrets).unwrap_err();
    assert_eq!(
        message(error),
        "cannot use the cluster's authorities: the cluster's `intermediate-ca` is not signed by its `root-ca`"
    );
}

#[test]
fn one_authority_in_two_places_is_refused() {
    let (_folder, secrets) = made();
    for suffix in ["crt", "key"] {
        replace(&secrets, &format!("client-ca.{suffix}"), path(&secrets, &format!("server-ca.{suffix}")));
    }
    let error = load(&secrets).unwrap_err();
    assert!(
        matches!(&error, ClusterError::Unusable(UnusableAuthorities::SameKey { .. })),
        "{}",
        message(error)
    );
}

#[test]
fn authorities_are_valid_from_thirty_days_before_they_were_made_to_their_last_day() {
    let (_folder, secrets) = made();
    let before = |days: u64| (super::EPOCH - days * super::DAY).try_into().unwrap();
    assert!(load_or_create_authorities(&secrets, before(30)).is_ok());
    for now in [before(31), at(3701)] {
        let error = load_or_create_authorities(&secrets, now).unwrap_err();
        assert!(
            matches!(&error, ClusterError::Unusable(UnusableAuthorities::NotValid(..))),
            "{}",
            message(error)
        );
    }
}

#[test]
fn what_is_no_key_is_refused_without_showing_it() {
    for (name, content, expected) in [
        ("server-ca.key", "tr0ub4dor&3\n", "`cluster-server-ca.key`"),
        ("service.key", "tr0ub4dor&3\n", "`cluster-service.key`"),
        ("root-ca.crt", "tr0ub4dor&3\n", "`cluster-root-ca.crt`"),
    ] {
        let (_folder, secrets) = made();
        fs::write(path(&secrets, name), content).unwrap();
        let error = message(load(&secrets).unwrap_err());
        assert!(error.contains(expected) && !error.contains("tr0ub4dor"), "{error}");
    }
}

#[test]
fn a_key_on_another_curve_is_refused_before_it_reaches_a_node() {
    let (_folder, secrets) = made();
    let key = path(&secrets, "etcd-server-ca.key");
    let certificate = path(&secrets, "etcd-server-ca.crt");
    // Somebody brings an authority of their own under ours, made by OpenSSL.
    let script = r#"
set -e
cd "$1"
openssl ecparam -name secp384r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out own.key
openssl req -new -key own.key -subj /CN=own -out own.csr
printf 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n' >extensions
openssl x509 -req -in own.csr -CA cluster-intermediate-ca.crt -CAkey cluster-intermediate-ca.key \
    -days 3650 -extfile extensions -out own.crt
cat own.key >"$2"
cat own.crt >"$3"
rm -f own.* extensions
"#;
    let arguments = ["-c", script, "sh"].map(std::ffi::OsStr::new);
    let paths = [secrets.folder().as_os_str(), key.as_os_str(), certificate.as_os_str()];
    oracle::run("sh", arguments.into_iter().chain(paths));
    // OpenSSL dates it by the clock, and ours by an epoch that may lie in its past.
    let made_at = fs::metadata(&certificate).unwrap().modified().unwrap();
    let made_at = made_at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (authorities, _) = load_or_create_authorities(&secrets, made_at.try_into().unwrap()).unwrap();
    let error = authorities.files().unwrap_err();
    assert!(matches!(error, UnusableAuthorities::Key(..)), "{error}");
}
