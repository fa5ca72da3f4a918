//! Whom a client trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::fs::{LARGEST, read_bounded};
use crate::oci::{SourceError, SourceErrorKind};

/// Where distributions keep the authorities they trust: Debian and its kin, Fedora and its kin, SUSE, Alpine.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes the TLS configuration that trusts the authorities of `bundle`, else the system's, and those of `ca_file`.
pub(super) fn configuration(
    bundle: Option<&Path>,
    ca_file: Option<&Path>,
) -> Result<ClientConfig, SourceError> {
    let mut roots = RootCertStore::empty();
    let system = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.is_file());
    // A system without a bundle trusts nobody: what a CA file does not cover is then refused when asked.
    if let Some(bundle) = bundle.or(system) {
        // Bundles hold old certificates that no longer parse; one of them is no reason to trust nobody.
        roots.add_parsable_certificates(certificates(bundle)?);
    }
    if let Some(ca_file) = ca_file {
        for certificate in certificates(ca_file)? {
            roots.add(certificate).map_err(|error| unusable(ca_file, "cannot be used").caused_by(error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(configuration)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let bytes =
        read_bounded(path, LARGEST).map_err(|error| unusable(path, "cannot be read").caused_by(error))?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(path, "is not PEM").caused_by(error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, why: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Local, format!("the CA file `{}` {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        fs::write(&path, "-----BEGIN NOTHING-----\nAA==\n-----END NOTHING-----\n").unwrap();
        let error = configuration(None, Some(&path)).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Local);
        assert!(error.message.contains("ca.crt` holds no certificate"), "{error}");
        let error = configuration(Some(&folder.path().join("absent")), None).unwrap_err();
        assert!(error.message.contains("absent` cannot be read"), "{error}");
    }
}
