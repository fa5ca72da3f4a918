//! Tables of other projects' keys, as data with source and date.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

static CLOUD_INIT: LazyLock<CloudInit> = LazyLock::new(|| {
    toml::from_str(include_str!("cloud-init-keys.toml")).expect("a unit test reads this table")
});

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

/// Returns what the oldest and the newest supported cloud-init know.
pub(super) fn cloud_init() -> [&'static Release; 2] {
    [&CLOUD_INIT.oldest, &CLOUD_INIT.newest]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read() {
        let [oldest, newest] = cloud_init();
        assert!(oldest.keys.contains("write_files") && newest.keys.contains("write_files"));
        assert!(!oldest.keys.contains("rpi_interfaces") && oldest.version < newest.version);
    }
}
