//! What kind of thing a file or folder is, by its content.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use fs_err as fs;

use super::{InspectError, images, lock};
use crate::archive::compress::Compression;
use crate::bill;
use crate::disc::Disc;

/// The largest text that is read whole: far above the lock of a thousand images and packages.
const LARGEST_TEXT: u64 = 64 << 20;
/// Where the header of a tar archive has its magic, and the length of a header.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;
const TAR_HEADER: usize = 512;

/// Something of a kind that can be looked into, opened.
pub(super) enum Candidate {
    /// A folder with a bill of materials.
    Kit,
    /// The image of an ISO 9660 disc.
    Disc(File),
    /// A folder that is an image layout.
    Layout,
    /// A tar archive.
    Archive {
        /// The archive.
        file: File,
        /// Its length in bytes.
        length: u64,
        /// How it is compressed.
        compression: Compression,
    },
    /// A PEM file.
    Certificates(String),
    /// A lock.
    Lock(String),
}

/// What can be looked into, by its outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A finished kit.
    Kit,
    /// A disc.
    Disc,
    /// An image layout in a folder.
    Layout,
    /// A tar archive, of images or of packages.
    Archive,
    /// A file of certificates.
    Certificates,
    /// A lock.
    Lock,
}

impl Candidate {
    /// Returns what it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Kit => Kind::Kit,
            Self::Disc(_) => Kind::Disc,
            Self::Layout => Kind::Layout,
            Self::Archive { .. } => Kind::Archive,
            Self::Certificates(_) => Kind::Certificates,
            Self::Lock(_) => Kind::Lock,
        }
    }

    /// Opens what is at `path` and finds out what it is.
    pub(super) fn open(path: &Path) -> Result<Self, InspectError> {
        let read_error = |source| InspectError::Read(path.to_owned(), source);
        let unknown = |what: &str| InspectError::Unknown(path.to_owned(), what.to_owned());
        let metadata = fs::metadata(path).map_err(read_error)?;
        if metadata.is_dir() {
            return Self::of_folder(path);
        }
        // A FIFO would wait for a writer, a device has no end.
        if !metadata.is_file() {
            return Err(unknown("neither a file nor a folder"));
        }
        let length = metadata.len();
        let mut file = crate::fs::open_regular(path).map_err(read_error)?;
        if Disc::is_one(&file) {
            return Ok(Self::Disc(file));
        }
        let mut start = Vec::new();
        file.by_ref().take(TAR_HEADER as u64).read_to_end(&mut start).map_err(read_error)?;
        file.seek(SeekFrom::Start(0)).map_err(read_error)?;
        if start.is_empty() {
            return Err(unknown("empty"));
        }
        let compression = Compression::detect(&start);
        if compression != Compression::None || start.get(TAR_MAGIC) == Some(b"ustar") {
            return Ok(Self::Archive { file, length, compression });
        }
        if let Some(what) = other_format(&start) {
            return Err(unknown(what));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_TEXT + 1).read_to_end(&mut bytes).map_err(read_error)?;
        match String::from_utf8(bytes) {
            Ok(text) if text.len() as u64 > LARGEST_TEXT => Err(unknown("a long text")),
            Ok(text) if lock::is_lock(&text) => Ok(Self::Lock(text)),
            Ok(text) if text.contains("-----BEGIN ") => Ok(Self::Certificates(text)),
            Ok(_) => Err(unknown("a text")),
            Err(_) => Err(unknown("no archive and no text")),
        }
    }

    fn of_folder(path: &Path) -> Result<Self, InspectError> {
        let has = |name: &str| fs::symlink_metadata(path.join(name)).is_ok_and(|metadata| metadata.is_file());
        if !has(bill::FILE_NAME) && (has(images::LAYOUT) || has(images::INDEX)) {
            return Ok(Self::Layout);
        }
        if !has(bill::FILE_NAME) {
            let what = "a folder without kit.json, oci-layout and index.json".to_owned();
            return Err(InspectError::Unknown(path.to_owned(), what));
        }
        Ok(Self::Kit)
    }
}

/// Says what a file looks like that is of no kind known here.
fn other_format(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "compressed by xz",
        [b'B', b'Z', b'h', ..] => "compressed by bzip2",
        [0x04, 0x22, 0x4d, 0x18, ..] => "compressed by lz4",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        _ if start.starts_with(b"!<arch>\n") => "a package or another ar archive",
        _ => return None,
    })
}
