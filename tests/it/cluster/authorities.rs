//! OpenSSL reads what k3s would find in `server/tls`: chains, extensions, keys, the token's hash.

use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use super::{DAY, EPOCH, load, secrets, write};
use crate::support::oracle;
use crate::support::sandbox::files;

/// The authorities that k3s looks for.
const COMPONENTS: [&str; 5] =
    ["client-ca", "etcd/peer-ca", "etcd/server-ca", "request-header-ca", "server-ca"];

/// `server/tls` of the first server, and beside it the certificates of each chain one by one.
struct Tls {
    folder: TempDir,
    hash: String,
}

impl Tls {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authorities, is_new) = load(&secrets(folder.path())).unwrap();
        assert!(is_new);
        write(&authorities, folder.path());
        for component in COMPONENTS {
            let chain = fs::read_to_string(folder.path().join(format!("tls/{component}.crt"))).unwrap();
            let end = "-----END CERTIFICATE-----\n";
            let certificates: Vec<&str> = chain.split_inclusive(end).collect();
            assert_eq!(certificates.len(), 3, "{component}: {chain}");
            let target = folder.path().join("parts").join(component);
            fs::create_dir_all(&target).unwrap();
            for (name, certificate) in ["own", "intermediate", "root"].iter().zip(certificates) {
                fs::write(target.join(name), certificate).unwrap();
            }
        }
        Self { hash: authorities.token_hash(), folder }
    }

    fn part(&self, component: &str, name: &str) -> PathBuf {
        self.folder.path().join("parts").join(component).join(name)
    }

    /// Runs `openssl` on a file and returns what it prints.
    fn openssl(arguments: &[&str], file: &Path) -> String {
        let arguments = arguments.iter().map(AsRef::as_ref);
        oracle::text("openssl", arguments.chain([file.as_os_str()]))
    }
}

#[test]
fn openssl_verifies_each_component_up_to_the_root() {
    let tls = Tls::make();
    // A time within their validity, whatever the clock of the machine says.
    let time = (EPOCH - 29 * DAY).to_string();
    for component in COMPONENTS {
        let path = |name| tls.part(component, name).to_str().unwrap().to_owned();
        let (root, intermediate, own) = (path("root"), path("intermediate"), path("own"));
        let verify = |options: &[&str]| {
            let mut command = oracle::command("openssl");
            command.args(["verify", "-x509_strict", "-check_ss_sig", "-attime", &time, "-CAfile", &root]);
            command.args(options).arg(&own).output().unwrap().status.success()
        };
        assert!(verify(&["-untrusted", &intermediate]), "{component}");
        assert!(!verify(&[]), "{component} is signed by the root itself");
    }
}

#[test]
fn all_chains_end_in_one_root_and_no_two_keys_are_the_same() {
    let tls = Tls::make();
    let read = |component, name| fs::read_to_string(tls.part(component, name)).unwrap();
    let mut keys = Vec::new();
    for component in COMPONENTS {
        for name in ["intermediate", "root"] {
            assert_eq!(read(component, name), read("server-ca", name), "{component} {name}");
        }
        keys.push(Tls::openssl(&["x509", "-noout", "-pubkey", "-in"], &tls.part(component, "own")));
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), COMPONENTS.len());
}

#[test]
fn every_authority_has_the_extensions_that_k3s_own_script_writes() {
    let tls = Tls::make();
    let text =
        |name: &str| Tls::openssl(&["x509", "-noout", "-text", "-in"], &tls.part("etcd/peer-ca", name));
    let value = |text: &str, extension: &str| {
        let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with(extension));
        (
            lines.next().map(str::to_owned),
            lines.next().unwrap_or_default().trim_start_matches("keyid:").to_owned(),
        )
    };
    for (name, subject, issuer, last_day) in [
        ("root", "k3s-root-ca", "root", "Nov 16 00:00:00 2045 GMT"),
        ("intermediate", "k3s-intermediate-ca", "root", "Jan  8 00:00:00 2036 GMT"),
        ("own", "k3s-etcd-peer-ca", "intermediate", "Jan  8 00:00:00 2036 GMT"),
    ] {
        let text = text(name);
        let subject = format!("Subject: CN = {subject}@{EPOCH}");
        assert!(text.contains(&subject) || text.contains(&subject.replace(" = ", "=")), "{text}");
        assert!(text.contains("Not Before: Oct 22 00:00:00 2025 GMT"), "{text}");
        assert!(text.contains(&format!("Not After : {last_day}")), "{text}");
        assert!(text.contains("ASN1 OID: prime256v1"), "{text}");
        let expected = (Some("X509v3 Basic Constraints: critical".to_owned()), "CA:TRUE".to_owned());
        assert_eq!(value(&text, "X509v3 Basic Constraints"), expected);
        let usage = "Digital Signature, Key Encipherment, Certificate Sign".to_owned();
        assert_eq!(value(&text, "X509v3 Key Usage"), (Some("X509v3 Key Usage: critical".to_owned()), usage));
        let issuer = Tls::openssl(&["x509", "-noout", "-text", "-in"], &tls.part("etcd/peer-ca", issuer));
        let (_, signed_by) = value(&text, "X509v3 Authority Key Identifier");
        assert_eq!(signed_by, value(&issuer, "X509v3 Subject Key Identifier").1, "{text}");
        assert!(!text.contains("Extended Key Usage"), "{text}");
    }
}

#[test]
fn keys_are_the_certificates_own_in_the_forms_that_k3s_writes() {
    let tls = Tls::make();
    let folder = tls.folder.path().join("tls");
    for component in COMPONENTS {
        let key = folder.join(format!("{component}.key"));
        let text = fs::read_to_string(&key).unwrap();
        assert!(text.starts_with("-----BEGIN EC PRIVATE KEY-----\n"), "{component}");
        let public = Tls::openssl(&["ec", "-pubout", "-in"], &key);
        assert_eq!(public, Tls::openssl(&["x509", "-noout", "-pubkey", "-in"], &tls.part(component, "own")));
        // The curve stands in the key itself: Go finds it nowhere else.
        assert!(Tls::openssl(&["asn1parse", "-in"], &key).contains(":prime256v1"), "{component}");
    }
    let key = folder.join("service.key");
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    let text = Tls::openssl(&["rsa", "-check", "-noout", "-text", "-in"], &key);
    assert!(text.contains("RSA key ok") && text.contains("(2048 bit"), "{text}");
}

#[test]
fn the_tokens_hash_is_the_sha256_of_the_root_in_der() {
    let tls = Tls::make();
    let der = tls.folder.path().join("root.der");
    let root = tls.part("server-ca", "root");
    oracle::run(
        "openssl",
        ["x509", "-outform", "DER", "-in", root.to_str().unwrap(), "-out", der.to_str().unwrap()],
    );
    let sum = oracle::text("sha256sum", [&der]);
    assert_eq!(sum.split(' ').next().unwrap(), tls.hash);
    let fingerprint = Tls::openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in"], &root);
    let fingerprint = fingerprint.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
    assert_eq!(fingerprint, tls.hash);
}

#[test]
fn the_first_server_gets_the_files_that_k3s_names_and_no_others() {
    let tls = Tls::make();
    let mut expected: Vec<String> =
        COMPONENTS.iter().flat_map(|name| [format!("{name}.crt"), format!("{name}.key")]).collect();
    expected.push("service.key".to_owned());
    expected.sort();
    let mut found: Vec<String> =
        files(&tls.folder.path().join("tls")).iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    found.sort();
    assert_eq!(found, expected);
}
