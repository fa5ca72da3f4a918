//! The key that signs bundles: one of the user's own, out of the secrets.

use std::path::PathBuf;

use crate::deb::signature::{CannotSign, InvalidSigningKey, SigningKey};
use crate::epoch::Epoch;
use crate::secrets::{Secrets, SecretsError};
use crate::spec::Spec;

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The secrets cannot be used.
    #[error("cannot use the secrets")]
    Secrets(#[source] SecretsError),
    /// The key is not there.
    #[error("there is no `{0}`, which `packages.sign` names")]
    NoKey(PathBuf),
    /// It is not a key.
    #[error("cannot sign with `{0}`")]
    Key(PathBuf, #[source] InvalidSigningKey),
    /// Its signatures would not count.
    #[error("cannot sign with `{0}`")]
    Refused(PathBuf, #[source] CannotSign),
}

/// Returns the key that the spec wants its bundles signed with; one that is not good at the time `now` is refused.
pub fn signing_key(spec: &Spec, secrets: &Secrets, now: Epoch) -> Result<Option<SigningKey>, SigningError> {
    let signing = spec.packages.as_ref().and_then(|packages| packages.sign.as_ref());
    let Some(signing) = signing else { return Ok(None) };
    let path = secrets.path(&signing.secret).map_err(SigningError::Secrets)?;
    let text = secrets.load(&signing.secret).map_err(SigningError::Secrets)?;
    let text = text.ok_or_else(|| SigningError::NoKey(path.clone()))?;
    let key = SigningKey::parse(text.expose()).map_err(|source| SigningError::Key(path.clone(), source))?;
    // Bundles are signed as of the lock's time, when a key that has expired since was good; nodes would refuse it.
    match key.sign("now\n", now) {
        Ok(_) => Ok(Some(key)),
        Err(source) => Err(SigningError::Refused(path, source)),
    }
}
