//! OpenSSL, Python and rustls judge the authority and the certificates that seedkit makes.

mod permitted;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;

use fs_err as fs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use seedkit::epoch::Epoch;
use seedkit::fs::create_new;
use seedkit::pki::{Authority, CertificateView, PkiError, PrivateKey, SubjectName};
use seedkit::secrets::SecretText;
use tempfile::TempDir;

use crate::support::oracle;

/// What the certificate of the tests is for, beside the machine itself.
const NAMES: [&str; 5] = ["192.168.6.1", "fd00::6:1", "registry.lan", "xn--9t4b11yi5a.kr", "*.mirror.lan"];
const COVERED_ADDRESSES: [&str; 4] = ["192.168.6.1", "fd00::6:1", "127.0.0.1", "::1"];
const COVERED_HOSTS: [&str; 4] = ["registry.lan", "xn--9t4b11yi5a.kr", "a.mirror.lan", "localhost"];
const FOREIGN_ADDRESSES: [&str; 3] = ["192.168.6.2", "fd00::6:2", "10.0.0.1"];
const FOREIGN_HOSTS: [&str; 4] = ["other.lan", "mirror.lan", "a.b.mirror.lan", "seedkit-lab-ca"];

/// An authority, a server certificate and its key as files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn make() -> Self {
        Self::signed_by(&authority())
    }

    fn signed_by(authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate_p256().unwrap();
        let server = authority.generate_server_certificate(&key, &names(), epoch(), 36_499).unwrap();
        let write =
            |name: &str, text: &str| create_new(&folder.path().join(name), text.as_bytes(), 0o600).unwrap();
        write("ca.crt", authority.pem());
        write("registry.crt", server.pem());
        write("registry.key", key.to_pem().expose());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `openssl` in the folder and returns what it prints.
    fn openssl(&self, arguments: &[&str]) -> String {
        let output =
            oracle::finish(oracle::command("openssl").args(arguments).current_dir(self.folder.path()));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Tells whether OpenSSL finds a name; some versions say no with exit code 0, so the text decides.
    fn openssl_finds(&self, option: &str, name: &str) -> bool {
        let mut command = oracle::command("openssl");
        command.args(["x509", "-noout", "-in", "registry.crt", option, name]).current_dir(self.folder.path());
        let text = String::from_utf8(command.output().expect("openssl is installed").stdout).unwrap();
        let (yes, no) =
            (text.contains(" does match certificate"), text.contains(" does NOT match certificate"));
        assert!(yes != no, "openssl says neither yes nor no about {name}: {text}");
        yes
    }
}

fn names() -> Vec<SubjectName> {
    NAMES.iter().map(|name| name.parse().unwrap()).collect()
}

fn epoch() -> Epoch {
    "1763683200".parse().unwrap()
}

fn authority() -> Authority {
    // The century keeps these tests independent of the clock that the judges read.
    let key = PrivateKey::generate_p256().unwrap();
    Authority::generate_self_signed(key, "seedkit-lab-ca", &names(), epoch(), 36_500).unwrap()
}

fn view(path: &Path) -> CertificateView {
    CertificateView::from_pem(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn openssl_verifies_the_chain_even_in_strict_mode() {
    let files = Files::make();
    let verify = ["verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-CAfile", "ca.crt"];
    assert_eq!(files.openssl(&[&verify[..], &["registry.crt"]].concat()), "registry.crt: OK\n");
}

#[test]
fn openssl_does_not_verify_a_certificate_of_a_namesake_of_the_authority() {
    let files = Files::make();
    fs::write(files.path("ca.crt"), authority().pem()).unwrap();
    let mut command = oracle::command("openssl");
    command.args(["verify", "-CAfile", "ca.crt", "registry.crt"]).current_dir(files.folder.path());
    assert!(!command.output().unwrap().status.success());
    assert!(!view(&files.path("registry.crt")).is_signed_by(&view(&files.path("ca.crt"))));
}

#[test]
fn openssl_and_the_view_find_the_same_names() {
    let files = Files::make();
    let view = view(&files.path("registry.crt"));
    for (option, names, expected) in [
        ("-checkip", &COVERED_ADDRESSES[..], true),
        ("-checkhost", &COVERED_HOSTS, true),
        ("-checkip", &FOREIGN_ADDRESSES, false),
        ("-checkhost", &FOREIGN_HOSTS, false),
        // An address is found among IP SANs alone.
        ("-checkhost", &["192.168.6.1"], false),
    ] {
        for name in names {
            assert_eq!(files.openssl_finds(option, name), expected, "openssl {option} {name}");
            if *names != ["192.168.6.1"] {
                assert_eq!(view.covers(&name.parse().unwrap()), expected, "the view on {name}");
            }
        }
    }
}

#[test]
fn openssl_shows_the_extensions_as_they_should_be() {
    let files = Files::make();
    let text = |file| files.openssl(&["x509", "-noout", "-text", "-in", file]);
    let (ca, server) = (text("ca.crt"), text("registry.crt"));
    for (text, extension, value) in [
        (&ca, "X509v3 Basic Constraints: critical", "CA:TRUE, pathlen:0"),
        (&ca, "X509v3 Key Usage: critical", "Certificate Sign, CRL Sign"),
        (&ca, "X509v3 Name Constraints: critical", "Permitted:"),
        (&server, "X509v3 Basic Constraints: critical", "CA:FALSE"),
        (&server, "X509v3 Key Usage: critical", "Digital Signature"),
        (&server, "X509v3 Extended Key Usage:", "TLS Web Server Authentication"),
        (
            &server,
            "X509v3 Subject Alternative Name:",
            "IP Address:192.168.6.1, IP Address:FD00:0:0:0:0:0:6:1, DNS:registry.lan, DNS:xn--9t4b11yi5a.kr, \
             DNS:*.mirror.lan, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:localhost",
        ),
    ] {
        let mut lines = text.lines().map(str::trim).skip_while(|line| *line != extension);
        assert_eq!((lines.next(), lines.next()), (Some(extension), Some(value)), "{text}");
    }
    assert!(
        server.contains("ASN1 OID: prime256v1") && server.contains("Signature Algorithm: ecdsa-with-SHA256")
    );
    let identifier = |text: &str, name: &str| {
        text.lines().map(str::trim).skip_while(|line| !line.starts_with(name)).nth(1).unwrap().to_owned()
    };
    let authority_key = identifier(&server, "X509v3 Authority Key Identifier");
    assert_eq!(identifier(&ca, "X509v3 Subject Key Identifier"), authority_key);
    assert_ne!(identifier(&server, "X509v3 Subject Key Identifier"), authority_key);
}

#[test]
fn the_view_says_what_openssl_says() {
    let files = Files::make();
    let view = view(&files.path("registry.crt"));
    let ask = |option| {
        let answer = files.openssl(&[
            "x509",
            "-noout",
            "-in",
            "registry.crt",
            "-sha256",
            "-nameopt",
            "RFC2253",
            option,
        ]);
        answer.trim_end().split_once('=').unwrap().1.to_owned()
    };
    assert_eq!(view.fingerprint(), ask("-fingerprint"));
    assert_eq!(view.serial().replace(':', ""), ask("-serial"));
    assert_eq!(view.subject(), ask("-subject"));
    assert_eq!(view.issuer(), ask("-issuer"));
    assert_eq!((ask("-startdate").as_str(), view.not_before()), ("Oct 22 00:00:00 2025 GMT", 1_761_091_200));
    assert_eq!((ask("-enddate").as_str(), view.not_after()), ("Oct 27 00:00:00 2125 GMT", 4_917_196_800));
}

#[test]
fn openssl_reads_the_key_as_pkcs8_and_finds_it_in_the_certificate() {
    let files = Files::make();
    assert!(
        fs::read_to_string(files.path("registry.key")).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
    let of_key = files.openssl(&["pkey", "-in", "registry.key", "-pubout"]);
    assert_eq!(files.openssl(&["x509", "-in", "registry.crt", "-noout", "-pubkey"]), of_key);
}

/// A TLS server of OpenSSL's; it ends with the test.
struct Server {
    process: Child,
    port: u16,
    /// Kept open, so that what the server prints cannot end it.
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(files: &Files) -> Self {
        // s_server takes no port 0, and another test may be given the port that we found free.
        (0..10).find_map(|_| Self::start_on(files, free_port())).expect("openssl s_server finds a port")
    }

    fn start_on(files: &Files, port: u16) -> Option<Self> {
        let mut process = oracle::command("openssl")
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www"])
            .args(["-cert", "registry.crt", "-key", "registry.key"])
            .current_dir(files.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self { process, port, output };
        let is_listening = server.output.by_ref().lines().any(|line| line.unwrap() == "ACCEPT");
        is_listening.then_some(server)
    }

    /// Tells whether OpenSSL's client completes a handshake with a server that it takes for `name`.
    fn openssl_trusts(&self, files: &Files, option: &str, name: &str) -> bool {
        let mut client = oracle::command("openssl");
        client
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port), "-CAfile", "ca.crt"])
            .args(["-verify_return_error", option, name])
            .current_dir(files.folder.path())
            .stdin(Stdio::null());
        let output = client.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("CONNECTED"), "the server is gone: {output:?}");
        output.status.success() && text.contains("Verify return code: 0 (ok)")
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn openssl_shakes_hands_for_covered_names_only() {
    let files = Files::make();
    let server = Server::start(&files);
    for (option, name, expected) in [
        ("-verify_ip", "127.0.0.1", true),
        ("-verify_ip", "192.168.6.1", true),
        ("-verify_ip", "fd00::6:1", true),
        ("-verify_hostname", "registry.lan", true),
        ("-verify_ip", "192.168.6.2", false),
        ("-verify_hostname", "other.lan", false),
    ] {
        assert_eq!(server.openssl_trusts(&files, option, name), expected, "{option} {name}");
    }
}

#[test]
fn python_shakes_hands_for_covered_names_only() {
    const CLIENT: &str = "
import socket, ssl, sys
port, authority, *names = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.verify_flags |= ssl.VERIFY_X509_STRICT
for name in names:
    with socket.create_connection(('127.0.0.1', int(port))) as plain:
        try:
            context.wrap_socket(plain, server_hostname=name).close()
            print(name, 'yes')
        except ssl.SSLCertVerificationError:
            print(name, 'no')
";
    let files = Files::make();
    let server = Server::start(&files);
    let covered = [COVERED_ADDRESSES, COVERED_HOSTS].concat();
    let foreign = FOREIGN_ADDRESSES.iter().chain(&FOREIGN_HOSTS);
    let names: Vec<&str> = covered.iter().chain(foreign).copied().collect();
    let (port, authority) = (server.port.to_string(), files.path("ca.crt"));
    let fixed = ["-c", CLIENT, &port, authority.to_str().unwrap()];
    let answers = oracle::text("python3", fixed.iter().chain(&names));
    let expected: String = names
        .iter()
        .map(|name| format!("{name} {}\n", if covered.contains(name) { "yes" } else { "no" }))
        .collect();
    assert_eq!(answers, expected);
}

#[test]
fn rustls_shakes_hands_for_covered_names_only() {
    let files = Files::make();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.path("ca.crt")).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_file(files.path("registry.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(files.path("registry.key")).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (client, server) = (Arc::new(client), Arc::new(server));
    let trusts = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::clone(&client), name).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().is_ok()
    };
    for name in [COVERED_ADDRESSES, COVERED_HOSTS].concat() {
        assert!(trusts(name), "{name}");
    }
    for name in FOREIGN_ADDRESSES.iter().chain(&FOREIGN_HOSTS) {
        assert!(!trusts(name), "{name}");
    }
}

/// Lets OpenSSL make an authority such as a user would bring.
fn authority_of_openssl(subject: &str, new_key: &[&str]) -> Result<Authority, PkiError> {
    let folder = tempfile::tempdir().unwrap();
    let request =
        ["req", "-x509", "-nodes", "-days", "40000", "-subj", subject, "-out", "ca.crt", "-keyout", "ca.key"];
    oracle::finish(oracle::command("openssl").args(request).args(new_key).current_dir(folder.path()));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    Authority::from_pem(&read("ca.crt"), PrivateKey::from_pem(&SecretText::from(read("ca.key"))).unwrap())
}

#[test]
fn an_authority_made_by_openssl_signs_too() {
    for new_key in [
        &["-newkey", "rsa:2048"][..],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-newkey", "ed25519"],
    ] {
        let authority = authority_of_openssl("/C=KR/O=Lab/CN=Lab root", new_key).unwrap();
        let files = Files::signed_by(&authority);
        assert_eq!(
            files.openssl(&["verify", "-CAfile", "ca.crt", "registry.crt"]),
            "registry.crt: OK\n",
            "{new_key:?}"
        );
    }
}

#[test]
fn an_authority_whose_name_the_writer_cannot_repeat_signs_nothing() {
    // rcgen keeps one attribute of each type; the issuer's name would differ from the authority's own.
    let authority =
        authority_of_openssl("/O=Lab/OU=one/OU=two/CN=Lab root", &["-newkey", "rsa:2048"]).unwrap();
    let key = PrivateKey::generate_p256().unwrap();
    let error = authority.generate_server_certificate(&key, &[], epoch(), 1).unwrap_err();
    assert!(matches!(error, PkiError::Unverifiable(..)), "{error}");
}

#[test]
fn an_address_written_as_a_dns_name_covers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let request = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let names = "subjectAltName=DNS:192.168.6.1,DNS:Registry.LAN,email:a@b.c";
    let rest = ["-subj", "/CN=192.168.6.2", "-addext", names, "-keyout", "key", "-out", "crt"];
    oracle::finish(oracle::command("openssl").args(request).args(rest).current_dir(folder.path()));
    let view = view(&folder.path().join("crt"));
    assert!(view.covers(&"registry.lan".parse().unwrap()));
    assert!(!view.covers(&"192.168.6.1".parse().unwrap()) && !view.covers(&"192.168.6.2".parse().unwrap()));
    assert_eq!(view.names().len() + view.other_names().len(), 3);
}
