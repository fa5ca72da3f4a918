//! All that a layout in a folder holds: every manifest read and verified, every blob's length compared.
//!
//! Blobs may be missing: those of platforms that nobody wanted are. Nothing outside of the folder is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::Deserialize;
use serde_json::{Value, json};

use super::attached::subject_of_tag;
use super::layout::{INDEX_LIMIT, LayoutIndex, blob_path};
use super::{Kind, MANIFEST_LIMIT, Manifest, ManifestError, Reference};
use crate::digest::Digest;
use crate::fs::open_below;
use crate::store::{Descriptor, VerifyReader};

/// The most manifests that a layout may have, far above any real one.
const MANIFEST_COUNT_LIMIT: usize = 200_000;

/// Why a layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The folder or a document of it cannot be read.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] std::io::Error),
    /// Something else is where a file of the layout should be.
    #[error("`{0}` is not a regular file in regular folders")]
    NotRegular(PathBuf),
    /// `index.json` is not one.
    #[error("`{0}` is no index of images")]
    Index(PathBuf, #[source] serde_json::Error),
    /// It is larger than any honest one.
    #[error("`{0}` is larger than the {1} bytes that are accepted")]
    TooLarge(PathBuf, u64),
    /// A manifest is damaged.
    #[error("the manifest `{0}` is damaged")]
    Damaged(PathBuf, #[source] std::io::Error),
    /// A manifest is not one.
    #[error("`{0}` is no manifest")]
    Manifest(PathBuf, #[source] ManifestError),
    /// There are more manifests than any honest layout has.
    #[error("`{0}` has more than {MANIFEST_COUNT_LIMIT} manifests")]
    TooMany(PathBuf),
    /// Nothing in the layout has a name.
    #[error("`{0}` has no image with a name")]
    Empty(PathBuf),
}

/// One manifest of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldManifest {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// What it is.
    pub kind: Kind,
    /// The manifests that an index lists, whether they are there or not.
    pub children: Vec<Descriptor>,
    /// Configuration and layers, without those that no registry has; whether they are there or not.
    pub blobs: Vec<Descriptor>,
    /// Whether it has layers that no registry has.
    pub has_foreign: bool,
    /// The manifest that it is attached to.
    pub subject: Option<Digest>,
    /// What kind of artifact it is: what it states, else the media type of its configuration.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl HeldManifest {
    /// Returns its entry in a list of what is attached to a manifest (OCI distribution specification, "Listing
    /// Referrers").
    pub fn referrer(&self) -> Value {
        let Self { descriptor: Descriptor { media_type, digest, size }, artifact_type, annotations, .. } =
            self;
        let mut entry = json!({ "mediaType": media_type, "digest": digest, "size": size });
        if let Some(artifact_type) = artifact_type {
            entry["artifactType"] = json!(artifact_type);
        }
        if !annotations.is_empty() {
            entry["annotations"] = json!(annotations);
        }
        entry
    }
}

/// What a layout holds; contents stay where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    folder: PathBuf,
    /// The roots in the order of the index, each with its names; those without are attached to others mostly.
    pub roots: Vec<(Digest, Vec<Reference>)>,
    /// The manifests that are there.
    pub manifests: BTreeMap<Digest, HeldManifest>,
    /// The blobs that are there, with their lengths.
    pub blobs: BTreeMap<Digest, u64>,
    /// Blobs that have another length than their manifests say, and count as missing.
    pub damaged: BTreeSet<PathBuf>,
}

