//! One node's seed: the files that cloud-init's NoCloud source and the staging unit read.
//!
//! [`build`] renders `user-data`, `meta-data` and `network-config`, and lays the payload beside them. cloud-init
//! sets up host name, network, users and a staging unit; that unit checks and places the payload; k3s starts
//! after it. systemd owns the order, and nothing else starts anything. The `instance-id` is derived from every
//! other byte of the seed: a changed seed is a new instance, the same seed is none.
//!
//! # Why
//! Tokens and large files are payload, not `user-data`: cloud-init keeps several copies of that, and a damaged
//! disc is noticed before anything is placed.

mod input;
mod payload;
mod variables;

use std::io;

use serde_json::{Value, json};

pub use input::{
    Flavour, K3s, Membership, Mirror, Node, NodeSeed, PayloadFile, Peer, Registry, RegistryAuth, Ssh,
};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::template::{TemplateError, Templates};
use crate::tree::{Content, FileTree, TreeError};
use payload::Payload;

/// cloud-init parses user-data several times and keeps copies of it; what is large belongs into the payload.
const LARGEST_USER_DATA: usize = 512 * 1024;

/// Files that cloud-init writes: template, destination and mode.
const WRITTEN: [(&str, &str, u32); 5] = [
    ("node/hosts.tera", "/etc/hosts", 0o644),
    ("node/modules-load.conf.tera", "/etc/modules-load.d/k3s.conf", 0o644),
    ("node/sysctl.conf.tera", "/etc/sysctl.d/90-k3s.conf", 0o644),
    ("node/stage.service.tera", "/etc/systemd/system/seedkit-stage.service", 0o644),
    ("node/stage.sh.tera", "/usr/local/sbin/seedkit-stage", 0o755),
];

/// Files of the payload that are rendered: template, destination and mode.
const PLACED: [(&str, &str, u32); 2] = [
    ("node/config.yaml.tera", "/etc/rancher/k3s/config.yaml", 0o600),
    ("node/registries.yaml.tera", "/etc/rancher/k3s/registries.yaml", 0o600),
];

/// Says why a seed cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A template, or what it is given, is wrong.
    #[error("cannot render the seed of node `{node}`")]
    Template {
        /// The node.
        node: String,
        /// Why.
        source: TemplateError,
    },
    /// A name is not one that every part of a node accepts.
    #[error("`{name}` is not a host name: expected lower-case letters, digits and `-`, at most 63")]
    NodeName {
        /// What was given.
        name: String,
    },
    /// The network card is not described.
    #[error(
        "node `{node}` has neither a MAC address nor an interface name: its network card cannot be found"
    )]
    NoNetworkCard {
        /// The node.
        node: String,
    },
    /// A key of `config.yaml` follows from the rest of the spec.
    #[error(
        "`{key}` cannot be set in the k3s configuration of node `{node}`: it follows from the rest of the spec"
    )]
    ReservedKey {
        /// The node.
        node: String,
        /// The key.
        key: String,
    },
    /// A payload file cannot be placed.
    #[error("`{destination}` cannot be placed on a node: {reason}")]
    Destination {
        /// Where it was to go.
        destination: String,
        /// Why not.
        reason: &'static str,
    },
    /// A payload file cannot be read.
    #[error("cannot read what goes to `{destination}`")]
    Read {
        /// Where it was to go.
        destination: String,
        /// Why not.
        source: io::Error,
    },
    /// A rendered file is not one that its reader accepts.
    #[error("`{file}` of node `{node}` {reason}")]
    Unacceptable {
        /// The node.
        node: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two files do not fit into one tree.
    #[error("the files of a seed do not fit together")]
    Tree(#[from] TreeError),
}

/// Builds the files of one node's seed.
pub fn build(seed: &NodeSeed, templates: &Templates) -> Result<FileTree, SeedError> {
    check_names(seed)?;
    let mut renderer = Renderer { seed, templates, variables: variables::of(seed)? };
    let written = renderer.written_files()?;
    let destinations: Vec<_> = written.iter().map(|file| file.destination.clone()).collect();
    let payload = Payload::new(renderer.payload_files()?, &destinations)?;
    renderer.variables["files"] = written.iter().map(WrittenFile::variables).collect();
    let user_data = renderer.flavoured("user-data")?;
    check_user_data(&seed.node.name, &user_data)?;
    let network_config = renderer.flavoured("network-config")?;
    // The id is derived from the meta-data too, with a blank where the id will stand.
    renderer.variables["seed"]["instance_id"] = json!("");
    let unnamed = renderer.flavoured("meta-data")?;
    let rendered = [("meta-data", &unnamed), ("network-config", &network_config), ("user-data", &user_data)];
    let id = format!("{}-{}", seed.node.name, identity(&rendered, &payload).short());
    renderer.variables["seed"]["instance_id"] = json!(format!("iid-{id}"));
    let meta_data = renderer.flavoured("meta-data")?;

    let mut tree = FileTree::new();
    for (name, text) in
        [("meta-data", meta_data), ("network-config", network_config), ("user-data", user_data)]
    {
        tree.insert_file(name, 0o644, text)?;
    }
    payload.add_to(&mut tree, &id)?;
    Ok(tree)
}

/// Returns a digest of everything that makes a seed the seed it is.
fn identity(rendered: &[(&str, &String)], payload: &Payload) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut add = |path: &str, mode: u32, digest: &Digest| {
        hasher.update(format!("{path}\0{mode:o}\0{digest}\n").as_bytes());
    };
    for (path, text) in rendered {
        add(path, 0o644, &Digest::sha256(text.as_bytes()));
    }
    for (path, mode, digest) in payload.identity() {
        add(&path, mode, digest);
    }
    hasher.finish()
}

