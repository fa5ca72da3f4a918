//! Who believes the registry's authority about a server that is not the registry.

use std::sync::Arc;

use fs_err as fs;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use seedkit::pki::Authority;

use super::{Files, Server, authority};
use crate::support::oracle;

/// Lets OpenSSL forge a certificate, as somebody would who has the authority's key.
fn forge(authority: &Authority, alternative_names: &str) -> Files {
    let files = Files::signed_by(authority);
    fs::write(files.path("ca.key"), authority.key().to_pem().expose()).unwrap();
    fs::write(files.path("extensions"), format!("subjectAltName={alternative_names}\n")).unwrap();
    files.openssl(&["req", "-new", "-key", "registry.key", "-subj", "/CN=forged", "-out", "request"]);
    files.openssl(&[
        "x509",
        "-req",
        "-in",
        "request",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-extfile",
        "extensions",
        "-days",
        "9",
        "-out",
        "registry.crt",
    ]);
    files
}

/// Returns what OpenSSL says of a chain.
fn openssl_says(files: &Files) -> String {
    let mut command = oracle::command("openssl");
    command.args(["verify", "-CAfile", "ca.crt", "registry.crt"]).current_dir(files.folder.path());
    String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned()
}

/// Returns what Go's verifier, in skopeo, says of a server.
fn go_says(files: &Files, server: &Server) -> String {
    let folder = files.path("certs");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(files.path("ca.crt"), folder.join("ca.crt")).unwrap();
    let mut command = oracle::command("skopeo");
    let image = format!("docker://127.0.0.1:{}/a:1", server.port);
    command.args(["inspect", "--raw", "--cert-dir", folder.to_str().unwrap(), &image]);
    String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned()
}

/// Returns what rustls' verifier says of a certificate for the registry's own machine.
fn rustls_says(files: &Files) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.path("ca.crt")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let server = CertificateDer::from_pem_file(files.path("registry.crt")).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let now = rustls::pki_types::UnixTime::now();
    let answer = rustls::client::danger::ServerCertVerifier::verify_server_cert(
        &*verifier,
        &server,
        &[],
        &name,
        &[],
        now,
    );
    answer.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn nobody_believes_the_authority_about_a_server_that_is_none_of_its_own() {
    let authority = authority();
    for (alternative_names, is_believed) in [
        ("IP:127.0.0.1,DNS:registry.lan,IP:192.168.6.1", true),
        ("IP:127.0.0.1,DNS:harbor.example", false),
        ("IP:127.0.0.1,IP:192.168.6.2", false),
    ] {
        let files = forge(&authority, alternative_names);
        let server = Server::start(&files);
        let (openssl, go, rustls) = (openssl_says(&files), go_says(&files, &server), rustls_says(&files));
        // What answers is not a registry; Go says so once it has believed the certificate.
        let answers = [
            !openssl.contains("permitted subtree violation"),
            !go.contains("not authorized to sign for this name"),
            !rustls.contains("NameConstraintViolation"),
        ];
        assert_eq!(answers, [is_believed; 3], "{alternative_names}: {openssl}\n{go}\n{rustls}");
        assert!(!is_believed || openssl.is_empty() && rustls.is_empty() && !go.contains("x509"), "{go}");
    }
}
