//! What a certificate says: read by x509-parser, which shares no code with the writer.
//!
//! The certificate may come from anywhere: its size is bounded, and what it holds beside addresses and
//! valid host names is shown and never matched.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Name};

use super::constraints::Permitted;
use super::name::SubjectName;
use crate::digest::Digest;
use crate::text::plain;

/// A bundle of all public authorities has 250 KiB.
const LARGEST_PEM: usize = 1024 * 1024;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// The content of one certificate; its signature is judged by [`CertificateView::is_signed_by`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateView {
    der: Vec<u8>,
    subject: String,
    issuer: String,
    serial: String,
    names: Vec<SubjectName>,
    other_names: Vec<String>,
    not_before: i64,
    not_after: i64,
    is_authority: bool,
    is_for_servers: bool,
    permitted: Permitted,
    public_key: Vec<u8>,
}

/// Says why a text is not the certificate that was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidCertificate {
    /// More than any bundle of certificates needs.
    #[error("{0} bytes are too many for certificates: at most {LARGEST_PEM}")]
    TooLarge(usize),
    /// The PEM is damaged.
    #[error("PEM block {0} is damaged: {1}")]
    Pem(usize, String),
    /// A key or a request where a certificate belongs.
    #[error("PEM block {number} is a `{label}`, not a `CERTIFICATE`")]
    Label {
        /// Which block, counted from 1.
        number: usize,
        /// What it says it is.
        label: String,
    },
    /// None, or several where one belongs.
    #[error("expected one certificate, found {0}")]
    Count(usize),
    /// The block is not an X.509 certificate.
    #[error("PEM block {0} holds no valid X.509 certificate: {1}")]
    Content(usize, String),
}

impl CertificateView {
    /// Reads a text with exactly one certificate; lines outside of the PEM block are ignored, as OpenSSL does.
    pub fn from_pem(text: &str) -> Result<Self, InvalidCertificate> {
        let mut views = Self::bundle_from_pem(text)?;
        match (views.pop(), views.len()) {
            (Some(view), 0) => Ok(view),
            (Some(_), others) => Err(InvalidCertificate::Count(others + 1)),
            (None, _) => Err(InvalidCertificate::Count(0)),
        }
    }

    /// Reads all certificates of a text, in its order: a chain, or a `ca_file` with several authorities.
    ///
    /// # Errors
    /// If there is any other PEM block: a private key in such a file would reach every node.
    pub fn bundle_from_pem(text: &str) -> Result<Vec<Self>, InvalidCertificate> {
        if text.len() > LARGEST_PEM {
            return Err(InvalidCertificate::TooLarge(text.len()));
        }
        let mut views = Vec::new();
        for (block, number) in Pem::iter_from_buffer(text.as_bytes()).zip(1..) {
            let block = block.map_err(|error| InvalidCertificate::Pem(number, error.to_string()))?;
            if block.label != "CERTIFICATE" {
                return Err(InvalidCertificate::Label { number, label: plain(&block.label) });
            }
            let view = Self::from_der(block.contents)
                .map_err(|reason| InvalidCertificate::Content(number, reason))?;
            views.push(view);
        }
        Ok(views)
    }

    fn from_der(der: Vec<u8>) -> Result<Self, String> {
        let certificate = parse(&der)?;
        let (names, other_names) = alternative_names(&certificate)?;
        let usage = certificate.key_usage().map_err(|error| error.to_string())?;
        let extended = certificate.extended_key_usage().map_err(|error| error.to_string())?;
        Ok(Self {
            subject: name_text(certificate.subject())?,
            issuer: name_text(certificate.issuer())?,
            serial: hex_pairs(without_sign(certificate.raw_serial())),
            names,
            other_names,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            // RFC 5280, section 4.2.1.3: an authority without a key usage may sign certificates.
            is_authority: certificate.is_ca()
                && usage.as_ref().is_none_or(|usage| usage.value.key_cert_sign()),
            // RFC 5280, section 4.2.1.12: a certificate without an extended key usage serves every purpose.
            // With a key usage it must be one by which a server proves that it has the key, or agrees on another.
            is_for_servers: extended.is_none_or(|usage| usage.value.any || usage.value.server_auth)
                && usage.as_ref().is_none_or(|usage| {
                    let usage = usage.value;
                    usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
                }),
            permitted: Permitted::of(&certificate),
            public_key: certificate.public_key().raw.to_vec(),
            der,
        })
    }

