//! Which places gave wrong bytes of which blobs.
//!
//! Whose bytes were wrong is certain only if one place gave all of a blob. Where several did, because one broke off, the
//! first of them is doubted, so that the next attempt says more; once a place is found to be wrong by itself, those that
//! were only doubted are asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;

/// What is known of all blobs.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<BTreeMap<Digest, Doubt>>);

#[derive(Debug, Default)]
struct Doubt {
    /// The places that gave some of it since the last judgement.
    gave: BTreeSet<usize>,
    /// Those that are not asked for it any more.
    wrong: BTreeMap<usize, Wrong>,
}

#[derive(Debug)]
struct Wrong {
    why: String,
    /// Whether the place gave all of it.
    is_certain: bool,
}

impl Doubts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Doubt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a place gives some of a blob.
    pub(super) fn note(&self, digest: &Digest, place: usize) {
        self.lock().entry(*digest).or_default().gave.insert(place);
    }

    /// Returns why a place is not to be asked for a blob.
    pub(super) fn against(&self, digest: &Digest, place: usize) -> Option<String> {
        Some(self.lock().get(digest)?.wrong.get(&place)?.why.clone())
    }

    /// Judges that what was given of a blob is wrong; tells whether that is somebody's fault.
    pub(super) fn judge(&self, digest: &Digest, why: &str) -> bool {
        let mut all = self.lock();
        let Some(Doubt { gave, wrong }) = all.get_mut(digest) else { return false };
        let gave = std::mem::take(gave);
        let Some(first) = gave.iter().find(|place| !wrong.contains_key(place)).copied() else { return false };
        let is_certain = gave.len() == 1;
        if is_certain {
            wrong.retain(|_, wrong| wrong.is_certain);
        }
        let why = if is_certain { why.to_owned() } else { format!("what came from it and others: {why}") };
        wrong.insert(first, Wrong { why, is_certain });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_that_gave_all_is_wrong_and_of_several_the_first_is_doubted_until_more_is_known() {
        let (doubts, digest) = (Doubts::default(), Digest::sha256(b"blob"));
        let barred = || (0..3).map(|place| doubts.against(&digest, place).is_some()).collect::<Vec<_>>();
        assert!(!doubts.judge(&digest, "nobody gave anything"));
        doubts.note(&digest, 0);
        doubts.note(&digest, 1);
        assert!(doubts.judge(&digest, "both"));
        assert_eq!(barred(), [true, false, false]);
        doubts.note(&digest, 1);
        assert!(doubts.judge(&digest, "alone"));
        assert_eq!(barred(), [false, true, false]);
        doubts.note(&digest, 0);
        assert!(doubts.judge(&digest, "alone"));
        doubts.note(&digest, 2);
        assert!(doubts.judge(&digest, "alone"));
        assert_eq!(barred(), [true, true, true]);
        assert!(!doubts.judge(&digest, "nobody gave anything"));
        assert_eq!(doubts.against(&Digest::sha256(b"another"), 0), None);
    }
}
