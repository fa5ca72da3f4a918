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

/// What a judgement found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    /// The place that is not asked for it any more.
    pub(super) place: usize,
    /// Whether it gave all of it.
    pub(super) is_certain: bool,
}

#[derive(Debug, Default)]
struct Doubt {
    /// The places that gave some of it since the last judgement.
    gave: BTreeSet<usize>,
    /// Those that are not asked for it any more.
    wrong: BTreeMap<usize, Wrong>,
    /// Whether one of them was given another chance.
    has_forgiven: bool,
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

    /// Judges that what was given of a blob is wrong; tells whose fault that is, if it is anybody's.
    pub(super) fn judge(&self, digest: &Digest, why: &str) -> Option<Judged> {
        let mut all = self.lock();
        let Doubt { gave, wrong, has_forgiven: _ } = all.get_mut(digest)?;
        let gave = std::mem::take(gave);
        let place = gave.iter().find(|place| !wrong.contains_key(place)).copied()?;
        let is_certain = gave.len() == 1;
        if is_certain {
            wrong.retain(|_, wrong| wrong.is_certain);
        }
        let why = if is_certain { why.to_owned() } else { format!("what came from it and others: {why}") };
        wrong.insert(place, Wrong { why, is_certain });
        Some(Judged { place, is_certain })
    }

    /// Gives the only place that gave a blob wrongly another chance, once.
    pub(super) fn forgive(&self, digest: &Digest) -> bool {
        let mut all = self.lock();
        let Some(doubt) = all.get_mut(digest) else { return false };
        let is_forgiven = doubt.wrong.len() == 1 && !doubt.has_forgiven;
        if is_forgiven {
            doubt.wrong.clear();
            doubt.has_forgiven = true;
        }
        is_forgiven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_that_gave_all_is_wrong_and_of_several_the_first_is_doubted_until_more_is_known() {
        let (doubts, digest) = (Doubts::default(), Digest::sha256(b"blob"));
        let barred = || (0..3).map(|place| doubts.against(&digest, place).is_some()).collect::<Vec<_>>();
        let judged = |place, is_certain| Some(Judged { place, is_certain });
        assert_eq!(doubts.judge(&digest, "nobody gave anything"), None);
        doubts.note(&digest, 0);
        doubts.note(&digest, 1);
        assert_eq!(doubts.judge(&digest, "both"), judged(0, false));
        assert_eq!(barred(), [true, false, false]);
        doubts.note(&digest, 1);
        assert_eq!(doubts.judge(&digest, "alone"), judged(1, true));
        assert_eq!(barred(), [false, true, false]);
        doubts.note(&digest, 0);
        assert_eq!(doubts.judge(&digest, "alone"), judged(0, true));
        doubts.note(&digest, 2);
        assert_eq!(doubts.judge(&digest, "alone"), judged(2, true));
        assert_eq!(barred(), [true, true, true]);
        assert!(!doubts.forgive(&digest), "several were wrong");
        assert_eq!(doubts.against(&Digest::sha256(b"another"), 0), None);
    }

    #[test]
    fn the_only_place_that_was_wrong_is_asked_once_more() {
        let (doubts, digest) = (Doubts::default(), Digest::sha256(b"blob"));
        assert!(!doubts.forgive(&digest));
        for is_forgiven in [true, false] {
            doubts.note(&digest, 1);
            assert_eq!(doubts.judge(&digest, "wrong"), Some(Judged { place: 1, is_certain: true }));
            assert_eq!(doubts.forgive(&digest), is_forgiven);
        }
    }
}
