//! Files that several mirrors have: from the first one that gives them right.
//!
//! A mirror that lacks a file is passed over silently, because mirrors lag behind each other; whatever else one does is a
//! warning. When none gives the file, the error has the reasons of all.

use crate::fetch::Equipment;
use crate::fetch::sources::{Sources, none_of};
use crate::oci::{SourceError, SourceErrorKind};
use crate::progress::Reporter;
use crate::registry::KeptPart;
use crate::store::{CompleteError, Completed, Descriptor, Kept, Opened, StoreError, Wanted};
use crate::text::chain;

/// The mirrors of a file, in their order.
pub struct Places<'a> {
    urls: Vec<String>,
    /// The one that is asked, or gives what comes.
    next: usize,
    /// What the others did, and how many of these the user has heard of.
    failed: Vec<(String, SourceError)>,
    said: usize,
    reporter: &'a dyn Reporter,
}

impl<'a> Places<'a> {
    /// Returns the mirrors, of which none was asked yet.
    pub fn new(urls: impl IntoIterator<Item = String>, reporter: &'a dyn Reporter) -> Self {
        Self { urls: urls.into_iter().collect(), next: 0, failed: Vec::new(), said: 0, reporter }
    }

    /// Asks one mirror after the other, from the current one on, until one gives `what`; returns its URL too.
    pub fn ask<T>(
        &mut self,
        what: &str,
        ask: impl Fn(&str) -> Result<T, SourceError>,
    ) -> Result<(String, T), SourceError> {
        while let Some(url) = self.urls.get(self.next).cloned() {
            match ask(&url) {
                Ok(answer) => {
                    self.say_what_failed();
                    return Ok((url, answer));
                }
                Err(error) => self.failed.push((url, error)),
            }
            self.next += 1;
        }
        if self.failed.is_empty() {
            return Err(SourceError::new(SourceErrorKind::Invalid, "the spec names no mirror"));
        }
        Err(none_of(what, std::mem::take(&mut self.failed), self.urls.len()))
    }

    fn say_what_failed(&mut self) {
        for (url, error) in &self.failed[self.said..] {
            if error.kind != SourceErrorKind::NotFound {
                self.reporter.warn(format!("`{url}` is passed over: {}", chain(error).join(": ")));
            }
        }
        self.said = self.failed.len();
    }

    /// Goes on to the next mirror because what came is wrong or stopped coming; tells whether there is one.
    fn pass_over(&mut self, error: &StoreError) -> bool {
        if self.next + 1 >= self.urls.len() {
            return false;
        }
        let reason = SourceError::new(SourceErrorKind::Invalid, chain(error).join(": "));
        self.failed.push((self.urls[self.next].clone(), reason));
        self.next += 1;
        true
    }
}

/// Completes a file of which the digest is known, with what is missing from the first mirror that gives it right.
pub fn complete(
    wanted: &Descriptor,
    path: &str,
    mut places: Places<'_>,
    (sources, equipment): (&Sources, &Equipment<'_>),
    advance: impl Fn(u64),
) -> Result<Completed, CompleteError<SourceError>> {
    loop {
        let open = |kept: &Kept| {
            let kept = KeptPart { length: kept.length, total: Some(wanted.size), entity_tag: None };
            let rest = |url: &str| sources.rest_of_repository_file(url, path, &kept);
            let (_, (from, reader)) = places.ask(&format!("`{path}`"), rest)?;
            Ok(Opened { from, entity_tag: None, reader })
        };
        let completed = equipment.store.complete_staged(&Wanted::described(wanted), open, &advance);
        match &completed {
            Err(CompleteError::Store(error @ (StoreError::Mismatch(_) | StoreError::Read(..))))
                if places.pass_over(error) => {}
            Ok(_) | Err(_) => return completed,
        }
    }
}
