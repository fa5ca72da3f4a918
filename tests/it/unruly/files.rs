//! Files from servers that are no registries: nobody knows their digest when they are locked.

use std::io::{self, ErrorKind, Read as _};

use seedkit::registry::{Client, PlainHttp};

use super::{assert_waits, in_turn};
use crate::support::hostile::Answer;
use crate::support::patience::{self, Patience};
use crate::support::unruly::{Ask, Unruly, Whim, noise};

const SIZE: usize = 200_000;

/// Fetches a file from a server with such an entity tag.
fn fetch(
    entity_tag: Option<&'static str>,
    whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static,
) -> (Unruly, Patience, io::Result<Vec<u8>>) {
    let server = Unruly::files(&[("file", &noise(SIZE).bytes)], entity_tag, whim);
    let (options, patience) = patience::options();
    let client = Client::new(options).unwrap();
    let file = client.fetch_file(&format!("{}/file", server.url()), 1 << 30, PlainHttp::Allowed).unwrap();
    let (mut bytes, mut reader) = (Vec::new(), file.reader);
    let read = reader.read_to_end(&mut bytes).map(|_| bytes);
    (server, patience, read)
}

#[test]
fn a_file_with_an_entity_tag_goes_on_where_it_broke_off() {
    let (server, patience, read) = fetch(Some("\"one\""), in_turn(&[Some(Whim::Cut(150_000))]));
    assert!(read.unwrap() == noise(SIZE).bytes);
    assert_eq!(server.asked("file"), ["whole", "bytes=150000-199999"]);
    assert_eq!(server.requests()[1].header("if-range"), Some("\"one\""));
    assert_eq!(server.sent_twice("file"), 0);
    assert_waits(&patience, "file", &[]);
}

#[test]
fn a_file_that_is_shorter_than_announced_is_asked_about_once() {
    let (server, patience, read) = fetch(Some("\"one\""), in_turn(&[Some(Whim::Length(SIZE as u64 + 9))]));
    assert!(read.unwrap() == noise(SIZE).bytes);
    assert_eq!(server.asked("file"), ["whole", "bytes=200000-200008"]);
    assert_eq!(server.sent_twice("file"), 0);
    assert_waits(&patience, "file", &[]);
}

#[test]
fn a_file_without_one_is_read_again_and_compared() {
    for tag in [None, Some("W/\"weak\"")] {
        let (server, _, read) = fetch(tag, in_turn(&[Some(Whim::Cut(150_000)), Some(Whim::Cut(70_000))]));
        assert!(read.unwrap() == noise(SIZE).bytes);
        assert_eq!(server.asked("file"), ["whole", "whole", "whole"]);
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_never_two_halves() {
    let other = || Whim::Says(Answer::new(200, vec![7; SIZE]).header("ETag", "\"two\""));
    let (server, _, read) = fetch(Some("\"one\""), in_turn(&[Some(Whim::Cut(150_000)), Some(other())]));
    let error = read.unwrap_err();
    let expected = format!("the answer to GET {}/file changed while it was read", server.url());
    assert_eq!(error.to_string(), expected);
    let (server, _, read) = fetch(None, in_turn(&[Some(Whim::Cut(150_000)), Some(Whim::Wrong)]));
    let error = read.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), format!("the content at {}/file changed while it was read", server.url()));
}
