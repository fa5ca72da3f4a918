//! Everything an image consists of, for the platforms that are wanted.
//!
//! An index stays as it was served, so that its digest stays valid. Children for other platforms are kept as
//! manifests without their layers: a few hundred bytes each, and importers that insist on finding every child
//! of an index (containerd before 1.7, k3s before May 2024) find them.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{Child, Kind, MANIFEST_LIMIT, Manifest, ManifestError};
use super::{ImageSource, Platform, Reference, SourceError, SourceErrorKind};
use crate::digest::Digest;
use crate::store::Descriptor;

/// How deep indexes may lie in indexes.
const DEPTH_LIMIT: usize = 8;
/// The most manifests one image may have: far above any real one, far below what would exhaust memory.
const MANIFEST_COUNT_LIMIT: usize = 1000;
/// The most bytes a configuration may have that is read to learn an image's platform.
const CONFIG_LIMIT: u64 = 8 * 1024 * 1024;

/// One manifest of a graph with its raw bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// The bytes as served.
    pub bytes: Vec<u8>,
    /// What the bytes say.
    pub manifest: Manifest,
    /// Whether its configuration and layers belong to the graph; `false` for platforms that are not wanted.
    pub is_whole: bool,
}

/// All manifests and blobs of an image, children before parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The manifests; the last one is the root.
    pub nodes: Vec<Node>,
    /// The runnable image of each wanted platform; empty for artifacts.
    pub platforms: BTreeMap<Platform, Digest>,
}

/// Why the graph of an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The source failed.
    #[error(transparent)]
    Source(SourceError),
    /// A manifest is not one.
    #[error("`{reference}` cannot be read")]
    Manifest {
        /// The image.
        reference: Reference,
        /// What is wrong with it.
        #[source]
        source: ManifestError,
    },
    /// A wanted platform does not exist.
    #[error("`{reference}` has no image for {wanted}; it has {available}")]
    NoSuchPlatform {
        /// The image.
        reference: Reference,
        /// The platform.
        wanted: Platform,
        /// The platforms that exist, separated by commas.
        available: String,
    },
    /// One digest is announced with two lengths: one of the manifests lies.
    #[error("`{reference}` announces {digest} with {first} and with {second} bytes")]
    SizesDiffer {
        /// The image.
        reference: Reference,
        /// The blob.
        digest: Digest,
        /// One length.
        first: u64,
        /// The other.
        second: u64,
    },
    /// Indexes in indexes without end.
    #[error("`{reference}` nests its indexes too deep or has too many manifests")]
    TooLarge {
        /// The image.
        reference: Reference,
    },
}

impl Graph {
    /// Returns the manifest that the image's name stands for.
    pub fn root(&self) -> &Node {
        self.nodes.last().expect("a graph is made with its root, and nothing removes it")
    }

    /// Returns the configurations and layers that belong to the graph, each once.
    pub fn blobs(&self) -> BTreeMap<&Digest, &Descriptor> {
        let whole = self.nodes.iter().filter(|node| node.is_whole);
        whole.flat_map(|node| node.manifest.blobs()).map(|blob| (&blob.digest, blob)).collect()
    }

    /// Returns all manifests, and the configurations and layers that belong to the graph, each once.
    pub fn contents(&self) -> impl Iterator<Item = &Descriptor> {
        self.nodes.iter().map(|node| &node.descriptor).chain(self.blobs().into_values())
    }

    /// Returns the bytes of all contents together.
    pub fn total_size(&self) -> u64 {
        self.contents().map(|content| content.size).sum()
    }

    /// Returns the runnable image for `platform`, with what it says.
    pub fn image_for(&self, platform: &Platform) -> Option<&Node> {
        let digest = self.platforms.get(platform)?;
        self.nodes.iter().find(|node| node.descriptor.digest == *digest)
    }
}

/// Reads the graph of `reference` below `root` from `source`, narrowed to `platforms`.
pub fn read(
    source: &dyn ImageSource,
    reference: &Reference,
    root: &Descriptor,
    platforms: &[Platform],
) -> Result<Graph, GraphError> {
    let mut walk =
        Walk { source, reference, platforms, nodes: Vec::new(), seen: BTreeSet::new(), found: vec![] };
    walk.visit(root, None, true, 0)?;
    let Walk { nodes, found, .. } = walk;
    let graph = Graph { platforms: choose(reference, platforms, &nodes, found)?, nodes };
    check_sizes(reference, &graph)?;
    Ok(graph)
}

struct Walk<'a> {
    source: &'a dyn ImageSource,
    reference: &'a Reference,
    platforms: &'a [Platform],
    nodes: Vec<Node>,
    seen: BTreeSet<Digest>,
    found: Vec<(Platform, Digest)>,
}

