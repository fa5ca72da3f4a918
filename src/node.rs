//! What a node can be told, whatever its role: the rules that a spec is checked by and a seed is built from.
//!
//! A rule stands here once, in the constructor of a type: what the type accepts, a seed can place, and what it
//! refuses, a spec refuses at its line.

mod disk;
mod time_zone;

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::{Invalid, MacAddress};
use crate::secrets::SecretText;
use crate::tree::TreePath;
pub use disk::{DiskSize, DiskTraits, InstallDisk, NoSuchDisk};
pub use time_zone::TimeZone;

/// What boots from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// A cloud image, which is configured on its first boot.
    #[default]
    CloudImage,
    /// Ubuntu's server installer, which takes its configuration from the seed.
    Autoinstall,
}

impl Flavour {
    /// Returns its name in the spec, which is also the folder of its templates.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudImage => "cloud-image",
            Self::Autoinstall => "autoinstall",
        }
    }
}

/// How a node finds the network card that gets its address: by hardware address, by name, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCard {
    mac: Option<MacAddress>,
    interface: Option<InterfaceName>,
}

impl NetworkCard {
    /// Returns a card that can be found; `None` if nothing says which one it is.
    pub fn new(mac: Option<MacAddress>, interface: Option<InterfaceName>) -> Option<Self> {
        (mac.is_some() || interface.is_some()).then_some(Self { mac, interface })
    }

    /// Returns its hardware address; with none, [`Self::interface`] finds it.
    pub fn mac(&self) -> Option<MacAddress> {
        self.mac
    }

    /// Returns the name of its interface: given to the card of that hardware address, or looked for without one.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_ref().map(|name| name.0.as_str())
    }
}

/// The name of a network interface, as Linux takes it: at most 15 letters, digits, `_`, `.` and `-`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName(String);

impl FromStr for InterfaceName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_name = (1..=15).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
            && text.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(text, "the name of a network interface"))
    }
}

/// Folders whose content does not survive a boot, or is none.
const VOLATILE: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// What a file system takes for one part of a path (Linux, `NAME_MAX`), in bytes.
const LONGEST_NAME: usize = 255;

const LONGEST_PATH: usize = 1024;

/// Says why a file cannot be placed on a node.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unplaceable {
    /// It is not a path that leads to one file.
    #[error("`{0}` is not an absolute path of a file")]
    NotNormal(String),
    /// The list of files has one to a line, whose blanks are trimmed, and sha256sum escapes backslashes.
    #[error("`{0}` has a control character, a backslash, or a blank at one of its ends")]
    Unlistable(String),
    /// No file system takes it.
    #[error("`{0}` is too long: a path has at most 1024 bytes, a name in it at most 255")]
    TooLong(String),
    /// Nothing stays there.
    #[error("`{path}` does not survive a boot: `{folder}` is empty when the node starts")]
    Volatile {
        /// Where the file was to go.
        path: String,
        /// The folder that is emptied.
        folder: &'static str,
    },
    /// It is the system's, k3s' or seedkit's own.
    #[error("`{path}` is not free: seedkit, k3s or the system writes `{owned}`")]
    Owned {
        /// Where the file was to go.
        path: String,
        /// The file or folder that is not for users.
        owned: &'static str,
    },
}

/// A small file of a node that may hold a secret.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// Where it goes.
    pub destination: NodePath,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Its content.
    pub text: SecretText,
}

/// Where the payload of a seed may put a file: absolute, normalised, and on a disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct NodePath(String);

impl NodePath {
    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of a file that seedkit itself places.
    ///
    /// # Panics
    /// Panics if it cannot be placed: it is part of the program, or made of parts that are.
    pub fn own(text: impl Into<String>) -> Self {
        let text = text.into();
        text.parse().unwrap_or_else(|error| panic!("a path of seedkit's own is wrong: {error}"))
    }
}

impl FromStr for NodePath {
    type Err = Unplaceable;

    fn from_str(text: &str) -> Result<Self, Unplaceable> {
        let shown = || text.chars().take(300).collect::<String>();
        if text.contains(|character: char| character.is_control() || character == '\\') || text.trim() != text
        {
            return Err(Unplaceable::Unlistable(shown()));
        }
        let Some(Ok(path)) = text.strip_prefix('/').map(str::parse::<TreePath>) else {
            return Err(Unplaceable::NotNormal(shown()));
        };
        let is_long_name = |name: &str| name.len() > LONGEST_NAME;
        if text.len() > LONGEST_PATH || path.components().any(is_long_name) {
            return Err(Unplaceable::TooLong(shown()));
        }
        if let Some(folder) = owner(text, &VOLATILE) {
            return Err(Unplaceable::Volatile { path: shown(), folder });
        }
        Ok(Self(text.to_owned()))
    }
}

