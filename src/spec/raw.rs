//! The spec as written: names and shapes, no meaning yet.
//!
//! The documentation of these types is what editors show to the user of `seedkit.yaml`. Every field is optional to
//! serde, so that a missing key does not hide what else is wrong; what must be there is marked `required`.

mod packages;
mod password;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::node::{DiskTraits, Flavour};
pub use packages::BaselinePriority;
pub(super) use packages::{RawBaseline, RawPackageSource, RawPackages, RawSign};
pub(super) use password::RawPasswordFrom;

/// What an air-gapped k3s cluster is made of.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "seedkit.yaml", rename = "Spec")]
pub(super) struct RawSpec {
    /// The version of this format.
    #[schemars(required)]
    pub(super) api_version: Option<ApiVersion>,
    /// The cluster's name: lower-case letters, digits and `-`.
    #[schemars(required)]
    pub(super) name: Option<String>,
    /// The platforms that images are fetched for, such as `linux/amd64`; the first is the nodes' default.
    #[schemars(required)]
    pub(super) platforms: Option<Vec<String>>,
    /// The k3s release and its configuration.
    #[schemars(required)]
    pub(super) k3s: Option<RawK3s>,
    /// The registry that the nodes pull from.
    #[schemars(required)]
    pub(super) registry: Option<RawRegistry>,
    /// The images to take along. Without it: those that the k3s release needs.
    pub(super) images: Option<RawImages>,
    /// Where to pull the images of a registry from instead, by registry host such as `docker.io`.
    pub(super) sources: Option<BTreeMap<String, RawSource>>,
    /// Files to place on the nodes.
    pub(super) files: Option<Vec<RawNodeFile>>,
    /// Debian packages to install on the nodes without a network. Without it: none.
    pub(super) packages: Option<RawPackages>,
    /// The machines of the cluster; each gets a seed ISO of its own.
    #[schemars(required)]
    pub(super) nodes: Option<Vec<RawNode>>,
    /// Who may log in to the nodes.
    pub(super) ssh: Option<RawSsh>,
    /// How the image tarballs are packed.
    pub(super) pack: Option<RawPack>,
    /// A folder of templates that replace the built-in ones of the same name.
    pub(super) templates: Option<String>,
    /// How the seed ISOs are made.
    pub(super) seed: Option<RawSeed>,
    /// A folder that finished seeds are copied to, such as a Windows drive under WSL.
    pub(super) deliver: Option<String>,
    /// Findings of `seedkit check` that are accepted, each with a written reason.
    pub(super) allow: Option<Vec<RawAllowance>>,
}

/// A finding that is accepted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Allowance")]
pub(super) struct RawAllowance {
    /// The finding's id, such as `SK0108`.
    #[schemars(required)]
    pub(super) id: Option<String>,
    /// Why it is accepted; every report shows it.
    #[schemars(required)]
    pub(super) reason: Option<String>,
}

/// The versions of this format.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) enum ApiVersion {
    /// The first version.
    #[serde(rename = "seedkit/v1")]
    V1,
}

/// A k3s release and its configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "K3s")]
pub(super) struct RawK3s {
    /// The release, such as `v1.33.4+k3s1`.
    #[schemars(required)]
    pub(super) version: Option<String>,
    /// The release's k3s executable, by platform.
    #[schemars(required)]
    pub(super) binary: Option<BTreeMap<String, RawFileSource>>,
    /// The release's own image tarball, by platform. It is placed on the nodes beside the one made here.
    pub(super) airgap: Option<BTreeMap<String, RawFileSource>>,
    /// The release's own `k3s-images.txt`, for a release that seedkit has no list of.
    pub(super) images: Option<RawFileSource>,
    /// Settings for the servers' `/etc/rancher/k3s/config.yaml`: k3s server's flags without `--`.
    pub(super) config: Option<Map<String, Value>>,
    /// Settings for the agents' `/etc/rancher/k3s/config.yaml`: k3s agent's flags without `--`.
    pub(super) agent_config: Option<Map<String, Value>>,
    /// Where the values of the servers' settings are that are secrets, such as `etcd-s3-secret-key`.
    pub(super) config_from: Option<BTreeMap<String, RawPasswordFrom>>,
    /// Where the values of the agents' settings are that are secrets, such as `vpn-auth`.
    pub(super) agent_config_from: Option<BTreeMap<String, RawPasswordFrom>>,
    /// Who makes the cluster's certificate authorities; k3s unless told.
    pub(super) cluster_ca: Option<ClusterCa>,
    /// The server that begins the cluster and that all other nodes join; the first of `nodes` unless told. Name one that
    /// lives when the first one is made anew, which then joins it.
    pub(super) first_server: Option<String>,
}

