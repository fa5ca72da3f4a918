//! The spec as it is meant: everything checked, nothing a string that has a type.

mod packages;
mod source;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

pub use self::packages::{PackageBaseline, PackageSource, Packages, RepositoryAddress, Signing};
pub use self::source::{Origin, Source, SourcePlace};
use super::raw::{ClusterCa, Compression, Payload, Role};
use crate::digest::Digest;
use crate::k3s::Settings;
use crate::net::{Cidr, DnsLabel, Host, Invalid, MirroredRegistry, RegistryHost};
use crate::node::{Destination, Flavour, InstallDisk, NetworkCard, TimeZone, UserName};
use crate::oci::{Platform, Reference};
use crate::ssh::AuthorizedKey;

/// What the user declares, checked. Relative paths in it begin with its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The folder that holds the spec, the secrets and the lock.
    pub folder: PathBuf,
    /// The cluster's name.
    pub name: DnsLabel,
    /// The platforms that images are fetched for; at least one, none twice.
    pub platforms: Vec<Platform>,
    /// The k3s release and its configuration.
    pub k3s: K3s,
    /// The registry that the nodes pull from.
    pub registry: Registry,
    /// The images to take along.
    pub images: Images,
    /// Where to pull from, by registry as references name it; a registry that is not here is asked itself.
    pub sources: BTreeMap<RegistryHost, Source>,
    /// Files to place on the nodes.
    pub files: Vec<NodeFile>,
    /// Debian packages to install on the nodes.
    pub packages: Option<Packages>,
    /// The machines of the cluster.
    pub nodes: Vec<Node>,
    /// Who may log in.
    pub ssh: Ssh,
    /// How image tarballs are compressed.
    pub compression: Compression,
    /// A folder of templates that replace built-in ones.
    pub templates: Option<PathBuf>,
    /// How the seed ISOs are made.
    pub seed: Seed,
    /// A folder that finished seeds are copied to.
    pub deliver: Option<PathBuf>,
    /// The findings of a check that are accepted, no id twice.
    pub allow: Vec<Allowance>,
}

/// A finding of a check that the user accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Its id: `SK` and four digits.
    pub id: String,
    /// Why it is accepted, in one line.
    pub reason: String,
}

impl Spec {
    /// Returns the nodes that run the control plane, in the order of the spec.
    pub fn servers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.role == Role::Server)
    }

    /// Returns the server that begins the cluster, and that all other nodes join.
    pub fn first_server(&self) -> Option<&Node> {
        let is_named = |node: &&Node| self.k3s.first_server.as_ref().is_none_or(|name| node.name == *name);
        self.servers().find(is_named)
    }

    /// Returns where to pull the images of `registry` from, as references name it, if that is not the registry.
    pub fn source(&self, registry: &str) -> Option<&Source> {
        registry.parse().ok().and_then(|registry: RegistryHost| self.sources.get(&registry))
    }

    /// Returns the files that go to `node`.
    pub fn files_of<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a NodeFile> {
        self.files.iter().filter(|file| file.nodes.contains(&node.name))
    }
}

/// A k3s release and its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct K3s {
    /// The release.
    pub version: K3sVersion,
    /// Its executable; there is one for the platform of every node.
    pub binary: BTreeMap<Platform, FileSource>,
    /// Its own image tarball.
    pub airgap: BTreeMap<Platform, FileSource>,
    /// Its own list of images.
    pub images: Option<FileSource>,
    /// What goes to the servers' configuration, in the order and the types of the spec.
    pub config: Settings,
    /// What goes to the agents' configuration.
    pub agent_config: Settings,
    /// Where further values of the servers' configuration are, by flag: secrets.
    pub config_from: BTreeMap<String, PasswordFrom>,
    /// Where further values of the agents' configuration are.
    pub agent_config_from: BTreeMap<String, PasswordFrom>,
    /// Who makes the cluster's certificate authorities.
    pub cluster_ca: ClusterCa,
    /// The server that begins the cluster, if the user names it: one of the servers.
    pub first_server: Option<DnsLabel>,
}

/// A k3s release such as `v1.33.4+k3s1` or `v1.34.0-rc1+k3s1`.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
#[display("{text}")]
pub struct K3sVersion {
    text: String,
    minor: (u32, u32),
}

impl K3sVersion {
    /// Returns the version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns major and minor version of the Kubernetes in it, such as `(1, 33)`.
    pub fn minor(&self) -> (u32, u32) {
        self.minor
    }
}

