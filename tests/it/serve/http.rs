//! What HTTP and the distribution specification want, asked for with curl.

use fs_err as fs;
use serde_json::json;

use super::{Serving, client};
use crate::support::images::{image, index, large_layer, layer};

const REPOSITORY: &str = "/v2/lab/image";

fn blob() -> (String, Vec<u8>) {
    let blob = large_layer(1, 300_000);
    (blob.descriptor.digest.to_string(), blob.bytes)
}

fn serving() -> Serving {
    let image = index(&[image("linux", "amd64", &[large_layer(1, 300_000), layer("small")])]);
    Serving::of(&[("quay.io/lab/image:1", &image)], &[])
}

#[test]
fn manifests_have_their_own_media_type_and_digest_by_tag_and_by_digest() {
    let serving = serving();
    let image = index(&[image("linux", "amd64", &[large_layer(1, 300_000), layer("small")])]);
    for content in &image.manifests {
        let digest = content.descriptor.digest.to_string();
        let is_root = &content.descriptor == image.root();
        for name in if is_root { vec!["1", &digest] } else { vec![digest.as_str()] } {
            let path = format!("{REPOSITORY}/manifests/{name}");
            let (got, head) = (serving.get(&path), serving.head(&path));
            assert_eq!((got.status, head.status), (200, 200), "{path}");
            assert_eq!(got.body, content.bytes, "{path}");
            assert_eq!(head.body, head_text(&head), "a HEAD has no body");
            for answer in [&got, &head] {
                assert_eq!(answer.header("content-type"), content.descriptor.media_type);
                assert_eq!(answer.header("docker-content-digest"), digest);
                assert_eq!(answer.header("content-length"), content.bytes.len().to_string());
                assert_eq!(answer.header("etag"), format!("\"{digest}\""));
                assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
                assert!(!answer.header("date").is_empty(), "nodes set their clocks by it");
            }
        }
    }
}

/// curl writes the head of an answer to `HEAD` where the body would go.
fn head_text(answer: &super::Answer) -> &[u8] {
    assert!(answer.body.starts_with(b"HTTP/1.1 ") && answer.body.ends_with(b"\r\n\r\n"), "{answer:?}");
    &answer.body
}

#[test]
fn blobs_come_whole_in_parts_and_not_at_all() {
    let serving = serving();
    let (digest, bytes) = blob();
    let path = format!("{REPOSITORY}/blobs/{digest}");
    let whole = serving.get(&path);
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, "bytes"));
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(whole.header("docker-content-digest"), digest);
    assert!(whole.body == bytes);
    let size = bytes.len();
    let last = size - 1;
    for (range, expected) in [
        ("0-0".to_owned(), 0..1),
        ("1000-200999".to_owned(), 1000..201_000),
        (format!("{last}-"), last..size),
        ("-100".to_owned(), size - 100..size),
        (format!("5-{}", size * 2), 5..size),
    ] {
        let part = serving.curl(&path, &["--range", &range]);
        assert_eq!(part.status, 206, "{range}");
        assert!(part.body == bytes[expected.clone()], "{range}");
        let content_range = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), content_range);
        assert_eq!(part.header("content-length"), expected.len().to_string());
        assert_eq!(part.header("docker-content-digest"), digest, "of the whole");
    }
    let outside = serving.curl(&path, &["--range", &format!("{size}-")]);
    assert_eq!((outside.status, outside.header("content-range")), (416, &*format!("bytes */{size}")));
    assert_eq!(outside.body, b"");
    let several = serving.curl(&path, &["--range", "0-1,5-6"]);
    assert_eq!((several.status, several.body.len()), (200, size));
    let head = serving.curl(&path, &["--head", "--range", "0-1"]);
    assert_eq!((head.status, head.header("content-length")), (200, &*size.to_string()));
}

#[test]
fn what_a_client_has_is_not_sent_again_and_what_it_has_of_another_content_is() {
    let serving = serving();
    let (digest, bytes) = blob();
    let path = format!("{REPOSITORY}/blobs/{digest}");
    let header = |name: &str, value: &str| ["--header".to_owned(), format!("{name}: {value}")];
    let tag = format!("\"{digest}\"");
    for path in [&path, &format!("{REPOSITORY}/manifests/1")] {
        let etag = serving.head(path).header("etag").to_owned();
        let known = serving.curl(path, &header("If-None-Match", &format!("\"x\", {etag}")));
        assert_eq!((known.status, known.body.as_slice(), known.header("etag")), (304, &[][..], &*etag));
        assert_eq!(serving.curl(path, &header("If-None-Match", "\"x\"")).status, 200);
    }
    let range = |condition: &str| {
        let options = [header("Range", "bytes=10-19"), header("If-Range", condition)].concat();
        serving.curl(&path, &options)
    };
    let part = range(&tag);
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[10..20]));
    assert_eq!((range("\"x\"").status, range("Sat, 21 Nov 2026 00:00:00 GMT").status), (200, 200));
}

#[test]
fn curl_continues_a_download_that_was_cut() {
    let serving = serving();
    let (digest, bytes) = blob();
    let part = serving.sandbox.path("part");
    fs::write(&part, &bytes[..123_456]).unwrap();
    let answer = serving.curl(&format!("{REPOSITORY}/blobs/{digest}"), &["--continue-at", "123456"]);
    assert_eq!(answer.status, 206);
    assert!([&bytes[..123_456], &answer.body].concat() == bytes);
}

#[test]
fn a_connection_serves_many_requests() {
    let serving = serving();
    let client = client(&serving);
    for _ in 0..20 {
        let answer = client.get(serving.url(&format!("{REPOSITORY}/manifests/1"))).send().unwrap();
        assert_eq!(answer.bytes().unwrap().len(), 289);
    }
    let lines: Vec<String> = (0..20).map(|_| serving.wait_for_line("/manifests/1")).collect();
    let port = |line: &String| line.split_once("127.0.0.1:").unwrap().1.split(' ').next().unwrap().to_owned();
    assert!(lines.iter().all(|line| port(line) == port(&lines[0])), "{lines:?}");
}

#[test]
fn there_is_a_registry_and_it_lives() {
    let serving = serving();
    for path in ["/v2/", "/v2", "/v2/?ns=docker.io"] {
        let answer = serving.get(path);
        assert_eq!((answer.status, answer.json()), (200, json!({})), "{path}");
    }
    let health = serving.get("/healthz");
    assert_eq!((health.status, health.body.as_slice()), (200, b"ok\n".as_slice()));
    let elsewhere = serving.get("/");
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (404, "UNSUPPORTED"));
}

#[test]
fn the_access_log_says_who_asked_for_what_and_how_it_went() {
    let serving = serving();
    let (digest, bytes) = blob();
    let path = format!("{REPOSITORY}/blobs/{digest}?ns=quay.io&token=hidden");
    serving.curl(&path, &["--user-agent", "agent \"of\" a test\u{e9}"]);
    let line = serving.wait_for_line("/blobs/");
    let expected = format!("GET {REPOSITORY}/blobs/{digest}?ns=quay.io 200, {} bytes, ", bytes.len());
    assert!(line.contains(&expected) && line.contains(" 127.0.0.1:"), "{line}");
    assert!(line.ends_with(r#""agent \"of\" a testé""#) && !line.contains("hidden"), "{line}");
}
