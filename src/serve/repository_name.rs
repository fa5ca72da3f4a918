//! What a repository is called.

use std::fmt;

use crate::oci::Reference;

/// A repository: of the registry that its images come from, or of this registry's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RepositoryName {
    /// The path, such as `rancher/mirrored-pause`.
    pub(super) path: String,
    /// The registry, such as `docker.io`; `None` for names that were chosen for this registry.
    pub(super) registry: Option<String>,
}

impl RepositoryName {
    /// Returns the repository that a reference names.
    pub(super) fn of(reference: &Reference) -> Self {
        let registry = Some(reference.registry().to_owned());
        Self { path: reference.repository().to_owned(), registry }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registry.iter().try_for_each(|registry| write!(formatter, "{registry}/"))?;
        formatter.write_str(&self.path)
    }
}
