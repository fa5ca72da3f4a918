//! Blobs whose bodies are cut, stall, drip, lie about their length, or come as other parts than those asked for.

use std::error::Error as _;
use std::io::Read as _;

use seedkit::oci::{ImageSource, SourceErrorKind};
use seedkit::registry::Fault;
use seedkit::store::{Mismatch, StoreError};

use super::{Scene, in_turn};
use crate::support::hostile::Answer;
use crate::support::images;
use crate::support::unruly::{Unruly, Whim, noise};

const SIZE: usize = 300_000;

/// What a registry does with the requests for a blob of [`SIZE`] bytes, and what becomes of it.
struct Case {
    what: &'static str,
    whims: Vec<Option<Whim>>,
    asked: &'static [&'static str],
    sent_twice: usize,
    waits: &'static [u64],
}

#[test]
fn a_blob_that_breaks_off_goes_on_where_it_did() {
    let wait = |status, after: &str| Whim::Says(Answer::new(status, "").header("Retry-After", after));
    let cases = [
        Case {
            what: "cut",
            whims: vec![Some(Whim::Cut(100_000))],
            asked: &["whole", "bytes=100000-299999"],
            sent_twice: 0,
            waits: &[],
        },
        Case {
            what: "stalled",
            whims: vec![Some(Whim::Stall(100_000))],
            asked: &["whole", "bytes=100000-299999"],
            sent_twice: 0,
            waits: &[],
        },
        Case {
            what: "ended as if that were all",
            whims: vec![Some(Whim::Short(100_000))],
            asked: &["whole", "bytes=100000-299999"],
            sent_twice: 0,
            waits: &[],
        },
        Case {
            what: "cut again and again",
            whims: vec![Some(Whim::Cut(70_000)); 4],
            asked: &[
                "whole",
                "bytes=70000-299999",
                "bytes=140000-299999",
                "bytes=210000-299999",
                "bytes=280000-299999",
            ],
            sent_twice: 0,
            waits: &[2, 4, 8],
        },
        Case {
            what: "cut before the first byte and before the last one",
            whims: vec![Some(Whim::Cut(0)), Some(Whim::Cut(299_999))],
            asked: &["whole", "whole", "bytes=299999-299999"],
            sent_twice: 0,
            // So much came that counting begins anew.
            waits: &[],
        },
        Case {
            what: "cut, then unavailable for a moment",
            whims: vec![Some(Whim::Cut(100_000)), Some(wait(503, "3")), Some(wait(429, "20"))],
            asked: &["whole", "bytes=100000-299999", "bytes=100000-299999", "bytes=100000-299999"],
            sent_twice: 0,
            waits: &[3, 20],
        },
        Case {
            what: "cut, and parts are ignored",
            whims: vec![Some(Whim::Cut(100_000)), Some(Whim::Whole)],
            asked: &["whole", "bytes=100000-299999"],
            sent_twice: 100_000,
            waits: &[],
        },
        Case {
            what: "cut, and parts are refused",
            whims: vec![Some(Whim::Cut(100_000)), Some(Whim::Says(Answer::new(416, "")))],
            asked: &["whole", "bytes=100000-299999", "whole"],
            sent_twice: 100_000,
            waits: &[],
        },
        Case {
            what: "cut, and parts are others than asked for",
            whims: vec![Some(Whim::Cut(100_000)), Some(Whim::Shifted(1))],
            asked: &["whole", "bytes=100000-299999", "whole"],
            // The wrong part was sent too, though nobody believes it.
            sent_twice: 300_000,
            waits: &[],
        },
        Case {
            what: "cut, parts are ignored, and the whole is cut before anything new comes",
            whims: vec![
                Some(Whim::Cut(100_000)),
                Some(Whim::Says(Answer::new(416, ""))),
                Some(Whim::Cut(50_000)),
            ],
            asked: &["whole", "bytes=100000-299999", "whole", "bytes=100000-299999"],
            sent_twice: 50_000,
            waits: &[2],
        },
    ];
    for Case { what, whims, asked, sent_twice, waits } in cases {
        let mut scene = Scene::new(SIZE, in_turn(&whims));
        if what == "stalled" {
            scene = scene.impatient();
        }
        scene.fetch().unwrap();
        scene.assert_stored(what);
        assert_eq!(scene.asked(), asked, "{what}");
        assert_eq!(scene.sent_twice(), sent_twice, "{what}");
        scene.assert_waits(what, waits);
    }
}

