//! Files and ops packages that are continued.

use std::sync::{Arc, Mutex};

use fs_err as fs;
use seedkit::digest::Digest;

use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::unruly::{Trap, Unruly, Whim};

use super::partials;

/// A spec whose k3s executable is downloaded from `url`, and has this digest.
fn with_download(url: &str, digest: &Digest) -> Sandbox {
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[], &[], "linux/amd64");
    sandbox.edit("seedkit.yaml", "inline:\n", "inline: []\n");
    sandbox.edit("seedkit.yaml", "sources:\n", "");
    sandbox.edit("seedkit.yaml", "{ path: k3s }", &format!("{{ url: \"{url}\", sha256: {} }}", digest.hex()));
    sandbox
}

/// `Range` and `If-Range` of a request.
type Asked = (Option<String>, Option<String>);

/// Serves a file under an entity tag, with ranges; notes each request.
struct FileServer {
    server: Hostile,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FileServer {
    fn start(content: Vec<u8>, tag: &'static str) -> Self {
        let asked: Arc<Mutex<Vec<_>>> = Arc::default();
        let notes = Arc::clone(&asked);
        let server = Hostile::start(move |request: &Request| {
            let header = |name| request.header(name).map(str::to_owned);
            notes.lock().unwrap().push((header("range"), header("if-range")));
            let from = request
                .header("range")
                .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok())
                .filter(|_| request.header("if-range").is_none_or(|wanted| wanted == tag));
            let answer = match from {
                None => Answer::new(200, content.clone()),
                Some(from) if from >= content.len() => {
                    Answer::new(416, "").header("Content-Range", &format!("bytes */{}", content.len()))
                }
                Some(from) => {
                    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                    Answer::new(206, &content[from..]).header("Content-Range", &range)
                }
            };
            answer.header("ETag", tag)
        });
        Self { server, asked }
    }
}

/// Leaves the beginning of a file in the store, as a killed run does.
fn keep(sandbox: &Sandbox, digest: &Digest, bytes: &[u8], tag: Option<&str>) {
    let folder = sandbox.store().join("partial");
    fs::create_dir_all(&folder).unwrap();
    let name = format!("sha256-{}", digest.hex());
    fs::write(folder.join(&name), bytes).unwrap();
    if let Some(tag) = tag {
        fs::write(folder.join(format!("{name}.tag")), tag).unwrap();
    }
}

#[test]
fn a_file_is_continued_where_it_is_the_same_and_fetched_anew_where_it_is_not() {
    let content = [b"#!/bin/sh\n", images::large_layer(1, 500_000).bytes.as_slice()].concat();
    let digest = Digest::sha256(&content);
    let range = |range: &str, tag: Option<&str>| (Some(range.to_owned()), tag.map(str::to_owned));
    let whole = (None, None);
    let mut rotten = content[..100_000].to_vec();
    rotten[0] ^= 1;
    for (what, kept, tag, expected) in [
        ("the same tag", &content[..100_000], Some("\"v1\""), vec![range("bytes=100000-", Some("\"v1\""))]),
        ("no tag", &content[..100_000], None, vec![range("bytes=100000-", None)]),
        // The answer is the whole, as the tag is another one.
        ("another tag", &content[..100_000], Some("\"v0\""), vec![range("bytes=100000-", Some("\"v0\""))]),
        ("all of it", &content[..], None, vec![]),
        (
            "what is wrong",
            &rotten,
            Some("\"v1\""),
            vec![range("bytes=100000-", Some("\"v1\"")), whole.clone()],
        ),
        ("nothing", &[], None, vec![whole.clone()]),
    ] {
        let files = FileServer::start(content.clone(), "\"v1\"");
        let sandbox = with_download(&files.server.url(), &digest);
        keep(&sandbox, &digest, kept, tag);
        sandbox.seedkit(&["lock", "-q"]).succeeds();
        assert_eq!(*files.asked.lock().unwrap(), expected, "{what}");
        let stored = fs::read(sandbox.store().join("sha256").join(digest.hex())).unwrap();
        assert!(stored == content, "{what}");
        assert!(partials(&sandbox).is_empty(), "{what}");
    }
}

#[test]
fn a_file_goes_on_after_a_kill_and_after_a_cut_where_the_last_run_left_it() {
    const KEPT: usize = 300_000;
    let content = [b"#!/bin/sh\n", images::large_layer(1, 500_000).bytes.as_slice()].concat();
    let digest = Digest::sha256(&content);
    for (tag, is_killed) in [(Some("\"v1\""), true), (None, true), (Some("\"v1\""), false), (None, false)] {
        let trap = Trap::after(KEPT);
        let spring = Arc::clone(&trap);
        let files = Unruly::files(&[("k3s", &content)], tag, move |ask| match (ask.number, is_killed) {
            (0, true) => Some(spring.whim()),
            (0, false) => Some(Whim::Cut(KEPT)),
            _ => None,
        });
        let sandbox = with_download(&format!("{}/k3s", files.url()), &digest);
        let child = sandbox.spawn(&["lock", "-q", "--retries", "0"]);
        trap.set(&child, sandbox.store().join("partial").join(format!("sha256-{}", digest.hex())));
        let ended = Run::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, if is_killed { None } else { Some(2) }, "{ended:?}");
        assert_eq!(partials(&sandbox)[&digest.to_string()], KEPT as u64);
        sandbox.seedkit(&["lock", "-q"]).succeeds();
        assert_eq!(files.asked("k3s"), ["whole", "bytes=300000-"]);
        assert_eq!(files.requests()[1].header("if-range"), tag);
        let stored = fs::read(sandbox.store().join("sha256").join(digest.hex())).unwrap();
        assert!(stored == content);
        assert!(partials(&sandbox).is_empty());
    }
}

#[test]
fn a_file_that_is_another_one_now_is_an_error_and_not_asked_for_for_ever() {
    let content = images::large_layer(1, 500_000).bytes;
    let digest = Digest::sha256(&content);
    for (tag, requests) in [(Some("\"v0\""), 1), (None, 2)] {
        let files = FileServer::start(images::large_layer(2, 500_000).bytes, "\"v1\"");
        let sandbox = with_download(&files.server.url(), &digest);
        keep(&sandbox, &digest, &content[..100_000], tag);
        let run = sandbox.seedkit(&["lock", "-q"]);
        assert!(run.fails(2).contains("has the wrong content"), "{run:?}");
        assert_eq!(files.asked.lock().unwrap().len(), requests, "{tag:?}");
        assert!(partials(&sandbox).is_empty());
    }
}
