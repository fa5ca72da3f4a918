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
use super::{Child, Graph, Manifest, Platform, Reference};
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
    /// The images inside by their names, as a container runtime lists them.
    pub images: BTreeMap<String, Digest>,
    /// Images that stay out because a layer of theirs is not in any registry.
    pub foreign: Vec<Reference>,
}

/// Why a tarball cannot hold all images.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A container runtime keeps one image under one name: the other would be lost without a word.
    #[error("`{first}` and `{second}` are two images, and both are `{name}` for a container runtime")]
    OneName {
        /// One image.
        first: Reference,
        /// The other.
        second: Reference,
        /// Their name.
        name: String,
    },
}

/// One image of `manifest.json`, in the order of what a reader compares.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    repo_tags: Vec<String>,
    config: String,
    layers: Vec<String>,
}

impl ImportArchive {
    /// Plans the tarball of `images` for one platform; images that have nothing for it stay out.
    pub fn plan(images: &[ImportImage<'_>], platform: &Platform) -> Result<Self, ImportError> {
        let mut roots: BTreeMap<String, (&Reference, &Descriptor)> = BTreeMap::new();
        let mut docker = BTreeSet::new();
        let mut blobs = BTreeMap::new();
        let mut foreign = Vec::new();
        for ImportImage { reference, graph } in images {
            let Some(node) = graph.image_for(platform) else { continue };
            if node.manifest.children.iter().any(|layer| layer.is_foreign) {
                foreign.push((*reference).clone());
                continue;
            }
            let name = reference.tagged_name();
            let root = &graph.root().descriptor;
            let (first, known) = *roots.entry(name.clone()).or_insert((reference, root));
            if known.digest != root.digest {
                let (first, second) = (first.clone(), (*reference).clone());
                return Err(ImportError::OneName { first, second, name });
            }
            let manifests = graph.nodes.iter().map(|node| &node.descriptor);
            blobs.extend(manifests.chain(node.manifest.blobs()).map(|blob| (blob.digest, blob.size)));
            docker.insert(DockerImage::of(name, &node.manifest));
        }
        Ok(Self {
            index: LayoutIndex::of(roots.values().copied(), Reference::tagged_name),
            docker: docker.into_iter().collect(),
            blobs,
            images: roots.into_iter().map(|(name, (_, root))| (name, root.digest)).collect(),
            foreign,
        })
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
            let content = Content::file(file(digest), *digest, *size);
            tar.file(&path(&blob_path(digest)), 0o644, &content)?;
            advance(*size);
        }
        tar.finish()
    }
}

impl DockerImage {
    fn of(name: String, image: &Manifest) -> Self {
        let place = |child: &Child| blob_path(&child.descriptor.digest);
        Self {
            repo_tags: vec![name],
            config: image.config.iter().map(place).collect(),
            layers: image.children.iter().map(place).collect(),
        }
    }
}
