//! Several places for the images of one registry, asked in their order.
//!
//! The next place is asked when one does not have something, refuses it, cannot be reached, or gives what is not what
//! it should be. Only the last place's word that something is not there counts, for the others are its copies. A place
//! that cannot be reached or wants to be left alone is not asked again in this run. Nor is one asked again for a blob of
//! which it gave wrong bytes. Nothing of this is silent: what a place did is a warning, unless it only lacks something;
//! and when all fail, the error has all their reasons.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::doubts::Doubts;
use crate::digest::Digest;
use crate::oci::{AttachmentSource, BlobPart, ImageSource, Reference, SourceError, SourceErrorKind};
use crate::store::{Descriptor, Mismatch};
use crate::text::chain;

/// What one of several places did, while another one gave what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Complaint {
    /// The place.
    pub place: String,
    /// What it did: `is passed over: …`, `broke off: …`.
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", self.place, self.what)
    }
}

/// What places did that should not stay unsaid; each once.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    known: BTreeSet<Complaint>,
    new: Vec<Complaint>,
    taken: Vec<Complaint>,
}

impl Complaints {
    fn add(&self, place: &str, what: String) {
        let complaint = Complaint { place: place.to_owned(), what };
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.known.insert(complaint.clone()) {
            said.new.push(complaint);
        }
    }

    /// Returns what was not returned before.
    pub(super) fn take(&self) -> Vec<Complaint> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = std::mem::take(&mut said.new);
        said.taken.extend(new.iter().cloned());
        new
    }

    /// Returns what was returned before.
    pub(super) fn taken(&self) -> Vec<Complaint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).taken.clone()
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
#[derive(Clone)]
pub(super) struct Failover {
    places: Arc<[Place]>,
    doubts: Arc<Doubts>,
    complaints: Arc<Complaints>,
}

impl Failover {
    /// Joins places, each with what people know it by.
    pub(super) fn new(
        places: impl IntoIterator<Item = (String, Arc<dyn AttachmentSource>)>,
        complaints: &Arc<Complaints>,
    ) -> Self {
        let place = |(name, source)| Place { name, source, given_up: Mutex::default() };
        let (places, complaints) = (places.into_iter().map(place).collect(), Arc::clone(complaints));
        Self { places, doubts: Arc::default(), complaints }
    }

    /// Opens a part of a blob at one place, unless that gave wrong bytes of it before.
    fn open(
        &self,
        number: usize,
        (reference, descriptor): (&Reference, &Descriptor),
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        let digest = &descriptor.digest;
        if let Some(why) = self.doubts.against(digest, number) {
            return Err(SourceError::new(SourceErrorKind::Invalid, why));
        }
        let opened = self.places[number].source.blob_part(reference, descriptor, part)?;
        self.doubts.note(digest, number);
        Ok(opened)
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
        let failures = failures.into_iter().map(|(place, error)| (place.name.clone(), error)).collect();
        Err(none_of(&format!("`{reference}`"), failures, self.places.len()))
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
                self.complaints.add(name, format!("is passed over: {}", chain(error).join(": ")));
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
            given_up.get_or_insert_with(|| chain(error).join(": "));
        }
    }
}

/// Makes one error of those of all places, at least one; that of a single place stays as it is.
///
/// It is of the kind that somebody can do most about: of one place that failed rather than of one that lacks something.
pub fn none_of(what: &str, mut failures: Vec<(String, SourceError)>, places: usize) -> SourceError {
    if places == 1 {
        return failures.remove(0).1;
    }
    let reasons: Vec<String> =
        failures.iter().map(|(place, error)| format!("`{place}`: {}", chain(error).join(": "))).collect();
    let lacks =
        |error: &SourceError| matches!(error.kind, SourceErrorKind::NotFound | SourceErrorKind::NotInLayout);
    let decisive = failures.iter().position(|(_, error)| !lacks(error)).unwrap_or(failures.len() - 1);
    let (_, SourceError { kind, cause, .. }) = failures.swap_remove(decisive);
    let message = format!("none of {places} places gives {what}: {}", reasons.join("; "));
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
        let what = (reference, descriptor);
        let (number, opened) = self.get(reference, |number, _| {
            self.open(number, what, part.clone()).map(|opened| (number, opened))
        })?;
        let reader = Continued {
            reader: opened.reader,
            rest: part,
            place: number,
            next: number + 1,
            failover: self.clone(),
            what: (reference.clone(), descriptor.clone()),
        };
        Ok(BlobPart { reader: Box::new(reader), ..opened })
    }

    fn distrust(&self, _reference: &Reference, descriptor: &Descriptor, why: &Mismatch) -> bool {
        self.doubts.judge(&descriptor.digest, &why.to_string())
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
    /// The place that gives it now.
    place: usize,
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
            if self.rest.is_empty() {
                return Err(failed);
            }
            let part = loop {
                if self.next >= self.failover.places.len() {
                    return Err(failed);
                }
                self.next += 1;
                // The error of the place that broke off is the one to tell if no other one has anything either.
                let opened = self.failover.open(self.next - 1, (reference, descriptor), self.rest.clone());
                if let Ok(part) = opened {
                    break part;
                }
            };
            let before = &self.failover.places[self.place];
            self.failover.complaints.add(&before.name, format!("broke off: {failed}"));
            (self.reader, self.place) = (part.reader, self.next - 1);
        }
    }
}