/// What the view of manifests leaves out.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stated {
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Inventory {
    /// Reads the layout in `folder`.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        let path = folder.join("index.json");
        let bytes = read(folder, "index.json", INDEX_LIMIT)?
            .map_err(|source| LayoutError::Read(path.clone(), source.into()))?;
        let index: LayoutIndex =
            serde_json::from_slice(&bytes).map_err(|source| LayoutError::Index(path, source))?;
        let (roots, manifests, blobs, damaged) = Default::default();
        let mut inventory = Self { folder: folder.to_owned(), roots, manifests, blobs, damaged };
        for entry in &index.manifests {
            inventory.load(&entry.descriptor)?;
            let names: BTreeSet<Reference> = entry.references().collect();
            inventory.roots.push((entry.descriptor.digest, names.into_iter().collect()));
        }
        if !inventory.roots.iter().any(|(_, names)| !names.is_empty()) {
            return Err(LayoutError::Empty(folder.to_owned()));
        }
        Ok(inventory)
    }

    /// Opens a content.
    pub fn file(&self, digest: &Digest) -> Result<File, LayoutError> {
        let fail = |source: Errno| LayoutError::Read(self.path(digest), source.into());
        regular(&self.folder, &blob_path(digest))?.map_err(fail)
    }

    /// Reads a manifest that is there once more.
    pub fn manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>, LayoutError> {
        let fail = |source: Errno| LayoutError::Read(self.path(digest), source.into());
        read(&self.folder, &blob_path(digest), MANIFEST_LIMIT)?.map_err(fail)
    }

    /// Adds `root` and everything below it, there or not.
    pub fn collect(&self, root: &Digest, contents: &mut BTreeSet<Digest>) {
        let mut waiting = vec![root];
        while let Some(digest) = waiting.pop() {
            if contents.insert(*digest) {
                let manifest = self.manifests.get(digest).into_iter();
                let below = manifest.flat_map(|manifest| manifest.children.iter().chain(&manifest.blobs));
                waiting.extend(below.map(|descriptor| &descriptor.digest));
            }
        }
    }

    /// Returns what is attached to each manifest, in the order of the digests.
    pub fn attached(&self) -> BTreeMap<Digest, Vec<&HeldManifest>> {
        let mut attached: BTreeMap<Digest, Vec<&HeldManifest>> = BTreeMap::new();
        for manifest in self.manifests.values() {
            if let Some(subject) = &manifest.subject {
                attached.entry(*subject).or_default().push(manifest);
            }
        }
        attached
    }

    /// Returns what cosign attached to each manifest: its name, whose tag says what it is about, and its digest.
    pub fn attached_by_tag(&self) -> BTreeMap<Digest, Vec<(&Reference, &Digest)>> {
        let mut attached: BTreeMap<Digest, Vec<(&Reference, &Digest)>> = BTreeMap::new();
        for (digest, names) in &self.roots {
            for name in names {
                if let Some(subject) = name.tag().and_then(subject_of_tag) {
                    attached.entry(subject).or_default().push((name, digest));
                }
            }
        }
        attached
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(blob_path(digest))
    }

    /// Reads `root`, which must be there, and all manifests below it that are there.
    fn load(&mut self, root: &Descriptor) -> Result<(), LayoutError> {
        let mut waiting = vec![root.clone()];
        let mut is_root = true;
        while let Some(descriptor) = waiting.pop() {
            if !self.manifests.contains_key(&descriptor.digest) {
                waiting.extend(self.load_one(&descriptor, is_root)?);
            }
            is_root = false;
        }
        Ok(())
    }

    /// Reads one manifest and returns its child manifests.
    fn load_one(
        &mut self,
        descriptor: &Descriptor,
        must_exist: bool,
    ) -> Result<Vec<Descriptor>, LayoutError> {
        let (digest, path) = (&descriptor.digest, self.path(&descriptor.digest));
        let bytes = match read(&self.folder, &blob_path(digest), MANIFEST_LIMIT)? {
            Ok(bytes) => bytes,
            // Of indexes that somebody else wrote, children may have been left out.
            Err(Errno::NOENT) if !must_exist => return Ok(Vec::new()),
            Err(error) => return Err(LayoutError::Read(path, error.into())),
        };
        let mut verified = VerifyReader::new(bytes.as_slice(), *digest, descriptor.size);
        if let Err(source) = std::io::copy(&mut verified, &mut std::io::sink()) {
            return Err(LayoutError::Damaged(path, source));
        }
        let manifest = Manifest::parse(&bytes, Some(&descriptor.media_type))
            .map_err(|source| LayoutError::Manifest(path, source))?;
        if self.manifests.len() >= MANIFEST_COUNT_LIMIT {
            return Err(LayoutError::TooMany(self.folder.clone()));
        }
        let held = held(descriptor, manifest, &bytes);
        for blob in &held.blobs {
            self.add_blob(blob)?;
        }
        let children = held.children.clone();
        self.manifests.insert(*digest, held);
        Ok(children)
    }

    /// Takes a blob up if it is there and whole; those of platforms that were not wanted are not.
    fn add_blob(&mut self, blob: &Descriptor) -> Result<(), LayoutError> {
        let Descriptor { digest, size, media_type: _ } = blob;
        if self.blobs.contains_key(digest) {
            return Ok(());
        }
        let path = self.path(digest);
        let Ok(file) = regular(&self.folder, &blob_path(digest))? else { return Ok(()) };
        let length = file.metadata().map_err(|source| LayoutError::Read(path.clone(), source))?.len();
        if length == *size {
            self.blobs.insert(*digest, *size);
        } else {
            self.damaged.insert(path);
        }
        Ok(())
    }
}

fn held(descriptor: &Descriptor, manifest: Manifest, bytes: &[u8]) -> HeldManifest {
    // It is a manifest: only these two keys can be of a kind that nobody expects.
    let Stated { artifact_type, annotations } = serde_json::from_slice(bytes).unwrap_or_default();
    let blobs = manifest.blobs().cloned().collect();
    let Manifest { kind, media_type, config, children, subject } = manifest;
    let has_foreign = children.iter().any(|child| child.is_foreign);
    let children = match kind {
        Kind::Index => children.into_iter().map(|child| child.descriptor).collect(),
        Kind::Image | Kind::Artifact => Vec::new(),
    };
    let of_config = || config.map(|config| config.descriptor.media_type);
    HeldManifest {
        descriptor: Descriptor { media_type, ..descriptor.clone() },
        kind,
        children,
        blobs,
        has_foreign,
        subject: subject.map(|subject| subject.digest),
        artifact_type: artifact_type.filter(|text| !text.is_empty()).or_else(of_config),
        annotations: annotations.unwrap_or_default(),
    }
}

/// Opens a file of the layout, without following links.
fn regular(folder: &Path, name: &str) -> Result<Result<File, Errno>, LayoutError> {
    match open_below(folder, name) {
        Ok(Some(file)) => Ok(Ok(file)),
        Ok(None) | Err(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => {
            Err(LayoutError::NotRegular(folder.join(name)))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn read(folder: &Path, name: &str, limit: u64) -> Result<Result<Vec<u8>, Errno>, LayoutError> {
    let file = match regular(folder, name)? {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| LayoutError::Read(folder.join(name), source))?;
    if bytes.len() as u64 > limit {
        return Err(LayoutError::TooLarge(folder.join(name), limit));
    }
    Ok(Ok(bytes))
}
