//! `seedkit mirror`: locked images -> store -> OCI layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::fetch::failures::Failures;
use crate::fetch::places::Complaint;
use crate::fetch::pulls::{self, NoPullsLeft, PlannedImage, Pulls};
use crate::fetch::sources::Sources;
use crate::fetch::transfer::{self, Image, TransferError, Transferred};
use crate::fs::{Sharing, Staging};
use crate::lockfile::{Locked, LockedAttachment, LockedImage, Lockfile};
use crate::oci::layout::{self, LayoutIndex, LayoutWriter};
use crate::oci::{Graph, MANIFEST_LIMIT, Manifest, Reference};
use crate::ops::output::{self, Irreplaceable};
use crate::parallel;
use crate::progress::{Bytes, Event, step};
use crate::spec::Spec;
use crate::store::{Descriptor, StoreError};
use crate::text::counted;

/// Why a layout was not written.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// What stands at the layout's place is something else.
    #[error("{0}")]
    Output(#[from] Irreplaceable),
    /// An image is not in the store.
    #[error("cannot fetch the images")]
    Transfer(#[from] TransferError),
    /// A registry allows nothing more.
    #[error("cannot fetch the images")]
    Pulls(#[from] NoPullsLeft),
    /// A locked image's platforms are not what the lock says: the source changed under one digest, or lies.
    #[error("`{0}` has other images for its platforms than the lock says")]
    PlatformsDiffer(Reference),
    /// The layout cannot be written.
    #[error("cannot write the layout `{0}`")]
    Layout(PathBuf, #[source] std::io::Error),
    /// Somebody else wrote to a blob after it was verified, so that the layout has it wrong.
    #[error("another process changed blob {digest} in `{path}` while it was used")]
    Changed {
        /// The blob.
        digest: Digest,
        /// The file of the store.
        path: PathBuf,
    },
    /// A blob cannot be looked at again.
    #[error("cannot tell whether the layout `{0}` is right")]
    Unsure(PathBuf, #[source] StoreError),
}

/// What is mirrored, and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The lock that fits it.
    pub locked: &'a Locked,
    /// Where images come from.
    pub sources: &'a Sources,
    /// The layout's final place; a layout that is there is replaced when the new one is whole.
    pub output: &'a Path,
    /// Whether its blobs may be other names of the store's.
    pub sharing: Sharing,
}

/// Where a layout is written.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The folder, which is made.
    pub folder: &'a Path,
    /// Whether its blobs may be other names of the store's.
    pub sharing: Sharing,
}

/// A finished layout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its folder.
    pub output: PathBuf,
    /// How many images it has.
    pub images: usize,
    /// How many manifests are attached to them.
    pub attached: usize,
    /// Blobs that were fetched now.
    pub fetched: u64,
    /// Bytes that came for them now.
    pub bytes: u64,
    /// Blobs that were in the store already.
    pub present: u64,
    /// The manifests that were not in the store, by registry.
    pub pulls: Vec<Pulls>,
    /// What places did while another one gave what was asked for.
    pub passed_over: Vec<Complaint>,
    /// What was done, in one line.
    #[serde(skip)]
    pub summary: String,
}

/// Writes a layout of all locked images.
pub fn run(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Outcome, MirrorError> {
    let Options { spec, locked, sources, output, sharing } = *options;
    let owners = [("the store", equipment.store.root())];
    output::check(output, output::Kind::Layout, spec, &owners)?;
    output::outside(output, &owners)?;
    let fail = |source| MirrorError::Layout(output.to_owned(), source);
    let staging = Staging::beside(output).map_err(fail)?;
    let mirrored = images(locked, sources, Some(Target { folder: staging.path(), sharing }), equipment)?;
    mirrored.confirm(staging.path(), equipment)?;
    staging.publish().map_err(fail)?;
    let summary = mirrored.summary();
    let Mirrored { images, attached, pulls, fetched, bytes, present } = mirrored;
    Ok(Outcome {
        output: output.to_owned(),
        images: images.len(),
        attached: attached.len(),
        fetched,
        bytes,
        present,
        pulls,
        passed_over: sources.complaints(),
        summary,
    })
}

/// Brings all locked images into the store, as a step; they become a layout in `layout` if there is one.
pub fn images(
    locked: &Locked,
    sources: &Sources,
    layout: Option<Target<'_>>,
    equipment: &Equipment<'_>,
) -> Result<Mirrored, MirrorError> {
    step(equipment.reporter, "mirror images", || {
        let mirrored = fetch(locked, sources, equipment)?;
        layout.map_or(Ok(()), |target| write_layout(&mirrored, target, equipment))?;
        let summary = mirrored.summary();
        Ok((mirrored, summary))
    })
}

/// The locked images, whole in the store.
#[derive(Debug)]
pub struct Mirrored {
    /// Each image with its graph, in the lock's order.
    pub images: Vec<(LockedImage, Graph)>,
    /// What is attached to them, each by its pinned name.
    pub attached: Vec<(Reference, Graph)>,
    /// The manifests that were not in the store, by registry.
    pub pulls: Vec<Pulls>,
    /// Blobs that were fetched now.
    pub fetched: u64,
    /// Bytes that came for them now: without those that earlier runs left.
    pub bytes: u64,
    /// Blobs that were in the store already.
    pub present: u64,
}

/// Brings all locked images into the store.
pub fn fetch(locked: &Locked, sources: &Sources, equipment: &Equipment<'_>) -> Result<Mirrored, MirrorError> {
    let lockfile = locked.lockfile();
    let image = |image: &LockedImage| Image {
        reference: image.reference.clone(),
        root: Descriptor { media_type: image.media_type.clone(), digest: image.digest, size: image.size },
    };
    let images: Vec<Image> = lockfile.images.iter().map(image).collect();
    let attached = attached(lockfile);
    equipment.reporter.report(Event::Planned { bytes: 0, items: (images.len() + attached.len()) as u64 });
    let pulls = pulls::check(&planned(lockfile, &images, &attached), sources, equipment)?;
    let done = transfer::run(&images, &lockfile.platforms, sources, equipment);
    let done = both(done, equipment, || transfer::run(&attached, &[], sources, equipment));
    sources.say_complaints(equipment.reporter);
    // What is attached is for all platforms.
    let (done, also) = done?;
    let mut pairs = Vec::with_capacity(images.len());
    for (image, graph) in lockfile.images.iter().zip(done.graphs) {
        if graph.platforms != image.platforms {
            return Err(MirrorError::PlatformsDiffer(image.reference.clone()));
        }
        warn_of_other_platforms(image, &graph, equipment);
        pairs.push((image.clone(), graph));
    }
    let names = attached.into_iter().map(|image| image.reference);
    Ok(Mirrored {
        images: pairs,
        attached: names.zip(also.graphs).collect(),
        pulls,
        fetched: done.fetched + also.fetched,
        bytes: done.bytes + also.bytes,
        present: done.present + also.present,
    })
}

/// Warns of images that an index lists for another platform than their configurations say: container runtimes take the
/// index's word, and what is in them is for one of the two.
fn warn_of_other_platforms(image: &LockedImage, graph: &Graph, equipment: &Equipment<'_>) {
    for stated in graph.platforms.keys() {
        let config = graph.image_for(stated).and_then(|node| node.manifest.config.as_ref());
        let config = config.filter(|config| config.descriptor.size <= MANIFEST_LIMIT);
        // What cannot be read is an error of whoever needs it.
        let bytes = config.and_then(|config| equipment.store.read(&config.descriptor).ok().flatten());
        let own = bytes.and_then(|bytes| Manifest::platform_of_config(&bytes));
        if let Some(own) =
            own.filter(|own| (own.os(), own.architecture()) != (stated.os(), stated.architecture()))
        {
            let text = format!(
                "`{}`: its index lists an image for {stated} that says of itself that it is for {own}: it may not run",
                image.reference
            );
            equipment.reporter.warn(text);
        }
    }
}

/// Transfers what is attached after the images: also if some of these failed, under `--keep-going`.
fn both(
    done: Result<Transferred, TransferError>,
    equipment: &Equipment<'_>,
    also: impl FnOnce() -> Result<Transferred, TransferError>,
) -> Result<(Transferred, Transferred), TransferError> {
    if !equipment.keep_going {
        return Ok((done?, also()?));
    }
    let mut failures = Failures(Vec::new());
    let (done, also) = (failures.note(("image", ""), done), failures.note(("image", ""), also()));
    match (done, also) {
        (Some(done), Some(also)) => Ok((done, also)),
        (None, _) | (_, None) => Err(TransferError::Several(failures)),
    }
}

/// Returns what will be read; of an image that is not there yet, its number of manifests has those of what is attached.
fn planned<'a>(lockfile: &Lockfile, images: &'a [Image], attached: &'a [Image]) -> Vec<PlannedImage<'a>> {
    let own = images.iter().zip(&lockfile.images).map(|(Image { reference, root }, locked)| {
        let also = locked.attached.len() as u64;
        PlannedImage { reference, root, manifests: Some(locked.manifests.saturating_sub(also).max(1)) }
    });
    let also =
        attached.iter().map(|Image { reference, root }| PlannedImage { reference, root, manifests: Some(1) });
    own.chain(also).collect()
}

/// Returns what is attached to the images, each once.
fn attached(lockfile: &Lockfile) -> Vec<Image> {
    let all = lockfile.images.iter().flat_map(|image| {
        let attachments = image.attached.iter().map(LockedAttachment::attachment);
        attachments.map(|attachment| (attachment.reference(&image.reference), attachment.descriptor))
    });
    let all: BTreeMap<Reference, Descriptor> = all.collect();
    all.into_iter().map(|(reference, root)| Image { reference, root }).collect()
}

/// Writes the images as an OCI layout into `folder`, by giving the store's files a second name, or copying them.
fn write_layout(
    mirrored: &Mirrored,
    target: Target<'_>,
    equipment: &Equipment<'_>,
) -> Result<(), MirrorError> {
    let Target { folder, sharing } = target;
    let fail = |source| MirrorError::Layout(folder.to_owned(), source);
    let writer = LayoutWriter::create(folder).map_err(fail)?;
    for graph in mirrored.graphs() {
        for blob in graph.contents() {
            writer.add_blob(blob, &equipment.store.path(&blob.digest), sharing).map_err(fail)?;
        }
    }
    let roots = mirrored.images.iter().map(|(image, graph)| (&image.reference, &graph.root().descriptor));
    let attached = mirrored.attached.iter().map(|(reference, graph)| (reference, &graph.root().descriptor));
    let index = LayoutIndex::of(roots, Reference::to_string).with_attached(attached);
    writer.finish(&index).map_err(fail)
}

impl Mirrored {
    /// Returns all graphs: of the images, and of what is attached to them.
    fn graphs(&self) -> impl Iterator<Item = &Graph> {
        let graphs = self.images.iter().map(|(_, graph)| graph);
        graphs.chain(self.attached.iter().map(|(_, graph)| graph))
    }

    /// Makes sure, when all is written, that the blobs of the layout in `folder` are what was verified: others may have
    /// written to the store meanwhile, and what has two names changes under both.
    pub(super) fn confirm(&self, folder: &Path, equipment: &Equipment<'_>) -> Result<(), MirrorError> {
        let blobs: BTreeMap<_, _> =
            self.graphs().flat_map(Graph::contents).map(|blob| (blob.digest, blob)).collect();
        let blobs: Vec<_> = blobs.into_values().collect();
        let is_still = |blob: &&Descriptor| {
            equipment.store.is_still(blob, &folder.join(layout::blob_path(&blob.digest)))
        };
        for (blob, is_still) in blobs.iter().zip(parallel::map(&blobs, equipment.jobs, is_still)) {
            let path = equipment.store.path(&blob.digest);
            if !is_still.map_err(|source| MirrorError::Unsure(folder.to_owned(), source))? {
                return Err(MirrorError::Changed { digest: blob.digest, path });
            }
        }
        Ok(())
    }

    /// Says in one line what was done.
    pub fn summary(&self) -> String {
        let Self { images, attached, pulls: _, fetched, bytes, present } = self;
        let fetched = format!("{fetched} blobs fetched ({})", Bytes(*bytes));
        let attached = match attached.len() {
            0 => String::new(),
            number => format!(" and {} attached to them", counted(number, "manifest")),
        };
        format!("{} images{attached}, {fetched}, {present} there already", images.len())
    }
}
