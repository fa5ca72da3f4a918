//! From the top folder down to every file.

use std::collections::{BTreeMap, BTreeSet};

use super::record::Record;
use super::rock_ridge::{self, Fields};
use super::volume::{Root, Volume};
use super::{BLOCK, Content, DiscFault, Entry, EntryKind, Extent, Image, Names};
use crate::tree::{LONGEST_PATH, TreePath};

/// The most entries of a disc.
pub(super) const MOST_ENTRIES: usize = 200_000;
/// The deepest folder.
pub(super) const DEEPEST: usize = 256;
/// The most bytes of all folders together; those of so many entries have fewer.
const MOST_FOLDER_BYTES: u64 = 128 << 20;

/// The kinds of a file in the mode of `PX`, as in POSIX.
const KIND: u32 = 0o170_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_LINK: u32 = 0o120_000;
const KIND_FOLDER: u32 = 0o040_000;

/// Returns everything below the top, sorted by path, and whose names it has.
pub(super) fn walk(image: &Image, volume: &Volume) -> Result<(Names, Vec<Entry>), DiscFault> {
    let top = image.bytes(volume.root.offset, BLOCK.min(u64::from(volume.root.length)))?;
    let length = usize::from(top.first().copied().unwrap_or_default());
    let first = top.get(..length).and_then(|record| Record::parse(record).ok());
    let skip = first.and_then(|record| rock_ridge::skip_of(record.system_use));
    let (names, root) = match (skip, volume.joliet) {
        (Some(_), _) => (Names::RockRidge, volume.root),
        (None, Some(joliet)) => (Names::Joliet, joliet),
        (None, None) => (Names::Plain, volume.root),
    };
    let mut walk = Walk {
        image,
        names,
        skip: skip.unwrap_or_default(),
        entries: BTreeMap::new(),
        folders: BTreeSet::new(),
        folder_bytes: 0,
        open: vec![Open { path: String::new(), root, depth: 0 }],
    };
    while let Some(folder) = walk.open.pop() {
        walk.folder(&folder)?;
    }
    let entries = walk.entries.into_iter().map(|(path, (mode, kind))| Entry { path, mode, kind });
    Ok((names, entries.collect()))
}

/// A folder that is still to be read.
struct Open {
    path: String,
    root: Root,
    depth: usize,
}

/// A file whose last record is still to come.
struct Pending {
    identifier: Vec<u8>,
    extents: Vec<Extent>,
}

struct Walk<'a> {
    image: &'a Image,
    names: Names,
    /// What comes before the fields of Rock Ridge.
    skip: usize,
    entries: BTreeMap<String, (Option<u32>, EntryKind)>,
    /// Where the folders are that were read, or will be.
    folders: BTreeSet<u64>,
    folder_bytes: u64,
    open: Vec<Open>,
}

