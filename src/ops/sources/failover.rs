//! Several places for the images of one registry, asked in their order.
//!
//! The next place is asked when one does not have something, refuses it, cannot be reached, or gives what is not what
//! it should be. Only the last place's word that something is not there counts, for the others are its copies. A place
//! that cannot be reached or wants to be left alone is not asked again in this run. Nothing of this is silent: what a
//! place did is a warning, unless it only lacks something; and when all fail, the error has all their reasons.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;
use crate::oci::{AttachmentSource, BlobPart, ImageSource, Reference, SourceError, SourceErrorKind};
use crate::store::Descriptor;

/// What places did that should not stay unsaid; each text once.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<(BTreeSet<String>, Vec<String>)>);

impl Complaints {
    fn add(&self, text: String) {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if both.0.insert(text.clone()) {
            both.1.push(text);
        }
    }

    /// Returns what was not returned before.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

/// One place.
pub(super) struct Place {
    name: String,
    source: Arc<dyn AttachmentSource>,
    /// Why it is not asked again.
    given_up: Mutex<Option<String>>,
}

/// The places of one registry; at least one.
pub(super) struct Failover {
    places: Arc<[Place]>,
    complaints: Arc<Complaints>,
}

impl Failover {
    /// Joins places, each with what people know it by.
    pub(super) fn new(
        places: impl IntoIterator<Item = (String, Arc<dyn AttachmentSource>)>,
        complaints: &Arc<Complaints>,
    ) -> Self {
        let place = |(name, source)| Place { name, source, given_up: Mutex::default() };
        Self { places: places.into_iter().map(place).collect(), complaints: Arc::clone(complaints) }
    }

    /// Asks one place after the other until one answers with something; an answer of `None` is one if the last gives it.
    fn ask<T>(
        &self,
        reference: &Reference,
        ask: impl Fn(usize, &Place) -> Result<Option<T>, SourceError>,
    ) -> Result<Option<T>, SourceError> {
        let mut failures: Vec<(&Place, SourceError)> = Vec::new();
        let last = self.places.len() - 1;
        for (number, place) in self.places.iter().enumerate() {
            let result = match place.given_up() {
                // The last one's answer is needed.
                Some(why) if number < last => Err(SourceError::new(SourceErrorKind::Connection, why)),
                Some(_) | None => ask(number, place),
            };
            match result {
                Ok(None) if number < last => {}
                Ok(answer) => {
                    failures.iter().for_each(|(place, error)| self.complain(place, error));
                    return Ok(answer);
                }
                Err(error) => {
                    place.give_up_after(&error);
                    failures.push((place, error));
                }
            }
        }
        Err(together(reference, failures, self.places.len()))
    }

    /// Asks for something that must be there.
    fn get<T>(
        &self,
        reference: &Reference,
        get: impl Fn(usize, &Place) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let found = self.ask(reference, |number, place| get(number, place).map(Some))?;
        Ok(found.expect("what is got is something, and all else is an error"))
    }

    fn complain(&self, Place { name, .. }: &Place, error: &SourceError) {
        match error.kind {
            // A mirror need not have everything.
            SourceErrorKind::NotFound | SourceErrorKind::NotInLayout => {}
            SourceErrorKind::Denied
            | SourceErrorKind::RateLimited
            | SourceErrorKind::Connection
            | SourceErrorKind::Invalid
            | SourceErrorKind::Offline
            | SourceErrorKind::Local
            | SourceErrorKind::Store => {
                self.complaints.add(format!("`{name}` is passed over: {}", in_full(error)));
            }
        }
    }
}

impl Place {
    fn given_up(&self) -> Option<String> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whoever cannot be reached now, after all that was tried, costs time with each further request.
    fn give_up_after(&self, error: &SourceError) {
        if matches!(error.kind, SourceErrorKind::Connection | SourceErrorKind::RateLimited) {
            let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
            given_up.get_or_insert_with(|| in_full(error));
        }
    }
}

/// Returns an error with its causes, on one line.
fn in_full(error: &SourceError) -> String {
    let mut text = error.message.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Makes one error of those of all places. It is of the kind that somebody can do most about: of one place that failed
/// rather than of one that lacks something.
fn together(reference: &Reference, failures: Vec<(&Place, SourceError)>, places: usize) -> SourceError {
    let reasons: Vec<String> =
        failures.iter().map(|(place, error)| format!("`{}`: {}", place.name, in_full(error))).collect();
    let lacks =
        |error: &SourceError| matches!(error.kind, SourceErrorKind::NotFound | SourceErrorKind::NotInLayout);
    let decisive = failures.iter().position(|(_, error)| !lacks(error)).unwrap_or(failures.len() - 1);
    let mut failures = failures;
    let (_, SourceError { kind, cause, .. }) = failures.swap_remove(decisive);
    let message = format!("none of {places} places gives `{reference}`: {}", reasons.join("; "));
    SourceError { kind, message, cause }
}

impl ImageSource for Failover {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.get(reference, |_, place| place.source.resolve(reference))
    }

    fn manifest(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        self.get(reference, |_, place| place.source.manifest(reference, descriptor))
    }

    fn is_remote(&self, reference: &Reference) -> bool {
        self.places.iter().any(|place| place.source.is_remote(reference))
    }

    fn blob_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        let (number, opened) = self.get(reference, |number, place| {
            Ok((number, place.source.blob_part(reference, descriptor, part.clone())?))
        })?;
        let reader = Continued {
            reader: opened.reader,
            rest: part,
            next: number + 1,
            failover: Self { places: Arc::clone(&self.places), complaints: Arc::clone(&self.complaints) },
            what: (reference.clone(), descriptor.clone()),
        };
        Ok(BlobPart { reader: Box::new(reader), ..opened })
    }
}

impl AttachmentSource for Failover {
    fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Descriptor>, SourceError> {
        self.ask(reference, |_, place| place.source.tagged(reference, tag))
    }

    fn referrers(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        let listed = self.ask(reference, |_, place| {
            let listed = place.source.referrers(reference, subject)?;
            Ok(Some(listed).filter(|listed| !listed.is_empty()))
        })?;
        Ok(listed.unwrap_or_default())
    }
}

/// A blob of which the next place gives the rest when one breaks off.
struct Continued {
    reader: Box<dyn Read + Send>,
    /// What is still to come.
    rest: Range<u64>,
    /// The place to ask then.
    next: usize,
    failover: Failover,
    what: (Reference, Descriptor),
}

impl Read for Continued {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let failed = match self.reader.read(buffer) {
                Ok(0) if !self.rest.is_empty() && !buffer.is_empty() => {
                    io::Error::from(io::ErrorKind::UnexpectedEof)
                }
                Ok(read) => {
                    self.rest.start = self.rest.end.min(self.rest.start + read as u64);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => error,
            };
            let (reference, descriptor) = &self.what;
            let Some(place) = self.failover.places.get(self.next).filter(|_| !self.rest.is_empty()) else {
                return Err(failed);
            };
            let before = &self.failover.places[self.next - 1];
            self.next += 1;
            // The error of the place that broke off is the one to tell if this one has nothing either.
            let Ok(part) = place.source.blob_part(reference, descriptor, self.rest.clone()) else { continue };
            self.failover.complaints.add(format!("`{}` broke off: {failed}", before.name));
            self.reader = part.reader;
        }
    }
}
