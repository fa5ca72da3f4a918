//! The images that nodes start with.

mod identity;
mod import;
mod needed;
mod scripts;
mod whole;

use std::collections::BTreeSet;

pub(super) use needed::disabled;

use super::Check;
use super::kit::{Archive, Kit, Node, PlacedFile};
use crate::inspect::Image;

pub(super) const CHECKS: &[Check] = &[
    Check::kit("SK0301", needed::pause_image),
    Check::kit("SK0302", needed::all_images),
    Check::kit("SK0303", whole::tarballs_are_whole),
    Check::kit("SK0304", whole::one_version),
    Check::kit("SK0305", scripts::import_nothing),
    Check::kit("SK0306", scripts::stop_at_failures),
    Check::both("SK0307", import::kubelet_flags, import::kubelet_flags_of_spec),
    Check::both("SK0308", import::suffixes, import::suffixes_of_spec),
    Check::both("SK0309", import::pins, import::pins_of_spec),
    Check::kit("SK0310", whole::names),
    Check::kit("SK0311", needed::manifests),
    Check::both("SK0312", import::components, import::components_of_spec),
    Check::kit("SK0313", identity::images_are_those_of_the_bill),
    Check::kit("SK0314", whole::images_are_whole),
];

/// Where k3s looks for images to import.
pub(super) const FOLDER: &str = "/var/lib/rancher/k3s/agent/images/";
/// What k3s imports.
const SUFFIXES: [&str; 9] =
    [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.lz4", ".tar.zst", ".tzst", ".tar.zstd"];

/// Returns the files that k3s would import.
fn tarballs(node: &Node) -> impl Iterator<Item = (&String, &PlacedFile)> {
    let is_one = |path: &str| {
        path.strip_prefix(FOLDER)
            .is_some_and(|name| !name.contains('/') && SUFFIXES.iter().any(|suffix| name.ends_with(suffix)))
    };
    node.files.iter().filter(move |(path, _)| is_one(path))
}

/// Returns what is in a file of a node: that of the kit's own artifact, if it is the same bytes.
fn content<'a>(kit: &'a Kit, file: &'a PlacedFile) -> Option<&'a Archive> {
    let own = file.archive.as_deref();
    own.or_else(|| {
        let mut artifacts = kit.bill.as_ref()?.artifacts.iter();
        let (path, _) = artifacts.find(|(_, artifact)| Some(artifact.digest) == file.digest)?;
        kit.archives.get(path)
    })
}

/// Returns the images that a node imports; `None` if a tarball cannot be looked into.
fn images_of<'a>(kit: &'a Kit, node: &'a Node) -> Option<Vec<&'a Image>> {
    let mut images = Vec::new();
    for (_, file) in tarballs(node) {
        images.extend(content(kit, file)?.images()?.images.iter());
    }
    Some(images)
}

/// Returns the names of the images that a node imports.
fn names_of(kit: &Kit, node: &Node) -> Option<BTreeSet<String>> {
    let images = images_of(kit, node)?;
    Some(images.iter().flat_map(|image| image.names.iter().cloned()).collect())
}
