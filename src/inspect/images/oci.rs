//! The images that an `index.json` names, followed down to their layers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::pieces::{INDEX, Patience, Piece, Pieces, TOO_LARGE};
use super::{Image, ImagePlatform};
use crate::artifact::Finding;
use crate::digest::Digest;
use crate::oci::{Kind, Manifest};
use crate::store::Descriptor;

/// The annotations that name an image.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
/// The deepest nesting of indexes that is followed.
const DEEPEST: usize = 8;

/// What an index names.
pub(super) struct Named {
    pub(super) images: Vec<Image>,
    /// How many blobs none of them needs.
    pub(super) unreferenced: usize,
}

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    annotations: Option<BTreeMap<String, String>>,
}

/// Finds the images of a layout; `None` if it is none.
pub(super) fn resolve(
    pieces: &Pieces,
    findings: &mut BTreeSet<Finding>,
    patience: &mut Patience,
) -> Option<Named> {
    let (_, piece) = pieces.get(INDEX)?;
    let entries = match piece.document.as_deref().map(serde_json::from_slice::<Index>) {
        Some(Ok(index)) => index.manifests.unwrap_or_default(),
        problem => {
            let text = problem.and_then(Result::err).map_or(TOO_LARGE.to_owned(), |error| error.to_string());
            findings.insert(Finding::wrong(INDEX, text));
            Vec::new()
        }
    };
    let mut roots: BTreeMap<Digest, (Descriptor, BTreeSet<String>)> = BTreeMap::new();
    for Entry { media_type, digest, size, annotations } in entries {
        let annotations = annotations.unwrap_or_default();
        let names = NAMES.iter().filter_map(|key| annotations.get(*key).cloned());
        let descriptor = Descriptor { media_type, digest, size };
        roots.entry(digest).or_insert_with(|| (descriptor, BTreeSet::new())).1.extend(names);
    }
    let mut referenced = BTreeSet::new();
    let mut images = Vec::new();
    for (digest, (root, names)) in roots {
        let known = findings.len();
        let (sizes, platforms, entered) = Default::default();
        let mut walk = Walk { pieces, findings, patience, sizes, platforms, entered };
        match walk.manifest(&root, None, 0) {
            Presence::Here if walk.platforms.is_empty() && walk.findings.len() == known => {
                walk.findings.insert(Finding::wrong(blob_path(&digest), "nothing that it names is here"));
            }
            Presence::Here => {}
            Presence::Absent => {
                walk.findings.insert(Finding::Missing { path: blob_path(&digest) });
            }
        }
        let Walk { sizes, platforms, .. } = walk;
        images.push(Image {
            names: shortest(names),
            digest: Some(digest),
            media_type: Some(root.media_type).filter(|media_type| !media_type.is_empty()),
            size: sizes.values().fold(0, |sum: u64, size| sum.saturating_add(*size)),
            platforms,
        });
        referenced.extend(sizes.into_keys());
    }
    let unreferenced = pieces.blobs().filter(|path| !referenced.contains(*path)).count();
    Some(Named { images, unreferenced })
}

/// Leaves out tags, and names without their registry, where the whole name is known.
fn shortest(names: BTreeSet<String>) -> Vec<String> {
    // Backwards, what ends with a name begins with it, and stands behind it in a sorted set.
    let backwards: BTreeSet<String> = names.iter().map(|name| name.chars().rev().collect()).collect();
    let is_part = |name: &String| {
        [':', '/'].iter().any(|mark| {
            let end: String = name.chars().rev().chain([*mark]).collect();
            backwards.range(end.clone()..).next().is_some_and(|other| other.starts_with(&end))
        })
    };
    names.iter().filter(|name| !is_part(name)).cloned().collect()
}

/// Whether a manifest is here.
enum Presence {
    Here,
    Absent,
}

