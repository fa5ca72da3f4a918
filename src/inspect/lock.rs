//! A lock, as a table of what it pins.

use serde::Serialize;

use super::masked::without_credentials;
use crate::bill;
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::lockfile::{LockedFile, LockedPackage, LockedPackages, Lockfile, LockfileError};
use crate::oci::Platform;

/// What a lock pins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// The time that everything built from it carries.
    pub epoch: Epoch,
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// Whether what is attached to the images is locked with them.
    pub signatures: bool,
    /// The bytes of all images, layers that they share counted once.
    pub image_size: u64,
    /// The images.
    pub images: Vec<bill::Image>,
    /// The files.
    pub files: Vec<bill::File>,
    /// The ops packages, if there are any.
    pub packages: Option<PinnedPackages>,
}

/// The ops packages of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinnedPackages {
    /// The code name of the nodes' release.
    pub suite: String,
    /// What was requested.
    pub names: Vec<String>,
    /// How many packages there are.
    pub count: usize,
    /// How many bytes they have together.
    pub bytes: u64,
    /// The packages.
    pub packages: Vec<PinnedPackage>,
}

/// One package of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinnedPackage {
    /// The architecture of the nodes that it is for.
    pub target: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Why it is there.
    pub why: String,
}

/// Returns whether a text means to be a lock; other programs have locks too.
pub(super) fn is_lock(text: &str) -> bool {
    ["version = ", "image-size = "].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
}

/// Reads a lock.
pub(super) fn read(text: &str) -> Result<Lock, LockfileError> {
    let Lockfile { epoch, platforms, signatures, image_size, files, images, packages } = text.parse()?;
    Ok(Lock {
        epoch,
        platforms,
        signatures,
        image_size,
        images: images.into_iter().map(Into::into).collect(),
        files: files.into_iter().map(file).collect(),
        packages: packages.map(self::packages),
    })
}

fn file(file: LockedFile) -> bill::File {
    let source = without_credentials(&file.source);
    LockedFile { source, ..file }.into()
}

fn packages(packages: LockedPackages) -> PinnedPackages {
    let LockedPackages { request, indices: _, packages } = packages;
    PinnedPackages {
        suite: request.suite,
        names: request.names,
        count: packages.len(),
        bytes: packages.iter().map(|package| package.size).fold(0, u64::saturating_add),
        packages: packages.into_iter().map(package).collect(),
    }
}

fn package(package: LockedPackage) -> PinnedPackage {
    let LockedPackage { target, name, version, architecture, size, sha256, why, .. } = package;
    PinnedPackage { target, name, version, architecture, size, sha256, why }
}
