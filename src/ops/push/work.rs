//! The requests of a push: blobs side by side, manifests in their order.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::plan::{Narrowed, Parts, Place};
use super::{Options, PushError, Pushed, PushedImage};
use crate::digest::Digest;
use crate::fetch::failures::{Failure, Failures};
use crate::oci::inventory::{HeldManifest, Inventory};
use crate::oci::{Reference, SourceError, SourceErrorKind};
use crate::parallel;
use crate::progress::{Event, Reporter};
use crate::registry::{Arrival, BlobUpload, Registry};
use crate::store::Descriptor;

/// An image with all that is known of it before the registry is asked.
pub(super) struct Image {
    pub(super) place: Place,
    pub(super) parts: Parts,
    /// What becomes of its partial indexes where they are not taken.
    pub(super) narrowed: BTreeMap<Digest, Narrowed>,
}

impl Image {
    fn failure(&self, error: &PushError) -> Failure {
        Failure::of("image", self.place.reference.to_string(), error)
    }
}

/// A blob, and where it has to be.
struct Task<'a> {
    blob: Descriptor,
    /// Each with an image that needs the blob there.
    repositories: BTreeMap<&'a str, &'a Reference>,
    /// A repository that has it: an image that needs it is there.
    holder: Option<&'a str>,
}

