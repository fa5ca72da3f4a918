//! `seedkit diff`: what changed between two locks or two kits.
//!
//! Both sides are read as `seedkit inspect` reads them, and become lists of named things; what is compared is what
//! each thing is, never where it lies. Nothing is hashed again: `seedkit verify` tells whether a kit is what its bill
//! says.

mod side;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use side::{Side, Subject, Thing};

use crate::inspect::{self, InspectError};

/// Why two things are not compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// One of them, or a part of it, cannot be read.
    #[error("cannot compare `{0}`")]
    Inspect(PathBuf, #[source] InspectError),
    /// It is something else.
    #[error("`{0}` is neither a lock nor a kit")]
    Kind(PathBuf),
    /// A lock says what will be built, a kit what was: they do not have the same parts.
    #[error("`{lock}` is a lock and `{kit}` is a kit")]
    Mixed {
        /// The lock.
        lock: PathBuf,
        /// The kit.
        kit: PathBuf,
    },
    /// A part of a kit is not there, or is damaged: a comparison would be wrong.
    #[error("`{0}` is not whole: {1}")]
    Damaged(PathBuf, String),
}

/// What differs between two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What both sides are.
    pub kind: Side,
    /// Whether nothing differs.
    pub is_same: bool,
    /// What differs, by subject; subjects without a difference are left out.
    pub subjects: BTreeMap<Subject, Vec<Change>>,
}

/// One thing that is on one side only, or not the same on both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it was; nothing if it is new.
    pub before: Option<Thing>,
    /// What it is; nothing if it is gone.
    pub after: Option<Thing>,
}

impl Change {
    /// Returns the names of all that is not the same on both sides; of a thing that is on one side only, nothing.
    pub fn differing(&self) -> Vec<&str> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return Vec::new() };
        let names: BTreeSet<&String> = before.properties.keys().chain(after.properties.keys()).collect();
        let differs = |name: &&String| before.properties.get(*name) != after.properties.get(*name);
        names.into_iter().filter(differs).map(String::as_str).collect()
    }
}

/// Compares two locks or two kits.
pub fn run(before: &Path, after: &Path, options: &inspect::Options<'_>) -> Result<Difference, DiffError> {
    let (kind, old) = side::read(before, options)?;
    let (other, new) = side::read(after, options)?;
    let (before, after) = (before.to_owned(), after.to_owned());
    match (kind, other) {
        (Side::Lock, Side::Lock) | (Side::Kit, Side::Kit) => {}
        (Side::Lock, Side::Kit) => return Err(DiffError::Mixed { lock: before, kit: after }),
        (Side::Kit, Side::Lock) => return Err(DiffError::Mixed { lock: after, kit: before }),
    }
    let subjects = compare(old, new);
    Ok(Difference { kind, is_same: subjects.is_empty(), subjects })
}

/// The things of one side, by subject and name.
type Things = BTreeMap<Subject, BTreeMap<String, Thing>>;

fn compare(mut before: Things, mut after: Things) -> BTreeMap<Subject, Vec<Change>> {
    let subjects: BTreeSet<Subject> = before.keys().chain(after.keys()).copied().collect();
    let changes = |subject: Subject| {
        let old = before.remove(&subject).unwrap_or_default();
        let mut new = after.remove(&subject).unwrap_or_default();
        let pairs = old.into_iter().map(|(name, thing)| {
            let other = new.remove(&name);
            Change { name, before: Some(thing), after: other }
        });
        let mut changes: Vec<Change> = pairs.filter(|change| change.before != change.after).collect();
        changes.extend(new.into_iter().map(|(name, thing)| Change {
            name,
            before: None,
            after: Some(thing),
        }));
        changes.sort_by(|left, right| left.name.cmp(&right.name));
        (subject, changes)
    };
    subjects.into_iter().map(changes).filter(|(_, changes)| !changes.is_empty()).collect()
}
