//! What is in this file, and is it what it says it is?
//!
//! The kind is found by content, never by name. Each kind has a module of its own, which reads the finished thing as
//! anybody else would and shares no code with what wrote it. Everything is hostile: archives are read once, as they
//! stream by, with bounds on all that is kept in memory; nothing is unpacked to disk; no secret is returned.

mod archive;
mod bundle;
mod certificate;
mod detect;
mod disc;
mod images;
mod kit;
mod lock;
mod masked;
mod stream;

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use crate::archive::untar::TarFault;
pub use bundle::{BundledPackage, OpsBundle};
pub use certificate::{Certificate, Certificates};
pub use detect::Kind;
pub use disc::{DiscContents, DiscFile, K3sNode, PlacedFile, Seed};
pub use images::{Form, Format, Image, ImagePlatform, Images};
pub use lock::{Lock, PinnedPackage, PinnedPackages};

use crate::archive::compress::{Compression, Decoder};
use crate::artifact::Finding;
use crate::bill::{Bill, BillError};
use crate::disc::{Disc, DiscFault};
use crate::lockfile::LockfileError;
use crate::pki::InvalidCertificate;
use crate::progress::{Event, Reporter};
use detect::Candidate;
use stream::Reported;

/// A file or folder, looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What it is.
    #[serde(flatten)]
    pub artifact: Inspected,
    /// All that is not what the artifact itself says, sorted.
    pub findings: Vec<Finding>,
}

/// Everything that can be looked into, with what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Inspected {
    /// A bundle of ops packages.
    OpsBundle(OpsBundle),
    /// Container images.
    Images(Images),
    /// A disc, such as a seed.
    Disc(DiscContents),
    /// Certificates.
    Certificates(Certificates),
    /// A lock.
    Lock(Lock),
    /// A finished kit.
    Kit(Bill),
}

/// Says why something cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be opened or read.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] io::Error),
    /// It is something else.
    #[error("`{0}` is {1}, which cannot be looked into")]
    Unknown(PathBuf, String),
    /// It is an archive that is damaged, or not an honest one.
    #[error("`{0}` is damaged, or no honest archive")]
    Archive(PathBuf, #[source] TarFault),
    /// It is a disc that is damaged, or not an honest one.
    #[error("`{0}` is a damaged disc, or no honest one")]
    Disc(PathBuf, #[source] DiscFault),
    /// Its certificates cannot be read, or it holds something that is to be kept secret.
    #[error("`{0}` is not a file of certificates")]
    Certificates(PathBuf, #[source] InvalidCertificate),
    /// It is a lock that cannot be used.
    #[error("`{0}` is not a lock that can be used")]
    Lock(PathBuf, #[source] LockfileError),
    /// It is a kit whose bill of materials cannot be used.
    #[error(transparent)]
    Bill(#[from] BillError),
}

impl InspectError {
    /// What can be looked into, for people.
    pub const KINDS: &str = "seed ISOs and other discs, bundles of ops packages, archives and layouts of images, \
                             PEM files of certificates, seedkit.lock, and kits";
}

/// What inspections work with.
#[derive(Clone, Copy, derive_more::Debug)]
#[debug("Options({now})")]
pub struct Options<'a> {
    /// Seconds since 1970: what certificates are compared with.
    pub now: i64,
    /// Who listens.
    pub reporter: &'a dyn Reporter,
}

/// Tells what is at `path`, without looking into it.
pub fn kind(path: &Path) -> Result<Kind, InspectError> {
    Candidate::open(path).map(|candidate| candidate.kind())
}

/// Looks into the file or folder at `path`, whatever it is.
pub fn path(path: &Path, options: &Options<'_>) -> Result<Inspection, InspectError> {
    let Options { now, reporter } = *options;
    let owned = || path.to_owned();
    let (artifact, findings) = match Candidate::open(path)? {
        Candidate::Archive { file, length, compression } => {
            reporter.report(Event::Planned { bytes: length, items: 0 });
            let input = Decoder::new(compression, Reported { inner: file, reporter });
            let input = input.map_err(|source| InspectError::Read(owned(), source))?;
            archive::read(path, (length, compression), input)?
        }
        Candidate::Disc(file) => {
            let opened = Disc::open(file).map_err(|source| InspectError::Disc(owned(), source))?;
            let read = disc::read(&opened, reporter);
            let (disc, findings) = read.map_err(|source| InspectError::Read(owned(), source))?;
            (Inspected::Disc(disc), findings)
        }
        Candidate::Layout => {
            let read = images::read_folder(path, reporter);
            let read = read.map_err(|error| InspectError::Read(error.path, error.source))?;
            let unknown = || InspectError::Unknown(owned(), "a layout without index.json".to_owned());
            let (images, findings) = read.ok_or_else(unknown)?;
            (Inspected::Images(images), findings)
        }
        Candidate::Certificates(text) => {
            let read = certificate::read(&text, now);
            let read = read.map_err(|source| InspectError::Certificates(owned(), source))?;
            (Inspected::Certificates(read), Vec::new())
        }
        Candidate::Lock(text) => {
            let read = lock::read(&text).map_err(|source| InspectError::Lock(owned(), source))?;
            (Inspected::Lock(read), Vec::new())
        }
        Candidate::Kit => {
            let (bill, findings) = kit::read(path)?;
            (Inspected::Kit(bill), findings)
        }
    };
    Ok(Inspection { artifact, findings })
}

/// Looks into an archive of `length` bytes as it streams by; `path` names it in errors.
pub fn archive(path: &Path, length: u64, mut input: impl BufRead) -> Result<Inspection, InspectError> {
    let read_error = |source| InspectError::Read(path.to_owned(), source);
    let compression = Compression::detect(input.fill_buf().map_err(read_error)?);
    let input = Decoder::new(compression, input).map_err(read_error)?;
    let (artifact, findings) = archive::read(path, (length, compression), input)?;
    Ok(Inspection { artifact, findings })
}