/// A file that cloud-init writes.
struct WrittenFile {
    destination: String,
    mode: u32,
    text: String,
}

impl WrittenFile {
    fn variables(&self) -> Value {
        json!({"path": self.destination, "mode": format!("{:04o}", self.mode), "content": self.text})
    }
}

struct Renderer<'a> {
    seed: &'a NodeSeed,
    templates: &'a Templates,
    variables: Value,
}

impl Renderer<'_> {
    fn render(&self, template: &str) -> Result<String, SeedError> {
        let text = self
            .templates
            .render(template, &self.variables)
            .map_err(|source| SeedError::Template { node: self.seed.node.name.clone(), source })?;
        check_text(&self.seed.node.name, template.trim_end_matches(".tera"), &text)?;
        Ok(text)
    }

    /// Renders a template that each flavour has its own of.
    fn flavoured(&self, name: &str) -> Result<String, SeedError> {
        self.render(&format!("{}/{name}.tera", self.seed.flavour.name()))
    }

    fn written_files(&self) -> Result<Vec<WrittenFile>, SeedError> {
        let unit = format!("/etc/systemd/system/{}", self.seed.k3s.membership.unit());
        let unit = ("node/k3s.service.tera", unit.as_str(), 0o644);
        WRITTEN
            .into_iter()
            .chain([unit])
            .map(|(template, destination, mode)| {
                Ok(WrittenFile { destination: destination.to_owned(), mode, text: self.render(template)? })
            })
            .collect()
    }

    /// Returns the rendered payload and the seed's own.
    fn payload_files(&self) -> Result<Vec<PayloadFile>, SeedError> {
        let NodeSeed { k3s, registry, payload, .. } = self.seed;
        let mut files = vec![
            text_file(variables::REGISTRY_CA, 0o644, registry.ca_pem.clone()),
            // With a password made here, a rebuilt node may join again under its old name.
            text_file("/etc/rancher/node/password", 0o600, format!("{}\n", k3s.node_password.expose_line())),
        ];
        for (template, destination, mode) in PLACED {
            files.push(text_file(destination, mode, self.render(template)?));
        }
        files.extend(payload.iter().cloned());
        Ok(files)
    }
}

fn text_file(destination: &str, mode: u32, text: String) -> PayloadFile {
    let digest = Digest::sha256(text.as_bytes());
    PayloadFile { destination: destination.to_owned(), mode, content: Content::from(text), digest }
}

fn check_names(seed: &NodeSeed) -> Result<(), SeedError> {
    let is_label = |name: &str| {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&name.len())
            && name.bytes().all(is_part)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    let names = seed.nodes.iter().map(|peer| &peer.name).chain([&seed.node.name]);
    if let Some(name) = names.into_iter().find(|name| !is_label(name)) {
        return Err(SeedError::NodeName { name: name.chars().take(300).collect() });
    }
    match (&seed.node.mac, &seed.node.interface) {
        (None, None) => Err(SeedError::NoNetworkCard { node: seed.node.name.clone() }),
        (Some(_), _) | (_, Some(_)) => Ok(()),
    }
}

/// Refuses what no rendered file may be, whatever it is for.
fn check_text(node: &str, file: &str, text: &str) -> Result<(), SeedError> {
    let reason = if text.trim().is_empty() {
        "is empty"
    } else if text.starts_with('\u{feff}') {
        "starts with a byte order mark"
    } else if text.contains('\r') {
        "has a carriage return"
    } else {
        return Ok(());
    };
    Err(SeedError::Unacceptable { node: node.to_owned(), file: file.to_owned(), reason })
}

/// Refuses user-data that cloud-init would take for something else, or choke on.
fn check_user_data(node: &str, text: &str) -> Result<(), SeedError> {
    let reason = if text.lines().next() != Some("#cloud-config") {
        "does not start with the line `#cloud-config`"
    } else if text.len() > LARGEST_USER_DATA {
        "is larger than 512 KiB; large files belong into the payload"
    } else {
        return Ok(());
    };
    Err(SeedError::Unacceptable { node: node.to_owned(), file: "user-data".to_owned(), reason })
}

#[cfg(test)]
mod tests;
