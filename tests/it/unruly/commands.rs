//! The same through the program: what is said meanwhile, and what is in the store afterwards.

use std::sync::Arc;

use fs_err as fs;
use seedkit::digest::Digest;

use crate::mirror::write_spec;
use crate::support::hostile::Answer;
use crate::support::sandbox::{self, Sandbox};
use crate::support::unruly::{Ask, Unruly, Whim, noise};

const GOES_ON: &str = "the connection ended before the answer was complete, goes on at once (attempt 2 of 5)";

/// Checks that every file of the store is what its name says.
fn assert_store_is_sound(sandbox: &Sandbox) {
    for file in sandbox::files(&sandbox.store()) {
        let stored = fs::read(sandbox.store().join(&file)).unwrap();
        assert!(file.ends_with(Digest::sha256(&stored).hex()), "{file:?}");
    }
}

/// A registry that limits the rate of its first answer, and cuts its first layer.
fn in_trouble(ask: &Ask<'_>) -> Option<Whim> {
    let limited = || Whim::Says(Answer::new(429, "").header("Retry-After", "0"));
    match (ask.name, ask.number) {
        ("1", 0) => Some(limited()),
        (name, 0) if name.starts_with("sha256:") && ask.request.target.contains("/blobs/") => {
            Some(Whim::Cut(40))
        }
        _ => None,
    }
}

#[test]
fn a_registry_in_trouble_is_mirrored_all_the_same_and_that_is_said() {
    let layer = noise(100_000);
    let name = layer.descriptor.digest.to_string();
    for quiet in [false, true] {
        let server = Unruly::registry(&super::image_of(&layer), in_trouble);
        let sandbox = Sandbox::new();
        let images = ["unruly.example/some/app:1".to_owned()];
        write_spec(&sandbox, &[("unruly.example", &server.url())], &images, "linux/amd64");
        let quietly = if quiet { &["-q"][..] } else { &[] };
        let locked = sandbox.seedkit(&[&["lock"], quietly].concat()).succeeds().stderr;
        let mirrored = sandbox.seedkit(&[&["mirror", "--json"], quietly].concat()).succeeds();
        assert_eq!(mirrored.json()["images"], 1, "{mirrored:?}");
        assert_eq!(server.asked(&name), ["whole", "bytes=40-99999"]);
        assert_eq!(server.sent_twice(&name), 0);
        assert_store_is_sound(&sandbox);
        let authority = server.authority();
        let limited = format!("{authority}: 429, goes on at once (attempt 2 of 5)");
        assert_eq!(locked.contains(&limited), !quiet, "{locked}");
        assert_eq!(mirrored.stderr.contains(&format!("{authority}: {GOES_ON}")), !quiet, "{mirrored:?}");
    }
}

/// What it is called, what is done in turn, how many bytes are sent twice for it, or what the error says.
type Case<'a> = (&'a str, Vec<Option<Whim>>, Result<usize, String>);