/// What seedkit, k3s or the system writes itself: a file, or a folder with all in it.
///
/// Every file of a seed that is not the user's is one of these; a test builds seeds and compares.
const OWNED: [&str; 39] = [
    "/etc/apt/apt.conf.d/99seedkit",
    "/etc/chrony/sources.d/seedkit.sources",
    "/etc/cloud",
    "/etc/group",
    "/etc/gshadow",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/modules-load.d/k3s.conf",
    "/etc/netplan",
    "/etc/systemd/network/70-seedkit-flannel.link",
    "/etc/passwd",
    "/etc/rancher/k3s/config.yaml",
    // What k3s reads after ours, and instead of it: tokens, names and addresses that the spec does not set either.
    "/etc/rancher/k3s/config.yaml.d",
    "/etc/rancher/k3s/registries.yaml",
    "/etc/rancher/k3s/registry-ca.crt",
    "/etc/rancher/node",
    "/etc/shadow",
    "/etc/ssh/sshd_config.d/10-seedkit.conf",
    "/etc/sudoers",
    "/etc/sudoers.d/90-cloud-init-users",
    "/etc/sysctl.d/90-k3s.conf",
    "/etc/systemd/system/k3s-agent-bootstrap.service",
    "/etc/systemd/system/k3s-agent.service",
    "/etc/systemd/system/k3s-agent.service.env",
    "/etc/systemd/system/k3s-bootstrap.service",
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s.service.env",
    "/etc/systemd/system/k8s-ops-packages.service",
    "/etc/systemd/timesyncd.conf.d/50-seedkit.conf",
    "/usr/local/bin/k3s",
    "/var/lib/cloud",
    "/var/lib/k3s-agent-bootstrap.done",
    "/var/lib/k3s-agent-bootstrap.failed",
    "/var/lib/k3s-bootstrap.done",
    "/var/lib/k3s-bootstrap.failed",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/k3s/server/tls",
    "/var/lib/seedkit",
];

/// Names that are seedkit's wherever a node's programs and units are.
const OWNED_PREFIXES: [&str; 2] = ["/etc/systemd/system/seedkit-", "/usr/local/sbin/seedkit-"];

/// Returns the one of `places` that is `path` or a folder around it.
fn owner(path: &str, places: &[&'static str]) -> Option<&'static str> {
    let holds =
        |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    places.iter().copied().find(|place| holds(place))
}

/// Returns the file or folder of seedkit, k3s or the system that `path` is, or is in; `None` if users may have it.
pub fn owned_by_system(path: &str) -> Option<&'static str> {
    owner(path, &OWNED).or_else(|| OWNED_PREFIXES.into_iter().find(|prefix| path.starts_with(prefix)))
}

/// Where a user's own file goes: a [`NodePath`] that nobody else writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display, derive_more::Into)]
pub struct Destination(NodePath);

impl Destination {
    /// Returns the path.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Destination {
    type Err = Unplaceable;

    fn from_str(text: &str) -> Result<Self, Unplaceable> {
        let path: NodePath = text.parse()?;
        match owned_by_system(path.as_str()) {
            None => Ok(Self(path)),
            Some(owned) => Err(Unplaceable::Owned { path: text.to_owned(), owned }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_file_that_stays_and_is_nobody_elses() {
        for path in [
            "/etc/motd",
            "/opt/문서/read me.txt",
            "/etc/hosts.allow",
            "/tmpfiles/x",
            "/usr/local/sbin/mine",
            "/etc/systemd/system/k3s.service.d/10-mine.conf",
        ] {
            assert_eq!(path.parse::<Destination>().unwrap().as_str(), path);
        }
        let longest = format!("/opt/{}", "n".repeat(255));
        assert!(longest.parse::<Destination>().is_ok());
        for (path, part) in [
            ("etc/motd", "not an absolute path"),
            ("/etc/../motd", "not an absolute path"),
            ("/etc//motd", "not an absolute path"),
            ("/etc/motd/", "not an absolute path"),
            ("/a\\b", "a backslash"),
            ("/a ", "a blank"),
            ("/a\nb", "a control character"),
            (&format!("{longest}n"), "too long"),
            (&"/nnnnnnn".repeat(129), "too long"),
            ("/tmp/x", "does not survive a boot"),
            ("/run/x", "does not survive a boot"),
            ("/etc/shadow", "not free"),
            ("/var/lib/k3s-bootstrap.done", "not free"),
            ("/var/lib/seedkit/staged", "not free"),
            ("/etc/rancher/k3s/config.yaml.d/10-mine.yaml", "not free"),
            ("/etc/systemd/system/k3s.service.env", "not free"),
            ("/etc/systemd/system/k3s-agent.service.env", "not free"),
            ("/usr/local/sbin/seedkit-stage", "not free"),
            ("/etc/systemd/system/seedkit-stage.service", "not free"),
        ] {
            let error = path.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains(part), "{path:?}: {error}");
        }
    }

    #[test]
    fn a_network_card_is_found_by_something() {
        assert_eq!(NetworkCard::new(None, None), None);
        let card = NetworkCard::new(None, Some("lan0".parse().unwrap())).unwrap();
        assert_eq!((card.mac(), card.interface()), (None, Some("lan0")));
        for name in ["", "0eth", "a234567890123456", "a b", "eth0:1"] {
            assert!(name.parse::<InterfaceName>().is_err(), "{name:?}");
        }
    }
}
