//! Basic authentication, with curl and skopeo as those who log in.

use base64::Engine as _;
use fs_err as fs;
use std::os::unix::fs::PermissionsExt;

use super::Serving;
use crate::support::oracle;
use crate::support::registry::{PASSWORD, PASSWORD_HASH, USER};
use crate::support::sandbox::Sandbox;

const PLAIN: &str = "lab:plain pass:word";

fn kit_with_users(text: &str, mode: u32) -> Sandbox {
    let sandbox = Sandbox::built_lab();
    sandbox.write("users", text);
    fs::set_permissions(sandbox.path("users"), PermissionsExt::from_mode(mode)).unwrap();
    sandbox
}

fn serving() -> Serving {
    let users = format!("# who may pull\n{USER}:{PASSWORD_HASH}\n{PLAIN}\n");
    Serving::start(kit_with_users(&users, 0o600), &["--basic-auth-file", "users"])
}

#[test]
fn only_who_knows_a_password_gets_anything_but_health() {
    let serving = serving();
    let manifest = "/v2/rancher/mirrored-pause/manifests/3.6";
    let hashed = format!("{USER}:{PASSWORD}");
    for right in [hashed.as_str(), PLAIN] {
        for path in ["/v2/", manifest, "/v2/_catalog"] {
            assert_eq!(serving.curl(path, &["--user", right]).status, 200, "{right} {path}");
        }
    }
    let with_hash = format!("{USER}:{PASSWORD_HASH}");
    for wrong in ["lab:plain", "lab:", "nobody:plain pass:word", &with_hash, ":"] {
        for path in ["/v2/", manifest, "/v2/nothing/here", "/"] {
            let answer = serving.curl(path, &["--user", wrong]);
            assert_eq!((answer.status, answer.code().as_str()), (401, "UNAUTHORIZED"), "{wrong} {path}");
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"seedkit\", charset=\"UTF-8\"");
        }
    }
    assert_eq!(serving.get(manifest).status, 401);
    assert_eq!(serving.curl(manifest, &["--header", "Authorization: Bearer x"]).status, 401);
    assert_eq!(serving.curl("/v2/lab/x/blobs/uploads/", &["--request", "POST"]).status, 401);
    assert_eq!(serving.get("/healthz").status, 200);
}

#[test]
fn skopeo_logs_in() {
    let serving = serving();
    let certificates = serving.certificates();
    let name = format!("docker://{}/rancher/mirrored-pause:3.6", serving.address());
    let options = ["inspect", "--raw", "--cert-dir", certificates.to_str().unwrap()];
    let credentials = format!("{USER}:{PASSWORD}");
    let right = oracle::text("skopeo", [&options[..], &["--creds", &credentials, &name]].concat());
    assert!(right.contains("manifests"), "{right}");
    let mut command = oracle::command("skopeo");
    let wrong = command.args(options).args(["--creds", "lab:wrong", &name]).output().unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("unauthorized"), "{wrong:?}");
}

#[test]
fn no_password_is_in_the_log() {
    let mut serving = serving();
    let hashed = format!("{USER}:{PASSWORD}");
    let tried = [hashed.as_str(), PLAIN, "lab:mistyped"];
    for credentials in tried {
        serving.curl("/v2/", &["--user", credentials]);
    }
    serving.signal(rustix::process::Signal::TERM);
    let (_, log) = serving.end();
    assert_eq!(log.matches("GET /v2/ ").count(), 3, "{log}");
    for credentials in tried {
        let password = credentials.split_once(':').unwrap().1;
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        assert!(!log.contains(password) && !log.contains(&encoded), "{log}");
    }
}

#[test]
fn a_file_of_passwords_that_cannot_be_used_stops_the_start() {
    for (text, mode, said) in [
        ("a:b\n", 0o640, "`users` is open to other users (mode 0640)"),
        ("a\n", 0o600, "line 1 of `users` has no colon"),
        ("", 0o600, "`users` names nobody"),
    ] {
        let sandbox = kit_with_users(text, mode);
        let run = sandbox.seedkit(&["serve", "kit", "--listen", "127.0.0.1:0", "--basic-auth-file", "users"]);
        assert!(run.fails(2).contains(said), "{run:?}");
    }
    let run = Sandbox::built_lab().seedkit(&["serve", "kit", "--basic-auth-file", "nobody"]);
    assert!(run.fails(2).contains("there is no `nobody`"), "{run:?}");
}
