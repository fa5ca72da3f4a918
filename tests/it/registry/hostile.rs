//! Against servers that answer too much, too little, the wrong thing, or nothing.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use seedkit::digest::Digest;
use seedkit::oci::media_type::OCI_MANIFEST;
use seedkit::oci::{ImageSource, MANIFEST_LIMIT, SourceErrorKind};
use seedkit::registry::{Client, Fault, PlainHttp, Registry};
use seedkit::store::{Descriptor, Mismatch};

use super::{fault, impatient, options, reference, registry_at};
use crate::support::hostile::{Answer, Body, Hostile};

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",
"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: OCI_MANIFEST.to_owned(),
        digest: Digest::sha256(content),
        size: content.len() as u64,
    }
}

/// A registry whose every answer is the same, and a client of it.
fn always(answer: Answer) -> (Hostile, Registry) {
    let server = Hostile::start(move |_| answer.clone());
    let registry = registry_at(options(), &server.url(), None);
    (server, registry)
}

/// The same with a client that does not wait long for a server that is silent.
fn always_impatient(answer: Answer) -> (Hostile, Registry) {
    let (server, _) = always(answer);
    let registry = registry_at(impatient(), &server.url(), None);
    (server, registry)
}

#[test]
fn a_registry_without_head_or_without_digests_is_asked_by_get() {
    let plain = Answer::new(200, MANIFEST).header("Content-Type", OCI_MANIFEST);
    for status in [200, 404, 405] {
        let get = plain.clone();
        let server = Hostile::start(move |request| match request.method.as_str() {
            "HEAD" if status != 200 => Answer::new(status, ""),
            _ => get.clone(),
        });
        let registry = registry_at(options(), &server.url(), None);
        let found = registry.resolve(&reference(&registry, "some/app:1")).unwrap();
        assert_eq!(found, descriptor(MANIFEST.as_bytes()));
        let lines: Vec<_> = server.requests().iter().map(|request| request.line()).collect();
        assert_eq!(lines, ["HEAD", "GET"].map(|method| format!("{method} /v2/some/app/manifests/1")));
        let accept = server.requests()[0].header("accept").unwrap().to_owned();
        assert_eq!(accept.split(", ").count(), 4, "{accept}");
        // Encodings would change what is hashed.
        assert_eq!(server.requests()[1].header("accept-encoding"), None);
    }
}

