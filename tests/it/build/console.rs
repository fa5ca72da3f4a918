//! A password for the console: only its hash is kept and carried, and libcrypt and OpenSSL agree with it.

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, Sandbox, files};

const PASSWORD: &str = "비밀번호 'für' \"die\" $6$ Konsole #1";
const HASH: &str = "lab/secrets/console-password-hash";
const SPEC: &str = "lab/seedkit.yaml";

/// A lab whose spec wants a password for the console.
fn lab(from: &str) -> Sandbox {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "ssh:\n", &format!("ssh:\n  consolePasswordFrom: {from}\n"));
    sandbox
}

fn with_password(sandbox: &Sandbox, password: &str) -> Run {
    Run::of(sandbox.prepare(&BUILD).env("CONSOLE_PASSWORD", password))
}

/// Returns what cloud-init is told of the only user, as PyYAML reads it from a node's disc.
fn user_of(sandbox: &Sandbox, node: &str) -> serde_json::Value {
    let target = sandbox.path("user-data");
    if target.exists() {
        fs::remove_file(&target).unwrap();
    }
    let image = sandbox.path(format!("kit/seeds/seed-{node}.iso"));
    let arguments = ["-osirrox", "on", "-indev", image.to_str().unwrap(), "-extract", "/user-data"];
    oracle::run("xorriso", arguments.into_iter().chain([target.to_str().unwrap()]));
    let program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))['users'][0]))";
    let user = oracle::text("/usr/bin/python3", ["-c", program, target.to_str().unwrap()]);
    serde_json::from_str(&user).unwrap()
}

/// Has libcrypt, which a login asks, hash a password as `hash` was made.
fn by_libcrypt(password: &str, hash: &str) -> String {
    oracle::text("perl", ["-e", "print crypt($ARGV[0], $ARGV[1])", password, hash])
}

#[test]
fn a_login_and_openssl_know_the_password_by_its_hash() {
    let sandbox = lab("{env: CONSOLE_PASSWORD}");
    with_password(&sandbox, PASSWORD).succeeds();
    let hash = sandbox.read(HASH).trim_end().to_owned();
    assert!(hash.starts_with("$6$rounds=100000$"), "{hash}");
    assert_eq!(by_libcrypt(PASSWORD, &hash), hash);
    assert_ne!(by_libcrypt("another", &hash), hash);
    let salt = hash.strip_prefix("$6$").unwrap().rsplit_once('$').unwrap().0;
    assert_eq!(oracle::text("openssl", ["passwd", "-6", "-salt", salt, PASSWORD]).trim_end(), hash);
    for node in ["k3s-master1", "k3s-worker1", "k3s-worker2"] {
        let user = user_of(&sandbox, node);
        assert_eq!((&user["hashed_passwd"], &user["lock_passwd"]), (&hash.as_str().into(), &false.into()));
    }
}

#[test]
fn the_password_itself_is_nowhere() {
    let sandbox = lab("{env: CONSOLE_PASSWORD}");
    let Run { stdout, stderr, .. } = with_password(&sandbox, PASSWORD).succeeds();
    let contains = |bytes: &[u8]| bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
    assert!(!contains(stdout.as_bytes()) && !contains(stderr.as_bytes()));
    for folder in ["kit", "lab"] {
        for file in files(&sandbox.path(folder)) {
            let bytes = fs::read(sandbox.path(folder).join(&file)).unwrap();
            assert!(!contains(&bytes), "{} holds the password", file.display());
        }
    }
}

#[test]
fn a_build_needs_the_password_once_and_another_password_changes_the_seeds() {
    let sandbox = lab("{env: CONSOLE_PASSWORD}");
    let message = "the console's password is not in the environment variable `CONSOLE_PASSWORD`, \
                   and its hash is not in the secrets folder";
    let run = sandbox.seedkit(&BUILD);
    assert!(run.fails(2).contains(message), "{}", run.stderr);
    with_password(&sandbox, PASSWORD).succeeds();
    let (sums, hash) = (sandbox.read("kit/SHA256SUMS"), sandbox.read(HASH));
    sandbox.seedkit(&BUILD).succeeds();
    assert_eq!(sandbox.read("kit/SHA256SUMS"), sums);
    with_password(&sandbox, PASSWORD).succeeds();
    assert_eq!((sandbox.read("kit/SHA256SUMS"), sandbox.read(HASH)), (sums.clone(), hash.clone()));
    let run = with_password(&sandbox, "another one").succeeds();
    assert!(run.stderr.contains("`console-password-hash` was made anew"), "{}", run.stderr);
    let other = sandbox.read(HASH);
    assert_eq!(by_libcrypt("another one", other.trim_end()), other.trim_end());
    assert_ne!(sandbox.read("kit/SHA256SUMS"), sums);
}

#[test]
fn a_hash_that_openssl_made_is_taken_and_what_is_none_is_refused() {
    let sandbox = lab("{secret: console-password}");
    sandbox.seedkit(&["ca", "-f", SPEC]).succeeds();
    let put = |name: &str, text: &str| {
        let path = sandbox.path("lab/secrets").join(name);
        seedkit::fs::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
    };
    let hash = oracle::text("openssl", ["passwd", "-6", PASSWORD]);
    put("console-password-hash", &hash);
    sandbox.seedkit(&BUILD).succeeds();
    assert_eq!(user_of(&sandbox, "k3s-master1")["hashed_passwd"], hash.trim_end());
    // The password that it was made from is no reason to make another.
    put("console-password", &format!("{PASSWORD}\n"));
    sandbox.seedkit(&BUILD).succeeds();
    assert_eq!(sandbox.read(HASH), hash);
    for (name, text, expected) in [
        ("console-password", "two\nlines\n", "more than one line"),
        ("console-password-hash", "hunter22\n", "this is not a hash of a password"),
        ("console-password-hash", "$1$salt$qJH7.N4xYta3aEG/dfqo/0\n", "this is not a hash of a password"),
    ] {
        put(name, text);
        let run = sandbox.seedkit(&BUILD);
        let said = run.fails(2);
        assert!(said.contains(expected) && !said.contains(text.trim_end()), "{said}");
    }
}

#[test]
fn without_one_the_account_has_no_password() {
    let sandbox = Sandbox::built_lab();
    let user = user_of(&sandbox, "k3s-master1");
    assert_eq!(user["lock_passwd"], true);
    assert!(user.get("hashed_passwd").is_none() && !sandbox.path(HASH).exists());
}
