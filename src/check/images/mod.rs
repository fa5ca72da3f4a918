//! The images that nodes start with.

pub(super) mod identity;
pub(super) mod import;
pub(super) mod needed;
pub(super) mod scripts;
pub(super) mod whole;

use std::collections::BTreeSet;

use super::kit::{Kit, Node, PlacedFile};
use crate::inspect::Image;

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

/// Returns the images that a node imports; `None` if a tarball cannot be looked into.
fn images_of<'a>(kit: &'a Kit, node: &'a Node) -> Option<Vec<&'a Image>> {
    let mut images = Vec::new();
    for (_, file) in tarballs(node) {
        images.extend(kit.archive(file)?.images()?.images.iter());
    }
    Some(images)
}

/// Returns the names of the images that a node imports.
fn names_of(kit: &Kit, node: &Node) -> Option<BTreeSet<String>> {
    let images = images_of(kit, node)?;
    Some(images.iter().flat_map(|image| image.names.iter().cloned()).collect())
}
