//! What goes where: the names of a kit's images in another registry, and what each repository needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::PushError;
use crate::bill;
use crate::digest::Digest;
use crate::oci::inventory::{HeldManifest, Inventory};
use crate::oci::{Reference, SourceError};
use crate::store::Descriptor;

/// How images are called that have no name for the registry in their list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By their path: `quay.io/lab/hello:1.0` becomes `lab/hello:1.0`, which is what nodes ask a mirror for.
    Path,
    /// By their path below the name of their registry: `quay.io/lab/hello:1.0`.
    WithRegistry,
}

/// One image and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) reference: Reference,
    pub(super) repository: String,
    pub(super) tag: String,
    pub(super) root: Digest,
}

impl Place {
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// Returns the content by its digest, of the image's repository.
    pub(super) fn pinned(&self) -> Reference {
        self.reference.sibling(None, self.root)
    }
}

/// Gives every image its place; two different images in one place are an error.
pub(super) fn places(images: &[bill::Image], naming: Naming) -> Result<Vec<Place>, PushError> {
    let mut taken: BTreeMap<String, &bill::Image> = BTreeMap::new();
    let mut places = Vec::new();
    for image in images {
        let (repository, tag) = name(image, naming);
        let place = Place { reference: image.reference.clone(), repository, tag, root: image.digest };
        match taken.insert(place.name(), image) {
            Some(other) if other.digest != image.digest => {
                return Err(PushError::Collision {
                    name: place.name(),
                    first: other.reference.clone(),
                    second: image.reference.clone(),
                });
            }
            Some(_) | None => places.push(place),
        }
    }
    Ok(places)
}

fn name(image: &bill::Image, naming: Naming) -> (String, String) {
    let bill::Image { reference, destination, .. } = image;
    if let Some((path, tag)) = destination.as_deref().and_then(|name| name.rsplit_once(':')) {
        return (path.to_owned(), tag.to_owned());
    }
    let tagged = reference.tagged_name();
    let tag = tagged.rsplit_once(':').map_or("latest", |(_, tag)| tag).to_owned();
    let repository = match naming {
        Naming::Path => reference.repository().to_owned(),
        // A repository's name has no colon.
        Naming::WithRegistry => {
            format!("{}/{}", reference.registry().replace(':', "-"), reference.repository())
        }
    };
    (repository, tag)
}

/// What one image consists of in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parts {
    /// Manifests of which everything is there, children before parents. The root itself is not among them.
    pub(super) manifests: Vec<Digest>,
    /// Indexes that list what is not there, children before parents; the root is the last if it is one.
    pub(super) partial: Vec<Digest>,
    /// The blobs of all of these, and of the root.
    pub(super) blobs: BTreeSet<Digest>,
    /// Whether layers of these are in no registry.
    pub(super) has_foreign: bool,
}

impl Parts {
    /// Returns what the image `root` consists of; `None` if nothing that runs is there.
    pub(super) fn of(inventory: &Inventory, root: &Digest) -> Option<Self> {
        let (mut parts, mut there) = (Self::default(), BTreeSet::new());
        for HeldManifest { descriptor, manifest, is_whole, .. } in inventory.below(root) {
            let digest = descriptor.digest;
            if *is_whole {
                parts.manifests.push(digest);
            } else if manifest.manifests().any(|child| there.contains(&child.digest)) {
                parts.partial.push(digest);
            } else {
                continue;
            }
            there.insert(digest);
            parts.has_foreign |= manifest.children.iter().any(|child| child.is_foreign);
            parts.blobs.extend(manifest.blobs().map(|blob| blob.digest));
        }
        // The root goes last, and under its name.
        parts.manifests.retain(|digest| digest != root);
        there.contains(root).then_some(parts)
    }
}

/// Something that is attached to a manifest, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttachedPlace {
    /// Its place; what has no tag is known by its digest.
    pub(super) place: Place,
    /// The manifest that it names itself.
    pub(super) subject: Option<Digest>,
}

/// Finds what goes along with an image because it is attached to a manifest of it that is there, or to what is.
pub(super) fn attached(inventory: &Inventory, image: &Place, parts: &Parts) -> Vec<AttachedPlace> {
    let (named, tagged) = (inventory.attached(), inventory.attached_by_tag());
    let place = |tag: String, root: &Digest| Place { tag, root: *root, ..image.clone() };
    let mut found: Vec<AttachedPlace> = Vec::new();
    let mut waiting: Vec<Digest> =
        parts.manifests.iter().chain(&parts.partial).chain([&image.root]).cloned().collect();
    let mut seen = BTreeSet::new();
    while let Some(subject) = waiting.pop() {
        if !seen.insert(subject) {
            continue;
        }
        for manifest in named.get(&subject).into_iter().flatten() {
            let digest = &manifest.descriptor.digest;
            let subject = Some(subject);
            found.push(AttachedPlace { place: place(digest.to_string(), digest), subject });
            waiting.push(*digest);
        }
        // One content under several names may be signed by several: what its own name has comes first.
        let mut by_tag: Vec<_> = tagged.get(&subject).into_iter().flatten().collect();
        by_tag.sort_by_key(|(name, _)| name.name() != image.reference.name());
        let mut tags = BTreeSet::new();
        for (name, digest) in by_tag {
            let tag = name.tag().unwrap_or_default();
            if tags.insert(tag) {
                found.push(AttachedPlace { place: place(tag.to_owned(), digest), subject: None });
                waiting.push(**digest);
            }
        }
    }
    found
}

/// An index without the children that are not there, under its new digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Narrowed {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
}

/// Writes the indexes of `partial`, children before parents, anew without what is not there.
///
/// Everything else in them stays, in its order: the same index always becomes the same other one.
pub(super) fn narrow(
    inventory: &Inventory,
    partial: &[Digest],
) -> Result<BTreeMap<Digest, Narrowed>, SourceError> {
    let mut narrowed: BTreeMap<Digest, Narrowed> = BTreeMap::new();
    for held in partial.iter().filter_map(|digest| inventory.manifests.get(digest)) {
        let bytes = inventory.manifest_bytes(held)?;
        let mut index: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(Value::Array(children)) = index.get_mut("manifests") {
            children.retain_mut(|child| keep(inventory, &narrowed, child));
        }
        let bytes = serde_json::to_vec(&index).expect("a JSON value always becomes a text");
        let (digest, size) = (Digest::sha256(&bytes), bytes.len() as u64);
        let descriptor = Descriptor { digest, size, ..held.descriptor.clone() };
        narrowed.insert(held.descriptor.digest, Narrowed { descriptor, bytes });
    }
    Ok(narrowed)
}

/// Returns whether a child of an index is there; one that is itself written anew is named anew.
fn keep(inventory: &Inventory, narrowed: &BTreeMap<Digest, Narrowed>, child: &mut Value) -> bool {
    let Some(digest) = child["digest"].as_str().and_then(|text| text.parse::<Digest>().ok()) else {
        return false;
    };
    match narrowed.get(&digest) {
        Some(Narrowed { descriptor, .. }) => {
            child["digest"] = descriptor.digest.to_string().into();
            child["size"] = descriptor.size.into();
            true
        }
        None => inventory.manifests.get(&digest).is_some_and(|held| held.is_whole),
    }
}
