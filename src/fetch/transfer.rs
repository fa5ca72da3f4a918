//! One queue for the blobs of all images.
//!
//! Graphs are read first, because they say what there is to fetch; blobs go largest first, so that the last
//! worker does not start the biggest one alone; each blob is fetched once, whoever needs it. There is no
//! barrier between the two. Who finds no blob waiting helps with a large one. Measured against the alternatives in
//! docs/performance.md.

mod ahead;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use self::ahead::{Ahead, Stitched, Taken};

use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::fetch::failures::{Failure, Failures};
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
    let queue = Queue::new(images.len(), equipment.keep_going);
    let Equipment { store, jobs, reporter, .. } = equipment;
    let work = Work { images, platforms, source, store, reporter: *reporter, queue: &queue };
    std::thread::scope(|scope| {
        for _ in 0..(*jobs).max(1) {
            scope.spawn(|| work.run());
        }
    });
    queue.into_result(images)
}

/// A blob waiting; ordered by size, then by digest so that equal sizes have one order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct WaitingBlob {
    size: u64,
    digest: Digest,
    descriptor: Descriptor,
    image: usize,
}

enum Task {
    Graph(usize),
    Blob(WaitingBlob),
    /// A part of a large blob that another worker streams.
    Help(Arc<Ahead>, Taken),
}

#[derive(Default)]
struct State {
    images: VecDeque<usize>,
    blobs: BinaryHeap<WaitingBlob>,
    /// Large blobs under way.
    large: Vec<Arc<Ahead>>,
    /// Each blob, with the images that need it.
    seen: BTreeMap<Digest, Vec<usize>>,
    running: usize,
    graphs: Vec<Option<Graph>>,
    /// What failed: the image, and the blob if it was one.
    errors: Vec<(usize, Option<Digest>, TransferError)>,
    done: Transferred,
}

struct Queue {
    keep_going: bool,
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn new(images: usize, keep_going: bool) -> Self {
        let state = State { images: (0..images).collect(), graphs: vec![None; images], ..State::default() };
        Self { keep_going, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no worker panics while it holds the lock")
    }

    /// Takes the next task; `None` when all is done or something failed.
    fn take(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if !state.errors.is_empty() && !self.keep_going {
                return None;
            }
            let task = match state.images.pop_front() {
                Some(image) => Some(Task::Graph(image)),
                None => state.blobs.pop().map(Task::Blob).or_else(|| state.help()),
            };
            if task.is_some() {
                state.running += 1;
                return task;
            }
            if state.running == 0 {
                return None;
            }
            state = self.changed.wait(state).expect("no worker panics while it holds the lock");
        }
    }

    fn finish(&self, update: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        state.running -= 1;
        update(&mut state);
        drop(state);
        self.changed.notify_all();
    }

    fn into_result(self, images: &[Image]) -> Result<Transferred, TransferError> {
        let mut state = self.state.into_inner().expect("all workers have ended");
        state.errors.sort_by_key(|(image, _, _)| *image);
        if self.keep_going && !state.errors.is_empty() {
            return Err(TransferError::Several(state.failures(images)));
        }
        if let Some((_, _, error)) = state.errors.into_iter().next() {
            return Err(error);
        }
        Ok(Transferred { graphs: state.graphs.into_iter().flatten().collect(), ..state.done })
    }
}

impl State {
    /// Finds something to do for who would be idle.
    fn help(&self) -> Option<Task> {
        self.large.iter().find_map(|ahead| Some(Task::Help(Arc::clone(ahead), ahead.take()?)))
    }

    /// Names every image that something is missing of, once, with the first reason.
    fn failures(&self, images: &[Image]) -> Failures {
        let name = |image: usize| images[image].reference.to_string();
        let mut failed = BTreeMap::new();
        for (image, blob, error) in &self.errors {
            let needing = blob.as_ref().and_then(|digest| self.seen.get(digest));
            for needing in needing.into_iter().flatten().chain([image]) {
                failed.entry(*needing).or_insert_with(|| {
                    let mut failure = Failure::of("image", name(*needing), error);
                    if needing != image {
                        // What follows speaks of the other one.
                        failure.reasons.insert(0, format!("it has a blob that `{}` has too", name(*image)));
                    }
                    failure
                });
            }
        }
        Failures(failed.into_values().collect())
    }
}

