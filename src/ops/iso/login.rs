//! Who may log in to the nodes: over SSH with a key, on the console with a password, if the spec wants one.

use std::collections::BTreeMap;

use super::IsoError;
use crate::cluster::tokens;
use crate::fetch::Equipment;
use crate::password::PasswordHash;
use crate::secrets::names::{CONSOLE_HASH, SSH_KEY, SSH_PUBLIC_KEY};
use crate::secrets::{SecretText, Secrets};
use crate::seed;
use crate::spec::{PasswordFrom, Spec};
use crate::ssh::{AuthorizedKey, KeyPair};

/// Returns who may log in; what is missing is made.
pub(super) fn load_or_create(
    spec: &Spec,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<seed::Ssh, IsoError> {
    Ok(seed::Ssh {
        user: spec.ssh.user.to_string(),
        authorized_keys: authorized_keys(spec, secrets)?,
        console_password: console_password(spec, secrets, equipment)?,
    })
}

/// Returns the keys that the spec names; with none, a pair is made once and kept in the secrets folder.
fn authorized_keys(spec: &Spec, secrets: &Secrets) -> Result<Vec<AuthorizedKey>, IsoError> {
    if !spec.ssh.authorized_keys.is_empty() {
        return Ok(spec.ssh.authorized_keys.clone());
    }
    let secret = secrets.load_or_create_key::<IsoError>((SSH_KEY, SSH_PUBLIC_KEY), || {
        let pair = KeyPair::generate_ed25519(&format!("seedkit {}", spec.name)).map_err(IsoError::Ssh)?;
        Ok(pair.private().clone())
    })?;
    let pair = KeyPair::from_openssh(secret.text).map_err(IsoError::Ssh)?;
    let public = SecretText::from(format!("{}\n", pair.public()));
    let public = secrets.load_or_create::<IsoError>(SSH_PUBLIC_KEY, || Ok(public))?;
    // Whoever looks up the key by this file would be kept out.
    if !pair.public().is_same_key(public.text.expose()) {
        return Err(IsoError::OtherSshKey);
    }
    Ok(vec![pair.public().clone()])
}

/// Returns the hash of the console's password, if the spec wants one.
///
/// It is kept, so that the same password gives the same seeds; another password gets a hash of its own.
fn console_password(
    spec: &Spec,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<Option<PasswordHash>, IsoError> {
    let Some(from) = &spec.ssh.console_password else { return Ok(None) };
    let (password, place) = password(from, secrets, equipment)?;
    let unusable = |source| IsoError::ConsolePassword(place.clone(), source);
    let kept = secrets.load(CONSOLE_HASH)?.map(|text| PasswordHash::from_secret(&text)).transpose();
    let kept = kept.map_err(IsoError::ConsoleHash)?;
    match (kept, password) {
        (None, None) => Err(IsoError::NoConsolePassword(place)),
        (Some(hash), None) => Ok(Some(hash)),
        (None, Some(password)) => {
            let hash = PasswordHash::generate(&password).map_err(unusable)?;
            let kept = secrets.load_or_create::<IsoError>(CONSOLE_HASH, || Ok(hash.text().clone()))?;
            Ok(Some(PasswordHash::from_secret(&kept.text).map_err(IsoError::ConsoleHash)?))
        }
        (Some(hash), Some(password)) if hash.is_of(&password).map_err(unusable)? => Ok(Some(hash)),
        (Some(_), Some(password)) => {
            let hash = PasswordHash::generate(&password).map_err(unusable)?;
            secrets.replace(CONSOLE_HASH, hash.text())?;
            equipment
                .reporter
                .note(format!("the console's password is another one: `{CONSOLE_HASH}` was made anew"));
            Ok(Some(hash))
        }
    }
}

/// Makes a text of 128 random bits that nobody guesses.
pub(super) fn generate_password() -> Result<SecretText, IsoError> {
    tokens::generate_node_password().map_err(IsoError::Random)
}

/// Returns the settings of k3s that are secrets, by flag.
pub(super) fn settings(
    from: &BTreeMap<String, PasswordFrom>,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<BTreeMap<String, SecretText>, IsoError> {
    from.iter().map(|(flag, from)| Ok((flag.clone(), setting(flag, from, secrets, equipment)?))).collect()
}

/// Returns one of them.
pub(super) fn setting(
    flag: &str,
    from: &PasswordFrom,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<SecretText, IsoError> {
    let (value, place) = password(from, secrets, equipment)?;
    let value = value.filter(|value| !value.expose_line().is_empty());
    match value {
        Some(value) => one_line(value, place),
        None => Err(IsoError::NoSetting { flag: flag.to_owned(), place }),
    }
}

/// Returns a password, if it is there, and where it was looked for.
pub(super) fn password(
    from: &PasswordFrom,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<(Option<SecretText>, String), IsoError> {
    let file = |name: &str| format!("the secrets folder's file `{name}`");
    Ok(match from {
        PasswordFrom::Environment(name) => {
            ((equipment.variable)(name).map(SecretText::from), format!("the environment variable `{name}`"))
        }
        PasswordFrom::Secret(name) => {
            let line = secrets.load(name)?.map(|text| text.expose_line().to_owned().into());
            (line, file(name))
        }
        PasswordFrom::Generated(name) => {
            let secret = secrets.load_or_create(name, generate_password)?;
            (Some(secret.text.expose_line().to_owned().into()), file(name))
        }
    })
}

/// Refuses what the registry's own list of passwords, headers and settings cannot hold.
pub(super) fn one_line(value: SecretText, place: String) -> Result<SecretText, IsoError> {
    let is_odd = value.expose_line().contains(char::is_control);
    if is_odd { Err(IsoError::NotOneLine(place)) } else { Ok(value) }
}
