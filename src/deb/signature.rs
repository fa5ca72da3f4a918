//! Signatures of package archives: `InRelease` files, verified against pinned certificates, and made.
//!
//! One good signature by one pinned certificate is enough, as it is for apt. Only the text that [`verify`]
//! hands out was signed; the file itself is never read again. The time is the caller's.

mod cleartext;
mod policy;
mod signing;

use std::fmt;

use pgp::armor::Dearmor;
use pgp::composed::{Deserializable as _, SignedPublicKey};
use pgp::packet::{Packet, PacketParser, Signature};
use pgp::types::{Duration, KeyDetails as _, Timestamp};

use crate::epoch::Epoch;
use cleartext::Cleartext;
use policy::Signer;

pub use signing::{CannotSign, InvalidSigningKey, SigningKey};

/// The longest signed text: those of distributions have up to 300 KiB.
const LONGEST_TEXT: usize = 16 << 20;
/// The longest keyring: that of all of Debian's developers has 20 MiB.
const LONGEST_KEYRING: usize = 32 << 20;
/// The most signatures of one text; each costs a calculation per key. Debian's have up to three.
const MOST_SIGNATURES: usize = 20;

const PUBLIC_KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const PUBLIC_KEY_END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Certificates that may sign: a `.gpg` or `.asc` file.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    certificates: Vec<SignedPublicKey>,
}

/// Says why a file is not a keyring.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeyring {
    /// It is larger than any.
    #[error("the keyring is larger than 32 MiB")]
    TooLarge,
    /// It is armored, and its armor is broken.
    #[error("the keyring has a public key block that does not end")]
    Armor,
    /// It is GnuPG's own file, not one made to be handed on.
    #[error("the keyring is a GnuPG keybox: export its keys with `gpg --export`")]
    Keybox,
    /// It has a private key.
    #[error("the keyring has a private key, where only public ones belong")]
    PrivateKey,
    /// There is nothing in it.
    #[error("the keyring has no certificate")]
    Empty,
    /// A certificate is malformed.
    #[error("the keyring has a malformed certificate")]
    Certificate(#[source] Box<pgp::errors::Error>),
}

/// The fingerprint of a key or certificate, in upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct Fingerprint(String);

/// A text that was signed by a pinned certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was signed, and nothing else.
    pub text: String,
    /// The certificates whose signatures are good, sorted; at least one.
    pub signers: Vec<Fingerprint>,
}

/// Says why a file is not text with its signatures.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSignedText {
    /// It is larger than any.
    #[error("the signed text is larger than 16 MiB")]
    TooLarge,
    /// It is not text.
    #[error("the signed text is not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// Something stands before the message, or there is none.
    #[error("the file does not begin with a PGP signed message")]
    Begin,
    /// Something that no signature covers stands before the text.
    #[error("line {0} is not a header of a signed message")]
    Header(usize),
    /// A line of the text looks like one of armor.
    #[error("line {0} begins with a hyphen that is not escaped")]
    Unescaped(usize),
    /// Programs disagree on what such a line says.
    #[error("line {0} has a carriage return in it")]
    CarriageReturn(usize),
    /// The text or its signature is cut off.
    #[error("the signed message ends too early")]
    End,
    /// Something stands after the signature.
    #[error("something follows the signature")]
    Trailing,
    /// The signatures are malformed.
    #[error("the signatures are malformed")]
    Signatures(#[source] Box<pgp::errors::Error>),
    /// There are more signatures than anybody makes.
    #[error("there are more than 20 signatures")]
    TooManySignatures,
    /// None of the signatures counts.
    #[error("no signature is good: {}", listed(.0))]
    Untrusted(Vec<Refusal>),
}

/// A signature that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
#[display("that by {issuer}: {fault}")]
pub struct Refusal {
    /// The key that it says it was made by.
    pub issuer: String,
    /// Why it does not count.
    pub fault: Fault,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No pinned certificate has the key.
    #[error("the key is not in the keyring")]
    UnknownKey,
    /// Text or signature are not the ones that belong together.
    #[error("it is not a signature of this text")]
    OtherText,
    /// It is not a signature of a text, is of an old version, or has conditions that nobody knows.
    #[error("it is another kind of signature than one of a text")]
    OtherKind,
    /// Its hash function is broken.
    #[error("its hash function {0} is too weak")]
    WeakHash(String),
    /// The key is too short or of a broken kind.
    #[error("the key is too weak")]
    WeakKey,
    /// It was made before its key.
    #[error("it is older than its key")]
    OlderThanKey,
    /// The clock is wrong, or the signature is.
    #[error("it, or its key, was made only at {0}")]
    FromTheFuture(Instant),
    /// The signature says that it has expired.
    #[error("it expired at {0}")]
    SignatureExpired(Instant),
    /// The key, or its certificate, has expired.
    #[error("the key expired at {0}")]
    KeyExpired(Instant),
    /// The key, or its certificate, was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// The key is for other uses, such as encryption.
    #[error("the key may not sign")]
    MayNotSign,
    /// Nothing good binds the key to its certificate.
    #[error("no good signature binds the key to its certificate")]
    NotBound,
}

/// A second, as OpenPGP counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    fn of(timestamp: Timestamp) -> Self {
        Self(u64::from(timestamp.as_secs()))
    }

    /// Returns the time so much later; `None` if there is no end, which is also what zero says.
    fn after(self, duration: Option<Duration>) -> Option<Self> {
        let seconds = u64::from(duration?.as_secs());
        (seconds > 0).then(|| Self(self.0 + seconds))
    }
}

