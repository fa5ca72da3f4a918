//! One place after the other, for whatever several have: images, packages, files.
//!
//! The next place is asked when one does not have something, refuses it, cannot be reached, or gives what is not what
//! it should be. Only the last place's word that something is not there counts, for the others are its copies. A place
//! that cannot be reached, wants to be left alone, or gives wrong bytes again and again is not asked again in this run,
//! nor for the rest of a repository that it refuses, nor for a content of which it gave wrong bytes. Nothing of this is
//! silent: what a place did is a warning, unless it only lacks something; and when all fail, the error has all their
//! reasons.
//!
//! # Why
//! Bytes may be wrong by chance: the only place that gave something wrongly is asked for it once more.

mod conduct;
mod doubts;

use std::sync::Arc;

pub use self::conduct::Complaint;
pub(super) use self::conduct::Conduct;
use self::doubts::Doubts;
use crate::digest::Digest;
use crate::oci::{Reference, SourceError, SourceErrorKind};
use crate::text::chain;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Subject {
    title: String,
    /// What a refusal is about, if it is about more than this one thing.
    repository: Option<String>,
}

impl Subject {
    /// Asks for a file.
    pub fn file(path: &str) -> Self {
        Self { title: format!("`{path}`"), repository: None }
    }
}

impl From<&Reference> for Subject {
    fn from(reference: &Reference) -> Self {
        let repository = Some(reference.repository().to_owned());
        Self { title: format!("`{reference}`"), repository }
    }
}

/// A place, and what people know it by.
#[derive(Debug)]
struct Place<S> {
    name: String,
    source: S,
}

/// The places of the same things.
pub struct Places<S> {
    all: Arc<[Place<S>]>,
    doubts: Arc<Doubts>,
    conduct: Arc<Conduct>,
}

impl<S> Clone for Places<S> {
    fn clone(&self) -> Self {
        let Self { all, doubts, conduct } = self;
        Self { all: Arc::clone(all), doubts: Arc::clone(doubts), conduct: Arc::clone(conduct) }
    }
}

impl<S> Places<S> {
    /// Joins places, each with what people know it by.
    pub(super) fn new(places: impl IntoIterator<Item = (String, S)>, conduct: &Arc<Conduct>) -> Self {
        let all = places.into_iter().map(|(name, source)| Place { name, source }).collect();
        Self { all, doubts: Arc::default(), conduct: Arc::clone(conduct) }
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Returns what gives something at each place, in their order.
    pub(super) fn sources(&self) -> impl Iterator<Item = &S> {
        self.all.iter().map(|place| &place.source)
    }

    /// Asks one place after the other until one answers with something; an answer of `None` is one if the last gives it.
    pub fn ask<T>(
        &self,
        subject: &Subject,
        ask: impl Fn(usize, &S) -> Result<Option<T>, SourceError>,
    ) -> Result<Option<T>, SourceError> {
        let mut failures: Vec<(String, SourceError)> = Vec::new();
        let last = self.all.len().saturating_sub(1);
        for (number, Place { name, source }) in self.all.iter().enumerate() {
            let result = match self.conduct.given_up(name, subject.repository.as_deref()) {
                // The last one's answer is needed.
                Some(why) if number < last => Err(SourceError::new(SourceErrorKind::Connection, why)),
                Some(_) | None => ask(number, source),
            };
            match result {
                Ok(None) if number < last => {}
                Ok(answer) => {
                    // A place need not have everything.
                    for (name, error) in failures.iter().filter(|(_, error)| !error.kind.is_lack()) {
                        self.conduct.complain(name, format!("is passed over: {}", chain(error).join(": ")));
                    }
                    return Ok(answer);
                }
                Err(error) => {
                    self.conduct.give_up_after(name, subject.repository.as_deref(), &error);
                    failures.push((name.clone(), error));
                }
            }
        }
        Err(none_of(&subject.title, failures))
    }

    /// Asks for something that must be there; tells which place gave it.
    pub fn get<T>(
        &self,
        subject: &Subject,
        get: impl Fn(&S) -> Result<T, SourceError>,
    ) -> Result<(usize, T), SourceError> {
        let found = self.ask(subject, |number, source| get(source).map(|found| Some((number, found))))?;
        Ok(found.expect("what is got is something, and all else is an error"))
    }

    /// Opens some of a content at the first place that did not give it wrongly.
    pub fn open<T>(
        &self,
        subject: &Subject,
        digest: &Digest,
        open: impl Fn(&S) -> Result<T, SourceError>,
    ) -> Result<(usize, T), SourceError> {
        let open_one = || {
            let opened = self.ask(subject, |number, source| self.open_at((number, source), digest, &open))?;
            Ok(opened.expect("what is opened is something, and all else is an error"))
        };
        open_one().or_else(|error| if self.doubts.forgive(digest) { open_one() } else { Err(error) })
    }

    /// Opens some of a content at the next place behind one that broke off.
    pub(super) fn open_behind<T>(
        &self,
        broken: usize,
        digest: &Digest,
        open: impl Fn(&S) -> Result<T, SourceError>,
    ) -> Option<(usize, T)> {
        let places = self.all.iter().enumerate().skip(broken + 1);
        let mut places = places.map(|(number, place)| (number, &place.source));
        places.find_map(|place| self.open_at(place, digest, &open).ok().flatten())
    }

    fn open_at<T>(
        &self,
        (number, source): (usize, &S),
        digest: &Digest,
        open: impl Fn(&S) -> Result<T, SourceError>,
    ) -> Result<Option<(usize, T)>, SourceError> {
        if let Some(why) = self.doubts.against(digest, number) {
            return Err(SourceError::new(SourceErrorKind::Invalid, why));
        }
        let opened = open(source)?;
        self.doubts.note(digest, number);
        Ok(Some((number, opened)))
    }

    /// Hears that what was given of a content is wrong; tells whether it is worth asking for it again.
    pub fn distrust(&self, digest: &Digest, why: &str) -> bool {
        let Some(judged) = self.doubts.judge(digest, why) else { return false };
        if judged.is_certain {
            self.conduct.note_wrong(&self.all[judged.place].name);
        }
        self.all.len() > 1 || self.doubts.forgive(digest)
    }

    /// Warns of what a place did while another one took over.
    pub(super) fn complain(&self, place: usize, what: String) {
        self.conduct.complain(&self.all[place].name, what);
    }
}

/// Makes one error of those of all places; that of a single place stays as it is.
///
/// It is of the kind that somebody can do most about: of one place that failed rather than of one that lacks something.
fn none_of(what: &str, mut failures: Vec<(String, SourceError)>) -> SourceError {
    if failures.len() <= 1 {
        let none =
            || SourceError::new(SourceErrorKind::Invalid, format!("the spec names no place for {what}"));
        return failures.pop().map_or_else(none, |(_, error)| error);
    }
    let reasons: Vec<String> =
        failures.iter().map(|(place, error)| format!("`{place}`: {}", chain(error).join(": "))).collect();
    let decisive = failures.iter().position(|(_, error)| !error.kind.is_lack());
    let (_, SourceError { kind, cause, .. }) = failures.swap_remove(decisive.unwrap_or(failures.len() - 1));
    let message = format!("none of {} places gives {what}: {}", reasons.len(), reasons.join("; "));
    SourceError { kind, message, cause }
}