#[test]
fn a_blob_that_drips_is_no_failure() {
    let scene = Scene::with_layer(images::layer("drop by drop"), in_turn(&[Some(Whim::Drip)]));
    scene.fetch().unwrap();
    scene.assert_stored("drips");
    assert_eq!(scene.asked().len(), 1);
    scene.assert_waits("", &[]);
}

#[test]
fn a_large_blob_may_break_off_as_often_as_it_likes_while_it_gets_on() {
    let scene = Scene::new(3 << 20, in_turn(&vec![Some(Whim::Cut((256 << 10) + 1)); 11]));
    scene.fetch().unwrap();
    scene.assert_stored("large");
    assert_eq!((scene.asked().len(), scene.sent_twice()), (12, 0));
    scene.assert_waits("", &[]);
}

#[test]
fn a_blob_that_never_gets_on_is_given_up_with_the_number_of_attempts() {
    let scene = Scene::new(SIZE, |_| Some(Whim::Cut(10)));
    let error = scene.fetch().unwrap_err();
    let StoreError::Read(_, source) = error else { panic!("{error}") };
    let (digest, url) = (&scene.layer.descriptor.digest, scene.server.url());
    let expected = format!("the answer to GET {url}/v2/some/app/blobs/{digest} breaks off (5 attempts)");
    assert_eq!(source.to_string(), expected);
    assert_eq!(source.source().unwrap().downcast_ref(), Some(&Fault::Closed));
    scene.assert_nothing_stored("given up");
    assert_eq!((scene.asked().len(), scene.sent_twice()), (5, 0));
    scene.assert_waits("", &[2, 4, 8]);
}

#[test]
fn a_blob_that_always_ends_too_early_is_named_with_what_came() {
    let scene = Scene::new(SIZE, |_| Some(Whim::Short(10)));
    let error = scene.fetch().unwrap_err();
    let StoreError::Mismatch(Mismatch::Truncated { expected, actual, .. }) = error else { panic!("{error}") };
    assert_eq!((expected, actual), (SIZE as u64, 50));
    scene.assert_nothing_stored("too short");
}

#[test]
fn what_cannot_be_continued_is_an_error_of_its_own() {
    let refusal = r#"{"errors":[{"code":"DENIED","message":"not any more"}]}"#;
    let scene =
        Scene::new(SIZE, in_turn(&[Some(Whim::Cut(10)), Some(Whim::Says(Answer::new(403, refusal)))]));
    let StoreError::Read(_, source) = scene.fetch().unwrap_err() else { panic!("another error") };
    assert!(source.to_string().contains("answers 403 Forbidden: DENIED: not any more"), "{source}");
    scene.assert_nothing_stored("refused");
    assert_eq!(scene.asked().len(), 2);
    scene.assert_waits("", &[]);
}

#[test]
fn wrong_bytes_are_fetched_once_and_never_kept() {
    let scene = Scene::new(SIZE, |_| Some(Whim::Wrong));
    let error = scene.fetch().unwrap_err();
    assert!(matches!(error, StoreError::Mismatch(Mismatch::WrongContent { .. })), "{error}");
    scene.assert_nothing_stored("wrong");
    assert_eq!(scene.asked().len(), 1);
    scene.assert_waits("", &[]);
    // Half right is wrong too: the digest goes over all bytes from the first one.
    let scene = Scene::new(SIZE, in_turn(&[Some(Whim::Cut(100_000)), Some(Whim::Wrong)]));
    let error = scene.fetch().unwrap_err();
    assert!(matches!(error, StoreError::Mismatch(Mismatch::WrongContent { .. })), "{error}");
    scene.assert_nothing_stored("half wrong");
}

