//! The certificate authorities of a cluster, made before its first server starts.
//!
//! ```text
//! root -> intermediate -> server-ca          what the nodes' servers present
//!                      -> client-ca          who administrators and components are
//!                      -> request-header-ca  what aggregated APIs trust
//!                      -> etcd/peer-ca, etcd/server-ca
//! service.key                                signs the tokens of service accounts; no certificate
//! ```
//!
//! k3s makes no authority where it finds one in `/var/lib/rancher/k3s/server/tls` at the first start of the first
//! server; further servers get them through the cluster's datastore. Each `.crt` there is a chain: the component's
//! authority, the intermediate one, the root. The keys of root and intermediate stay in the secrets.
//!
//! # Why
//! *A chain*, where k3s itself makes five authorities that sign themselves: tokens hold the root's hash, and it stays
//! when the authorities below are renewed (`k3s certificate rotate-ca`). *P-256 in SEC 1, RSA in PKCS#1*: the forms
//! that k3s' own script writes. *Lifetimes* are that script's, too.

use crate::epoch::Epoch;
use crate::node::{NodePath, SecretFile};
use crate::pki::{Authority, InvalidKey, PkiError, PrivateKey, RsaKey};
use crate::secrets::SecretText;

/// Where the first server looks for authorities before it makes its own.
pub const TLS_FOLDER: &str = "/var/lib/rancher/k3s/server/tls";

/// The folders that keep others away from the keys, outermost first; all of mode 0700.
pub const PRIVATE_FOLDERS: [&str; 3] =
    ["/var/lib/rancher/k3s/server", TLS_FOLDER, "/var/lib/rancher/k3s/server/tls/etcd"];

/// One of a cluster's authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{}", self.name())]
pub enum ClusterAuthority {
    /// Signs the intermediate one; tokens hold its hash.
    Root,
    /// Signs all below.
    Intermediate,
    /// Signs what API servers and kubelets present.
    Server,
    /// Signs what clients present, an administrator's kubeconfig among it.
    Client,
    /// Signs what the API server presents to aggregated APIs.
    RequestHeader,
    /// Signs what members of etcd present to each other.
    EtcdPeer,
    /// Signs what etcd and its clients present.
    EtcdServer,
}

impl ClusterAuthority {
    /// All of them, each after the one that signs it.
    pub const ALL: [Self; 7] = [
        Self::Root,
        Self::Intermediate,
        Self::Server,
        Self::Client,
        Self::RequestHeader,
        Self::EtcdPeer,
        Self::EtcdServer,
    ];

    /// Returns its name, as it stands in the certificate's and the secrets' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root-ca",
            Self::Intermediate => "intermediate-ca",
            Self::Server => "server-ca",
            Self::Client => "client-ca",
            Self::RequestHeader => "request-header-ca",
            Self::EtcdPeer => "etcd-peer-ca",
            Self::EtcdServer => "etcd-server-ca",
        }
    }

    /// Returns who signs it; `None` for the root, which signs itself.
    pub fn issuer(self) -> Option<Self> {
        match self {
            Self::Root => None,
            Self::Intermediate => Some(Self::Root),
            Self::Server | Self::Client | Self::RequestHeader | Self::EtcdPeer | Self::EtcdServer => {
                Some(Self::Intermediate)
            }
        }
    }

    /// Returns its path in [`TLS_FOLDER`], without suffix; `None` for those whose keys never leave the secrets.
    fn placed(self) -> Option<&'static str> {
        match self {
            Self::Root | Self::Intermediate => None,
            Self::Server | Self::Client | Self::RequestHeader => Some(self.name()),
            Self::EtcdPeer => Some("etcd/peer-ca"),
            Self::EtcdServer => Some("etcd/server-ca"),
        }
    }

    fn lifetime_days(self) -> u32 {
        match self.issuer() {
            None => 7300,
            Some(_) => 3700,
        }
    }

    /// Makes the authority, signed by `issuer`, or by itself if it is the root.
    ///
    /// To be called once: the certificate is kept in the secrets and is an input afterwards. All that is not chance
    /// in it follows from `epoch`.
    pub fn generate(
        self,
        key: PrivateKey,
        issuer: Option<&Authority>,
        epoch: Epoch,
    ) -> Result<Authority, PkiError> {
        let subject = format!("k3s-{}@{}", self.name(), epoch.seconds());
        match issuer {
            None => Authority::generate_root(key, &subject, epoch, self.lifetime_days()),
            Some(issuer) => issuer.generate_subordinate(key, &subject, epoch, self.lifetime_days()),
        }
    }
}

