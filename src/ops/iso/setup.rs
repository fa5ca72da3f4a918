//! What a node is told: its place in the cluster, its registry, who may log in, with the secrets that this takes.

use std::collections::BTreeMap;

use super::payload::Payload;
use super::{IsoError, Material, login};
use crate::check::KnownSecret;
use crate::cluster::authorities::{ClusterAuthorities, PRIVATE_FOLDERS};
use crate::cluster::mirrors::{self, Mirrors, PlacedImage};
use crate::fetch::Equipment;
use crate::k3s::{DATASTORE, Mirror};
use crate::node::TimeZone;
use crate::ops::cluster::{self, ClusterError, Tokens};
use crate::secrets::{SecretText, Secrets, names};
use crate::seed::{self, K3s, Membership, NodeSeed};
use crate::spec::{Node, Role, Spec};

/// The first minor release whose every patch knows `disable-default-registry-endpoint` (k3s changelog, January 2024).
const KNOWS_DISABLE_DEFAULT_ENDPOINT: (u32, u32) = (1, 30);

/// Looks for the secrets that the spec has somewhere else, before anything is fetched that would be in vain without them.
pub(in crate::ops) fn look_for_secrets(
    spec: &Spec,
    folder: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<(), IsoError> {
    let mut missing = Vec::new();
    let mut look = |result: Result<(), IsoError>| match result {
        Err(
            error @ (IsoError::NoPassword(_) | IsoError::NoSetting { .. } | IsoError::NoConsolePassword(_)),
        ) => {
            missing.push(error);
            Ok(())
        }
        result => result,
    };
    look(login::load_or_create(spec, folder, equipment).map(drop))?;
    look(registry_auth(spec, folder, equipment).map(drop))?;
    for (flag, from) in spec.k3s.config_from.iter().chain(&spec.k3s.agent_config_from) {
        look(login::setting(flag, from, folder, equipment).map(drop))?;
    }
    match (missing.pop(), missing.is_empty()) {
        (None, _) => Ok(()),
        (Some(only), true) => Err(only),
        (Some(last), false) => Err(IsoError::Missing(missing.into_iter().chain([last]).collect())),
    }
}

/// All secrets that seeds hold.
pub(super) struct ClusterSecrets<'a> {
    folder: &'a Secrets,
    tokens: Tokens,
    authorities: Option<seed::Authorities>,
    ssh: seed::Ssh,
    auth: Option<seed::RegistryAuth>,
    mirrors: Vec<Mirror>,
    config: BTreeMap<String, SecretText>,
    agent_config: BTreeMap<String, SecretText>,
}

impl<'a> ClusterSecrets<'a> {
    /// Loads them, and makes those that are missing.
    pub(super) fn load_or_create(
        material: &Material<'_>,
        folder: &'a Secrets,
        equipment: &Equipment<'_>,
    ) -> Result<Self, IsoError> {
        let Material { spec, parts, .. } = *material;
        let certificates = &parts.certificates;
        let tokens = cluster::load_or_create_tokens(folder, certificates.cluster.as_ref())?;
        for name in &tokens.made_anew {
            equipment.reporter.warn(format!(
                "`{name}` was not in the secrets folder, and was made anew: nodes that run with another one do not let \
                 these nodes join"
            ));
        }
        Ok(Self {
            folder,
            tokens,
            authorities: certificates.cluster.as_ref().map(authorities).transpose()?,
            ssh: login::load_or_create(spec, folder, equipment)?,
            auth: registry_auth(spec, folder, equipment)?,
            mirrors: mirrors(material, equipment),
            config: login::settings(&spec.k3s.config_from, folder, equipment)?,
            agent_config: login::settings(&spec.k3s.agent_config_from, folder, equipment)?,
        })
    }

    /// Returns everything that the seed of `node` says.
    pub(super) fn seed_of(
        &self,
        material: &Material<'_>,
        node: &Node,
        payload: Payload,
    ) -> Result<NodeSeed, IsoError> {
        let spec = material.spec;
        let Payload { files, images, ops } = payload;
        let (config, secret_config) = match node.role {
            Role::Server => (&spec.k3s.config, &self.config),
            Role::Agent => (&spec.k3s.agent_config, &self.agent_config),
        };
        let password_name = format!("{}{}", names::NODE_PASSWORD, node.name);
        let node_password = self.folder.load_or_create(&password_name, login::generate_password)?;
        Ok(NodeSeed {
            cluster: spec.name.to_string(),
            flavour: spec.seed.flavour,
            node: node_of(node),
            nodes: spec.nodes.iter().map(peer).collect(),
            hosts: spec.seed.hosts.clone(),
            ntp: spec.seed.ntp.clone(),
            ssh: self.ssh.clone(),
            timezone: spec.seed.timezone.as_ref().unwrap_or(&TimeZone::UTC).to_string(),
            k3s: K3s {
                membership: self.membership(spec, node),
                api_port: api_port(spec),
                config: config.clone(),
                secret_config: secret_config.clone(),
                node_password: node_password.text,
            },
            registry: self.registry(material),
            payload: files,
            images,
            ops,
            epoch: material.locked.epoch(),
        })
    }

