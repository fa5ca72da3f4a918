//! A finished kit: what its bill of materials says, and whether its artifacts are there.
//!
//! Only names and lengths are compared: `seedkit verify` reads every byte.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::tree::TreePath;

/// The bill of materials, by which a kit is known.
pub(super) const BILL: &str = "kit.json";
/// The list of everything, which a kit has beside it.
const SUMS: &str = "SHA256SUMS";
/// The version of the bill that is known here.
const BILL_VERSION: u64 = 1;

/// What a kit says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kit {
    /// The cluster's name.
    pub name: String,
    /// What made it.
    pub made_by: String,
    /// The time that everything in it carries.
    pub epoch: Epoch,
    /// The release of k3s.
    pub k3s: String,
    /// The registry as the nodes reach it.
    pub registry: String,
    /// The platforms.
    pub platforms: Vec<String>,
    /// The nodes.
    pub nodes: Vec<KitNode>,
    /// The images.
    pub images: Vec<KitImage>,
    /// The artifacts by their path.
    pub artifacts: BTreeMap<String, KitArtifact>,
}

/// One node of a kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitNode {
    /// Its name.
    pub name: String,
    /// Whether it is a server or an agent.
    pub role: String,
    /// Its address.
    pub address: String,
    /// Its platform; empty in a kit of an older seedkit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// The path of its ISO.
    pub seed: String,
}

/// One image of a kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KitImage {
    /// The image as listed.
    pub reference: String,
    /// The root manifest.
    pub digest: Digest,
    /// The bytes of all that the kit has of it.
    pub total_size: u64,
}

/// One artifact of a kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitArtifact {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Says why a bill of materials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBill {
    /// It is not JSON, or not of this shape.
    #[error("it is malformed")]
    Malformed(#[from] serde_json::Error),
    /// It has another version, or none.
    #[error("it does not have version {BILL_VERSION}, the one that this seedkit knows")]
    Version,
}

/// Reads the bill of the kit in `folder`, and looks whether everything on it is there.
pub(super) fn read(folder: &Path, bill: &str) -> Result<(Kit, Vec<Finding>), InvalidBill> {
    let value: serde_json::Value = serde_json::from_str(bill)?;
    if value.get("version").and_then(serde_json::Value::as_u64) != Some(BILL_VERSION) {
        return Err(InvalidBill::Version);
    }
    let kit: Kit = serde_json::from_value(value)?;
    let artifacts =
        kit.artifacts.iter().filter_map(|(path, artifact)| judge(folder, path, Some(artifact.size)));
    let mut findings: Vec<Finding> = artifacts.chain(judge(folder, SUMS, None)).collect();
    let seeds = kit.nodes.iter().filter(|node| !kit.artifacts.contains_key(&node.seed));
    findings.extend(seeds.map(|node| {
        let reason = format!("`{}`, the seed of node `{}`, is not among its artifacts", node.seed, node.name);
        Finding::wrong(BILL, reason)
    }));
    findings.sort();
    Ok((kit, findings))
}

/// Says what is wrong with a file that should be there, with that length.
fn judge(folder: &Path, path: &str, size: Option<u64>) -> Option<Finding> {
    // A bill may name what it likes; nothing outside of the kit is looked at.
    if let Err(error) = path.parse::<TreePath>() {
        return Some(Finding::wrong(path, error.to_string()));
    }
    match fs::symlink_metadata(folder.join(path)) {
        Ok(metadata) if !metadata.is_file() => Some(Finding::wrong(path, "it is not a regular file")),
        Ok(metadata) => size
            .filter(|size| *size != metadata.len())
            .map(|size| Finding::wrong(path, format!("it has {} bytes, not {size}", metadata.len()))),
        Err(_) => Some(Finding::Missing { path: path.to_owned() }),
    }
}