#[test]
fn a_wrong_length_is_an_error_before_anything_is_read() {
    for length in [SIZE as u64 - 1, SIZE as u64 + 1, 0] {
        let scene = Scene::new(SIZE, move |_| Some(Whim::Length(length)));
        let error = scene.registry.blob(&scene.reference, &scene.layer.descriptor).err().unwrap();
        assert_eq!(error.kind, SourceErrorKind::Invalid);
        assert!(error.message.ends_with(&format!("is {length} bytes long instead of 300000")), "{error}");
        assert_eq!(scene.asked().len(), 1);
        scene.assert_waits("", &[]);
    }
}

#[test]
fn a_wrong_length_of_a_part_costs_no_byte_and_no_wait() {
    for (what, length, asked) in [
        ("longer", 200_001, &["whole", "bytes=100000-299999"][..]),
        ("shorter", 150_000, &["whole", "bytes=100000-299999", "bytes=250000-299999"]),
    ] {
        let whims = [Some(Whim::Cut(100_000)), Some(Whim::Length(length))];
        let scene = Scene::new(SIZE, in_turn(&whims));
        scene.fetch().unwrap();
        scene.assert_stored(what);
        assert_eq!(scene.asked(), asked, "{what}");
        // That a part was shorter is the second failure without much between.
        scene.assert_waits(what, if what == "longer" { &[] } else { &[2] });
    }
}

#[test]
fn a_part_of_a_blob_goes_on_too_and_ends_where_it_should() {
    let scene = Scene::new(SIZE, in_turn(&[Some(Whim::Cut(100)), Some(Whim::Short(200))]));
    let part = 1000..201_000;
    let mut bytes = Vec::new();
    let mut opened =
        scene.registry.blob_part(&scene.reference, &scene.layer.descriptor, part.clone()).unwrap();
    opened.reader.read_to_end(&mut bytes).unwrap();
    assert!(bytes == scene.layer.bytes[part.start as usize..part.end as usize]);
    assert_eq!(scene.asked(), ["bytes=1000-200999", "bytes=1100-200999", "bytes=1300-200999"]);
    assert_eq!(scene.sent_twice(), 0);
}

#[test]
fn a_redirected_blob_goes_on_from_the_registry_and_no_credential_goes_along() {
    let layer = noise(SIZE);
    let name = layer.descriptor.digest.to_string();
    let elsewhere = Unruly::files(&[(&name, &layer.bytes)], None, in_turn(&[Some(Whim::Cut(100_000))]));
    let location = format!("{}/cdn/{name}?signature=hidden", elsewhere.url());
    let server = Unruly::registry(&super::image_of(&layer), move |ask| {
        Some(Whim::Says(match ask.request.header("authorization") {
            Some("Basic bWU6cHc=") => Answer::redirect(&location),
            _ => Answer::new(401, "").header("WWW-Authenticate", "Basic realm=test"),
        }))
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let entry = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6cHc="}}}}}}"#, server.authority());
    fs_err::write(&path, entry).unwrap();
    let (options, _) = crate::support::patience::options();
    let options = seedkit::registry::ClientOptions { credential_files: vec![path], ..options };
    let registry = crate::registry::registry_at(options, &server.url(), None);
    let reference = crate::registry::reference(&registry, "some/app:1");
    let mut bytes = Vec::new();
    registry.blob(&reference, &layer.descriptor).unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes == layer.bytes);
    assert_eq!(elsewhere.asked(&name), ["whole", "bytes=100000-299999"]);
    assert_eq!(elsewhere.sent_twice(&name), 0);
    assert!(elsewhere.requests().iter().all(|request| request.header("authorization").is_none()));
    let authorized = |request: &crate::support::hostile::Request| request.header("authorization").is_some();
    assert_eq!(server.requests().iter().map(authorized).collect::<Vec<_>>(), [false, true, true]);
}
