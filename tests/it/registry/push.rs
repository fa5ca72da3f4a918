//! Uploads to registries that break off, look elsewhere, or change what they get.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::oci::{SourceError, SourceErrorKind};
use seedkit::registry::{
    Arrival, BlobUpload, Client, ClientOptions, Endpoint, Fault, PlainHttp, Registry, RetryPolicy,
};
use seedkit::store::Descriptor;

use super::fault;
use crate::support::hostile::{Answer, Hostile, Request, read_request};
use crate::support::patience;
use crate::support::unruly::noise;

const CHUNK: u64 = 1000;

/// Options with the usual patience, that costs no time but for silence.
pub(super) fn options() -> ClientOptions {
    ClientOptions { read_timeout: patience::SILENCE, ..patience::options().0 }
}

pub(super) fn registry_to_push(options: ClientOptions, url: &str) -> Registry {
    let authority = url.split("://").nth(1).unwrap();
    let endpoint = Endpoint::new(authority, url, PlainHttp::Allowed).unwrap();
    Client::new(options).unwrap().registry_to_push(endpoint).unwrap()
}

/// A blob in a file.
pub(super) fn blob(size: usize) -> (Descriptor, Vec<u8>) {
    let bytes: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
    let descriptor =
        Descriptor { media_type: String::new(), digest: Digest::sha256(&bytes), size: size as u64 };
    (descriptor, bytes)
}

pub(super) fn upload_of<'a>(blob: &'a Descriptor, bytes: &[u8]) -> BlobUpload<'a> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    BlobUpload { blob, file, mount_from: None, chunk: CHUNK, note: None }
}

fn push(
    registry: &Registry,
    blob: &Descriptor,
    bytes: &[u8],
    from: Option<&str>,
) -> (Result<Arrival, SourceError>, u64) {
    let sent = Mutex::new(0);
    let upload = BlobUpload { mount_from: from, ..upload_of(blob, bytes) };
    let result = registry.push_blob("some/app", upload, &|bytes| *sent.lock().unwrap() += bytes);
    (result, sent.into_inner().unwrap())
}

/// A registry that takes one upload; `fault` may answer a request in its place, by its number from 0.
pub(super) fn uploading(
    fault: impl Fn(usize, &Request, &mut Vec<u8>) -> Option<Answer> + Send + Sync + 'static,
) -> (Hostile, Arc<Mutex<Vec<u8>>>) {
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let (upload, count) = (Arc::clone(&arrived), AtomicUsize::new(0));
    let server = Hostile::start(move |request| {
        let mut upload = upload.lock().unwrap();
        if let Some(answer) = fault(count.fetch_add(1, Ordering::SeqCst), request, &mut upload) {
            return answer;
        }
        let progress = |status, upload: &Vec<u8>| {
            Answer::new(status, "")
                .header("Location", "/v2/some/app/blobs/uploads/1?state=secret")
                .header("Range", &format!("0-{}", upload.len().saturating_sub(1)))
        };
        match request.method.as_str() {
            "POST" => {
                upload.clear();
                progress(202, &upload)
            }
            "PATCH" => {
                let expected = format!("{}-{}", upload.len(), upload.len() + request.body.len() - 1);
                if request.header("content-range") != Some(&expected) {
                    return progress(416, &upload);
                }
                upload.extend(&request.body);
                progress(202, &upload)
            }
            "GET" => progress(204, &upload),
            "PUT" => {
                upload.extend(&request.body);
                Answer::new(201, "")
            }
            other => panic!("{other}"),
        }
    });
    (server, arrived)
}

