//! What to do about ops packages that cannot be had.

use super::{Below, Hint};
use crate::deb::signature::{Fault, InvalidSignedText, InvalidSigningKey};
use crate::oci::SourceErrorKind;
use crate::ops::packages::{LooseError, PackagesError, PinnedError, SigningError, SuiteError};
use crate::packages::Origin;
use crate::packages::universe::InvalidUniverse;
use crate::store::StoreError;

const OTHER_MIRROR: &str = "run the same command again; if it says the same, choose another mirror";

impl Hint for PackagesError {
    // What a repository does not have is not an image.
    const BELOW: Below = Below::NotOfImages;

    fn hint(&self) -> Option<&'static str> {
        let is_about_a_file =
            matches!(self, Self::Universe(InvalidUniverse::Disagreement { second: Origin::File(_), .. }));
        is_about_a_file.then_some(
            "give the loose file's package a version of its own, such as 1.0+site1, or take it out of \
             `packages.extra`",
        )
    }
}

impl Hint for SuiteError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Fetch(_, _, source) if source.kind == SourceErrorKind::NotFound => Some(
                "check `urls` and `suites` under `packages.sources`: an address is that of the folder above `dists`",
            ),
            Self::Fetch(_, _, source) if source.kind == SourceErrorKind::Local => Some(
                "check the folder in `urls` under `packages.sources`: it is the one above `dists`, and \
                 `file:FOLDER` is relative to the folder of the spec",
            ),
            Self::Signature(_, InvalidSignedText::Untrusted(refusals))
                if refusals.iter().all(|refusal| refusal.fault == Fault::UnknownKey) =>
            {
                Some(
                    "name a file with the certificate of that key as the source's `keyring`; without one, only \
                     Debian 12 and 13 are known",
                )
            }
            Self::Signature(..) => Some(
                "nothing that is not signed is used: try another mirror; if the distribution has new keys, take \
                 `keyring` from its current package of them",
            ),
            Self::OtherSuite(..) => Some("write the suite as its own release names it"),
            Self::Expired(..) => Some("check this machine's clock, then choose another mirror"),
            Self::RolledBack { .. } => Some(
                "choose another mirror; if the older release is meant, remove the lock and run `seedkit lock`",
            ),
            Self::WrongIndex(..) => Some(OTHER_MIRROR),
            Self::Fetch(..) | Self::Release(..) | Self::NoIndex(..) => None,
        }
    }
}

impl Hint for LooseError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Twice { .. } => Some("keep one of them under `packages.extra`"),
            Self::Version { .. } => {
                Some("take the version out of `packages.names`, or the file out of `packages.extra`")
            }
            Self::Gone(..) => {
                Some("put the file back, or take it out of `packages.extra` and run `seedkit lock`")
            }
            Self::Package(..) | Self::Architecture { .. } => None,
        }
    }
}

impl Hint for PinnedError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Gone(..) => Some(
                "mirrors drop what is superseded: run `seedkit lock` for what they have now, or name a --cache-dir \
                 that has the package",
            ),
            Self::Store(_, StoreError::Mismatch(_)) => Some(OTHER_MIRROR),
            Self::Unusable(..) | Self::Other { .. } | Self::Store(..) => None,
        }
    }
}

impl Hint for SigningError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoKey(_) | Self::Key(_, InvalidSigningKey::NoKey | InvalidSigningKey::Several) => Some(
                "put it there with `gpg --armor --export-secret-keys FINGERPRINT`, readable by you alone",
            ),
            Self::Key(_, InvalidSigningKey::Locked) => Some(
                "a build asks nobody for a passphrase: take a key, or a signing subkey, that has none, and let the \
                 secrets folder protect it",
            ),
            Self::Refused(..) => Some("renew the key with `gpg --quick-set-expire`, or take another"),
            Self::Key(..) | Self::Secrets(_) => None,
        }
    }
}
