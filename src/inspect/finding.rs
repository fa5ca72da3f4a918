//! What is wrong with an artifact that can be read all the same.

use serde::Serialize;

use crate::digest::Digest;

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
    #[error("`{path}` is not listed")]
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
    pub(super) fn wrong(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Wrong { path: path.into(), reason: reason.into() }
    }
}
