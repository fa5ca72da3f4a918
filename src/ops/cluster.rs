//! What a cluster trusts and joins with: its authorities and tokens, made once, loaded ever after.
//!
//! The secrets are made in one order. An interrupted run leaves the beginning of it, and the next
//! run goes on. A gap means that something was lost: nothing is made into it, because a new authority would not be
//! the one that running nodes know.

use itertools::Itertools as _;

use crate::cluster::authorities::{ClusterAuthorities, ClusterAuthority, UnusableAuthorities};
use crate::cluster::tokens::{self, InvalidToken, Token, User};
use crate::epoch::Epoch;
use crate::pki::{
    Authority, CertificateView, InvalidCertificate, InvalidKey, InvalidRsaKey, PkiError, PrivateKey, RsaKey,
};
use crate::secrets::names::{AGENT_TOKEN, CLUSTER, SERVER_TOKEN, SERVICE_KEY};
use crate::secrets::{SecretText, Secrets, SecretsError};

/// Why there is nothing to trust or to join with.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The secrets folder cannot be used.
    #[error("cannot use the secrets")]
    Secrets(#[from] SecretsError),
    /// Something was lost.
    #[error("the secrets folder has `{present}`, but not {}", quoted(.missing))]
    Incomplete {
        /// What is not there, though it was made before what is.
        missing: Vec<String>,
        /// The last secret that is there.
        present: String,
    },
    /// A private key is unusable.
    #[error("the private key `{0}` in the secrets folder cannot be used")]
    Key(String, #[source] InvalidKey),
    /// The key of the service accounts is unusable.
    #[error("the private key `{SERVICE_KEY}` in the secrets folder cannot be used")]
    ServiceKey(#[source] InvalidRsaKey),
    /// An authority cannot be made, or does not belong to its key.
    #[error("cannot use the cluster's authority `{0}`")]
    Authority(String, #[source] PkiError),
    /// A certificate is unusable.
    #[error("the certificate `{0}` in the secrets folder cannot be used")]
    Certificate(String, #[source] InvalidCertificate),
    /// The authorities are not those of one cluster.
    #[error("cannot use the cluster's authorities")]
    Unusable(#[from] UnusableAuthorities),
    /// One key for the registry and for the cluster.
    #[error("the registry's authority `ca.crt` and the cluster's `{0}` have one key")]
    SharedWithRegistry(ClusterAuthority),
    /// A token cannot be made.
    #[error("cannot make a token for the cluster")]
    Random(#[source] getrandom::Error),
    /// One token for servers and agents.
    #[error(
        "`{SERVER_TOKEN}` and `{AGENT_TOKEN}` in the secrets folder are the same: agents could join as servers"
    )]
    SameToken,
    /// A token in the secrets folder is not one that nodes can use.
    #[error("the token `{0}` in the secrets folder cannot be used")]
    Token(&'static str, #[source] InvalidToken),
}

/// What nodes join with.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// What servers carry.
    pub server: SecretText,
    /// What agents carry.
    pub agent: SecretText,
    /// What servers let agents in with: the password alone, which all releases of k3s take.
    pub agent_password: SecretText,
    /// Those that were made now though there were other secrets: they may have been lost.
    pub made_anew: Vec<&'static str>,
}

/// Loads the cluster's authorities, making those that do not exist; what exists is never overwritten.
///
/// The flag says whether any was made now.
///
/// # Errors
/// If something is missing that was there before, belongs to another set, or is not valid at `now`.
pub fn load_or_create_authorities(
    secrets: &Secrets,
    now: Epoch,
) -> Result<(ClusterAuthorities, bool), ClusterError> {
    refuse_gap(secrets)?;
    let mut is_new = false;
    let authority = |which: ClusterAuthority, issuer: Option<&Authority>| {
        let (authority, is_made) = authority(which, issuer, secrets, now)?;
        is_new |= is_made;
        Ok::<_, ClusterError>(authority)
    };
    let service_key = || {
        let secret = secrets.load_or_create::<ClusterError>(SERVICE_KEY, || {
            Ok(RsaKey::generate().map_err(ClusterError::ServiceKey)?.pem().clone())
        })?;
        RsaKey::from_pem(secret.text).map_err(ClusterError::ServiceKey)
    };
    let authorities = ClusterAuthorities::collect(authority, service_key)?;
    authorities.check(now)?;
    Ok((authorities, is_new))
}

/// Checks that the registry's authority is none of the cluster's.
///
/// Nodes and people trust the registry's in many places. Where the cluster's is trusted as well, k3s no longer
/// compares the hash in its token.
pub fn check_registry_authority(
    authorities: &ClusterAuthorities,
    registry: &CertificateView,
) -> Result<(), ClusterError> {
    let is_shared =
        |which: &ClusterAuthority| authorities.get(*which).view().public_key() == registry.public_key();
    match ClusterAuthority::ALL.into_iter().find(is_shared) {
        Some(which) => Err(ClusterError::SharedWithRegistry(which)),
        None => Ok(()),
    }
}

/// Returns what the certificates of the cluster's authorities say, whether they fit anything or not; none if there
/// are none yet.
pub fn show_authorities(secrets: &Secrets) -> Result<Vec<CertificateView>, ClusterError> {
    let mut views = Vec::new();
    for which in ClusterAuthority::ALL {
        let name = certificate_name(which);
        let Some(pem) = secrets.load(&name)? else { continue };
        let view = CertificateView::from_pem(pem.expose());
        views.push(view.map_err(|source| ClusterError::Certificate(name, source))?);
    }
    Ok(views)
}

/// Loads the tokens, making those that do not exist, in the form that fits what is known of the authorities.
pub fn load_or_create_tokens(
    secrets: &Secrets,
    authorities: Option<&ClusterAuthorities>,
) -> Result<Tokens, ClusterError> {
    let hash = authorities.map(ClusterAuthorities::token_hash);
    let mut made_anew = Vec::new();
    let mut token = |name: &'static str, user: User| {
        let secret = secrets.load_or_create::<ClusterError>(name, || {
            tokens::generate_token().map_err(ClusterError::Random)
        })?;
        made_anew.extend((secret.is_new && secrets.had_any()).then_some(name));
        let token_error = |source| ClusterError::Token(name, source);
        let token = Token::from_secret(&secret.text, user).map_err(token_error)?;
        let text = token.for_nodes(hash.as_deref()).map_err(token_error)?;
        Ok::<_, ClusterError>((text, token.password().clone()))
    };
    let (server, server_password) = token(SERVER_TOKEN, User::Server)?;
    let (agent, agent_password) = token(AGENT_TOKEN, User::Node)?;
    if server_password == agent_password {
        return Err(ClusterError::SameToken);
    }
    Ok(Tokens { server, agent, agent_password, made_anew })
}

fn key_name(which: ClusterAuthority) -> String {
    format!("{CLUSTER}{which}.key")
}

fn certificate_name(which: ClusterAuthority) -> String {
    format!("{CLUSTER}{which}.crt")
}

/// Returns the names of all that belongs to the authorities, in the order in which it is made.
fn secret_names() -> Vec<String> {
    let pairs =
        ClusterAuthority::ALL.into_iter().flat_map(|which| [key_name(which), certificate_name(which)]);
    pairs.chain([SERVICE_KEY.to_owned()]).collect()
}

/// Looks from the last secret to the first: what another process makes meanwhile is then no gap.
fn refuse_gap(secrets: &Secrets) -> Result<(), ClusterError> {
    let mut present: Option<String> = None;
    let mut missing = Vec::new();
    for name in secret_names().into_iter().rev() {
        match (secrets.load(&name)?, &present) {
            (Some(_), None) => present = Some(name),
            (None, Some(_)) => missing.insert(0, name),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    match present {
        Some(present) if !missing.is_empty() => Err(ClusterError::Incomplete { missing, present }),
        Some(_) | None => Ok(()),
    }
}

fn authority(
    which: ClusterAuthority,
    issuer: Option<&Authority>,
    secrets: &Secrets,
    now: Epoch,
) -> Result<(Authority, bool), ClusterError> {
    let name = key_name(which);
    let key_error = |source| ClusterError::Key(name.clone(), source);
    let key = secrets.load_or_create::<ClusterError>(&name, || {
        Ok(PrivateKey::generate_p256().map_err(key_error)?.to_pem())
    })?;
    let read_key = || PrivateKey::from_pem(&key.text).map_err(key_error);
    let name = certificate_name(which);
    let authority_error = |source| ClusterError::Authority(name.clone(), source);
    let certificate = secrets.load_or_create::<ClusterError>(&name, || {
        let made = which.generate(read_key()?, issuer, now).map_err(authority_error)?;
        Ok(made.pem().to_owned().into())
    })?;
    let authority = Authority::from_pem(certificate.text.expose(), read_key()?).map_err(authority_error)?;
    Ok((authority, certificate.is_new))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).join(", ")
}
