//! From a layout to a [`Catalog`].

use std::collections::BTreeSet;

use super::catalog::{Catalog, Content, Referrer, Repository};
use super::repository_name::RepositoryName;
use crate::digest::Digest;
use crate::oci::attached::is_attached;
use crate::oci::inventory::{HeldManifest, Inventory};

/// A name that was chosen for this registry, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnName {
    /// The path, such as `mirror/pause`.
    pub path: String,
    /// The tag.
    pub tag: String,
    /// The image's root, which the layout names too.
    pub root: Digest,
}

impl Catalog {
    /// Returns what `inventory` holds by name; `own_names` are names beside those of the layout.
    pub fn of(inventory: &Inventory, own_names: &[OwnName]) -> Self {
        let mut catalog = Self::default();
        for (digest, size) in &inventory.blobs {
            catalog.contents.insert(*digest, Content { size: *size, manifest_type: None });
        }
        for HeldManifest { descriptor, .. } in inventory.manifests.values() {
            let manifest_type = Some(descriptor.media_type.clone());
            let content = Content { size: descriptor.size, manifest_type };
            catalog.contents.insert(descriptor.digest, content);
        }
        for (root, names) in &inventory.roots {
            catalog.images += names.iter().filter(|name| !is_attached(name)).count();
            for reference in names {
                catalog.name(inventory, RepositoryName::of(reference), reference.tag(), root);
            }
        }
        for OwnName { path, tag, root } in own_names {
            if inventory.manifests.contains_key(root) {
                let name = RepositoryName { path: path.clone(), registry: None };
                catalog.name(inventory, name, Some(tag), root);
            }
        }
        catalog.attach(inventory);
        catalog
    }

    fn name(&mut self, inventory: &Inventory, name: RepositoryName, tag: Option<&str>, root: &Digest) {
        let repository = self.repositories.entry(name).or_default();
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), *root);
        }
        inventory.collect(root, &mut repository.contents);
    }

    /// Gives what is attached to a manifest to every repository that has the manifest.
    ///
    /// What is known by a tag is in its image's repository already; under a name that was chosen for this registry, its
    /// tag is wanted too.
    fn attach(&mut self, inventory: &Inventory) {
        for (subject, attached) in inventory.attached() {
            self.referrers.insert(subject, attached.into_iter().map(Referrer::of).collect());
        }
        let tagged = inventory.attached_by_tag();
        if self.referrers.is_empty() && tagged.is_empty() {
            return;
        }
        for (name, Repository { tags, contents }) in &mut self.repositories {
            // A signature may itself be signed.
            let mut waiting: Vec<Digest> = contents.iter().cloned().collect();
            while let Some(subject) = waiting.pop() {
                let listed =
                    self.referrers.get(&subject).into_iter().flatten().map(|referrer| &referrer.digest);
                let own = tagged.get(&subject).filter(|_| name.registry.is_none()).into_iter().flatten();
                let named = own.map(|(reference, digest)| {
                    let tag = reference.tag().unwrap_or_default();
                    tags.entry(tag.to_owned()).or_insert_with(|| **digest);
                    *digest
                });
                for digest in listed.chain(named) {
                    if !contents.contains(digest) {
                        let mut attached = BTreeSet::new();
                        inventory.collect(digest, &mut attached);
                        waiting.extend(attached.iter().cloned());
                        contents.extend(attached);
                    }
                }
            }
        }
    }
}

impl Referrer {
    fn of(held: &HeldManifest) -> Self {
        Self {
            digest: held.descriptor.digest,
            artifact_type: held.manifest.artifact_type.clone(),
            entry: held.referrer(),
        }
    }
}