/// The way down from one root.
struct Walk<'a> {
    pieces: &'a Pieces,
    findings: &'a mut BTreeSet<Finding>,
    patience: &'a mut Patience,
    /// Every blob that was met and is here, each once.
    sizes: BTreeMap<String, u64>,
    platforms: Vec<ImagePlatform>,
    /// The manifests that were followed, with what an index says of them; one is not followed twice.
    entered: BTreeSet<(Digest, Option<String>)>,
}

impl<'a> Walk<'a> {
    /// Follows a manifest; `platform` is what an index says of it.
    fn manifest(&mut self, descriptor: &Descriptor, platform: Option<String>, depth: usize) -> Presence {
        let path = blob_path(&descriptor.digest);
        let Some(piece) = self.blob(descriptor) else { return Presence::Absent };
        let Some(document) = &piece.document else {
            self.findings
                .insert(Finding::wrong(path, "it is not a manifest, or a larger one than registries take"));
            return Presence::Here;
        };
        if !self.entered.insert((descriptor.digest, platform.clone())) {
            return Presence::Here;
        }
        if !self.bears(document) {
            return Presence::Here;
        }
        let media_type = Some(descriptor.media_type.as_str()).filter(|media_type| !media_type.is_empty());
        match Manifest::parse(document, media_type) {
            Err(error) => drop(self.findings.insert(Finding::wrong(path, error.to_string()))),
            Ok(manifest) if manifest.kind == Kind::Index && depth < DEEPEST => {
                for child in &manifest.children {
                    let platform = child.platform.as_ref().map(ToString::to_string);
                    // One of another platform need not be here.
                    let _presence = self.manifest(&child.descriptor, platform, depth + 1);
                }
            }
            Ok(manifest) if manifest.kind == Kind::Index => {
                self.findings.insert(Finding::wrong(path, format!("it is nested more than {DEEPEST} times")));
            }
            Ok(manifest) => self.image(descriptor, &manifest, platform, depth),
        }
        Presence::Here
    }

    /// Follows an image or artifact to its configuration and layers.
    fn image(
        &mut self,
        descriptor: &Descriptor,
        manifest: &Manifest,
        platform: Option<String>,
        depth: usize,
    ) {
        let Some(config) = &manifest.config else { return };
        let found = self.blob(&config.descriptor);
        let Some(found) = found else {
            // A root is here as a whole; of an index one platform may be.
            if depth == 0 {
                self.findings.insert(Finding::Missing { path: blob_path(&config.descriptor.digest) });
            }
            return;
        };
        let document = found.document.as_deref().filter(|document| self.bears(document));
        let own = document.and_then(Manifest::platform_of_config).map(|own| own.to_string());
        for layer in manifest.children.iter().filter(|layer| !layer.is_foreign) {
            if self.blob(&layer.descriptor).is_none() {
                self.findings.insert(Finding::Missing { path: blob_path(&layer.descriptor.digest) });
            }
        }
        self.platforms.push(ImagePlatform {
            platform: platform.or(own).filter(|_| manifest.kind == Kind::Image),
            digest: Some(descriptor.digest),
            config: config.descriptor.digest,
            layers: manifest.children.iter().map(|layer| layer.descriptor.digest).collect(),
        });
    }

    /// Returns whether a document may be parsed.
    fn bears(&mut self, document: &[u8]) -> bool {
        let bears = self.patience.bears(document.len());
        if !bears {
            self.findings.insert(Finding::wrong(INDEX, Patience::LOST));
        }
        bears
    }

    /// Returns a blob, if it is here; its length must be the one that is stated.
    fn blob(&mut self, descriptor: &Descriptor) -> Option<&'a Piece> {
        let path = blob_path(&descriptor.digest);
        let pieces = self.pieces;
        let piece = pieces.file(&path)?;
        if piece.size != descriptor.size {
            let reason = format!("it has {} bytes, not {}", piece.size, descriptor.size);
            self.findings.insert(Finding::wrong(&path, reason));
        }
        self.sizes.insert(path, piece.size);
        Some(piece)
    }
}

/// Returns the path of a blob (OCI image layout, "Blobs").
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
