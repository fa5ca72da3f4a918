//! What each name stands for: the image that the lock pinned under it, in every tarball and in the registry's layout.
//!
//! Each image may be whole, and each name a right one, and yet two of them may have changed places.

use std::collections::{BTreeMap, BTreeSet};

use super::needed::full_name;
use super::tarballs;
use crate::check::kit::{Archive, Kit, LAYOUT_INDEX, Node};
use crate::check::verdict::{Found, Verdict};
use crate::digest::Digest;
use crate::oci::layout::{CONTAINERD_NAME, REF_NAME};

/// SK0313
pub(in crate::check) fn archives_are_those_of_the_bill(kit: &Kit, verdict: &mut Verdict) {
    let billed = billed(kit);
    for (path, archive) in &kit.archives {
        for (name, digest) in named(archive) {
            let expected = billed.get(&name);
            compare(name, digest, expected, &mut verdict.of(path));
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
    let mut found = verdict.of(LAYOUT_INDEX);
    for image in kit.images() {
        let name = image.reference.to_string();
        let digests = served.remove(name.as_str()).unwrap_or_default();
        if digests.is_empty() {
            found.fault(&name, "it does not name the image, and kit.json does");
        }
        for digest in digests {
            compare(name.clone(), digest, Some(&image.digest), &mut found);
        }
    }
    for (name, _) in served {
        found.fault(name, "it names the image, and kit.json does not");
    }
}

/// SK0313
pub(in crate::check) fn nodes_have_those_of_the_bill(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    for (file, archive) in tarballs(node).filter_map(|(_, file)| Some((file, file.archive.as_ref()?))) {
        let billed = billed(kit);
        // Somebody's own tarball may have images of its own.
        for (name, digest) in named(archive).into_iter().filter(|(name, _)| billed.contains_key(name)) {
            compare(format!("{}: {name}", file.place), digest, billed.get(&name), found);
        }
    }
}

/// Returns what each name stands for, as the bill says.
fn billed(kit: &Kit) -> BTreeMap<String, Digest> {
    kit.images().iter().map(|image| (image.reference.tagged_name(), image.digest)).collect()
}

/// Returns what a tarball's names stand for, as a container runtime reads them.
fn named(archive: &Archive) -> BTreeSet<(String, Digest)> {
    let images = archive.images().into_iter().flat_map(|images| &images.images);
    let named = images.filter_map(|image| Some((&image.names, image.digest?)));
    named.flat_map(|(names, digest)| names.iter().map(move |name| (full_name(name), digest))).collect()
}

/// Says how what a name stands for differs from the bill.
fn compare(place: String, digest: Digest, billed: Option<&Digest>, found: &mut Found<'_>) {
    match billed {
        None => found.fault(place, "it is there, and not among the images of kit.json"),
        Some(billed) if *billed == digest => {}
        Some(billed) => found.fault(place, format!("it is {digest}, and kit.json says {billed}")),
    }
}
