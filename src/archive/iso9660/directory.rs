//! Directory records (ECMA-119, 9.1): the content of one directory in one tree.

use super::Volume;
use super::encode::{BLOCK, both_u16, both_u32, room_in_block, short_date};
use super::hierarchy::{Child, Directory, Kind};
use super::susp::{self, ContinuationArea, Field};
use super::view::{Place, View};
use crate::epoch::Epoch;

const RECORD_LIMIT: usize = 254;
const FIXED_LENGTH: usize = 33;
const FLAG_DIRECTORY: u8 = 0x02;
const FLAG_MORE_SECTIONS: u8 = 0x80;
/// The largest multiple of the block size that a record's 32-bit length can hold.
const SECTION_LIMIT: u64 = 0xFFFF_F800;

const CURRENT: &[u8] = &[0];
const PARENT: &[u8] = &[1];

/// One directory, encoded.
#[derive(Debug)]
pub(super) struct DirectoryExtent {
    /// The records, padded to whole blocks.
    pub(super) records: Vec<u8>,
    /// What lies behind them, padded to whole blocks; empty in the Joliet tree.
    pub(super) continuation: Vec<u8>,
}

/// What a record points to.
#[derive(Debug, Clone, Copy)]
struct Section {
    block: u32,
    length: u32,
    flags: u8,
}

impl From<Place> for Section {
    fn from(place: Place) -> Self {
        Self { block: place.block, length: place.length, flags: FLAG_DIRECTORY }
    }
}

impl Volume {
    /// Encodes the directory `index` in the tree `view`.
    pub(super) fn directory(&self, view: View, index: usize) -> DirectoryExtent {
        let directory = &self.hierarchy.directories[index];
        let places = self.layout.directories.of(view);
        let area = ContinuationArea::starting_at(places[index].end());
        let mut records = Records { view, epoch: self.epoch, bytes: Vec::new(), area };
        records.push(CURRENT, places[index].into(), &self.fields_of_current(index));
        let parent = &self.hierarchy.directories[directory.parent];
        records.push(PARENT, places[directory.parent].into(), &self.fields_of_directory(parent));
        for child in children(directory, view) {
            let fields = self.fields_of_child(child);
            for section in self.sections(child, view) {
                records.push(identifier(child, view), section, &fields);
            }
        }
        records.finish()
    }

    /// Returns the record of the root directory that a volume descriptor holds (8.4.18).
    pub(super) fn root_record(&self, view: View) -> Vec<u8> {
        record(CURRENT, self.layout.directories.of(view)[0].into(), self.epoch, &[])
    }

    /// Returns the pieces of a child: files of 4 GiB and more have several (6.5.1).
    fn sections(&self, child: &Child, view: View) -> Vec<Section> {
        match child.kind {
            Kind::Directory(index) => vec![self.layout.directories.of(view)[index].into()],
            Kind::Symlink(..) => vec![Section { block: 0, length: 0, flags: 0 }],
            Kind::File(index) => {
                sections(self.layout.files[index], self.hierarchy.files[index].content.size())
            }
        }
    }

    fn fields_of_current(&self, index: usize) -> Vec<Field> {
        let mut fields = self.fields_of_directory(&self.hierarchy.directories[index]);
        if index == 0 {
            // The reference is long and comes last, so that only it moves to the continuation area: libarchive
            // must find the others here, or it takes the volume for one without Rock Ridge.
            fields.insert(0, susp::sharing_protocol());
            fields.push(susp::extension_reference());
        }
        fields
    }

    fn fields_of_directory(&self, directory: &Directory) -> Vec<Field> {
        vec![susp::directory(directory.mode, directory.subdirectories), susp::timestamps(self.epoch)]
    }

    fn fields_of_child(&self, child: &Child) -> Vec<Field> {
        let (posix, target) = match &child.kind {
            Kind::Directory(index) => {
                let directory = &self.hierarchy.directories[*index];
                (susp::directory(directory.mode, directory.subdirectories), Vec::new())
            }
            Kind::File(index) => (susp::regular(self.hierarchy.files[*index].mode), Vec::new()),
            Kind::Symlink(target) => (susp::symlink(), susp::target(target)),
        };
        [vec![posix, susp::timestamps(self.epoch)], susp::name(&child.name), target].concat()
    }
}

