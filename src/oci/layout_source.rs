//! Images out of a layout in a folder or archive, and out of `docker save` archives.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use itertools::Itertools as _;
use serde::Deserialize;

use super::layout::{CONTAINERD_NAME, INDEX_LIMIT, IndexEntry, LayoutIndex, REF_NAME, blob_path};
use super::manifest::{MANIFEST_LIMIT, Manifest, media_type};
use super::source_files::{SourceFiles, SourceFilesError};
use super::{AttachmentSource, BlobPart, ImageSource, Reference, SourceError, SourceErrorKind};
use crate::digest::{Digest, Hasher};
use crate::store::{Descriptor, VerifyReader};

/// The most names that an archive of `docker save` may give its images; all are in memory.
const NAME_LIMIT: usize = 100_000;

/// How many of the images that are there an error lists.
const LISTED: usize = 8;

impl From<SourceFilesError> for SourceError {
    fn from(error: SourceFilesError) -> Self {
        let message = error.to_string();
        match error {
            SourceFilesError::Read(_, source) => Self::new(SourceErrorKind::Local, message).caused_by(source),
            SourceFilesError::Archive(_, source) => {
                Self::new(SourceErrorKind::Local, message).caused_by(source)
            }
            SourceFilesError::Missing(..)
            | SourceFilesError::NotTar(..)
            | SourceFilesError::Member { .. }
            | SourceFilesError::NotRegular(..)
            | SourceFilesError::TooLarge { .. } => Self::new(SourceErrorKind::Local, message),
        }
    }
}

/// Images by name, their manifests and blobs as files.
#[derive(Debug)]
pub struct LayoutSource {
    files: SourceFiles,
    images: Vec<IndexEntry>,
    /// Manifests made here, for archives that have none.
    made: BTreeMap<Digest, Vec<u8>>,
    /// Contents whose files are not named by their digest: those of `docker save`.
    names: BTreeMap<Digest, String>,
    /// The images that name a subject, by subject; read when first asked for.
    referrers: Mutex<Option<BTreeMap<Digest, Vec<Descriptor>>>>,
}

impl LayoutSource {
    /// Opens a layout in a folder (`oci:DIR`).
    pub fn folder(path: &Path) -> Result<Self, SourceError> {
        Self::open(SourceFiles::Folder(path.to_owned()))
    }

    /// Opens a layout in a tar archive (`oci-archive:FILE`).
    pub fn oci_archive(path: &Path) -> Result<Self, SourceError> {
        Self::open(SourceFiles::archive(path)?)
    }

    fn open(files: SourceFiles) -> Result<Self, SourceError> {
        let index: LayoutIndex = read_document(&files, "index.json")?;
        Ok(Self::of(files, index.manifests))
    }

    fn of(files: SourceFiles, images: Vec<IndexEntry>) -> Self {
        let (made, names, referrers) = Default::default();
        Self { files, images, made, names, referrers }
    }

    /// Opens an archive of `docker save` (`docker-archive:FILE`).
    ///
    /// Such an archive has no manifests: one is made per image, with OCI media types, from the configuration and
    /// the layers as they are, so that the same archive always gives the same digest.
    pub fn docker_archive(path: &Path) -> Result<Self, SourceError> {
        let files = SourceFiles::archive(path)?;
        let saved: Vec<SavedImage> = read_document(&files, "manifest.json")?;
        let mut source = Self::of(files, Vec::new());
        let mut hashed = BTreeMap::new();
        for image in saved {
            source.add_saved(image, &mut hashed)?;
        }
        Ok(source)
    }

