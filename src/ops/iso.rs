//! `seedkit iso`: spec, lock, secrets and templates -> one NoCloud ISO per node.

mod login;
mod payload;
mod setup;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::archive::iso9660::{self, IsoError as ArchiveError};
use crate::artifact::Artifact;
use crate::check::KnownSecret;
use crate::digest::HashingWriter;
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fs::{Staging, create_folder, named_temporary, publish};
use crate::lockfile::Locked;
use crate::node::Unplaceable;
use crate::ops::cluster::ClusterError;
use crate::ops::kit;
use crate::ops::output::{self, Irreplaceable};
use crate::ops::parts::{self, Parts, PartsError};
use crate::parallel;
use crate::password::InvalidPassword;
use crate::progress::{Event, step};
use crate::secrets::names::{CONSOLE_HASH, SSH_KEY, SSH_PUBLIC_KEY};
use crate::secrets::{Secrets, SecretsError};
use crate::seed::{self, SeedError};
use crate::spec::{Node, Spec};
use crate::ssh::KeyPairError;
use crate::template::{OverrideError, Templates};
use crate::tree::{Content, Entry, FileTree, TreeError};
use payload::Payload;
use setup::ClusterSecrets;
pub(super) use setup::look_for_secrets;

/// The label by which cloud-init finds a seed.
const SEED_LABEL: &str = "CIDATA";
/// The label by which nodes find the disc that they share.
const SHARED_LABEL: &str = "SEEDKIT_PAYLOAD";
/// Where the nodes' registry configuration lies within a seed.
const REGISTRIES: &str = "payload/root/etc/rancher/k3s/registries.yaml";

