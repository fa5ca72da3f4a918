//! Images of a spec: each tag to its digest, each digest to all that it consists of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::LockError;
use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::fetch::pulls::{self, PlannedImage, Pulls};
use crate::fetch::sources::Sources;
use crate::lockfile::{LockedImage, WantedImage};
use crate::oci::graph::{self, GraphError};
use crate::oci::{Graph, ImageSource, Reference, SourceError, SourceErrorKind, attached};
use crate::parallel;
use crate::progress::Event;
use crate::spec::Spec;
use crate::store::Descriptor;

/// One image that cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("`{reference}` ({origin})")]
pub struct ImageFailure {
    /// The image.
    pub reference: Reference,
    /// Who names it.
    pub origin: String,
    /// Why.
    #[source]
    pub source: GraphError,
}

/// An image, and the digests and sizes of all that it consists of, what is attached to it too.
pub(super) type Resolved = (LockedImage, BTreeMap<Digest, u64>);

/// Resolves all images: first their names, which costs no pull, then what they consist of.
pub(super) fn resolve(
    wanted: &[WantedImage],
    spec: &Spec,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(Vec<Resolved>, Vec<Pulls>), LockError> {
    let names: Vec<(&WantedImage, ())> = wanted.iter().map(|image| (image, ())).collect();
    let (roots, mut failures) =
        all(&names, equipment, |image, ()| sources.resolve(&image.reference).map_err(GraphError::Source));
    let refuse = |failures| Err(LockError::Images { total: wanted.len(), failures });
    sources.say_complaints(equipment.reporter);
    if !failures.is_empty() && !equipment.keep_going {
        return refuse(failures);
    }
    let images: Vec<(&WantedImage, Descriptor)> =
        wanted.iter().zip(roots).filter_map(|(image, root)| Some((image, root?))).collect();
    let planned: Vec<PlannedImage<'_>> = images
        .iter()
        .map(|(image, root)| PlannedImage { reference: &image.reference, root, manifests: None })
        .collect();
    let pulls = pulls::check(&planned, sources, equipment)?;
    let (resolved, more) = all(&images, equipment, |image, root| {
        let resolved = resolve_one(image, root, spec, sources)?;
        equipment.reporter.report(Event::ItemFinished(image.reference.to_string()));
        Ok(resolved)
    });
    sources.say_complaints(equipment.reporter);
    failures.extend(more);
    if failures.is_empty() { Ok((resolved.into_iter().flatten().collect(), pulls)) } else { refuse(failures) }
}

/// Does `work` for all images, and collects all that fails.
///
/// A typo fails alone; a registry that is down or refuses, or a layout that is not there, would only fail again for
/// each image: the rest is not tried then, unless somebody wants to keep going.
fn all<T: Sync, R: Send>(
    images: &[(&WantedImage, T)],
    equipment: &Equipment<'_>,
    work: impl Fn(&WantedImage, &T) -> Result<R, GraphError> + Sync,
) -> (Vec<Option<R>>, Vec<ImageFailure>) {
    let is_hopeless = AtomicBool::new(false);
    let results = parallel::map(images, equipment.jobs, |(image, given)| {
        if is_hopeless.load(Ordering::Relaxed) && !equipment.keep_going {
            return None;
        }
        let result = work(image, given);
        is_hopeless.fetch_or(result.as_ref().is_err_and(concerns_all), Ordering::Relaxed);
        Some(result)
    });
    let mut failures = Vec::new();
    let note = |((image, _), result): (&(&WantedImage, T), Option<Result<R, GraphError>>)| match result? {
        Ok(done) => Some(done),
        Err(source) => {
            let (reference, origin) = (image.reference.clone(), image.origin.clone());
            failures.push(ImageFailure { reference, origin, source });
            None
        }
    };
    let done = images.iter().zip(results).map(note).collect();
    (done, failures)
}

fn concerns_all(error: &GraphError) -> bool {
    match error {
        GraphError::Source(SourceError { kind, .. })
        | GraphError::Attachments(_, SourceError { kind, .. }) => {
            use SourceErrorKind::{Connection, Local, RateLimited, Store};
            matches!(kind, Connection | Local | RateLimited | Store)
        }
        GraphError::Manifest(..)
        | GraphError::NoSuchPlatform { .. }
        | GraphError::SizesDiffer { .. }
        | GraphError::NotAttached(..)
        | GraphError::TooLarge(..) => false,
    }
}

fn resolve_one(
    image: &WantedImage,
    root: &Descriptor,
    spec: &Spec,
    sources: &Sources,
) -> Result<Resolved, GraphError> {
    let reference = &image.reference;
    let graph = graph::read(sources, reference, root, &spec.platforms)?;
    let attached =
        if spec.images.signatures { attached::find(sources, reference, &graph)? } else { Vec::new() };
    let graphs = || std::iter::once(&graph).chain(attached.iter().map(|(_, graph)| graph));
    let contents: BTreeMap<Digest, u64> =
        graphs().flat_map(Graph::contents).map(|content| (content.digest, content.size)).collect();
    let manifests: BTreeSet<&Digest> =
        graphs().flat_map(|graph| &graph.nodes).map(|node| &node.descriptor.digest).collect();
    let root = &graph.root().descriptor;
    let locked = LockedImage {
        reference: reference.clone(),
        destination: image.destination.clone(),
        media_type: root.media_type.clone(),
        digest: root.digest,
        size: root.size,
        total_size: contents.values().sum(),
        manifests: manifests.len() as u64,
        attached: attached.iter().map(|(attachment, _)| attachment.clone().into()).collect(),
        platforms: graph.platforms,
    };
    Ok((locked, contents))
}
