//! The blobs of images into the store, from whichever place gives them.
//!
//! A large blob is streamed by one worker, and others who would be idle fetch parts ahead of it.

mod ahead;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use self::ahead::{Ahead, Stitched, Taken};

use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::fetch::copy::{self, Copying, Workers};
use crate::fetch::failures::Failures;
use crate::fetch::whole::{Blob, Streamed, wrong};
use crate::oci::graph::{self, GraphError};
use crate::oci::{Graph, ImageSource, Platform, Reference, SourceError};
use crate::progress::{Event, Reporter};
use crate::store::{CompleteError, Descriptor, DiskStore, Kept, Mismatch, Opened, StoreError};

/// One image to bring into the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name.
    pub reference: Reference,
    /// Its root, pinned.
    pub root: Descriptor,
}

/// Why an image is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Its manifests cannot be read.
    #[error("cannot read image `{0}`")]
    Graph(Reference, #[source] GraphError),
    /// One of its blobs cannot be asked for.
    #[error("cannot fetch a blob of `{0}`")]
    Source(Reference, #[source] SourceError),
    /// One of its blobs cannot be stored, or is not what it should be.
    #[error("cannot store a blob of `{0}`")]
    Store(Reference, #[source] StoreError),
    /// Some images cannot be had; all others are in the store.
    #[error("not all images can be fetched")]
    Several(#[source] Failures),
}

impl TransferError {
    fn of(reference: Reference, error: CompleteError<SourceError>) -> Self {
        match error {
            CompleteError::Open(source) => Self::Source(reference, source),
            CompleteError::Store(source) => Self::Store(reference, source),
        }
    }
}

/// What a transfer did.
#[derive(Debug, Default)]
pub struct Transferred {
    /// The graphs of the images, in the order of the images.
    pub graphs: Vec<Graph>,
    /// Blobs that were fetched.
    pub fetched: u64,
    /// Bytes that came for them now: without those that earlier runs left.
    pub bytes: u64,
    /// Blobs that were in the store already.
    pub present: u64,
}

/// Reads the graphs of `images` from `source` and brings all their blobs into the store.
///
/// The first error, in the order of the images, is returned, or all of them by those who keep going; blobs that are
/// whole stay in the store, and the others are continued by the next run.
pub fn run(
    images: &[Image],
    platforms: &[Platform],
    source: &dyn ImageSource,
    equipment: &Equipment<'_>,
) -> Result<Transferred, TransferError> {
    let Equipment { store, jobs, keep_going, reporter, .. } = *equipment;
    let (large, tally) = Default::default();
    let transfer = Transfer { images, platforms, source, store, reporter, large, tally };
    let copied = copy::run(&transfer, images.len(), Workers { jobs, keep_going, reporter })?;
    Failures(copied.failed).into_result().map_err(TransferError::Several)?;
    let Tally { fetched, bytes, present } = transfer.tally.into_inner().expect("all workers have ended");
    Ok(Transferred {
        graphs: copied.images.into_iter().flatten().collect(),
        fetched: fetched.len() as u64,
        bytes,
        present: present.difference(&fetched).count() as u64,
    })
}

#[derive(Default)]
struct Tally {
    fetched: BTreeSet<Digest>,
    bytes: u64,
    /// Blobs that were in the store when an image was opened, or when they were to be fetched.
    present: BTreeSet<Digest>,
}

struct Transfer<'a> {
    images: &'a [Image],
    platforms: &'a [Platform],
    source: &'a dyn ImageSource,
    store: &'a DiskStore,
    reporter: &'a dyn Reporter,
    /// Large blobs under way.
    large: Mutex<Vec<Arc<Ahead>>>,
    tally: Mutex<Tally>,
}

impl Copying for Transfer<'_> {
    type Opened = Graph;
    type Copied = Graph;
    type Help = (Arc<Ahead>, Taken);
    type Error = TransferError;
    // There is no barrier between the two: the line is never idle.
    const OPENS_ALL_FIRST: bool = false;

    fn name(&self, image: usize) -> String {
        self.images[image].reference.to_string()
    }

    fn open(&self, image: usize) -> Result<(Graph, Vec<Descriptor>), TransferError> {
        let Image { reference, root } = &self.images[image];
        let graph = graph::read(self.source, reference, root, self.platforms)
            .map_err(|source| TransferError::Graph(reference.clone(), source))?;
        self.reporter.report(Event::ItemFinished(reference.to_string()));
        let (present, missing): (Vec<_>, Vec<_>) =
            graph.blobs().into_values().cloned().partition(|blob| self.is_whole(blob));
        self.tally().present.extend(present.into_iter().map(|blob| blob.digest));
        Ok((graph, missing))
    }

    fn bring(
        &self,
        blob: &Descriptor,
        needing: &[usize],
        wake: &(dyn Fn() + Sync),
    ) -> Result<(), TransferError> {
        let reference = &self.images[needing[0]].reference;
        let result = if blob.size >= ahead::LARGE && self.source.is_remote(reference) {
            self.stream_large(blob, needing[0], wake)
        } else {
            self.stream(blob, reference)
        };
        let came = result.map_err(|error| TransferError::of(reference.clone(), error))?;
        let mut tally = self.tally();
        if let Some(bytes) = came {
            tally.fetched.insert(blob.digest);
            tally.bytes += bytes;
        } else {
            tally.present.insert(blob.digest);
        }
        Ok(())
    }

    fn help(&self) -> Option<Self::Help> {
        self.large().iter().find_map(|ahead| Some((Arc::clone(ahead), ahead.take()?)))
    }

    fn assist(&self, (ahead, taken): Self::Help) {
        let reference = &self.images[ahead.image].reference;
        ahead.help(taken, (self.source, reference), self.store);
    }

    fn finish(&self, _image: usize, graph: Graph) -> Result<Graph, TransferError> {
        Ok(graph)
    }
}

impl Transfer<'_> {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no worker panics while it holds the lock")
    }

    fn large(&self) -> MutexGuard<'_, Vec<Arc<Ahead>>> {
        self.large.lock().expect("no worker panics while it holds the lock")
    }

    /// Returns whether a blob is in the store; one that is damaged is not any more.
    fn is_whole(&self, blob: &Descriptor) -> bool {
        let was_there = self.store.size(&blob.digest).is_some();
        let is_whole = self.store.is_whole(blob);
        if was_there && !is_whole {
            let path = self.store.path(&blob.digest);
            self.reporter.warn(format!("the blob `{}` is damaged and is replaced", path.display()));
        }
        is_whole
    }

    /// Fetches a blob, or what is missing of it, by one connection at a time; returns how many bytes came.
    fn stream(&self, descriptor: &Descriptor, reference: &Reference) -> Streamed {
        let advance = |bytes| self.reporter.report(Event::Advanced(bytes));
        let begins_anew = || advance_anew(self.reporter, descriptor);
        Blob { source: self.source, reference, descriptor }.fetch(self.store, advance, begins_anew)
    }

    /// Fetches a large blob, with the help of workers that have nothing else to do.
    fn stream_large(&self, descriptor: &Descriptor, image: usize, wake: &(dyn Fn() + Sync)) -> Streamed {
        let reference = &self.images[image].reference;
        let ahead = Arc::new(Ahead::new(descriptor.clone(), image));
        let open = |kept: &Kept| {
            let reader = Stitched::open(&ahead, kept.length, (self.source, reference), self.store, wake)?;
            if !self.large().iter().any(|other| Arc::ptr_eq(other, &ahead)) {
                self.large().push(Arc::clone(&ahead));
            }
            wake();
            Ok(Opened::at(kept.length, reader))
        };
        let advance = |bytes| self.reporter.report(Event::Advanced(bytes));
        let result = self.store.complete(descriptor, open, advance);
        self.large().retain(|other| !Arc::ptr_eq(other, &ahead));
        let wrong = wrong(&result);
        let help = ahead.close(wrong.is_some() || result.is_ok());
        // What an earlier run left may have rotted, which is nobody's fault, or a server mistakes ranges: either may still
        // give the whole.
        let was_mistaken =
            help.is_any && matches!(result, Err(CompleteError::Store(StoreError::Mismatch(_))));
        let has_rotted = wrong.is_some() && help.kept > 0;
        let is_to_be_had_again = |why: &Mismatch| self.source.distrust(reference, descriptor, why);
        if has_rotted || wrong.is_some_and(is_to_be_had_again) || was_mistaken {
            advance_anew(self.reporter, descriptor);
            return self.stream(descriptor, reference);
        }
        result.map(|came| came.map(|bytes| bytes.saturating_sub(help.kept)))
    }
}

/// All bytes of a blob come again.
fn advance_anew(reporter: &dyn Reporter, descriptor: &Descriptor) {
    reporter.report(Event::Planned { bytes: descriptor.size, items: 0 });
}
