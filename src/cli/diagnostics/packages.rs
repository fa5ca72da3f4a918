//! What to do about ops packages that cannot be had.

use crate::deb::signature::{Fault, InvalidSignedText, InvalidSigningKey};
use crate::oci::SourceErrorKind;
use crate::ops::packages::PackagesError;
use crate::packages::Origin;
use crate::packages::universe::InvalidUniverse;
use crate::store::StoreError;

pub(super) fn hint_of(error: &PackagesError) -> Option<&'static str> {
    match error {
        PackagesError::Fetch { source, .. } if source.kind == SourceErrorKind::NotFound => Some(
            "check `urls` and `suites` under `packages.sources`: an address is that of the folder above `dists`",
        ),
        PackagesError::Fetch { source, .. } if source.kind == SourceErrorKind::Local => Some(
            "check the folder in `urls` under `packages.sources`: it is the one above `dists`, and `file:FOLDER` is \
             relative to the folder of the spec",
        ),
        PackagesError::Signature { source: InvalidSignedText::Untrusted(refusals), .. }
            if refusals.iter().all(|refusal| refusal.fault == Fault::UnknownKey) =>
        {
            Some(
                "name a file with the certificate of that key as the source's `keyring`; without one, only Debian 12 \
                 and 13 are known",
            )
        }
        PackagesError::Signature { .. } => Some(
            "nothing that is not signed is used: try another mirror; if the distribution has new keys, take \
             `keyring` from its current package of them",
        ),
        PackagesError::OtherSuite { .. } => Some("write the suite as its own release names it"),
        PackagesError::Expired { .. } => Some("check this machine's clock, then choose another mirror"),
        PackagesError::RolledBack { .. } => Some(
            "choose another mirror; if the older release is meant, remove the lock and run `seedkit lock`",
        ),
        PackagesError::WrongIndex { .. } | PackagesError::Store { source: StoreError::Mismatch(_), .. } => {
            Some("run the same command again; if it says the same, choose another mirror")
        }
        PackagesError::Universe(InvalidUniverse::Disagreement { second: Origin::File(_), .. }) => Some(
            "give the loose file's package a version of its own, such as 1.0+site1, or take it out of \
             `packages.extra`",
        ),
        PackagesError::LooseTwice { .. } => Some("keep one of them under `packages.extra`"),
        PackagesError::LooseVersion { .. } => {
            Some("take the version out of `packages.names`, or the file out of `packages.extra`")
        }
        PackagesError::LooseGone { .. } => {
            Some("put the file back, or take it out of `packages.extra` and run `seedkit lock`")
        }
        PackagesError::Gone { .. } => Some(
            "mirrors drop what is superseded: run `seedkit lock` for what they have now, or name a --cache-dir that \
             has the package",
        ),
        PackagesError::NoSigningKey { .. }
        | PackagesError::SigningKey {
            source: InvalidSigningKey::NoKey | InvalidSigningKey::Several, ..
        } => Some("put it there with `gpg --armor --export-secret-keys FINGERPRINT`, readable by you alone"),
        PackagesError::SigningKey { source: InvalidSigningKey::Locked, .. } => Some(
            "a build asks nobody for a passphrase: take a key, or a signing subkey, that has none, and let the secrets \
             folder protect it",
        ),
        PackagesError::CannotSign { .. } => {
            Some("renew the key with `gpg --quick-set-expire`, or take another")
        }
        PackagesError::Secrets(_)
        | PackagesError::SigningKey { .. }
        | PackagesError::Fetch { .. }
        | PackagesError::Read { .. }
        | PackagesError::Keyring { .. }
        | PackagesError::Release { .. }
        | PackagesError::NoIndex { .. }
        | PackagesError::Malformed { .. }
        | PackagesError::Manifest { .. }
        | PackagesError::Universe(_)
        | PackagesError::Request(_)
        | PackagesError::Unsolvable { .. }
        | PackagesError::NoArchitecture(_)
        | PackagesError::Loose { .. }
        | PackagesError::LooseArchitecture { .. }
        | PackagesError::Unusable { .. }
        | PackagesError::OtherPackage { .. }
        | PackagesError::Store { .. }
        | PackagesError::Templates(_)
        | PackagesError::Bundle { .. }
        | PackagesError::Write { .. }
        | PackagesError::Several(_) => None,
    }
}
