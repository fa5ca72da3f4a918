//! What each name stands for: the image that the lock pinned under it, in every tarball and in the registry's layout.
//!
//! Each image may be whole, and each name a right one, and yet two of them may have changed places.

use std::collections::{BTreeMap, BTreeSet};

use super::needed::full_name;
use super::tarballs;
use crate::check::kit::{Archive, Kit, LAYOUT_INDEX};
use crate::check::verdict::Verdict;
use crate::digest::Digest;
use crate::oci::layout::{CONTAINERD_NAME, REF_NAME};

/// SK0313
pub(super) fn images_are_those_of_the_bill(kit: &Kit, verdict: &mut Verdict) {
    let billed: BTreeMap<String, Digest> =
        kit.images().iter().map(|image| (image.reference.tagged_name(), image.digest)).collect();
    for (path, archive) in &kit.archives {
        for (name, digest) in named(archive) {
            compare(verdict, path, name.clone(), digest, billed.get(&name));
        }
    }
    for node in &kit.nodes {
        for (_, file) in tarballs(node) {
            let Some(archive) = &file.archive else { continue };
            // Somebody's own tarball may have images of its own.
            for (name, digest) in named(archive).into_iter().filter(|(name, _)| billed.contains_key(name)) {
                let place = format!("{}: {name}", file.place);
                compare(verdict, &node.seed, place, digest, billed.get(&name));
            }
        }
    }
    let Some(layout) = &kit.layout else { return };
    let mut served: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    for entry in &layout.manifests {
        // What is attached to images has no name for a runtime.
        if let Some(name) = entry.annotations.get(CONTAINERD_NAME) {
            let name = entry.annotations.get(REF_NAME).unwrap_or(name);
            served.entry(name).or_default().insert(entry.descriptor.digest);
        }
    }
    for image in kit.images() {
        let name = image.reference.to_string();
        let found = served.remove(name.as_str()).unwrap_or_default();
        if found.is_empty() {
            verdict.fault(LAYOUT_INDEX, &name, "it does not name the image, and kit.json does");
        }
        for found in found {
            compare(verdict, LAYOUT_INDEX, name.clone(), found, Some(&image.digest));
        }
    }
    for (name, _) in served {
        verdict.fault(LAYOUT_INDEX, name, "it names the image, and kit.json does not");
    }
}

/// Returns what a tarball's names stand for, as a container runtime reads them.
fn named(archive: &Archive) -> BTreeSet<(String, Digest)> {
    let images = archive.images().into_iter().flat_map(|images| &images.images);
    let named = images.filter_map(|image| Some((&image.names, image.digest?)));
    named.flat_map(|(names, digest)| names.iter().map(move |name| (full_name(name), digest))).collect()
}

/// Says how what a name stands for differs from the bill.
fn compare(verdict: &mut Verdict, artifact: &str, place: String, found: Digest, billed: Option<&Digest>) {
    match billed {
        None => verdict.fault(artifact, place, "it is there, and not among the images of kit.json"),
        Some(billed) if *billed == found => {}
        Some(billed) => verdict.fault(artifact, place, format!("it is {found}, and kit.json says {billed}")),
    }
}
