//! The finished folder: what its parts are called, its bill of materials, how its seeds are handed on.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::Serialize;

use crate::artifact::{Artifact, ArtifactList};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::fetch::Equipment;
use crate::lockfile::{LockedAttachment, LockedFile, LockedImage, Lockfile};
use crate::parallel;
use crate::spec::{Allowance, Node, Role, Spec};
use crate::verify::SUMS;

/// The folder of the image layout.
pub const IMAGES: &str = "images";
/// The folder of the registry's certificates and configuration.
pub const REGISTRY: &str = "registry";
/// The folder of the seed ISOs.
pub const SEEDS: &str = "seeds";
/// The file name of the disc that all nodes share, beside their seeds.
pub const SHARED_PAYLOAD: &str = "payload.iso";
/// What git passes over in a folder that seeds are written to, where other things may be, too: they hold secrets.
pub const SEED_PATTERNS: &str = "/.gitignore\n/seed-*.iso\n/payload.iso\n";
/// The bill of materials.
pub const BILL: &str = "kit.json";
/// The version of the bill's shape.
pub const BILL_VERSION: u32 = 1;

/// What each artifact was made from, by its path in the kit.
pub type Origins = BTreeMap<String, Vec<String>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill<'a> {
    version: u32,
    name: String,
    made_by: &'static str,
    epoch: u64,
    k3s: &'a str,
    registry: String,
    platforms: Vec<String>,
    nodes: Vec<BillNode>,
    #[serde(skip_serializing_if = "<[Allowance]>::is_empty")]
    allow: &'a [Allowance],
    files: Vec<BillFile<'a>>,
    images: Vec<BillImage<'a>>,
    artifacts: BTreeMap<&'a str, BillArtifact<'a>>,
}

#[derive(Serialize)]
struct BillNode {
    name: String,
    role: &'static str,
    platform: String,
    address: String,
    seed: String,
}

#[derive(Serialize)]
struct BillFile<'a> {
    role: String,
    source: &'a str,
    digest: &'a Digest,
    size: u64,
}

impl<'a> BillFile<'a> {
    fn of(LockedFile { role, source, sha256, size }: &'a LockedFile) -> Self {
        Self { role: role.to_string(), source, digest: sha256, size: *size }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BillImage<'a> {
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<&'a str>,
    media_type: &'a str,
    digest: &'a Digest,
    total_size: u64,
    platforms: BTreeMap<String, &'a Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attached: Vec<BillAttachment<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BillAttachment<'a> {
    subject: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    media_type: &'a str,
    digest: &'a Digest,
}

impl<'a> BillAttachment<'a> {
    fn of(attachment: &'a LockedAttachment) -> Self {
        let LockedAttachment { subject, tag, digest, media_type, size: _ } = attachment;
        Self { subject, tag: tag.as_deref(), media_type, digest }
    }
}

impl<'a> BillImage<'a> {
    fn of(image: &'a LockedImage) -> Self {
        let LockedImage {
            reference,
            destination,
            media_type,
            digest,
            size: _,
            total_size,
            manifests: _,
            platforms,
            attached,
        } = image;
        Self {
            reference: reference.to_string(),
            destination: destination.as_deref(),
            media_type,
            digest,
            total_size: *total_size,
            platforms: platforms.iter().map(|(platform, digest)| (platform.to_string(), digest)).collect(),
            attached: attached.iter().map(BillAttachment::of).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BillArtifact<'a> {
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    made_from: &'a [String],
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Agent => "agent",
    }
}

/// Returns the path of a node's seed within a kit.
pub fn seed_path(node: &str) -> String {
    format!("{SEEDS}/{}", seed_file_name(node))
}

/// Returns the file name of a node's seed.
pub fn seed_file_name(node: &str) -> String {
    format!("seed-{node}.iso")
}

/// Returns the bill of materials as JSON. Blobs of the layout are not listed: the images name them.
pub fn bill(spec: &Spec, lockfile: &Lockfile, artifacts: &ArtifactList, origins: &Origins) -> Vec<u8> {
    let node = |node: &Node| BillNode {
        name: node.name.to_string(),
        role: role_name(node.role),
        platform: node.platform.to_string(),
        address: node.address.to_string(),
        seed: seed_path(node.name.as_str()),
    };
    let artifacts = without_blobs(artifacts.clone());
    let listed = artifacts.iter().map(|(path, Artifact { digest, size })| {
        let made_from = origins.get(path).map(Vec::as_slice).unwrap_or_default();
        (path, BillArtifact { digest, size: *size, made_from })
    });
    let bill = Bill {
        version: BILL_VERSION,
        name: spec.name.to_string(),
        made_by: concat!("seedkit ", env!("CARGO_PKG_VERSION")),
        epoch: lockfile.epoch.seconds(),
        k3s: spec.k3s.version.as_str(),
        registry: spec.registry.address.to_string(),
        platforms: lockfile.platforms.iter().map(ToString::to_string).collect(),
        nodes: spec.nodes.iter().map(node).collect(),
        allow: &spec.allow,
        files: lockfile.files.iter().map(BillFile::of).collect(),
        images: lockfile.images.iter().map(BillImage::of).collect(),
        artifacts: listed.collect(),
    };
    let mut json = serde_json::to_vec_pretty(&bill).expect("strings and numbers always become JSON");
    json.push(b'\n');
    json
}

/// Lists everything in `folder`: digests in `known` and in the names of blobs are taken, the rest is hashed.
pub fn list(folder: &Path, known: &ArtifactList, equipment: &Equipment<'_>) -> std::io::Result<ArtifactList> {
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.map_err(std::io::Error::from)?;
        let relative = entry.path().strip_prefix(folder).expect("the walk stays below its root");
        if entry.file_type().is_file() && relative != Path::new(SUMS) {
            paths.push((relative.to_string_lossy().into_owned(), entry.metadata()?.len()));
        }
    }
    let results = parallel::map(&paths, equipment.jobs, |(path, size)| {
        if let Some(artifact) = known.get(path) {
            return Ok((path.clone(), artifact.clone()));
        }
        let digest = match blob_digest(path) {
            Some(digest) => digest,
            None => Hasher::sha256_of(&mut fs::File::open(folder.join(path))?.into_parts().0)?.0,
        };
        Ok((path.clone(), Artifact { digest, size: *size }))
    });
    let mut list = ArtifactList::default();
    for result in results {
        let (path, artifact) = result.map_err(|error: std::io::Error| error)?;
        list.insert(path, artifact);
    }
    Ok(list)
}

/// Leaves out the blobs of the layout, which are many and named by the images.
pub fn without_blobs(all: ArtifactList) -> ArtifactList {
    let mut few = ArtifactList::default();
    for (path, artifact) in all.iter().filter(|(path, _)| !path.starts_with("images/blobs/")) {
        few.insert(path, artifact.clone());
    }
    few
}

/// Returns the digest that a blob's path states, if it is one that `SHA256SUMS` can hold.
pub fn blob_digest(path: &str) -> Option<Digest> {
    let hex = path.strip_prefix("images/blobs/sha256/")?;
    let digest: Digest = format!("sha256:{hex}").parse().ok()?;
    (digest.algorithm() == Algorithm::Sha256).then_some(digest)
}
