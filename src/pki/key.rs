//! Private keys as PKCS#8, which containerd, registries, OpenSSL and ring all read.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};

use crate::secrets::SecretText;

/// A private key that can sign; `Debug` shows only its algorithm.
pub struct PrivateKey(KeyPair);

/// Says why a private key cannot be made or read; the key itself is never repeated in it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// The operating system has no random numbers.
    #[error("cannot make a private key")]
    Generate(#[source] rcgen::Error),
    /// A certificate, several keys, or no PEM at all.
    #[error("expected one PEM block `PRIVATE KEY` and nothing else, found {found}")]
    Blocks {
        /// What is there instead.
        found: String,
    },
    /// The block holds no key that can be used.
    #[error(
        "the PEM block `PRIVATE KEY` holds no usable PKCS#8 key: expected ECDSA P-256 or P-384, Ed25519 or RSA"
    )]
    Content(#[source] rcgen::Error),
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
            [] => Err(InvalidKey::Blocks { found: "no PEM block".to_owned() }),
            [label] => Err(InvalidKey::Blocks { found: format!("`{}`", label.escape_debug()) }),
            labels => Err(InvalidKey::Blocks { found: format!("{} blocks", labels.len()) }),
        }
    }

    /// Returns the key as PKCS#8 in PEM, to be written with mode 0600.
    pub fn to_pem(&self) -> SecretText {
        SecretText::from(self.0.serialize_pem())
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

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey([secret], {:?})", self.0.algorithm())
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
