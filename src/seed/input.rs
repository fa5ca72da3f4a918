//! What a seed is made of: plain values, filled in by whoever knows the spec, the lock and the secrets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::k3s::{Mirror, Settings};
use crate::net::{Cidr, DnsLabel, Host, RegistryHost};
use crate::node::{Flavour, InstallDisk, NetworkCard, NodePath, SecretFile};
use crate::password::PasswordHash;
use crate::secrets::SecretText;
use crate::ssh::AuthorizedKey;
use crate::tree::Content;

/// Everything one node's seed says.
#[derive(Debug, Clone)]
pub struct NodeSeed {
    /// The name of the cluster.
    pub cluster: String,
    /// What boots from the seed.
    pub flavour: Flavour,
    /// The node itself.
    pub node: Node,
    /// All nodes of the cluster, this one included; they go to `/etc/hosts` in this order.
    pub nodes: Vec<Peer>,
    /// Further names that go there.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Who may log in.
    pub ssh: Ssh,
    /// A name of the time zone database, such as `Asia/Seoul`.
    pub timezone: String,
    /// The time servers that the node asks, if it has a program that does.
    pub ntp: Vec<Host>,
    /// How k3s is set up.
    pub k3s: K3s,
    /// Where images that are not on the node come from.
    pub registry: Registry,
    /// What lies beside the rendered files: the k3s binary, image tarballs, the user's own files.
    pub payload: Vec<PayloadFile>,
    /// The images that the payload brings, as a container runtime names them, and their digests where they are known:
    /// the node is done when it has them.
    pub images: BTreeMap<String, Option<Digest>>,
    /// Tools for people, installed when the node is up; k3s does not wait for them.
    pub ops: Option<OpsPackages>,
    /// The time of the build.
    pub epoch: Epoch,
}

/// One machine.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its host name.
    pub name: DnsLabel,
    /// Its address and the prefix of its network.
    pub address: Cidr,
    /// The way out of its network; k3s wants one, even if it leads nowhere.
    pub gateway: IpAddr,
    /// The addresses of its name servers.
    pub nameservers: Vec<IpAddr>,
    /// The network card that gets the address.
    pub card: NetworkCard,
    /// The disk that an installer erases; it needs one.
    pub disk: Option<InstallDisk>,
    /// The user's own values for the templates, as `node.values`.
    pub values: Map<String, Value>,
}

/// A node as the others know it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its host name.
    pub name: DnsLabel,
    /// Its address.
    pub address: IpAddr,
}

/// Who may log in to a node.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The user that is made, with all rights.
    pub user: String,
    /// The keys that open the account.
    pub authorized_keys: Vec<AuthorizedKey>,
    /// What opens it on the console, and nowhere else; nothing does without.
    pub console_password: Option<PasswordHash>,
}

/// How k3s is set up on a node.
#[derive(Debug, Clone)]
pub struct K3s {
    /// What the node is to its cluster.
    pub membership: Membership,
    /// The port at which servers are joined.
    pub api_port: u16,
    /// Further keys of `config.yaml`, passed through in their order and types.
    pub config: Settings,
    /// Keys whose values are secrets.
    pub secret_config: BTreeMap<String, SecretText>,
    /// What the node proves its identity with when it joins again under the same name.
    pub node_password: SecretText,
}

/// What a node is to its cluster, with exactly the secrets that this takes.
#[derive(Debug, Clone)]
pub enum Membership {
    /// The server that starts the cluster.
    FirstServer {
        /// What servers join with: whoever holds it is an administrator.
        token: SecretText,
        /// What agents join with.
        agent_token: SecretText,
        /// Whether it starts an embedded etcd, which further servers can join.
        cluster_init: bool,
        /// The servers that may have a cluster already, which this one would neither join nor know of.
        others: Vec<Peer>,
        /// The cluster's certificate authorities, where they were made beforehand.
        authorities: Option<Authorities>,
    },
    /// A further server.
    Server {
        /// The first server, such as `https://192.168.6.10:6443`.
        server_url: String,
        /// What servers join with.
        token: SecretText,
        /// What agents join with.
        agent_token: SecretText,
    },
    /// A node that only runs pods. It has no place for the servers' token.
    Agent {
        /// A server, such as `https://192.168.6.10:6443`.
        server_url: String,
        /// What agents join with.
        agent_token: SecretText,
    },
}

