//! Which keys may sign, and which signatures count. rPGP checks mathematics; this checks what it means.
//!
//! See RFC 9580, sections 5.2 and 10.1. Wherever GnuPG and this differ, this is stricter.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SignatureVersion, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{KeyDetails, PublicParams, Tag, VerifyingKey};

use super::{Fault, Instant};

/// The length of an RSA key's packet from 2048 bits on: two numbers, each after two bytes.
const SHORTEST_RSA: usize = 2 + 256 + 2 + 1;

/// A key of a certificate that a signature says it was made by.
#[derive(Clone, Copy)]
pub(super) enum Signer<'key> {
    Primary(&'key SignedPublicKey),
    Subkey(&'key SignedPublicKey, &'key SignedPublicSubKey),
}

impl<'key> Signer<'key> {
    /// Returns the keys of `certificate` that `signature` names as its issuer.
    pub(super) fn named_by(
        signature: &Signature,
        certificate: &'key SignedPublicKey,
    ) -> impl Iterator<Item = Self> {
        let subkeys = certificate.public_subkeys.iter().map(move |subkey| Self::Subkey(certificate, subkey));
        let is_named = |signer: &Self| signer.is_named(signature);
        std::iter::once(Self::Primary(certificate))
            .chain(subkeys)
            .filter(is_named)
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn is_named(&self, signature: &Signature) -> bool {
        let is_issuer = |key: &dyn KeyDetails| {
            let fingerprints = signature.issuer_fingerprint();
            let names_fingerprint = fingerprints.contains(&&key.fingerprint());
            let names_id = signature.issuer_key_id().contains(&&key.legacy_key_id());
            names_fingerprint || (fingerprints.is_empty() && names_id)
        };
        match self {
            Self::Primary(certificate) => is_issuer(&certificate.primary_key),
            Self::Subkey(_, subkey) => is_issuer(&subkey.key),
        }
    }

    /// Returns the certificate that the key is a part of.
    pub(super) fn certificate(&self) -> &'key SignedPublicKey {
        match self {
            Self::Primary(certificate) | Self::Subkey(certificate, _) => certificate,
        }
    }

    /// Checks a signature of a text with all that makes it count at the time `now`.
    pub(super) fn check(&self, signature: &Signature, text: &[u8], now: Instant) -> Result<(), Fault> {
        match self {
            Self::Primary(certificate) => {
                check_text(signature, &certificate.primary_key, text, now)?;
                let own = check_certificate(certificate, now)?;
                // A certificate that says nothing about its primary key lets it sign (GnuPG does the same).
                if key_flags(own).is_none_or(|flags| flags.sign()) { Ok(()) } else { Err(Fault::MayNotSign) }
            }
            Self::Subkey(certificate, subkey) => {
                check_text(signature, &subkey.key, text, now)?;
                check_certificate(certificate, now)?;
                check_subkey(certificate, subkey, now)
            }
        }
    }
}

/// Checks the signature alone: that it is of a kind that counts, and that it is one of `text` by `key`.
fn check_text<K>(signature: &Signature, key: &K, text: &[u8], now: Instant) -> Result<(), Fault>
where
    K: VerifyingKey + KeyDetails,
{
    if !matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary)) {
        return Err(Fault::OtherKind);
    }
    check_strength(signature)?;
    if !is_strong_key(key.public_params()) {
        return Err(Fault::WeakKey);
    }
    signature.verify(key, text).map_err(|_| Fault::OtherText)?;
    check_times(signature, now)?;
    if made_at(signature) < Some(Instant::of(key.created_at())) { Err(Fault::OlderThanKey) } else { Ok(()) }
}

/// Checks that a certificate is valid, and returns the newest thing that its owner says about it.
fn check_certificate(certificate: &SignedPublicKey, now: Instant) -> Result<&Signature, Fault> {
    // A revocation counts even unproved: the file is the user's own, and who put it there meant it.
    if !certificate.details.revocation_signatures.is_empty() {
        return Err(Fault::Revoked);
    }
    let own = newest(own_signatures(certificate), now).ok_or(Fault::NotBound)?;
    check_expiry(&certificate.primary_key, own, now)?;
    Ok(own)
}

