//! The airgap tarball: what containerd imports, k3s finds in its images folder, `docker load` and `podman load` take.
//!
//! One plain tar holds an OCI layout and Docker's `manifest.json` over the same blobs. Every image has its
//! fully qualified, tagged name, because the kubelet looks images up by it and k3s refuses digest-only names.
//! The root stays what it was upstream, with all child manifests of an index but the layers of one platform
//! only: then `image@sha256:…` of a pod still resolves, and importers that insist on finding every child do.
//!
//! # Why
//!
//! Artifacts (charts, signatures) stay out: unpacking one fails, and stops the images after it. So do images
//! with layers that no registry has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::layout::{LayoutIndex, OCI_LAYOUT, blob_path};
use super::{Graph, Platform, Reference};
use crate::archive::tar::{TarError, TarWriter};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::store::Descriptor;
use crate::tree::Content;

/// One image of a tarball: its name and all it consists of.
#[derive(Debug, Clone, Copy)]
pub struct ImportImage<'a> {
    /// The name.
    pub reference: &'a Reference,
    /// The content.
    pub graph: &'a Graph,
}

/// What goes into a tarball, planned before its first byte.
#[derive(Debug)]
pub struct ImportArchive {
    index: LayoutIndex,
    docker: Vec<DockerImage>,
    blobs: BTreeMap<Digest, u64>,
    /// The names of the images inside, as a container runtime lists them; sorted.
    pub names: Vec<String>,
    /// Images that stay out because a layer of theirs is not in any registry.
    pub foreign: Vec<Reference>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

impl ImportArchive {
    /// Plans the tarball of `images` for one platform; images that have nothing for it stay out.
    pub fn plan(images: &[ImportImage<'_>], platform: &Platform) -> Self {
        let mut roots: Vec<(&Reference, &Descriptor)> = Vec::new();
        let mut archive = Self {
            index: LayoutIndex::of([], Reference::tagged_name),
            docker: Vec::new(),
            blobs: BTreeMap::new(),
            names: Vec::new(),
            foreign: Vec::new(),
        };
        for image in images {
            let Some(node) = image.graph.image_for(platform) else { continue };
            let manifest = &node.manifest;
            if manifest.children.iter().any(|layer| layer.is_foreign) {
                archive.foreign.push(image.reference.clone());
                continue;
            }
            let manifests = image.graph.nodes.iter().map(|node| &node.descriptor);
            archive
                .blobs
                .extend(manifests.chain(manifest.blobs()).map(|blob| (blob.digest.clone(), blob.size)));
            let name = image.reference.tagged_name();
            archive.docker.push(DockerImage {
                config: manifest.config.iter().map(|config| blob_path(&config.descriptor.digest)).collect(),
                repo_tags: vec![name.clone()],
                layers: manifest.children.iter().map(|layer| blob_path(&layer.descriptor.digest)).collect(),
            });
            archive.names.push(name);
            roots.push((image.reference, &image.graph.root().descriptor));
        }
        archive.index = LayoutIndex::of(roots, Reference::tagged_name);
        archive.docker.sort();
        archive.docker.dedup();
        archive.names = archive.names.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        archive
    }

    /// Returns the bytes of the blobs inside, which is the tarball's size but for its headers.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.values().sum()
    }

    /// Writes the tarball; `file` says where a blob's verified content is.
    pub fn write<W: Write>(
        &self,
        epoch: Epoch,
        file: impl Fn(&Digest) -> PathBuf,
        mut advance: impl FnMut(u64),
        output: W,
    ) -> Result<W, TarError> {
        let path = |text: &str| text.parse().expect("these names have no odd components");
        let docker = serde_json::to_vec(&self.docker).expect("strings always become JSON");
        let mut tar = TarWriter::new(output, epoch);
        // The documents first: a reader that streams knows what is coming.
        for (name, bytes) in [
            ("oci-layout", OCI_LAYOUT.as_bytes().to_vec()),
            ("index.json", self.index.to_json()),
            ("manifest.json", docker),
        ] {
            tar.file(&path(name), 0o644, &Content::from(bytes))?;
        }
        let folders: BTreeSet<&str> = self.blobs.keys().map(|digest| digest.algorithm().name()).collect();
        tar.directory(&path("blobs"), 0o755)?;
        for folder in folders {
            tar.directory(&path(&format!("blobs/{folder}")), 0o755)?;
        }
        for (digest, size) in &self.blobs {
            let content = Content::Path { path: file(digest), size: *size };
            tar.file(&path(&blob_path(digest)), 0o644, &content)?;
            advance(*size);
        }
        tar.finish()
    }
}
