//! Tables of other projects' keys, as data with source and date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

static CLOUD_INIT: LazyLock<CloudInit> = LazyLock::new(|| {
    toml::from_str(include_str!("cloud-init-keys.toml")).expect("a unit test reads this table")
});
static K3S: LazyLock<K3s> =
    LazyLock::new(|| toml::from_str(include_str!("k3s-flags.toml")).expect("a unit test reads this table"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudInit {
    oldest: Release,
    newest: Release,
}

/// The keys that one release of cloud-init knows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    pub(super) version: String,
    #[expect(dead_code, reason = "it is there for people")]
    source: String,
    #[expect(dead_code, reason = "it is there for people")]
    date: String,
    pub(super) keys: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct K3s {
    #[expect(dead_code, reason = "it is there for people")]
    source: String,
    #[expect(dead_code, reason = "it is there for people")]
    date: String,
    agent: Flags,
    server: Flags,
    since: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flags {
    keys: BTreeSet<String>,
}

/// Returns what the oldest and the newest supported cloud-init know.
pub(super) fn cloud_init() -> [&'static Release; 2] {
    [&CLOUD_INIT.oldest, &CLOUD_INIT.newest]
}

/// Says why k3s of this minor release would pass over a key on a server or agent; nothing if it would not.
pub(super) fn passes_over(key: &str, is_server: bool, minor: Option<u32>) -> Option<String> {
    // `key+` adds to what other files say.
    let name = key.strip_suffix('+').unwrap_or(key);
    let K3s { agent, server, since, .. } = &*K3S;
    if !agent.keys.contains(name) && !server.keys.contains(name) {
        return Some(format!("k3s does not know `{key}`"));
    }
    if !is_server && !agent.keys.contains(name) {
        return Some(format!("`{key}` is for servers, and this is an agent"));
    }
    let first = since.get(name).copied().filter(|first| minor.is_some_and(|minor| minor < *first))?;
    Some(format!("`{key}` is known from 1.{first} on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read() {
        let [oldest, newest] = cloud_init();
        assert!(oldest.keys.contains("write_files") && newest.keys.contains("write_files"));
        assert!(!oldest.keys.contains("rpi_interfaces") && oldest.version < newest.version);
        assert_eq!(passes_over("tls-san", true, Some(35)), None);
        assert!(passes_over("tls-san", false, Some(35)).is_some());
        assert!(passes_over("kublet-arg", true, None).is_some());
        assert!(passes_over("disable-default-registry-endpoint", false, Some(28)).is_some());
        assert_eq!(passes_over("node-label+", false, Some(28)), None);
    }
}
