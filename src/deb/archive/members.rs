//! The tar archives inside packages, as dpkg reads them: confined, bounded, with members of known kinds.

use std::io::{self, Read};

use tar::{Entry, EntryType};

use super::InvalidPackage;
use crate::archive::Bounded;
use crate::deb::name::excerpt;
use crate::deb::packing::Packing;

/// The longest path; `PATH_MAX` of Linux.
const LONGEST_PATH: u64 = 4096;

/// The kinds of members that dpkg installs.
const KINDS: [EntryType; 7] = [
    EntryType::Regular,
    EntryType::Link,
    EntryType::Symlink,
    EntryType::Char,
    EntryType::Block,
    EntryType::Directory,
    EntryType::Fifo,
];

/// A member of a package that is a tar archive.
pub(super) struct TarMember {
    pub(super) name: String,
    pub(super) packing: Packing,
}

/// A member of such an archive.
pub(super) struct Member<'input> {
    /// The path in the package, without `./` before it and a slash after it.
    pub(super) path: String,
    /// The length of a regular file; `None` for anything else.
    pub(super) file_size: Option<u64>,
    pub(super) content: &'input mut dyn Read,
}

impl TarMember {
    /// Calls `visit` with every member, and never unpacks more than `limit` bytes.
    ///
    /// PAX headers are refused, as dpkg does; those of GNU for long names are read.
    pub(super) fn visit(
        &self,
        packed: impl Read,
        limit: u64,
        mut visit: impl FnMut(Member<'_>) -> io::Result<()>,
    ) -> Result<(), InvalidPackage> {
        let unpack = |source| InvalidPackage::Unpack { member: self.name.clone(), source };
        let mut input = Bounded::new(self.packing.open(packed).map_err(unpack)?, limit);
        let visited = self.visit_tar(&mut input, &mut visit);
        // To the end: only there stand the checksums of what was compressed.
        let drained = visited.and_then(|()| io::copy(&mut input, &mut io::sink()).map_err(unpack));
        match input.is_exceeded() {
            true => Err(InvalidPackage::TooLarge { member: self.name.clone(), limit }),
            false => drained.map(drop),
        }
    }

    fn visit_tar(
        &self,
        input: &mut impl Read,
        visit: &mut dyn FnMut(Member<'_>) -> io::Result<()>,
    ) -> Result<(), InvalidPackage> {
        let unpack = |source| InvalidPackage::Unpack { member: self.name.clone(), source };
        let mut archive = tar::Archive::new(input);
        let (mut long_path, mut long_target) = (None, None);
        // Raw: else long names of any length would be read into memory.
        for entry in archive.entries().map_err(unpack)?.raw(true) {
            let mut entry = entry.map_err(unpack)?;
            let kind = entry.header().entry_type();
            if kind == EntryType::GNULongName {
                long_path = Some(self.long_name(&mut entry)?);
                continue;
            }
            if kind == EntryType::GNULongLink {
                long_target = Some(self.long_name(&mut entry)?);
                continue;
            }
            if !KINDS.contains(&kind) {
                return Err(self.unknown_kind(&entry));
            }
            let path = long_path.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let target = long_target.take().or_else(|| entry.link_name_bytes().map(Into::into));
            // A symbolic link points where it will; a hard link to a file of the package.
            if kind == EntryType::Link {
                self.confined(&target.unwrap_or_default())?;
            }
            let file_size = (kind == EntryType::Regular).then_some(entry.size());
            let path = self.confined(&path)?;
            visit(Member { path, file_size, content: &mut entry }).map_err(unpack)?;
        }
        Ok(())
    }

    /// Reads the name that is the content of an entry of GNU's, and ends with a NUL.
    fn long_name(&self, entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, InvalidPackage> {
        let mut name = Vec::new();
        let unpack = |source| InvalidPackage::Unpack { member: self.name.clone(), source };
        entry.take(LONGEST_PATH + 1).read_to_end(&mut name).map_err(unpack)?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        match name.len() as u64 <= LONGEST_PATH {
            true => Ok(name),
            false => Err(self.escape(&name)),
        }
    }

    /// Returns a path without `./` and a slash at its end, if it stays inside of the package.
    fn confined(&self, path: &[u8]) -> Result<String, InvalidPackage> {
        let text = String::from_utf8_lossy(path);
        let inside = text.strip_prefix("./").unwrap_or(&text);
        let is_inside = !inside.starts_with('/') && inside.split('/').all(|component| component != "..");
        match is_inside && !path.is_empty() && !path.contains(&0) {
            true => Ok(inside.trim_end_matches('/').to_owned()),
            false => Err(self.escape(path)),
        }
    }

    fn escape(&self, path: &[u8]) -> InvalidPackage {
        let path = excerpt(&String::from_utf8_lossy(path));
        InvalidPackage::Path { member: self.name.clone(), path }
    }

    fn unknown_kind(&self, entry: &Entry<'_, impl Read>) -> InvalidPackage {
        let path = excerpt(&String::from_utf8_lossy(&entry.path_bytes()));
        let kind = char::from(entry.header().entry_type().as_byte());
        InvalidPackage::Kind { member: self.name.clone(), path, kind }
    }
}
