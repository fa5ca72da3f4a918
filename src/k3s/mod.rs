//! The keys of k3s' `config.yaml`, which are its flags: what a release knows, and what seedkit sets itself.
//!
//! The facts are data, `flags.toml`, with source and date; spec, seed and check read the same.

mod ports;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use self::ports::{diversion, listener};
pub use self::values::misfit;

/// The settings that hold networks inside the cluster, and k3s' defaults.
pub const INNER_NETWORKS: [(&str, &str); 2] =
    [("cluster-cidr", "10.42.0.0/16"), ("service-cidr", "10.43.0.0/16")];

/// What a server deploys unless `disable` names it.
pub const COMPONENTS: [&str; 6] =
    ["coredns", "local-storage", "metrics-server", "runtimes", "servicelb", "traefik"];

/// The key that says where the state of all servers is, if none of them keeps it itself.
pub const DATASTORE: &str = "datastore-endpoint";

/// The port that servers listen at for all that joins them, unless [`API_PORT_KEY`] sets another one.
pub const API_PORT: u16 = 6443;

/// The key that sets another port than [`API_PORT`].
pub const API_PORT_KEY: &str = "https-listen-port";

static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("flags.toml")).expect("a unit test reads this table"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[expect(dead_code, reason = "it is there for people")]
    source: String,
    #[expect(dead_code, reason = "it is there for people")]
    date: String,
    agent: Keys,
    server: Keys,
    since: BTreeMap<String, u32>,
    secret: SecretFlags,
    values: BTreeMap<values::Kind, BTreeSet<String>>,
    own: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFlags {
    always: BTreeSet<String>,
    addresses: BTreeSet<String>,
}

/// Returns whether pods find the API by this name: that of its service, as much of it as they may leave out.
pub fn is_api_name(name: &str, config: &Settings) -> bool {
    let domain = config.texts("cluster-domain").first().copied().unwrap_or("cluster.local");
    let whole = format!("kubernetes.default.svc.{domain}");
    whole.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A registry that another one stands in for, as `registries.yaml` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its host, as images name it, such as `docker.io`; `*` for all that are not named.
    pub host: String,
    /// Go regular expressions for repositories, and what is asked for instead.
    pub rewrites: BTreeMap<String, String>,
}

/// Which subcommands of k3s know a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `k3s server` and `k3s agent`.
    Everywhere,
    /// `k3s server` alone; agents pass over it.
    OnServers,
    /// None that seedkit knows of.
    Nowhere,
}

/// Returns the flag that a key of `config.yaml` sets: `key+` appends to what an earlier file says.
pub fn flag_of(key: &str) -> &str {
    key.strip_suffix('+').unwrap_or(key)
}

/// Returns which subcommands know `key`.
pub fn known(key: &str) -> Known {
    let flag = flag_of(key);
    if TABLE.agent.keys.contains(flag) {
        Known::Everywhere
    } else if TABLE.server.keys.contains(flag) {
        Known::OnServers
    } else {
        Known::Nowhere
    }
}

/// Returns whether some value of `key` is a secret.
pub fn may_be_secret(key: &str) -> bool {
    let flag = flag_of(key);
    TABLE.secret.always.contains(flag) || TABLE.secret.addresses.contains(flag)
}

/// Returns whether this value of `key` is a secret: as each one is, or as an address with a user, a password or a token.
pub fn is_secret(key: &str, value: &str) -> bool {
    let flag = flag_of(key);
    let has_credentials = || {
        let value = value.to_ascii_lowercase();
        value.contains('@')
            || ["password=", "passwd=", "token=", "secret="].iter().any(|word| value.contains(word))
    };
    TABLE.secret.always.contains(flag) || TABLE.secret.addresses.contains(flag) && has_credentials()
}

/// Returns all keys that a server knows, or an agent.
pub fn keys(is_server: bool) -> impl Iterator<Item = &'static str> {
    let servers = is_server.then_some(&TABLE.server.keys).into_iter().flatten();
    TABLE.agent.keys.iter().chain(servers).map(String::as_str)
}

/// Says why k3s of this minor release would pass over a key on a server or agent; nothing if it would not.
pub fn passes_over(key: &str, is_server: bool, minor: Option<u32>) -> Option<String> {
    match known(key) {
        Known::Nowhere => return Some(format!("k3s does not know `{key}`")),
        Known::OnServers if !is_server => {
            return Some(format!("`{key}` is for servers, and this is an agent"));
        }
        Known::Everywhere | Known::OnServers => {}
    }
    let first = TABLE.since.get(flag_of(key)).copied();
    let first = first.filter(|first| minor.is_some_and(|minor| minor < *first))?;
    Some(format!("`{key}` is known from 1.{first} on"))
}