/// Returns the methods of all requests, in order.
pub(super) fn methods(server: &Hostile) -> String {
    server.requests().iter().map(|request| request.method.clone()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_small_blob_goes_in_one_request_and_a_large_one_in_chunks() {
    for (size, expected) in [
        (0, "POST PUT"),
        (1, "POST PUT"),
        (1000, "POST PUT"),
        (1001, "POST PATCH PATCH PUT"),
        (2500, "POST PATCH PATCH PATCH PUT"),
    ] {
        let (server, arrived) = uploading(|_, _, _| None);
        let (descriptor, bytes) = blob(size);
        let (result, sent) = push(&registry_to_push(options(), &server.url()), &descriptor, &bytes, None);
        assert_eq!((result.unwrap(), sent), (Arrival::Uploaded, size as u64));
        assert!(*arrived.lock().unwrap() == bytes, "{size}");
        assert_eq!(methods(&server), expected);
        let last = server.requests().pop().unwrap();
        assert_eq!(
            last.header("content-length"),
            Some(if size <= 1000 { size } else { 0 }.to_string().as_str())
        );
        assert!(last.target.contains("state=secret&digest=sha256%3A"), "{}", last.target);
    }
}

#[test]
fn an_upload_that_breaks_off_goes_on_where_the_registry_says() {
    type Fault = fn(usize, &Request, &mut Vec<u8>) -> Option<Answer>;
    let cases: [(Fault, &str); 5] = [
        // The second chunk is lost.
        (|number, _, _| (number == 2).then(|| Answer::new(503, "")), "POST PATCH PATCH GET PATCH PATCH PUT"),
        // The second chunk arrives in part, and no answer comes.
        (
            |number, request, upload| {
                (number == 2).then(|| {
                    upload.extend(&request.body[..400]);
                    Answer::silence()
                })
            },
            "POST PATCH PATCH GET PATCH PATCH PUT",
        ),
        // The registry forgot the upload meanwhile.
        (
            |number, request, _| match (number, request.method.as_str()) {
                (2, _) => Some(Answer::new(500, "")),
                (3, _) => Some(Answer::new(404, "")),
                _ => None,
            },
            "POST PATCH PATCH GET POST PATCH PATCH PATCH PUT",
        ),
        // It is away for a while.
        (
            |number, _, _| [2, 3, 4].contains(&number).then(|| Answer::new(502, "")),
            "POST PATCH PATCH GET GET GET PATCH PATCH PUT",
        ),
        // The end is not confirmed.
        (|number, _, _| (number == 4).then(|| Answer::new(504, "")), "POST PATCH PATCH PATCH PUT GET PUT"),
    ];
    for (number, (fault, expected)) in cases.into_iter().enumerate() {
        let (server, arrived) = uploading(fault);
        let (descriptor, bytes) = blob(2500);
        let (result, sent) = push(&registry_to_push(options(), &server.url()), &descriptor, &bytes, None);
        assert_eq!((result.unwrap(), sent), (Arrival::Uploaded, 2500), "{number}");
        assert!(*arrived.lock().unwrap() == bytes, "{number}");
        assert_eq!(methods(&server), expected, "{number}");
    }
}

#[test]
fn an_upload_that_never_gets_on_is_given_up_with_the_last_answer() {
    let (server, _) = uploading(|_, request, _| (request.method == "PATCH").then(|| Answer::new(503, "")));
    let (descriptor, bytes) = blob(2500);
    let (result, sent) = push(&registry_to_push(options(), &server.url()), &descriptor, &bytes, None);
    let error = result.unwrap_err();
    assert_eq!((error.kind, sent), (SourceErrorKind::Connection, 0));
    assert!(
        error.message.contains("/blobs/uploads/1 answers 503") && !error.message.contains("secret"),
        "{error}"
    );
    assert_eq!(methods(&server).matches("PATCH").count(), 5);
    let (server, _) = uploading(|number, _, _| {
        (number == 1).then(|| Answer::new(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#))
    });
    let (descriptor, bytes) = blob(10);
    let error = push(&registry_to_push(options(), &server.url()), &descriptor, &bytes, None).0.unwrap_err();
    assert!(error.message.ends_with("answers 400 Bad Request: DIGEST_INVALID: no"), "{error}");
    assert_eq!(methods(&server), "POST PUT", "what is wrong is not tried again");
}

/// A registry behind a proxy that closes the connection on requests of more than so many bytes, whether it says so before
/// (413) or not. Returns its URL and what arrived of the one upload.
fn behind_a_narrow_proxy(most: u64, says_so: bool) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let upload = Arc::clone(&arrived);
    // It ends with the test's process: nothing of it needs to be put away.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let upload = Arc::clone(&upload);
            std::thread::spawn(move || serve_narrowly(stream.unwrap(), most, says_so, &upload));
        }
    });
    (url, arrived)
}

