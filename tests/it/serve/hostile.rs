//! Requests that no honest client makes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use fs_err as fs;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{PATIENCE, Serving};
use crate::support::images::{image, layer};
use crate::support::kits::write_layout;
use crate::support::sandbox::Sandbox;

/// Opens a TLS connection on which anything can be sent.
pub(super) fn connect(serving: &Serving) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(serving.ca_file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TcpStream::connect(serving.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(tls), name).unwrap(), stream)
}

/// Sends `request` as it is and returns the answer's first line; empty if the connection is closed instead.
fn first_line(serving: &Serving, request: &[u8]) -> String {
    let mut stream = connect(serving);
    // A server that has heard enough may close before everything is sent.
    let _closed_early = stream.write_all(request).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().trim_end().to_owned()
}

#[test]
fn nothing_outside_of_the_layout_can_be_asked_for() {
    let serving = Serving::lab();
    fs::write(serving.sandbox.path("kit/images/blobs/sha256/stray"), "stray").unwrap();
    let etc = "../../../../../../../etc/passwd";
    let encoded = etc.replace("../", "%2e%2e%2f");
    for path in [
        format!("/v2/{etc}"),
        format!("/v2/{encoded}"),
        format!("/{etc}"),
        format!("/v2/lab/hello/blobs/{etc}"),
        format!("/v2/lab/hello/blobs/{encoded}"),
        format!("/v2/lab/hello/blobs/sha256:{etc}"),
        format!("/v2/lab/hello/blobs/sha256:{encoded}"),
        format!("/v2/lab/hello/manifests/{encoded}?ns=docker.io"),
        format!("/v2/lab/hello/manifests/1.0?ns={encoded}"),
        format!("/v2/{encoded}/manifests/1.0"),
        "/v2/lab/hello/blobs/sha256:stray".to_owned(),
        "/v2/lab/hello/blobs/sha256:../../index.json".to_owned(),
        "/v2/lab/hello/blobs/%00".to_owned(),
        "/v2/../kit.json".to_owned(),
        "/v2/lab/hello/../../../registry/registry.key".to_owned(),
        format!("/v2/lab/hello/blobs/sha256:{}", "0".repeat(64)),
        format!("/v2/lab/hello/blobs/sha512:{}", "0".repeat(128)),
        format!("/v2/lab/hello/manifests/sha256:{}", "A".repeat(64)),
        format!("/v2/{}/manifests/1", "a".repeat(20_000)),
        format!("/v2/lab/hello/manifests/{}", "a".repeat(20_000)),
        format!("/v2/lab/hello/tags/list?last={}&n=1", "z".repeat(20_000)),
    ] {
        let answer = serving.get(&path);
        let is_empty_list = answer.status == 200 && answer.body.ends_with(br#""tags":[]}"#);
        assert!(matches!(answer.status, 400 | 404) || is_empty_list, "{path}: {answer:?}");
        assert!(
            answer.body.len() < 1000 && !answer.body.windows(5).any(|text| text == b"root:"),
            "{answer:?}"
        );
        if !is_empty_list {
            answer.code();
        }
    }
}

#[test]
fn a_blob_of_another_repository_is_not_in_this_one() {
    let [one, other] = [image("linux", "amd64", &[layer("one")]), image("linux", "amd64", &[layer("other")])];
    let serving = Serving::of(&[("quay.io/lab/one:1", &one), ("quay.io/lab/other:1", &other)], &[]);
    let status = |name: &str, digest: &seedkit::digest::Digest| {
        serving.get(&format!("/v2/lab/{name}/blobs/{digest}")).status
    };
    let digest = &one.blobs[0].descriptor.digest;
    assert_eq!((status("one", digest), status("other", digest), status("none", digest)), (200, 404, 404));
}

#[test]
fn whatever_writes_is_refused() {
    let serving = Serving::lab();
    let digest = format!("sha256:{}", "0".repeat(64));
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in [
            "/v2/",
            "/v2/lab/hello/blobs/uploads/",
            "/v2/lab/hello/blobs/uploads/1?digest=x",
            "/v2/lab/hello/manifests/1.0",
            &format!("/v2/lab/hello/blobs/{digest}"),
        ] {
            let answer = serving.curl(path, &["--request", method, "--data", "x"]);
            assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"), "{method} {path}");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
    let image = image("linux", "amd64", &[layer("pushed")]);
    let folder = tempfile::tempdir().unwrap();
    image.write_layout(folder.path());
    let certificates = serving.certificates();
    let mut command = crate::support::oracle::command("skopeo");
    command.args(["--insecure-policy", "copy", "--dest-cert-dir"]).arg(certificates);
    command.arg(format!("oci:{}:latest", folder.path().display()));
    let output = command.arg(format!("docker://{}/lab/pushed:1", serving.address())).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("this registry is read-only"), "{said}");
}

#[test]
fn what_is_no_http_is_answered_or_cut_and_the_server_goes_on() {
    let serving = Serving::lab();
    let long = |length: usize| "a".repeat(length);
    for (request, expected) in [
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(), "HTTP/1.1 200 OK"),
        (b"GET https://elsewhere.example/v2/ HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "HTTP/1.1 200 OK"),
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "HTTP/1.1 404 Not Found"),
        (b"\x00\x01\x02\r\n\r\n".to_vec(), "HTTP/1.1 400 Bad Request"),
        (b"GET /v2/ HTTP/9.9\r\n\r\n".to_vec(), "HTTP/1.1 400 Bad Request"),
        // Whichever limit is noticed first; a client that goes on sending then may see nothing but the end.
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", long(200_000)).into_bytes(),
            "HTTP/1.1 414 URI Too Long, or HTTP/1.1 431 Request Header Fields Too Large, or ",
        ),
        (
            format!("GET /v2/ HTTP/1.1\r\nx: {}\r\n\r\n", long(200_000)).into_bytes(),
            "HTTP/1.1 431 Request Header Fields Too Large, or ",
        ),
        (
            format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1000)).into_bytes(),
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "HTTP/1.1 400 Bad Request, or "),
    ] {
        let line = first_line(&serving, &request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        assert!(
            expected.split(", or ").any(|one| one == line),
            "{shown:?}: {line:?} instead of {expected:?}"
        );
    }
    assert_eq!(serving.get("/healthz").status, 200);
}

#[test]
fn a_link_that_takes_a_blobs_place_later_is_not_followed() {
    let sandbox = Sandbox::built_lab();
    let blob = layer("replaced by a link");
    let image = image("linux", "amd64", std::slice::from_ref(&blob));
    write_layout(&sandbox, &[("quay.io/lab/link:1", &image)]);
    let serving = Serving::start(sandbox, &[]);
    let path = serving.sandbox.path(format!("kit/images/blobs/sha256/{}", blob.descriptor.digest.hex()));
    let url = format!("/v2/lab/link/blobs/{}", blob.descriptor.digest);
    assert_eq!(serving.get(&url).status, 200);
    // As long as the blob: only that it is a link tells them apart.
    let secret = serving.sandbox.path("secret");
    fs::write(&secret, vec![b's'; blob.bytes.len()]).unwrap();
    fs::remove_file(&path).unwrap();
    fs_err::os::unix::fs::symlink(&secret, &path).unwrap();
    let answer = serving.get(&url);
    assert_eq!((answer.status, answer.code().as_str()), (500, "UNKNOWN"));
    fs::remove_file(&path).unwrap();
    assert_eq!(serving.get(&url).status, 500);
    fs::write(&path, &blob.bytes).unwrap();
    assert_eq!(serving.get(&url).status, 200);
}
