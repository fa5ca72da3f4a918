//! `seedkit iso`: spec, lock, secrets and templates -> one NoCloud ISO per node.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::archive::iso9660::{self, IsoError as ArchiveError};
use crate::artifact::Artifact;
use crate::cluster::tokens::{self, InvalidToken, Token};
use crate::digest::Hasher;
use crate::fs::named_temporary;
use crate::lockfile::{FileRole, Locked, LockedFile};
use crate::ops::ca::Certificates;
use crate::ops::pack::Packed;
use crate::ops::{Equipment, kit, parallel};
use crate::progress::Event;
use crate::secrets::{SecretText, Secrets, SecretsError};
use crate::seed::{self, K3s, Membership, NodeSeed, PayloadFile, SeedError};
use crate::spec::{Node, PasswordFrom, Role, Spec};
use crate::ssh::{AuthorizedKey, KeyPair, KeyPairError};
use crate::template::{OverrideError, Templates};
use crate::tree::{Content, Entry, FileTree};

/// The label by which cloud-init finds a seed.
const VOLUME_ID: &str = "CIDATA";
/// Where k3s looks for image tarballs on a node.
const IMAGES_FOLDER: &str = "/var/lib/rancher/k3s/agent/images";
/// Where the nodes' registry configuration lies within a seed.
const REGISTRIES: &str = "payload/root/etc/rancher/k3s/registries.yaml";
/// The first minor release whose every patch knows `disable-default-registry-endpoint` (k3s changelog, January 2024).
const KNOWS_DISABLE_DEFAULT_ENDPOINT: (u32, u32) = (1, 30);

