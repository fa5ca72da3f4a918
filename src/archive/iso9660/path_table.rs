//! Path tables (ECMA-119, 9.4): every directory in a flat list, breadth first, for readers that seek slowly.

use std::collections::VecDeque;

use super::Volume;
use super::directory::children;
use super::hierarchy::{Directory, Hierarchy, Kind};
use super::view::View;

/// The byte order of one table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endian {
    /// The L table.
    Little,
    /// The M table.
    Big,
}

/// Returns the length of a table in bytes.
pub(super) fn length(hierarchy: &Hierarchy, view: View) -> u64 {
    let record = |directory: &Directory| 8 + identifier(directory, view).len().next_multiple_of(2) as u64;
    hierarchy.directories.iter().map(record).sum()
}

impl Volume {
    /// Encodes a path table.
    pub(super) fn path_table(&self, view: View, endian: Endian) -> Vec<u8> {
        let mut table = Vec::new();
        for (index, parent_number) in self.breadth_first(view) {
            let identifier = identifier(&self.hierarchy.directories[index], view);
            let block = self.layout.directories.of(view)[index].block;
            table.push(u8::try_from(identifier.len()).expect("identifiers are at most 128 bytes"));
            table.push(0);
            match endian {
                Endian::Little => {
                    table.extend(block.to_le_bytes());
                    table.extend(parent_number.to_le_bytes());
                }
                Endian::Big => {
                    table.extend(block.to_be_bytes());
                    table.extend(parent_number.to_be_bytes());
                }
            }
            table.extend(identifier);
            table.resize(table.len().next_multiple_of(2), 0);
        }
        table
    }

    /// Returns the directories by level, and by identifier in each, with their parents' numbers from 1.
    fn breadth_first(&self, view: View) -> Vec<(usize, u16)> {
        let mut ordered = Vec::new();
        let mut queue = VecDeque::from([(0, 1)]);
        while let Some((index, parent_number)) = queue.pop_front() {
            ordered.push((index, parent_number));
            let number = u16::try_from(ordered.len()).expect("a volume has at most 65535 directories");
            for child in children(&self.hierarchy.directories[index], view) {
                match child.kind {
                    Kind::Directory(index) => queue.push_back((index, number)),
                    Kind::File(_) | Kind::Symlink(..) => {}
                }
            }
        }
        ordered
    }
}

/// Returns the identifier; the root's is one zero byte.
fn identifier(directory: &Directory, view: View) -> &[u8] {
    let identifier = match view {
        View::Primary => &directory.identifiers.primary,
        View::Joliet => &directory.identifiers.joliet,
    };
    if identifier.is_empty() { &[0] } else { identifier }
}
