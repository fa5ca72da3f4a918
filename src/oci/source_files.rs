//! The files of a layout or archive that somebody else made: hostile until checked.
//!
//! Only regular files are opened, nothing outside the folder or archive is, nothing can block, and no size
//! that a header claims is believed before it is compared with what is there.

pub(super) mod members;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use self::members::Members;
use crate::archive::untar::TarFault;
use crate::fs::open_below;

/// Read access to named files, in a folder or in a tar archive.
#[derive(Debug)]
pub(super) enum SourceFiles {
    /// A folder.
    Folder(PathBuf),
    /// An uncompressed tar archive, with the place of each member.
    Archive {
        /// The archive's name.
        path: PathBuf,
        /// The archive, open: a file that takes its name later is another one.
        file: Arc<File>,
        /// Where its files are.
        members: Members,
    },
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceFilesError {
    /// The folder, archive or a file in it cannot be read.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] io::Error),
    /// The archive is compressed, or no archive.
    #[error("`{0}` is {1}, not an uncompressed tar archive")]
    NotTar(PathBuf, &'static str),
    /// It is damaged, or somebody made it to harm.
    #[error("`{0}` is damaged, or no honest archive")]
    Archive(PathBuf, #[source] TarFault),
    /// A member that an honest archive does not have.
    #[error("`{path}` has the member `{member}`, which {problem}")]
    Member {
        /// The archive.
        path: PathBuf,
        /// The member's name, escaped.
        member: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that should be there is not.
    #[error("`{0}` has no file `{1}`")]
    Missing(PathBuf, String),
    /// Something else is where a file should be, or in a folder's place on the way to it.
    #[error("`{1}` in `{0}` is not a regular file in regular folders")]
    NotRegular(PathBuf, String),
    /// A document is larger than any honest one.
    #[error("`{name}` in `{path}` has more than the {limit} bytes that are accepted")]
    TooLarge {
        /// The folder or archive.
        path: PathBuf,
        /// The file.
        name: String,
        /// The most it may have.
        limit: u64,
    },
}

impl SourceFiles {
    /// Looks through the tar archive at `path` without reading its contents.
    pub(super) fn archive(path: &Path) -> Result<Self, SourceFilesError> {
        let read_error = |source| SourceFilesError::Read(path.to_owned(), source);
        // Not blocking: a FIFO without a writer would wait for one for ever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| read_error(error.into()))?;
        let file = File::from(file);
        if !file.metadata().map_err(read_error)?.is_file() {
            return Err(SourceFilesError::NotTar(path.to_owned(), "not a regular file"));
        }
        let members = members::find(path, &file)?;
        Ok(Self::Archive { path: path.to_owned(), file: Arc::new(file), members })
    }

    /// Returns the folder or archive.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive { path, .. } => path,
        }
    }

    /// Opens a file at its beginning.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, SourceFilesError> {
        self.open_from(name, 0)
    }

    /// Opens a file at an offset; beyond its end there is nothing to read.
    pub(super) fn open_from(&self, name: &str, from: u64) -> Result<Box<dyn Read + Send>, SourceFilesError> {
        match self {
            Self::Folder(folder) => {
                let mut file = regular_file(folder, name)?;
                let fail = |source| SourceFilesError::Read(folder.join(name), source);
                file.seek(SeekFrom::Start(from)).map_err(fail)?;
                Ok(Box::new(file))
            }
            Self::Archive { file, members, .. } => match members.get(name) {
                Some(place) => Ok(Box::new(place.read_from(file, from))),
                None => Err(SourceFilesError::Missing(self.path().to_owned(), name.to_owned())),
            },
        }
    }

    /// Reads a document whole, if it has at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, SourceFilesError> {
        let mut bytes = Vec::new();
        // One byte more than allowed, whatever a header or the file system claims.
        self.open(name)?
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| SourceFilesError::Read(self.path().join(name), source))?;
        if bytes.len() as u64 > limit {
            let (path, name) = (self.path().to_owned(), name.to_owned());
            return Err(SourceFilesError::TooLarge { path, name, limit });
        }
        Ok(bytes)
    }
}

/// Opens a file of a folder.
pub(super) fn regular_file(folder: &Path, name: &str) -> Result<File, SourceFilesError> {
    let named =
        |error: fn(PathBuf, String) -> SourceFilesError| Err(error(folder.to_owned(), name.to_owned()));
    match open_below(folder, name) {
        Ok(Some(file)) => Ok(file),
        Ok(None) | Err(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => named(SourceFilesError::NotRegular),
        Err(Errno::NOENT) => named(SourceFilesError::Missing),
        Err(error) => Err(SourceFilesError::Read(folder.join(name), error.into())),
    }
}