/// Why there is no seed.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// The secrets folder cannot be used.
    #[error("cannot use the secrets")]
    Secrets(#[from] SecretsError),
    /// A token cannot be made.
    #[error("cannot make a token for the cluster")]
    Random(#[source] getrandom::Error),
    /// A token in the secrets folder is not one that k3s takes.
    #[error("the token `{name}` in the secrets folder cannot be used")]
    Token {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: InvalidToken,
    },
    /// The key pair in the secrets folder cannot be used.
    #[error("the SSH key `{SSH_KEY}` in the secrets folder cannot be used")]
    Ssh(#[source] KeyPairError),
    /// The registry's password is not where the spec says.
    #[error("the registry's password is not in {place}")]
    NoPassword {
        /// A variable or file.
        place: String,
    },
    /// The user's templates cannot be used.
    #[error("cannot use the folder of templates")]
    Templates(#[from] OverrideError),
    /// A seed cannot be rendered.
    #[error("cannot render the seeds")]
    Seed(#[from] SeedError),
    /// The ISO cannot hold the seed, or its content changed meanwhile.
    #[error("cannot write the seed of node `{node}`")]
    Archive {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// The file system refused.
    #[error("cannot write the seed of node `{node}` to `{}`", .path.display())]
    Write {
        /// The node.
        node: String,
        /// The ISO.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
}

/// What servers join with.
const SERVER_TOKEN: &str = "server-token";
/// What agents join with.
const AGENT_TOKEN: &str = "agent-token";
/// The private key that opens the nodes, when the spec names none.
const SSH_KEY: &str = "id_ed25519";

/// What seeds are made of, beside secrets and templates.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The lock that fits it.
    pub locked: &'a Locked,
    /// The registry's certificates.
    pub certificates: &'a Certificates,
    /// The tarballs, in the order of the lock's platforms.
    pub tarballs: &'a [Packed],
    /// The folder that they lie in.
    pub folder: &'a Path,
}

/// A node's seed as a tree of files.
#[derive(Debug)]
pub struct PlannedSeed {
    /// The node's name.
    pub node: String,
    /// Its files.
    pub tree: FileTree,
    /// What it is made from, for the bill of materials.
    pub made_from: Vec<String>,
}

/// A finished ISO.
#[derive(Debug)]
pub struct WrittenSeed {
    /// The node's name.
    pub node: String,
    /// Its digest and size.
    pub artifact: Artifact,
}

/// Renders the seeds of `nodes`; nothing is written.
pub fn plan<'a>(
    material: &Material<'_>,
    nodes: impl IntoIterator<Item = &'a Node>,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<Vec<PlannedSeed>, IsoError> {
    let spec = material.spec;
    let templates = match &spec.templates {
        Some(folder) => Templates::with_overrides(folder)?,
        None => Templates::builtin(),
    };
    let secrets = ClusterSecrets::load_or_create(spec, secrets, equipment)?;
    nodes
        .into_iter()
        .map(|node| {
            let payload = payload(material, node, equipment);
            let made_from = payload.iter().map(|file| file.destination.clone()).collect();
            let input = secrets.seed_of(material, node, payload)?;
            Ok(PlannedSeed { node: node.name.to_string(), tree: seed::build(&input, &templates)?, made_from })
        })
        .collect()
}

/// Returns the `registries.yaml` that the seeds hold, for nodes that were set up by other means.
pub fn registries_yaml(seeds: &[PlannedSeed]) -> Option<&[u8]> {
    match seeds.first()?.tree.get(REGISTRIES)? {
        Entry::File { content: Content::Bytes(bytes), .. } => Some(bytes),
        Entry::File { .. } | Entry::Directory { .. } | Entry::Symlink { .. } => None,
    }
}

/// Writes seeds as `seed-<node>.iso` into `folder`.
pub fn write(
    seeds: &[PlannedSeed],
    folder: &Path,
    material: &Material<'_>,
    equipment: &Equipment<'_>,
) -> Result<Vec<WrittenSeed>, IsoError> {
    let options = iso9660::Options {
        volume_id: VOLUME_ID.parse().expect("the label is a valid volume id"),
        epoch: material.locked.epoch(),
    };
    let plans: Vec<_> = seeds
        .iter()
        .map(|seed| {
            iso9660::plan(&seed.tree, &options)
                .map_err(|source| IsoError::Archive { node: seed.node.clone(), source })
        })
        .collect::<Result<_, _>>()?;
    let bytes = plans.iter().map(iso9660::Plan::size).sum();
    equipment.reporter.report(Event::Planned { bytes, items: seeds.len() as u64 });
    let pairs: Vec<_> = seeds.iter().zip(&plans).collect();
    let write =
        |(seed, plan): &(&PlannedSeed, &iso9660::Plan)| write_one(&seed.node, plan, folder, equipment);
    parallel::map(&pairs, equipment.jobs, write).into_iter().collect()
}

fn write_one(
    node: &str,
    plan: &iso9660::Plan,
    folder: &Path,
    equipment: &Equipment<'_>,
) -> Result<WrittenSeed, IsoError> {
    let path = folder.join(kit::seed_file_name(node));
    let write_error = |source| IsoError::Write { node: node.to_owned(), path: path.clone(), source };
    let mut temporary = named_temporary(folder).map_err(write_error)?;
    // The plain file, so that the kernel copies the payload.
    plan.write(temporary.as_file_mut())
        .map_err(|source| IsoError::Archive { node: node.to_owned(), source })?;
    crate::fs::make_readable_by_owner(temporary.as_file()).map_err(write_error)?;
    temporary.as_file().sync_data().map_err(write_error)?;
    let mut written = fs_err::File::open(temporary.path()).map_err(write_error)?.into_parts().0;
    let (digest, size) = Hasher::sha256_of(&mut written).map_err(write_error)?;
    temporary.persist(&path).map_err(|error| write_error(error.error))?;
    equipment.reporter.report(Event::Advanced { bytes: size });
    equipment.reporter.report(Event::ItemFinished { name: path.display().to_string() });
    Ok(WrittenSeed { node: node.to_owned(), artifact: Artifact { digest, size } })
}

/// Returns what lies beside the rendered files: k3s, tarballs, the user's own files.
fn payload(material: &Material<'_>, node: &Node, equipment: &Equipment<'_>) -> Vec<PayloadFile> {
    let Material { spec, locked, tarballs, folder, .. } = material;
    let stored = |role: FileRole, destination: String, mode: u32| {
        let LockedFile { sha256, size, .. } = locked.file(&role)?.clone();
        let content = Content::Path { path: equipment.store.path(&sha256), size };
        Some(PayloadFile { destination, mode, content, digest: sha256 })
    };
    let platform = &node.platform;
    let binary = stored(FileRole::K3sBinary(platform.clone()), "/usr/local/bin/k3s".to_owned(), 0o755);
    let airgap_role = FileRole::K3sAirgap(platform.clone());
    let airgap_name = locked.file(&airgap_role).map(|file| file_name(&file.source).to_owned());
    let airgap = airgap_name.and_then(|name| stored(airgap_role, format!("{IMAGES_FOLDER}/{name}"), 0o644));
    let own = locked.lockfile().platforms.iter().zip(*tarballs).find(|(candidate, _)| *candidate == platform);
    // A tarball without images would be imported for nothing.
    let own = own.filter(|(_, packed)| !packed.names.is_empty()).map(|(_, packed)| PayloadFile {
        destination: format!("{IMAGES_FOLDER}/{}", packed.file_name),
        mode: 0o644,
        content: Content::Path { path: folder.join(&packed.file_name), size: packed.artifact.size },
        digest: packed.artifact.digest.clone(),
    });
    let users = spec.files_of(node).filter_map(|file| {
        stored(FileRole::File(file.destination.clone()), file.destination.clone(), file.mode)
    });
    binary.into_iter().chain(airgap).chain(own).chain(users).collect()
}

fn file_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// All secrets that seeds hold.
struct ClusterSecrets<'a> {
    folder: &'a Secrets,
    server_token: SecretText,
    agent_token: SecretText,
    authorized_keys: Vec<AuthorizedKey>,
    auth: Option<seed::RegistryAuth>,
}

impl<'a> ClusterSecrets<'a> {
    fn load_or_create(spec: &Spec, folder: &'a Secrets, equipment: &Equipment<'_>) -> Result<Self, IsoError> {
        Ok(Self {
            folder,
            server_token: token(folder, SERVER_TOKEN)?,
            agent_token: token(folder, AGENT_TOKEN)?,
            authorized_keys: authorized_keys(spec, folder)?,
            auth: registry_auth(spec, folder, equipment)?,
        })
    }

    fn seed_of(
        &self,
        material: &Material<'_>,
        node: &Node,
        payload: Vec<PayloadFile>,
    ) -> Result<NodeSeed, IsoError> {
        let spec = material.spec;
        let peer = |node: &Node| seed::Peer { name: node.name.to_string(), address: node.address.address() };
        let config = match node.role {
            Role::Server => &spec.k3s.config,
            Role::Agent => &spec.k3s.agent_config,
        };
        let password_name = format!("node-password-{}", node.name);
        let node_password = self.folder.load_or_create::<IsoError>(&password_name, || {
            tokens::generate_node_password().map_err(IsoError::Random)
        })?;
        Ok(NodeSeed {
            cluster: spec.name.to_string(),
            flavour: seed::Flavour::CloudImage,
            node: node_of(node),
            nodes: spec.nodes.iter().map(peer).collect(),
            ssh: seed::Ssh { user: spec.ssh.user.clone(), authorized_keys: self.authorized_keys.clone() },
            timezone: spec.seed.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
            k3s: K3s {
                membership: self.membership(spec, node),
                config: config.clone(),
                node_password: node_password.text,
            },
            registry: self.registry(material),
            payload,
            epoch: material.locked.epoch(),
        })
    }

    fn membership(&self, spec: &Spec, node: &Node) -> Membership {
        let first = spec.servers().next().expect("validation refuses a spec without a server");
        let agent_token = self.agent_token.clone();
        let server_url = || match first.address.address() {
            std::net::IpAddr::V4(address) => format!("https://{address}:6443"),
            std::net::IpAddr::V6(address) => format!("https://[{address}]:6443"),
        };
        match node.role {
            Role::Agent => Membership::Agent { server_url: server_url(), agent_token },
            Role::Server if node.name == first.name => Membership::FirstServer {
                token: self.server_token.clone(),
                agent_token,
                cluster_init: spec.servers().count() > 1,
            },
            Role::Server => {
                Membership::Server { server_url: server_url(), token: self.server_token.clone(), agent_token }
            }
        }
    }

    fn registry(&self, material: &Material<'_>) -> seed::Registry {
        let Material { spec, locked, certificates, .. } = material;
        let hosts: std::collections::BTreeSet<String> = match &spec.registry.mirrors {
            Some(mirrors) => mirrors.iter().map(ToString::to_string).collect(),
            None => {
                let images = &locked.lockfile().images;
                images.iter().map(|image| image.reference.registry().to_owned()).collect()
            }
        };
        seed::Registry {
            address: spec.registry.address.to_string(),
            mirrors: hosts.into_iter().map(|host| seed::Mirror { host, rewrite: Vec::new() }).collect(),
            ca_pem: certificates.authority.pem().to_owned(),
            auth: self.auth.clone(),
            disable_default_endpoint: spec.k3s.version.minor() >= KNOWS_DISABLE_DEFAULT_ENDPOINT,
        }
    }
}

fn node_of(node: &Node) -> seed::Node {
    seed::Node {
        name: node.name.to_string(),
        address: node.address.address(),
        prefix: node.address.prefix(),
        gateway: node.gateway,
        nameservers: node.nameservers.clone(),
        mac: node.mac.as_ref().map(ToString::to_string),
        interface: node.interface.clone(),
        values: node
            .values
            .iter()
            .map(|(key, value): (&String, &Value)| (key.clone(), value.clone()))
            .collect(),
    }
}

fn token(secrets: &Secrets, name: &'static str) -> Result<SecretText, IsoError> {
    let secret =
        secrets.load_or_create::<IsoError>(name, || tokens::generate_token().map_err(IsoError::Random))?;
    let token = Token::from_secret(&secret.text).map_err(|source| IsoError::Token { name, source })?;
    Ok(token.text().clone())
}

/// Returns the keys that the spec names; with none, a pair is made once and kept in the secrets folder.
fn authorized_keys(spec: &Spec, secrets: &Secrets) -> Result<Vec<AuthorizedKey>, IsoError> {
    if !spec.ssh.authorized_keys.is_empty() {
        return Ok(spec.ssh.authorized_keys.clone());
    }
    let secret = secrets.load_or_create::<IsoError>(SSH_KEY, || {
        let pair = KeyPair::generate_ed25519(&format!("seedkit {}", spec.name)).map_err(IsoError::Ssh)?;
        Ok(pair.private().clone())
    })?;
    let pair = KeyPair::from_openssh(secret.text).map_err(IsoError::Ssh)?;
    let public = SecretText::from(format!("{}\n", pair.public()));
    secrets.load_or_create::<IsoError>(&format!("{SSH_KEY}.pub"), || Ok(public))?;
    Ok(vec![pair.public().clone()])
}

fn registry_auth(
    spec: &Spec,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<Option<seed::RegistryAuth>, IsoError> {
    let Some(auth) = &spec.registry.auth else { return Ok(None) };
    let (password, place) = match &auth.password {
        PasswordFrom::Environment(name) => {
            ((equipment.variable)(name).map(SecretText::from), format!("the environment variable `{name}`"))
        }
        PasswordFrom::Secret(name) => {
            let line = secrets.load(name)?.map(|text| text.expose_line().to_owned().into());
            (line, format!("the secrets folder's file `{name}`"))
        }
    };
    let password = password.ok_or(IsoError::NoPassword { place })?;
    Ok(Some(seed::RegistryAuth { username: auth.username.clone(), password }))
}
