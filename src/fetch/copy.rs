//! One copy of images, from where they are to where they go: into the store, into a registry.
//!
//! Images are opened first, because they say what there is to bring; blobs go largest first, so that the last worker
//! does not start the biggest one alone; each blob is brought once, whoever needs it; and an image is finished as soon
//! as the last of its blobs is there. Workers that find nothing of this waiting help with what is under way. Measured
//! against the alternatives in docs/performance.md.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::error::Error;
use std::sync::{Condvar, Mutex, MutexGuard};

use itertools::Itertools as _;

use crate::digest::Digest;
use crate::fetch::failures::Failure;
use crate::progress::{Event, Reporter};
use crate::store::Descriptor;

/// The steps of a copy of images, which are known by their positions. All calls may come from several threads at once.
pub trait Copying: Sync {
    /// An image of which it is known what it consists of.
    type Opened: Send;
    /// An image that is where it goes.
    type Copied: Send;
    /// A share in work that is under way.
    type Help: Send;
    /// Why an image is not where it goes.
    type Error: Error + Send + 'static;

    /// Whether all images are opened before the first blob is brought, so that everybody who needs it is known.
    const OPENS_ALL_FIRST: bool;

    /// Returns an image's name, for failures.
    fn name(&self, image: usize) -> String;

    /// Finds out what an image consists of; returns the blobs that have to be brought for it.
    fn open(&self, image: usize) -> Result<(Self::Opened, Vec<Descriptor>), Self::Error>;

    /// Brings a blob to where the images in `needing` need it; at least one does.
    ///
    /// `wake` calls those who are idle, when [`help`](Self::help) has something for them.
    fn bring(
        &self,
        blob: &Descriptor,
        needing: &[usize],
        wake: &(dyn Fn() + Sync),
    ) -> Result<(), Self::Error>;

    /// Returns a share in a blob that is being brought, for a worker that would be idle; it must not wait.
    fn help(&self) -> Option<Self::Help>;

    /// Does a share of the work.
    fn assist(&self, help: Self::Help);

    /// Completes an image whose blobs are all there.
    fn finish(&self, image: usize, opened: Self::Opened) -> Result<Self::Copied, Self::Error>;
}

/// Who does the work.
#[derive(Clone, Copy)]
pub struct Workers<'a> {
    /// How many they are.
    pub jobs: usize,
    /// Whether the rest is finished when something fails.
    pub keep_going: bool,
    /// Who listens.
    pub reporter: &'a dyn Reporter,
}

/// What became of the images.
#[derive(Debug)]
pub struct Copied<T> {
    /// Each image that is where it goes, in the order of the images.
    pub images: Vec<Option<T>>,
    /// All others, each with its reason; only where the rest was to be finished.
    pub failed: Vec<Failure>,
}

/// Copies `count` images.
///
/// # Errors
/// The first one in the order of the images, unless the rest is to be finished.
pub fn run<C: Copying>(
    copying: &C,
    count: usize,
    workers: Workers<'_>,
) -> Result<Copied<C::Copied>, C::Error> {
    let queue = Queue { workers, state: Mutex::new(State::new(count)), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..workers.jobs.max(1) {
            scope.spawn(|| queue.work(copying));
        }
    });
    let mut state = queue.state.into_inner().expect("all workers have ended");
    state.errors.sort_by_key(|(image, _, _)| *image);
    let failed = state.failures(copying);
    match state.errors.into_iter().next() {
        Some((_, _, error)) if !workers.keep_going => Err(error),
        Some(_) | None => Ok(Copied { images: state.copied, failed }),
    }
}

/// A blob waiting; ordered by size, then by what it is, so that equal sizes have one order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct WaitingBlob {
    size: u64,
    descriptor: Descriptor,
}

enum Task<C: Copying> {
    Open(usize),
    Bring(Descriptor, Vec<usize>),
    Finish(usize, C::Opened),
    Help(C::Help),
}

struct State<C: Copying> {
    unopened: VecDeque<usize>,
    /// How many images are being opened.
    opening: usize,
    blobs: BinaryHeap<WaitingBlob>,
    /// Each blob, with the images that need it.
    needing: BTreeMap<Digest, Vec<usize>>,
    /// Blobs that were brought.
    arrived: BTreeSet<Digest>,
    /// How many blobs each image still needs, and the image.
    opened: BTreeMap<usize, (usize, C::Opened)>,
    whole: VecDeque<(usize, C::Opened)>,
    copied: Vec<Option<C::Copied>>,
    running: usize,
    /// What failed: the image, and the blob if it was one.
    errors: Vec<(usize, Option<Digest>, C::Error)>,
}

