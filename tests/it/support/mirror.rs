//! Images that went the way of `seedkit mirror`: from a layout into a store, with their graphs.

use std::path::PathBuf;

use seedkit::oci::import::{ImportArchive, ImportError, ImportImage};
use seedkit::oci::{Graph, ImageSource, LayoutSource, Platform, Reference, graph};
use seedkit::store::DiskStore;

use super::images::Image;

/// Images in a store.
pub(crate) struct Mirror {
    /// The images in the order in which they were given.
    pub(crate) images: Vec<(Reference, Graph)>,
    /// Their content.
    pub(crate) store: DiskStore,
    _folder: tempfile::TempDir,
}

impl Mirror {
    /// Brings `images` into a store, narrowed to `platforms`.
    pub(crate) fn of(images: &[(&str, &Image)], platforms: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let platforms: Vec<Platform> = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let images = images.iter().map(|(name, image)| {
            let reference: Reference = name.parse().unwrap();
            let layout = tempfile::tempdir().unwrap();
            image.write_layout(layout.path());
            let source = LayoutSource::folder(layout.path()).unwrap();
            let graph = graph::read(&source, &reference, image.root(), &platforms).unwrap();
            for content in graph.contents() {
                store.push(content, source.blob(&reference, content).unwrap(), |_| {}).unwrap();
            }
            (reference, graph)
        });
        Self { images: images.collect(), store, _folder: folder }
    }

    /// Plans the airgap tarball for a platform.
    pub(crate) fn plan(&self, platform: &str) -> Result<ImportArchive, ImportError> {
        let images: Vec<_> =
            self.images.iter().map(|(reference, graph)| ImportImage { reference, graph }).collect();
        ImportArchive::plan(&images, &platform.parse().unwrap())
    }

    /// Returns the airgap tarball for a platform, uncompressed.
    pub(crate) fn tarball(&self, platform: &str) -> Vec<u8> {
        let archive = self.plan(platform).unwrap();
        let epoch = "1763683200".parse().unwrap();
        let file = |digest: &_| -> PathBuf { self.store.path(digest) };
        archive.write(epoch, file, |_| {}, Vec::new()).unwrap()
    }
}
