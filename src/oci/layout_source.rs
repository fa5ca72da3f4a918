//! Images out of a layout in a folder or archive, and out of `docker save` archives.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::layout::{CONTAINERD_NAME, IndexEntry, LayoutIndex, REF_NAME, blob_path};
use super::manifest::{MANIFEST_LIMIT, media_type};
use super::source_files::{SourceFiles, SourceFilesError};
use super::{ImageSource, Reference, SourceError, SourceErrorKind};
use crate::digest::{Digest, Hasher};
use crate::store::{Descriptor, VerifyReader};

/// The most bytes an `index.json` or `manifest.json` may have.
const INDEX_LIMIT: u64 = 16 * 1024 * 1024;

impl From<SourceFilesError> for SourceError {
    fn from(error: SourceFilesError) -> Self {
        let kind = match &error {
            SourceFilesError::Missing { .. } => SourceErrorKind::NotFound,
            SourceFilesError::Read { .. } => SourceErrorKind::Local,
            SourceFilesError::NotTar { .. }
            | SourceFilesError::Member { .. }
            | SourceFilesError::TooLarge { .. } => SourceErrorKind::Invalid,
        };
        let mut cause = std::error::Error::source(&error).map(ToString::to_string);
        let result = Self::new(kind, error.to_string());
        match cause.take() {
            Some(cause) => result.caused_by(cause),
            None => result,
        }
    }
}

/// Images by name, their manifests and blobs as files.
#[derive(Debug)]
pub struct LayoutSource {
    files: SourceFiles,
    images: Vec<IndexEntry>,
    /// Contents that have no file of their own or another name: manifests made here, layers of `docker save`.
    made: BTreeMap<Digest, Vec<u8>>,
    names: BTreeMap<Digest, String>,
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
        let bytes = files.read("index.json", INDEX_LIMIT)?;
        let index: LayoutIndex = parse(&files, "index.json", &bytes)?;
        Ok(Self { files, images: index.manifests, made: BTreeMap::new(), names: BTreeMap::new() })
    }

    /// Opens an archive of `docker save` (`docker-archive:FILE`).
    ///
    /// Such an archive has no manifests: one is made per image, with OCI media types, from the configuration and
    /// the layers as they are, so that the same archive always gives the same digest.
    pub fn docker_archive(path: &Path) -> Result<Self, SourceError> {
        let files = SourceFiles::archive(path)?;
        let bytes = files.read("manifest.json", INDEX_LIMIT)?;
        let saved: Vec<SavedImage> = parse(&files, "manifest.json", &bytes)?;
        let mut source = Self { files, images: Vec::new(), made: BTreeMap::new(), names: BTreeMap::new() };
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
        self.made.insert(descriptor.digest.clone(), bytes);
        for tag in image.repo_tags.unwrap_or_default() {
            let annotations = BTreeMap::from([(REF_NAME.to_owned(), tag)]);
            self.images.push(IndexEntry { descriptor: descriptor.clone(), annotations });
        }
        Ok(())
    }

    fn describe(
        &mut self,
        name: &str,
        media_type: &str,
        hashed: &mut BTreeMap<String, (Digest, u64)>,
    ) -> Result<Descriptor, SourceError> {
        let (digest, size) = match hashed.get(name) {
            Some(known) => known.clone(),
            None => {
                let found = Hasher::sha256_of(&mut self.files.open(name)?).map_err(|source| {
                    SourceFilesError::Read { path: self.files.path().to_owned(), source }
                })?;
                hashed.insert(name.to_owned(), found.clone());
                found
            }
        };
        self.names.insert(digest.clone(), name.to_owned());
        Ok(Descriptor { media_type: media_type.to_owned(), digest, size })
    }

    fn layer_media_type(&self, name: &str) -> Result<&'static str, SourceError> {
        let mut magic = Vec::new();
        self.files
            .open(name)?
            .take(4)
            .read_to_end(&mut magic)
            .map_err(|source| SourceFilesError::Read { path: self.files.path().to_owned(), source })?;
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
            [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
            _ => "application/vnd.oci.image.layer.v1.tar",
        })
    }

    fn find(&self, reference: &Reference) -> Result<&Descriptor, SourceError> {
        let has_digest = |entry: &&IndexEntry| reference.digest() == Some(&entry.descriptor.digest);
        let names_it = |entry: &&IndexEntry| {
            [REF_NAME, CONTAINERD_NAME].iter().filter_map(|key| entry.annotations.get(*key)).any(|name| {
                Reference::text_says_version(name)
                    && name.parse::<Reference>().is_ok_and(|named| {
                        named == *reference || named.tagged_name() == reference.tagged_name()
                    })
            })
        };
        let found = self
            .images
            .iter()
            .find(has_digest)
            .or_else(|| self.images.iter().find(names_it).filter(|_| reference.digest().is_none()));
        found.map(|entry| &entry.descriptor).ok_or_else(|| {
            let mut known: Vec<&str> = self
                .images
                .iter()
                .filter_map(|entry| entry.annotations.get(REF_NAME))
                .map(String::as_str)
                .collect();
            known.sort_unstable();
            let listed = known.iter().take(8).copied().collect::<Vec<_>>().join(", ");
            let path = self.files.path().display();
            let message =
                format!("`{path}` has no image `{reference}`; it has {} images: {listed}", known.len());
            SourceError::new(SourceErrorKind::NotFound, message)
        })
    }

    fn open_content(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        if let Some(bytes) = self.made.get(&descriptor.digest) {
            return Ok(Box::new(std::io::Cursor::new(bytes.clone())));
        }
        let name = self.names.get(&descriptor.digest).cloned();
        Ok(self.files.open(&name.unwrap_or_else(|| blob_path(&descriptor.digest)))?)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn parse<T: for<'a> Deserialize<'a>>(
    files: &SourceFiles,
    name: &str,
    bytes: &[u8],
) -> Result<T, SourceError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("`{name}` in `{}` is malformed", files.path().display());
        SourceError::new(SourceErrorKind::Invalid, message).caused_by(error)
    })
}

impl ImageSource for LayoutSource {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.find(reference).cloned()
    }

    fn manifest(&self, _reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        let reader = self.open_content(descriptor)?.take(MANIFEST_LIMIT + 1);
        VerifyReader::new(reader, descriptor.digest.clone(), descriptor.size)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let message = format!(
                    "cannot read manifest {} in `{}`",
                    descriptor.digest,
                    self.files.path().display()
                );
                SourceError::new(SourceErrorKind::Invalid, message).caused_by(error)
            })?;
        Ok(bytes)
    }

    fn blob(
        &self,
        _reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        self.open_content(descriptor)
    }
}
