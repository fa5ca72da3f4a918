//! Ops packages: what the spec asks for -> a closure of pinned packages -> one bundle per architecture.
//!
//! Resolving reads signed indices and loose files; packing reads the lock, the pool and those files alone. A package that the pool no longer
//! has is named, never replaced by another version.

mod bundle;
mod indices;
mod loose;
mod resolve;
mod signing;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use bundle::{Options, PackedBundle, fetch, pack};
pub use resolve::{request, resolve};
pub use signing::signing_key;

use crate::deb::archive::InvalidPackage;
use crate::deb::index::InvalidIndex;
use crate::deb::release::{InvalidRelease, MissingIndex, WrongIndex};
use crate::deb::signature::{CannotSign, InvalidKeyring, InvalidSignedText, InvalidSigningKey};
use crate::epoch::Epoch;
use crate::fs::open_regular;
use crate::oci::SourceError;
use crate::opsbundle::BundleError;
use crate::packages::Unsolvable;
use crate::packages::request::InvalidRequest;
use crate::packages::universe::InvalidUniverse;
use crate::secrets::SecretsError;
use crate::store::StoreError;
use crate::template::OverrideError;

/// The most bytes that a file of the user's may have which is no package: a keyring, a status file, a manifest.
const TEXT_LIMIT: u64 = 256 << 20;

/// Why there are no packages.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Some packages cannot be had; all others are in the store.
    #[error("not all packages can be fetched")]
    Several(#[source] crate::fetch::failures::Failures),
    /// A file of the user's cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// The keyring holds no certificates that can be used.
    #[error("the keyring `{}` cannot be used", .path.display())]
    Keyring {
        /// The keyring.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidKeyring,
    },
    /// The secrets cannot be used.
    #[error("cannot use the secrets")]
    Secrets(#[source] SecretsError),
    /// The key that is to sign is not there.
    #[error("there is no `{}`, which `packages.sign` names", .path.display())]
    NoSigningKey {
        /// The file.
        path: PathBuf,
    },
    /// The key that is to sign is none.
    #[error("cannot sign with `{}`", .path.display())]
    SigningKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidSigningKey,
    },
    /// The key's signatures would not count.
    #[error("cannot sign with `{}`", .path.display())]
    CannotSign {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CannotSign,
    },
    /// A suite cannot be fetched from any of its URLs.
    #[error("cannot fetch `{what}` of suite `{suite}`")]
    Fetch {
        /// The suite.
        suite: String,
        /// The file.
        what: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// A suite's release is not signed by a key of the keyring.
    #[error("the release of suite `{suite}` cannot be trusted")]
    Signature {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: InvalidSignedText,
    },
    /// A suite's release is malformed.
    #[error("the release of suite `{suite}` is malformed")]
    Release {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: InvalidRelease,
    },
    /// The mirror serves another suite under this one's name.
    #[error("`{suite}` is served as suite `{found}`")]
    OtherSuite {
        /// The suite that was asked for.
        suite: String,
        /// What its release says.
        found: String,
    },
    /// The release is older than it may be.
    #[error("the release of suite `{suite}` was valid until {until}; the mirror is not kept up")]
    Expired {
        /// The suite.
        suite: String,
        /// The end of its validity.
        until: Epoch,
    },
    /// The mirror serves an older release than the lock has seen.
    #[error("the release of suite `{suite}` is of {found}, older than the locked one of {locked}")]
    RolledBack {
        /// The suite.
        suite: String,
        /// The release's date.
        found: Epoch,
        /// The date of the release that is locked.
        locked: Epoch,
    },
    /// The suite lacks a component or architecture.
    #[error("suite `{suite}` lacks an index")]
    NoIndex {
        /// The suite.
        suite: String,
        /// Which.
        #[source]
        source: MissingIndex,
    },
    /// An index is not what the release says.
    #[error("an index of suite `{suite}` is not what its release says")]
    WrongIndex {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: WrongIndex,
    },
    /// An index or status file is malformed.
    #[error("`{what}` is malformed")]
    Malformed {
        /// The suite or file.
        what: String,
        /// Why.
        #[source]
        source: InvalidIndex,
    },
    /// A manifest is malformed.
    #[error("`{}` is no manifest of a cloud image", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::deb::baseline::InvalidManifest,
    },
    /// Suites contradict each other.
    #[error("the suites do not go together")]
    Universe(#[source] InvalidUniverse),
    /// A requested name is malformed.
    #[error("a requested package cannot be understood")]
    Request(#[source] InvalidRequest),
    /// There is no closure.
    #[error("the packages for {architecture} cannot be chosen")]
    Unsolvable {
        /// The architecture.
        architecture: String,
        /// Why.
        #[source]
        source: Unsolvable,
    },
    /// The platform has no Debian architecture.
    #[error("Debian has no architecture for `{0}`")]
    NoArchitecture(crate::oci::Platform),
    /// A loose file is no package.
    #[error("loose file `{path}` is no package that can be used")]
    Loose {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: InvalidPackage,
    },
    /// A loose file is for machines that the spec does not have.
    #[error("loose file `{path}` is for {architecture}; the platforms are {wanted}")]
    LooseArchitecture {
        /// The file.
        path: String,
        /// Its architecture.
        architecture: String,
        /// Those of the platforms.
        wanted: String,
    },
    /// Two loose files are the same package.
    #[error("loose files `{first}` and `{second}` are both package `{name}`")]
    LooseTwice {
        /// The package.
        name: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// A version is requested that the loose file does not have.
    #[error("`{request}` is requested, and loose file `{path}` is version {version} of it")]
    LooseVersion {
        /// The request.
        request: String,
        /// The file.
        path: String,
        /// Its version.
        version: String,
    },
    /// A pinned loose file is gone.
    #[error("loose file `{path}` is locked, and neither there nor in the store")]
    LooseGone {
        /// The file.
        path: String,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// A pinned package cannot be had any more.
    #[error("package `{name}` {version} cannot be fetched from any mirror")]
    Gone {
        /// The package.
        name: String,
        /// Its version.
        version: String,
        /// Why no mirror gives it.
        #[source]
        source: SourceError,
    },
    /// A package has the locked digest, and no node could unpack it.
    #[error("package `{name}` {version} cannot be used")]
    Unusable {
        /// The package.
        name: String,
        /// Its version.
        version: String,
        /// Why.
        #[source]
        source: InvalidPackage,
    },
    /// A package has the locked digest, and is not what its index says.
    #[error("the file of package `{expected}` is package `{found}`")]
    OtherPackage {
        /// Name, version and architecture, as the lock has them.
        expected: String,
        /// Those of the file.
        found: String,
    },
    /// A package is not what the lock says, or cannot be kept.
    #[error("package `{name}` cannot be stored")]
    Store {
        /// The package.
        name: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The user's templates cannot be used.
    #[error("cannot use the folder of templates")]
    Templates(#[source] OverrideError),
    /// The bundle cannot be planned or written.
    #[error("cannot pack the bundle for {architecture}")]
    Bundle {
        /// The architecture.
        architecture: String,
        /// Why.
        #[source]
        source: BundleError,
    },
    /// The file system refused.
    #[error("cannot write the bundle into `{}`", .folder.display())]
    Write {
        /// The folder.
        folder: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
}

/// Reads a file of the user's whole.
fn read(path: &Path) -> Result<Vec<u8>, PackagesError> {
    let fail = |source| PackagesError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(fail)?;
    file.take(TEXT_LIMIT + 1).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 > TEXT_LIMIT {
        true => Err(fail(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it has more than 256 MiB"))),
        false => Ok(bytes),
    }
}
