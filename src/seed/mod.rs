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

mod autoinstall;
mod input;
mod payload;
mod user_data;
mod variables;

use std::io;

use serde_json::{Value, json};

pub use input::{
    Authorities, Disc, K3s, Membership, Node, NodeSeed, OpsPackages, PayloadFile, Peer, Registry,
    RegistryAuth, Ssh,
};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::net::DnsLabel;
use crate::node::{Flavour, NodePath, SecretFile};
use crate::template::{TemplateError, Templates};
use crate::tree::{Content, FileTree, TreeError};
use crate::yaml;
use payload::Payload;
pub use payload::shared_disc;
pub use user_data::UserDataFormat;

/// cloud-init parses user-data several times and keeps copies of it; what is large belongs into the payload.
const LARGEST_USER_DATA: usize = 512 * 1024;

/// What cloud-init's NoCloud source reads; user-data may hold the hash of a password.
const RENDERED: [(&str, u32); 3] = [("meta-data", 0o644), ("network-config", 0o644), ("user-data", 0o600)];

/// Files that cloud-init writes: template, destination and mode.
const WRITTEN: [(&str, &str, u32); 15] = [
    // Before the distribution's own and cloud-init's, as the first value counts.
    ("node/sshd.conf.tera", "/etc/ssh/sshd_config.d/10-seedkit.conf", 0o644),
    // After the distribution's own, as the last value counts.
    ("node/apt.conf.tera", "/etc/apt/apt.conf.d/99seedkit", 0o644),
    ("node/hosts.tera", "/etc/hosts", 0o644),
    // Before the system's own, as the first one that fits counts.
    ("node/flannel.link.tera", "/etc/systemd/network/70-seedkit-flannel.link", 0o644),
    ("node/modules-load.conf.tera", "/etc/modules-load.d/k3s.conf", 0o644),
    ("node/sysctl.conf.tera", "/etc/sysctl.d/90-k3s.conf", 0o644),
    // Written without any server too: a seed before may have had some.
    ("node/timesyncd.conf.tera", "/etc/systemd/timesyncd.conf.d/50-seedkit.conf", 0o644),
    ("node/chrony.sources.tera", "/etc/chrony/sources.d/seedkit.sources", 0o644),
    ("node/bootstrap.sh.tera", "/usr/local/sbin/seedkit-bootstrap", 0o755),
    ("node/clock.py.tera", "/usr/local/sbin/seedkit-clock", 0o755),
    ("node/finish.sh.tera", "/usr/local/sbin/seedkit-finish", 0o755),
    ("node/look.sh.tera", "/usr/local/sbin/seedkit-look", 0o755),
    ("node/marker.sh.tera", "/usr/local/sbin/seedkit-marker", 0o755),
    ("node/observe.sh.tera", "/usr/local/sbin/seedkit-observe", 0o755),
    ("node/stage.sh.tera", "/usr/local/sbin/seedkit-stage", 0o755),
];

/// What the node must have before it is done: names of images, sorted, one to a line, and their digests if known.
const IMAGES: &str = "/var/lib/seedkit/images.txt";

/// The template that names a seed, whatever boots from it.
const META_DATA: &str = "cloud-image/meta-data.tera";

/// Where systemd looks for the units of an administrator.
const UNITS: &str = "/etc/systemd/system";

/// Files of the payload that are rendered: template, destination and mode.
const PLACED: [(&str, &str, u32); 2] = [
    ("node/config.yaml.tera", "/etc/rancher/k3s/config.yaml", 0o600),
    (REGISTRIES, "/etc/rancher/k3s/registries.yaml", 0o600),
];

/// The template of the file that may hold the registry's password.
const REGISTRIES: &str = "node/registries.yaml.tera";

