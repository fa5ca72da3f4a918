//! The finished folder: what its parts are called, its bill of materials, how its seeds are handed on.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;

use crate::artifact::{Artifact, ArtifactList, SUMS};
use crate::bill::{self, Bill};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::fetch::Equipment;
use crate::fs::hide_from_git;
use crate::lockfile::Lockfile;
use crate::parallel;
use crate::progress::Reporter;
use crate::spec::{Node, Spec};

/// The folder of the image layout.
pub const IMAGES: &str = "images";
/// The folder of the registry's certificates and configuration.
pub const REGISTRY: &str = "registry";
/// The folder of the seed ISOs.
pub const SEEDS: &str = "seeds";
/// The file name of the disc that all nodes share, beside their seeds.
pub const SHARED_PAYLOAD: &str = "payload.iso";
/// What git passes over in a folder that seeds are written to, where other things may be, too: they hold secrets.
const SEED_PATTERNS: &str = "/.gitignore\n/seed-*.iso\n/payload.iso\n";

/// Makes git pass over seeds in a folder where other things may be, too; warns where somebody else says otherwise.
pub fn hide_seeds(folder: &Path, reporter: &dyn Reporter) -> std::io::Result<()> {
    if !hide_from_git(folder, SEED_PATTERNS)? {
        reporter.warn(format!(
            "`{}` has a .gitignore that does not name the seeds, which hold secrets: add `seed-*.iso` and `payload.iso`",
            folder.display()
        ));
    }
    Ok(())
}

/// What each artifact was made from, by its path in the kit.
pub type Origins = BTreeMap<String, Vec<String>>;

/// Returns the path of a node's seed within a kit.
pub fn seed_path(node: &str) -> String {
    format!("{SEEDS}/{}", seed_file_name(node))
}

/// Returns the file name of a node's seed.
pub fn seed_file_name(node: &str) -> String {
    format!("seed-{node}.iso")
}

/// Returns the bill of materials. Blobs of the layout are not listed: the images name them.
pub fn bill(spec: &Spec, lockfile: &Lockfile, artifacts: &ArtifactList, origins: &Origins) -> Bill {
    let node = |node: &Node| bill::Node {
        name: node.name.to_string(),
        role: node.role,
        platform: node.platform.clone(),
        address: node.address,
        seed: seed_path(node.name.as_str()),
    };
    let artifacts = without_blobs(artifacts.clone());
    let artifact = |(path, artifact): (&str, &Artifact)| {
        let Artifact { digest, size } = *artifact;
        let made_from = origins.get(path).cloned().unwrap_or_default();
        (path.to_owned(), bill::Artifact { digest, size, made_from })
    };
    Bill {
        name: spec.name.to_string(),
        made_by: concat!("seedkit ", env!("CARGO_PKG_VERSION")).to_owned(),
        epoch: lockfile.epoch,
        k3s: spec.k3s.version.as_str().to_owned(),
        registry: spec.registry.address.clone(),
        platforms: lockfile.platforms.clone(),
        nodes: spec.nodes.iter().map(node).collect(),
        allow: spec.allow.clone(),
        files: lockfile.files.iter().cloned().map(Into::into).collect(),
        images: lockfile.images.iter().cloned().map(Into::into).collect(),
        artifacts: artifacts.iter().map(artifact).collect(),
    }
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
