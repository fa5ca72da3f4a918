//! What a kit says of itself: `kit.json`, as far as checks need it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::Deserialize;

use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::spec::Allowance;

/// The version of the bill that is known here.
const VERSION: u64 = 1;

/// A bill of materials; what is not known is passed over.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// The cluster's name.
    pub name: String,
    /// The time that everything in the kit carries, in seconds since 1970.
    pub epoch: i64,
    /// The release of k3s.
    pub k3s: String,
    /// The registry as the nodes reach it.
    pub registry: String,
    /// What made it.
    #[serde(default)]
    pub(in crate::check) made_by: String,
    #[serde(default)]
    pub(in crate::check) platforms: Vec<String>,
    pub(in crate::check) nodes: Vec<BillNode>,
    #[serde(default)]
    pub(in crate::check) files: Vec<BillFile>,
    #[serde(default)]
    pub(in crate::check) images: Vec<BillImage>,
    #[serde(default)]
    pub(in crate::check) artifacts: BTreeMap<String, Artifact>,
    /// The findings that the spec accepts.
    #[serde(default)]
    pub allow: Vec<Allowance>,
}

/// One node of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::check) struct BillNode {
    pub(in crate::check) name: String,
    pub(in crate::check) role: String,
    /// With its prefix.
    pub(in crate::check) address: String,
    /// The path of its disc.
    pub(in crate::check) seed: String,
    /// Such as `linux/amd64`; bills of before do not say it.
    pub(in crate::check) platform: Option<String>,
}

/// A file that the spec names.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::check) struct BillFile {
    /// What it is for; a file for the nodes is `file ` and its path there.
    pub(in crate::check) role: String,
}

/// An image of a bill.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::check) struct BillImage {
    pub(in crate::check) reference: String,
    /// The digest of its root.
    pub(in crate::check) digest: Option<Digest>,
    /// The bytes of all that the kit has of it.
    pub(in crate::check) total_size: Option<u64>,
    /// The image of each platform.
    #[serde(default)]
    pub(in crate::check) platforms: BTreeMap<String, Digest>,
    /// Its name in the registry, where that is another one.
    pub(in crate::check) destination: Option<String>,
}

/// Says why a bill cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBill {
    /// It is not JSON, or not of this shape.
    #[error("it is malformed")]
    Malformed(#[from] serde_json::Error),
    /// It has another version, or none.
    #[error("it does not have version {VERSION}")]
    Version,
}

impl FromStr for Bill {
    type Err = InvalidBill;

    fn from_str(text: &str) -> Result<Self, InvalidBill> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        if value.get("version").and_then(serde_json::Value::as_u64) != Some(VERSION) {
            return Err(InvalidBill::Version);
        }
        Ok(serde_json::from_value(value)?)
    }
}

impl Bill {
    /// Returns the bill of what has none.
    pub(super) fn nothing() -> Self {
        Self {
            name: String::new(),
            epoch: 0,
            k3s: String::new(),
            registry: String::new(),
            made_by: String::new(),
            platforms: Vec::new(),
            nodes: Vec::new(),
            files: Vec::new(),
            images: Vec::new(),
            artifacts: BTreeMap::new(),
            allow: Vec::new(),
        }
    }

    /// Returns the digests of all artifacts.
    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        self.artifacts.values().map(|artifact| artifact.digest).collect()
    }

    /// Returns whether a file on the nodes is one that the spec brings along, and not one that was made.
    pub(in crate::check) fn is_users_own(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.role.strip_prefix("file ") == Some(path))
    }

    /// Returns the minor version of Kubernetes, such as 35 for `v1.35.0+k3s1`.
    pub(in crate::check) fn kubernetes_minor(&self) -> Option<u32> {
        self.k3s.strip_prefix("v1.")?.split('.').next()?.parse().ok()
    }
}