fn serve_narrowly(stream: TcpStream, most: u64, says_so: bool, upload: &Mutex<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut method, mut length, mut line) = (String::new(), 0, String::new());
        while reader.read_line(&mut line).ok().filter(|read| *read > 2).is_some() {
            let length_of =
                |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.trim().parse().ok();
            length = length_of(&line).unwrap_or(length);
            if method.is_empty() {
                method = line.split(' ').next().unwrap().to_owned();
            }
            line.clear();
        }
        if method.is_empty() || length > most {
            if says_so && !method.is_empty() {
                let refusal = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                reader.get_mut().write_all(refusal.as_bytes()).ok()?;
            }
            return None;
        }
        let mut body = vec![0; usize::try_from(length).unwrap()];
        reader.read_exact(&mut body).ok()?;
        let mut upload = upload.lock().unwrap();
        if method == "POST" {
            upload.clear();
        }
        upload.extend(&body);
        let status = match method.as_str() {
            "PUT" => "201 Created",
            "GET" => "204 No Content",
            _ => "202 Accepted",
        };
        let range = format!("0-{}", upload.len().saturating_sub(1));
        let head =
            format!("HTTP/1.1 {status}\r\nLocation: /upload\r\nRange: {range}\r\nContent-Length: 0\r\n\r\n");
        drop(upload);
        reader.get_mut().write_all(head.as_bytes()).ok()?;
    }
}

#[test]
fn a_blob_gets_past_a_proxy_that_takes_no_large_requests_in_smaller_chunks() {
    let bytes = noise(20 << 20).bytes;
    let blob =
        Descriptor { media_type: String::new(), digest: Digest::sha256(&bytes), size: bytes.len() as u64 };
    for (most, says_so, is_taken) in
        [(1 << 20, true, true), (1 << 20, false, true), (1000, true, false), (1000, false, false)]
    {
        let (url, arrived) = behind_a_narrow_proxy(most, says_so);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let upload = BlobUpload { blob: &blob, file, mount_from: None, chunk: 32 << 20, note: None };
        let pushed = registry_to_push(options(), &url).push_blob("some/app", upload, &|_| {});
        if is_taken {
            assert_eq!(pushed.unwrap(), Arrival::Uploaded);
        } else {
            drop(pushed.unwrap_err());
        }
        assert_eq!(*arrived.lock().unwrap() == bytes, is_taken, "{most} {says_so}");
    }
}

#[test]
fn a_registry_that_takes_nothing_of_an_upload_is_given_up_long_before_the_slowest_would_be_done() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (ended, end) = channel::<()>();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let begun = read_request(&mut reader, 0).unwrap();
        assert_eq!(begun.method, "POST");
        let answer = "HTTP/1.1 202 Accepted\r\nLocation: /upload\r\nContent-Length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        // The connection stays open, and nobody reads from it.
        let _ended = end.recv();
    });
    let size = 64 << 20;
    let blob = Descriptor { media_type: String::new(), digest: Digest::sha256(b"x"), size };
    let file = tempfile::tempfile().unwrap();
    file.set_len(size).unwrap();
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let registry = registry_to_push(ClientOptions { retry, ..options() }, &url);
    let upload = BlobUpload { blob: &blob, file, mount_from: None, chunk: size, note: None };
    let begin = Instant::now();
    let error = registry.push_blob("some/app", upload, &|_| {}).unwrap_err();
    // By the rate of the slowest upload it would be 16384 s.
    assert!(begin.elapsed() < Duration::from_secs(120), "{error}");
    assert!(matches!(fault(&error), Some(Fault::TimedOut | Fault::Closed)), "{error:?}");
    drop(ended);
    server.join().unwrap();
}

