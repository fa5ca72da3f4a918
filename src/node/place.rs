//! Where files may go on a node, and which places are taken.

use std::str::FromStr;

use super::list;
use crate::tree::TreePath;

/// Folders whose content does not survive a boot, or is none; the last two are links to them.
const VOLATILE: [&str; 7] = ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/lock", "/var/run"];

/// Folders that every node has, one a line, with where they were read in comments before them.
const FOLDERS: &str = include_str!("folders.txt");

/// Files that every system has and runs on, as [`FOLDERS`] are listed.
const PROGRAMS: &str = include_str!("programs.txt");

/// Folders of what the system's packages bring.
const PACKAGED: [&str; 3] = ["/boot", "/usr/bin", "/usr/sbin"];

/// Links at the root of every system since Debian 12 and Ubuntu 20.04, to the folder of the same name in `/usr`.
const LINKS: [&str; 4] = ["/bin/", "/lib/", "/lib64/", "/sbin/"];

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
    /// It has a name already, and content.
    #[error("`{0}` is a folder on every node")]
    Folder(String),
    /// It has a name already, and the system runs on it.
    #[error("`{0}` is a program or a part of every system, which has to stay as it is")]
    Program(String),
    /// It is the system's, k3s' or seedkit's own.
    #[error("`{path}` is not free: seedkit, k3s or the system writes `{owned}`")]
    Owned {
        /// Where the file was to go.
        path: String,
        /// The file or folder that is not for users.
        owned: &'static str,
    },
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
const OWNED: [&str; 59] = [
    "/etc/apt/apt.conf.d/99seedkit",
    "/etc/chrony/sources.d/seedkit.sources",
    "/etc/cloud",
    "/etc/group",
    "/etc/gshadow",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/modules-load.d/k3s.conf",
    "/etc/mtab",
    "/etc/netplan",
    "/etc/passwd",
    "/etc/rancher/k3s/config.yaml",
    // What k3s reads after ours, and instead of it: tokens, names and addresses that the spec does not set either.
    "/etc/rancher/k3s/config.yaml.d",
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/rancher/k3s/registries.yaml",
    "/etc/rancher/k3s/registry-ca.crt",
    "/etc/rancher/node",
    "/etc/resolv.conf",
    "/etc/shadow",
    "/etc/ssh/sshd_config.d/10-seedkit.conf",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/sudoers",
    "/etc/sudoers.d/90-cloud-init-users",
    "/etc/sysctl.d/90-k3s.conf",
    "/etc/systemd/network/70-seedkit-flannel.link",
    "/etc/systemd/system/k3s-agent-bootstrap.service",
    "/etc/systemd/system/k3s-agent.service",
    "/etc/systemd/system/k3s-agent.service.env",
    "/etc/systemd/system/k3s-bootstrap.service",
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s.service.env",
    "/etc/systemd/system/k8s-ops-packages.service",
    "/etc/systemd/timesyncd.conf.d/50-seedkit.conf",
    "/etc/timezone",
    "/usr/local/bin/k3s",
    "/var/lib/cloud",
    "/var/lib/dpkg",
    "/var/lib/k3s-agent-bootstrap.done",
    "/var/lib/k3s-agent-bootstrap.failed",
    "/var/lib/k3s-bootstrap.done",
    "/var/lib/k3s-bootstrap.failed",
    "/var/lib/kubelet",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/k3s/data",
    "/var/lib/rancher/k3s/server/cred",
    "/var/lib/rancher/k3s/server/db",
    // Those of k3s' own components, which it writes anew whenever it starts.
    "/var/lib/rancher/k3s/server/manifests/ccm.yaml",
    "/var/lib/rancher/k3s/server/manifests/coredns.yaml",
    "/var/lib/rancher/k3s/server/manifests/local-storage.yaml",
    "/var/lib/rancher/k3s/server/manifests/metrics-server",
    "/var/lib/rancher/k3s/server/manifests/rolebindings.yaml",
    "/var/lib/rancher/k3s/server/manifests/runtimes.yaml",
    "/var/lib/rancher/k3s/server/manifests/traefik.yaml",
    "/var/lib/rancher/k3s/server/tls",
    "/var/lib/rancher/k3s/server/token",
    "/var/lib/seedkit",
];

/// Who may log in as whose home it is in.
const KEYS: &str = "/.ssh/authorized_keys";

/// Names that are seedkit's wherever a node's programs and units are.
const OWNED_PREFIXES: [&str; 2] = ["/etc/systemd/system/seedkit-", "/usr/local/sbin/seedkit-"];

/// Returns the one of `places` that is `path` or a folder around it.
fn owner<'a>(path: &str, places: &[&'a str]) -> Option<&'a str> {
    let holds =
        |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    places.iter().copied().find(|place| holds(place))
}

