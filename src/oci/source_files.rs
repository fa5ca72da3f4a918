//! The files of a layout or archive that somebody else made: hostile until checked.
//!
//! Only regular files are opened, nothing outside the folder or archive is, and no size that a header claims
//! is believed before it is compared with what is there.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// The most members an archive may have.
const MEMBER_LIMIT: usize = 200_000;

/// Read access to named files, in a folder or in a tar archive.
#[derive(Debug)]
pub enum SourceFiles {
    /// A folder.
    Folder(PathBuf),
    /// An uncompressed tar archive, with the place of each member.
    Archive {
        /// The archive.
        path: PathBuf,
        /// Where each regular file begins, and its length.
        members: BTreeMap<String, (u64, u64)>,
    },
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceFilesError {
    /// The folder, archive or a file in it cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The archive is compressed, or no archive.
    #[error("`{}` is {what}, not an uncompressed tar archive", .path.display())]
    NotTar {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        what: &'static str,
    },
    /// A member that an honest archive does not have.
    #[error("`{}` has the member `{member}`, which {problem}", .path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// The member's name, escaped.
        member: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that should be there is not.
    #[error("`{}` has no file `{name}`", .path.display())]
    Missing {
        /// The folder or archive.
        path: PathBuf,
        /// The file.
        name: String,
    },
    /// A document is larger than any honest one.
    #[error("`{name}` in `{}` has {size} bytes; at most {limit} are accepted", .path.display())]
    TooLarge {
        /// The folder or archive.
        path: PathBuf,
        /// The file.
        name: String,
        /// Its length.
        size: u64,
        /// The most it may have.
        limit: u64,
    },
}

impl SourceFiles {
    /// Looks through the tar archive at `path` without reading its contents.
    pub fn archive(path: &Path) -> Result<Self, SourceFilesError> {
        let read_error = |source| SourceFilesError::Read { path: path.to_owned(), source };
        let mut file = fs::File::open(path).map_err(read_error)?;
        let length = file.metadata().map_err(read_error)?.len();
        refuse_compressed(path, &mut file).map_err(read_error)??;
        let mut index = ArchiveIndex { path, length, members: BTreeMap::new(), links: BTreeMap::new() };
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek().map_err(read_error)? {
            index.add(&entry.map_err(read_error)?)?;
        }
        Ok(Self::Archive { path: path.to_owned(), members: index.resolve_links()? })
    }

    /// Returns the folder or archive.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive { path, .. } => path,
        }
    }

    /// Returns the length of a file, `None` if there is no regular file of that name.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self {
            Self::Folder(folder) => {
                // Not followed: a link could lead to a device or out of the folder.
                let metadata = fs::symlink_metadata(folder.join(name)).ok()?;
                metadata.is_file().then_some(metadata.len())
            }
            Self::Archive { members, .. } => members.get(name).map(|(_, size)| *size),
        }
    }

    /// Opens a file.
    pub fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, SourceFilesError> {
        let missing = || SourceFilesError::Missing { path: self.path().to_owned(), name: name.to_owned() };
        let size = self.size(name).ok_or_else(missing)?;
        let read_error = |source| SourceFilesError::Read { path: self.path().to_owned(), source };
        match self {
            Self::Folder(folder) => Ok(Box::new(fs::File::open(folder.join(name)).map_err(read_error)?)),
            Self::Archive { path, members } => {
                let (offset, _) = members.get(name).ok_or_else(missing)?;
                let mut file = fs::File::open(path).map_err(read_error)?;
                file.seek(SeekFrom::Start(*offset)).map_err(read_error)?;
                Ok(Box::new(file.take(size)))
            }
        }
    }

    /// Reads a document whole, if it has at most `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, SourceFilesError> {
        let path = || self.path().to_owned();
        let mut bytes = Vec::new();
        let reader = self.open(name)?;
        // One byte more than allowed, whatever a header or the file system claims.
        reader
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| SourceFilesError::Read { path: path(), source })?;
        let size = bytes.len() as u64;
        if size > limit {
            return Err(SourceFilesError::TooLarge { path: path(), name: name.to_owned(), size, limit });
        }
        Ok(bytes)
    }
}

fn refuse_compressed(path: &Path, file: &mut fs::File) -> io::Result<Result<(), SourceFilesError>> {
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let what = match magic.as_slice() {
        [0x1f, 0x8b, ..] => "gzip-compressed (run `gunzip` on it first)",
        [0x28, 0xb5, 0x2f, 0xfd] => "zstd-compressed (run `unzstd` on it first)",
        [] => "empty",
        _ => return Ok(Ok(())),
    };
    Ok(Err(SourceFilesError::NotTar { path: path.to_owned(), what }))
}

struct ArchiveIndex<'a> {
    path: &'a Path,
    length: u64,
    members: BTreeMap<String, (u64, u64)>,
    links: BTreeMap<String, String>,
}

impl ArchiveIndex<'_> {
    fn fail<T>(&self, member: &str, problem: impl Into<String>) -> Result<T, SourceFilesError> {
        let member = member.escape_debug().take(200).collect();
        Err(SourceFilesError::Member { path: self.path.to_owned(), member, problem: problem.into() })
    }

    fn add<R: Read>(&mut self, entry: &tar::Entry<'_, R>) -> Result<(), SourceFilesError> {
        let raw = entry.path_bytes();
        let name = String::from_utf8_lossy(&raw).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name).trim_end_matches('/').to_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || name.is_empty() {
            return Ok(());
        }
        if name.starts_with('/') || name.split('/').any(|part| part == ".." || part.is_empty()) {
            return self.fail(&name, "leads out of the archive");
        }
        if self.members.contains_key(&name) || self.links.contains_key(&name) {
            return self.fail(&name, "is there twice");
        }
        if self.members.len() + self.links.len() >= MEMBER_LIMIT {
            return self.fail(&name, format!("is one more than the {MEMBER_LIMIT} an archive may have"));
        }
        if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = String::from_utf8_lossy(&target).into_owned();
            let base =
                if kind.is_symlink() { name.rsplit_once('/').map_or("", |(base, _)| base) } else { "" };
            let Some(target) = resolve(base, &target) else {
                return self.fail(&name, "links to a place outside of the archive");
            };
            self.links.insert(name, target);
            return Ok(());
        }
        if !kind.is_file() {
            return self.fail(&name, "is neither a file nor a folder nor a link");
        }
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            return self.fail(&name, format!("claims {size} bytes, more than the archive has"));
        }
        self.members.insert(name, (offset, size));
        Ok(())
    }

    /// Gives every link the place of its target; old `docker save` links equal layers to each other.
    fn resolve_links(mut self) -> Result<BTreeMap<String, (u64, u64)>, SourceFilesError> {
        for (name, target) in std::mem::take(&mut self.links) {
            let Some(place) = self.members.get(&target).copied() else {
                return self.fail(&name, "links to a file that is not in the archive");
            };
            self.members.insert(name, place);
        }
        Ok(self.members)
    }
}

/// Follows a relative link from the folder `base`; `None` if it leaves the archive.
fn resolve(base: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