impl fmt::Display for Instant {
    /// Writes the time as RFC 3339; before 1980, where no [`Epoch`] is, as seconds.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Epoch::try_from(self.0) {
            Ok(epoch) => epoch.fmt(formatter),
            Err(_) => write!(formatter, "second {}", self.0),
        }
    }
}

impl Fingerprint {
    fn of(certificate: &SignedPublicKey) -> Self {
        Self(format!("{:X}", certificate.fingerprint()))
    }

    /// Returns the upper-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn listed(refusals: &[Refusal]) -> String {
    match refusals {
        [] => "there is none".to_owned(),
        refusals => refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

impl Keyring {
    /// Reads the bytes of a keyring, armored or not; armored ones may stand one after the other.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidKeyring> {
        if bytes.len() > LONGEST_KEYRING {
            return Err(InvalidKeyring::TooLarge);
        }
        // A keybox says so at byte 8 (GnuPG, kbx/keybox-blob.c).
        if bytes.get(8..12) == Some(b"KBXf") {
            return Err(InvalidKeyring::Keybox);
        }
        let certificates = match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN PGP") => armored_certificates(text)?,
            Ok(_) | Err(_) => certificates(bytes)?,
        };
        if certificates.is_empty() { Err(InvalidKeyring::Empty) } else { Ok(Self { certificates }) }
    }

    /// Adds the certificates of another keyring.
    pub fn extend(&mut self, other: Self) {
        self.certificates.extend(other.certificates);
    }

    /// Returns the fingerprints of all certificates, as they are ordered.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.certificates.iter().map(Fingerprint::of).collect()
    }
}

fn armored_certificates(text: &str) -> Result<Vec<SignedPublicKey>, InvalidKeyring> {
    if text.contains("-----BEGIN PGP PRIVATE KEY BLOCK-----") {
        return Err(InvalidKeyring::PrivateKey);
    }
    let mut found = Vec::new();
    for block in text.split(PUBLIC_KEY).skip(1) {
        let (inside, _) = block.split_once(PUBLIC_KEY_END).ok_or(InvalidKeyring::Armor)?;
        let block = format!("{PUBLIC_KEY}{inside}{PUBLIC_KEY_END}\n");
        let (certificates, _) = SignedPublicKey::from_string_many(&block).map_err(malformed)?;
        for certificate in certificates {
            found.push(certificate.map_err(malformed)?);
        }
    }
    Ok(found)
}

fn certificates(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, InvalidKeyring> {
    SignedPublicKey::from_bytes_many(bytes).map_err(malformed)?.map(|one| one.map_err(malformed)).collect()
}

fn malformed(error: pgp::errors::Error) -> InvalidKeyring {
    InvalidKeyring::Certificate(Box::new(error))
}

/// Verifies a text that carries its signatures, at the time `now`, and returns what was signed.
///
/// The error names every signature with the reason why it does not count.
pub fn verify(file: &[u8], keyring: &Keyring, now: Epoch) -> Result<Verified, InvalidSignedText> {
    if file.len() > LONGEST_TEXT {
        return Err(InvalidSignedText::TooLarge);
    }
    let file = std::str::from_utf8(file).map_err(InvalidSignedText::NotText)?;
    let cleartext = Cleartext::parse(file)?;
    let signed = cleartext.signed();
    let mut signers = Vec::new();
    let mut refusals = Vec::new();
    for signature in signatures(cleartext.armor)? {
        match signer_of(&signature, keyring, signed.as_bytes(), Instant(now.seconds())) {
            Ok(fingerprint) => signers.push(fingerprint),
            Err(fault) => refusals.push(Refusal { issuer: issuer(&signature), fault }),
        }
    }
    if signers.is_empty() {
        return Err(InvalidSignedText::Untrusted(refusals));
    }
    signers.sort();
    signers.dedup();
    Ok(Verified { text: cleartext.text(), signers })
}

fn signatures(armor: &str) -> Result<Vec<Signature>, InvalidSignedText> {
    let malformed = |error| InvalidSignedText::Signatures(Box::new(error));
    let armor = cleartext::with_ends(armor);
    let mut signatures = Vec::new();
    for packet in PacketParser::new(std::io::BufReader::new(Dearmor::new(armor.as_bytes()))) {
        match packet {
            Ok(Packet::Signature(signature)) => signatures.push(signature),
            // Packets of another kind say nothing.
            Ok(_) => {}
            Err(error) => return Err(malformed(error)),
        }
        if signatures.len() > MOST_SIGNATURES {
            return Err(InvalidSignedText::TooManySignatures);
        }
    }
    Ok(signatures)
}

/// Returns the certificate that made the signature, or what is wrong with the one that comes closest.
fn signer_of(
    signature: &Signature,
    keyring: &Keyring,
    text: &[u8],
    now: Instant,
) -> Result<Fingerprint, Fault> {
    let mut fault = Fault::UnknownKey;
    for certificate in &keyring.certificates {
        for signer in Signer::named_by(signature, certificate) {
            match signer.check(signature, text, now) {
                Ok(()) => return Ok(Fingerprint::of(signer.certificate())),
                Err(found) => fault = found,
            }
        }
    }
    Err(fault)
}

/// Returns the name of the key that a signature says it was made by.
fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = || signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase());
    fingerprint.or_else(id).unwrap_or_else(|| "an unnamed key".to_owned())
}
