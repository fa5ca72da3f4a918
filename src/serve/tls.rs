//! The server's side of TLS: certificate and key from files, TLS 1.2 and 1.3, HTTP/1.1.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::fs::read_bounded;

/// What a file of certificates or a key may hold at most.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the registry's {0}")]
    Read(&'static str, #[source] std::io::Error),
    /// A file holds something else.
    #[error("`{1}` holds no {0}")]
    Content(&'static str, PathBuf),
    /// The two do not fit, or are of a kind that is not supported.
    #[error("`{certificate}` and `{key}` cannot be used together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// Certificate and key, ready to be used.
#[derive(Debug, Clone)]
pub struct Identity {
    pub(super) configuration: Arc<ServerConfig>,
    /// Whether other users of this machine may read the key.
    pub is_key_open_to_others: bool,
}

impl Identity {
    /// Reads a certificate, perhaps with those between it and its authority, and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let (pem, _) = read("certificate", certificate)?;
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let no_certificate = || TlsError::Content("certificate", certificate.to_owned());
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(no_certificate)?;
        let (pem, mode) = read("key", key)?;
        let private_key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| TlsError::Content("private key", key.to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let configuration = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private_key));
        let mut configuration = configuration.map_err(|source| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
        // Not HTTP/2: all blobs of a client would share one TCP connection, which was measured to be slower.
        configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { configuration: Arc::new(configuration), is_key_open_to_others: mode & 0o077 != 0 })
    }
}

fn read(what: &'static str, path: &Path) -> Result<(Vec<u8>, u32), TlsError> {
    let fail = |source| TlsError::Read(what, source);
    let bytes = read_bounded(path, LARGEST_FILE).map_err(fail)?;
    let mode = fs_err::metadata(path).map_err(fail)?.permissions().mode();
    Ok((bytes, mode))
}
