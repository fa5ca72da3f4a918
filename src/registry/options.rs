//! What a client needs to know of its surroundings.

use std::path::PathBuf;
use std::time::Duration;

use super::echo::Echo;
use super::pace::Pace;
use super::retry::RetryPolicy;
use crate::secrets::SecretText;

/// What a [`Client`](super::Client) is made with. Nothing of it is read from the environment here.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Who asks, for the servers' logs.
    pub user_agent: String,
    /// A PEM file of trusted authorities instead of the system's, as `SSL_CERT_FILE` names one.
    pub ca_bundle: Option<PathBuf>,
    /// Docker and podman configurations with credentials. The first that knows a registry is taken; those that
    /// do not exist are passed over.
    pub credential_files: Vec<PathBuf>,
    /// The proxies.
    pub proxies: Proxies,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a server may be silent: before its answer, and between two pieces of it.
    pub read_timeout: Duration,
    /// How slowly the bytes of an answer may come; slower is as silent.
    pub least_pace: Pace,
    /// When something is asked for again.
    pub retry: RetryPolicy,
    /// What servers were sent and must not be shown, for whoever prints what they say.
    pub echo: Echo,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("seedkit/", env!("CARGO_PKG_VERSION")).to_owned(),
            ca_bundle: None,
            credential_files: Vec::new(),
            proxies: Proxies::default(),
            connect_timeout: Duration::from_secs(15),
            // A registry that is a cache itself answers only when it has begun to fetch from upstream.
            read_timeout: Duration::from_secs(60),
            least_pace: Pace::default(),
            retry: RetryPolicy::default(),
            echo: Echo::default(),
        }
    }
}

/// Proxies, as the usual environment variables name them. Their URLs may hold a password.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `https` URLs: `HTTPS_PROXY`. A missing scheme means `http`; `socks5://` and `socks5h://` are known.
    pub https: Option<SecretText>,
    /// For `http` URLs: `http_proxy`.
    pub http: Option<SecretText>,
    /// For URLs that have none of the above: `ALL_PROXY`.
    pub all: Option<SecretText>,
    /// Hosts, domains and networks that are reached directly: `NO_PROXY`, separated by commas.
    pub none: Option<String>,
}
