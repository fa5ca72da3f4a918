//! Private keys that sign texts, as a repository of one's own needs one.
//!
//! A signature is a function of key, text and time: keys of version 4 alone, whose signatures have no salt. What
//! is signed is verified at once, under the same policy as everybody else's, before it is handed out.

use pgp::composed::{ArmorOptions, CleartextSignedMessage, Deserializable as _, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, KeyVersion, Password, SigningKey as Signer, Timestamp};

use super::{Fingerprint, InvalidSignedText, Keyring, verify};
use crate::epoch::Epoch;

const PRIVATE_KEY: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";

/// A private key, without a passphrase; `Debug` shows its fingerprint alone.
#[derive(Clone, derive_more::Debug)]
#[debug("SigningKey({:?})", self.fingerprint())]
pub struct SigningKey {
    secret: SignedSecretKey,
    certificate: Keyring,
}

/// Says why a text is not a private key that can sign.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSigningKey {
    /// It is something else, such as a certificate or a binary file.
    #[error("there is no armored private key")]
    NoKey,
    /// Nobody could say which one is meant.
    #[error("there is more than one private key")]
    Several,
    /// It is malformed.
    #[error("the private key is malformed")]
    Malformed(#[source] Box<pgp::errors::Error>),
    /// gpgv of Debian 12 knows no later ones, and their signatures differ each time.
    #[error("the private key is of version {0}, not of version 4")]
    Version(u8),
    /// A build asks nobody anything.
    #[error("the private key has a passphrase")]
    Locked,
}

/// Says why a key does not sign a text.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// OpenPGP counts its seconds in 32 bits.
    #[error("{0} is later than a signature can say")]
    TooLate(Epoch),
    /// The calculation failed.
    #[error("the key cannot be used")]
    Key(#[source] Box<pgp::errors::Error>),
    /// Nobody would take the signature for a good one.
    #[error("the signature would not count")]
    Worthless(#[source] InvalidSignedText),
    /// Signatures do not cover blanks at the end of a line.
    #[error("the text is not one that can be signed as it is")]
    Text,
}

impl SigningKey {
    /// Reads an armored private key.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        match text.matches(PRIVATE_KEY).count() {
            0 => return Err(InvalidSigningKey::NoKey),
            1 => {}
            _ => return Err(InvalidSigningKey::Several),
        }
        let malformed = |error| InvalidSigningKey::Malformed(Box::new(error));
        let start = text.find(PRIVATE_KEY).unwrap_or_default();
        let (mut keys, _) = SignedSecretKey::from_string_many(&text[start..]).map_err(malformed)?;
        let secret = keys.next().ok_or(InvalidSigningKey::NoKey)?.map_err(malformed)?;
        if keys.next().is_some() {
            return Err(InvalidSigningKey::Several);
        }
        drop(keys);
        let version = secret.primary_key.version();
        if version != KeyVersion::V4 {
            return Err(InvalidSigningKey::Version(version.into()));
        }
        let certificate = Keyring { certificates: vec![secret.to_public_key()] };
        let key = Self { secret, certificate };
        if key.signers().is_empty() { Err(InvalidSigningKey::Locked) } else { Ok(key) }
    }

    /// Returns the certificate that its signatures are verified with.
    pub fn certificate(&self) -> &Keyring {
        &self.certificate
    }

    /// Returns the certificate as an `.asc` file has it; nothing of it is secret.
    pub fn armored_certificate(&self) -> Result<String, CannotSign> {
        let armored = self.secret.to_public_key().to_armored_string(ArmorOptions::default());
        armored.map_err(|error| CannotSign::Key(Box::new(error)))
    }

    /// Returns the fingerprint of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(format!("{:X}", self.secret.primary_key.fingerprint()))
    }

    /// Returns `text` with a signature as of the time `at`; as of the key's last change if that is later.
    ///
    /// The signature is verified, at that very time, before it is returned.
    pub fn sign(&self, text: &str, at: Epoch) -> Result<String, CannotSign> {
        let changed_at = Epoch::try_from(u64::from(self.changed_at().as_secs())).unwrap_or(at);
        let mut refusal = None;
        for time in [at, at.max(changed_at)] {
            for signer in self.signers() {
                match self.sign_with(signer, text, time) {
                    Ok(signed) => return Ok(signed),
                    Err(error) => refusal = Some(error),
                }
            }
        }
        Err(refusal.expect("a key without any that signs is not parsed"))
    }

    /// Signs with one of the keys, and verifies it: a key that may only encrypt is here too.
    fn sign_with(&self, signer: &dyn Signer, text: &str, at: Epoch) -> Result<String, CannotSign> {
        let seconds = u32::try_from(at.seconds()).map_err(|_| CannotSign::TooLate(at))?;
        let signed = clear_sign(signer, text, Timestamp::from_secs(seconds))
            .map_err(|error| CannotSign::Key(Box::new(error)))?;
        let verified = verify(signed.as_bytes(), &self.certificate, at).map_err(CannotSign::Worthless)?;
        if verified.text == text { Ok(signed) } else { Err(CannotSign::Text) }
    }

    /// Returns the keys whose secret is there, in the order in which they are asked to sign: subkeys first, and the
    /// newest of them, as with GnuPG.
    fn signers(&self) -> Vec<&dyn Signer> {
        let mut subkeys: Vec<_> = self.secret.secret_subkeys.iter().map(|subkey| &subkey.key).collect();
        subkeys.sort_by_key(|key| std::cmp::Reverse(key.created_at()));
        let open = subkeys.into_iter().filter(|key| !key.secret_params().is_encrypted());
        let subkeys = open.map(|key| key as &dyn Signer);
        let primary = &self.secret.primary_key;
        let primary = (!primary.secret_params().is_encrypted()).then_some(primary as &dyn Signer);
        subkeys.chain(primary).collect()
    }

    /// Returns when the certificate got its present form: its newest key or the owner's newest word on one.
    fn changed_at(&self) -> Timestamp {
        let SignedSecretKey { primary_key, details, public_subkeys, secret_subkeys } = &self.secret;
        let users = details.users.iter().flat_map(|user| &user.signatures);
        let subkeys = secret_subkeys.iter().flat_map(|subkey| &subkey.signatures);
        let others = public_subkeys.iter().flat_map(|subkey| &subkey.signatures);
        let signatures = details.direct_signatures.iter().chain(users).chain(subkeys).chain(others);
        let keys = secret_subkeys.iter().map(|subkey| subkey.key.created_at());
        let times = signatures.filter_map(|signature| signature.created()).chain(keys);
        times.max().unwrap_or_default().max(primary_key.created_at())
    }
}

/// Signs the lines of a text, without the line end of the last one (RFC 9580, section 7.2).
fn clear_sign(signer: &dyn Signer, text: &str, at: Timestamp) -> pgp::errors::Result<String> {
    let mut config = SignatureConfig::v4(SignatureType::Text, signer.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(at))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(signer.fingerprint()))?,
    ];
    config.unhashed_subpackets =
        vec![Subpacket::regular(SubpacketData::IssuerKeyId(signer.legacy_key_id()))?];
    let text = text.strip_suffix('\n').unwrap_or(text);
    CleartextSignedMessage::new(text, config, &Box::new(signer), &Password::empty())?
        .to_armored_string(ArmorOptions::default())
}