    fn add_saved(
        &mut self,
        image: SavedImage,
        hashed: &mut BTreeMap<String, (Digest, u64)>,
    ) -> Result<(), SourceError> {
        let config = self.describe(&image.config, media_type::OCI_CONFIG, hashed)?;
        let mut layers = Vec::new();
        for layer in &image.layers {
            let media_type = self.layer_media_type(layer)?;
            layers.push(self.describe(layer, media_type, hashed)?);
        }
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": config,
            "layers": layers,
        });
        let bytes = serde_json::to_vec(&manifest).expect("strings and numbers always become JSON");
        let descriptor = Descriptor {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest: Digest::sha256(&bytes),
            size: bytes.len() as u64,
        };
        self.made.insert(descriptor.digest, bytes);
        if self.images.len() + image.repo_tags.as_ref().map_or(1, Vec::len) > NAME_LIMIT {
            let message = format!("`{}` names more than {NAME_LIMIT} images", self.files.path().display());
            return Err(SourceError::new(SourceErrorKind::Local, message));
        }
        let name = |tag| BTreeMap::from([(REF_NAME.to_owned(), tag)]);
        let mut names: Vec<_> = image.repo_tags.unwrap_or_default().into_iter().map(name).collect();
        if names.is_empty() {
            // Saved by its ID: it still has a digest.
            names.push(BTreeMap::new());
        }
        let entry = |annotations| IndexEntry { descriptor: descriptor.clone(), annotations };
        self.images.extend(names.into_iter().map(entry));
        Ok(())
    }

    fn describe(
        &mut self,
        name: &str,
        media_type: &str,
        hashed: &mut BTreeMap<String, (Digest, u64)>,
    ) -> Result<Descriptor, SourceError> {
        let (digest, size) = match hashed.get(name) {
            Some(known) => *known,
            None => {
                let found = Hasher::sha256_of(&mut self.files.open(name)?)
                    .map_err(|source| self.read_error(name, source))?;
                hashed.insert(name.to_owned(), found);
                found
            }
        };
        self.names.insert(digest, name.to_owned());
        Ok(Descriptor { media_type: media_type.to_owned(), digest, size })
    }

    fn layer_media_type(&self, name: &str) -> Result<&'static str, SourceError> {
        let mut magic = Vec::new();
        let mut beginning = self.files.open(name)?.take(4);
        beginning.read_to_end(&mut magic).map_err(|source| self.read_error(name, source))?;
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
            [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
            _ => "application/vnd.oci.image.layer.v1.tar",
        })
    }

    fn read_error(&self, name: &str, source: std::io::Error) -> SourceFilesError {
        SourceFilesError::Read(self.files.path().join(name), source)
    }

    fn find(&self, reference: &Reference) -> Option<&Descriptor> {
        let found = match reference.digest() {
            Some(digest) => self.images.iter().find(|entry| entry.descriptor.digest == *digest),
            None => {
                let named = |is_it: fn(&Reference, &Reference) -> bool| {
                    self.images.iter().find(|entry| entry.references().any(|name| is_it(&name, reference)))
                };
                named(|name, wanted| name == wanted)
                    .or_else(|| named(|name, wanted| name.tagged_name() == wanted.tagged_name()))
            }
        };
        found.map(|entry| &entry.descriptor)
    }

    fn not_found(&self, reference: &Reference) -> SourceError {
        let mut titles: Vec<String> = self.images.iter().map(title).sorted().dedup().collect();
        let rest = titles.len().saturating_sub(LISTED);
        titles.truncate(LISTED);
        let listed = match (titles.is_empty(), rest) {
            (true, _) => "no image at all".to_owned(),
            (false, 0) => titles.join(", "),
            (false, rest) => format!("{} and {rest} more", titles.join(", ")),
        };
        let path = self.files.path().display();
        let message = format!("`{path}` has no image `{reference}`; it has {listed}");
        SourceError::new(SourceErrorKind::NotInLayout, message)
    }

    /// Returns the bytes of a manifest, verified.
    pub(super) fn read_manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let Descriptor { digest, size, .. } = descriptor;
        let path = self.files.path().display();
        if *size > MANIFEST_LIMIT {
            let message = format!(
                "manifest {digest} in `{path}` has {size} bytes; at most {MANIFEST_LIMIT} are accepted"
            );
            return Err(SourceError::new(SourceErrorKind::Local, message));
        }
        let mut bytes = Vec::new();
        VerifyReader::new(self.open_content(descriptor, 0)?, *digest, *size)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let message = format!("cannot read manifest {digest} in `{path}`");
                SourceError::new(SourceErrorKind::Local, message).caused_by(error)
            })?;
        Ok(bytes)
    }

    /// Returns the folder or archive.
    pub(super) fn path(&self) -> &Path {
        self.files.path()
    }

    /// Returns the images that the index names.
    pub(super) fn images(&self) -> &[IndexEntry] {
        &self.images
    }

    fn open_content(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, SourceError> {
        if let Some(bytes) = self.made.get(&descriptor.digest) {
            let mut content = std::io::Cursor::new(bytes.clone());
            content.set_position(from);
            return Ok(Box::new(content));
        }
        let name = self.names.get(&descriptor.digest).cloned();
        let opened = self.files.open_from(&name.unwrap_or_else(|| blob_path(&descriptor.digest)), from);
        opened.map_err(|error| {
            let is_missing = matches!(error, SourceFilesError::Missing { .. });
            let error = SourceError::from(error);
            let kind = if is_missing { SourceErrorKind::ContentNotFound } else { error.kind };
            SourceError { kind, ..error }
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Returns what people know the image by, printable whatever the document holds.
fn title(entry: &IndexEntry) -> String {
    let name = [REF_NAME, CONTAINERD_NAME].into_iter().find_map(|key| entry.annotations.get(key));
    match name {
        Some(name) => format!("`{}`", name.escape_debug().take(200).collect::<String>()),
        None => entry.descriptor.digest.to_string(),
    }
}

fn read_document<T: for<'a> Deserialize<'a>>(files: &SourceFiles, name: &str) -> Result<T, SourceError> {
    serde_json::from_slice(&files.read(name, INDEX_LIMIT)?).map_err(|error| {
        let message = format!("`{name}` in `{}` is malformed", files.path().display());
        SourceError::new(SourceErrorKind::Local, message).caused_by(error)
    })
}

impl ImageSource for LayoutSource {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.find(reference).cloned().ok_or_else(|| self.not_found(reference))
    }

    fn manifest(&self, _reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        self.read_manifest(descriptor)
    }

    fn blob_part(
        &self,
        _reference: &Reference,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        let origin = format!("blob {} in `{}`", descriptor.digest, self.files.path().display());
        if part == (0..descriptor.size) {
            return Ok(BlobPart::of_whole(self.open_content(descriptor, 0)?, 0, origin));
        }
        let length = part.end - part.start;
        Ok(BlobPart::exact(self.open_content(descriptor, part.start)?.take(length), origin))
    }
}

impl AttachmentSource for LayoutSource {
    fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Descriptor>, SourceError> {
        let is_it = |name: Reference| name.name() == reference.name() && name.tag() == Some(tag);
        let found = self.images.iter().find(|entry| entry.references().any(is_it));
        Ok(found.map(|entry| entry.descriptor.clone()))
    }

    fn referrers(&self, _reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        let mut known = self.referrers.lock().unwrap_or_else(PoisonError::into_inner);
        let referrers = match known.as_ref() {
            Some(referrers) => referrers,
            None => known.insert(self.read_referrers()?),
        };
        Ok(referrers.get(subject).cloned().unwrap_or_default())
    }
}

impl LayoutSource {
    /// Reads every image of the index; those that name a subject stand in it beside the others.
    fn read_referrers(&self) -> Result<BTreeMap<Digest, Vec<Descriptor>>, SourceError> {
        let mut referrers: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
        for IndexEntry { descriptor, .. } in &self.images {
            let bytes = self.read_manifest(descriptor)?;
            // What is not a manifest is an error of the image that it should be, not of this one.
            let manifest = Manifest::parse(&bytes, Some(&descriptor.media_type)).ok();
            if let Some(subject) = manifest.and_then(|manifest| manifest.subject) {
                referrers.entry(subject.digest).or_default().push(descriptor.clone());
            }
        }
        Ok(referrers)
    }
}
