//! Everything an image consists of, for the platforms that are wanted.
//!
//! An index stays as it was served, so that its digest stays valid. Children for other platforms are kept as
//! manifests without their layers: a few hundred bytes each, and importers that insist on finding every child
//! of an index (containerd before 1.7, k3s before May 2024) find them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use itertools::Itertools as _;

use super::manifest::{Kind, MANIFEST_LIMIT, Manifest, ManifestError};
use super::{ImageSource, Platform, Reference, SourceError, SourceErrorKind};
use crate::digest::Digest;
use crate::store::{Descriptor, VerifyReader};

/// The most that one image may have attached, far above any real one: each is a request.
pub(super) const ATTACHED_LIMIT: usize = 1000;
/// How deep indexes may lie in indexes.
pub const DEPTH_LIMIT: usize = 8;
/// The most manifests one image may have, far above any real one: each is a request.
const MANIFEST_COUNT_LIMIT: usize = 1000;
/// The most bytes that all manifests of one image may have; they are in memory.
const MANIFEST_BYTES_LIMIT: u64 = 64 * 1024 * 1024;
/// The most bytes that all contents of one image may have, 1 PiB: sums of many images stay numbers.
const CONTENT_BYTES_LIMIT: u64 = 1 << 50;
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
    /// Whether its configuration and layers belong to the graph; `false` for platforms that are not wanted,
    /// and for images that say nowhere what they run on.
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
    #[error("`{0}` cannot be read")]
    Manifest(Reference, #[source] ManifestError),
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
    /// Nobody knows what is attached to it.
    #[error("cannot find out what is attached to `{0}`")]
    Attachments(Reference, #[source] SourceError),
    /// What is listed as attached to a manifest does not say so itself.
    #[error("`{0}` is listed as attached to {1}, and does not say so itself")]
    NotAttached(Reference, Digest),
    /// There is more than any honest image has.
    #[error("`{0}` is larger than images are")]
    TooLarge(Reference, #[source] Excess),
}

/// What an image has too much of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Bytes in one document.
    #[error("the {what} {digest} has {size} bytes; at most {limit} are accepted")]
    Bytes {
        /// `manifest` or `configuration`.
        what: &'static str,
        /// The document.
        digest: Digest,
        /// Its length.
        size: u64,
        /// The most bytes accepted.
        limit: u64,
    },
    /// Indexes in indexes.
    #[error("its indexes lie in one another, more than {DEPTH_LIMIT} deep")]
    Depth,
    /// Manifests.
    #[error(
        "it has more than {MANIFEST_COUNT_LIMIT} manifests, or more than {MANIFEST_BYTES_LIMIT} bytes of them"
    )]
    Manifests,
    /// Bytes of all contents together.
    #[error("its contents have more than {CONTENT_BYTES_LIMIT} bytes together")]
    Contents,
    /// Signatures and the like.
    #[error(
        "it has more than {ATTACHED_LIMIT} signatures, attestations and the like, or they are attached to one \
         another more than {DEPTH_LIMIT} deep"
    )]
    Attached,
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
///
/// An image's platform is what its index states, else what its configuration says, as container runtimes have it.
/// Without any platform nothing is left out: signatures and the like run nowhere.
pub fn read(
    source: &dyn ImageSource,
    reference: &Reference,
    root: &Descriptor,
    platforms: &[Platform],
) -> Result<Graph, GraphError> {
    let fetch = |descriptor: &Descriptor| source.manifest(reference, descriptor).map(Some);
    let mut nodes = below(root, fetch).map_err(|error| match error {
        BelowError::Read(source) => GraphError::Source(source),
        BelowError::Manifest(_, source) => GraphError::Manifest(reference.clone(), source),
        BelowError::TooLarge(excess) => too_large(reference, excess),
    })?;
    check_sizes(reference, root, &nodes)?;
    if platforms.is_empty() {
        nodes.iter_mut().for_each(|node| node.is_whole = true);
        return Ok(Graph { nodes, platforms: BTreeMap::new() });
    }
    let positions = (0..).zip(&nodes).map(|(at, node)| (node.descriptor.digest, at)).collect();
    let seen = BTreeSet::new();
    let mut narrowing = Narrowing { source, reference, platforms, nodes, positions, seen, found: Vec::new() };
    let root = narrowing.nodes.len() - 1;
    narrowing.narrow(root, None, true)?;
    let Narrowing { nodes, found, .. } = narrowing;
    Ok(Graph { platforms: choose(reference, platforms, &nodes, &found)?, nodes })
}

