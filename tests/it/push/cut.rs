//! A registry with TLS and a password, on a line that is cut again and again.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use fs_err as fs;

use super::number;
use crate::support::images::{image, large_layer};
use crate::support::kits::write_kit;
use crate::support::oracle;
use crate::support::registry::Registry;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::tls::Certificate;

const MIB: u64 = 1024 * 1024;

/// A line to `upstream` whose first connections are cut after so many bytes of the client each.
struct Line {
    authority: String,
    /// All that clients sent.
    sent: Arc<AtomicU64>,
    cuts: Arc<AtomicU64>,
}

impl Line {
    fn to(upstream: &str, limits: &'static [u64]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (sent, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (total, cut, upstream) = (Arc::clone(&sent), Arc::clone(&cuts), upstream.to_owned());
        // It ends with the test's process: nothing of it needs to be put away.
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let limit = limits.get(number).copied().unwrap_or(u64::MAX);
                let (total, cut, upstream) = (Arc::clone(&total), Arc::clone(&cut), upstream.clone());
                std::thread::spawn(move || pass(client.unwrap(), &upstream, limit, &total, &cut));
            }
        });
        Self { authority, sent, cuts }
    }
}

/// Passes a connection on; whichever side ends it, and whenever, the other sees the end.
fn pass(client: TcpStream, upstream: &str, limit: u64, total: &AtomicU64, cuts: &AtomicU64) -> Option<()> {
    let server = TcpStream::connect(upstream).ok()?;
    let (mut from_server, mut to_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut from_server, &mut to_client);
        let _closed = to_client.shutdown(Shutdown::Both);
    });
    let (mut client, mut server, mut left) = (client, server, limit);
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        let passed = u64::try_from(read).unwrap().min(left);
        total.fetch_add(passed, Ordering::SeqCst);
        left -= passed;
        server.write_all(&buffer[..usize::try_from(passed).unwrap()]).ok()?;
    }
    cuts.fetch_add(1, Ordering::SeqCst);
    let _closed = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    Some(())
}

#[test]
fn a_push_that_was_cut_for_good_is_completed_by_the_next_which_sends_only_the_rest() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let layers = [3_300_000, 3_200_000, 3_100_000].map(|size| large_layer(size, size as usize));
    let image = image("linux", "amd64", &layers);
    write_kit(&sandbox, &[("quay.io/lab/three:1", &image)]);
    // All requests of a worker share a connection: the first layer arrives, the second in part.
    let line = Line::to(registry.authority(), &[5_000_000]);
    let push = ["push", "kit", &line.authority, "--plain-http", "--jobs", "1", "--json"];
    sandbox.seedkit(&[&push[..], &["--retries", "0"]].concat()).fails(2);
    assert_eq!(line.cuts.load(Ordering::SeqCst), 1);
    let before = line.sent.load(Ordering::SeqCst);
    let result = sandbox.seedkit(&push).succeeds().json();
    assert_eq!(number(&result, "uploaded"), 3, "two layers and the configuration: {result}");
    let size = |blob: &crate::support::images::Content| blob.descriptor.size;
    let rest = image.blobs[1..].iter().map(size).sum::<u64>();
    let sent = line.sent.load(Ordering::SeqCst) - before;
    assert!((rest..rest + 100_000).contains(&sent), "{sent} bytes for {rest}");
    let again = sandbox.seedkit(&push).succeeds().json();
    assert_eq!((number(&again, "uploaded"), number(&again, "bytes")), (0, 0), "{again}");
}

#[test]
fn an_upload_that_is_cut_three_times_arrives_whole_and_nothing_else_is_sent_again() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_tls_and_password(Certificate::new()));
    let size = 8 * MIB;
    let image = image("linux", "amd64", &[large_layer(5, usize::try_from(size).unwrap())]);
    write_kit(&sandbox, &[("quay.io/lab/large:1", &image)]);
    let line = Line::to(registry.authority(), &[2 * MIB, 2 * MIB, 2 * MIB]);
    let (user, password) = registry.credentials().unwrap();
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    sandbox.write("auth.json", format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, line.authority));
    let ca_file = registry.ca_file().unwrap();
    let mut command = sandbox.prepare(&["push", "kit", &line.authority, "--chunk-size", "1", "--json"]);
    command.arg("--ca-file").arg(&ca_file).env("REGISTRY_AUTH_FILE", sandbox.path("auth.json"));
    let run = Run::of(&mut command).succeeds();
    assert_eq!(number(&run.json(), "uploaded"), 2);
    assert!(!run.stderr.contains(password) && !run.stderr.contains(&auth));
    assert_eq!(line.cuts.load(Ordering::SeqCst), 3);
    // docker-registry 2.8 gives an upload up that broke off within a chunk ("upload resumed at wrong offset"): the blob
    // begins anew there, which costs what was sent before the cut and no more. Where the registry goes on, so do we:
    // see the tests of the client.
    let sent = line.sent.load(Ordering::SeqCst);
    assert!(sent < size + 3 * 2 * MIB + MIB, "{sent} bytes sent for {size}");
    fs::create_dir(sandbox.path("certs")).unwrap();
    fs::copy(&ca_file, sandbox.path("certs/ca.crt")).unwrap();
    let copy = format!("dir:{}", sandbox.path("copy").display());
    let source = format!("docker://{}/lab/large:1", registry.authority());
    let credentials = format!("{user}:{password}");
    let certificates = sandbox.path("certs");
    let options = ["--src-cert-dir", certificates.to_str().unwrap(), "--src-creds", &credentials];
    let fixed = ["--insecure-policy", "copy", "--quiet", "--override-arch", "amd64"];
    oracle::run("skopeo", [&fixed[..], &options, &[&source, &copy]].concat());
    let large = &image.blobs[0];
    assert!(fs::read(sandbox.path("copy").join(large.descriptor.digest.hex())).unwrap() == large.bytes);
}