/// Why there is no seed.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// The folder is not for seeds.
    #[error("cannot put the seeds there")]
    Output(#[from] Irreplaceable),
    /// A part of the seeds cannot be had.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The secrets folder cannot be used.
    #[error("cannot use the secrets")]
    Secrets(#[from] SecretsError),
    /// A password cannot be made.
    #[error("cannot make a password")]
    Random(#[source] getrandom::Error),
    /// k3s' own tarball has a name that no node can have.
    #[error("k3s' image tarball cannot be placed on a node")]
    Airgap(#[from] Unplaceable),
    /// There is nothing to join with, or to trust.
    #[error("cannot use the tokens and authorities of the cluster")]
    Cluster(#[from] ClusterError),
    /// The key pair in the secrets folder cannot be used.
    #[error("the SSH key `{SSH_KEY}` in the secrets folder cannot be used")]
    Ssh(#[source] KeyPairError),
    /// The files of the pair are not of one pair.
    #[error("`{SSH_PUBLIC_KEY}` in the secrets folder is not the public half of `{SSH_KEY}`")]
    OtherSshKey,
    /// The registry's password is not where the spec says.
    #[error("the registry's password is not in {0}")]
    NoPassword(String),
    /// A text that is one line is not.
    #[error("what {0} holds is not one line of text without control characters")]
    NotOneLine(String),
    /// A secret setting of k3s is not where the spec says.
    #[error("the value of k3s' `{flag}` is not in {place}")]
    NoSetting {
        /// The flag.
        flag: String,
        /// A variable or file.
        place: String,
    },
    /// Several secrets are not where the spec says.
    #[error("{} secrets are not where the spec says", .0.len())]
    Missing(Vec<IsoError>),
    /// There is neither the console's password nor its hash.
    #[error("the console's password is not in {0}, and its hash is not in the secrets folder")]
    NoConsolePassword(String),
    /// Nobody could log in with it.
    #[error("the console's password in {0} cannot be used")]
    ConsolePassword(String, #[source] InvalidPassword),
    /// The hash in the secrets folder cannot be used.
    #[error("the secret `{CONSOLE_HASH}` cannot be used")]
    ConsoleHash(#[source] InvalidPassword),
    /// The user's templates cannot be used.
    #[error("cannot use the folder of templates")]
    Templates(#[from] OverrideError),
    /// A seed cannot be rendered.
    #[error("cannot render the seeds")]
    Seed(#[from] SeedError),
    /// The disc of all nodes cannot be put together.
    #[error("cannot put the disc of all nodes together")]
    Shared(#[source] TreeError),
    /// The ISO cannot hold its files, or their content changed meanwhile.
    #[error("cannot write the disc `{0}`")]
    Archive(String, #[source] ArchiveError),
    /// The file system refused.
    #[error("cannot write the disc `{0}`")]
    Write(PathBuf, #[source] std::io::Error),
}

/// Which seeds are made, from what, and where they go.
#[derive(Debug)]
pub struct Options<'a> {
    /// What they are made from.
    pub parts: parts::Options<'a>,
    /// The nodes.
    pub nodes: &'a [&'a Node],
    /// The folder for the seeds.
    pub output: &'a Path,
}

/// The finished seeds.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// One for each node, and the disc that they share if there is one.
    pub seeds: Vec<WrittenDisc>,
}

/// Makes the seeds of some nodes, and nothing else.
pub fn run(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Outcome, IsoError> {
    let Options { parts: made_from, nodes, output } = options;
    let parts::Options { spec, locked, secrets, .. } = *made_from;
    let fail = |source| IsoError::Write(output.to_path_buf(), source);
    output::outside(output, &[("the secrets", secrets.folder()), ("the store", equipment.store.root())])?;
    create_folder(output, 0o755).and_then(|()| kit::hide_seeds(output, equipment.reporter)).map_err(fail)?;
    look_for_secrets(spec, secrets, equipment)?;
    // What is packed is needed only until it is in the seeds.
    let scratch = Staging::beside(&output.join("payload")).map_err(fail)?;
    let parts = parts::make(made_from, scratch.path(), None, equipment)?;
    let material = Material { spec, locked, parts: &parts };
    let outcome = step::<_, IsoError>(equipment.reporter, "write seeds", || {
        let planned = plan(&material, nodes.iter().copied(), secrets, equipment)?;
        let discs = write(planned, output, locked.epoch(), equipment)?;
        let summary = format!("{} discs", discs.len());
        Ok((Outcome { seeds: discs }, summary))
    })?;
    let seeds: Vec<PathBuf> = outcome.seeds.iter().map(|seed| seed.path.clone()).collect();
    output::warn_of_readable(&[(output, &seeds)], equipment.reporter);
    Ok(outcome)
}

/// What seeds are made of, beside secrets and templates.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The lock that fits it.
    pub locked: &'a Locked,
    /// Certificates, tarballs and bundles.
    pub parts: &'a Parts,
}

/// A disc as a tree of files.
#[derive(Debug)]
pub struct PlannedDisc {
    /// The name of its ISO.
    pub file_name: String,
    /// The label that it is found by.
    pub label: &'static str,
    /// Its files.
    pub tree: FileTree,
    /// What it is made from, for the bill of materials.
    pub made_from: Vec<String>,
}

/// A finished ISO.
#[derive(Debug, Serialize)]
pub struct WrittenDisc {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest and size.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// What it is made from.
    #[serde(skip)]
    pub made_from: Vec<String>,
}

/// Renders the seeds of `nodes`, and gathers the disc that they share if the spec wants one; nothing is written.
///
/// The shared disc comes last.
pub fn plan<'a>(
    material: &Material<'_>,
    nodes: impl IntoIterator<Item = &'a Node>,
    secrets: &Secrets,
    equipment: &Equipment<'_>,
) -> Result<Vec<PlannedDisc>, IsoError> {
    let templates = match &material.spec.templates {
        Some(folder) => Templates::with_overrides(folder)?,
        None => Templates::builtin(),
    };
    let secrets = ClusterSecrets::load_or_create(material, secrets, equipment)?;
    let release = payload::release_images(material, equipment);
    let mut discs = Vec::new();
    let mut shared = BTreeMap::new();
    for node in nodes {
        let payload = Payload::of(material, node, &release, equipment)?;
        let made_from = payload.destinations();
        shared.extend(payload.shared());
        let input = secrets.seed_of(material, node, payload)?;
        let tree = seed::build(&input, &templates)?;
        let file_name = kit::seed_file_name(node.name.as_str());
        discs.push(PlannedDisc { file_name, label: SEED_LABEL, tree, made_from });
    }
    if !shared.is_empty() {
        let made_from = shared.values().map(|(destination, _)| destination.clone()).collect();
        let contents = shared.into_iter().map(|(digest, (_, content))| (digest, content)).collect();
        let tree = seed::shared_disc(contents).map_err(IsoError::Shared)?;
        let file_name = kit::SHARED_PAYLOAD.to_owned();
        discs.push(PlannedDisc { file_name, label: SHARED_LABEL, tree, made_from });
    }
    Ok(discs)
}

/// Returns all secrets, as the checks of a finished kit look for them.
pub fn known_secrets(spec: &Spec, secrets: &Secrets) -> Result<Vec<KnownSecret>, IsoError> {
    setup::known(spec, secrets)
}

/// Returns the `registries.yaml` that the seeds hold, for nodes that were set up by other means.
pub fn registries_yaml(discs: &[PlannedDisc]) -> Option<&[u8]> {
    match discs.first()?.tree.get(REGISTRIES)? {
        Entry::File { content: Content::Bytes(bytes), .. } => Some(bytes),
        Entry::File { .. } | Entry::Directory { .. } | Entry::Symlink { .. } => None,
    }
}

/// Writes discs into `folder`, each under its name.
pub fn write(
    discs: Vec<PlannedDisc>,
    folder: &Path,
    epoch: Epoch,
    equipment: &Equipment<'_>,
) -> Result<Vec<WrittenDisc>, IsoError> {
    let plans: Vec<_> = discs
        .iter()
        .map(|disc| {
            let volume_id = disc.label.parse().expect("the labels are valid volume ids");
            iso9660::plan(&disc.tree, &iso9660::Options { volume_id, epoch })
                .map_err(|source| IsoError::Archive(disc.file_name.clone(), source))
        })
        .collect::<Result<_, _>>()?;
    let bytes = plans.iter().map(iso9660::Plan::size).sum();
    equipment.reporter.report(Event::Planned { bytes, items: discs.len() as u64 });
    let pairs: Vec<_> = discs.iter().zip(&plans).collect();
    let write = |(disc, plan): &(&PlannedDisc, &iso9660::Plan)| write_one(disc, plan, folder, equipment);
    parallel::map(&pairs, equipment.jobs, write).into_iter().collect()
}

fn write_one(
    disc: &PlannedDisc,
    plan: &iso9660::Plan,
    folder: &Path,
    equipment: &Equipment<'_>,
) -> Result<WrittenDisc, IsoError> {
    let PlannedDisc { file_name, made_from, .. } = disc;
    let path = folder.join(file_name);
    let write_error = |source| IsoError::Write(path.clone(), source);
    let mut output = HashingWriter::new(named_temporary(folder).map_err(write_error)?);
    plan.write(&mut output)
        .inspect_err(|error| equipment.store.evict_wrong(error))
        .map_err(|source| IsoError::Archive(file_name.clone(), source))?;
    let (temporary, digest, size) = output.finish();
    // It holds secrets.
    publish(temporary, &path, 0o600).map_err(write_error)?;
    equipment.reporter.report(Event::Advanced(size));
    equipment.reporter.report(Event::ItemFinished(path.display().to_string()));
    Ok(WrittenDisc { path, artifact: Artifact { digest, size }, made_from: made_from.clone() })
}
