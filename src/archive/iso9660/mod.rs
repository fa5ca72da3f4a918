//! ISO 9660 volumes: a seed's medium, which cloud-init, Linux and Windows read without further tools.
//!
//! Writes ECMA-119 level 3 (files of any size, in several extents), with Rock Ridge 1991A (names, modes,
//! symbolic links) for Linux and Joliet for Windows. [`plan`] decides every position and knows the exact
//! size; [`Plan::write`] then goes from the first byte to the last. File contents are left to the kernel
//! where the output is a file; one directory at a time is in memory.
//!
//! It does not write boot records, relocated directories (deep trees are read well without), sessions or UDF:
//! a volume with UDF descriptors probes as `udf`, and cloud-init does not look there.
//!
//! Whatever a reader would cut or hide is an [`IsoError`]. Names that only Joliet cannot hold are changed in
//! the Joliet tree alone; see the module `names`.
//!
//! # Why
//! No tool and no crate was reproducible, streaming, beyond 4 GiB and dependable at once; xorriso judges the
//! result in the tests. The depth of ECMA-119 (8 levels) is not kept: no reader insists on it, and the
//! prescribed relocation leaves a directory `rr_moved` in everyone's sight.

mod descriptor;
mod directory;
mod encode;
mod hierarchy;
mod layout;
mod names;
mod path_table;
mod susp;
mod view;
mod volume_id;

use std::io::{self, Write};

use crate::archive::content::{self, ContentError};
use crate::epoch::Epoch;
use crate::tree::{FileTree, TreePath};
use encode::BLOCK;
use hierarchy::Hierarchy;
use layout::{Layout, TRAILING_BLOCKS};
use path_table::Endian;
use view::{VIEWS, View};

pub use volume_id::{InvalidVolumeId, VolumeId};

/// The zeros before the first descriptor.
const SYSTEM_AREA: usize = 16 * BLOCK;

/// What a volume is made with, besides its files.
#[derive(Debug, Clone)]
pub struct Options {
    /// The label under which the volume is found.
    pub volume_id: VolumeId,
    /// The time of everything in it.
    pub epoch: Epoch,
}

/// Says why a tree does not become a volume.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// Linux would cut the name.
    #[error("the name of `{0}` has {1} bytes: Linux reads at most 253 from an ISO image")]
    NameTooLong(TreePath, usize),
    /// Some reader would not get there.
    #[error(
        "`{path}` is {depth} levels deep and {length} bytes long: an ISO image is read to 255 levels and 4095 bytes"
    )]
    PathTooLong {
        /// The entry.
        path: TreePath,
        /// The length of the path in bytes.
        length: usize,
        /// The number of its components.
        depth: usize,
    },
    /// The target of a symbolic link cannot be stored.
    #[error("the target of the symbolic link `{0}` does not fit an ISO image: {1}")]
    InvalidTarget(TreePath, &'static str),
    /// A mode has more than permission bits.
    #[error("the mode {1:o} of `{0}` is more than permission bits")]
    InvalidMode(TreePath, u32),
    /// Directories are numbered with 16 bits.
    #[error("an ISO image holds at most 65535 directories, not {0}")]
    TooManyDirectories(usize),
    /// Blocks are numbered with 32 bits.
    #[error("an ISO image holds less than 8 TiB")]
    VolumeTooLarge,
    /// A file did not get in.
    #[error("cannot write `{0}` into the ISO image")]
    Content(TreePath, #[source] ContentError),
    /// The rest did not get in.
    #[error("cannot write the ISO image")]
    Write(#[source] io::Error),
}

/// A volume whose every byte but the files' is decided.
#[derive(Debug)]
pub struct Plan {
    volume: Volume,
}

/// A tree, and where each part of it lies.
#[derive(Debug)]
struct Volume {
    volume_id: VolumeId,
    epoch: Epoch,
    hierarchy: Hierarchy,
    layout: Layout,
}

/// Decides where everything of `tree` will lie; reads no file.
pub fn plan(tree: &FileTree, options: &Options) -> Result<Plan, IsoError> {
    let Options { volume_id, epoch } = options.clone();
    let hierarchy = Hierarchy::of(tree)?;
    let layout = Layout::unplaced(&hierarchy);
    let mut volume = Volume { volume_id, epoch, hierarchy, layout };
    volume.layout = Layout::of(&volume)?;
    Ok(Plan { volume })
}

impl Plan {
    /// Returns how many bytes [`Plan::write`] will write.
    pub fn size(&self) -> u64 {
        u64::from(self.volume.layout.blocks) * BLOCK as u64
    }

    /// Writes the volume from its first byte to its last.
    ///
    /// With a [`std::fs::File`] as output the kernel copies the files' contents.
    ///
    /// # Errors
    /// If a file cannot be read, or its size is no longer the planned one; what was written so far is useless.
    pub fn write<W: Write>(&self, output: &mut W) -> Result<(), IsoError> {
        self.volume.write_metadata(output).map_err(IsoError::Write)?;
        for file in &self.volume.hierarchy.files {
            content::copy(&file.content, output)
                .map_err(|source| IsoError::Content(file.path.clone(), source))?;
            content::pad(file.content.size(), BLOCK, output).map_err(IsoError::Write)?;
        }
        let end = vec![0; TRAILING_BLOCKS as usize * BLOCK];
        output.write_all(&end).and_then(|()| output.flush()).map_err(IsoError::Write)
    }
}

impl Volume {
    /// Writes everything before the files, in the order of the [`Layout`].
    fn write_metadata(&self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&[0; SYSTEM_AREA])?;
        output.write_all(&self.descriptor(View::Primary))?;
        output.write_all(&self.descriptor(View::Joliet))?;
        output.write_all(&descriptor::terminator())?;
        for view in VIEWS {
            for endian in [Endian::Little, Endian::Big] {
                let table = self.path_table(view, endian);
                output.write_all(&table)?;
                content::pad(table.len() as u64, BLOCK, output)?;
            }
        }
        for view in VIEWS {
            for index in 0..self.hierarchy.directories.len() {
                let extent = self.directory(view, index);
                output.write_all(&extent.records)?;
                output.write_all(&extent.continuation)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