/// Who makes the cluster's certificate authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterCa {
    /// k3s, when the first server starts. Nodes trust whatever server answers them when they join.
    #[default]
    K3s,
    /// seedkit, which keeps them in the secrets folder. Nodes join no other cluster.
    Generate,
}

/// Where a file comes from: exactly one of `path` and `url`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "FileSource")]
pub(super) struct RawFileSource {
    /// A file, relative to the folder of this spec.
    pub(super) path: Option<String>,
    /// An address to download from. Needs `sha256` or `checksums`.
    pub(super) url: Option<String>,
    /// The file's SHA-256: 64 lower-case hex digits.
    pub(super) sha256: Option<String>,
    /// A file of checksums as `sha256sum` prints them, such as k3s' `sha256sum-amd64.txt`.
    pub(super) checksums: Option<RawChecksums>,
}

/// Where a file of checksums comes from: exactly one of `path` and `url`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Checksums")]
pub(super) struct RawChecksums {
    /// A file, relative to the folder of this spec.
    pub(super) path: Option<String>,
    /// An `https` address to download from.
    pub(super) url: Option<String>,
}

/// The registry that the nodes pull from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Registry")]
pub(super) struct RawRegistry {
    /// Host and port as the nodes reach it, such as `192.168.6.1:5000`; without a port 443.
    #[schemars(required)]
    pub(super) address: Option<String>,
    /// Further names and addresses for its certificate.
    pub(super) sans: Option<Vec<String>>,
    /// The registry hosts it stands in for; `"*"` for all that are not named. Without it: the hosts of all images.
    pub(super) mirrors: Option<Vec<String>>,
    /// What the nodes log in with. Without it: nothing.
    pub(super) auth: Option<RawAuth>,
    /// How long the certificates are valid.
    pub(super) lifetime: Option<RawLifetime>,
}

/// What the nodes log in to the registry with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Auth")]
pub(super) struct RawAuth {
    /// The user's name.
    #[schemars(required)]
    pub(super) username: Option<String>,
    /// Where the password is; it never stands in this file.
    #[schemars(required)]
    pub(super) password_from: Option<RawPasswordFrom>,
}

/// How long certificates are valid.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Lifetime")]
pub(super) struct RawLifetime {
    /// Days for the certificate authority; 3650 unless told.
    #[schemars(range(min = 1, max = 36500))]
    pub(super) ca_days: Option<u32>,
    /// Days for the registry's certificate; 825 unless told.
    #[schemars(range(min = 1, max = 36500))]
    pub(super) server_days: Option<u32>,
}

/// The images to take along.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Images")]
pub(super) struct RawImages {
    /// Whether to take what the k3s release needs; true unless told.
    pub(super) k3s: Option<bool>,
    /// Files that list images, one a line.
    pub(super) lists: Option<Vec<RawImageList>>,
    /// Images named right here, such as `registry.k8s.io/pause:3.10`.
    pub(super) inline: Option<Vec<String>>,
    /// Whether signatures, attestations and bills of materials that are attached to the images come along; false
    /// unless told.
    pub(super) signatures: Option<bool>,
}

/// A file that lists images.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ImageList")]
pub(super) struct RawImageList {
    /// The file, relative to the folder of this spec.
    #[schemars(required)]
    pub(super) path: Option<String>,
    /// Only the images under these `##` headings. Without it: all.
    pub(super) groups: Option<Vec<String>>,
}

/// Where to pull a registry's images from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Source")]
pub(super) struct RawSource {
    /// `https://host[:port][/prefix]`, `oci:FOLDER`, `oci-archive:FILE` or `docker-archive:FILE`. Without
    /// it: the registry itself.
    pub(super) from: Option<String>,
    /// Allows `http://`, where nobody can tell whether the answer is genuine; false unless told.
    pub(super) plain_http: Option<bool>,
    /// The certificate authority to trust, in PEM, relative to the folder of this spec.
    pub(super) ca_file: Option<String>,
    /// Places that are asked before `from`, in this order. The next one is asked for what one does not give.
    pub(super) mirrors: Option<Vec<RawMirror>>,
}

