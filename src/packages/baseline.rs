//! What the machine has already.

use crate::deb::baseline::ManifestEntry;
use crate::deb::index::{PackageStanza, Priority};

/// What the machine has already, and how that is known.
#[derive(Debug, Clone)]
pub enum Baseline<'text> {
    /// Nothing is known: everything is shipped, so that it installs on any base.
    None,
    /// The installed packages of dpkg's status file, which is exact.
    Status(Vec<PackageStanza<'text>>),
    /// The manifest of a cloud image: names and versions alone.
    Manifest(Vec<ManifestEntry<'text>>),
    /// What debootstrap would install: essential packages, those of this priority or a higher one, and what
    /// they need.
    Priority(Priority),
}