/// Says why authorities cannot be those of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum UnusableAuthorities {
    /// Certificates of two sets are mixed.
    #[error("the cluster's `{which}` is not signed by its `{issuer}`")]
    NotSigned {
        /// The authority.
        which: ClusterAuthority,
        /// Who should have signed it.
        issuer: ClusterAuthority,
    },
    /// One key for two authorities: what one of them signs, the other one vouches for.
    #[error("the cluster's `{which}` and `{other}` have one key")]
    SameKey {
        /// An authority.
        which: ClusterAuthority,
        /// Another one.
        other: ClusterAuthority,
    },
    /// It expired, or is not valid yet because a clock is wrong.
    #[error("the cluster's `{0}` is not valid at {1}")]
    NotValid(ClusterAuthority, Epoch),
    /// k3s would not read the key.
    #[error("the key of the cluster's `{0}` cannot be written for k3s")]
    Key(ClusterAuthority, #[source] InvalidKey),
}

/// All authorities of a cluster, and the key of its service accounts, checked to fit each other.
#[derive(Debug)]
pub struct ClusterAuthorities {
    /// In the order of [`ClusterAuthority::ALL`].
    authorities: Vec<Authority>,
    service_key: RsaKey,
}

impl ClusterAuthorities {
    /// Collects the authorities: `obtain` is asked for each after the one that signs it, which it is given.
    pub fn collect<E>(
        mut obtain: impl FnMut(ClusterAuthority, Option<&Authority>) -> Result<Authority, E>,
        service_key: impl FnOnce() -> Result<RsaKey, E>,
    ) -> Result<Self, E> {
        let mut authorities: Vec<Authority> = Vec::with_capacity(ClusterAuthority::ALL.len());
        for which in ClusterAuthority::ALL {
            let issuer = which.issuer().map(|issuer| &authorities[issuer as usize]);
            authorities.push(obtain(which, issuer)?);
        }
        Ok(Self { authorities, service_key: service_key()? })
    }

    /// Returns one of the authorities.
    pub fn get(&self, which: ClusterAuthority) -> &Authority {
        &self.authorities[which as usize]
    }

    /// Checks that every authority is signed by the one above it, has a key of its own, and is valid at `now`.
    pub fn check(&self, now: Epoch) -> Result<(), UnusableAuthorities> {
        let seconds = now.date_time().unix_timestamp();
        for which in ClusterAuthority::ALL {
            let view = self.get(which).view();
            let issuer = which.issuer().unwrap_or(which);
            if !view.is_signed_by(self.get(issuer).view()) {
                return Err(UnusableAuthorities::NotSigned { which, issuer });
            }
            let others = ClusterAuthority::ALL.into_iter().take_while(|other| *other != which);
            for other in others {
                if self.get(other).view().public_key() == view.public_key() {
                    return Err(UnusableAuthorities::SameKey { which, other });
                }
            }
            if !view.is_valid_at(seconds) {
                return Err(UnusableAuthorities::NotValid(which, now));
            }
        }
        Ok(())
    }

    /// Returns the hash that a full token holds: the SHA-256 of the root in DER, in lower-case hexadecimal.
    ///
    /// From k3s' `hashCA` in `pkg/clientaccess/token.go`, for a file of more than one certificate.
    pub fn token_hash(&self) -> String {
        self.get(ClusterAuthority::Root).view().digest().hex().to_owned()
    }

    /// Returns the files that the first server must find before k3s starts: the keys of what is below the
    /// intermediate authority, and chains up to the root.
    pub fn files(&self) -> Result<Vec<SecretFile>, UnusableAuthorities> {
        let pem = |which| self.get(which).pem().trim_end();
        let above = format!("{}\n{}\n", pem(ClusterAuthority::Intermediate), pem(ClusterAuthority::Root));
        let file = |path: &str, mode, text| SecretFile {
            destination: NodePath::own(format!("{TLS_FOLDER}/{path}")),
            mode,
            text: SecretText::from(text),
        };
        let mut files = Vec::new();
        for which in ClusterAuthority::ALL {
            let Some(path) = which.placed() else { continue };
            let key = self.get(which).key().to_sec1_pem();
            let key = key.map_err(|source| UnusableAuthorities::Key(which, source))?;
            files.push(file(&format!("{path}.crt"), 0o644, format!("{}\n{above}", pem(which))));
            files.push(file(&format!("{path}.key"), 0o600, key.expose().to_owned()));
        }
        files.push(file("service.key", 0o600, self.service_key.pem().expose().to_owned()));
        Ok(files)
    }
}
