//! `seedkit pack`: mirrored images -> one tarball per platform; locked packages -> one bundle per architecture.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::archive::compress::{Compression, Compressor};
use crate::archive::tar::TarError;
use crate::artifact::Artifact;
use crate::digest::{Digest, HashingWriter};
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fetch::sources::Sources;
use crate::fs::{create_folder, named_temporary, publish};
use crate::lockfile::Locked;
use crate::oci::import::{ImportArchive, ImportError, ImportImage};
use crate::oci::{Platform, Reference};
use crate::ops::mirror::{self, MirrorError, Mirrored};
use crate::ops::packages::{self, PackagesError, PackedBundle};
use crate::progress::{Bytes, Event, step};

/// Why a tarball was not written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// An image cannot be had.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// A package cannot be had or packed.
    #[error("{0}")]
    Packages(#[from] PackagesError),
    /// There is nothing to pack.
    #[error("the spec asks for no `packages`")]
    NoPackages,
    /// The folder cannot be made.
    #[error("cannot make the folder `{0}`")]
    Folder(PathBuf, #[source] std::io::Error),
    /// The file system refused.
    #[error("cannot write the tarball for {0} into `{1}`")]
    Write(Platform, PathBuf, #[source] std::io::Error),
    /// The images do not fit into one tarball.
    #[error("cannot put the images for {0} into one tarball")]
    Plan(Platform, #[source] ImportError),
    /// A member could not be packed.
    #[error("cannot pack the images for {0}")]
    Pack(Platform, #[source] TarError),
}

/// A finished tarball.
#[derive(Debug, Clone, Serialize)]
pub struct Packed {
    /// Where it is; its name has platform and content hash, because k3s ignores an older file of the same name.
    pub path: PathBuf,
    /// Its digest and size.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// The images inside by their names, as a container runtime lists them.
    #[serde(serialize_with = "names")]
    pub images: BTreeMap<String, Digest>,
    /// Images that stayed out because a layer of theirs is in no registry.
    #[serde(skip)]
    pub foreign: Vec<Reference>,
}

fn names<S: Serializer>(images: &BTreeMap<String, Digest>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(images.keys())
}

/// What `seedkit pack images` packs, and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The lock.
    pub locked: &'a Locked,
    /// Where images come from.
    pub sources: &'a Sources,
    /// How the tarballs are compressed.
    pub compression: Compression,
    /// The folder they are written into.
    pub output: &'a Path,
}

/// The tarballs of `seedkit pack images`.
#[derive(Debug, Serialize)]
pub struct Images {
    /// One for each platform.
    pub tarballs: Vec<Packed>,
}

/// Packs the images of each platform.
pub fn run(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Images, PackError> {
    let Options { locked, sources, compression, output } = *options;
    make_folder(output)?;
    let mirrored = mirror::images(locked, sources, None, equipment)?;
    Ok(Images { tarballs: tarballs(&mirrored, locked, compression, output, equipment)? })
}

/// The bundles of `seedkit pack packages`.
#[derive(Debug, Serialize)]
pub struct Packages {
    /// One for each architecture.
    pub bundles: Vec<PackedBundle>,
}

/// Packs the ops packages of each architecture.
pub fn packages(options: &packages::Options<'_>, equipment: &Equipment<'_>) -> Result<Packages, PackError> {
    make_folder(options.folder)?;
    Ok(Packages { bundles: packages::pack(options, equipment)? })
}

fn make_folder(folder: &Path) -> Result<(), PackError> {
    create_folder(folder, 0o755).map_err(|source| PackError::Folder(folder.to_owned(), source))
}

/// Packs the images of each platform into `folder`; warns of those that stay out.
pub fn tarballs(
    mirrored: &Mirrored,
    locked: &Locked,
    compression: Compression,
    folder: &Path,
    equipment: &Equipment<'_>,
) -> Result<Vec<Packed>, PackError> {
    let pack = |platform: &Platform| {
        let target = Target { platform, compression, epoch: locked.epoch(), folder };
        let packed = step(equipment.reporter, &format!("pack images for {platform}"), || {
            let packed = images(mirrored, &target, equipment)?;
            let summary = format!("{} images, {}", packed.images.len(), Bytes(packed.artifact.size));
            Ok::<_, PackError>((packed, summary))
        })?;
        for reference in &packed.foreign {
            equipment
                .reporter
                .warn(format!("`{reference}` stays out of the tarball: a layer of it is in no registry"));
        }
        Ok(packed)
    };
    locked.lockfile().platforms.iter().map(pack).collect()
}

/// Which tarball is written, how, and where.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    /// The platform whose images it holds.
    platform: &'a Platform,
    /// How it is compressed.
    compression: Compression,
    /// The time its members carry.
    epoch: Epoch,
    /// The folder it is written into.
    folder: &'a Path,
}

/// Packs the images of one platform.
fn images(mirrored: &Mirrored, target: &Target<'_>, equipment: &Equipment<'_>) -> Result<Packed, PackError> {
    let Target { platform, compression, epoch, folder } = *target;
    let images: Vec<ImportImage<'_>> = mirrored
        .images
        .iter()
        .map(|(image, graph)| ImportImage { reference: &image.reference, graph })
        .collect();
    let archive =
        ImportArchive::plan(&images, platform).map_err(|source| PackError::Plan(platform.clone(), source))?;
    equipment.reporter.report(Event::Planned { bytes: archive.blob_bytes(), items: 0 });
    let write_error = |source| PackError::Write(platform.clone(), folder.to_owned(), source);
    let temporary = named_temporary(folder).map_err(write_error)?;
    let workers = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let output = Compressor::new(compression, workers, HashingWriter::new(temporary)).map_err(write_error)?;
    let file = |digest: &_| equipment.store.path(digest);
    let advance = |bytes| equipment.reporter.report(Event::Advanced(bytes));
    let output = archive
        .write(epoch, file, advance, output)
        .inspect_err(|error| equipment.store.evict_wrong(error))
        .map_err(|source| PackError::Pack(platform.clone(), source))?;
    let (temporary, digest, size) = output.finish().map_err(write_error)?.finish();
    let file_name =
        format!("airgap-images-{}-{}.tar{}", platform.dashed(), digest.short(), compression.suffix());
    let path = folder.join(file_name);
    publish(temporary, &path, 0o644).map_err(write_error)?;
    let ImportArchive { images, foreign, .. } = archive;
    Ok(Packed { path, artifact: Artifact { digest, size }, images, foreign })
}
