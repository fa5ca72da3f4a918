//! Finished files of a kit and the list that names them all.
//!
//! The list is written twice: as `SHA256SUMS`, which `sha256sum -c` checks without seedkit, and as part of
//! `kit.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The name of a list in the folder whose files it lists: a kit, a payload or a bundle of packages.
pub const SUMS: &str = "SHA256SUMS";

/// One finished file: its place in the kit is the key it has in an [`ArtifactList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Artifacts by their path relative to the kit, `/` between components.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactList {
    artifacts: BTreeMap<String, Artifact>,
}

/// One thing that is not what the artifact itself says it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Finding {
    /// The content differs from what a list says.
    #[error("`{path}` has other content: {actual}, listed {expected}")]
    Bad {
        /// Path within the artifact.
        path: String,
        /// The digest listed.
        expected: Digest,
        /// The digest found.
        actual: Digest,
    },
    /// It should be there and is not.
    #[error("`{path}` is missing")]
    Missing {
        /// Path within the artifact.
        path: String,
    },
    /// It is there and not listed.
    #[error("`{path}` is not listed in {SUMS}")]
    Extra {
        /// Path within the artifact.
        path: String,
    },
    /// It cannot be used, or says something else than the rest.
    #[error("`{path}`: {reason}")]
    Wrong {
        /// Path within the artifact.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl Finding {
    /// Returns that something cannot be used, or contradicts the rest.
    pub fn wrong(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Wrong { path: path.into(), reason: reason.into() }
    }
}

/// Says why a `SHA256SUMS` file cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} of SHA256SUMS is not `<64 hex digits>  <path>`: `{text}`")]
pub struct InvalidSums {
    line: usize,
    text: String,
}

/// Returns the line of [`SUMS`] for one file, as `sha256sum` reads it.
pub fn sums_line(path: &str, digest: &Digest) -> String {
    format!("{}  {path}\n", digest.hex())
}

impl ArtifactList {
    /// Adds or replaces an artifact.
    pub fn insert(&mut self, path: impl Into<String>, artifact: Artifact) {
        self.artifacts.insert(path.into(), artifact);
    }

    /// Returns all artifacts, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Artifact)> {
        self.artifacts.iter().map(|(path, artifact)| (path.as_str(), artifact))
    }

    /// Returns the artifact at `path`.
    pub fn get(&self, path: &str) -> Option<&Artifact> {
        self.artifacts.get(path)
    }

    /// Returns how many artifacts there are.
    pub fn len(&self) -> usize {
        self.artifacts.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.artifacts.is_empty()
    }

    /// Writes the list as `sha256sum` reads it: sorted, two spaces, `./` never.
    pub fn to_sums(&self) -> String {
        self.iter().map(|(path, artifact)| sums_line(path, &artifact.digest)).collect()
    }

    /// Reads what [`ArtifactList::to_sums`] wrote; the file does not say sizes.
    pub fn parse_sums(text: &str) -> Result<BTreeMap<String, Digest>, InvalidSums> {
        let mut sums = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let invalid = || InvalidSums { line: index + 1, text: line.chars().take(200).collect() };
            let (hex, path) = line.split_once("  ").ok_or_else(invalid)?;
            let digest = format!("sha256:{hex}").parse().map_err(|_| invalid())?;
            if path.is_empty() || sums.insert(path.to_owned(), digest).is_some() {
                return Err(invalid());
            }
        }
        Ok(sums)
    }
}
