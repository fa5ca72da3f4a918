//! Parts of blobs and files, from servers that know ranges, do not, or get them wrong.

use std::io::Read;
use std::ops::Range;

use seedkit::oci::{BlobPart, ImageSource, SourceErrorKind};
use seedkit::registry::{Client, PlainHttp};
use seedkit::store::{Descriptor, Kept, Opened};

use super::{options, reference, registry_at};
use crate::support::hostile::{Answer, Body, Hostile};
use crate::support::images::{self, Image};
use crate::support::registry::Registry;

const CONTENT: &[u8] = b"0123456789abcdef";

fn descriptor() -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: seedkit::digest::Digest::sha256(CONTENT),
        size: CONTENT.len() as u64,
    }
}

/// Returns four bytes of a part, and whether more come.
fn read(part: BlobPart) -> (String, bool) {
    let mut text = String::new();
    part.reader.take(4).read_to_string(&mut text).unwrap();
    (text, part.is_of_whole)
}

/// Answers with a part as it should be.
fn partial(bytes: Range<usize>) -> Answer {
    let range = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, CONTENT.len());
    Answer::new(206, &CONTENT[bytes]).header("Content-Range", &range)
}

#[test]
fn a_part_of_a_blob_is_exactly_that_part_whatever_the_server_knows_of_ranges() {
    type Ranged = fn() -> Answer;
    let cases: [(&str, Ranged, bool, usize); 9] = [
        ("knows ranges", || partial(4..8), false, 1),
        ("ignores them", || Answer::new(200, CONTENT), true, 1),
        ("refuses them", || Answer::new(416, "").header("Content-Range", "bytes */16"), true, 2),
        ("gives another part", || partial(0..8), true, 2),
        ("gives more", || partial(4..9), true, 2),
        ("does not say which part", || Answer::new(206, &CONTENT[4..8]), true, 2),
        (
            "gives the part of another blob",
            || Answer::new(206, "4567").header("Content-Range", "bytes 4-7/99"),
            true,
            2,
        ),
        (
            "gives several parts",
            || Answer::new(206, "--x").header("Content-Type", "multipart/byteranges; boundary=x"),
            true,
            2,
        ),
        (
            "sends more than it says",
            || {
                let chunked = Answer::with_body(Body::Chunked(CONTENT[4..].to_vec()));
                chunked.status(206).header("Content-Range", "bytes 4-7/16")
            },
            false,
            1,
        ),
    ];
    for (what, ranged, is_of_whole, requests) in cases {
        let server = Hostile::start(move |request| match request.header("range") {
            None => Answer::new(200, CONTENT),
            Some("bytes=4-7") => ranged(),
            Some(_) => Answer::new(400, ""),
        });
        let registry = registry_at(options(), &server.url(), None);
        let from = reference(&registry, "some/app:1");
        let part = registry.blob_part(&from, &descriptor(), 4..8).unwrap();
        assert_eq!(read(part), ("4567".to_owned(), is_of_whole), "{what}");
        assert_eq!(server.requests().len(), requests, "{what}");
        // Contents with a digest need no other proof of being the same.
        assert!(server.requests().iter().all(|request| request.header("if-range").is_none()), "{what}");
    }
}

#[test]
fn a_part_that_is_refused_is_an_error_with_the_servers_status() {
    for (status, kind) in [
        (404, SourceErrorKind::ContentNotFound),
        (403, SourceErrorKind::Denied),
        (429, SourceErrorKind::RateLimited),
    ] {
        let server = Hostile::start(move |_| Answer::new(status, ""));
        let registry = registry_at(options(), &server.url(), None);
        let from = reference(&registry, "some/app:1");
        let error = registry.blob_part(&from, &descriptor(), 4..8).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(&format!("answers {status}")), "{error}");
    }
}

#[test]
fn debians_registry_gives_parts_and_the_whole_is_asked_for_without_a_range() {
    let server = Registry::start();
    let layer = images::large_layer(7, 1_000_000);
    let image: Image = images::image("linux", "amd64", std::slice::from_ref(&layer));
    image.put(&server, "some/app", "1");
    let registry = registry_at(options(), &server.url(), None);
    let from = reference(&registry, "some/app:1");
    let size = layer.descriptor.size;
    for part in [0..size, 0..1, 1..size, size - 1..size, 300_000..700_000] {
        let mut opened = registry.blob_part(&from, &layer.descriptor, part.clone()).unwrap();
        let mut bytes = Vec::new();
        opened.reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(opened.is_of_whole, part == (0..size));
        assert!(bytes == layer.bytes[part.start as usize..part.end as usize], "{part:?}");
    }
}