impl<C: Copying> State<C> {
    fn new(count: usize) -> Self {
        let (opening, blobs, needing, arrived, opened, whole, running, errors) = Default::default();
        let (unopened, copied) = ((0..count).collect(), (0..count).map(|_| None).collect());
        Self { unopened, opening, blobs, needing, arrived, opened, whole, copied, running, errors }
    }

    fn next(&mut self) -> Option<Task<C>> {
        if let Some((image, opened)) = self.whole.pop_front() {
            return Some(Task::Finish(image, opened));
        }
        if let Some(image) = self.unopened.pop_front() {
            self.opening += 1;
            return Some(Task::Open(image));
        }
        if C::OPENS_ALL_FIRST && self.opening > 0 {
            return None;
        }
        let WaitingBlob { descriptor, .. } = self.blobs.pop()?;
        // In the order of the images, whichever was opened first.
        let needing = self.needing[&descriptor.digest].iter().copied().sorted().collect();
        Some(Task::Bring(descriptor, needing))
    }

    fn fail(&mut self, image: usize, blob: Option<Digest>, error: C::Error) {
        self.errors.push((image, blob, error));
    }

    fn add(&mut self, image: usize, (opened, blobs): (C::Opened, Vec<Descriptor>), reporter: &dyn Reporter) {
        let mut missing = 0;
        for descriptor in blobs {
            if self.arrived.contains(&descriptor.digest) {
                continue;
            }
            missing += 1;
            let needing = self.needing.entry(descriptor.digest).or_default();
            needing.push(image);
            if needing.len() == 1 {
                reporter.report(Event::Planned { bytes: descriptor.size, items: 0 });
                self.blobs.push(WaitingBlob { size: descriptor.size, descriptor });
            }
        }
        self.opened.insert(image, (missing, opened));
        self.advance(image, 0);
    }

    /// Notes that so many more blobs of an image are there.
    fn advance(&mut self, image: usize, arrived: usize) {
        let Some((missing, opened)) = self.opened.remove(&image) else { return };
        match missing - arrived {
            0 => self.whole.push_back((image, opened)),
            left => drop(self.opened.insert(image, (left, opened))),
        }
    }

    fn arrive(&mut self, blob: Digest) {
        self.arrived.insert(blob);
        for image in self.needing.get(&blob).cloned().unwrap_or_default() {
            self.advance(image, 1);
        }
    }

    /// Names every image that something is missing of, once, with the first reason.
    fn failures(&self, copying: &C) -> Vec<Failure> {
        let mut failed = BTreeMap::new();
        for (image, blob, error) in &self.errors {
            let needing = blob.as_ref().and_then(|digest| self.needing.get(digest));
            for needing in needing.into_iter().flatten().chain([image]) {
                failed.entry(*needing).or_insert_with(|| {
                    let mut failure = Failure::of("image", copying.name(*needing), error);
                    if needing != image {
                        // What follows speaks of the other one.
                        let shares = format!("it has a blob that `{}` has too", copying.name(*image));
                        failure.reasons.insert(0, shares);
                    }
                    failure
                });
            }
        }
        failed.into_values().collect()
    }
}

struct Queue<'a, C: Copying> {
    workers: Workers<'a>,
    state: Mutex<State<C>>,
    changed: Condvar,
}

impl<C: Copying> Queue<'_, C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().expect("no worker panics while it holds the lock")
    }

    /// Takes the next task; `None` when all is done or something failed.
    fn take(&self, copying: &C) -> Option<Task<C>> {
        let mut state = self.lock();
        loop {
            if !state.errors.is_empty() && !self.workers.keep_going {
                return None;
            }
            let task = state.next().or_else(|| copying.help().map(Task::Help));
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

    fn work(&self, copying: &C) {
        while let Some(task) = self.take(copying) {
            match task {
                Task::Open(image) => {
                    let result = copying.open(image);
                    self.change(|state| match result {
                        Ok(opened) => state.add(image, opened, self.workers.reporter),
                        Err(error) => state.fail(image, None, error),
                    });
                    self.change(|state| state.opening -= 1);
                }
                Task::Bring(blob, needing) => {
                    let result = copying.bring(&blob, &needing, &|| self.change(|_| {}));
                    self.change(|state| match result {
                        Ok(()) => state.arrive(blob.digest),
                        Err(error) => state.fail(needing[0], Some(blob.digest), error),
                    });
                }
                Task::Finish(image, opened) => {
                    let result = copying.finish(image, opened);
                    self.change(|state| match result {
                        Ok(copied) => state.copied[image] = Some(copied),
                        Err(error) => state.fail(image, None, error),
                    });
                }
                Task::Help(help) => copying.assist(help),
            }
            self.change(|state| state.running -= 1);
        }
    }

    /// Changes the state, and calls those who wait for a change.
    fn change(&self, update: impl FnOnce(&mut State<C>)) {
        // Under the lock: whoever is about to wait has not looked yet, or hears it.
        update(&mut self.lock());
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
