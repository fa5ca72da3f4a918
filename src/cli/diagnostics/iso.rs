//! What to do about seeds that cannot be made.

use crate::ops::iso::IsoError;

/// Returns the hint, if there is one.
pub(super) fn hint_of(error: &IsoError) -> Option<&'static str> {
    match error {
        IsoError::NoPassword { .. } => {
            Some("set the variable, or write the password alone into that file, with mode 0600")
        }
        IsoError::NoConsolePassword { .. } => Some(
            "set the variable, or write the password alone into that file, with mode 0600; or the output of \
             `openssl passwd -6` into `console-password-hash`",
        ),
        IsoError::Airgap(_) => Some("give the file of `k3s.airgap` a plain name, then run `seedkit lock`"),
        IsoError::ConsoleHash(_) => Some("remove it, and give the password itself once"),
        IsoError::Parts(_)
        | IsoError::Secrets(_)
        | IsoError::Random(_)
        | IsoError::Cluster(_)
        | IsoError::Ssh(_)
        | IsoError::ConsolePassword { .. }
        | IsoError::Templates(_)
        | IsoError::Seed(_)
        | IsoError::Shared(_)
        | IsoError::Archive { .. }
        | IsoError::Write { .. } => None,
    }
}
