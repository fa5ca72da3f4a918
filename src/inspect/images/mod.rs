//! Container images: in an archive that a runtime loads, or in a layout.
//!
//! OCI layouts in a folder or tar archive, `docker save` archives, and archives that are both, as those of seedkit and
//! of current Docker are; compressed or not, whoever wrote them. Every content is hashed: a blob has its digest for a
//! name, a configuration of `docker save` too, and its layers are listed in it.
//!
//! # Why
//! An index may name platforms that are not here, as it does in an airgap tarball: a platform counts as here if its
//! configuration is, and then all of its layers have to be.

mod docker;
mod oci;
mod pieces;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::archive::compress::Compression;
use crate::archive::untar::{Member, MemberKind, TarFault, Untar};
use crate::artifact::Finding;
use crate::digest::Digest;
use crate::progress::Reporter;
use pieces::{Patience, Pieces};

pub(super) use pieces::{INDEX, LAYOUT, ReadError};

/// Images, and what they lie in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Images {
    /// Whether they are in a folder or an archive.
    pub form: Form,
    /// How the archive is compressed, as a whole: `none`, `gzip` or `zstd`.
    pub compression: String,
    /// Whose documents name them.
    pub formats: Vec<Format>,
    /// How many images there are; several names may stand for one.
    pub count: usize,
    /// The bytes of all files.
    pub bytes: u64,
    /// How many blobs no image needs.
    pub unreferenced: usize,
    /// The images, sorted by name.
    pub images: Vec<Image>,
}

/// What images lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A folder.
    Folder,
    /// A tar archive.
    Archive,
}

/// Whose documents name images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `index.json` of an OCI image layout.
    Oci,
    /// `manifest.json` of `docker save`.
    Docker,
}

/// One image, under all of its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Its names, as they are written.
    pub names: Vec<String>,
    /// The root manifest; `docker save` writes none.
    pub digest: Option<Digest>,
    /// The media type of the root manifest.
    pub media_type: Option<String>,
    /// The bytes of all that is here of it.
    pub size: u64,
    /// The platforms that are here.
    pub platforms: Vec<ImagePlatform>,
}

/// One manifest of an image that is here with its contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImagePlatform {
    /// The platform; `None` for charts, signatures and other artifacts.
    pub platform: Option<String>,
    /// The manifest; `docker save` writes none.
    pub digest: Option<Digest>,
    /// The configuration, whose digest runtimes call the image's ID.
    pub config: Digest,
    /// The layers; their number is what is shown of them.
    #[serde(serialize_with = "count")]
    pub layers: Vec<Digest>,
}

fn count<S: Serializer>(layers: &[Digest], serializer: S) -> Result<S::Ok, S::Error> {
    layers.len().serialize(serializer)
}

/// Reads an archive whose first member was read already; `None` if it holds no images.
pub(super) fn read_archive<R: Read>(
    first: Member,
    compression: Compression,
    stream: &mut Untar<R>,
) -> Result<Option<(Images, Vec<Finding>)>, TarFault> {
    let mut pieces = Pieces::default();
    let mut next = Some(first);
    while let Some(Member { path, kind, size, offset: _ }) = next {
        match kind {
            MemberKind::File => {
                let taken = pieces.take(path.as_str(), size, &mut *stream);
                taken.map_err(|error| stream.fault(error))?;
            }
            MemberKind::Folder | MemberKind::Special => {}
            MemberKind::Link { target, is_symbolic } => pieces.link(path.as_str(), &target, is_symbolic),
        }
        next = stream.next_member()?;
    }
    Ok(resolve(pieces, Form::Archive, compression))
}

/// Reads a layout in a folder; `None` if it names no images.
pub(super) fn read_folder(
    folder: &Path,
    reporter: &dyn Reporter,
) -> Result<Option<(Images, Vec<Finding>)>, ReadError> {
    let pieces = Pieces::of_folder(folder, reporter)?;
    Ok(resolve(pieces, Form::Folder, Compression::None))
}

fn resolve(pieces: Pieces, form: Form, compression: Compression) -> Option<(Images, Vec<Finding>)> {
    let mut findings: BTreeSet<Finding> = pieces.judge_blobs().collect();
    let mut patience = Patience::new();
    let oci = oci::resolve(&pieces, &mut findings, &mut patience);
    let docker = docker::resolve(&pieces, &mut findings, &mut patience);
    let mut formats = Vec::new();
    formats.extend(oci.is_some().then_some(Format::Oci));
    formats.extend(docker.is_some().then_some(Format::Docker));
    let (mut images, unreferenced) = match (oci, docker) {
        (None, None) => return None,
        (None, Some(images)) => (images, 0),
        (Some(oci), docker) => {
            docker::compare(&oci.images, docker.as_deref().unwrap_or_default(), &mut findings);
            (oci.images, oci.unreferenced)
        }
    };
    images.sort_by(|one, other| (&one.names, &one.digest).cmp(&(&other.names, &other.digest)));
    let images = Images {
        form,
        compression: compression.to_string(),
        formats,
        count: images.len(),
        bytes: pieces.bytes(),
        unreferenced,
        images,
    };
    Some((images, findings.into_iter().collect()))
}