#[test]
fn answers_that_are_no_manifest_are_refused_by_what_they_are() {
    let digest = Digest::sha256(b"another").to_string();
    let endless = Answer::with_body(Body::Endless(vec![b' '; 100_000]));
    let huge = Answer::with_body(Body::Stalling(vec![], MANIFEST_LIMIT + 1));
    let (invalid, unsupported) = (SourceErrorKind::Invalid, SourceErrorKind::Unsupported);
    for (answer, kind, words) in [
        (
            Answer::new(200, "<html>log in").header("Content-Type", "text/html; charset=utf-8"),
            invalid,
            "is a web page",
        ),
        (
            Answer::new(200, "<html><title>Please\nlog in</title>").header("Content-Type", "text/html"),
            invalid,
            "is a web page, titled `Please log in`, instead of a manifest",
        ),
        (Answer::new(200, "<html>log in"), invalid, "is not a manifest"),
        (Answer::new(200, r#"{"schemaVersion":1}"#), unsupported, "is not a manifest"),
        (Answer::new(200, MANIFEST).header("Docker-Content-Digest", &digest), invalid, "is wrong"),
        (endless, invalid, "is longer than the 4194304 bytes"),
        (huge, unsupported, "is 4194305 bytes long; a manifest has at most 4194304"),
    ] {
        let (_server, registry) = always(answer);
        let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(
            error.message.contains(words) && error.message.contains("/v2/some/app/manifests/1"),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_other_than_the_one_asked_for_is_refused() {
    let wanted = descriptor(MANIFEST.as_bytes());
    let cut = &MANIFEST.as_bytes()[..50];
    let mut other = MANIFEST.as_bytes().to_vec();
    other[60] ^= 1;
    for (answer, kind, words) in [
        (Answer::new(200, cut), SourceErrorKind::Invalid, "is 50 bytes long instead of"),
        (Answer::new(200, other.clone()), SourceErrorKind::Invalid, "is wrong"),
        (
            Answer::new(200, other.clone()).header("Content-Encoding", "gzip"),
            SourceErrorKind::Invalid,
            "(Content-Encoding: gzip) is wrong",
        ),
        (Answer::with_body(Body::Chunked(cut.to_vec())), SourceErrorKind::Invalid, "is wrong"),
        (Answer::with_body(Body::Endless(other)), SourceErrorKind::Invalid, "is wrong"),
        (
            Answer::with_body(Body::Announced(cut.to_vec(), wanted.size)),
            SourceErrorKind::Connection,
            "breaks off",
        ),
    ] {
        let (_server, registry) = always(answer);
        let error = registry.manifest(&reference(&registry, "some/app:1"), &wanted).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(
            error.message.contains(words) && error.message.contains(&wanted.digest.to_string()),
            "{error}"
        );
        let mismatch = error.cause.as_ref().is_some_and(|cause| cause.is::<Mismatch>());
        assert_eq!(mismatch, words.ends_with("is wrong"), "{error:?}");
    }
    let (server, registry) = always(Answer::new(200, MANIFEST));
    let large = Descriptor { size: MANIFEST_LIMIT + 1, ..wanted };
    let error = registry.manifest(&reference(&registry, "some/app:1"), &large).unwrap_err();
    assert!(error.message.contains("a manifest has at most 4194304"), "{error}");
    assert_eq!(server.requests(), []);
}

#[test]
fn a_blob_of_another_length_is_refused_before_it_is_read() {
    let (_server, registry) = always(Answer::with_body(Body::Stalling(vec![], 5_000_000)));
    let error = registry.blob(&reference(&registry, "some/app:1"), &descriptor(b"content")).err().unwrap();
    assert_eq!(error.kind, SourceErrorKind::Invalid);
    assert!(error.message.ends_with("is 5000000 bytes long instead of 7"), "{error}");
}

#[test]
fn a_body_that_breaks_off_or_stalls_is_an_error_of_the_reader() {
    for (body, kind, expected) in [
        (Body::Announced(b"cont".to_vec(), 7), ErrorKind::UnexpectedEof, Fault::Closed),
        (Body::Stalling(b"cont".to_vec(), 7), ErrorKind::TimedOut, Fault::TimedOut),
    ] {
        let (_server, registry) = always_impatient(Answer::with_body(body));
        let error = super::read(&registry, &reference(&registry, "some/app:1"), &descriptor(b"content"));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().ends_with("breaks off"), "{error}");
        let cause = std::error::Error::source(error.get_ref().unwrap()).unwrap();
        assert_eq!(cause.downcast_ref(), Some(&expected));
    }
}

#[test]
fn a_slow_body_may_take_longer_than_one_read_may() {
    let content = vec![7; 40];
    let bytes = content.clone();
    let server =
        Hostile::start(move |_| Answer::with_body(Body::Slow(bytes.clone(), Duration::from_millis(100))));
    let registry = registry_at(impatient(), &server.url(), None);
    let begin = Instant::now();
    let read = super::read(&registry, &reference(&registry, "some/app:1"), &descriptor(&content)).unwrap();
    assert_eq!(read, content);
    assert!(begin.elapsed() > impatient().read_timeout);
}

#[test]
fn a_silent_server_is_given_up() {
    let (_server, registry) = always_impatient(Answer::silence());
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert_eq!((error.kind, fault(&error)), (SourceErrorKind::Connection, Some(&Fault::TimedOut)));
    assert!(error.message.ends_with("/v2/some/app/manifests/1 gets no answer"), "{error}");
}

#[test]
fn refusals_have_the_kind_and_the_words_of_their_status() {
    let errors = |text: &str| format!(r#"{{"errors":[{{"code":"CODE","message":"{text}"}}]}}"#);
    for (status, body, kind, words) in [
        (403, errors("no"), SourceErrorKind::Denied, "answers 403 Forbidden: CODE: no; it"),
        (404, errors("gone"), SourceErrorKind::ContentNotFound, "answers 404 Not Found: CODE: gone"),
        (429, errors("slow"), SourceErrorKind::RateLimited, ": CODE: slow; it says Retry-After: 120 ("),
        (500, "<html>".to_owned(), SourceErrorKind::Connection, "answers 500 Internal Server Error; it says"),
        (503, errors(&"x".repeat(5000)), SourceErrorKind::Connection, "xxx…"),
        (418, errors("\\u001b[31m"), SourceErrorKind::Invalid, ": CODE: \\u{1b}[31m"),
        (204, String::new(), SourceErrorKind::Invalid, "answers 204"),
    ] {
        let (_server, registry) = always(Answer::new(status, body).header("Retry-After", "120"));
        let from = reference(&registry, "some/app:1");
        let error = registry.manifest(&from, &descriptor(b"content")).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.message.chars().count() < 800);
        assert_eq!(registry.blob(&from, &descriptor(b"content")).err().unwrap().kind, kind);
    }
}

#[test]
fn redirects_have_an_end() {
    let (server, registry) = always(Answer::redirect("/again"));
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert!(error.message.ends_with("is redirected more than 10 times"), "{error}");
    assert_eq!(server.requests().len(), 11);
    for (location, words) in [("file:///etc/passwd", "other than http"), ("http://[", "not to a URL")] {
        let (_server, registry) = always(Answer::redirect(location));
        let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Invalid);
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn connections_are_used_again_also_after_refusals_and_redirects() {
    let server = Hostile::start(|request| match request.target.as_str() {
        target if target.ends_with(&Digest::sha256(b"content").to_string()) => Answer::redirect("/blob"),
        "/blob" => Answer::new(200, "content"),
        _ => Answer::new(404, r#"{"errors":[]}"#),
    });
    let registry = registry_at(options(), &server.url(), None);
    let from = reference(&registry, "some/app:1");
    for _ in 0..3 {
        super::read(&registry, &from, &descriptor(b"content")).unwrap();
        registry.resolve(&from).unwrap_err();
    }
    assert_eq!(server.requests().len(), 12);
    assert!(server.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn files_are_fetched_up_to_their_limit() {
    let server = Hostile::start(|request| match request.target.as_str() {
        "/good?token=hidden" => Answer::new(200, "content"),
        "/moved" => Answer::redirect("/good?token=hidden"),
        "/endless" => Answer::with_body(Body::Endless(vec![1; 100])),
        _ => Answer::new(404, "{}"),
    });
    let client = Client::new(options()).unwrap();
    let fetch = |path: &str, limit| client.fetch_file(&(server.url() + path), limit, PlainHttp::Allowed);
    let text = |path, limit| fetch(path, limit).map(|file| std::io::read_to_string(file.reader));
    assert_eq!(text("/moved", 7).unwrap().unwrap(), "content");
    assert_eq!(fetch("/moved", 7).unwrap().length, Some(7));
    let error = fetch("/good?token=hidden", 6).err().unwrap();
    assert_eq!(
        error.message,
        format!("the answer to GET {}/good is 7 bytes long, more than the 6 that are allowed", server.url())
    );
    assert_eq!(text("/endless", 1000).unwrap().unwrap_err().kind(), ErrorKind::InvalidData);
    let error = fetch("/absent?token=hidden", 6).err().unwrap();
    assert_eq!(error.message, format!("GET {}/absent answers 404 Not Found", server.url()));
    let error = client.fetch_file(&server.url(), 6, PlainHttp::Refused).err().unwrap();
    assert!(error.message.ends_with("plain http is not allowed for it"), "{error}");
}
