//! Certificates for servers of the tests, made by OpenSSL: somebody else's, not ours.

use std::path::PathBuf;

use super::oracle;

/// An authority and a server's certificate that it signed.
pub(crate) struct Certificate {
    folder: tempfile::TempDir,
}

impl Certificate {
    /// Makes a new authority, a key and a certificate.
    pub(crate) fn new() -> Self {
        Self::for_names("IP:127.0.0.1,DNS:localhost")
    }

    /// Makes the same for other names, in OpenSSL's form: `DNS:name,IP:address`.
    pub(crate) fn for_names(names: &str) -> Self {
        let certificate = Self { folder: tempfile::tempdir().unwrap() };
        certificate.request("ca", "/CN=authority of a test", &["-addext", "keyUsage=critical,keyCertSign"]);
        certificate.request(
            "server",
            "/CN=server of a test",
            &[
                "-CA",
                certificate.authority().to_str().unwrap(),
                "-CAkey",
                certificate.file("ca.key").to_str().unwrap(),
                "-addext",
                &format!("subjectAltName={names}"),
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        );
        certificate
    }

    /// Makes a certificate that signs itself and is an authority, as `openssl req -x509` does by default.
    pub(crate) fn self_signed() -> Self {
        let certificate = Self { folder: tempfile::tempdir().unwrap() };
        certificate.request("server", "/CN=self", &["-addext", "subjectAltName=IP:127.0.0.1"]);
        certificate
    }

    fn request(&self, name: &str, subject: &str, more: &[&str]) {
        let (key, certificate) = (self.file(&format!("{name}.key")), self.file(&format!("{name}.crt")));
        let mut command = oracle::command("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", subject, "-keyout"]).arg(key).arg("-out").arg(certificate);
        oracle::finish(command.args(more));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the authority's certificate, which a client must trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// Returns the server's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("server.crt")
    }

    /// Returns the server's key.
    pub(crate) fn key(&self) -> PathBuf {
        self.file("server.key")
    }
}
