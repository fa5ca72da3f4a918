//! What places did in a run: what is to be said of it, and who is not asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::oci::{SourceError, SourceErrorKind};
use crate::text::chain;

/// The wrong contents that a place may give before it is not asked any more: each is paid for twice.
const MOST_WRONG: u32 = 3;

/// What one of several places did, while another one gave what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, derive_more::Display)]
#[display("`{place}` {what}")]
pub struct Complaint {
    /// The place.
    pub place: String,
    /// What it did: `is passed over: …`, `broke off: …`.
    pub what: String,
}

/// What all places of a run did.
#[derive(Debug, Default)]
pub(in crate::fetch) struct Conduct(Mutex<Record>);

#[derive(Debug, Default)]
struct Record {
    /// What should not stay unsaid; each once.
    known: BTreeSet<Complaint>,
    new: Vec<Complaint>,
    taken: Vec<Complaint>,
    /// Why a place is not asked again: for a repository of it, or for anything.
    given_up: BTreeMap<(String, Option<String>), String>,
    /// How many contents each gave wrongly.
    wrong: BTreeMap<String, u32>,
}

impl Conduct {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn complain(&self, place: &str, what: String) {
        let complaint = Complaint { place: place.to_owned(), what };
        let mut record = self.lock();
        if record.known.insert(complaint.clone()) {
            record.new.push(complaint);
        }
    }

    /// Returns the complaints that were not returned before.
    pub(in crate::fetch) fn take(&self) -> Vec<Complaint> {
        let mut record = self.lock();
        let new = std::mem::take(&mut record.new);
        record.taken.extend(new.iter().cloned());
        new
    }

    /// Returns the complaints that were returned before.
    pub(in crate::fetch) fn taken(&self) -> Vec<Complaint> {
        self.lock().taken.clone()
    }

    /// Returns why a place is not to be asked.
    pub(super) fn given_up(&self, place: &str, repository: Option<&str>) -> Option<String> {
        let record = self.lock();
        let why = |repository: Option<&str>| {
            record.given_up.get(&(place.to_owned(), repository.map(str::to_owned))).cloned()
        };
        why(None).or_else(|| why(Some(repository?)))
    }

    fn give_up(&self, place: &str, repository: Option<&str>, why: String) {
        let key = (place.to_owned(), repository.map(str::to_owned));
        self.lock().given_up.entry(key).or_insert(why);
    }

    /// Whoever cannot be reached now, after all that was tried, costs time with each further request; whoever refuses a
    /// repository refuses all of it.
    pub(super) fn give_up_after(&self, place: &str, repository: Option<&str>, error: &SourceError) {
        let why = || chain(error).join(": ");
        if [SourceErrorKind::Connection, SourceErrorKind::RateLimited].contains(&error.kind) {
            self.give_up(place, None, why());
        } else if error.kind == SourceErrorKind::Denied && repository.is_some() {
            self.give_up(place, repository, why());
        }
    }

    /// Notes that a place gave a wrong content.
    pub(super) fn note_wrong(&self, place: &str) {
        let mut record = self.lock();
        let wrong = record.wrong.entry(place.to_owned()).or_default();
        *wrong += 1;
        let is_enough = *wrong >= MOST_WRONG;
        drop(record);
        if is_enough {
            self.give_up(place, None, format!("what it gave was wrong {MOST_WRONG} times"));
        }
    }
}
