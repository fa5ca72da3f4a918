//! Where the files of somebody else's tar archive are, found without reading their contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::SourceFilesError;
use crate::archive::untar::{Member, MemberKind, Untar};

/// The most links to links on the way to a file.
const LINK_LIMIT: usize = 40;

/// Each regular file, by its name.
pub(in crate::oci) type Members = BTreeMap<String, Place>;

/// Where a file is within an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::oci) struct Place {
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
    let read_error = |source| SourceFilesError::Read(path.to_owned(), source);
    let length = file.metadata().map_err(read_error)?.len();
    if let Some(what) = other_format(file).map_err(read_error)? {
        return Err(SourceFilesError::NotTar(path.to_owned(), what));
    }
    let mut index = Index { path, length, members: Members::new(), links: BTreeMap::new() };
    let mut archive = Untar::seeking(file);
    let fault = |source| SourceFilesError::Archive(path.to_owned(), source);
    while let Some(member) = archive.next_member().map_err(fault)? {
        index.add(member)?;
    }
    index.resolve_links()
}

/// Recognises what is often given instead of a plain tar archive.
fn other_format(file: &File) -> io::Result<Option<&'static str>> {
    let mut magic = [0; 6];
    let read = file.read_at(&mut magic, 0)?;
    Ok(match &magic[..read] {
        [] => Some("empty"),
        [0x1f, 0x8b, ..] => Some("gzip-compressed"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd-compressed"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("xz-compressed"),
        [b'B', b'Z', b'h', ..] => Some("bzip2-compressed"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4-compressed"),
        _ => None,
    })
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

    fn add(&mut self, member: Member) -> Result<(), SourceFilesError> {
        let Member { path, kind, size, offset } = member;
        match kind {
            MemberKind::Folder | MemberKind::Special => Ok(()),
            MemberKind::File if offset.checked_add(size).is_none_or(|end| end > self.length) => {
                self.fail(path.as_str(), format!("claims {size} bytes, more than the archive has"))
            }
            MemberKind::File => {
                self.members.insert(path.to_string(), Place { offset, size });
                Ok(())
            }
            MemberKind::Link { target, is_symbolic } => {
                match resolve_link(path.as_str(), &target, is_symbolic) {
                    Some(target) => {
                        self.links.insert(path.to_string(), target);
                        Ok(())
                    }
                    None => self.fail(path.as_str(), "links to a place outside of the archive"),
                }
            }
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

/// Returns where the link at `path` leads; `None` if that is outside of the archive.
///
/// A hard link names its target from the top of the archive, a symbolic link from its own folder.
pub(crate) fn resolve_link(path: &str, target: &str, is_symbolic: bool) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let base = path.rsplit_once('/').filter(|_| is_symbolic).map_or("", |(base, _)| base);
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
