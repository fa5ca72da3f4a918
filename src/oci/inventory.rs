//! All that a layout in a folder holds: every manifest read and verified, every blob's length compared.
//!
//! Blobs may be missing: those of platforms that nobody wanted are. Nothing outside of the folder is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use itertools::Itertools as _;
use serde_json::{Value, json};

use super::attached::subject_of_tag;
use super::graph::{self, BelowError};
use super::layout::blob_path;
use super::source_files::{SourceFilesError, regular_file};
use super::{LayoutSource, Manifest, Reference, SourceError, SourceErrorKind};
use crate::digest::Digest;
use crate::store::Descriptor;

/// The most manifests that a layout may have, far above any real one.
const MANIFEST_COUNT_LIMIT: usize = 200_000;

/// One manifest of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldManifest {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// What it says.
    pub manifest: Manifest,
    /// Whether everything below it is there too.
    pub is_whole: bool,
    /// Its place in an order that has children before their parents.
    rank: usize,
}

impl HeldManifest {
    /// Returns its entry in a list of what is attached to a manifest (OCI distribution specification, "Listing
    /// Referrers").
    pub fn referrer(&self) -> Value {
        let mut entry = json!(self.descriptor);
        if let Some(artifact_type) = &self.manifest.artifact_type {
            entry["artifactType"] = json!(artifact_type);
        }
        if !self.manifest.annotations.is_empty() {
            entry["annotations"] = json!(self.manifest.annotations);
        }
        entry
    }
}

/// What a layout holds; contents stay where they are.
#[derive(Debug)]
pub struct Inventory {
    source: LayoutSource,
    /// The roots in the order of the index, each with its names; those without are attached to others mostly.
    pub roots: Vec<(Digest, Vec<Reference>)>,
    /// The manifests that are there.
    pub manifests: BTreeMap<Digest, HeldManifest>,
    /// The blobs that are there, with their lengths.
    pub blobs: BTreeMap<Digest, u64>,
    /// Blobs that have another length than their manifests say, and count as missing.
    pub damaged: BTreeSet<Digest>,
}

impl Inventory {
    /// Reads the layout in `folder`.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let source = LayoutSource::folder(folder)?;
        let (roots, manifests, blobs, damaged) = Default::default();
        let mut inventory = Self { source, roots, manifests, blobs, damaged };
        for entry in inventory.source.images().to_vec() {
            inventory.load(&entry.descriptor)?;
            let names: BTreeSet<Reference> = entry.references().collect();
            inventory.roots.push((entry.descriptor.digest, names.into_iter().collect()));
        }
        if inventory.roots.iter().all(|(_, names)| names.is_empty()) {
            let message = format!("`{}` has no image with a name", folder.display());
            return Err(SourceError::new(SourceErrorKind::Local, message));
        }
        Ok(inventory)
    }

    /// Opens a content.
    pub fn file(&self, digest: &Digest) -> Result<File, SourceError> {
        Ok(regular_file(self.source.path(), &blob_path(digest))?)
    }

    /// Returns where a content is, or should be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.source.path().join(blob_path(digest))
    }

    /// Reads a manifest that is there once more.
    pub fn manifest_bytes(&self, manifest: &HeldManifest) -> Result<Vec<u8>, SourceError> {
        self.source.read_manifest(&manifest.descriptor)
    }

    /// Adds `root` and everything below it, there or not.
    pub fn collect(&self, root: &Digest, contents: &mut BTreeSet<Digest>) {
        let mut waiting = vec![root];
        while let Some(digest) = waiting.pop() {
            if contents.insert(*digest) {
                let held = self.manifests.get(digest).into_iter();
                let below = held.flat_map(|held| held.manifest.manifests().chain(held.manifest.blobs()));
                waiting.extend(below.map(|descriptor| &descriptor.digest));
            }
        }
    }

    /// Returns the manifests that are there from `root` downwards, children before parents.
    pub fn below(&self, root: &Digest) -> Vec<&HeldManifest> {
        let mut contents = BTreeSet::new();
        self.collect(root, &mut contents);
        let manifests = contents.iter().filter_map(|digest| self.manifests.get(digest));
        manifests.sorted_by_key(|held| held.rank).collect()
    }

    /// Returns what is attached to each manifest, in the order of the digests.
    pub fn attached(&self) -> BTreeMap<Digest, Vec<&HeldManifest>> {
        let mut attached: BTreeMap<Digest, Vec<&HeldManifest>> = BTreeMap::new();
        for manifest in self.manifests.values() {
            if let Some(subject) = &manifest.manifest.subject {
                attached.entry(subject.digest).or_default().push(manifest);
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

    /// Reads `root`, which must be there, and all manifests below it that are there.
    fn load(&mut self, root: &Descriptor) -> Result<(), SourceError> {
        let read = |descriptor: &Descriptor| {
            if self.manifests.contains_key(&descriptor.digest) {
                return Ok(None);
            }
            match self.source.read_manifest(descriptor) {
                // Of indexes that somebody else wrote, children may have been left out.
                Err(error) if error.kind == SourceErrorKind::ContentNotFound && descriptor != root => {
                    Ok(None)
                }
                read => read.map(Some),
            }
        };
        let path = self.source.path().display();
        let nodes = graph::below(root, read).map_err(|error| match error {
            BelowError::Read(source) => source,
            BelowError::Manifest(digest, source) => {
                let message = format!("`{path}` has `{}`, which is not a manifest", blob_path(&digest));
                SourceError::new(SourceErrorKind::Local, message).caused_by(source)
            }
            BelowError::TooLarge(excess) => {
                let message = format!("the image {} in `{path}` is larger than images are", root.digest);
                SourceError::new(SourceErrorKind::Local, message).caused_by(excess)
            }
        })?;
        if self.manifests.len() + nodes.len() > MANIFEST_COUNT_LIMIT {
            let message = format!("`{path}` has more than {MANIFEST_COUNT_LIMIT} manifests");
            return Err(SourceError::new(SourceErrorKind::Local, message));
        }
        for graph::Node { descriptor, manifest, .. } in nodes {
            let is_held =
                |child: &Descriptor| self.manifests.get(&child.digest).is_some_and(|held| held.is_whole);
            let mut is_whole = manifest.manifests().all(is_held);
            for blob in manifest.blobs() {
                is_whole &= self.add_blob(blob)?;
            }
            let rank = self.manifests.len();
            self.manifests.insert(descriptor.digest, HeldManifest { descriptor, manifest, is_whole, rank });
        }
        Ok(())
    }

    /// Takes a blob up if it is there and has its length; returns whether it does.
    ///
    /// Those of platforms that were not wanted are not there.
    fn add_blob(&mut self, Descriptor { digest, size, .. }: &Descriptor) -> Result<bool, SourceError> {
        if self.blobs.contains_key(digest) {
            return Ok(true);
        }
        let file = match regular_file(self.source.path(), &blob_path(digest)) {
            Ok(file) => file,
            Err(error @ SourceFilesError::NotRegular(..)) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        let is_whole = file.metadata().is_ok_and(|metadata| metadata.len() == *size);
        if is_whole {
            self.blobs.insert(*digest, *size);
        } else {
            self.damaged.insert(*digest);
        }
        Ok(is_whole)
    }
}
