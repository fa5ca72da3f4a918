//! Where everything lies, decided before the first byte is written.
//!
//! ```text
//! block 0..16   the system area, zeros
//!       16..19  primary descriptor, Joliet descriptor, terminator
//!       19..    path tables: primary L, primary M, Joliet L, Joliet M
//!               primary directories, each followed by its continuation area
//!               Joliet directories
//!               file contents
//!               150 blocks of zeros, which drives that read ahead may touch
//! ```
//!
//! Sizes do not depend on positions, so a volume whose positions are all zero is measured first.

use super::directory::DirectoryExtent;
use super::encode::{BLOCK, blocks};
use super::hierarchy::Hierarchy;
use super::view::{PerView, Place, VIEWS};
use super::{IsoError, Volume, path_table};

/// The blocks after the last file; Linux and drives read ahead.
pub(super) const TRAILING_BLOCKS: u32 = 150;
const FIRST_FREE_BLOCK: u64 = 19;

/// Where the path tables of one tree are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PathTables {
    /// The length of each of the two, in bytes.
    pub(super) length: u32,
    pub(super) little_endian: u32,
    pub(super) big_endian: u32,
}

impl Place {
    /// Returns the block after the directory, where its continuation area begins.
    pub(super) fn end(self) -> u32 {
        self.block + self.length / BLOCK as u32
    }
}

/// All positions of a volume.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) tables: PerView<PathTables>,
    pub(super) directories: PerView<Vec<Place>>,
    /// The first block of each file; 0 for an empty one.
    pub(super) files: Vec<u32>,
    /// The blocks of the whole volume.
    pub(super) blocks: u32,
}

impl Layout {
    /// Returns a layout with all positions zero, to measure with.
    pub(super) fn unplaced(hierarchy: &Hierarchy) -> Self {
        let directories = vec![Place::default(); hierarchy.directories.len()];
        Self {
            tables: PerView::default(),
            directories: PerView { primary: directories.clone(), joliet: directories },
            files: vec![0; hierarchy.files.len()],
            blocks: 0,
        }
    }

    /// Decides where everything of `volume`, whose own layout is not looked at, goes.
    pub(super) fn of(volume: &Volume) -> Result<Self, IsoError> {
        let mut layout = Self::unplaced(&volume.hierarchy);
        let mut cursor = Cursor { next: FIRST_FREE_BLOCK };
        for view in VIEWS {
            let length = path_table::length(&volume.hierarchy, view);
            let little_endian = cursor.take(length)?;
            let big_endian = cursor.take(length)?;
            let length = u32::try_from(length).map_err(|_| IsoError::VolumeTooLarge)?;
            *layout.tables.of_mut(view) = PathTables { length, little_endian, big_endian };
        }
        for view in VIEWS {
            for (index, place) in layout.directories.of_mut(view).iter_mut().enumerate() {
                let DirectoryExtent { records, continuation } = volume.directory(view, index);
                let length = u32::try_from(records.len()).map_err(|_| IsoError::VolumeTooLarge)?;
                *place = Place { block: cursor.take(records.len() as u64)?, length };
                cursor.take(continuation.len() as u64)?;
            }
        }
        for (block, file) in layout.files.iter_mut().zip(&volume.hierarchy.files) {
            if file.content.size() > 0 {
                *block = cursor.take(file.content.size())?;
            }
        }
        cursor.take(u64::from(TRAILING_BLOCKS) * BLOCK as u64)?;
        layout.blocks = u32::try_from(cursor.next).map_err(|_| IsoError::VolumeTooLarge)?;
        Ok(layout)
    }
}

/// Hands out blocks in order.
struct Cursor {
    next: u64,
}

impl Cursor {
    /// Returns the first of the next blocks that hold `bytes`.
    fn take(&mut self, bytes: u64) -> Result<u32, IsoError> {
        let first = u32::try_from(self.next).map_err(|_| IsoError::VolumeTooLarge)?;
        self.next += blocks(bytes);
        Ok(first)
    }
}
