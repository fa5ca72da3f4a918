//! Clients that hold a connection and do nothing with it.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::hostile::connect;
use super::{PATIENCE, Serving, client, drain};
use crate::support::images::{image, large_layer};

#[test]
fn who_sends_no_handshake_or_no_request_is_let_go() {
    let serving = Serving::start(crate::support::sandbox::Sandbox::built_lab(), &["--read-timeout", "1"]);
    let mut silent = TcpStream::connect(serving.address()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    serving.wait_for_line("sends nothing");
    for beginning in ["", "GET /v2/ HTTP/1.1\r\nHost:", "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = connect(&serving);
        stream.write_all(beginning.as_bytes()).unwrap();
        stream.flush().unwrap();
        let (_, error) = drain(&mut stream);
        assert!(error.is_none_or(|error| error.kind() == std::io::ErrorKind::UnexpectedEof), "{beginning:?}");
    }
}

#[test]
fn who_takes_nothing_of_an_answer_is_let_go() {
    let layer = large_layer(11, 16 * 1024 * 1024);
    let size = layer.bytes.len();
    let path = format!("/v2/lab/large/blobs/{}", layer.descriptor.digest);
    let image = image("linux", "amd64", &[layer]);
    let serving = Serving::of(&[("quay.io/lab/large:1", &image)], &["--write-timeout", "1"]);
    let answer = client(&serving).get(serving.url(&path)).send().unwrap();
    let line = serving.wait_for_line(&path);
    assert!(line.contains(&format!(" of {size} bytes, ")), "{line}");
    assert!(drain(answer).1.is_some());
}

#[test]
fn more_connections_than_allowed_wait_until_one_ends() {
    let sandbox = crate::support::sandbox::Sandbox::built_lab();
    let serving = Serving::start(sandbox, &["--max-connections", "1"]);
    let mut first = connect(&serving);
    first.conn.complete_io(&mut first.sock).unwrap();
    serving.wait_for_line("all 1 connections are taken: other clients wait until one ends");
    let mut second = connect(&serving);
    second.sock.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let waits = second.conn.complete_io(&mut second.sock).unwrap_err();
    assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    second.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    second.conn.complete_io(&mut second.sock).unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
}