impl FromStr for K3sVersion {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, "a k3s release such as v1.33.4+k3s1");
        let (kubernetes, build) = text.split_once("+k3s").ok_or_else(invalid)?;
        let (numbers, candidate) = match kubernetes.split_once("-rc") {
            Some((numbers, candidate)) => (numbers, Some(candidate)),
            None => (kubernetes, None),
        };
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten().ok_or_else(invalid)
        };
        let parts: Vec<&str> = numbers.strip_prefix('v').ok_or_else(invalid)?.split('.').collect();
        let [major, minor, patch] = parts.as_slice() else { return Err(invalid()) };
        for part in [patch, build].into_iter().chain(candidate) {
            number(part)?;
        }
        Ok(Self { text: text.to_owned(), minor: (number(major)?, number(minor)?) })
    }
}

/// Where a file comes from and how its content is known to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// Where it is.
    pub place: Place,
    /// What vouches for its content; a file on this machine needs nothing.
    pub checksum: Option<Checksum>,
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub enum Place {
    /// On this machine.
    #[display("{}", _0.display())]
    Path(PathBuf),
    /// To be downloaded; `http` or `https`, without credentials.
    Url(Url),
}

/// What vouches for a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// The digest itself.
    Sha256(Digest),
    /// A file of digests, as `sha256sum` prints them, and the file's name in it.
    List {
        /// Where the file of digests is; `https` if it is downloaded.
        place: Place,
        /// The name to look for: the last part of the path or URL.
        name: String,
    },
}

/// The registry that the nodes pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Host and port as the nodes reach it.
    pub address: RegistryHost,
    /// Further names and addresses for its certificate.
    pub sans: Vec<Host>,
    /// The registries it stands in for; `None` for those of all images.
    pub mirrors: Option<Vec<MirroredRegistry>>,
    /// What the nodes log in with.
    pub auth: Option<Auth>,
    /// How long its certificate authority is valid, in days.
    pub ca_days: u32,
    /// How long its certificate is valid, in days; not longer than the authority.
    pub server_days: u32,
}

/// What the nodes log in to the registry with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The user's name.
    pub username: String,
    /// Where the password is.
    pub password: PasswordFrom,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFrom {
    /// In an environment variable.
    Environment(String),
    /// In a file of the secrets folder: a plain name.
    Secret(String),
    /// The same, and made if it is not there.
    Generated(String),
}

/// The images to take along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Whether to take what the k3s release needs.
    pub k3s: bool,
    /// Files that list images.
    pub lists: Vec<ImageListFile>,
    /// Images named in the spec itself, none twice.
    pub inline: Vec<Reference>,
    /// Whether what is attached to the images comes along.
    pub signatures: bool,
}

/// A file that lists images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageListFile {
    /// The file.
    pub path: PathBuf,
    /// The groups to take; empty for all.
    pub groups: Vec<String>,
}

/// A file to place on nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Where it comes from.
    pub source: FileSource,
    /// Where it goes.
    pub destination: Destination,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// The nodes that get it; at least one.
    pub nodes: Vec<DnsLabel>,
}

/// One machine of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its host name.
    pub name: DnsLabel,
    /// What it does in the cluster.
    pub role: Role,
    /// Its platform, one of the spec's.
    pub platform: Platform,
    /// Its address and the prefix of its network.
    pub address: Cidr,
    /// The way out of its network; k3s wants one, even if it leads nowhere.
    pub gateway: IpAddr,
    /// The addresses of its name servers.
    pub nameservers: Vec<IpAddr>,
    /// The network card that gets the address.
    pub card: NetworkCard,
    /// The disk that is erased for it; there is one wherever an installer runs.
    pub disk: Option<InstallDisk>,
    /// Anything the user's templates need.
    pub values: Map<String, Value>,
}

/// Who may log in to the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The user that is made on each node.
    pub user: UserName,
    /// The keys that open its account; with none, a pair is made in the secrets folder.
    pub authorized_keys: Vec<AuthorizedKey>,
    /// What the user logs in with on the console, and nowhere else; with none, only a key opens a node.
    pub console_password: Option<PasswordFrom>,
}

/// How seed ISOs are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// What boots from the seed.
    pub flavour: Flavour,
    /// Where k3s and the images are.
    pub payload: Payload,
    /// The nodes' time zone.
    pub timezone: Option<TimeZone>,
    /// The time servers that the nodes ask.
    pub ntp: Vec<Host>,
    /// Names that the nodes know beside their own, each with its address.
    pub hosts: BTreeMap<String, IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k3s_releases_have_a_kubernetes_version_and_a_build() {
        for (text, minor) in [("v1.33.4+k3s1", (1, 33)), ("v1.34.0-rc1+k3s12", (1, 34))] {
            assert_eq!(text.parse::<K3sVersion>().unwrap().minor(), minor);
        }
        for text in [
            "",
            "v1.33.4",
            "1.33.4+k3s1",
            "v1.33+k3s1",
            "v1.33.4-k3s1",
            "v1.33.4+k3s",
            "v1.33.4+k3s1/..",
            "v1.+3.4+k3s1",
        ] {
            assert!(text.parse::<K3sVersion>().is_err(), "{text:?}");
        }
    }
}
