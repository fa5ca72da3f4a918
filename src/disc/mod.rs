//! ISO 9660 discs, read: whoever wrote them.
//!
//! Names, modes and links are those of Rock Ridge, else names are those of Joliet, else the plain ones as Linux shows
//! them. It shares no code with the writer, and everything is hostile: nothing outside of the file is read, no loop is
//! followed, names are names, and there are bounds on folders, files and the way down.
//!
//! See ECMA-119; for Rock Ridge IEEE P1281 (SUSP) and IEEE P1282 (RRIP).
//!
//! # Why
//! Both forms of a number must agree, which Linux does not ask for: who reads the other one sees another disc.

mod fault;
mod record;
mod rock_ridge;
mod volume;
mod walk;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

pub use fault::DiscFault;

/// The length of a logical block, in all discs that are met.
const BLOCK: u64 = 2048;

/// A disc whose folders were read.
#[derive(Debug)]
pub struct Disc {
    image: Arc<Image>,
    volume_id: String,
    stated_length: u64,
    names: Names,
    entries: Vec<Entry>,
}

/// Whose names a disc's entries have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Those of Rock Ridge: as they were on the writer's Unix.
    RockRidge,
    /// Those of Joliet: at most 64 characters, for Windows.
    Joliet,
    /// Those of ISO 9660 itself, in lower case and without version, as Linux shows them.
    Plain,
}

/// A file, folder or link of a disc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path from the top: `/` between components, no `.`, no `..`, no control characters.
    pub path: String,
    /// The permission bits; only Rock Ridge has them.
    pub mode: Option<u32>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a disc is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File(Content),
    /// A folder.
    Folder,
    /// A symbolic link to this target.
    Link(String),
    /// A device, a FIFO or a socket.
    Special,
}

/// Where the bytes of a file are: one extent after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    extents: Vec<Extent>,
}

/// A run of bytes of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Extent {
    offset: u64,
    length: u64,
}

impl Content {
    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).fold(0, u64::saturating_add)
    }

    /// Returns where it lies in the file, in order: offset and length of each run of bytes.
    pub fn extents(&self) -> impl Iterator<Item = (u64, u64)> {
        self.extents.iter().map(|extent| (extent.offset, extent.length))
    }
}

impl Disc {
    /// Returns whether a file is the image of a disc, by its volume descriptor.
    pub fn is_one(file: &File) -> bool {
        let mut magic = [0; 5];
        file.read_exact_at(&mut magic, 16 * BLOCK + 1).is_ok() && &magic == volume::MAGIC
    }

    /// Reads the folders of the disc in `file`, whose position is not moved.
    pub fn open(file: File) -> Result<Self, DiscFault> {
        let length = file.metadata().map_err(DiscFault::Read)?.len();
        let image = Arc::new(Image { file, length });
        let volume = volume::read(&image)?;
        let (names, entries) = walk::walk(&image, &volume)?;
        let volume::Volume { id, blocks, .. } = volume;
        Ok(Self { image, volume_id: id, stated_length: u64::from(blocks) * BLOCK, names, entries })
    }

    /// Returns the volume identifier, without the blanks after it.
    pub fn volume_id(&self) -> &str {
        &self.volume_id
    }

    /// Returns the length that the disc says it has; the file may have more bytes, a whole one has not fewer.
    pub fn stated_length(&self) -> u64 {
        self.stated_length
    }

    /// Returns the length of the file.
    pub fn length(&self) -> u64 {
        self.image.length
    }

    /// Returns whose names the entries have.
    pub fn names(&self) -> Names {
        self.names
    }

    /// Returns all entries, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the content of the file at `path`, if there is one.
    pub fn file(&self, path: &str) -> Option<&Content> {
        let found = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        match &self.entries[found].kind {
            EntryKind::File(content) => Some(content),
            EntryKind::Folder | EntryKind::Link(_) | EntryKind::Special => None,
        }
    }

    /// Returns a reader of a file's content.
    pub fn open_content(&self, content: &Content) -> impl Read + use<> {
        ContentReader { image: Arc::clone(&self.image), extents: content.extents.clone(), next: 0, read: 0 }
    }
}

/// The file that a disc is in.
#[derive(Debug)]
struct Image {
    file: File,
    length: u64,
}

impl Image {
    /// Returns so many bytes at an offset, which have to be there.
    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, DiscFault> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(DiscFault::Truncated { offset, length });
        }
        let length = usize::try_from(length).map_err(|_| DiscFault::Truncated { offset, length })?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(DiscFault::Read)?;
        Ok(bytes)
    }
}

struct ContentReader {
    image: Arc<Image>,
    extents: Vec<Extent>,
    /// The extent being read, and how much of it was.
    next: usize,
    read: u64,
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(Extent { offset, length }) = self.extents.get(self.next).copied() {
            let left = usize::try_from(length - self.read).unwrap_or(usize::MAX).min(buffer.len());
            if length == self.read {
                (self.next, self.read) = (self.next + 1, 0);
                continue;
            }
            let read = self.image.file.read_at(&mut buffer[..left], offset + self.read)?;
            if read == 0 && left > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.read += read as u64;
            return Ok(read);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
