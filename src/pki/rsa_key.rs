//! RSA keys as PKCS#1, for the one place of a cluster where an RSA key is usual: signing service accounts' tokens.

use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;

use crate::secrets::SecretText;

/// The bits of a key, as k3s makes it.
const BITS: usize = 2048;

/// An RSA private key that was checked to be one; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("RsaKey([secret])")]
pub struct RsaKey {
    pem: SecretText,
}

/// Says why an RSA key cannot be made or read; the key itself is never repeated in it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRsaKey {
    /// The operating system has no random numbers.
    #[error("cannot make an RSA key")]
    Generate(#[source] rsa::Error),
    /// The key cannot be written.
    #[error("cannot write an RSA key")]
    Write(#[source] rsa::pkcs1::Error),
    /// Not one key in PEM.
    #[error("expected one PEM block `RSA PRIVATE KEY` and nothing else")]
    Content,
    /// Too easily broken.
    #[error("the RSA key has {0} bits: expected at least {BITS}")]
    Short(usize),
}

impl RsaKey {
    /// Makes a key of 2048 bits.
    ///
    /// To be called once: the key is kept in the secrets and is an input afterwards.
    pub fn generate() -> Result<Self, InvalidRsaKey> {
        let key = RsaPrivateKey::new(&mut OsRng, BITS).map_err(InvalidRsaKey::Generate)?;
        let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(InvalidRsaKey::Write)?;
        Ok(Self { pem: SecretText::from(pem.to_string()) })
    }

    /// Reads a PKCS#1 key, seedkit's own or one that the user brought.
    pub fn from_pem(pem: SecretText) -> Result<Self, InvalidRsaKey> {
        let key = RsaPrivateKey::from_pkcs1_pem(pem.expose()).map_err(|_| InvalidRsaKey::Content)?;
        match key.n().bits() {
            bits if bits < BITS => Err(InvalidRsaKey::Short(bits)),
            _ => Ok(Self { pem }),
        }
    }

    /// Returns the key as PKCS#1 in PEM, `RSA PRIVATE KEY`, to be written with mode 0600.
    pub fn pem(&self) -> &SecretText {
        &self.pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_does_not_print_itself() {
        let key = RsaKey::generate().unwrap();
        assert!(key.pem().expose().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert_eq!(RsaKey::from_pem(key.pem().clone()).unwrap(), key);
        assert_eq!(format!("{key:?}"), "RsaKey([secret])");
    }

    #[test]
    fn what_is_not_one_strong_rsa_key_is_refused() {
        let short = RsaPrivateKey::new(&mut OsRng, 1024).unwrap().to_pkcs1_pem(LineEnding::LF).unwrap();
        let read = |text: &str| RsaKey::from_pem(SecretText::from(text.to_owned())).unwrap_err();
        assert!(matches!(read(&short), InvalidRsaKey::Short(1024)));
        let other = crate::pki::PrivateKey::generate_p256().unwrap().to_pem();
        for text in ["", "garbage", other.expose(), &short.replace("MII", "AII")] {
            assert!(matches!(read(text), InvalidRsaKey::Content), "{text}");
        }
    }
}
