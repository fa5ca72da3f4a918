//! An image layout on disk: `oci-layout`, `index.json`, `blobs/<algorithm>/<hex>`.
//!
//! The writer names every image twice: `org.opencontainers.image.ref.name` holds the full reference, so that
//! two registries with the same path and tag coexist, and `io.containerd.image.name` the name containerd
//! gives the image. `index.json` is sorted and written last: who finds an image in it finds all of it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use itertools::Itertools as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::Reference;
use crate::digest::Digest;
use crate::fs::{Sharing, create_folder, sync_folder, write_atomic};
use crate::store::{Descriptor, VerifyReader};

/// The annotation that names an image in an index (OCI image specification, "Pre-Defined Annotation Keys").
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that containerd takes an image's name from.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The most bytes of an `index.json`, or a `manifest.json` of `docker save`, that are read: some 25,000 images.
pub const INDEX_LIMIT: u64 = 8 * 1024 * 1024;
/// The content of the file `oci-layout`.
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// One image of an index: its root and its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexEntry {
    /// The root manifest.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// The image's names, among others.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl IndexEntry {
    /// Returns the image's names; one that is a tag only, as some programs write it, says nothing about a registry.
    pub fn references(&self) -> impl Iterator<Item = Reference> {
        [REF_NAME, CONTAINERD_NAME]
            .into_iter()
            .filter_map(|key| self.annotations.get(key))
            .filter(|name| Reference::text_says_version(name))
            .filter_map(|name| name.parse().ok())
    }
}

/// The document `index.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutIndex {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    /// The images.
    #[serde(deserialize_with = "null_is_empty")]
    pub manifests: Vec<IndexEntry>,
}

/// Programs in Go write `null` for what is empty.
fn null_is_empty<'a, T: Deserialize<'a> + Default, D: Deserializer<'a>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl LayoutIndex {
    /// Returns the index that names `images`, sorted by reference; equal references are one entry.
    ///
    /// `name` gives the value of [`REF_NAME`].
    pub fn of<'a>(
        images: impl IntoIterator<Item = (&'a Reference, &'a Descriptor)>,
        name: impl Fn(&Reference) -> String,
    ) -> Self {
        let entry = |(reference, descriptor): (&Reference, &Descriptor)| IndexEntry {
            descriptor: descriptor.clone(),
            annotations: [(CONTAINERD_NAME, reference.tagged_name()), (REF_NAME, name(reference))]
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
        };
        Self {
            schema_version: 2,
            media_type: Some(super::media_type::OCI_INDEX.to_owned()),
            manifests: images.into_iter().sorted().dedup().map(entry).collect(),
        }
    }

    /// Returns the index with what is attached to its images: by name where it has a tag, else without one.
    ///
    /// [`CONTAINERD_NAME`] is left out: container runtimes would take these for images.
    #[must_use]
    pub fn with_attached<'a>(
        mut self,
        attached: impl IntoIterator<Item = (&'a Reference, &'a Descriptor)>,
    ) -> Self {
        let entry = |(reference, descriptor): (&Reference, &Descriptor)| {
            let name = reference.tag().map(|_| (REF_NAME.to_owned(), reference.tagged_name()));
            IndexEntry { descriptor: descriptor.clone(), annotations: name.into_iter().collect() }
        };
        let key = |entry: &IndexEntry| (entry.annotations.clone(), entry.descriptor.clone());
        self.manifests.extend(attached.into_iter().map(entry).sorted_by_key(key).dedup());
        self
    }

    /// Returns the document's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always become JSON")
    }
}

/// A layout being written into a folder.
#[derive(Debug)]
pub struct LayoutWriter {
    root: PathBuf,
}

impl LayoutWriter {
    /// Begins a layout in `root`, which is created.
    pub fn create(root: &Path) -> io::Result<Self> {
        // One by one: parents that come along get what the umask leaves.
        for folder in ["", "blobs", "blobs/sha256", "blobs/sha512"] {
            create_folder(&root.join(folder), 0o755)?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Adds a blob that is whole in `file`, by giving it a second name or copying it. Fine if it is there.
    ///
    /// What is copied is hashed on its way.
    pub fn add_blob(&self, descriptor: &Descriptor, file: &Path, sharing: Sharing) -> io::Result<()> {
        let target = self.root.join(blob_path(&descriptor.digest));
        if target.exists() {
            return Ok(());
        }
        let verified = |file| VerifyReader::new(file, descriptor.digest, descriptor.size);
        crate::fs::share(file, &target, sharing, verified)
    }

    /// Writes `oci-layout` and `index.json`; all blobs must be there.
    pub fn finish(self, index: &LayoutIndex) -> io::Result<()> {
        // An empty folder would be noise in a kit: sha512 is rare.
        let unused = self.root.join("blobs/sha512");
        if fs::read_dir(&unused)?.next().is_none() {
            fs::remove_dir(&unused)?;
        }
        // The blobs' names reach the disk before the index that promises them.
        for folder in ["blobs/sha256", "blobs/sha512", "blobs"].map(|folder| self.root.join(folder)) {
            if folder.exists() {
                sync_folder(&folder)?;
            }
        }
        write_atomic(&self.root.join("oci-layout"), OCI_LAYOUT.as_bytes(), 0o644)?;
        write_atomic(&self.root.join("index.json"), &index.to_json(), 0o644)
    }
}

/// Returns a blob's path within a layout.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