struct Work<'a> {
    images: &'a [Image],
    platforms: &'a [Platform],
    source: &'a dyn ImageSource,
    store: &'a DiskStore,
    reporter: &'a dyn Reporter,
    queue: &'a Queue,
}

impl Work<'_> {
    fn run(&self) {
        while let Some(task) = self.queue.take() {
            match task {
                Task::Graph(image) => self.read_graph(image),
                Task::Blob(blob) => self.fetch(blob),
                Task::Help(ahead, taken) => {
                    let reference = &self.images[ahead.image].reference;
                    ahead.help(taken, (self.source, reference), self.store);
                    self.queue.finish(|_| {});
                }
            }
        }
    }

    fn read_graph(&self, image: usize) {
        let Image { reference, root } = &self.images[image];
        let result = graph::read(self.source, reference, root, self.platforms);
        let mut whole = BTreeSet::new();
        if let Ok(graph) = &result {
            self.reporter.report(Event::ItemFinished(reference.to_string()));
            let blobs = graph.blobs().into_values().filter(|blob| self.is_whole(blob));
            whole = blobs.map(|blob| blob.digest).collect();
        }
        self.queue.finish(|state| match result {
            Ok(graph) => {
                self.enqueue(state, image, &graph, &whole);
                state.graphs[image] = Some(graph);
            }
            Err(source) => {
                let reference = reference.clone();
                state.errors.push((image, None, TransferError::Graph(reference, source)));
            }
        });
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

    fn enqueue(&self, state: &mut State, image: usize, graph: &Graph, whole: &BTreeSet<Digest>) {
        for descriptor in graph.blobs().into_values() {
            let needing = state.seen.entry(descriptor.digest).or_default();
            needing.push(image);
            if needing.len() > 1 {
                continue;
            }
            if whole.contains(&descriptor.digest) {
                state.done.present += 1;
                continue;
            }
            self.reporter.report(Event::Planned { bytes: descriptor.size, items: 0 });
            state.blobs.push(WaitingBlob {
                size: descriptor.size,
                digest: descriptor.digest,
                descriptor: descriptor.clone(),
                image,
            });
        }
    }

    fn fetch(&self, WaitingBlob { descriptor, image, .. }: WaitingBlob) {
        let reference = &self.images[image].reference;
        let result = if descriptor.size >= ahead::LARGE && self.source.is_remote(reference) {
            self.stream_large(&descriptor, image)
        } else {
            self.stream(&descriptor, reference)
        };
        self.queue.finish(|state| match result {
            Ok(Some(bytes)) => {
                state.done.fetched += 1;
                state.done.bytes += bytes;
            }
            Ok(None) => state.done.present += 1,
            Err(error) => {
                let error = TransferError::of(reference.clone(), error);
                state.errors.push((image, Some(descriptor.digest), error));
            }
        });
    }

    /// Fetches a blob, or what is missing of it, by one connection at a time; returns how many bytes came.
    fn stream(&self, descriptor: &Descriptor, reference: &Reference) -> Streamed {
        let advance = |bytes| self.reporter.report(Event::Advanced(bytes));
        let begins_anew = || advance_anew(self.reporter, descriptor);
        Blob { source: self.source, reference, descriptor }.fetch(self.store, advance, begins_anew)
    }

    /// Fetches a large blob, with the help of workers that have nothing else to do.
    fn stream_large(&self, descriptor: &Descriptor, image: usize) -> Streamed {
        let reference = &self.images[image].reference;
        let ahead = Arc::new(Ahead::new(descriptor.clone(), image));
        let moved = || {
            // With the lock: who is about to wait has not looked yet, or hears it.
            drop(self.queue.lock());
            self.queue.changed.notify_all();
        };
        let open = |kept: &Kept| {
            let reader = Stitched::open(&ahead, kept.length, (self.source, reference), self.store, &moved)?;
            let mut state = self.queue.lock();
            if !state.large.iter().any(|other| Arc::ptr_eq(other, &ahead)) {
                state.large.push(Arc::clone(&ahead));
            }
            drop(state);
            self.queue.changed.notify_all();
            Ok(Opened::at(kept.length, reader))
        };
        let advance = |bytes| self.reporter.report(Event::Advanced(bytes));
        let result = self.store.complete(descriptor, open, advance);
        self.queue.lock().large.retain(|other| !Arc::ptr_eq(other, &ahead));
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
