//! Registries that repeat the login that they were sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fs_err as fs;

use super::auth::{app, content};
use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::kits::write_kit;
use crate::support::sandbox::{Run, Sandbox, files};

const PASSWORD: &str = "S3cret pass/word";
/// `someone:S3cret pass/word` in base64.
const LOGIN: &str = "c29tZW9uZTpTM2NyZXQgcGFzcy93b3Jk";

/// Everything by which the password could be known.
const FORMS: [&str; 5] =
    ["s3cret", "pass/word", "pass%2fword", "c29tzw9uztptm2nyzxqgcgfzcy93b3jk", "uzncgv0"];

/// All that a server can say with the login in it.
fn echoes(own: &str) -> Vec<Answer> {
    let all = format!("Basic {LOGIN}, {PASSWORD}, S3cret%20pass%2Fword, S3cret+pass%2Fword");
    let json = serde_json::json!({ "errors": [{ "code": all, "message": format!("no {all}") }] }).to_string();
    let page = format!("<html><title>{all} is wrong</title></html>");
    let redirect = |to: &str| Answer::redirect(to);
    vec![
        Answer::new(403, json.clone()),
        Answer::new(401, json.clone()),
        Answer::new(500, json.clone()),
        Answer::new(404, json),
        Answer::new(502, page.clone()),
        Answer::new(200, page).header("Content-Type", "text/html"),
        Answer::new(429, "").header("Retry-After", &all),
        Answer::new(403, "").header("Content-Encoding", &all),
        redirect(&format!("{own}/leak/S3cret%20pass%2Fword/{LOGIN}")),
        redirect("http://S3cret%20pass%2Fword.invalid/"),
        redirect(&format!("http://{LOGIN}.invalid/")),
        redirect(&format!("ftp://host/{LOGIN}")),
        Answer::new(200, serde_json::json!({ "schemaVersion": 2, "mediaType": all }).to_string())
            .header("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
        Answer::new(202, "").header("Location", &format!("{own}/leak/S3cret%20pass%2Fword/{LOGIN}")),
    ]
}

/// A registry that wants a login and has an image; once `is_hostile`, it gives the echo of that number.
fn server(number: usize, is_hostile: Arc<AtomicBool>) -> Hostile {
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let url = Arc::clone(&own);
    let server = Hostile::start(move |request: &Request| {
        if request.target.starts_with("/leak/") {
            return Answer::new(400, format!(r#"{{"message":"{PASSWORD}"}}"#));
        }
        if request.header("authorization").is_none() {
            return Answer::new(401, "").header("WWW-Authenticate", "Basic realm=x");
        }
        if is_hostile.load(Ordering::SeqCst) {
            return echoes(url.get().unwrap()).remove(number);
        }
        content(&app(), request)
    });
    own.set(server.url()).unwrap();
    server
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut command = sandbox.prepare(arguments);
    Run::of(command.env("REGISTRY_AUTH_FILE", sandbox.path("auth.json")))
}

// What a server said was quoted as it came, also where it was the login.
#[test]
fn a_login_that_a_server_repeats_is_neither_printed_nor_kept() {
    for number in 0..echoes("").len() {
        let is_hostile = Arc::new(AtomicBool::new(false));
        let server = server(number, Arc::clone(&is_hostile));
        let sandbox = Sandbox::new();
        let login = serde_json::json!({ "username": "someone", "password": PASSWORD });
        let auths = serde_json::json!({ "auths": { server.authority(): login } });
        sandbox.write("auth.json", auths.to_string());
        let source = [("echo.example", server.url())];
        let name = ["echo.example/some/app:1".to_owned()];
        write_spec(&sandbox, &[(source[0].0, source[0].1.as_str())], &name, "linux/amd64");
        write_kit(&sandbox, &[("echo.example/some/app:1", &app())]);
        let common = ["--verbose", "--retries", "0"];
        assert_eq!(run(&sandbox, &["lock"]).code, Some(0));
        is_hostile.store(true, Ordering::SeqCst);
        let push = ["push", "kit", server.authority(), "--plain-http"];
        let commands: [&[&str]; 3] = [&["lock"], &["mirror"], &push];
        for command in commands {
            // The lock that is there resolves nothing anew.
            let lock = fs::read(sandbox.path("seedkit.lock")).unwrap();
            if command == ["lock"] {
                fs::remove_file(sandbox.path("seedkit.lock")).unwrap();
            } else {
                let _nothing_is_there = fs::remove_dir_all(sandbox.store());
            }
            for more in [&[][..], &["--keep-going"], &["--keep-going", "--json"]] {
                let run = run(&sandbox, &[command, &common, more].concat());
                assert!([Some(1), Some(2)].contains(&run.code), "{number}: {run:?}");
                let said = format!("{} {}", run.stdout, run.stderr).to_lowercase();
                let found = FORMS.iter().find(|form| said.contains(*form));
                assert!(found.is_none(), "{number} {command:?} {more:?}: {run:?}");
            }
            sandbox.write("seedkit.lock", lock);
        }
        for file in files(&sandbox.home()) {
            let kept = String::from_utf8_lossy(&fs::read(sandbox.home().join(&file)).unwrap()).to_lowercase();
            assert!(FORMS.iter().all(|form| !kept.contains(form)), "{number}: {}", file.display());
        }
    }
}