/// Says why a user cannot set a key: it follows from the rest of the spec.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("this is not for the spec to set")]
pub struct OwnKey {
    /// Who sets it, as a sentence without a full stop.
    pub reason: &'static str,
}

/// Refuses a key that follows from the rest of the spec, whatever its spelling.
///
/// # Errors
/// Says who sets it.
pub fn refuse_own(key: &str) -> Result<(), OwnKey> {
    TABLE.own.get(flag_of(key)).map_or(Ok(()), |reason| Err(OwnKey { reason }))
}

/// Returns the values of a flag: one, or those of a list.
pub fn scalars(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// What users set in a node's `config.yaml`, in their order and types: never what seedkit sets itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Adds a key, or replaces its value.
    ///
    /// # Errors
    /// Refuses what follows from the rest of the spec, whatever its spelling.
    pub fn insert(&mut self, key: String, value: Value) -> Result<(), OwnKey> {
        refuse_own(&key)?;
        self.0.insert(key, value);
        Ok(())
    }

    /// Returns all keys and values.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Returns the port at which a server with these settings is joined.
    ///
    /// # Errors
    /// Returns the value if it is not a port.
    pub fn api_port(&self) -> Result<u16, &Value> {
        let Some(value) = self.get(API_PORT_KEY) else { return Ok(API_PORT) };
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0).ok_or(value)
    }

    /// Returns the texts of `key`: k3s takes a list and a text with commas alike.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        let values = self.get(key).map_or(&[][..], scalars);
        values.iter().filter_map(Value::as_str).flat_map(|text| text.split(',')).map(str::trim).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_passes_over_what_it_does_not_know() {
        assert_eq!(passes_over("tls-san", true, Some(35)), None);
        assert!(passes_over("tls-san", false, Some(35)).is_some());
        assert!(passes_over("kublet-arg", true, None).is_some());
        assert!(passes_over("disable-default-registry-endpoint", false, Some(28)).is_some());
        assert_eq!(passes_over("node-label+", false, Some(28)), None);
        assert!(keys(false).all(|key| known(key) == Known::Everywhere));
        assert!(keys(true).any(|key| known(key) == Known::OnServers));
    }

    #[test]
    fn an_address_is_a_secret_if_it_has_one_in_it() {
        for (key, value) in [
            ("etcd-s3-secret-key", "x"),
            ("vpn-auth+", "name=tailscale,joinKey=x"),
            ("datastore-endpoint", "postgres://k3s:pw@192.168.6.1/k3s"),
            ("datastore-endpoint", "postgres://192.168.6.1/k3s?user=k3s&Password=pw"),
        ] {
            assert!(may_be_secret(key) && is_secret(key, value), "{key}: {value}");
        }
        assert!(!is_secret("datastore-endpoint", "https://192.168.6.1:2379,https://192.168.6.2:2379"));
        assert!(!may_be_secret("tls-san") && !is_secret("tls-san", "a@b"));
        let all = TABLE.secret.always.iter().chain(&TABLE.secret.addresses);
        assert!(all.into_iter().all(|flag| known(flag) != Known::Nowhere));
    }

    #[test]
    fn no_setting_is_one_of_seedkits_own() {
        let mut settings = Settings::default();
        for key in ["token", "t", "server", "s", "d", "c", "config", "token+", "node-ip", "cluster-secret"] {
            assert!(settings.insert(key.to_owned(), Value::Null).is_err(), "{key}");
        }
        assert_eq!(settings, Settings::default());
        settings.insert("tls-san".to_owned(), Value::from("k3s.lan")).unwrap();
        assert_eq!(settings.get("tls-san"), Some(&Value::from("k3s.lan")));
    }

    #[test]
    fn servers_are_joined_at_the_port_that_is_set() {
        let port = |value: Value| {
            let mut settings = Settings::default();
            settings.insert(API_PORT_KEY.to_owned(), value).unwrap();
            settings.api_port().ok()
        };
        assert_eq!(Settings::default().api_port(), Ok(6443));
        assert_eq!((port(Value::from(7443)), port(Value::from("7443"))), (Some(7443), Some(7443)));
        for wrong in [Value::from(0), Value::from(65536), Value::from("api"), Value::from(vec![7443])] {
            assert_eq!(port(wrong.clone()), None, "{wrong}");
        }
    }
}