/// Returns the file or folder of seedkit, k3s or the system that `path` is, or is in; `None` if users may have it.
pub fn owned_by_system(path: &str) -> Option<&'static str> {
    owner(path, &OWNED).or_else(|| OWNED_PREFIXES.into_iter().find(|prefix| path.starts_with(prefix)))
}

/// Returns whether nodes have a folder of this name: their system's, or one with a file of seedkit's in it.
fn is_folder(path: &str) -> bool {
    let holds_owned = || OWNED.iter().any(|file| owner(file, &[path]).is_some());
    list::has(FOLDERS, path)
        || holds_owned()
        || KEYS.rsplit_once('/').is_some_and(|(ssh, _)| path.ends_with(ssh))
}

/// Where a user's own file goes: a [`NodePath`] that nobody else writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display, derive_more::Into)]
pub struct Destination(NodePath);

impl Destination {
    /// Returns the path.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns whether this is the file of `other`, or a folder on the way to it, whichever links lead there.
    pub fn is_on_the_way_to(&self, other: &Self) -> bool {
        owner(&other.without_links(), &[&self.without_links()]).is_some()
    }

    /// Returns the folder that it is in, if packages of the system bring, replace and remove what is there.
    pub fn among_packaged(&self) -> Option<&'static str> {
        owner(&self.without_links(), &PACKAGED)
    }

    /// Returns the path as it is where nothing links to it.
    fn without_links(&self) -> String {
        let is_linked = LINKS.iter().any(|link| self.as_str().starts_with(link));
        format!("{}{self}", if is_linked { "/usr" } else { "" })
    }
}

impl FromStr for Destination {
    type Err = Unplaceable;

    fn from_str(text: &str) -> Result<Self, Unplaceable> {
        let destination = Self(text.parse()?);
        if let Some(owned) = owned_by_system(text) {
            return Err(Unplaceable::Owned { path: text.to_owned(), owned });
        }
        // cloud-init writes them, for the user and root.
        if text.ends_with(KEYS) {
            return Err(Unplaceable::Owned { path: text.to_owned(), owned: KEYS });
        }
        if is_folder(&destination.without_links()) {
            return Err(Unplaceable::Folder(text.to_owned()));
        }
        if list::has(PROGRAMS, &destination.without_links()) {
            return Err(Unplaceable::Program(text.to_owned()));
        }
        Ok(destination)
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
            ("/home/ops/.ssh/authorized_keys", "not free"),
            ("/var/run/x", "does not survive a boot"),
            ("/etc/resolv.conf", "not free"),
            ("/var/lib/rancher/k3s/server/manifests/coredns.yaml", "not free"),
            ("/var/lib/rancher/k3s/server/manifests/metrics-server/x.yaml", "not free"),
            ("/etc", "a folder on every node"),
            ("/usr/bin", "a folder on every node"),
            ("/etc/rancher", "a folder on every node"),
            ("/var/lib/rancher/k3s/server/manifests", "a folder on every node"),
            ("/etc/systemd/system/seedkit-stage.service", "not free"),
            ("/etc/localtime", "not free"),
            ("/home/ops/.ssh", "a folder on every node"),
        ] {
            let error = path.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains(part), "{path:?}: {error}");
        }
    }

    #[test]
    fn what_the_system_runs_on_stays_whichever_way_leads_there() {
        let entries: Vec<&str> = list::entries(PROGRAMS).collect();
        assert!(entries.is_sorted() && entries.len() > 400, "{}", entries.len());
        for entry in entries {
            let path = entry.replace('*', "-6.1.0");
            // One path through a link for each that is without.
            let linked = path.strip_prefix("/usr").filter(|_| path.starts_with("/usr/bin/")).unwrap_or(&path);
            for way in [path.as_str(), linked] {
                assert_eq!(way.parse::<Destination>(), Err(Unplaceable::Program(way.to_owned())));
            }
        }
        for (path, expected) in [
            ("/usr/bin/tool", Some("/usr/bin")),
            ("/sbin/tool", Some("/usr/sbin")),
            ("/boot/firmware/config.txt", Some("/boot")),
            ("/usr/local/bin/sh", None),
            ("/opt/bin/sh", None),
        ] {
            let destination: Destination = path.parse().unwrap();
            assert_eq!(destination.among_packaged(), expected, "{path}");
        }
    }

    #[test]
    fn one_file_has_several_ways_to_it() {
        for (one, other, is_on_the_way) in [
            ("/opt/x", "/opt/x", true),
            ("/opt/x", "/opt/x/y", true),
            ("/opt/x/y", "/opt/x", false),
            ("/opt/x", "/opt/xy", false),
            ("/bin/x", "/usr/bin/x", true),
            ("/usr/lib/x", "/lib/x/y", true),
            ("/bin/x", "/sbin/x", false),
        ] {
            let [one, other]: [Destination; 2] = [one, other].map(|path| path.parse().unwrap());
            assert_eq!(one.is_on_the_way_to(&other), is_on_the_way, "{one} {other}");
        }
    }
}
