//! Loose `.deb` files of the user's: as hostile as anything from a network, and pinned by their digests.

use std::io::{self, Read};
use std::path::Path;

use super::PackagesError;
use crate::deb::archive::{self, InvalidPackage, LARGEST_UNPACKED, Package};
use crate::deb::index::{PackageStanza, PoolFile};
use crate::digest::{Algorithm, Digest, Hasher, HashingReader};
use crate::fetch::Equipment;
use crate::fs::open_regular;
use crate::lockfile::LooseFile;
use crate::packages::{Origin, Suite};
use crate::progress::Event;
use crate::spec::{Packages, Spec};

/// The most bytes of a file that are read: its two archives have at most ten digits of bytes each.
const LARGEST: u64 = 20_000_000_000;

/// Above the pin of any suite: where a suite has another version of the package, the file is meant.
const PRIORITY: u32 = 1001;

/// Why a loose file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LooseError {
    /// It is not a package.
    #[error("loose file `{0}` is not a package that can be used")]
    Package(String, #[source] InvalidPackage),
    /// It is for machines that the spec does not have.
    #[error("loose file `{path}` is for {architecture}; the platforms are {wanted}")]
    Architecture {
        /// The file.
        path: String,
        /// Its architecture.
        architecture: String,
        /// Those of the platforms.
        wanted: String,
    },
    /// Two are the same package.
    #[error("loose files `{first}` and `{second}` are both package `{name}`")]
    Twice {
        /// The package.
        name: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// A version is requested that it does not have.
    #[error("`{request}` is requested, and loose file `{path}` is version {version} of it")]
    Version {
        /// The request.
        request: String,
        /// The file.
        path: String,
        /// Its version.
        version: String,
    },
    /// It is pinned and gone.
    #[error("loose file `{0}` is locked, and neither there nor in the store")]
    Gone(String, #[source] io::Error),
}

/// A loose file that is a package.
#[derive(Debug)]
pub(super) struct Loose {
    /// What the lock compares.
    pub(super) file: LooseFile,
    digest: Digest,
    size: u64,
    package: Package,
}

impl Loose {
    /// Returns what the package says of itself.
    pub(super) fn stanza(&self) -> Result<PackageStanza<'_>, LooseError> {
        let mut stanza =
            self.package.stanza().map_err(|source| LooseError::Package(self.file.path.clone(), source))?;
        stanza.file = Some(PoolFile { path: &self.file.path, size: self.size, digest: self.digest });
        Ok(stanza)
    }

    /// Returns it as a suite of one package.
    pub(super) fn suite(&self) -> Result<Suite<'_>, LooseError> {
        let origin = Origin::File(self.file.path.clone());
        Ok(Suite { origin, priority: PRIORITY, packages: vec![self.stanza()?] })
    }
}

/// Returns the loose files of a spec with the digests that they have now.
pub(super) fn of_spec(spec: &Spec, packages: &Packages) -> Vec<LooseFile> {
    let digest = |path: &Path| Hasher::sha256_of(&mut open_regular(path).ok()?).ok();
    let file = |path| LooseFile {
        path: text_of(path, &spec.folder),
        sha256: digest(path).map(|(digest, _size)| digest),
    };
    packages.extra.iter().map(|path| file(path)).collect()
}

/// Returns a path as the lock writes it: relative to the spec's folder where it can be.
pub(super) fn text_of(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// Reads all loose files of a spec; each is for at least one of `architectures`, and for each there is at most one
/// of a name.
pub(super) fn read_all(
    spec: &Spec,
    packages: &Packages,
    architectures: &[&str],
    equipment: &Equipment<'_>,
) -> Result<Vec<Loose>, PackagesError> {
    let mut files: Vec<Loose> = Vec::new();
    for path in &packages.extra {
        let loose = read(path, text_of(path, &spec.folder))?;
        let stanza = loose.stanza()?;
        if !architectures.iter().any(|architecture| is_for(&stanza, architecture)) {
            return Err(LooseError::Architecture {
                path: loose.file.path.clone(),
                architecture: stanza.architecture.to_owned(),
                wanted: architectures.join(", "),
            }
            .into());
        }
        for other in &files {
            refuse_both(other, &loose, architectures)?;
        }
        equipment.reporter.report(Event::ItemFinished(loose.file.path.clone()));
        files.push(loose);
    }
    Ok(files)
}

/// Returns whether machines of an architecture can have the package.
pub(super) fn is_for(stanza: &PackageStanza<'_>, architecture: &str) -> bool {
    stanza.architecture == architecture || stanza.architecture == "all"
}

/// A machine has one version of a package: there is no telling which of two files is meant.
fn refuse_both(first: &Loose, second: &Loose, architectures: &[&str]) -> Result<(), LooseError> {
    let (one, other) = (first.stanza()?, second.stanza()?);
    let have_both = |architecture: &&str| is_for(&one, architecture) && is_for(&other, architecture);
    if one.name == other.name && architectures.iter().any(have_both) {
        return Err(LooseError::Twice {
            name: one.name.to_owned(),
            first: first.file.path.clone(),
            second: second.file.path.clone(),
        });
    }
    Ok(())
}

/// Reads a file once, for what it says and for its digest.
fn read(path: &Path, text: String) -> Result<Loose, PackagesError> {
    let unreadable = |source| PackagesError::Read(path.to_owned(), source);
    let file = open_regular(path).map_err(unreadable)?;
    let mut input = HashingReader::new(Algorithm::Sha256, file.take(LARGEST));
    let package = archive::read(&mut input, LARGEST_UNPACKED)
        .map_err(|source| LooseError::Package(text.clone(), source))?;
    let (digest, size) = input.finish().map_err(unreadable)?;
    let file = LooseFile { path: text, sha256: Some(digest) };
    Ok(Loose { file, digest, size, package })
}
