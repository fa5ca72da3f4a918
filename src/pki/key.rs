//! Private keys as PKCS#8, which containerd, registries, OpenSSL and ring all read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};

use crate::secrets::SecretText;

// RFC 5915, `ECPrivateKey` on P-256: all its parts have one length. OpenSSL and Go find no key without the curve's
// name in it, which the crates leave out.
/// A sequence of 119 octets: version 1, then a private key of 32 octets.
const SEC1_START: [u8; 7] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// `[0]`: the identifier of `prime256v1`.
const SEC1_CURVE: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `[1]`: a bit string of 65 octets, the point in uncompressed form.
const SEC1_PUBLIC_START: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];
/// RFC 7468: characters in a line of PEM.
const PEM_LINE: usize = 64;

/// A private key that can sign; `Debug` shows only its algorithm.
#[derive(derive_more::Debug)]
#[debug("PrivateKey([secret], {:?})", _0.algorithm())]
pub struct PrivateKey(KeyPair);

/// Says why a private key cannot be made or read; the key itself is never repeated in it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// The operating system has no random numbers.
    #[error("cannot make a private key")]
    Generate(#[source] rcgen::Error),
    /// A certificate, several keys, or no PEM at all.
    #[error("expected one PEM block `PRIVATE KEY` and nothing else, found {0}")]
    Blocks(String),
    /// The block holds no key that can be used.
    #[error(
        "the PEM block `PRIVATE KEY` holds no usable PKCS#8 key: expected ECDSA P-256 or P-384, Ed25519 or RSA"
    )]
    Content(#[source] rcgen::Error),
    /// The key is of another kind than its place asks for.
    #[error("the key is not an ECDSA key on the curve P-256")]
    Curve,
}

impl PrivateKey {
    /// Makes an ECDSA key on the curve P-256.
    ///
    /// To be called once for each certificate: the key is kept in the secrets and is an input afterwards.
    pub fn generate_p256() -> Result<Self, InvalidKey> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(InvalidKey::Generate)
    }

    /// Reads a PKCS#8 key, seedkit's own or one that the user brought.
    pub fn from_pem(pem: &SecretText) -> Result<Self, InvalidKey> {
        let labels: Vec<&str> = pem
            .expose()
            .lines()
            .filter_map(|line| line.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----"))
            .collect();
        match labels.as_slice() {
            ["PRIVATE KEY"] => KeyPair::from_pem(pem.expose()).map(Self).map_err(InvalidKey::Content),
            [] => Err(InvalidKey::Blocks("no PEM block".to_owned())),
            [label] => Err(InvalidKey::Blocks(format!("`{}`", label.escape_debug()))),
            labels => Err(InvalidKey::Blocks(format!("{} blocks", labels.len()))),
        }
    }

    /// Returns the key as PKCS#8 in PEM, to be written with mode 0600.
    pub fn to_pem(&self) -> SecretText {
        SecretText::from(self.0.serialize_pem())
    }

    /// Returns the key as SEC 1 in PEM, `EC PRIVATE KEY` with its curve inside: the form of k3s' own keys (RFC 5915).
    ///
    /// # Errors
    /// If it is not a key on the curve P-256.
    pub fn to_sec1_pem(&self) -> Result<SecretText, InvalidKey> {
        let key = p256::SecretKey::from_pkcs8_der(&self.0.serialize_der()).map_err(|_| InvalidKey::Curve)?;
        let public = key.public_key().to_encoded_point(false);
        let der =
            [&SEC1_START[..], key.to_bytes().as_slice(), &SEC1_CURVE, &SEC1_PUBLIC_START, public.as_bytes()]
                .concat();
        let body = STANDARD.encode(der);
        let lines = body.as_bytes().chunks(PEM_LINE).map(String::from_utf8_lossy).collect::<Vec<_>>();
        Ok(SecretText::from(format!(
            "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
            lines.join("\n")
        )))
    }

    /// Returns the public half as a DER `SubjectPublicKeyInfo`, as certificates hold it.
    pub fn public_key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// Returns the key in the form that signs certificates.
    pub(super) fn signing_key(&self) -> &KeyPair {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_does_not_print_itself() {
        let key = PrivateKey::generate_p256().unwrap();
        let read = PrivateKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        assert!(format!("{key:?}").starts_with("PrivateKey([secret], "));
    }

    #[test]
    fn what_is_not_one_pkcs8_key_is_refused() {
        let pem = PrivateKey::generate_p256().unwrap().to_pem().expose().to_owned();
        for (text, reason) in [
            (String::new(), "found no PEM block"),
            (pem.repeat(2), "found 2 blocks"),
            (pem.replace("PRIVATE KEY", "EC PRIVATE KEY"), "found `EC PRIVATE KEY`"),
            (pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "found `ENCRYPTED PRIVATE KEY`"),
            (pem.replacen("MI", "AI", 1), "no usable PKCS#8 key"),
            (pem.replace("END", "end"), "no usable PKCS#8 key"),
        ] {
            let message = PrivateKey::from_pem(&SecretText::from(text)).unwrap_err().to_string();
            assert!(message.contains(reason), "{reason}: {message}");
        }
    }
}
