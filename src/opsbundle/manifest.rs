//! `manifest.json`: what is in a bundle and why, for people and programs.

use serde::{Deserialize, Serialize};

use super::{BundleInput, BundledPackage, names};
use crate::digest::Digest;
use crate::epoch::Epoch;

/// The version of the shape.
const VERSION: u32 = 1;

/// Everything that a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this shape.
    pub version: u32,
    /// The code name of the release it is for.
    pub suite: String,
    /// The architecture it is for.
    pub architecture: String,
    /// The date of the repository.
    pub epoch: Epoch,
    /// What was requested, sorted.
    pub requested: Vec<String>,
    /// All packages, sorted by name.
    pub packages: Vec<ManifestPackage>,
}

/// One package of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestPackage {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch if it has one.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its place in the bundle.
    pub file: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of the `.deb`.
    pub sha256: Digest,
    /// Why it is in the bundle.
    pub why: String,
}

impl Manifest {
    /// Describes packages that are sorted already.
    pub(super) fn of<'a>(
        input: &BundleInput<'_>,
        packages: impl Iterator<Item = &'a BundledPackage>,
    ) -> Self {
        Self {
            version: VERSION,
            suite: input.suite.to_owned(),
            architecture: input.architecture.to_owned(),
            epoch: input.epoch,
            requested: input.requested.iter().cloned().collect(),
            packages: packages.map(ManifestPackage::of).collect(),
        }
    }

    /// Writes it as it lies in the bundle.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a manifest has string keys and finite numbers only") + "\n"
    }
}

impl ManifestPackage {
    fn of(package: &BundledPackage) -> Self {
        let BundledPackage { name, version, architecture, stanza: _, content, sha256, why } = package;
        Self {
            name: name.clone(),
            version: version.clone(),
            architecture: architecture.clone(),
            file: names::pool_path(package),
            size: content.size(),
            sha256: *sha256,
            why: why.clone(),
        }
    }
}