/// What the server that starts a cluster finds before k3s does; further servers get it through the datastore.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// Folders to make first: absolute path and permission bits, each after the one around it.
    pub folders: Vec<(String, u32)>,
    /// Certificates and keys.
    pub files: Vec<SecretFile>,
}

impl Membership {
    /// Returns the cluster's authorities, if this is the server that brings them.
    pub(super) fn authorities(&self) -> Option<&Authorities> {
        match self {
            Self::FirstServer { authorities, .. } => authorities.as_ref(),
            Self::Server { .. } | Self::Agent { .. } => None,
        }
    }

    /// Returns the servers that may have a cluster, if this one would begin another.
    pub(super) fn others(&self) -> &[Peer] {
        match self {
            Self::FirstServer { others, .. } => others,
            Self::Server { .. } | Self::Agent { .. } => &[],
        }
    }

    /// Returns `server` or `agent`: the subcommand of k3s.
    pub fn role(&self) -> &'static str {
        match self {
            Self::FirstServer { .. } | Self::Server { .. } => "server",
            Self::Agent { .. } => "agent",
        }
    }

    /// Returns the name of the systemd unit, as k3s' own installer names it.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::FirstServer { .. } | Self::Server { .. } => "k3s.service",
            Self::Agent { .. } => "k3s-agent.service",
        }
    }

    /// Returns the name of the unit that says when the node is done.
    pub fn completion_unit(&self) -> &'static str {
        match self {
            Self::FirstServer { .. } | Self::Server { .. } => "k3s-bootstrap.service",
            Self::Agent { .. } => "k3s-agent-bootstrap.service",
        }
    }

    /// Returns the path of the marker that says so, without `.done` and `.failed`.
    pub fn marker(&self) -> &'static str {
        match self {
            Self::FirstServer { .. } | Self::Server { .. } => "/var/lib/k3s-bootstrap",
            Self::Agent { .. } => "/var/lib/k3s-agent-bootstrap",
        }
    }
}

/// The registry that nodes pull from.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Host and port, as in its certificate.
    pub address: RegistryHost,
    /// The registries it stands in for.
    pub mirrors: Vec<Mirror>,
    /// The certificate of its authority, PEM.
    pub ca_pem: String,
    /// What the node logs in with.
    pub auth: Option<RegistryAuth>,
    /// Whether this k3s knows `disable-default-registry-endpoint`, without which it dials out for every missing image.
    pub disable_default_endpoint: bool,
}

/// What a node logs in to the registry with.
#[derive(Debug, Clone)]
pub struct RegistryAuth {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: SecretText,
    /// What nobody can guess, and stands beside the password wherever a file's digest is public: without it, who reads
    /// the digest tries passwords until one fits.
    pub salt: SecretText,
}

/// A bundle of Debian packages with its installer.
#[derive(Debug, Clone)]
pub struct OpsPackages {
    /// The bundle's name, which is that of the folder in its archive.
    pub name: String,
    /// The archive: a tarball compressed with gzip.
    pub archive: PayloadFile,
}

/// A file that the node's staging unit checks and places.
#[derive(Debug, Clone)]
pub struct PayloadFile {
    /// Where it goes.
    pub destination: NodePath,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Its bytes.
    pub content: Content,
    /// Their SHA-256 digest.
    pub digest: Digest,
    /// The disc that has the bytes.
    pub disc: Disc,
}

/// A disc that a node reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disc {
    /// The node's own seed.
    Seed,
    /// The one that all nodes share: never for what only some nodes may know.
    Shared,
}
