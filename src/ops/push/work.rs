//! The requests of a push: blobs side by side, manifests in their order.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::plan::{Narrowed, Parts, Place};
use super::{Options, PushError, Pushed, PushedImage};
use crate::digest::Digest;
use crate::fetch::copy::{self, Copying, Workers};
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
    /// The manifest that it names as the one it is about.
    pub(super) subject: Option<Digest>,
}

/// What all images of a push have to do with.
pub(super) struct Work<'a> {
    registry: &'a Registry,
    inventory: &'a Inventory,
    options: &'a Options<'a>,
    reporter: &'a dyn Reporter,
    /// Whether the registry refused an index that is not whole: it is not asked again.
    wants_whole: AtomicBool,
    /// A repository that has it, of each blob that is known to be there.
    holders: Mutex<BTreeMap<Digest, String>>,
    done: Mutex<Pushed>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        inventory: &'a Inventory,
        options: &'a Options<'a>,
        reporter: &'a dyn Reporter,
    ) -> Self {
        let (wants_whole, holders, done) = Default::default();
        Self { registry, inventory, options, reporter, wants_whole, holders, done }
    }

    /// Brings `images` into the registry, and then what is attached to them, each with the subject that it names.
    pub(super) fn run(self, images: &[Image], attached: &[Image]) -> Result<Pushed, PushError> {
        self.reporter.report(Event::Planned { bytes: 0, items: (images.len() + attached.len()) as u64 });
        let Options { jobs, keep_going, .. } = *self.options;
        let workers = Workers { jobs, keep_going, reporter: self.reporter };
        let copied = copy::run(&Batch { work: &self, images }, images.len(), workers)?;
        // What is attached goes last: whoever finds it finds what it is about.
        let also = copy::run(&Batch { work: &self, images: attached }, attached.len(), workers)?;
        let there = attached.iter().zip(&also.images).filter(|(_, copied)| copied.is_some());
        let listed = self.list_attached(there.map(|(image, _)| image))?;
        let failed = [copied.failed, also.failed, listed].concat();
        Failures(failed).into_result().map_err(PushError::Several)?;
        let done = self.done.into_inner().expect("all workers have ended");
        let images = copied.images.into_iter().flatten().flatten().collect();
        Ok(Pushed { images, attached: also.images.iter().flatten().flatten().count() as u64, ..done })
    }

    fn finished(&self, place: &Place) {
        self.reporter.report(Event::ItemFinished(place.reference.to_string()));
    }

    /// Brings a blob into one repository, which does not have it.
    fn push_blob(&self, blob: &Descriptor, place: &Place) -> Result<Arrival, PushError> {
        let repository = &place.repository;
        let file = self.inventory.file(&blob.digest).map_err(|error| self.layout_error(error))?;
        let chunk = self.options.chunk;
        let subject = format!("{} {repository} {}", self.options.endpoint.url(), blob.digest);
        let store = self.options.store.filter(|_| blob.size > chunk);
        let note = store.and_then(|store| store.note(&subject));
        let holder = self.holders().get(&blob.digest).cloned();
        let upload = BlobUpload { blob, file, mount_from: holder.as_deref(), chunk, note };
        let sent = |bytes| self.reporter.report(Event::Advanced(bytes));
        let arrival = self.registry.push_blob(repository, upload, &sent);
        arrival.map_err(|source| failure(&place.reference, source))
    }

    fn holders(&self) -> MutexGuard<'_, BTreeMap<Digest, String>> {
        self.holders.lock().expect("no worker panics while it holds the lock")
    }

    fn done(&self) -> MutexGuard<'_, Pushed> {
        self.done.lock().expect("no worker panics while it holds the lock")
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
                let mut done = self.done();
                done.left_out.push(reference.clone());
                done.left_out.sort();
                Ok(None)
            }
            pushed => pushed.map(Some),
        }
    }

    /// Stores the manifests of an image, whose blobs are all there.
    fn push_manifests(&self, image: &Image) -> Result<PushedImage, PushError> {
        let Image { place, parts, narrowed, .. } = image;
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
        let Image { place, parts, narrowed, .. } = image;
        if !self.wants_whole.load(Ordering::Relaxed) {
            let name = |digest: &Digest| {
                if *digest == place.root { place.tag.clone() } else { digest.to_string() }
            };
            let stored =
                parts.partial.iter().try_for_each(|digest| self.push_held(place, digest, &name(digest)));
            match stored {
                Ok(()) => return Ok(place.root),
                Err(PushError::Registry(_, source))
                    if [SourceErrorKind::Invalid, SourceErrorKind::NotFound].contains(&source.kind)
                        && source.cause.is_none() =>
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
        attached: impl Iterator<Item = &'b Image>,
    ) -> Result<Vec<Failure>, PushError> {
        let mut lists: BTreeMap<(&str, &Digest), Vec<&Image>> = BTreeMap::new();
        for image in attached {
            if let Some(subject) = &image.subject {
                lists.entry((&image.place.repository, subject)).or_default().push(image);
            }
        }
        let lists: Vec<_> = lists.into_iter().collect();
        let list = |((repository, subject), images): &((&str, &Digest), Vec<&Image>)| {
            let held = images.iter().filter_map(|image| self.inventory.manifests.get(&image.place.root));
            let entries: Vec<_> = held.map(HeldManifest::referrer).collect();
            self.registry.list_referrers(repository, subject, &entries)
        };
        let mut failed = Vec::new();
        for ((_, images), listed) in lists.iter().zip(parallel::map(&lists, self.options.jobs, list)) {
            let reference = &images[0].place.reference;
            let Err(error) = listed.map_err(|source| failure(reference, source)) else { continue };
            if !self.options.keep_going {
                return Err(error);
            }
            failed.push(Failure::of("image", reference.to_string(), &error));
        }
        Ok(failed)
    }
}

/// Images that are pushed together.
struct Batch<'a> {
    work: &'a Work<'a>,
    images: &'a [Image],
}