/// What is to come of a file: from where, the text, the requests, and the last one's `Range` and `If-Range`.
fn rest_of(kept: &Kept, answer: fn(bool) -> Answer) -> (u64, String, usize) {
    let server = Hostile::start(move |request| answer(request.header("range").is_some()));
    let client = Client::new(options()).unwrap();
    let Opened { from, reader, .. } = client.fetch_rest(&server.url(), 16, PlainHttp::Allowed, kept).unwrap();
    (from, std::io::read_to_string(reader).unwrap(), server.requests().len())
}

#[test]
fn the_rest_of_a_file_follows_what_is_kept_or_begins_anew() {
    let kept = |length, total| Kept { length, total, entity_tag: None };
    let whole = || (0, "0123456789abcdef".to_owned());
    let rest = || (10, "abcdef".to_owned());
    type Server = fn(bool) -> Answer;
    type Rest = (u64, String);
    let cases: [(&str, Kept, Server, Rest, usize); 9] = [
        ("nothing kept", kept(0, Some(16)), |_| Answer::new(200, CONTENT), whole(), 1),
        ("known length", kept(10, Some(16)), |_| partial(10..16), rest(), 1),
        ("unknown length", kept(10, None), |_| partial(10..16), rest(), 1),
        ("ignored", kept(10, None), |_| Answer::new(200, CONTENT), whole(), 1),
        ("all there, known", kept(16, Some(16)), |_| Answer::new(500, ""), (16, String::new()), 0),
        (
            "all there, unknown",
            kept(16, None),
            |_| Answer::new(416, "").header("Content-Range", "bytes */16"),
            (16, String::new()),
            1,
        ),
        (
            "shorter now",
            kept(10, None),
            |is_range| {
                if is_range {
                    Answer::new(416, "").header("Content-Range", "bytes */5")
                } else {
                    Answer::new(200, "01234")
                }
            },
            (0, "01234".to_owned()),
            2,
        ),
        (
            "longer now",
            kept(10, Some(15)),
            |is_range| if is_range { partial(10..15) } else { Answer::new(200, CONTENT) },
            whole(),
            2,
        ),
        (
            "from elsewhere",
            kept(10, Some(16)),
            |is_range| if is_range { partial(9..16) } else { Answer::new(200, CONTENT) },
            whole(),
            2,
        ),
    ];
    for (what, kept, server, (from, text), requests) in cases {
        assert_eq!(rest_of(&kept, server), (from, text, requests), "{what}");
    }
}

#[test]
fn a_file_is_continued_only_if_its_entity_tag_is_still_the_same() {
    let server = Hostile::start(|request| match (request.header("range"), request.header("if-range")) {
        (Some("bytes=10-"), Some("\"one\"")) => partial(10..16).header("ETag", "\"one\""),
        (Some("bytes=10-"), Some("\"old\"")) => Answer::new(200, "changed").header("ETag", "W/\"two\""),
        _ => Answer::new(200, CONTENT).header("ETag", "\"one\""),
    });
    let client = Client::new(options()).unwrap();
    let fetch = |kept: &Kept| {
        let file = client.fetch_rest(&server.url(), 16, PlainHttp::Allowed, kept).unwrap();
        (file.from, file.entity_tag, std::io::read_to_string(file.reader).unwrap())
    };
    let first = fetch(&Kept::default());
    assert_eq!(first, (0, Some("\"one\"".to_owned()), "0123456789abcdef".to_owned()));
    let kept = |tag: &str| Kept { length: 10, total: None, entity_tag: Some(tag.to_owned()) };
    assert_eq!(fetch(&kept("\"one\"")), (10, Some("\"one\"".to_owned()), "abcdef".to_owned()));
    // A weak tag vouches for a meaning, not for bytes: it is not kept.
    assert_eq!(fetch(&kept("\"old\"")), (0, None, "changed".to_owned()));
}