/// Says why a seed cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A template, or what it is given, is wrong.
    #[error("cannot render the seed of node `{0}`")]
    Template(DnsLabel, #[source] TemplateError),
    /// A payload file cannot be placed.
    #[error("`{0}` cannot be placed on a node: {1}")]
    Destination(NodePath, &'static str),
    /// A payload file cannot be read.
    #[error("cannot read what goes to `{0}`")]
    Read(NodePath, #[source] io::Error),
    /// A rendered file is not one that its reader accepts.
    #[error("`{file}` of node `{node}` {reason}")]
    Unacceptable {
        /// The node.
        node: DnsLabel,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Ubuntu's installer would not do what the seed says.
    #[error("`user-data` of node `{0}` does not install unattended: {1}")]
    Autoinstall(DnsLabel, String),
    /// A rendered file is not YAML.
    #[error("`{file}` of node `{node}` cannot be read back: {problem}")]
    Unreadable {
        /// The node.
        node: DnsLabel,
        /// The file.
        file: String,
        /// What is wrong, with its line.
        problem: String,
    },
    /// Two files do not fit into one tree.
    #[error("the files of a seed do not fit together")]
    Tree(#[from] TreeError),
}

/// Builds the files of one node's seed.
pub fn build(seed: &NodeSeed, templates: &Templates) -> Result<FileTree, SeedError> {
    let mut renderer = Renderer { seed, templates, variables: variables::of(seed) };
    renderer.name_units();
    let (written, placed) = match seed.flavour {
        Flavour::CloudImage => (renderer.written_files()?, Vec::new()),
        // The installer has no file of ours before the payload is placed.
        Flavour::Autoinstall => (Vec::new(), renderer.written_files()?),
    };
    let destinations: Vec<_> = written.iter().map(|file| file.destination.clone()).collect();
    let folders = seed.k3s.membership.authorities().map_or(&[][..], |authorities| &authorities.folders);
    let placed = placed.into_iter().map(|file| text_file(file.destination, file.mode, file.text));
    let files = placed.chain(renderer.payload_files()?).collect();
    let payload = Payload::new(files, folders, &destinations)?;
    renderer.variables["files"] = written.iter().map(WrittenFile::variables).collect();
    let network_config = renderer.render("cloud-image/network-config.tera")?;
    let user_data = renderer.user_data(&network_config)?;
    check_user_data(&seed.node.name, &user_data)?;
    // The id is derived from the meta-data too, with a blank where the id will stand.
    renderer.variables["seed"]["instance_id"] = json!("");
    let unnamed = renderer.render(META_DATA)?;
    let id = identity([&unnamed, &network_config, &user_data], &payload);
    let id = format!("{}-{}", seed.node.name, id.short());
    renderer.variables["seed"]["instance_id"] = json!(format!("iid-{id}"));
    let meta_data = renderer.render(META_DATA)?;

    let mut tree = FileTree::new();
    for ((name, mode), text) in RENDERED.into_iter().zip([meta_data, network_config, user_data]) {
        tree.insert_file(name, mode, text)?;
    }
    payload.add_to(&mut tree, &id)?;
    Ok(tree)
}

/// Returns a digest of everything that makes a seed the seed it is.
fn identity(rendered: [&String; 3], payload: &Payload) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut add = |path: &str, mode: u32, digest: &Digest| {
        hasher.update(format!("{path}\0{mode:o}\0{digest}\n").as_bytes());
    };
    for ((path, mode), text) in RENDERED.into_iter().zip(rendered) {
        add(path, mode, &Digest::sha256(text.as_bytes()));
    }
    for (path, mode, digest) in payload.identity() {
        add(&path, mode, digest);
    }
    hasher.finish()
}

/// A file that cloud-init writes.
struct WrittenFile {
    destination: NodePath,
    mode: u32,
    text: String,
}

impl WrittenFile {
    fn variables(&self) -> Value {
        json!({"path": self.destination.as_str(), "mode": format!("{:04o}", self.mode), "content": self.text})
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
            .map_err(|source| SeedError::Template(self.seed.node.name.clone(), source))?;
        check_text(&self.seed.node.name, template.trim_end_matches(".tera"), &text)?;
        Ok(text)
    }

    /// Renders what the first boot is told, for whoever reads it.
    fn user_data(&mut self, network_config: &str) -> Result<String, SeedError> {
        match self.seed.flavour {
            Flavour::CloudImage => self.render("cloud-image/user-data.tera"),
            Flavour::Autoinstall => {
                let units = self.variables["units"].take();
                // The payload has the files, and the installer enables the units.
                self.variables["units"] = json!([]);
                let first_boot = self.render("cloud-image/user-data.tera")?;
                self.variables["cloud_config"] = self.parsed("cloud-image/user-data", &first_boot)?;
                self.variables["network"] = self.parsed("cloud-image/network-config", network_config)?;
                self.variables["units"] = units;
                let text = self.render("autoinstall/user-data.tera")?;
                autoinstall::check(&text)
                    .map_err(|problem| SeedError::Autoinstall(self.seed.node.name.clone(), problem))?;
                Ok(text)
            }
        }
    }

    fn parsed(&self, file: &str, text: &str) -> Result<Value, SeedError> {
        let unreadable = |problem: String| SeedError::Unreadable {
            node: self.seed.node.name.clone(),
            file: file.to_owned(),
            problem,
        };
        let document = yaml::parse(text.as_bytes()).map_err(|finding| unreadable(finding.to_string()))?;
        match document.findings.first() {
            Some(finding) => Err(unreadable(finding.to_string())),
            None => Ok(document.root.to_json()),
        }
    }

    /// Adds the names of the units that this seed has, and of those that another may have left.
    fn name_units(&mut self) {
        let units: Vec<&str> = self.units().map(|(_, unit)| unit).collect();
        let stale: Vec<&str> =
            variables::UNITS_EVER.into_iter().filter(|unit| !units.contains(unit)).collect();
        self.variables["units"] = json!(units);
        self.variables["stale_units"] = json!(stale);
    }

    /// Returns the template and the name of every unit, in the order in which they start.
    fn units(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let NodeSeed { k3s: K3s { membership, .. }, ops, .. } = self.seed;
        let ops = ops.as_ref().map(|_| ("node/ops-packages.service.tera", "k8s-ops-packages.service"));
        [
            ("node/stage.service.tera", "seedkit-stage.service"),
            ("node/clock.service.tera", "seedkit-clock.service"),
            ("node/k3s.service.tera", membership.unit()),
            ("node/bootstrap.service.tera", membership.completion_unit()),
        ]
        .into_iter()
        .chain(ops)
    }

    fn written_files(&self) -> Result<Vec<WrittenFile>, SeedError> {
        let files = WRITTEN.into_iter().map(|(template, path, mode)| (template, NodePath::own(path), mode));
        let units =
            self.units().map(|(template, unit)| (template, NodePath::own(format!("{UNITS}/{unit}")), 0o644));
        let alone = ("node/alone.sh.tera", NodePath::own("/usr/local/sbin/seedkit-alone"), 0o755);
        let alone = Some(alone).filter(|_| !self.seed.k3s.membership.others().is_empty());
        files
            .chain(alone)
            .chain(units)
            .map(|(template, destination, mode)| {
                Ok(WrittenFile { destination, mode, text: self.render(template)? })
            })
            .collect()
    }

    /// Returns the rendered payload and the seed's own.
    fn payload_files(&self) -> Result<Vec<PayloadFile>, SeedError> {
        let NodeSeed { k3s, registry, payload, ops, images, .. } = self.seed;
        let mut files = vec![
            own_file(IMAGES, 0o644, images.iter().map(image_line).collect()),
            own_file(variables::REGISTRY_CA, 0o644, registry.ca_pem.clone()),
            // With a password made here, a rebuilt node may join again under its old name.
            own_file("/etc/rancher/node/password", 0o600, format!("{}\n", k3s.node_password.expose_line())),
        ];
        for (template, destination, mode) in PLACED {
            let text = self.render(template)?;
            let salt = registry.auth.as_ref().filter(|_| template == REGISTRIES).map(|auth| &auth.salt);
            let salt = salt.map(|salt| format!("# {}\n", salt.expose_line())).unwrap_or_default();
            files.push(own_file(destination, mode, salt + &text));
        }
        files.extend(payload.iter().chain(ops.iter().map(|ops| &ops.archive)).cloned());
        let secret =
            |file: &SecretFile| text_file(file.destination.clone(), file.mode, file.text.expose().to_owned());
        let authorities = k3s.membership.authorities();
        files.extend(authorities.iter().flat_map(|authorities| &authorities.files).map(secret));
        Ok(files)
    }
}

/// Returns a line of the list of images.
fn image_line((name, digest): (&String, &Option<Digest>)) -> String {
    match digest {
        Some(digest) => format!("{name} {digest}\n"),
        None => format!("{name}\n"),
    }
}

fn own_file(destination: &str, mode: u32, text: String) -> PayloadFile {
    text_file(NodePath::own(destination), mode, text)
}

fn text_file(destination: NodePath, mode: u32, text: String) -> PayloadFile {
    let digest = Digest::sha256(text.as_bytes());
    let content = Content::from(text);
    PayloadFile { destination, mode, content, digest, disc: Disc::Seed }
}

/// Refuses what no rendered file may be, whatever it is for.
fn check_text(node: &DnsLabel, file: &str, text: &str) -> Result<(), SeedError> {
    let reason = if text.trim().is_empty() {
        "is empty"
    } else if text.starts_with('\u{feff}') {
        "starts with a byte order mark"
    } else if text.contains('\r') {
        "has a carriage return"
    } else {
        return Ok(());
    };
    Err(SeedError::Unacceptable { node: node.clone(), file: file.to_owned(), reason })
}

/// Refuses user-data that cloud-init would take for something else, or choke on.
fn check_user_data(node: &DnsLabel, text: &str) -> Result<(), SeedError> {
    let reason = if text.lines().next() != Some("#cloud-config") {
        "does not start with the line `#cloud-config`"
    } else if text.len() > LARGEST_USER_DATA {
        "is larger than 512 KiB; large files belong into the payload"
    } else {
        return Ok(());
    };
    Err(SeedError::Unacceptable { node: node.clone(), file: "user-data".to_owned(), reason })
}

#[cfg(test)]
mod tests;
