//! The files of a layout or archive: digests of all, and the documents among them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::artifact::Finding;
use crate::digest::{Algorithm, Digest, HashingReader};
use crate::inspect::stream::Reported;
use crate::oci::{MANIFEST_LIMIT, resolve_link};
use crate::progress::{Event, Reporter};

/// The document that names the images of a layout.
pub(in crate::inspect) const INDEX: &str = "index.json";
/// The file that says that a folder is a layout.
pub(in crate::inspect) const LAYOUT: &str = "oci-layout";
/// The document that names the images of `docker save`.
pub(super) const SAVED: &str = "manifest.json";
/// The folder of the blobs.
const BLOBS: &str = "blobs/";
/// The most bytes an `index.json` or `manifest.json` may have.
const LARGEST_INDEX: u64 = 8 << 20;
/// The most bytes of all documents together: those of a thousand images have 20 MB.
const MOST_DOCUMENTS: u64 = 96 << 20;
/// The most files of a folder.
const MOST_FILES: usize = 200_000;
/// The most links to links on the way to a file.
const MOST_LINKS: usize = 40;
/// What layers and documents are told by.
const MAGIC: usize = 6;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// By the function that its name says, else SHA-256.
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Whether it is compressed, as layers may be.
    pub(super) is_compressed: bool,
    /// Its content, if it may be a document.
    pub(super) document: Option<Vec<u8>>,
}

/// What every document costs beside its bytes.
const EACH: u64 = 1024;

/// What is found of an index that is not read.
pub(super) const TOO_LARGE: &str = "it is larger than the 8 MiB that are read of such a document";

/// Counts the bytes of all documents that are parsed, each time anew: images may share them in any number, and of a
/// small archive would come the work of ages.
pub(super) struct Patience(u64);

impl Patience {
    /// What is found when it is lost.
    pub(super) const LOST: &str =
        "what its images share is more, counted for each of them, than can be looked into";

    /// Allows as many bytes as all documents may have.
    pub(super) fn new() -> Self {
        Self(MOST_DOCUMENTS)
    }

    /// Returns whether a document of so many bytes may still be parsed.
    pub(super) fn bears(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes as u64 + EACH);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Files and links by their path.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    files: BTreeMap<String, Piece>,
    links: BTreeMap<String, String>,
    /// Bytes of documents that are kept.
    kept: u64,
    odd: Vec<Finding>,
}

/// Says which file of a folder cannot be read.
#[derive(Debug)]
pub(in crate::inspect) struct ReadError {
    /// The file or folder.
    pub(in crate::inspect) path: PathBuf,
    /// What the file system said.
    pub(in crate::inspect) source: io::Error,
}

impl Pieces {
    /// Reads every file of a layout.
    pub(super) fn of_folder(folder: &Path, reporter: &dyn Reporter) -> Result<Self, ReadError> {
        let mut pieces = Self::default();
        let mut paths = Vec::new();
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|error| ReadError {
                path: error.path().unwrap_or(folder).to_owned(),
                source: error.into(),
            })?;
            let relative = entry.path().strip_prefix(folder).expect("the walk stays below its root");
            let relative = relative.to_string_lossy().into_owned();
            if entry.file_type().is_file() {
                let length = entry.metadata().map(|metadata| metadata.len()).unwrap_or(0);
                paths.push((relative, length));
            } else if !entry.file_type().is_dir() {
                // A link could lead anywhere; no layout needs one.
                pieces.odd.push(Finding::wrong(relative, "it is not a regular file"));
            }
            if paths.len() > MOST_FILES {
                let source = io::Error::other(format!("it has more than {MOST_FILES} files"));
                return Err(ReadError { path: folder.to_owned(), source });
            }
        }
        let bytes = paths.iter().map(|(_, length)| length).sum();
        reporter.report(Event::Planned { bytes, items: 0 });
        for (relative, length) in paths {
            let path = folder.join(&relative);
            let file = fs::File::open(&path).map(|file| Reported { inner: file.into_parts().0, reporter });
            file.and_then(|mut file| pieces.take(&relative, length, &mut file))
                .map_err(|source| ReadError { path, source })?;
        }
        Ok(pieces)
    }

    /// Reads one file of the given length, or however many bytes it has.
    pub(super) fn take(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let is_index = [INDEX, SAVED, LAYOUT].contains(&path);
        let algorithm = match blob_name(path) {
            Some(("sha512", _)) => Algorithm::Sha512,
            Some(_) | None => Algorithm::Sha256,
        };
        let mut content = HashingReader::new(algorithm, content);
        let mut beginning = Vec::new();
        content.by_ref().take(MAGIC as u64).read_to_end(&mut beginning)?;
        let limit = if is_index { LARGEST_INDEX } else { MANIFEST_LIMIT }.min(MOST_DOCUMENTS - self.kept);
        let looks_like_one = is_index || matches!(beginning.trim_ascii_start().first(), Some(b'{' | b'['));
        let mut document = None;
        if looks_like_one && size <= limit {
            let mut bytes = beginning.clone();
            content.by_ref().take(limit).read_to_end(&mut bytes)?;
            self.kept = MOST_DOCUMENTS.min(self.kept + bytes.len() as u64);
            document = Some(bytes);
        }
        let (digest, size) = content.finish()?;
        let is_compressed = matches!(
            &beginning[..],
            [0x1f, 0x8b, ..]
                | [0x28, 0xb5, 0x2f, 0xfd, ..]
                | [b'B', b'Z', b'h', ..]
                | [0xfd, b'7', b'z', b'X', b'Z', 0]
        );
        self.files.insert(path.to_owned(), Piece { digest, size, is_compressed, document });
        Ok(())
    }

    /// Notes a link of an archive; one that leads nowhere is noticed when something needs it.
    pub(super) fn link(&mut self, path: &str, target: &str, is_symbolic: bool) {
        if let Some(target) = resolve_link(path, target, is_symbolic) {
            self.links.insert(path.to_owned(), target);
        }
    }

    /// Returns a file, and the path where it really is.
    pub(super) fn get(&self, path: &str) -> Option<(&str, &Piece)> {
        let mut place = path;
        for _ in 0..MOST_LINKS {
            if let Some((place, piece)) = self.files.get_key_value(place) {
                return Some((place, piece));
            }
            place = self.links.get(place)?;
        }
        None
    }

    /// Returns a file that is at this very path.
    pub(super) fn file(&self, path: &str) -> Option<&Piece> {
        self.files.get(path)
    }

    /// Returns the bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|piece| piece.size).fold(0, u64::saturating_add)
    }

    /// Returns the paths of all blobs.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|path| path.starts_with(BLOBS))
    }

    /// Names the blobs that are not what they are called, and what no layout has.
    pub(super) fn judge_blobs(&self) -> impl Iterator<Item = Finding> {
        let blobs = self.files.iter().filter(|(path, _)| path.starts_with(BLOBS));
        let bad = blobs.filter_map(|(path, piece)| {
            let stated =
                blob_name(path).and_then(|(name, hex)| format!("{name}:{hex}").parse::<Digest>().ok());
            match stated {
                Some(expected) if expected == piece.digest => None,
                Some(expected) => Some(Finding::Bad { path: path.clone(), expected, actual: piece.digest }),
                None => Some(Finding::wrong(path, "its name is not a digest")),
            }
        });
        bad.chain(self.odd.iter().cloned())
    }
}

/// Splits the path of a blob into hash function and digits.
fn blob_name(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix(BLOBS)?.split_once('/')
}
