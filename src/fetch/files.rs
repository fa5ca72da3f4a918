//! Files of the kit: hashed or downloaded into the store, and looked up in checksum lists.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::fetch::Equipment;
use crate::fetch::failures::Failures;
use crate::fetch::sources::Sources;
use crate::fs::open_regular;
use crate::lockfile::{FileRole, Locked, LockedFile, WantedFile};
use crate::oci::{SourceError, SourceErrorKind};
use crate::parallel;
use crate::progress::Event;
use crate::registry::PlainHttp;
use crate::spec::{Checksum, FileSource, Place, Spec};
use crate::store::{CompleteError, Completed, Descriptor, Kept, Size, StoreError, Wanted};

/// The most bytes one file may have.
const FILE_LIMIT: u64 = 64 * 1024 * 1024 * 1024;
/// The most bytes a list of checksums or images may have.
const LIST_LIMIT: u64 = 4 * 1024 * 1024;

/// Why a file is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is on this machine and cannot be read.
    #[error("cannot read {0} from `{1}`")]
    Read(FileRole, PathBuf, #[source] std::io::Error),
    /// It cannot be downloaded.
    #[error("cannot download {0}")]
    Download(FileRole, #[source] SourceError),
    /// Its content is not what it should be, or cannot be kept.
    #[error("cannot store {0} from `{1}`")]
    Store(FileRole, String, #[source] StoreError),
    /// Its list of checksums cannot be had.
    #[error("cannot read the checksums of {0} from `{1}`")]
    Checksums(FileRole, String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Some files cannot be had; all others are in the store.
    #[error("not all files can be fetched")]
    Several(#[source] Failures),
    /// Its list of checksums does not name it.
    #[error("`{place}` has no checksum of `{name}`, needed for {role}")]
    NoChecksum {
        /// What it is for.
        role: FileRole,
        /// Where the list is.
        place: String,
        /// The name looked for.
        name: String,
    },
}

/// One file that a spec asks for, with all that is known of it before it is read.
#[derive(Debug, Clone)]
pub struct SpecFile<'a> {
    /// What it is for.
    pub role: FileRole,
    /// Where it comes from.
    pub source: &'a FileSource,
}

impl SpecFile<'_> {
    /// Returns the source as the lock writes it: a path relative to the spec's folder where it can be, or a URL.
    pub fn source_text(&self, folder: &Path) -> String {
        match &self.source.place {
            Place::Path(path) => path.strip_prefix(folder).unwrap_or(path).display().to_string(),
            Place::Url(url) => url.to_string(),
        }
    }

    /// Returns the file as the lock compares it.
    pub fn wanted(&self, spec: &Spec) -> WantedFile {
        let stated = match &self.source.checksum {
            Some(Checksum::Sha256(digest)) => Some(*digest),
            Some(Checksum::List { .. }) | None => None,
        };
        WantedFile { role: self.role.clone(), source: self.source_text(&spec.folder), sha256: stated }
    }
}

/// Returns every file that the spec asks for: the one list of what a build needs.
pub fn of_spec(spec: &Spec) -> Vec<SpecFile<'_>> {
    let k3s = &spec.k3s;
    let binaries =
        k3s.binary.iter().map(|(platform, source)| (FileRole::K3sBinary(platform.clone()), source));
    let tarballs =
        k3s.airgap.iter().map(|(platform, source)| (FileRole::K3sAirgap(platform.clone()), source));
    let list = k3s.images.iter().map(|source| (FileRole::K3sImages, source));
    let users = spec.files.iter().map(|file| (FileRole::File(file.destination.to_string()), &file.source));
    binaries
        .chain(tarballs)
        .chain(list)
        .chain(users)
        .map(|(role, source)| SpecFile { role, source })
        .collect()
}

/// Brings a file into the store as it is now, checked against what vouches for it.
pub fn resolve(
    file: &SpecFile<'_>,
    spec: &Spec,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<LockedFile, FileError> {
    let expected = match &file.source.checksum {
        None => None,
        Some(Checksum::Sha256(digest)) => Some(*digest),
        Some(Checksum::List { place, name }) => Some(look_up(&file.role, place, name, sources)?),
    };
    let (sha256, size) = store(&file.role, &file.source.place, expected.as_ref(), sources, equipment)?;
    Ok(LockedFile { role: file.role.clone(), source: file.source_text(&spec.folder), sha256, size })
}

/// Makes sure that every locked file is in the store; what is missing or rotted there is read or downloaded again.
///
/// Nothing after this reads the files with their digests in mind: they go into the seeds by the kernel's copy.
pub fn fetch(
    locked: &Locked,
    spec: &Spec,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(), FileError> {
    let files: Vec<(&FileSource, LockedFile)> = of_spec(spec)
        .into_iter()
        .filter_map(|file| Some((file.source, locked.file(&file.role)?.clone())))
        .collect();
    let bytes = files.iter().map(|(_, locked)| locked.size).sum();
    equipment.reporter.report(Event::Planned { bytes, items: files.len() as u64 });
    let results = parallel::map(&files, equipment.jobs, |(source, locked)| {
        let LockedFile { role, sha256, size, .. } = locked;
        if is_sound(locked, equipment)? {
            equipment.reporter.report(Event::Advanced(*size));
        } else {
            store(role, &source.place, Some(sha256), sources, equipment)?;
        }
        equipment.reporter.report(Event::ItemFinished(role.to_string()));
        Ok(())
    });
    let names = files.iter().map(|(_, locked)| locked.role.to_string());
    all_or_failures(names.zip(results), equipment).map(drop)
}

/// Returns all files, or the first error; for who keeps going, all errors.
pub fn all_or_failures<T>(
    results: impl Iterator<Item = (String, Result<T, FileError>)>,
    equipment: &Equipment<'_>,
) -> Result<Vec<T>, FileError> {
    if !equipment.keep_going {
        return results.map(|(_, result)| result).collect();
    }
    let mut failures = Failures(Vec::new());
    let files = results.filter_map(|(name, result)| failures.note(("file", &name), result)).collect();
    failures.into_result().map_err(FileError::Several)?;
    Ok(files)
}

/// Reads a file of the store; if it is not what it should be, it is taken out.
fn is_sound(locked: &LockedFile, equipment: &Equipment<'_>) -> Result<bool, FileError> {
    let store_error =
        |source| FileError::Store(locked.role.clone(), equipment.store.root().display().to_string(), source);
    equipment.store.check(&descriptor_of(locked)).map_err(store_error)
}

/// Returns the digest of a local file as it is now; `None` for downloads and for files that are gone.
pub fn digest_now(file: &SpecFile<'_>) -> Option<Digest> {
    let Place::Path(path) = &file.source.place else { return None };
    let mut opened = open_regular(path).ok()?;
    Hasher::sha256_of(&mut opened).ok().map(|(digest, _)| digest)
}

/// Reads a list of images from this machine; what is too long for one is cut, and refused by whoever reads it.
pub fn read_list(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(LIST_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a small document cannot be read.
pub type DocumentError = Box<dyn std::error::Error + Send + Sync>;

/// Reads a document of the spec as it is now, checked against what vouches for it.
pub fn read_resolved(
    file: &SpecFile<'_>,
    spec: &Spec,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<String, DocumentError> {
    let LockedFile { role, sha256, .. } = resolve(file, spec, sources, equipment)?;
    read_text(&role, open_regular(&equipment.store.path(&sha256))?)
}

/// Reads a small document whole, wherever it is.
fn read_document(role: &FileRole, place: &Place, sources: &Sources) -> Result<String, DocumentError> {
    match place {
        Place::Path(path) => read_text(role, open_regular(path)?),
        Place::Url(url) => read_text(role, sources.download(url.as_str(), LIST_LIMIT, PlainHttp::Refused)?),
    }
}

/// Reads a document that is locked: what is downloaded has the locked content, now or from the store.
pub fn read_pinned(
    pinned: &LockedFile,
    place: &Place,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<String, DocumentError> {
    let role = &pinned.role;
    if let Place::Path(path) = place {
        return read_text(role, open_regular(path)?);
    }
    store(role, place, Some(&pinned.sha256), sources, equipment)?;
    read_text(role, open_regular(&equipment.store.path(&pinned.sha256))?)
}

fn read_text(role: &FileRole, reader: impl Read) -> Result<String, DocumentError> {
    let mut text = String::new();
    reader.take(LIST_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LIST_LIMIT {
        let message = format!("{role}: a list of more than {LIST_LIMIT} bytes is not a list");
        return Err(SourceError::new(SourceErrorKind::Invalid, message).into());
    }
    Ok(text)
}

/// Returns how the store knows a locked file.
pub fn descriptor_of(file: &LockedFile) -> Descriptor {
    Descriptor { media_type: "application/octet-stream".to_owned(), digest: file.sha256, size: file.size }
}

fn store(
    role: &FileRole,
    place: &Place,
    expected: Option<&Digest>,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(Digest, u64), FileError> {
    if let Some(known) = expected.and_then(|digest| Some((*digest, equipment.store.size(digest)?))) {
        return Ok(known);
    }
    let store_error = |source| FileError::Store(role.clone(), place.to_string(), source);
    let advance = |bytes| equipment.reporter.report(Event::Advanced(bytes));
    let download_error = |source| FileError::Download(role.clone(), source);
    match (place, expected) {
        (Place::Path(path), _) => {
            let read_error = |source| FileError::Read(role.clone(), path.clone(), source);
            let reader = open_regular(path).map_err(read_error)?;
            equipment.store.push_undescribed(expected, FILE_LIMIT, reader, advance).map_err(store_error)
        }
        (Place::Url(url), None) => {
            let reader =
                sources.download(url.as_str(), FILE_LIMIT, PlainHttp::Allowed).map_err(download_error)?;
            equipment.store.push_undescribed(None, FILE_LIMIT, reader, advance).map_err(store_error)
        }
        (Place::Url(url), Some(expected)) => {
            let size = download(url.as_str(), expected, sources, equipment).map_err(|error| match error {
                CompleteError::Open(source) => download_error(source),
                CompleteError::Store(source) => store_error(source),
            })?;
            Ok((*expected, size))
        }
    }
}

/// Downloads a file, or what an earlier run left to download; returns its length.
fn download(
    url: &str,
    expected: &Digest,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<u64, CompleteError<SourceError>> {
    let store = equipment.store;
    let open = |kept: &Kept| sources.download_rest(url, FILE_LIMIT, PlainHttp::Allowed, kept);
    let advance = |bytes| equipment.reporter.report(Event::Advanced(bytes));
    let wanted = Wanted { digest: expected, size: Size::AtMost(FILE_LIMIT) };
    match store.complete_staged(&wanted, open, advance)? {
        Completed::Staged { staged, size, .. } => {
            store.keep(staged)?;
            Ok(size)
        }
        Completed::Present => Ok(store.size(expected).unwrap_or_default()),
    }
}

fn look_up(role: &FileRole, place: &Place, name: &str, sources: &Sources) -> Result<Digest, FileError> {
    let text = read_document(role, place, sources)
        .map_err(|source| FileError::Checksums(role.clone(), place.to_string(), source))?;
    checksum_in(&text, name).ok_or_else(|| FileError::NoChecksum {
        role: role.clone(),
        place: place.to_string(),
        name: name.to_owned(),
    })
}

/// Finds a name in the output of `sha256sum`: `<hex>  name`, or `<hex> *name` for binary mode.
fn checksum_in(text: &str, name: &str) -> Option<Digest> {
    text.lines().find_map(|line| {
        let (hex, rest) = line.trim_end().split_once(' ')?;
        let listed = rest.strip_prefix([' ', '*']).unwrap_or(rest);
        let listed = listed.rsplit('/').next().unwrap_or(listed);
        if listed != name {
            return None;
        }
        format!("sha256:{hex}").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_found_by_their_whole_name() {
        let hex = "a".repeat(64);
        let text = format!("{}  k3s-arm64\n{hex} *./k3s\r\nnonsense\n", "b".repeat(64));
        assert_eq!(checksum_in(&text, "k3s"), Some(format!("sha256:{hex}").parse().unwrap()));
        assert_eq!(checksum_in(&text, "k3"), None);
        assert_eq!(checksum_in("xyz  k3s", "k3s"), None);
    }
}
