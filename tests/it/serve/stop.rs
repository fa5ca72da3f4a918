//! How it ends: what was begun is finished, what takes too long is cut, a second signal ends at once.

use std::io::Read;
use std::net::TcpStream;

use rustix::process::Signal;
use seedkit::digest::Digest;

use super::{Serving, client, drain};
use crate::support::images::{image, large_layer};

/// More than sockets hold.
const LARGE: usize = 16 * 1024 * 1024;

/// Serves a large blob, whose path is returned, and begins to pull it.
fn begun(options: &[&str]) -> (Serving, Digest, reqwest::blocking::Response) {
    let layer = large_layer(9, LARGE);
    let digest = layer.descriptor.digest;
    let serving = Serving::of(&[("quay.io/lab/large:1", &image("linux", "amd64", &[layer]))], options);
    let answer = client(&serving).get(serving.url(&format!("/v2/lab/large/blobs/{digest}"))).send().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    (serving, digest, answer)
}

#[test]
fn answers_that_were_begun_are_finished_and_nothing_is_accepted_any_more() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut serving, digest, mut answer) = begun(&[]);
        serving.signal(signal);
        // It no longer listens; until then connections are accepted.
        while TcpStream::connect(serving.address()).is_ok() {
            std::thread::yield_now();
        }
        let mut bytes = Vec::new();
        answer.read_to_end(&mut bytes).unwrap();
        assert_eq!(Digest::sha256(&bytes), digest);
        let (status, log) = serving.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("stopped after 1 requests, ") && !log.contains("warning"), "{log}");
    }
}

#[test]
fn connections_that_only_wait_do_not_delay_the_end() {
    let mut serving = Serving::lab();
    let client = client(&serving);
    let answer = client.get(serving.url("/v2/")).send().unwrap();
    assert_eq!(answer.text().unwrap(), "{}");
    let mut waiting = super::hostile::connect(&serving);
    waiting.conn.complete_io(&mut waiting.sock).unwrap();
    serving.signal(Signal::TERM);
    let (status, log) = serving.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("--stop-timeout"), "{log}");
}

#[test]
fn what_takes_longer_than_the_deadline_is_cut_and_said() {
    let (mut serving, _, answer) = begun(&["--stop-timeout", "1"]);
    serving.signal(Signal::TERM);
    let (status, log) = serving.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("warning: 1 connection took longer than --stop-timeout and were cut"), "{log}");
    let (received, error) = drain(answer);
    assert!(received < LARGE as u64 && error.is_some(), "a client learns that it did not get all");
}

#[test]
fn a_second_signal_ends_at_once() {
    let (mut serving, _, _answer) = begun(&["--stop-timeout", "3600"]);
    serving.signal(Signal::TERM);
    while TcpStream::connect(serving.address()).is_ok() {
        std::thread::yield_now();
    }
    serving.signal(Signal::TERM);
    let (status, log) = serving.end();
    assert_eq!(status.code(), Some(130), "{log}");
}