/// Returns the entries that a tree shows, in the order that it prescribes.
pub(super) fn children(directory: &Directory, view: View) -> Vec<&Child> {
    let is_shown = |child: &&Child| match (view, &child.kind) {
        (View::Primary, _) | (View::Joliet, Kind::Directory(_) | Kind::File(_)) => true,
        // Joliet has no symbolic links; an empty file in their place would lie.
        (View::Joliet, Kind::Symlink(..)) => false,
    };
    let mut children: Vec<_> = directory.children.iter().filter(is_shown).collect();
    children.sort_by(|one, other| match view {
        View::Primary => {
            primary_order(&one.identifiers.primary).cmp(&primary_order(&other.identifiers.primary))
        }
        View::Joliet => one.identifiers.joliet.cmp(&other.identifiers.joliet),
    });
    children
}

/// Returns the parts of a name that are compared one after the other (9.3); all versions are 1.
fn primary_order(identifier: &[u8]) -> (&[u8], &[u8]) {
    let name = identifier.strip_suffix(b";1").unwrap_or(identifier);
    name.split_at(name.iter().position(|&byte| byte == b'.').unwrap_or(name.len()))
}

fn identifier(child: &Child, view: View) -> &[u8] {
    match view {
        View::Primary => &child.identifiers.primary,
        View::Joliet => &child.identifiers.joliet,
    }
}

fn sections(first_block: u32, size: u64) -> Vec<Section> {
    let mut sections = Vec::new();
    let (mut block, mut left) = (first_block, size);
    while left > SECTION_LIMIT {
        let length = u32::try_from(SECTION_LIMIT).expect("the limit has 32 bits");
        sections.push(Section { block, length, flags: FLAG_MORE_SECTIONS });
        block = block.wrapping_add(length / BLOCK as u32);
        left -= SECTION_LIMIT;
    }
    let length = u32::try_from(left).expect("what is left is below the limit");
    sections.push(Section { block, length, flags: 0 });
    sections
}

fn record(identifier: &[u8], section: Section, epoch: Epoch, system_use: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both_u32(section.block));
    record.extend(both_u32(section.length));
    record.extend(short_date(epoch));
    record.extend([section.flags, 0, 0]);
    record.extend(both_u16(1));
    record.push(u8::try_from(identifier.len()).expect("identifiers are at most 128 bytes"));
    record.extend(identifier);
    pad_to_even(&mut record);
    record.extend(system_use);
    pad_to_even(&mut record);
    record[0] = u8::try_from(record.len()).expect("a record is at most 254 bytes");
    record
}

fn pad_to_even(record: &mut Vec<u8>) {
    if record.len() % 2 == 1 {
        record.push(0);
    }
}

/// The records of a directory, as they are put together.
struct Records {
    view: View,
    epoch: Epoch,
    bytes: Vec<u8>,
    area: ContinuationArea,
}

impl Records {
    fn push(&mut self, identifier: &[u8], section: Section, fields: &[Field]) {
        let system_use = match self.view {
            View::Primary => {
                let used = (FIXED_LENGTH + identifier.len()).next_multiple_of(2);
                self.area.place(fields, RECORD_LIMIT - used)
            }
            View::Joliet => Vec::new(),
        };
        let record = record(identifier, section, self.epoch, &system_use);
        // No record crosses a block (6.8.1.1).
        if record.len() > room_in_block(self.bytes.len()) {
            pad_to_block(&mut self.bytes);
        }
        self.bytes.extend(record);
    }

    fn finish(mut self) -> DirectoryExtent {
        pad_to_block(&mut self.bytes);
        let mut continuation = self.area.into_bytes();
        pad_to_block(&mut continuation);
        DirectoryExtent { records: self.bytes, continuation }
    }
}

fn pad_to_block(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_cut_into_sections_of_whole_blocks() {
        let shape = |size| {
            sections(100, size)
                .iter()
                .map(|section| (section.block, section.length, section.flags))
                .collect::<Vec<_>>()
        };
        assert_eq!(shape(0), [(100, 0, 0)]);
        assert_eq!(shape(SECTION_LIMIT), [(100, 0xFFFF_F800, 0)]);
        assert_eq!(shape(SECTION_LIMIT + 1), [(100, 0xFFFF_F800, 0x80), (100 + 0x1F_FFFF, 1, 0)]);
        assert_eq!(shape(2 * SECTION_LIMIT).len(), 2);
        assert_eq!(shape(2 * SECTION_LIMIT + 1).len(), 3);
    }

    #[test]
    fn names_are_ordered_before_their_extensions() {
        let mut names = ["A1.B;1", "A.1;1", "A.;1", "A_.;1", "A"];
        names.sort_by(|one, other| primary_order(one.as_bytes()).cmp(&primary_order(other.as_bytes())));
        assert_eq!(names, ["A", "A.;1", "A.1;1", "A1.B;1", "A_.;1"]);
    }
}
