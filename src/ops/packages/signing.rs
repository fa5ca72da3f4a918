//! The key that signs bundles: one of the user's own, out of the secrets.

use super::PackagesError;
use crate::deb::signature::SigningKey;
use crate::epoch::Epoch;
use crate::secrets::Secrets;
use crate::spec::Spec;

/// Returns the key that the spec wants its bundles signed with; one that is no good at the time `now` is refused.
pub fn signing_key(spec: &Spec, secrets: &Secrets, now: Epoch) -> Result<Option<SigningKey>, PackagesError> {
    let signing = spec.packages.as_ref().and_then(|packages| packages.sign.as_ref());
    let Some(signing) = signing else { return Ok(None) };
    let path = secrets.path(&signing.secret).map_err(PackagesError::Secrets)?;
    let text = secrets.load(&signing.secret).map_err(PackagesError::Secrets)?;
    let text = text.ok_or_else(|| PackagesError::NoSigningKey { path: path.clone() })?;
    let key = SigningKey::parse(text.expose())
        .map_err(|source| PackagesError::SigningKey { path: path.clone(), source })?;
    // Bundles are signed as of the lock's time, when a key that has expired since was good; nodes would refuse it.
    match key.sign("now\n", now) {
        Ok(_) => Ok(Some(key)),
        Err(source) => Err(PackagesError::CannotSign { path, source }),
    }
}
