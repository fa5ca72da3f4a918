//! Ops packages: what the spec asks for -> a closure of pinned packages -> one bundle per architecture.
//!
//! Resolving reads signed indices and loose files; packing reads the lock, the pool and those files alone. A package that the pool no longer
//! has is named, never replaced by another version.

mod bundle;
mod indices;
mod loose;
mod resolve;
mod signing;

use std::path::{Path, PathBuf};

pub use bundle::{Options, PackedBundle, PinnedError, fetch, pack};
pub use indices::{Mirrors, SuiteError};
pub use loose::LooseError;
pub use resolve::{request, resolve};
pub use signing::{SigningError, signing_key};

use crate::deb::baseline::InvalidManifest;
use crate::deb::index::InvalidIndex;
use crate::deb::signature::InvalidKeyring;
use crate::fetch::failures::Failures;
use crate::fs::read_bounded;
use crate::oci::Platform;
use crate::opsbundle::BundleError;
use crate::packages::Unsolvable;
use crate::packages::request::InvalidRequest;
use crate::packages::universe::InvalidUniverse;
use crate::template::OverrideError;

/// The most bytes that a file of the user's may have which is not a package: a keyring, a status file, a manifest.
const TEXT_LIMIT: u64 = 256 << 20;

/// Why there are no packages.
///
/// What concerns one subject has a type of its own and says what there is to say; the layer here is not printed twice.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Some packages cannot be had; all others are in the store.
    #[error("not all packages can be fetched")]
    Several(#[source] Failures),
    /// A suite cannot be used.
    #[error("{0}")]
    Suite(#[from] SuiteError),
    /// A loose file cannot be used.
    #[error("{0}")]
    Loose(#[from] LooseError),
    /// A pinned package cannot be had.
    #[error("{0}")]
    Pinned(#[from] PinnedError),
    /// Nothing can be signed.
    #[error("{0}")]
    Signing(#[from] SigningError),
    /// A file of the user's cannot be read.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] std::io::Error),
    /// The keyring holds no certificates that can be used.
    #[error("the keyring `{0}` cannot be used")]
    Keyring(PathBuf, #[source] InvalidKeyring),
    /// The index of a suite or a status file is malformed.
    #[error("`{0}` is malformed")]
    Malformed(String, #[source] InvalidIndex),
    /// A manifest is malformed.
    #[error("`{0}` is not a manifest of a cloud image")]
    Manifest(PathBuf, #[source] InvalidManifest),
    /// Suites contradict each other.
    #[error("the suites do not go together")]
    Universe(#[source] InvalidUniverse),
    /// A requested name is malformed.
    #[error("a requested package cannot be understood")]
    Request(#[source] InvalidRequest),
    /// There is no closure for an architecture.
    #[error("the packages for {0} cannot be chosen")]
    Unsolvable(String, #[source] Unsolvable),
    /// The platform has no Debian architecture.
    #[error("Debian has no architecture for `{0}`")]
    NoArchitecture(Platform),
    /// The user's templates cannot be used.
    #[error("cannot use the folder of templates")]
    Templates(#[source] OverrideError),
    /// The bundle for an architecture cannot be planned or written.
    #[error("cannot pack the bundle for {0}")]
    Bundle(String, #[source] BundleError),
    /// The file system refused to write into a folder.
    #[error("cannot write the bundle into `{0}`")]
    Write(PathBuf, #[source] std::io::Error),
}

/// Reads a file of the user's whole.
fn read(path: &Path) -> Result<Vec<u8>, PackagesError> {
    read_bounded(path, TEXT_LIMIT).map_err(|source| PackagesError::Read(path.to_owned(), source))
}