#[test]
fn whatever_a_registry_does_the_layout_is_right_or_the_error_is_exact_and_nothing_wrong_is_kept() {
    const SIZE: usize = 200_000;
    let layer = noise(SIZE);
    let name = layer.descriptor.digest.to_string();
    let elsewhere = Arc::new(Unruly::files(&[(&name, &layer.bytes)], None, |_| None));
    let redirect = Answer::redirect(&format!("{}/{name}?signature=hidden", elsewhere.url()));
    let busy = |status: u16, after: &str| {
        let answer = Answer::new(status, r#"{"errors":[{"code":"CODE","message":"why"}]}"#);
        Some(Whim::Says(if after.is_empty() { answer } else { answer.header("Retry-After", after) }))
    };
    let cut = || Some(Whim::Cut(150_000));
    let too_short = format!("is {} bytes long instead of {SIZE}", SIZE - 1);
    let too_long = format!("is {} bytes long instead of {SIZE}", SIZE + 1);
    let cases: Vec<Case<'_>> = vec![
        ("cut", vec![cut()], Ok(0)),
        ("cut, ranges ignored", vec![cut(), Some(Whim::Whole)], Ok(150_000)),
        ("cut, ranges refused", vec![cut(), busy(416, "")], Ok(150_000)),
        ("ended early", vec![Some(Whim::Short(150_000))], Ok(0)),
        ("429 with a time", vec![busy(429, "1")], Ok(0)),
        ("429 without one", vec![busy(429, "")], Ok(0)),
        ("a storm", vec![busy(500, "0"), busy(502, "0"), busy(503, "0"), busy(504, "0")], Ok(0)),
        ("sent elsewhere", vec![Some(Whim::Says(redirect))], Ok(0)),
        // They are asked for once more.
        ("wrong bytes", vec![Some(Whim::Wrong)], Ok(SIZE)),
        ("wrong bytes twice", vec![Some(Whim::Wrong); 2], Err(format!("blob {name} has the wrong content"))),
        ("cut, then wrong bytes", vec![cut(), Some(Whim::Wrong)], Ok(SIZE)),
        ("announced too short", vec![Some(Whim::Length(SIZE as u64 - 1))], Err(too_short)),
        ("announced too long", vec![Some(Whim::Length(SIZE as u64 + 1))], Err(too_long)),
        ("refused", vec![busy(403, "")], Err("answers 403 Forbidden: CODE: why".to_owned())),
        ("gone", vec![busy(404, "")], Err("answers 404 Not Found: CODE: why".to_owned())),
    ];
    for (what, whims, expected) in cases {
        let (whim, blob) = (super::in_turn(&whims), name.clone());
        let server =
            Unruly::registry(
                &super::image_of(&layer),
                move |ask| {
                    if ask.name == blob { whim(ask) } else { None }
                },
            );
        let sandbox = Sandbox::new();
        let images = ["unruly.example/some/app:1".to_owned()];
        write_spec(&sandbox, &[("unruly.example", &server.url())], &images, "linux/amd64");
        sandbox.seedkit(&["lock", "-q"]).succeeds();
        let run = sandbox.seedkit(&["mirror", "-q"]);
        assert_store_is_sound(&sandbox);
        assert!(!run.stderr.contains("hidden"), "{what}: {run:?}");
        let layout = sandbox.path("images/blobs/sha256").join(layer.descriptor.digest.hex());
        match expected {
            Ok(sent_twice) => {
                run.succeeds();
                assert!(fs::read(layout).unwrap() == layer.bytes, "{what}");
                assert_eq!(server.sent_twice(&name), sent_twice, "{what}");
            }
            Err(words) => {
                assert!(run.fails(2).contains(&words), "{what}: {run:?}");
                assert!(!sandbox.path("images").exists(), "{what}");
                // The next run has nothing to mend first.
                sandbox.seedkit(&["mirror", "-q"]).succeeds();
                assert!(fs::read(layout).unwrap() == layer.bytes, "{what}");
            }
        }
    }
}

#[test]
fn a_file_of_the_spec_goes_on_where_it_broke_off() {
    let layer = noise(10_000);
    let server = Unruly::registry(&super::image_of(&layer), |_| None);
    let tool = noise(200_000);
    let files = Unruly::files(&[("tool", &tool.bytes)], Some("\"1\""), |ask| {
        (ask.number == 0).then_some(Whim::Cut(150_000))
    });
    let sandbox = Sandbox::new();
    let images = ["unruly.example/some/app:1".to_owned()];
    write_spec(&sandbox, &[("unruly.example", &server.url())], &images, "linux/amd64");
    let spec = sandbox.read("seedkit.yaml");
    let file = format!(
        "files:\n  - source: {{url: \"{}/tool\", sha256: {}}}\n    destination: /usr/local/bin/tool\n",
        files.url(),
        tool.descriptor.digest.hex()
    );
    sandbox.write("seedkit.yaml", spec + &file);
    let said = sandbox.seedkit(&["lock"]).succeeds().stderr;
    assert!(said.contains(&format!("{}: {GOES_ON}", files.authority())), "{said}");
    assert_eq!(files.asked("tool"), ["whole", "bytes=150000-199999"]);
    assert_eq!(files.sent_twice("tool"), 0);
    assert!(
        fs::read(sandbox.store().join("sha256").join(tool.descriptor.digest.hex())).unwrap() == tool.bytes
    );
    assert_store_is_sound(&sandbox);
}

#[test]
fn who_wants_no_second_attempts_gets_the_first_answer() {
    let layer = noise(100_000);
    let server = Unruly::registry(&super::image_of(&layer), |_| {
        Some(Whim::Says(Answer::new(429, "").header("Retry-After", "300")))
    });
    let sandbox = Sandbox::new();
    let images = ["unruly.example/some/app:1".to_owned()];
    write_spec(&sandbox, &[("unruly.example", &server.url())], &images, "linux/amd64");
    sandbox.seedkit(&["lock", "--retries", "0"]).fails(2);
    assert_eq!(server.requests().len(), 1);
    // Neither does who has less patience than the server wants.
    let run = Sandbox::new();
    write_spec(&run, &[("unruly.example", &server.url())], &images, "linux/amd64");
    let mut command = run.prepare(&["lock"]);
    let said = sandbox::Run::of(command.env("SEEDKIT_RETRY_FOR", "299"));
    assert!(said.fails(2).contains("it says Retry-After: 300"), "{said:?}");
    assert_eq!(server.requests().len(), 2);
}
