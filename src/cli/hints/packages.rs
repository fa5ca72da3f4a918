//! What to do about ops packages that cannot be had.

use super::{Below, Hint};
use crate::deb::signature::{Fault, InvalidSignedText, InvalidSigningKey};
use crate::oci::SourceErrorKind;
use crate::ops::packages::PackagesError;
use crate::packages::Origin;
use crate::packages::universe::InvalidUniverse;
use crate::store::StoreError;

impl Hint for PackagesError {
    // What a repository does not have is no image.
    const BELOW: Below = Below::NotOfImages;

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Fetch { source, .. } if source.kind == SourceErrorKind::NotFound => Some(
                "check `urls` and `suites` under `packages.sources`: an address is that of the folder above `dists`",
            ),
            Self::Fetch { source, .. } if source.kind == SourceErrorKind::Local => Some(
                "check the folder in `urls` under `packages.sources`: it is the one above `dists`, and `file:FOLDER` is \
                 relative to the folder of the spec",
            ),
            Self::Signature { source: InvalidSignedText::Untrusted(refusals), .. }
                if refusals.iter().all(|refusal| refusal.fault == Fault::UnknownKey) =>
            {
                Some(
                    "name a file with the certificate of that key as the source's `keyring`; without one, only Debian 12 \
                     and 13 are known",
                )
            }
            Self::Signature { .. } => Some(
                "nothing that is not signed is used: try another mirror; if the distribution has new keys, take \
                 `keyring` from its current package of them",
            ),
            Self::OtherSuite { .. } => Some("write the suite as its own release names it"),
            Self::Expired { .. } => Some("check this machine's clock, then choose another mirror"),
            Self::RolledBack { .. } => Some(
                "choose another mirror; if the older release is meant, remove the lock and run `seedkit lock`",
            ),
            Self::WrongIndex { .. } | Self::Store { source: StoreError::Mismatch(_), .. } => {
                Some("run the same command again; if it says the same, choose another mirror")
            }
            Self::Universe(InvalidUniverse::Disagreement { second: Origin::File(_), .. }) => Some(
                "give the loose file's package a version of its own, such as 1.0+site1, or take it out of \
                 `packages.extra`",
            ),
            Self::LooseTwice { .. } => Some("keep one of them under `packages.extra`"),
            Self::LooseVersion { .. } => {
                Some("take the version out of `packages.names`, or the file out of `packages.extra`")
            }
            Self::LooseGone { .. } => {
                Some("put the file back, or take it out of `packages.extra` and run `seedkit lock`")
            }
            Self::Gone { .. } => Some(
                "mirrors drop what is superseded: run `seedkit lock` for what they have now, or name a --cache-dir that \
                 has the package",
            ),
            Self::NoSigningKey { .. }
            | Self::SigningKey { source: InvalidSigningKey::NoKey | InvalidSigningKey::Several, .. } => Some(
                "put it there with `gpg --armor --export-secret-keys FINGERPRINT`, readable by you alone",
            ),
            Self::SigningKey { source: InvalidSigningKey::Locked, .. } => Some(
                "a build asks nobody for a passphrase: take a key, or a signing subkey, that has none, and let the secrets \
                 folder protect it",
            ),
            Self::CannotSign { .. } => Some("renew the key with `gpg --quick-set-expire`, or take another"),
            Self::Secrets(_)
            | Self::SigningKey { .. }
            | Self::Fetch { .. }
            | Self::Read { .. }
            | Self::Keyring { .. }
            | Self::Release { .. }
            | Self::NoIndex { .. }
            | Self::Malformed { .. }
            | Self::Manifest { .. }
            | Self::Universe(_)
            | Self::Request(_)
            | Self::Unsolvable { .. }
            | Self::NoArchitecture(_)
            | Self::Loose { .. }
            | Self::LooseArchitecture { .. }
            | Self::Unusable { .. }
            | Self::OtherPackage { .. }
            | Self::Store { .. }
            | Self::Templates(_)
            | Self::Bundle { .. }
            | Self::Write { .. }
            | Self::Several(_) => None,
        }
    }
}
