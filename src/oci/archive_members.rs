//! Where the files of somebody else's tar archive are, found without reading their contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::source_files::SourceFilesError;

/// The most members an archive may have.
const MEMBER_LIMIT: usize = 200_000;
/// The most bytes of one header with its extensions; an honest one has a few thousand.
const HEADER_LIMIT: usize = 1024 * 1024;
/// The most links to links on the way to a file.
const LINK_LIMIT: usize = 40;

/// Each regular file, by its name.
pub(super) type Members = BTreeMap<String, Place>;

/// Where a file is within an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    offset: u64,
    size: u64,
}

impl Place {
    /// Returns a reader of the file at this place, from a byte of it on; it moves no other one's position.
    pub(super) fn read_from(self, archive: &Arc<File>, from: u64) -> impl Read + Send + use<> {
        let Self { offset, size } = self;
        MemberReader { archive: Arc::clone(archive), offset: offset + from.min(size), end: offset + size }
    }
}

struct MemberReader {
    archive: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.archive.read_at(&mut buffer[..length], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Finds the files of the archive `file`, whose name is `path`.
pub(super) fn find(path: &Path, file: &File) -> Result<Members, SourceFilesError> {
    let read_error = |source| SourceFilesError::Read { path: path.to_owned(), source };
    let length = file.metadata().map_err(read_error)?.len();
    if let Some(what) = other_format(file).map_err(read_error)? {
        return Err(SourceFilesError::NotTar { path: path.to_owned(), what });
    }
    let mut index = Index { path, length, members: Members::new(), links: BTreeMap::new() };
    let mut archive = tar::Archive::new(HeaderReader { file, read: 0 });
    for entry in archive.entries_with_seek().map_err(read_error)? {
        index.add(&entry.map_err(read_error)?)?;
    }
    index.resolve_links()
}

/// Recognises what is often given instead of a plain tar archive.
fn other_format(file: &File) -> io::Result<Option<&'static str>> {
    let mut header = tar::Header::new_old();
    let read = file.read_at(header.as_mut_bytes(), 0)?;
    Ok(match &header.as_bytes()[..read] {
        [] => Some("empty"),
        [0x1f, 0x8b, ..] => Some("gzip-compressed"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd-compressed"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz-compressed"),
        [b'B', b'Z', b'h', ..] => Some("bzip2-compressed"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4-compressed"),
        // The reader of tar quotes what it cannot read, and this may be any file of the machine.
        _ if !is_sound(&header) => Some("something else"),
        _ => None,
    })
}

/// Returns whether a header is one: its sum is that of its bytes, with blanks for the sum. Nothing but zeros ends an archive.
fn is_sound(header: &tar::Header) -> bool {
    let bytes = header.as_bytes();
    let sum: u32 =
        (0..).zip(bytes).map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header.cksum().is_ok_and(|stated| stated == sum) || bytes.iter().all(|byte| *byte == 0)
}

/// Reads headers, between which is sought.
///
/// Long names and PAX headers are taken into memory whole by the reader of tar, however long they are.
struct HeaderReader<'a> {
    file: &'a File,
    read: usize,
}

impl Read for HeaderReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read;
        match self.read > HEADER_LIMIT {
            true => Err(io::Error::other(format!("a header has more than {HEADER_LIMIT} bytes"))),
            false => Ok(read),
        }
    }
}

impl Seek for HeaderReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.read = 0;
        self.file.seek(to)
    }
}

struct Index<'a> {
    path: &'a Path,
    length: u64,
    members: Members,
    links: BTreeMap<String, String>,
}

impl Index<'_> {
    fn fail<T>(&self, member: &str, problem: impl Into<String>) -> Result<T, SourceFilesError> {
        let member = member.escape_debug().take(200).collect();
        Err(SourceFilesError::Member { path: self.path.to_owned(), member, problem: problem.into() })
    }

    fn add<R: Read>(&mut self, entry: &tar::Entry<'_, R>) -> Result<(), SourceFilesError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            return Ok(());
        }
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        if name.split('/').any(|part| ["", ".", ".."].contains(&part)) {
            return self.fail(&name, "is no path within an archive");
        }
        if self.members.contains_key(&name) || self.links.contains_key(&name) {
            return self.fail(&name, "is there twice");
        }
        if self.members.len() + self.links.len() >= MEMBER_LIMIT {
            return self.fail(&name, format!("is one more than the {MEMBER_LIMIT} an archive may have"));
        }
        if kind.is_symlink() || kind.is_hard_link() {
            return self.add_link(name, entry);
        }
        if !kind.is_file() {
            return self.fail(&name, "is neither a file nor a folder nor a link");
        }
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            return self.fail(&name, format!("claims {size} bytes, more than the archive has"));
        }
        self.members.insert(name, Place { offset, size });
        Ok(())
    }

    fn add_link<R: Read>(&mut self, name: String, entry: &tar::Entry<'_, R>) -> Result<(), SourceFilesError> {
        let target = entry.link_name_bytes().unwrap_or_default();
        // A hard link names its target from the top of the archive, a symbolic link from its own folder.
        let is_symlink = entry.header().entry_type().is_symlink();
        let base = name.rsplit_once('/').filter(|_| is_symlink).map_or("", |(base, _)| base);
        match resolve_link(base, &String::from_utf8_lossy(&target)) {
            Some(target) => {
                self.links.insert(name, target);
                Ok(())
            }
            None => self.fail(&name, "links to a place outside of the archive"),
        }
    }

    /// Gives every link the place of its target; old `docker save` links equal layers to each other.
    fn resolve_links(self) -> Result<Members, SourceFilesError> {
        let mut all = self.members.clone();
        for name in self.links.keys() {
            let mut targets = std::iter::successors(self.links.get(name), |target| self.links.get(*target));
            let target = targets.by_ref().take(LINK_LIMIT).find_map(|target| self.members.get(target));
            match target {
                Some(place) => all.insert(name.clone(), *place),
                None => return self.fail(name, "links to a file that is not in the archive"),
            };
        }
        Ok(all)
    }
}

/// Follows a relative link from the folder `base`; `None` if it leaves the archive.
pub(crate) fn resolve_link(base: &str, target: &str) -> Option<String> {
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
