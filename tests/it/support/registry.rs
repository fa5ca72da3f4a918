//! Debian's docker-registry on loopback, one per test, ended with its test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::Arc;

use fs_err as fs;
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use seedkit::oci::media_type;

use super::oracle;
use super::tls::Certificate;

/// The name that a registry with a password knows.
pub(crate) const USER: &str = "someone";
/// The password of [`USER`]; it has a space and a colon, which break careless readers of credentials.
pub(crate) const PASSWORD: &str = "s3cret pass:word";
/// What `crypt` makes of the password: the registry takes bcrypt only.
pub(crate) const PASSWORD_HASH: &str = "$2b$05$abcdefghijklmnopqrstuuWqE.ZbojV4lW1JhHwMXr3EQklLDUc6y";

/// A running registry with an empty store of its own.
pub(crate) struct Registry {
    child: Child,
    authority: String,
    certificate: Option<Certificate>,
    has_password: bool,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry that speaks plain HTTP and asks for no password.
    pub(crate) fn start() -> Self {
        Self::start_with(None, false)
    }

    /// Starts a registry that fetches what it does not have from the one at `url`, whose authority is `ca_file`.
    pub(crate) fn start_before(url: &str, ca_file: &Path) -> Self {
        Self::start_as(None, false, Some((url, ca_file)))
    }

    /// Starts a registry that asks for [`USER`] and [`PASSWORD`] by Basic authentication.
    pub(crate) fn start_with_password() -> Self {
        Self::start_with(None, true)
    }

    /// Starts a registry that speaks TLS.
    pub(crate) fn start_with_tls(certificate: Certificate) -> Self {
        Self::start_with(Some(certificate), false)
    }

    /// Starts a registry that speaks TLS, and asks for [`USER`] and [`PASSWORD`].
    pub(crate) fn start_with_tls_and_password(certificate: Certificate) -> Self {
        Self::start_with(Some(certificate), true)
    }

    fn start_with(certificate: Option<Certificate>, has_password: bool) -> Self {
        Self::start_as(certificate, has_password, None)
    }

    fn start_as(certificate: Option<Certificate>, has_password: bool, behind: Option<(&str, &Path)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("config.yml");
        let htpasswd = folder.path().join("htpasswd");
        fs::write(&htpasswd, format!("{USER}:{PASSWORD_HASH}\n")).unwrap();
        let store = folder.path().join("store");
        let mut text = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {store:?}}}, delete: {{enabled: true}}}}\n\
             validation: {{manifests: {{urls: {{allow: ['.*']}}}}}}\n"
        );
        if has_password {
            text += &format!("auth: {{htpasswd: {{realm: test, path: {htpasswd:?}}}}}\n");
        }
        if let Some((url, _)) = behind {
            text += &format!("proxy: {{remoteurl: {url:?}}}\n");
        }
        let tls = certificate.as_ref().map_or(String::new(), |certificate| {
            format!(", tls: {{certificate: {:?}, key: {:?}}}", certificate.certificate(), certificate.key())
        });
        text += &format!("http: {{addr: '127.0.0.1:0', secret: test{tls}}}\n");
        fs::write(&configuration, text).unwrap();
        let mut command = oracle::command("docker-registry");
        command.arg("serve").arg(configuration).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some((_, ca_file)) = behind {
            command.env("SSL_CERT_FILE", ca_file).env_remove("HTTPS_PROXY").env_remove("https_proxy");
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("the oracle docker-registry: {error}"));
        let authority = listening_address(child.stderr.take().unwrap());
        let client = client(certificate.as_ref());
        Self { child, authority, certificate, has_password, client, _folder: folder }
    }

    /// Returns `127.0.0.1:port`, the registry's name in references.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the URL below which `/v2/` is.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// Returns the certificate of the authority to trust, for a registry that speaks TLS.
    pub(crate) fn ca_file(&self) -> Option<PathBuf> {
        self.certificate.as_ref().map(Certificate::authority)
    }

    /// Returns name and password, for a registry that asks for them.
    pub(crate) fn credentials(&self) -> Option<(&'static str, &'static str)> {
        self.has_password.then_some((USER, PASSWORD))
    }

    /// Sends a request, to a path or to a whole URL of this registry, with its credentials if it has any.
    ///
    /// # Panics
    /// If the answer is not one of success; the message then holds what the registry said.
    pub(crate) fn send(&self, method: Method, target: &str, content_type: &str, body: Vec<u8>) -> Response {
        let url = if target.starts_with('/') { self.url() + target } else { target.to_owned() };
        let accept = media_type::MANIFESTS.join(", ");
        let mut request = self.client.request(method, &url).header("Accept", accept);
        request = request.header("Content-Type", content_type).body(body);
        if let Some((user, password)) = self.credentials() {
            request = request.basic_auth(user, Some(password));
        }
        let response = request.send().unwrap();
        let status = response.status();
        assert!(status.is_success(), "{url} answers {status}: {}", response.text().unwrap());
        response
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both may fail only if the registry has ended by itself, which its log has told.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Makes a client that is not the one under test.
fn client(certificate: Option<&Certificate>) -> Client {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(certificate) = certificate {
        roots.add(CertificateDer::from_pem_file(certificate.authority()).unwrap()).unwrap();
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

/// Reads the log up to the line that names the address; the rest of it is read and dropped on a thread.
fn listening_address(log: ChildStderr) -> String {
    let mut lines = BufReader::new(log).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        let address = line.split("listening on ").nth(1).and_then(|rest| rest.split(['"', ',']).next());
        if let Some(address) = address {
            let address = address.to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return address;
        }
        seen.push(line);
    }
    panic!("docker-registry ended before it listened:\n{}", seen.join("\n"));
}

mod tests {
    use super::*;

    #[test]
    fn the_registry_speaks_tls_with_a_certificate_that_openssl_made() {
        let registry = Registry::start_with_tls(Certificate::new());
        assert!(registry.ca_file().is_some());
        assert!(registry.send(Method::GET, "/v2/", "", vec![]).url().scheme() == "https");
    }
}