    /// Returns whom the certificate describes, such as `CN=registry.lan`. Clients do not look at it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns who signed it, such as `CN=lab registry CA`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the serial number as hexadecimal pairs, such as `0A:FF`.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Returns the addresses and host names that it vouches for, in its order.
    pub fn names(&self) -> &[SubjectName] {
        &self.names
    }

    /// Returns the alternative names that no client of a registry would match: e-mail addresses, bad host names.
    pub fn other_names(&self) -> &[String] {
        &self.other_names
    }

    /// Returns the first second of its validity, counted from 1970.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Returns the last second of its validity, counted from 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Returns the whole days left at `now`, in seconds since 1970; negative once it has expired.
    pub fn days_left(&self, now: i64) -> i64 {
        self.not_after.saturating_sub(now).div_euclid(SECONDS_PER_DAY)
    }

    /// Returns whether `now`, in seconds since 1970, lies within its validity.
    pub fn is_valid_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Returns whether it may sign other certificates.
    pub fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Returns whether a TLS server may present it.
    pub fn is_for_servers(&self) -> bool {
        self.is_for_servers
    }

    /// Returns the names that it may vouch for, if it is an authority.
    pub fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// Returns its public key as a DER `SubjectPublicKeyInfo`, to be compared with that of a private key.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns the SHA-256 of the DER form.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.der)
    }

    /// Returns the SHA-256 of the DER form in upper-case pairs, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprint(&self) -> String {
        let hex = self.digest().hex().to_ascii_uppercase();
        let pairs: Vec<&str> = (0..hex.len()).step_by(2).map(|start| &hex[start..start + 2]).collect();
        pairs.join(":")
    }

    /// Returns whether a client that connects to `name` finds it here: addresses among IP SANs only.
    pub fn covers(&self, name: &SubjectName) -> bool {
        self.names.iter().any(|own| match (own, name) {
            (SubjectName::Ip(own), SubjectName::Ip(wanted)) => own == wanted,
            (SubjectName::Dns(own), SubjectName::Dns(wanted)) => own.covers(wanted),
            (SubjectName::Ip(_), SubjectName::Dns(_)) | (SubjectName::Dns(_), SubjectName::Ip(_)) => false,
        })
    }

    /// Returns whether `authority` may sign certificates, is the issuer named here, and made this signature.
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        let (Ok(certificate), Ok(issuer)) = (parse(&self.der), parse(&authority.der)) else { return false };
        authority.is_authority
            && certificate.issuer().as_raw() == issuer.subject().as_raw()
            && certificate.verify_signature(Some(issuer.public_key())).is_ok()
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(format!("{} bytes follow it", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the names a client can match, and the others as text.
fn alternative_names(certificate: &X509Certificate<'_>) -> Result<(Vec<SubjectName>, Vec<String>), String> {
    let (mut names, mut others) = (Vec::new(), Vec::new());
    let extension = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match subject_name(name) {
            Some(name) => names.push(name),
            None => others.push(plain(&name.to_string())),
        }
    }
    Ok((names, others))
}

fn subject_name(name: &GeneralName<'_>) -> Option<SubjectName> {
    if let GeneralName::IPAddress(octets) = name {
        let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
        return v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(SubjectName::from);
    }
    let GeneralName::DNSName(text) = name else { return None };
    // An address written as a DNS SAN is a frequent mistake, and no client takes it for an address.
    text.parse().ok().filter(|name| matches!(name, SubjectName::Dns(_)))
}

/// Writes a distinguished name; refuses one with an empty part, which other parsers stumble over.
fn name_text(name: &X509Name<'_>) -> Result<String, String> {
    if name.iter_rdn().any(|part| part.iter().next().is_none()) {
        return Err("a part of a name is empty".to_owned());
    }
    Ok(plain(&name.to_string()))
}

/// Returns a positive number of DER without the octet that only says that it is positive (X.690, 8.3).
fn without_sign(number: &[u8]) -> &[u8] {
    match number {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

fn hex_pairs(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, PrivateKey};

    const EPOCH: i64 = 1_763_683_200;

    fn authority(subject: &str) -> Authority {
        let epoch = u64::try_from(EPOCH).unwrap().try_into().unwrap();
        Authority::generate_self_signed(PrivateKey::generate_p256().unwrap(), subject, &[], epoch, 10)
            .unwrap()
    }

    #[test]
    fn days_left_are_whole_days_and_negative_after_the_end() {
        let view = authority("a").view().clone();
        let day = SECONDS_PER_DAY;
        for (now, days) in [(0, 10), (1, 9), (9 * day, 1), (10 * day, 0), (10 * day + 1, -1), (12 * day, -2)]
        {
            assert_eq!(view.days_left(EPOCH + now), days, "{now}");
        }
        assert!(view.is_valid_at(EPOCH - 30 * day) && !view.is_valid_at(EPOCH - 30 * day - 1));
        assert!(view.is_valid_at(EPOCH + 10 * day) && !view.is_valid_at(EPOCH + 10 * day + 1));
        assert_eq!(view.days_left(i64::MIN), (i64::MAX).div_euclid(day));
    }

    #[test]
    fn a_namesake_is_not_the_issuer() {
        let (one, namesake, other) = (authority("lab"), authority("lab"), authority("other"));
        assert!(one.view().is_signed_by(one.view()));
        assert!(!one.view().is_signed_by(namesake.view()) && !one.view().is_signed_by(other.view()));
    }

    #[test]
    fn a_text_that_is_not_one_certificate_is_refused_with_the_reason() {
        let pem = authority("lab").pem().to_owned();
        let key = PrivateKey::generate_p256().unwrap().to_pem();
        let body =
            pem.replace("-----BEGIN CERTIFICATE-----\n", "").replace("-----END CERTIFICATE-----\n", "");
        for (text, reason) in [
            (String::new(), "expected one certificate, found 0"),
            ("garbage\0\u{1b}[2J".to_owned(), "expected one certificate, found 0"),
            (body, "expected one certificate, found 0"),
            (pem.repeat(3), "expected one certificate, found 3"),
            (key.expose().to_owned(), "PEM block 1 is a `PRIVATE KEY`"),
            (format!("{pem}{}", key.expose()), "PEM block 2 is a `PRIVATE KEY`"),
            (pem[..pem.len() / 2].to_owned(), "PEM block 1 is damaged"),
            (pem.replacen("MII", "M*I", 1), "PEM block 1 is damaged"),
            (pem.replacen("MII", "AII", 1), "PEM block 1 holds no valid X.509 certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----".to_owned(),
                "PEM block 1 holds no valid",
            ),
            ("x".repeat(LARGEST_PEM + 1), "1048577 bytes are too many"),
        ] {
            let message = CertificateView::from_pem(&text).unwrap_err().to_string();
            assert!(message.contains(reason), "{reason}: {message}");
        }
        assert_eq!(CertificateView::bundle_from_pem(&pem.repeat(3)).unwrap().len(), 3);
        assert_eq!(
            CertificateView::from_pem(&format!("Subject: CN=lab\n{pem}\n")).unwrap().subject(),
            "CN=lab"
        );
    }

    #[test]
    fn a_certificate_cut_or_changed_anywhere_says_nothing_else_that_verifies() {
        let authority = authority("lab");
        let der = authority.view().der.clone();
        for position in 0..der.len() {
            assert!(CertificateView::from_der(der[..position].to_vec()).is_err(), "cut at {position}");
            let mut changed = der.clone();
            changed[position] ^= 0x55;
            let Ok(view) = CertificateView::from_der(changed) else { continue };
            if view.is_signed_by(authority.view()) {
                // The parser forgives a wrong tag beside the signature; what is signed must be the same.
                assert_eq!(
                    CertificateView { der: der.clone(), ..view },
                    *authority.view(),
                    "changed at {position}"
                );
            }
        }
    }
}
