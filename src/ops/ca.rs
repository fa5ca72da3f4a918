//! `seedkit ca`: the registry's authority and certificate, and the cluster's authorities where the spec wants them:
//! made once, loaded ever after.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::bill::{self, BillError};
use crate::cluster::authorities::ClusterAuthorities;
use crate::epoch::Epoch;
use crate::fs::open_regular;
use crate::ops::cluster::{self, ClusterError};
use crate::ops::kit::REGISTRY;
use crate::pki::{
    Authority, CertificateView, InvalidCertificate, InvalidKey, InvalidName, PkiError, PrivateKey,
    SubjectName,
};
use crate::progress::{Reporter, step};
use crate::secrets::{SecretText, Secrets, SecretsError, names};
use crate::spec::{ClusterCa, Spec};

/// How many days before the end of a certificate a build warns.
const SOON: i64 = 30;

/// The most bytes that a certificate of a kit may have.
const CERTIFICATE_LIMIT: u64 = 1024 * 1024;

/// Why there are no certificates that can be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The secrets folder cannot be used.
    #[error("cannot use the secrets")]
    Secrets(#[from] SecretsError),
    /// A private key is unusable.
    #[error("the private key `{0}` in the secrets folder cannot be used")]
    Key(&'static str, #[source] InvalidKey),
    /// A certificate is unusable.
    #[error("the certificate `{0}` in the secrets folder cannot be used")]
    Certificate(&'static str, #[source] InvalidCertificate),
    /// A name of the registry cannot stand in a certificate.
    #[error("the registry's name cannot stand in its certificate")]
    Name(#[source] InvalidName),
    /// A certificate cannot be made or does not belong to its key.
    #[error("cannot use the registry's certificate authority")]
    Pki(#[source] PkiError),
    /// The certificate is not for this registry.
    #[error("the registry's certificate does not cover `{missing}`; it covers {covered}")]
    NotCovered {
        /// The address or name that nodes connect to.
        missing: String,
        /// What the certificate covers.
        covered: String,
    },
    /// The certificate is another authority's, or not that of its key.
    #[error("the registry's certificate {0}")]
    Foreign(&'static str),
    /// The registry's certificate expired, or is not valid yet because a clock is wrong.
    #[error("the registry's certificate is not valid at {0}")]
    NotValid(Epoch),
    /// The authority's certificate expired, or is not valid yet because a clock is wrong.
    #[error("the certificate of the registry's authority is not valid at {0}")]
    AuthorityNotValid(Epoch),
    /// Nothing was made yet.
    #[error("there is no `{0}` in the secrets folder")]
    Missing(&'static str),
    /// What should be a kit is not one.
    #[error(transparent)]
    Kit(#[from] BillError),
    /// A certificate of a kit cannot be read.
    #[error("cannot read the kit's certificate `{0}`")]
    Read(PathBuf, #[source] std::io::Error),
    /// A certificate of a kit is unusable.
    #[error("the kit's certificate `{0}` cannot be used")]
    OfKit(PathBuf, #[source] InvalidCertificate),
    /// The cluster's own authorities cannot be used.
    #[error("cannot use the authorities of the cluster")]
    Cluster(#[from] ClusterError),
}

/// The registry's certificates and the cluster's authorities, checked to fit each other and the spec.
#[derive(Debug)]
pub struct Certificates {
    /// The authority that the nodes trust.
    pub authority: Authority,
    /// The registry's certificate, in PEM.
    pub server_pem: String,
    /// What it says.
    pub server: CertificateView,
    /// The registry's private key, in PEM.
    pub server_key: SecretText,
    /// The cluster's authorities; `None` where k3s makes them itself.
    pub cluster: Option<ClusterAuthorities>,
    /// Whether any of them was made now.
    pub is_new: bool,
}

/// Loads the certificates, making those that do not exist; what exists is never overwritten.
///
/// Certificates that do not fit (address not covered, another authority, not valid at `now`) are an error.
///
/// # Why
/// `now` is not the lock's time: a lock may be years older than the secrets that its kit is built with.
pub fn load_or_create(spec: &Spec, secrets: &Secrets, now: Epoch) -> Result<Certificates, CaError> {
    let (authority, is_authority_new) = authority(spec, secrets, now)?;
    let (server_key, key_pem) = private_key(secrets, (names::SERVER_KEY, names::SERVER))?;
    let wanted = server_names(spec)?;
    let certificate = secrets.load_or_create::<CaError>(names::SERVER, || {
        let made =
            authority.generate_server_certificate(&server_key, &wanted, now, spec.registry.server_days);
        Ok(made.map_err(CaError::Pki)?.pem().to_owned().into())
    })?;
    let (cluster, is_cluster_new) = match spec.k3s.cluster_ca {
        ClusterCa::K3s => (None, false),
        ClusterCa::Generate => {
            let (authorities, is_new) = cluster::load_or_create_authorities(secrets, now)?;
            cluster::check_registry_authority(&authorities, authority.view())?;
            (Some(authorities), is_new)
        }
    };
    let is_new = is_authority_new || certificate.is_new || is_cluster_new;
    let server_pem = certificate.text.expose().to_owned();
    let server = view_of(names::SERVER, &server_pem)?;
    let certificates = Certificates { authority, server_pem, server, server_key: key_pem, cluster, is_new };
    certificates.check(&wanted, &server_key, now)?;
    Ok(certificates)
}

/// Loads the certificates or makes them, as a step; warns of those that end soon.
pub fn certificates(
    spec: &Spec,
    secrets: &Secrets,
    now: Epoch,
    reporter: &dyn Reporter,
) -> Result<Certificates, CaError> {
    step(reporter, "certificates", || {
        let certificates = load_or_create(spec, secrets, now)?;
        let days = certificates.days_left(now);
        if days < SOON {
            reporter
                .warn(format!("the registry's certificates end in {days} days: look at `seedkit ca show`"));
        }
        let what = if certificates.is_new { "made" } else { "loaded" };
        Ok((certificates, format!("{what}; the registry is {}", spec.registry.address)))
    })
}

/// What certificates say, whether they fit anything or not.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The registry's authority.
    pub authority: CertificateView,
    /// The registry's certificate.
    pub server: CertificateView,
    /// The cluster's authorities, each after the one that signs it; none where k3s makes them itself.
    pub cluster: Vec<CertificateView>,
}

/// Returns what the certificates of a kit's registry say.
pub fn show_kit(kit: &Path) -> Result<Shown, CaError> {
    bill::read(kit)?;
    let view = |name| {
        let path = kit.join(REGISTRY).join(name);
        let mut pem = String::new();
        open_regular(&path)
            .and_then(|file| file.take(CERTIFICATE_LIMIT).read_to_string(&mut pem))
            .map_err(|source| CaError::Read(path.clone(), source))?;
        CertificateView::from_pem(&pem).map_err(|source| CaError::OfKit(path, source))
    };
    Ok(Shown { authority: view(names::AUTHORITY)?, server: view(names::SERVER)?, cluster: Vec::new() })
}

/// Returns what the certificates in the secrets folder say.
pub fn show(spec: &Spec, secrets: &Secrets) -> Result<Shown, CaError> {
    let view = |name| {
        let pem = secrets.load(name)?.ok_or(CaError::Missing(name))?;
        view_of(name, pem.expose())
    };
    let cluster = match spec.k3s.cluster_ca {
        ClusterCa::K3s => Vec::new(),
        ClusterCa::Generate => cluster::show_authorities(secrets)?,
    };
    Ok(Shown { authority: view(names::AUTHORITY)?, server: view(names::SERVER)?, cluster })
}

fn view_of(name: &'static str, pem: &str) -> Result<CertificateView, CaError> {
    CertificateView::from_pem(pem).map_err(|source| CaError::Certificate(name, source))
}

/// Makes a new certificate for the registry under the same authority and with the same key.
///
/// The cluster's authorities are left alone: k3s has its own command for running clusters. Without an authority there is
/// nothing to renew, and nothing is made.
pub fn renew(spec: &Spec, secrets: &Secrets, now: Epoch) -> Result<Certificates, CaError> {
    if secrets.load(names::AUTHORITY)?.is_none() {
        return Err(CaError::Missing(names::AUTHORITY));
    }
    let (authority, _) = authority(spec, secrets, now)?;
    let (server_key, key_pem) = private_key(secrets, (names::SERVER_KEY, names::SERVER))?;
    let wanted = server_names(spec)?;
    let made = authority
        .generate_server_certificate(&server_key, &wanted, now, spec.registry.server_days)
        .map_err(CaError::Pki)?;
    secrets.replace(names::SERVER, &made.pem().to_owned().into())?;
    let (server_pem, server) = (made.pem().to_owned(), made.view().clone());
    let certificates =
        Certificates { authority, server_pem, server, server_key: key_pem, cluster: None, is_new: true };
    certificates.check(&wanted, &server_key, now)?;
    Ok(certificates)
}

impl Certificates {
    /// Returns the whole days until the first of the two certificates expires.
    pub fn days_left(&self, now: Epoch) -> i64 {
        let seconds = now.date_time().unix_timestamp();
        self.server.days_left(seconds).min(self.authority.view().days_left(seconds))
    }

    fn check(&self, wanted: &[SubjectName], key: &PrivateKey, now: Epoch) -> Result<(), CaError> {
        let view = &self.server;
        if let Some(missing) = wanted.iter().find(|name| !view.covers(name)) {
            let covered: Vec<String> = view.names().iter().map(ToString::to_string).collect();
            return Err(CaError::NotCovered { missing: missing.to_string(), covered: covered.join(", ") });
        }
        if !view.is_signed_by(self.authority.view()) {
            return Err(CaError::Foreign("is signed by another authority than `ca.crt`"));
        }
        if view.public_key() != key.public_key() {
            return Err(CaError::Foreign("does not belong to `registry.key`"));
        }
        let seconds = now.date_time().unix_timestamp();
        if !self.authority.view().is_valid_at(seconds) {
            return Err(CaError::AuthorityNotValid(now));
        }
        if !view.is_valid_at(seconds) {
            return Err(CaError::NotValid(now));
        }
        Ok(())
    }
}

fn authority(spec: &Spec, secrets: &Secrets, now: Epoch) -> Result<(Authority, bool), CaError> {
    let (key, key_pem) = private_key(secrets, (names::AUTHORITY_KEY, names::AUTHORITY))?;
    let (subject, names) = (format!("{} registry CA", spec.name), server_names(spec)?);
    let certificate = secrets.load_or_create::<CaError>(names::AUTHORITY, || {
        let made = Authority::generate_self_signed(key, &subject, &names, now, spec.registry.ca_days);
        Ok(made.map_err(CaError::Pki)?.pem().to_owned().into())
    })?;
    let key = PrivateKey::from_pem(&key_pem).map_err(|source| CaError::Key(names::AUTHORITY_KEY, source))?;
    let authority = Authority::from_pem(certificate.text.expose(), key).map_err(CaError::Pki)?;
    Ok((authority, certificate.is_new))
}

/// Loads the key of a certificate, or makes it with the certificate still to come.
fn private_key(
    secrets: &Secrets,
    (name, certificate): (&'static str, &'static str),
) -> Result<(PrivateKey, SecretText), CaError> {
    let key_error = |source| CaError::Key(name, source);
    let make = || Ok::<_, CaError>(PrivateKey::generate_p256().map_err(key_error)?.to_pem());
    let secret = secrets.load_or_create_key((name, certificate), make)?;
    Ok((PrivateKey::from_pem(&secret.text).map_err(key_error)?, secret.text))
}

/// Returns the address that nodes connect to, and all further names of the spec.
fn server_names(spec: &Spec) -> Result<Vec<SubjectName>, CaError> {
    let registry = &spec.registry;
    let hosts = std::iter::once(registry.address.host()).chain(&registry.sans);
    hosts.map(|host| host.to_string().parse().map_err(CaError::Name)).collect()
}
