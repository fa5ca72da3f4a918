//! `seedkit pack images`: mirrored images -> one tarball per platform.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use crate::archive::compress::{Compression, Compressor};
use crate::archive::tar::TarError;
use crate::artifact::Artifact;
use crate::digest::HashingWriter;
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fs::named_temporary;
use crate::oci::import::{ImportArchive, ImportError, ImportImage};
use crate::oci::{Platform, Reference};
use crate::ops::mirror::Mirrored;
use crate::progress::Event;
use crate::spec;

impl From<spec::Compression> for Compression {
    fn from(compression: spec::Compression) -> Self {
        match compression {
            spec::Compression::None => Self::None,
            spec::Compression::Gzip => Self::Gzip,
            spec::Compression::Zstd => Self::Zstd,
        }
    }
}

/// Why a tarball was not written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file system refused.
    #[error("cannot write the tarball for {platform} into `{}`", .folder.display())]
    Write {
        /// The platform.
        platform: Platform,
        /// The folder.
        folder: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// The images do not fit into one tarball.
    #[error("cannot put the images for {platform} into one tarball")]
    Plan {
        /// The platform.
        platform: Platform,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// A member could not be packed.
    #[error("cannot pack the images for {platform}")]
    Pack {
        /// The platform.
        platform: Platform,
        /// Why.
        #[source]
        source: TarError,
    },
}

/// A finished tarball.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its file name: platform and content hash, because k3s ignores an older file of the same name.
    pub file_name: String,
    /// Its digest and size.
    pub artifact: Artifact,
    /// The images inside, as a container runtime lists them.
    pub names: Vec<String>,
    /// Images that stayed out because a layer of theirs is in no registry.
    pub foreign: Vec<Reference>,
}

/// Which tarball is written, how, and where.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The platform whose images it holds.
    pub platform: &'a Platform,
    /// How it is compressed.
    pub compression: Compression,
    /// The time its members carry.
    pub epoch: Epoch,
    /// The folder it is written into.
    pub folder: &'a Path,
}

/// Packs the images of one platform.
pub fn images(
    mirrored: &Mirrored,
    options: &Options<'_>,
    equipment: &Equipment<'_>,
) -> Result<Packed, PackError> {
    let Options { platform, compression, epoch, folder } = *options;
    let images: Vec<ImportImage<'_>> = mirrored
        .images
        .iter()
        .map(|(image, graph)| ImportImage { reference: &image.reference, graph })
        .collect();
    let archive = ImportArchive::plan(&images, platform)
        .map_err(|source| PackError::Plan { platform: platform.clone(), source })?;
    equipment.reporter.report(Event::Planned { bytes: archive.blob_bytes(), items: 0 });
    let write_error =
        |source| PackError::Write { platform: platform.clone(), folder: folder.to_owned(), source };
    let temporary = named_temporary(folder).map_err(write_error)?;
    let workers = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let output = Compressor::new(compression, workers, HashingWriter::new(temporary)).map_err(write_error)?;
    let file = |digest: &_| equipment.store.path(digest);
    let advance = |bytes| equipment.reporter.report(Event::Advanced { bytes });
    let output = archive
        .write(epoch, file, advance, output)
        .map_err(|source| PackError::Pack { platform: platform.clone(), source })?;
    let (temporary, digest, size) = output.finish().map_err(write_error)?.finish();
    let file_name =
        format!("airgap-images-{}-{}.tar{}", platform.dashed(), digest.short(), compression.suffix());
    crate::fs::make_readable(temporary.as_file()).map_err(write_error)?;
    temporary.as_file().sync_data().map_err(write_error)?;
    temporary.persist(folder.join(&file_name)).map_err(|error| write_error(error.error))?;
    let ImportArchive { names, foreign, .. } = archive;
    Ok(Packed { file_name, artifact: Artifact { digest, size }, names, foreign })
}
