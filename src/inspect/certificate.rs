//! A PEM file of certificates: one, a chain, or a bundle of authorities.

use serde::Serialize;

use crate::pki::{CertificateView, InvalidCertificate};

/// Certificates, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificates {
    /// The certificates.
    pub certificates: Vec<Certificate>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Whom it describes.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The serial number as hexadecimal pairs.
    pub serial: String,
    /// The addresses and host names that it vouches for.
    pub names: Vec<String>,
    /// Its other alternative names, which no client of a registry matches.
    pub other_names: Vec<String>,
    /// The first second of its validity, counted from 1970.
    pub not_before: i64,
    /// The last second of its validity, counted from 1970.
    pub not_after: i64,
    /// The whole days left; negative once it has expired.
    pub days_left: i64,
    /// Whether it may sign other certificates.
    pub is_authority: bool,
    /// Whether a TLS server may present it.
    pub is_for_servers: bool,
    /// Whether it is an authority that signed itself.
    pub is_root: bool,
    /// The SHA-256 of its DER form, in pairs.
    pub fingerprint: String,
}

/// Reads all certificates of a text; a private key in it is an error, and is not shown.
pub(super) fn read(text: &str, now: i64) -> Result<Certificates, InvalidCertificate> {
    let views = CertificateView::bundle_from_pem(text)?;
    if views.is_empty() {
        return Err(InvalidCertificate::Count(0));
    }
    Ok(Certificates { certificates: views.iter().map(|view| describe(view, now)).collect() })
}

fn describe(view: &CertificateView, now: i64) -> Certificate {
    Certificate {
        subject: view.subject().to_owned(),
        issuer: view.issuer().to_owned(),
        serial: view.serial().to_owned(),
        names: view.names().iter().map(ToString::to_string).collect(),
        other_names: view.other_names().to_vec(),
        not_before: view.not_before(),
        not_after: view.not_after(),
        days_left: view.days_left(now),
        is_authority: view.is_authority(),
        is_for_servers: view.is_for_servers(),
        is_root: view.is_signed_by(view),
        fingerprint: view.fingerprint(),
    }
}