/// Why the manifests below a root cannot be read.
#[derive(Debug)]
pub enum BelowError<E> {
    /// One cannot be had.
    Read(E),
    /// One is not a manifest.
    Manifest(Digest, ManifestError),
    /// There is more than any honest image has.
    TooLarge(Excess),
}

/// Reads the manifests from `root` downwards, each once, children before parents.
///
/// `read` gives the bytes of one, verified; what it has none of is passed over, with what only that leads to.
pub fn below<E>(
    root: &Descriptor,
    read: impl FnMut(&Descriptor) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<Node>, BelowError<E>> {
    let mut walk = Walk { read, nodes: Vec::new(), entered: BTreeSet::new(), bytes: 0 };
    walk.collect(root, 0)?;
    Ok(walk.nodes)
}

struct Walk<R> {
    read: R,
    nodes: Vec<Node>,
    entered: BTreeSet<Digest>,
    bytes: u64,
}

impl<E, R: FnMut(&Descriptor) -> Result<Option<Vec<u8>>, E>> Walk<R> {
    fn collect(&mut self, descriptor: &Descriptor, depth: usize) -> Result<(), BelowError<E>> {
        if !self.entered.insert(descriptor.digest) {
            return Ok(());
        }
        check_limit("manifest", descriptor, MANIFEST_LIMIT).map_err(BelowError::TooLarge)?;
        self.bytes += descriptor.size;
        if depth > DEPTH_LIMIT {
            return Err(BelowError::TooLarge(Excess::Depth));
        }
        if self.entered.len() > MANIFEST_COUNT_LIMIT || self.bytes > MANIFEST_BYTES_LIMIT {
            return Err(BelowError::TooLarge(Excess::Manifests));
        }
        let Some(bytes) = (self.read)(descriptor).map_err(BelowError::Read)? else { return Ok(()) };
        let manifest = Manifest::parse(&bytes, Some(&descriptor.media_type))
            .map_err(|source| BelowError::Manifest(descriptor.digest, source))?;
        let children: BTreeSet<_> = manifest.manifests().map(|child| child.digest).collect();
        // Before any of them is asked for.
        if self.entered.union(&children).count() > MANIFEST_COUNT_LIMIT {
            return Err(BelowError::TooLarge(Excess::Manifests));
        }
        manifest.manifests().try_for_each(|child| self.collect(child, depth + 1))?;
        // The media type of the root may be unknown until the bytes are there.
        let descriptor = Descriptor { media_type: manifest.media_type.clone(), ..descriptor.clone() };
        self.nodes.push(Node { descriptor, bytes, manifest, is_whole: false });
        Ok(())
    }
}

/// Finds out which of the manifests are wanted whole.
struct Narrowing<'a> {
    source: &'a dyn ImageSource,
    reference: &'a Reference,
    platforms: &'a [Platform],
    nodes: Vec<Node>,
    positions: BTreeMap<Digest, usize>,
    seen: BTreeSet<(usize, bool)>,
    found: Vec<(Platform, Digest)>,
}

