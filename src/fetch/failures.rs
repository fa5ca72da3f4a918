//! What failed while the rest was finished: for who asked to keep going.

use std::error::Error;

use serde::Serialize;

use crate::text::{chain, counted};

/// One thing that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Failure {
    /// What it is: `image`, `file`, `package`, or `packages` where no single one is to blame.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Why: what was being done, and each cause below.
    pub reasons: Vec<String>,
}

impl Failure {
    /// Notes why a thing could not be had.
    pub fn of(kind: &'static str, name: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        Self { kind, name: name.into(), reasons: chain(error) }
    }
}

/// Everything that failed; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be had; what was fetched of the rest is in the store", counted(.0.len(), "thing"))]
pub struct Failures(pub Vec<Failure>);

impl Failures {
    /// Keeps a success and notes a failure: all things that an error names, else the thing it is about.
    pub fn note<T, E: Error + 'static>(
        &mut self,
        (kind, name): (&'static str, &str),
        result: Result<T, E>,
    ) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let mut causes =
            std::iter::successors(Some(&error as &(dyn Error + 'static)), |error| (*error).source());
        match causes.find_map(|cause| cause.downcast_ref::<Self>()) {
            Some(Self(several)) => self.0.extend(several.iter().cloned()),
            None => self.0.push(Failure::of(kind, name, &error)),
        }
        None
    }

    /// Returns nothing if nothing failed.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}
