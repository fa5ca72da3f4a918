//! What to do about certificates, tokens, secrets and seeds.

use super::Hint;
use crate::cluster::authorities::UnusableAuthorities;
use crate::cluster::tokens::InvalidToken;
use crate::ops::ca::CaError;
use crate::ops::cluster::ClusterError;
use crate::ops::iso::IsoError;
use crate::ops::k3s::K3sError;
use crate::ops::parts::PartsError;
use crate::pki::PkiError;
use crate::secrets::{SecretsError, names};

impl Hint for CaError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotCovered { .. } | Self::Foreign(_) | Self::NotValid { .. } => {
                Some("run `seedkit ca renew`: a new certificate for the registry under the same authority")
            }
            Self::AuthorityNotValid { .. } | Self::Pki(PkiError::NotPermitted { .. }) => Some(
                "move `ca.crt` and `registry.crt` out of the secrets folder to have new ones made; nodes that run \
                 already need the new `ca.crt`",
            ),
            Self::Missing { .. } => Some("run `seedkit ca` to have what is missing made"),
            Self::Kit(error) => error.hint(),
            Self::Read(..) | Self::OfKit(..) => Some(super::kits::DAMAGED),
            // The cause below has one, where there is something to do.
            Self::Cluster(_)
            | Self::Secrets(_)
            | Self::Key { .. }
            | Self::Certificate { .. }
            | Self::Name(_)
            | Self::Pki(_) => None,
        }
    }
}

impl Hint for SecretsError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Lost { missing: names::SSH_KEY, .. } => Some(
                "take the key back from a backup; without one, move its public half away too: nodes that run already \
                 know only the old key",
            ),
            Self::Lost { .. } => Some(
                "take the key back from a backup; without one, move its certificate away too: nodes that run already \
                 need the new `ca.crt`",
            ),
            // The text says what to do, or nothing can be done.
            Self::Name(_)
            | Self::OpenToOthers { .. }
            | Self::PermissionsHaveNoEffect(_)
            | Self::NotAFile(_)
            | Self::TooLarge(_)
            | Self::Empty(_)
            | Self::NotText(_)
            | Self::Disappeared(_)
            | Self::Io(..) => None,
        }
    }
}

impl Hint for ClusterError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::SameToken => Some(
                "remove `agent-token` to have another one made; agents that have joined stay, new ones need a new seed",
            ),
            Self::Incomplete { .. } => Some(
                "take the secrets back from a backup; if no node was ever started with them, remove all `cluster-*` to \
                 have new ones made",
            ),
            Self::Unusable(UnusableAuthorities::NotValid(..)) => Some(
                "check this machine's clock; authorities of a running cluster are renewed with `k3s certificate \
                 rotate-ca`",
            ),
            Self::SharedWithRegistry { .. } => Some(
                "let the registry have an authority of its own: move its `ca.key`, `ca.crt` and `registry.crt` away",
            ),
            Self::Token(_, InvalidToken::UnknownAuthority) => Some(
                "keep the password alone in the file: what follows the last `:`. Or have the authorities made beforehand, \
                 with `k3s.clusterCa: generate`",
            ),
            Self::Token(_, InvalidToken::ForeignAuthority) => Some(
                "keep the password alone in the file: what follows the last `:`; seedkit puts the right hash before it",
            ),
            Self::Token { .. } => {
                Some("move the file away to have a new token made; nodes that run already need the old one")
            }
            Self::Unusable(_)
            | Self::Authority { .. }
            | Self::Certificate { .. }
            | Self::Key { .. }
            | Self::Random(_)
            | Self::Secrets(_)
            | Self::ServiceKey(_) => None,
        }
    }
}

impl Hint for IsoError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPassword { .. } | Self::NoSetting { .. } => {
                Some("set the variable, or write the secret alone into that file, with mode 0600")
            }
            Self::Missing(_) => {
                Some("set the variables, or write each secret alone into its file, with mode 0600")
            }
            Self::NoConsolePassword { .. } => Some(
                "set the variable, or write the password alone into that file, with mode 0600; or the output of \
                 `openssl passwd -6` into `console-password-hash`",
            ),
            Self::Airgap(_) => Some("give the file of `k3s.airgap` a plain name, then run `seedkit lock`"),
            Self::OtherSshKey => Some(
                "bring back the key that belongs to it; or remove it, to have it written anew from the private key",
            ),
            Self::ConsoleHash(_) => Some("remove it, and give the password itself once"),
            Self::Parts(PartsError::Clock { .. }) => Some(super::CLOCK),
            Self::Parts(_)
            | Self::Secrets(_)
            | Self::Random(_)
            | Self::Cluster(_)
            | Self::NotOneLine(_)
            | Self::Output(_)
            | Self::Ssh(_)
            | Self::ConsolePassword { .. }
            | Self::Templates(_)
            | Self::Seed(_)
            | Self::Shared(_)
            | Self::Archive { .. }
            | Self::Write { .. } => None,
        }
    }
}

impl Hint for K3sError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPauseImage { .. } => Some(
                "add the image to `images.inline` and run `seedkit lock`; the list of another release names another one",
            ),
            Self::NotExecutable { .. } => Some(
                "look at the file: it may be an archive, or the page of a proxy; the release calls it k3s, k3s-arm64, \
                 k3s-armhf, k3s-riscv64 or k3s-s390x",
            ),
            Self::WrongMachine { .. } => Some(
                "give each platform its own: the release calls them k3s (amd64), k3s-arm64, k3s-armhf, k3s-riscv64 and \
                 k3s-s390x",
            ),
            Self::WrongVersion { .. } => {
                Some("correct `k3s.version`, or give the executable of that release; their images differ")
            }
            Self::Read { .. } => None,
        }
    }
}
