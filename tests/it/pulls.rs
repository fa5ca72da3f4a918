//! Registries that count what is pulled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::attached::listing;
use crate::mirrors::{app, run, sandbox};
use crate::support::hostile::{Answer, Hostile};
use crate::support::images::Image;
use crate::support::sandbox::Run;

/// A registry that counts pulls as Docker Hub does, and has `left` of them.
fn counting(app: &Image, left: u64) -> (Hostile, Arc<AtomicU64>) {
    let remaining = Arc::new(AtomicU64::new(left));
    let counter = Arc::clone(&remaining);
    let contents = app.by_name();
    let server = listing(app, &[], move |request| {
        if !request.target.contains("/manifests/") {
            return None;
        }
        let content = contents.get(request.target.rsplit('/').next().unwrap())?;
        let counts = u64::from(request.method == "GET");
        let left = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(counts));
        let Ok(left) = left else { return Some(Answer::new(429, "")) };
        let answer = Answer::new(200, content.bytes.clone())
            .header("Content-Type", &content.descriptor.media_type)
            .header("Docker-Content-Digest", &content.descriptor.digest.to_string())
            .header("ratelimit-limit", "100;w=21600")
            .header("ratelimit-remaining", &format!("{};w=21600", left - counts));
        Some(answer)
    });
    (server, remaining)
}

fn pulls(run: &Run) -> Value {
    run.json()["pulls"].clone()
}

#[test]
fn how_many_pulls_are_needed_and_left_is_said_before_the_first() {
    let app = app();
    let (server, left) = counting(&app, 76);
    let sandbox = sandbox(&[], &server.url());
    let locked = run(&sandbox, &["lock", "--json"]).succeeds();
    let expected = |needed, is_at_least, remaining| {
        json!([{ "registry": "copied.example", "needed": needed, "isAtLeast": is_at_least,
                 "remaining": remaining, "limit": 100, "windowSeconds": 21600 }])
    };
    assert_eq!(pulls(&locked), expected(1, true, 76));
    let said = "`copied.example`: at least 1 pull is needed, 76 of 100 left in 6 h";
    assert!(locked.stderr.contains(said), "{}", locked.stderr);
    assert_eq!(left.load(Ordering::SeqCst), 73, "an index and two images");
    // What is in the store is not pulled again, and not counted.
    assert_eq!(pulls(&run(&sandbox, &["mirror", "--json"]).succeeds()), json!([]));
    assert_eq!(left.load(Ordering::SeqCst), 73);
    fs_err::remove_dir_all(sandbox.store()).unwrap();
    let mirrored = run(&sandbox, &["mirror", "--json"]).succeeds();
    assert_eq!(pulls(&mirrored), expected(3, false, 73));
    assert!(mirrored.stderr.contains("`copied.example`: 3 pulls are needed, 73 of 100 left in 6 h"));
    assert_eq!(left.load(Ordering::SeqCst), 70);
}

#[test]
fn too_few_pulls_are_a_warning_and_none_at_all_is_an_error_before_the_first() {
    let app = app();
    let (server, _) = counting(&app, 2);
    let sandbox = sandbox(&[], &server.url());
    run(&sandbox, &["lock"]).fails(2);
    let (server, left) = counting(&app, 70);
    let again = self::sandbox(&[], &server.url());
    run(&again, &["lock"]).succeeds();
    fs_err::remove_dir_all(again.store()).unwrap();
    left.store(1, Ordering::SeqCst);
    let failed = run(&again, &["mirror"]);
    let warning =
        "warning: `copied.example`: 3 pulls are needed, 1 of 100 left in 6 h: what is fetched is kept";
    assert!(failed.stderr.contains(warning), "{}", failed.stderr);
    assert!(failed.fails(2).contains("answers 429"), "{}", failed.stderr);
    // The one that was pulled is kept; of the rest nothing is tried.
    let gets = |server: &Hostile| server.requests().iter().filter(|request| request.method == "GET").count();
    let before = gets(&server);
    let failed = run(&again, &["mirror"]);
    let said = failed.fails(2);
    assert!(
        said.contains("`copied.example` allows no more pulls now (0 of 100 in 6 h), and 2 pulls are needed")
    );
    assert!(said.contains("hint: wait until there are more, log in"), "{said}");
    assert_eq!(gets(&server), before);
}