#[test]
fn a_mount_that_is_refused_becomes_an_upload() {
    let (descriptor, bytes) = blob(10);
    let (server, _) = uploading(|_, _, _| None);
    let registry = registry_to_push(options(), &server.url());
    assert_eq!(push(&registry, &descriptor, &bytes, Some("other/app")).0.unwrap(), Arrival::Uploaded);
    let begun = &server.requests()[0].target;
    assert!(
        begun.contains(&format!("mount={}", descriptor.digest.to_string().replace(':', "%3A"))),
        "{begun}"
    );
    assert!(begun.ends_with("&from=other%2Fapp"), "{begun}");
    let mounting = Hostile::start(|_| Answer::new(201, ""));
    let registry = registry_to_push(options(), &mounting.url());
    assert_eq!(push(&registry, &descriptor, &bytes, Some("other/app")).0.unwrap(), Arrival::Mounted);
}

fn with_credentials(folder: &std::path::Path, authority: &str) -> ClientOptions {
    let path: PathBuf = folder.join("config.json");
    fs::write(&path, format!(r#"{{"auths":{{"{authority}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#)).unwrap();
    ClientOptions { credential_files: vec![path], ..options() }
}

#[test]
fn credentials_stay_with_the_registry_when_the_upload_goes_elsewhere() {
    let elsewhere = Hostile::start(|_| Answer::new(201, ""));
    let location = format!("{}/upload/1", elsewhere.url());
    let server = Hostile::start(move |request| match request.header("authorization") {
        None => Answer::new(401, "").header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Answer::new(202, "").header("Location", &location),
    });
    let folder = tempfile::tempdir().unwrap();
    let registry = registry_to_push(with_credentials(folder.path(), server.authority()), &server.url());
    let (descriptor, bytes) = blob(10);
    push(&registry, &descriptor, &bytes, None).0.unwrap();
    let upload = elsewhere.requests().pop().unwrap();
    assert_eq!((upload.header("authorization"), &upload.body), (None, &bytes));
}

#[test]
fn a_token_to_push_is_asked_for_once_for_a_repository() {
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let url = Arc::clone(&own);
    let server = Hostile::start(move |request| {
        if request.target.starts_with("/token") {
            return Answer::new(200, r#"{"token":"t","expires_in":300}"#);
        }
        if request.header("authorization") != Some("Bearer t") {
            let scope = "repository:some/app:pull,push";
            let challenge =
                format!(r#"Bearer realm="{}/token",service="x",scope="{scope}""#, url.get().unwrap());
            return Answer::new(401, "").header("WWW-Authenticate", &challenge);
        }
        match request.method.as_str() {
            "HEAD" if request.target.contains("/manifests/") => {
                Answer::new(200, "").header("Docker-Content-Digest", &blob(10).0.digest.to_string())
            }
            "HEAD" => Answer::new(404, ""),
            "POST" => Answer::new(202, "").header("Location", "/v2/some/app/blobs/uploads/1"),
            _ => Answer::new(201, ""),
        }
    });
    own.set(server.url()).unwrap();
    let registry = registry_to_push(options(), &server.url());
    let (descriptor, bytes) = blob(10);
    assert!(!registry.has_blob("some/app", &descriptor).unwrap());
    push(&registry, &descriptor, &bytes, None).0.unwrap();
    registry.push_manifest("some/app", "1", &descriptor, bytes).unwrap();
    assert_eq!(methods(&server), "HEAD GET HEAD POST PUT PUT HEAD");
    let token = &server.requests()[1].target;
    assert!(token.contains("scope=repository%3Asome%2Fapp%3Apull%2Cpush"), "{token}");
}