impl Copying for Batch<'_> {
    type Opened = Option<PushedImage>;
    type Copied = Option<PushedImage>;
    type Help = Infallible;
    type Error = PushError;
    // A blob is sent once and mounted everywhere else: also from repositories that have it already.
    const OPENS_ALL_FIRST: bool = true;

    fn name(&self, image: usize) -> String {
        self.images[image].place.reference.to_string()
    }

    /// Finds out whether the image's name stands for it already: who has a root has all of it.
    fn open(&self, image: usize) -> Result<(Self::Opened, Vec<Descriptor>), PushError> {
        let Self { work, images } = self;
        let Image { place, parts, narrowed, .. } = &images[image];
        let found = work.registry.manifest_digest(&place.repository, &place.tag);
        let found = found.map_err(|source| failure(&place.reference, source))?;
        let own = narrowed.get(&place.root).map(|narrowed| narrowed.descriptor.digest);
        if let Some(digest) = found.filter(|digest| *digest == place.root || Some(*digest) == own) {
            let there = parts.blobs.iter().map(|blob| (*blob, place.repository.clone()));
            work.holders().extend(there);
            work.finished(place);
            return Ok((Some(pushed(place, digest, true)), Vec::new()));
        }
        let size = |digest: &Digest| work.inventory.blobs.get(digest).copied().unwrap_or_default();
        let blob =
            |digest: &Digest| Descriptor { media_type: String::new(), digest: *digest, size: size(digest) };
        Ok((None, parts.blobs.iter().map(blob).collect()))
    }

    /// Brings a blob into all repositories that need it, over the network at most once.
    fn bring(
        &self,
        blob: &Descriptor,
        needing: &[usize],
        _wake: &(dyn Fn() + Sync),
    ) -> Result<(), PushError> {
        let Self { work, images } = self;
        let places = needing.iter().map(|image| &images[*image].place);
        let repositories: BTreeMap<&str, &Place> = places.map(|place| (&*place.repository, place)).collect();
        let hold = |repository: &str| work.holders().insert(blob.digest, repository.to_owned());
        let mut missing = Vec::new();
        for (repository, place) in repositories {
            let has_blob = work.registry.has_blob(repository, blob);
            if has_blob.map_err(|source| failure(&place.reference, source))? {
                hold(repository);
            } else {
                missing.push(place);
            }
        }
        let mut was_sent = false;
        for place in missing {
            let arrival = work.push_blob(blob, place)?;
            hold(&place.repository);
            let mut done = work.done();
            match arrival {
                Arrival::Mounted => done.mounted += 1,
                Arrival::Uploaded => {
                    done.uploaded += 1;
                    done.bytes += blob.size;
                    was_sent = true;
                }
            }
        }
        if !was_sent {
            work.reporter.report(Event::Advanced(blob.size));
        }
        Ok(())
    }

    fn help(&self) -> Option<Infallible> {
        None
    }

    fn assist(&self, help: Infallible) {
        match help {}
    }

    fn finish(&self, image: usize, present: Self::Opened) -> Result<Self::Copied, PushError> {
        match present {
            Some(present) => Ok(Some(present)),
            None => self.work.push_unless_left_out(&self.images[image]),
        }
    }
}

fn failure(reference: &Reference, source: SourceError) -> PushError {
    PushError::Registry(reference.clone(), source)
}

fn pushed(place: &Place, digest: Digest, was_present: bool) -> PushedImage {
    let is_narrowed = digest != place.root;
    PushedImage { reference: place.reference.clone(), name: place.name(), digest, is_narrowed, was_present }
}