/// Returns what the owner says about the primary key: directly, or with one of the names.
///
/// A certificate also has signatures by others, whose keys are not here; they are of no account.
fn own_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let (primary, details) = (&certificate.primary_key, &certificate.details);
    let direct = details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let users = details.users.iter().flat_map(move |user| {
        let own =
            |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let own: Vec<&Signature> = user.signatures.iter().filter(own).collect();
        let is_revoked = own.iter().any(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        if is_revoked { Vec::new() } else { own }
    });
    direct.chain(users)
}

fn check_subkey(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: Instant,
) -> Result<(), Fault> {
    if subkey.signatures.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err(Fault::Revoked);
    }
    let primary = &certificate.primary_key;
    let is_binding = |signature: &&Signature| {
        signature.typ() == Some(SignatureType::SubkeyBinding)
            && signature.verify_subkey_binding(primary, &subkey.key).is_ok()
    };
    let binding = newest(subkey.signatures.iter().filter(is_binding), now).ok_or(Fault::NotBound)?;
    check_expiry(&subkey.key, binding, now)?;
    if !key_flags(binding).is_some_and(|flags| flags.sign()) {
        return Err(Fault::MayNotSign);
    }
    // Without it anybody could bind somebody else's signing key to a certificate of his own.
    let back = binding.embedded_signature().ok_or(Fault::NotBound)?;
    check_strength(back)?;
    back.verify_primary_key_binding(&subkey.key, primary).map_err(|_| Fault::NotBound)
}

/// Returns the newest of the signatures that count at the time `now`.
fn newest<'key>(signatures: impl Iterator<Item = &'key Signature>, now: Instant) -> Option<&'key Signature> {
    signatures
        .filter(|signature| check_strength(signature).and_then(|()| check_times(signature, now)).is_ok())
        .max_by_key(|signature| made_at(signature))
}

fn check_strength(signature: &Signature) -> Result<(), Fault> {
    let hash = signature.hash_alg().unwrap_or(HashAlgorithm::None);
    let is_strong_hash = matches!(
        hash,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    );
    if !is_strong_hash {
        return Err(Fault::WeakHash(hash.to_string()));
    }
    let is_current = matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6);
    let has_unknown_condition = signature.config().is_none_or(|config| {
        config
            .hashed_subpackets()
            .any(|part| part.is_critical && matches!(part.data, SubpacketData::Notation(_)))
    });
    if is_current && !has_unknown_condition { Ok(()) } else { Err(Fault::OtherKind) }
}

fn check_times(signature: &Signature, now: Instant) -> Result<(), Fault> {
    let made = made_at(signature).ok_or(Fault::OtherKind)?;
    if made > now {
        return Err(Fault::FromTheFuture(made));
    }
    match made.after(signature.signature_expiration_time()) {
        Some(end) if end <= now => Err(Fault::SignatureExpired(end)),
        Some(_) | None => Ok(()),
    }
}

/// Checks that `key` exists and has not expired at the time `now`, by what `binding` says about it.
fn check_expiry(key: &impl KeyDetails, binding: &Signature, now: Instant) -> Result<(), Fault> {
    let created = Instant::of(key.created_at());
    if created > now {
        return Err(Fault::FromTheFuture(created));
    }
    match created.after(binding.key_expiration_time()) {
        Some(end) if end <= now => Err(Fault::KeyExpired(end)),
        Some(_) | None => Ok(()),
    }
}

fn made_at(signature: &Signature) -> Option<Instant> {
    signature.created().map(Instant::of)
}

/// Returns what a key may be used for; `None` if nothing is said about it.
fn key_flags(binding: &Signature) -> Option<pgp::packet::KeyFlags> {
    let says_so = |config: &pgp::packet::SignatureConfig| {
        config.hashed_subpackets().any(|part| matches!(part.data, SubpacketData::KeyFlags(_)))
    };
    binding.config().is_some_and(says_so).then(|| binding.key_flags())
}

fn is_strong_key(parameters: &PublicParams) -> bool {
    match parameters {
        PublicParams::RSA(rsa) => rsa.write_len() >= SHORTEST_RSA,
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => true,
        PublicParams::DSA(_)
        | PublicParams::ECDH(_)
        | PublicParams::Elgamal(_)
        | PublicParams::X25519(_)
        | PublicParams::X448(_)
        | PublicParams::Unknown { .. } => false,
    }
}
