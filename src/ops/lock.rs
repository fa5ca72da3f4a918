//! `seedkit lock`: every tag to its digest, every file to its hash, and one time for all.

mod failures;
mod images;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fetch::failures::Failures;
use crate::fetch::files::{self, DocumentError, FileError, SpecFile};
use crate::fetch::places::Complaint;
use crate::fetch::pulls::{NoPullsLeft, Pulls};
use crate::fetch::sources::Sources;
use crate::imagelist::{self, ImageList, ImageListError};
use crate::lockfile::{Drift, FileRole, Locked, LockedFile, Lockfile, Wanted, WantedImage};
use crate::oci::Reference;
use crate::ops::finding_event;
use crate::ops::k3s::{self, K3sError};
use crate::ops::packages::{self, Mirrors, PackagesError};
use crate::parallel;
use crate::progress::Event;
use crate::spec::Spec;
use crate::text::counted;

pub use images::ImageFailure;

/// Why a spec cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// An image list cannot be read.
    #[error("cannot read the image list `{0}`")]
    ReadList(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Image lists say something that means nothing: all that is wrong with all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Lists(Vec<ImageListError>),
    /// seedkit does not know what images the release needs.
    #[error("there is no built-in image list for k3s `{0}`")]
    UnknownRelease(String),
    /// Two images would have one name in a container runtime.
    #[error("`{first}` and `{second}` would both be `{name}` on the nodes")]
    SameName {
        /// One image.
        first: Reference,
        /// The other.
        second: Reference,
        /// The name.
        name: String,
    },
    /// A file cannot be had.
    #[error("cannot lock the files")]
    File(#[from] FileError),
    /// The k3s executable is not that of the spec, or lacks an image.
    #[error("cannot use the k3s executables")]
    K3s(#[from] K3sError),
    /// Ops packages cannot be resolved.
    #[error("cannot lock the ops packages")]
    Packages(#[from] PackagesError),
    /// A registry allows nothing more.
    #[error("cannot lock the images")]
    Pulls(#[from] NoPullsLeft),
    /// Some things cannot be resolved; all others are.
    #[error("not everything can be locked")]
    Several(#[source] Failures),
    /// Images cannot be resolved: all of them that were tried.
    #[error("{} of {total} images cannot be resolved", .failures.len())]
    Images {
        /// How many images there are.
        total: usize,
        /// Which failed, and why.
        failures: Vec<ImageFailure>,
    },
}

/// Why a lock cannot be used for a build.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// What the spec wants cannot be said.
    #[error("cannot find out what the spec wants")]
    Wanted(#[source] Box<LockError>),
    /// The lock does not fit the spec any more.
    #[error("the lock does not fit the spec: {}", counted(.0.len(), "difference"))]
    Stale(Vec<Drift>),
}

/// Says which images, files and platforms a build of the spec needs: computed here, and nowhere else.
fn wanted(spec: &Spec, list: ImageList) -> Result<Wanted, LockError> {
    let files = files::of_spec(spec).iter().map(|file| file.wanted(spec)).collect();
    let packages = spec.packages.as_ref().map(|wanted| packages::request(spec, wanted)).transpose()?;
    let (platforms, signatures) = (spec.platforms.clone(), spec.images.signatures);
    Ok(Wanted { platforms, signatures, images: wanted_images(list)?, files, packages })
}

/// What is locked, and when.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Where images, files and packages come from.
    pub sources: &'a Sources,
    /// The time that everything built from the lock will carry.
    pub epoch: Epoch,
    /// The clock's time, by which signatures are judged.
    pub now: Epoch,
    /// The lock so far: a release older than it has seen is refused.
    pub previous: Option<&'a Lockfile>,
}

/// A lock that was just made.
#[derive(Debug)]
pub struct Fresh {
    /// The lock.
    pub lockfile: Lockfile,
    /// What was pulled for it, by registry.
    pub pulls: Vec<Pulls>,
}

/// What a lock pins, and what it took to find out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Where the lock is.
    pub path: PathBuf,
    /// The time that everything built from it will carry.
    pub epoch: u64,
    /// How many images it has.
    pub images: usize,
    /// How many manifests are attached to them.
    pub attached: usize,
    /// How many files it has.
    pub files: usize,
    /// The bytes of images and files; what images share is counted once.
    pub bytes: u64,
    /// Whether it is another one than before.
    pub is_changed: bool,
    /// What was pulled for it, by registry.
    pub pulls: Vec<Pulls>,
    /// What places did while another one gave what was asked for.
    pub passed_over: Vec<Complaint>,
}

impl Outcome {
    /// Returns what an unchanged lock pins.
    pub fn of(path: PathBuf, lockfile: &Lockfile) -> Self {
        let Lockfile { epoch, images, files, image_size, .. } = lockfile;
        let file_bytes: u64 = files.iter().map(|file| file.size).sum();
        Self {
            path,
            epoch: epoch.seconds(),
            images: images.len(),
            attached: images.iter().map(|image| image.attached.len()).sum(),
            files: files.len(),
            bytes: file_bytes + image_size,
            is_changed: false,
            pulls: Vec::new(),
            passed_over: Vec::new(),
        }
    }
}

/// Resolves everything anew. An unchanged result keeps the epoch of the previous lock, so that locking twice is
/// no change.
pub fn run(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Fresh, LockError> {
    let Options { spec, sources, epoch, now, previous } = *options;
    let list = read_lists(spec, |file| files::read_resolved(file, spec, sources, equipment))?;
    for (file, finding) in list.warnings() {
        equipment.reporter.report(finding_event(file, finding));
    }
    let wanted = wanted(spec, list)?;
    let spec_files = files::of_spec(spec);
    let items = (wanted.images.len() + spec_files.len()) as u64;
    equipment.reporter.report(Event::Planned { bytes: 0, items });
    let files = || resolve_files(&spec_files, spec, sources, equipment);
    let images = || images::resolve(&wanted.images, spec, sources, equipment);
    let locked_packages = previous.and_then(|previous| previous.packages.as_ref());
    let packages = || match &spec.packages {
        Some(wanted) => {
            let mirrors =
                Mirrors { sources, folder: &spec.folder, equipment, now, previous: locked_packages };
            packages::resolve(spec, wanted, &mirrors).map(Some).map_err(LockError::Packages)
        }
        None => Ok(None),
    };
    let (files, (resolved, pulls), packages) = if equipment.keep_going {
        failures::all(files(), images(), packages())?
    } else {
        (files()?, images()?, packages()?)
    };
    let contents: BTreeMap<Digest, u64> =
        resolved.iter().flat_map(|(_, contents)| contents.clone()).collect();
    let images = resolved.into_iter().map(|(image, _)| image).collect();
    let mut platforms = spec.platforms.clone();
    platforms.sort();
    let image_size = contents.into_values().sum();
    let signatures = wanted.signatures;
    let mut lockfile = Lockfile { epoch, platforms, signatures, image_size, files, images, packages };
    lockfile.files.sort_by(|one, other| one.role.cmp(&other.role));
    lockfile.images.sort_by(|one, other| one.reference.cmp(&other.reference));
    // What it could not find out is said when something is built.
    k3s::check(spec, &lockfile, equipment)?;
    if let Some(previous) = previous.filter(|previous| previous.pins_same_content(&lockfile)) {
        lockfile.epoch = previous.epoch;
    }
    Ok(Fresh { lockfile, pulls })
}

/// Compares a lock with what the spec wants now, and with the local files as they are now.
///
/// Nothing is resolved: a downloaded image list has the content that the lock pins.
pub fn check(
    spec: &Spec,
    lockfile: Lockfile,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<Locked, CheckError> {
    let read = |file: &SpecFile<'_>| match lockfile.file(&file.role) {
        Some(pinned) => files::read_pinned(pinned, &file.source.place, sources, equipment),
        None => files::read_resolved(file, spec, sources, equipment),
    };
    let mut wanted = read_lists(spec, read)
        .and_then(|list| wanted(spec, list))
        .map_err(|error| CheckError::Wanted(error.into()))?;
    for (file, wanted) in files::of_spec(spec).iter().zip(&mut wanted.files) {
        // A local file that was changed after locking must not be replaced by the old one from the store.
        if let Some(now) = files::digest_now(file) {
            wanted.sha256 = Some(now);
        }
    }
    lockfile.check(&wanted).map_err(CheckError::Stale)
}

/// Reads all image lists of the spec; what is wrong with any of them is reported together.
///
/// `read` reads the release's own list, which may have to be downloaded.
fn read_lists(
    spec: &Spec,
    read: impl FnOnce(&SpecFile<'_>) -> Result<String, DocumentError>,
) -> Result<ImageList, LockError> {
    let mut list = ImageList::default();
    let mut errors = Vec::new();
    if spec.images.k3s {
        let (name, text) = k3s_list(spec, read)?;
        errors.extend(list.add_text(&name, &text, &[]).err());
    }
    for file in &spec.images.lists {
        let name = file.path.strip_prefix(&spec.folder).unwrap_or(&file.path).display().to_string();
        let text = files::read_list(&file.path)
            .map_err(|source| LockError::ReadList(file.path.clone(), source.into()))?;
        errors.extend(list.add_text(&name, &text, &file.groups).err());
    }
    for reference in &spec.images.inline {
        list.add(reference.clone(), "seedkit.yaml");
    }
    if errors.is_empty() { Ok(list) } else { Err(LockError::Lists(errors)) }
}

fn wanted_images(list: ImageList) -> Result<Vec<WantedImage>, LockError> {
    let images: Vec<WantedImage> = list
        .into_images()
        .into_iter()
        .map(|image| WantedImage {
            origin: image.origin(),
            destination: image.destination,
            reference: image.reference,
        })
        .collect();
    refuse_same_names(&images)?;
    Ok(images)
}

fn k3s_list(
    spec: &Spec,
    read: impl FnOnce(&SpecFile<'_>) -> Result<String, DocumentError>,
) -> Result<(String, String), LockError> {
    let version = spec.k3s.version.as_str();
    let Some(source) = &spec.k3s.images else {
        let text =
            imagelist::builtin_k3s(version).ok_or_else(|| LockError::UnknownRelease(version.to_owned()))?;
        return Ok((format!("built-in list of k3s {version}"), text.to_owned()));
    };
    let file = SpecFile { role: FileRole::K3sImages, source };
    let name = file.source_text(&spec.folder);
    let text = read(&file).map_err(|source| LockError::ReadList(name.clone().into(), source))?;
    Ok((name, text))
}

/// `a:1` and `a:1@sha256:…` are two images with one name on a node; which one a pod gets would be chance.
fn refuse_same_names(images: &[WantedImage]) -> Result<(), LockError> {
    let mut names: BTreeMap<String, &Reference> = BTreeMap::new();
    for WantedImage { reference, .. } in images {
        let name = reference.tagged_name();
        if let Some(first) = names.insert(name.clone(), reference) {
            return Err(LockError::SameName { first: first.clone(), second: reference.clone(), name });
        }
    }
    Ok(())
}

fn resolve_files(
    spec_files: &[SpecFile<'_>],
    spec: &Spec,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<Vec<LockedFile>, LockError> {
    let results = parallel::map(spec_files, equipment.jobs, |file| {
        let locked = files::resolve(file, spec, sources, equipment)?;
        equipment.reporter.report(Event::ItemFinished(file.role.to_string()));
        Ok(locked)
    });
    let names = spec_files.iter().map(|file| file.role.to_string());
    files::all_or_failures(names.zip(results), equipment).map_err(LockError::File)
}