/// A place that is asked for a registry's images before the registry itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Mirror")]
pub(super) struct RawMirror {
    /// `https://host[:port][/prefix]`, `oci:FOLDER`, `oci-archive:FILE` or `docker-archive:FILE`.
    #[schemars(required)]
    pub(super) from: Option<String>,
    /// Allows `http://`, where nobody can tell whether the answer is genuine; false unless told.
    pub(super) plain_http: Option<bool>,
    /// The certificate authority to trust, in PEM, relative to the folder of this spec.
    pub(super) ca_file: Option<String>,
}

/// A file to place on nodes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NodeFile")]
pub(super) struct RawNodeFile {
    /// Where it comes from.
    #[schemars(required)]
    pub(super) source: Option<RawFileSource>,
    /// Where it goes: an absolute path on the node.
    #[schemars(required)]
    pub(super) destination: Option<String>,
    /// Its permissions in octal digits, quoted: "0755". "0644" unless told.
    pub(super) mode: Option<String>,
    /// The names of the nodes that get it. Without it: all.
    pub(super) nodes: Option<Vec<String>>,
}

/// One machine of the cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Node")]
pub(super) struct RawNode {
    /// Its host name: lower-case letters, digits and `-`.
    #[schemars(required)]
    pub(super) name: Option<String>,
    /// What it does in the cluster.
    #[schemars(required)]
    pub(super) role: Option<Role>,
    /// Its platform; the first of `platforms` unless told.
    pub(super) platform: Option<String>,
    /// Its address with the length of the network's prefix, such as `192.168.6.10/24`.
    #[schemars(required)]
    pub(super) address: Option<String>,
    /// The way out of its network.
    pub(super) gateway: Option<String>,
    /// The addresses of its name servers.
    pub(super) nameservers: Option<Vec<String>>,
    /// The hardware address of its network card, quoted: "52:54:00:12:34:56". It finds the card.
    pub(super) mac: Option<String>,
    /// The name of its network interface: given to the card found by `mac`, or looked for without one.
    pub(super) interface: Option<String>,
    /// The disk that Ubuntu's installer erases on this node. Without it: that of `seed`.
    pub(super) disk: Option<DiskTraits>,
    /// Anything your own templates need to know about this node.
    pub(super) values: Option<Map<String, Value>>,
}

/// What a node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the control plane, and workloads too.
    Server,
    /// Runs workloads only.
    Agent,
}

/// Who may log in to the nodes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Ssh")]
pub(super) struct RawSsh {
    /// The user that is made on each node; `k3s` unless told.
    pub(super) user: Option<String>,
    /// Public keys as in `authorized_keys`. Without any, a key pair is made in the secrets folder.
    pub(super) authorized_keys: Option<Vec<String>>,
    /// Where the password of the user is, for the console alone: SSH takes keys only. Without it there is none.
    pub(super) console_password_from: Option<RawPasswordFrom>,
}

/// How image tarballs are packed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Pack")]
pub(super) struct RawPack {
    /// `none` unless told: layers are compressed already.
    pub(super) compression: Option<Compression>,
}

/// How a tarball is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// A plain `.tar`.
    #[default]
    None,
    /// A `.tar.gz`.
    Gzip,
    /// A `.tar.zst`.
    Zstd,
}

/// How seed ISOs are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Seed")]
pub(super) struct RawSeed {
    /// What boots from the seed; `cloud-image` unless told.
    pub(super) flavour: Option<Flavour>,
    /// The disk that Ubuntu's installer erases on nodes that name none of their own.
    pub(super) disk: Option<DiskTraits>,
    /// Where k3s and the images are; `embedded` unless told.
    pub(super) payload: Option<Payload>,
    /// The nodes' time zone, such as `Asia/Seoul`; `UTC` unless told.
    pub(super) timezone: Option<String>,
    /// The time servers that the nodes ask: names or addresses.
    pub(super) ntp: Option<Vec<String>>,
    /// Names for `/etc/hosts` beside those of the nodes, each with its address.
    pub(super) hosts: Option<BTreeMap<String, String>>,
}

/// Where k3s and the images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// On each node's own seed ISO.
    #[default]
    Embedded,
    /// On one ISO that all nodes share. Not built by this version.
    Shared,
}