    fn membership(&self, spec: &Spec, node: &Node) -> Membership {
        let first = spec.first_server().expect("validation refuses a spec without a server");
        let Tokens { server: token, agent, agent_password, made_anew: _ } = self.tokens.clone();
        let server = std::net::SocketAddr::new(first.address.address(), api_port(spec));
        let server_url = || format!("https://{server}");
        match node.role {
            Role::Agent => Membership::Agent { server_url: server_url(), agent_token: agent },
            Role::Server if node.name == first.name => Membership::FirstServer {
                token,
                agent_token: agent_password,
                cluster_init: spec.servers().count() > 1,
                others: others(spec, node),
                authorities: self.authorities.clone(),
            },
            Role::Server => {
                Membership::Server { server_url: server_url(), token, agent_token: agent_password }
            }
        }
    }

    fn registry(&self, material: &Material<'_>) -> seed::Registry {
        let Material { spec, parts, .. } = material;
        let certificates = &parts.certificates;
        seed::Registry {
            address: spec.registry.address.clone(),
            mirrors: self.mirrors.clone(),
            ca_pem: certificates.authority.pem().to_owned(),
            auth: self.auth.clone(),
            disable_default_endpoint: spec.k3s.version.minor() >= KNOWS_DISABLE_DEFAULT_ENDPOINT,
        }
    }
}

/// Returns the registries that nodes ask the cluster's own one for, and says what that leaves out.
fn mirrors(material: &Material<'_>, equipment: &Equipment<'_>) -> Vec<Mirror> {
    let Material { spec, locked, .. } = material;
    let images = locked.lockfile().images.iter();
    let images: Vec<PlacedImage<'_>> = images
        .map(|image| PlacedImage { reference: &image.reference, destination: image.destination.as_deref() })
        .collect();
    let hosts = spec.registry.mirrors.as_ref();
    let hosts = hosts.map(|hosts| hosts.iter().map(ToString::to_string).collect());
    let Mirrors { mirrors, misplaced, left_out } =
        mirrors::plan(&images, hosts, &spec.registry.address.to_string());
    for (image, place) in misplaced {
        equipment.reporter.warn(format!(
            "nodes do not find `{image}` at `{place}` in the registry: they ask for other repositories only where \
             all images of one go to the same other one, and never for other tags"
        ));
    }
    for host in left_out {
        equipment
            .reporter
            .note(format!("nodes ask `{host}` itself for its images: `registry.mirrors` leaves it out"));
    }
    mirrors
}

/// Returns the port at which servers are joined.
fn api_port(spec: &Spec) -> u16 {
    spec.k3s.config.api_port().expect("validation refuses what is not a port")
}

fn peer(node: &Node) -> seed::Peer {
    seed::Peer { name: node.name.clone(), address: node.address.address() }
}

/// Returns the other servers that keep the cluster's state themselves: where it is in a datastore, all find it there.
fn others(spec: &Spec, first: &Node) -> Vec<seed::Peer> {
    let k3s = &spec.k3s;
    let has_datastore = k3s.config.get(DATASTORE).is_some() || k3s.config_from.contains_key(DATASTORE);
    let others = spec.servers().filter(|node| node.name != first.name && !has_datastore);
    others.map(peer).collect()
}

/// Returns what the first server finds, and nobody else.
fn authorities(authorities: &ClusterAuthorities) -> Result<seed::Authorities, IsoError> {
    let files = authorities.files().map_err(ClusterError::Unusable)?;
    let folders = PRIVATE_FOLDERS.iter().map(|folder| ((*folder).to_owned(), 0o700)).collect();
    Ok(seed::Authorities { folders, files })
}

fn node_of(node: &Node) -> seed::Node {
    let Node { name, role: _, platform: _, address, gateway, nameservers, card, disk, values } = node.clone();
    seed::Node { name, address, gateway, nameservers, card, disk, values }
}

fn registry_auth(
    spec: &Spec,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<Option<seed::RegistryAuth>, IsoError> {
    let Some(auth) = &spec.registry.auth else { return Ok(None) };
    let (password, place) = login::password(&auth.password, secrets, equipment)?;
    let Some(password) = password else { return Err(IsoError::NoPassword(place)) };
    let password = login::one_line(password, place)?;
    let salt = secrets.load_or_create(names::REGISTRY_SALT, login::generate_password)?.text;
    Ok(Some(seed::RegistryAuth { username: auth.username.clone(), password, salt }))
}

/// Returns all secrets, as the checks of a finished kit look for them.
pub(super) fn known(spec: &Spec, secrets: &Secrets) -> Result<Vec<KnownSecret>, IsoError> {
    let signing = spec.packages.as_ref().and_then(|packages| packages.sign.as_ref());
    let mut of_no_node = vec![names::AUTHORITY_KEY, names::SERVER_KEY, names::SSH_KEY];
    of_no_node.extend(signing.map(|signing| signing.secret.as_str()));
    let known = secrets.all()?.into_iter().map(|(name, text)| {
        let is_for_no_node = of_no_node.contains(&name.as_str());
        KnownSecret { name, text, is_for_no_node }
    });
    Ok(known.collect())
}