impl Walk<'_> {
    fn visit(
        &mut self,
        descriptor: &Descriptor,
        platform: Option<&Platform>,
        is_whole: bool,
        depth: usize,
    ) -> Result<(), GraphError> {
        let reference = self.reference;
        if !self.seen.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        if depth > DEPTH_LIMIT || self.seen.len() > MANIFEST_COUNT_LIMIT || descriptor.size > MANIFEST_LIMIT {
            return Err(GraphError::TooLarge { reference: reference.clone() });
        }
        let bytes = self.source.manifest(reference, descriptor).map_err(GraphError::Source)?;
        let manifest = Manifest::parse(&bytes, Some(&descriptor.media_type))
            .map_err(|source| GraphError::Manifest { reference: reference.clone(), source })?;
        match manifest.kind {
            Kind::Index => self.visit_children(&manifest, is_whole, depth)?,
            Kind::Image => {
                let platform = match platform {
                    Some(platform) => Some(platform.clone()),
                    None => self.platform_by_config(&manifest)?,
                };
                self.found.extend(platform.map(|platform| (platform, descriptor.digest.clone())));
            }
            Kind::Artifact => {}
        }
        // The media type of the root may be unknown until the bytes are there.
        let descriptor = Descriptor { media_type: manifest.media_type.clone(), ..descriptor.clone() };
        self.nodes.push(Node { descriptor, bytes, manifest, is_whole });
        Ok(())
    }

    fn visit_children(&mut self, index: &Manifest, is_whole: bool, depth: usize) -> Result<(), GraphError> {
        let is_wanted = |child: &Child| child.platform.as_ref().is_none_or(|p| self.platforms.contains(p));
        let wanted: BTreeSet<Digest> = index
            .children
            .iter()
            .filter(|child| child.attests.is_none() && is_wanted(child))
            .map(|child| child.descriptor.digest.clone())
            .collect();
        for child in &index.children {
            let about = child.attests.as_ref().unwrap_or(&child.descriptor.digest);
            let is_whole = is_whole && wanted.contains(about);
            self.visit(&child.descriptor, child.platform.as_ref(), is_whole, depth + 1)?;
        }
        Ok(())
    }

    fn platform_by_config(&self, manifest: &Manifest) -> Result<Option<Platform>, GraphError> {
        use std::io::Read as _;
        let Some(config) = manifest.config.as_ref().map(|child| &child.descriptor) else { return Ok(None) };
        let fail = |error: std::io::Error| {
            let message = format!("cannot read the configuration {} of `{}`", config.digest, self.reference);
            GraphError::Source(SourceError::new(SourceErrorKind::Invalid, message).caused_by(error))
        };
        let reader = self.source.blob(self.reference, config).map_err(GraphError::Source)?;
        let mut bytes = Vec::new();
        crate::store::VerifyReader::new(reader.take(CONFIG_LIMIT), config.digest.clone(), config.size)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
        Ok(Manifest::platform_of_config(&bytes))
    }
}

/// Picks one image for each wanted platform; the first of several, as container runtimes do.
fn choose(
    reference: &Reference,
    wanted: &[Platform],
    nodes: &[Node],
    found: Vec<(Platform, Digest)>,
) -> Result<BTreeMap<Platform, Digest>, GraphError> {
    if nodes.iter().all(|node| node.manifest.kind != Kind::Image) {
        return Ok(BTreeMap::new());
    }
    let mut chosen = BTreeMap::new();
    for platform in wanted {
        let Some((_, digest)) = found.iter().find(|(candidate, _)| candidate == platform) else {
            let available: BTreeSet<String> =
                found.iter().map(|(platform, _)| platform.to_string()).collect();
            let available = available.into_iter().collect::<Vec<_>>().join(", ");
            let available = if available.is_empty() { "none that is stated".to_owned() } else { available };
            return Err(GraphError::NoSuchPlatform {
                reference: reference.clone(),
                wanted: platform.clone(),
                available,
            });
        };
        chosen.insert(platform.clone(), digest.clone());
    }
    Ok(chosen)
}

fn check_sizes(reference: &Reference, graph: &Graph) -> Result<(), GraphError> {
    let mut sizes: BTreeMap<&Digest, u64> = BTreeMap::new();
    let blobs = graph.nodes.iter().flat_map(|node| node.manifest.blobs());
    for blob in graph.nodes.iter().map(|node| &node.descriptor).chain(blobs) {
        let first = *sizes.entry(&blob.digest).or_insert(blob.size);
        if first != blob.size {
            return Err(GraphError::SizesDiffer {
                reference: reference.clone(),
                digest: blob.digest.clone(),
                first,
                second: blob.size,
            });
        }
    }
    Ok(())
}