/// A record with what Rock Ridge says of it.
struct Described<'a> {
    record: Record<'a>,
    fields: Fields,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Open) -> Result<(), DiscFault> {
        let Open { path, root, depth } = folder;
        if !self.folders.insert(root.offset) {
            return Err(DiscFault::Loop(path.clone()));
        }
        if *depth > DEEPEST {
            return Err(DiscFault::TooDeep);
        }
        self.folder_bytes += u64::from(root.length);
        if self.folder_bytes > MOST_FOLDER_BYTES {
            return Err(DiscFault::TooMany);
        }
        let bytes = self.image.bytes(root.offset, u64::from(root.length))?;
        let mut pending = None;
        let mut position = 0;
        while position < bytes.len() {
            let length = usize::from(bytes[position]);
            if length == 0 {
                // Records do not cross blocks: the next one is in the next.
                position = (position + 1).next_multiple_of(usize::try_from(BLOCK).expect("2048 fits"));
                continue;
            }
            let fault = |problem| DiscFault::Record {
                folder: path.clone(),
                offset: root.offset + position as u64,
                problem,
            };
            let record =
                bytes.get(position..position + length).ok_or_else(|| fault("is longer than the folder"))?;
            let record = Record::parse(record).map_err(fault)?;
            if !record.is_dot() && !record.is_associated {
                let fields = self.fields(&record)?.map_err(fault)?;
                self.entry(folder, Described { record, fields }, &mut pending)?.map_err(fault)?;
            }
            position += length;
        }
        match pending {
            None => Ok(()),
            Some(Pending { .. }) => {
                let offset = root.offset + bytes.len() as u64;
                Err(DiscFault::Record { folder: path.clone(), offset, problem: "is missing: a file goes on" })
            }
        }
    }

    fn fields(&self, record: &Record<'_>) -> Result<Result<Fields, &'static str>, DiscFault> {
        match self.names {
            Names::RockRidge => {
                rock_ridge::read(self.image, record.system_use.get(self.skip..).unwrap_or_default())
            }
            Names::Joliet | Names::Plain => Ok(Ok(Fields::default())),
        }
    }

    /// Takes in one record; the inner error is what is wrong with it.
    fn entry(
        &mut self,
        folder: &Open,
        described: Described<'_>,
        pending: &mut Option<Pending>,
    ) -> Result<Result<(), &'static str>, DiscFault> {
        let Described { record, fields } = described;
        if fields.is_relocated {
            return Ok(Ok(()));
        }
        if fields.is_encoded {
            return Ok(Err("is of a file that is compressed or sparse within the disc, which is not read"));
        }
        let path = self.path(&folder.path, &record, &fields)?;
        let mut extents = match pending.take() {
            None => Vec::new(),
            Some(begun) if begun.identifier == record.identifier => begun.extents,
            Some(_) => return Ok(Err("comes before the rest of a file")),
        };
        let is_begun = !extents.is_empty();
        let kind_of_mode = fields.mode.map(|mode| mode & KIND);
        let child = fields.child.map(|block| self.elsewhere(block)).transpose()?;
        let kind = match (child, kind_of_mode, record.is_folder) {
            (Some(root), ..) => {
                self.open.push(Open { path: path.clone(), root, depth: folder.depth + 1 });
                EntryKind::Folder
            }
            (None, None | Some(KIND_FOLDER), true) => {
                let root = Root { offset: record.offset, length: record.length };
                self.open.push(Open { path: path.clone(), root, depth: folder.depth + 1 });
                EntryKind::Folder
            }
            (None, Some(KIND_LINK), false) => {
                let target = fields.target.unwrap_or_default();
                EntryKind::Link(String::from_utf8_lossy(&target).into_owned())
            }
            (None, None | Some(KIND_FILE), false) => {
                if record.length > 0 {
                    extents.push(self.extent(&record)?);
                }
                if record.has_more {
                    *pending = Some(Pending { identifier: record.identifier.to_vec(), extents });
                    return Ok(Ok(()));
                }
                EntryKind::File(Content { extents })
            }
            (None, Some(KIND_FOLDER), false) | (None, Some(_), true) => {
                return Ok(Err("is of a folder for one reader and of none for another"));
            }
            (None, Some(_), false) => EntryKind::Special,
        };
        if is_begun && !matches!(kind, EntryKind::File(_)) {
            return Ok(Err("comes before the rest of a file"));
        }
        let mode = fields.mode.map(|mode| mode & 0o7777);
        if self.entries.insert(path.clone(), (mode, kind)).is_some() {
            return Err(DiscFault::Duplicate(path));
        }
        if self.entries.len() > MOST_ENTRIES { Err(DiscFault::TooMany) } else { Ok(Ok(())) }
    }

    fn extent(&self, record: &Record<'_>) -> Result<Extent, DiscFault> {
        let (offset, length) = (record.offset, u64::from(record.length));
        if offset.checked_add(length).is_none_or(|end| end > self.image.length) {
            return Err(DiscFault::Truncated { offset, length });
        }
        Ok(Extent { offset, length })
    }

    /// Returns the folder at a block, whose own first record says how long it is.
    fn elsewhere(&self, block: u32) -> Result<Root, DiscFault> {
        let offset = u64::from(block) * BLOCK;
        let fault = |problem| DiscFault::Record { folder: String::new(), offset, problem };
        let bytes = self.image.bytes(offset, BLOCK)?;
        let record = bytes.get(..usize::from(bytes[0])).ok_or_else(|| fault("is longer than a block"))?;
        let record = Record::parse(record).map_err(fault)?;
        if !record.is_folder || record.identifier != [0] || record.offset != offset {
            return Err(fault("is not the first one of a folder"));
        }
        Ok(Root { offset, length: record.length })
    }

    fn path(&self, folder: &str, record: &Record<'_>, fields: &Fields) -> Result<String, DiscFault> {
        let name = match (self.names, &fields.name) {
            (Names::RockRidge, Some(name)) => String::from_utf8_lossy(name).into_owned(),
            (Names::RockRidge | Names::Plain, _) => plain_name(record.identifier),
            (Names::Joliet, _) => joliet_name(record.identifier),
        };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if name.contains('/') || path.len() > LONGEST_PATH || path.parse::<TreePath>().is_err() {
            return Err(DiscFault::Name {
                folder: folder.to_owned(),
                name: name.chars().take(200).flat_map(char::escape_debug).collect(),
            });
        }
        Ok(path)
    }
}

/// Returns a name as Linux shows it: in lower case, without version and a dot that ends it.
fn plain_name(identifier: &[u8]) -> String {
    let text: String = identifier.iter().map(|byte| char::from(*byte).to_ascii_lowercase()).collect();
    without_version(&text).trim_end_matches('.').to_owned()
}

/// Returns a name in big-endian UCS-2, without version.
fn joliet_name(identifier: &[u8]) -> String {
    let units = identifier.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let text: String =
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    without_version(&text).to_owned()
}

fn without_version(name: &str) -> &str {
    match name.rsplit_once(';') {
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => name,
    }
}