impl Narrowing<'_> {
    /// Marks what is wanted below one manifest, and notes the platform of every image.
    ///
    /// One manifest may be reached on several ways, as wanted and as unwanted; wanted wins.
    fn narrow(&mut self, at: usize, stated: Option<&Platform>, is_wanted: bool) -> Result<(), GraphError> {
        let is_wanted = is_wanted && stated.is_none_or(|platform| self.platforms.contains(platform));
        let kind = self.nodes[at].manifest.kind;
        // What needs a closer look gets one as wanted and one as unwanted, not one for every way to it.
        if (kind == Kind::Index || stated.is_none()) && !self.seen.insert((at, is_wanted)) {
            return Ok(());
        }
        match kind {
            Kind::Index => {
                self.nodes[at].is_whole |= is_wanted;
                self.narrow_children(at, is_wanted)
            }
            Kind::Image => {
                let platform = match stated {
                    Some(platform) => Some(platform.clone()),
                    None => self.platform_by_config(at)?,
                };
                let runs = platform.as_ref().is_some_and(|platform| self.platforms.contains(platform));
                self.nodes[at].is_whole |= is_wanted && runs;
                let digest = &self.nodes[at].descriptor.digest;
                self.found.extend(platform.map(|platform| (platform, *digest)));
                Ok(())
            }
            Kind::Artifact => {
                self.nodes[at].is_whole |= is_wanted;
                Ok(())
            }
        }
    }

    fn narrow_children(&mut self, index: usize, is_wanted: bool) -> Result<(), GraphError> {
        let children = self.nodes[index].manifest.children.clone();
        let (attestations, mut others): (Vec<_>, Vec<_>) =
            children.into_iter().partition(|child| child.attests.is_some());
        // Of several images for one platform containerd takes one whose platform the index states, if it can.
        others.sort_by_key(|child| child.platform.is_none());
        for child in others {
            let at = self.positions[&child.descriptor.digest];
            self.narrow(at, child.platform.as_ref(), is_wanted)?;
        }
        // Attestations have no platform of their own: they go with what they are about.
        for child in attestations {
            let subject = child.attests.and_then(|subject| self.positions.get(&subject));
            if subject.is_some_and(|subject| self.nodes[*subject].is_whole) {
                self.nodes[self.positions[&child.descriptor.digest]].is_whole = true;
            }
        }
        Ok(())
    }

    fn platform_by_config(&self, at: usize) -> Result<Option<Platform>, GraphError> {
        let Some(config) = self.nodes[at].manifest.config.as_ref().map(|child| &child.descriptor) else {
            return Ok(None);
        };
        check_limit("configuration", config, CONFIG_LIMIT)
            .map_err(|excess| too_large(self.reference, excess))?;
        let reader = self.source.blob(self.reference, config).map_err(GraphError::Source)?;
        let mut bytes = Vec::new();
        VerifyReader::new(reader, config.digest, config.size).read_to_end(&mut bytes).map_err(|error| {
            let message = format!("cannot read the configuration {} of `{}`", config.digest, self.reference);
            GraphError::Source(SourceError::new(SourceErrorKind::Invalid, message).caused_by(error))
        })?;
        Ok(Manifest::platform_of_config(&bytes))
    }
}

fn check_limit(what: &'static str, descriptor: &Descriptor, limit: u64) -> Result<(), Excess> {
    let (digest, size) = (descriptor.digest, descriptor.size);
    if size > limit { Err(Excess::Bytes { what, digest, size, limit }) } else { Ok(()) }
}

fn too_large(reference: &Reference, source: Excess) -> GraphError {
    GraphError::TooLarge(reference.clone(), source)
}

/// Picks one image for each wanted platform; the first of several, as container runtimes do.
fn choose(
    reference: &Reference,
    wanted: &[Platform],
    nodes: &[Node],
    found: &[(Platform, Digest)],
) -> Result<BTreeMap<Platform, Digest>, GraphError> {
    let has = |kind| nodes.iter().any(|node| node.manifest.kind == kind);
    // An index of nothing is neither an artifact nor any other thing to want.
    if has(Kind::Artifact) && !has(Kind::Image) {
        return Ok(BTreeMap::new());
    }
    let choose_one = |wanted: &Platform| match found.iter().find(|(platform, _)| platform == wanted) {
        Some((_, digest)) => Ok((wanted.clone(), *digest)),
        None => Err(GraphError::NoSuchPlatform {
            reference: reference.clone(),
            wanted: wanted.clone(),
            available: list(found),
        }),
    };
    wanted.iter().map(choose_one).collect()
}

fn list(found: &[(Platform, Digest)]) -> String {
    let names: BTreeSet<String> = found.iter().map(|(platform, _)| platform.to_string()).collect();
    if names.is_empty() { "none that is stated".to_owned() } else { names.iter().join(", ") }
}

/// Compares and adds up what all manifests announce, of contents that are not wanted too.
fn check_sizes(reference: &Reference, root: &Descriptor, nodes: &[Node]) -> Result<(), GraphError> {
    let mut sizes: BTreeMap<&Digest, u64> = BTreeMap::new();
    let children = nodes.iter().flat_map(|node| node.manifest.config.iter().chain(&node.manifest.children));
    for content in std::iter::once(root).chain(children.map(|child| &child.descriptor)) {
        let first = *sizes.entry(&content.digest).or_insert(content.size);
        if first != content.size {
            return Err(GraphError::SizesDiffer {
                reference: reference.clone(),
                digest: content.digest,
                first,
                second: content.size,
            });
        }
    }
    let total = sizes.values().try_fold(0_u64, |total, size| total.checked_add(*size));
    if total.is_none_or(|total| total > CONTENT_BYTES_LIMIT) {
        return Err(too_large(reference, Excess::Contents));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