pub(super) struct Work<'a> {
    registry: &'a Registry,
    inventory: &'a Inventory,
    options: &'a Options<'a>,
    reporter: &'a dyn Reporter,
    /// Whether something failed: what has not begun is not begun.
    is_failed: AtomicBool,
    /// Whether the registry refused an index that is not whole: it is not asked again.
    wants_whole: AtomicBool,
    done: Mutex<Pushed>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        inventory: &'a Inventory,
        options: &'a Options<'a>,
        reporter: &'a dyn Reporter,
    ) -> Self {
        let (is_failed, wants_whole, done) = Default::default();
        Self { registry, inventory, options, reporter, is_failed, wants_whole, done }
    }

    /// Brings `images` into the registry, and then what is attached to them, each with the subject that it names.
    pub(super) fn run(
        self,
        images: &[Image],
        attached: &[(Image, Option<Digest>)],
    ) -> Result<Pushed, PushError> {
        self.reporter.report(Event::Planned { bytes: 0, items: (images.len() + attached.len()) as u64 });
        let all: Vec<&Image> = images.iter().chain(attached.iter().map(|(image, _)| image)).collect();
        // Each image, as far as it is known: there, missing, or what failed of it.
        let mut states: Vec<Result<Option<PushedImage>, Failure>> = self
            .all(&all, |image| self.present(image))?
            .into_iter()
            .zip(&all)
            .map(|(found, image)| found.map_err(|error| image.failure(&error)))
            .collect();
        let in_state = |is_wanted: fn(&Option<PushedImage>) -> bool| {
            all.iter()
                .zip(&states)
                .filter(move |(_, state)| state.as_ref().is_ok_and(is_wanted))
                .map(|(image, _)| *image)
        };
        let tasks = self.tasks(&in_state(Option::is_none).collect::<Vec<_>>(), in_state(Option::is_some));
        let bytes = tasks.iter().map(|task| task.blob.size).sum();
        self.reporter.report(Event::Planned { bytes, items: 0 });
        for (task, sent) in tasks.iter().zip(self.all(&tasks, |task| self.push_blob(task))?) {
            let Err(error) = sent else { continue };
            // Whoever needs it is not whole there.
            for (image, state) in all.iter().zip(&mut states) {
                if matches!(state, Ok(None)) && image.parts.blobs.contains(&task.blob.digest) {
                    *state = Err(image.failure(&error));
                }
            }
        }
        let states_of_attached = states.split_off(images.len());
        let (pushed, mut failed) = self.push_missing(images.iter(), states)?;
        // What is attached goes last: whoever finds it finds what it is about.
        let (also, more) = self.push_missing(attached.iter().map(|(image, _)| image), states_of_attached)?;
        failed.extend(more);
        let is_there =
            |image: &Image| !failed.iter().any(|failed| failed.name == image.place.reference.to_string());
        let listed = self.list_attached(attached.iter().filter(|(image, _)| is_there(image)))?;
        failed.extend(listed);
        Failures(failed).into_result().map_err(PushError::Several)?;
        let done = self.done.into_inner().expect("all workers have ended");
        Ok(Pushed { images: pushed, attached: also.len() as u64, ..done })
    }

    /// Stores the manifests of those images that are not there; returns all that are there now, and what failed.
    fn push_missing<'b>(
        &self,
        images: impl Iterator<Item = &'b Image>,
        states: Vec<Result<Option<PushedImage>, Failure>>,
    ) -> Result<(Vec<PushedImage>, Vec<Failure>), PushError> {
        let (mut whole, mut failed) = (Vec::new(), Vec::new());
        for (image, state) in images.zip(states) {
            match state {
                Ok(present) => whole.push((image, present)),
                Err(failure) => failed.push(failure),
            }
        }
        let results = self.all(&whole, |(image, present)| match present {
            Some(present) => Ok(Some(present.clone())),
            None => self.push_unless_left_out(image),
        })?;
        let mut pushed = Vec::new();
        for ((image, _), result) in whole.iter().zip(results) {
            match result {
                Ok(image) => pushed.extend(image),
                Err(error) => failed.push(image.failure(&error)),
            }
        }
        Ok((pushed, failed))
    }

    /// Does `work` for all `items`; the first failure in their order is returned, unless the rest is to be finished.
    fn all<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, PushError> + Sync,
    ) -> Result<Vec<Result<R, PushError>>, PushError> {
        let keep_going = self.options.keep_going;
        let results = parallel::map(items, self.options.jobs, |item| {
            if self.is_failed.load(Ordering::Relaxed) && !keep_going {
                return None;
            }
            let result = work(item);
            self.is_failed.fetch_or(result.is_err(), Ordering::Relaxed);
            Some(result)
        });
        let results = results.into_iter().flatten();
        if keep_going { Ok(results.collect()) } else { results.map(|result| result.map(Ok)).collect() }
    }

    /// Returns the image if its name stands for it already: who has a root has all of it.
    fn present(&self, image: &Image) -> Result<Option<PushedImage>, PushError> {
        let Image { place, narrowed, .. } = image;
        let found = self.registry.manifest_digest(&place.repository, &place.tag);
        let found = found.map_err(|source| failure(&place.reference, source))?;
        let is_narrowed =
            narrowed.get(&place.root).map(|narrowed| &narrowed.descriptor.digest) == found.as_ref();
        let is_same = found.as_ref() == Some(&place.root) || is_narrowed && found.is_some();
        let Some(digest) = found.filter(|_| is_same) else { return Ok(None) };
        self.finished(place);
        Ok(Some(pushed(place, digest, true)))
    }

    fn finished(&self, place: &Place) {
        self.reporter.report(Event::ItemFinished(place.reference.to_string()));
    }

    /// Returns the blobs of the images that are missing, the largest first.
    fn tasks<'b>(&self, missing: &[&'b Image], present: impl Iterator<Item = &'b Image>) -> Vec<Task<'b>> {
        let mut tasks: BTreeMap<&Digest, Task<'b>> = BTreeMap::new();
        for Image { place, parts, .. } in missing {
            for digest in &parts.blobs {
                let size = self.inventory.blobs.get(digest).copied().unwrap_or_default();
                let task = tasks.entry(digest).or_insert_with(|| Task {
                    blob: Descriptor { media_type: String::new(), digest: *digest, size },
                    repositories: BTreeMap::new(),
                    holder: None,
                });
                task.repositories.insert(&place.repository, &place.reference);
            }
        }
        for Image { place, parts, .. } in present {
            for digest in &parts.blobs {
                tasks.entry(digest).and_modify(|task| task.holder = Some(&place.repository));
            }
        }
        let mut tasks: Vec<Task<'b>> = tasks.into_values().collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.blob.size));
        tasks
    }

    /// Brings a blob into all repositories that need it, over the network at most once.
    fn push_blob(&self, task: &Task<'_>) -> Result<(), PushError> {
        let Task { blob, repositories, holder } = task;
        let mut missing = Vec::new();
        let mut holder = *holder;
        for (repository, reference) in repositories {
            if self.registry.has_blob(repository, blob).map_err(|source| failure(reference, source))? {
                holder = Some(repository);
            } else {
                missing.push((*repository, *reference));
            }
        }
        let mut was_sent = false;
        for (repository, reference) in missing {
            let file = self.inventory.file(&blob.digest).map_err(|error| self.layout_error(error))?;
            let chunk = self.options.chunk;
            let subject = format!("{} {repository} {}", self.options.endpoint.url(), blob.digest);
            let store = self.options.store.filter(|_| blob.size > chunk);
            let note = store.and_then(|store| store.note(&subject));
            let upload = BlobUpload { blob, file, mount_from: holder, chunk, note };
            let sent = |bytes| self.reporter.report(Event::Advanced(bytes));
            let arrival = self.registry.push_blob(repository, upload, &sent);
            let arrival = arrival.map_err(|source| failure(reference, source))?;
            let mut done = self.done.lock().expect("no worker panics while it holds the lock");
            match arrival {
                Arrival::Mounted => done.mounted += 1,
                Arrival::Uploaded => {
                    done.uploaded += 1;
                    done.bytes += blob.size;
                    was_sent = true;
                }
            }
            holder = Some(repository);
        }
        if !was_sent {
            self.reporter.report(Event::Advanced(blob.size));
        }
        Ok(())
    }

    /// Stores the manifests of an image; `None` if it has layers that no registry has, and is refused.
    fn push_unless_left_out(&self, image: &Image) -> Result<Option<PushedImage>, PushError> {
        let reference = &image.place.reference;
        match self.push_manifests(image) {
            // An answer, of whatever kind: docker-registry says 500.
            Err(PushError::Registry(_, source)) if image.parts.has_foreign && source.cause.is_none() => {
                self.reporter.warn(format!(
                    "`{reference}` stays in the kit: a layer of it is in no registry, and this one refuses it: {source}"
                ));
                let mut done = self.done.lock().expect("no worker panics while it holds the lock");
                done.left_out.push(reference.clone());
                done.left_out.sort();
                Ok(None)
            }
            pushed => pushed.map(Some),
        }
    }

    /// Stores the manifests of an image, whose blobs are all there.
    fn push_manifests(&self, image: &Image) -> Result<PushedImage, PushError> {
        let Image { place, parts, narrowed } = image;
        for digest in &parts.manifests {
            self.push_held(place, digest, &digest.to_string())?;
        }
        let digest = if narrowed.contains_key(&place.root) {
            self.push_partial(image)?
        } else {
            self.push_held(place, &place.root, &place.tag).map(|()| place.root)?
        };
        self.finished(place);
        Ok(pushed(place, digest, false))
    }

    /// Stores indexes that list what is not there: as they are where the registry takes that, else narrowed.
    fn push_partial(&self, image: &Image) -> Result<Digest, PushError> {
        let Image { place, parts, narrowed } = image;
        if !self.wants_whole.load(Ordering::Relaxed) {
            let name = |digest: &Digest| {
                if *digest == place.root { place.tag.clone() } else { digest.to_string() }
            };
            let stored =
                parts.partial.iter().try_for_each(|digest| self.push_held(place, digest, &name(digest)));
            match stored {
                Ok(()) => return Ok(place.root),
                Err(PushError::Registry(_, source))
                    if [SourceErrorKind::Invalid, SourceErrorKind::NotFound].contains(&source.kind) =>
                {
                    self.wants_whole.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        let mut last = place.root;
        for Narrowed { descriptor, bytes } in parts.partial.iter().filter_map(|digest| narrowed.get(digest)) {
            let is_root = narrowed.get(&place.root).is_some_and(|root| root.descriptor == *descriptor);
            let name = if is_root { place.tag.clone() } else { descriptor.digest.to_string() };
            self.registry
                .push_manifest(&place.repository, &name, descriptor, bytes.clone())
                .map_err(|source| failure(&place.reference, source))?;
            last = descriptor.digest;
        }
        Ok(last)
    }

    fn layout_error(&self, source: SourceError) -> PushError {
        PushError::Layout(self.options.kit.to_owned(), source)
    }

    fn push_held(&self, place: &Place, digest: &Digest, name: &str) -> Result<(), PushError> {
        let Some(held) = self.inventory.manifests.get(digest) else { return Ok(()) };
        let bytes = self.inventory.manifest_bytes(held).map_err(|error| self.layout_error(error))?;
        self.registry
            .push_manifest(&place.repository, name, &held.descriptor, bytes)
            .map(drop)
            .map_err(|source| failure(&place.reference, source))
    }

    /// Lists what names a subject in registries that do not do so by themselves; also what was there already, because
    /// a push may have been stopped in between.
    ///
    /// Returns the images of which that failed.
    fn list_attached<'b>(
        &self,
        attached: impl Iterator<Item = &'b (Image, Option<Digest>)>,
    ) -> Result<Vec<Failure>, PushError> {
        let mut lists: BTreeMap<(&str, &Digest), (&Reference, Vec<serde_json::Value>)> = BTreeMap::new();
        for (Image { place, .. }, subject) in attached {
            let Some(subject) = subject else { continue };
            let list = lists.entry((&place.repository, subject)).or_insert((&place.reference, Vec::new()));
            list.1.extend(self.inventory.manifests.get(&place.root).map(HeldManifest::referrer));
        }
        let lists: Vec<_> = lists.into_iter().collect();
        let list =
            |((repository, subject), (reference, entries)): &((&str, &Digest), (&Reference, Vec<_>))| {
                let listed = self.registry.list_referrers(repository, subject, entries);
                listed.map_err(|source| failure(reference, source))
            };
        let mut failed = Vec::new();
        for ((_, (reference, _)), listed) in lists.iter().zip(self.all(&lists, list)?) {
            if let Err(error) = listed {
                failed.push(Failure::of("image", reference.to_string(), &error));
            }
        }
        Ok(failed)
    }
}

fn failure(reference: &Reference, source: SourceError) -> PushError {
    PushError::Registry(reference.clone(), source)
}

fn pushed(place: &Place, digest: Digest, was_present: bool) -> PushedImage {
    let is_narrowed = digest != place.root;
    PushedImage { reference: place.reference.clone(), name: place.name(), digest, is_narrowed, was_present }
}
