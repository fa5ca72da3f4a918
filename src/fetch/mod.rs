//! Where things come from: everything that brings images, files and packages into the store.
//!
//! [`places`] asks one place after the other, [`sources`] knows those of a spec, [`transfer`] brings the blobs of
//! images, [`files`] the files of the kit; each content is hashed as it comes and continued by the next run. [`copy`]
//! says in which order images are brought anywhere, by a push too. What failed is in [`failures`], and what registries
//! still allow in [`pulls`].

pub mod copy;
pub mod failures;
pub mod files;
pub mod places;
pub mod pulls;
pub mod sources;
pub mod transfer;
pub mod whole;

use crate::progress::Reporter;
use crate::store::DiskStore;

/// What everything that fetches, and each operation above it, works with.
#[derive(Clone, Copy)]
pub struct Equipment<'a> {
    /// The store of all contents, shared by all builds of a user.
    pub store: &'a DiskStore,
    /// How many things may be done at once.
    pub jobs: usize,
    /// Whether the rest is finished when something cannot be had; the errors then are [`failures::Failures`].
    pub keep_going: bool,
    /// Who listens.
    pub reporter: &'a dyn Reporter,
    /// The value of an environment variable; `cli` alone reads the real ones.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

impl std::fmt::Debug for Equipment<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Equipment").field("store", self.store).field("jobs", &self.jobs).finish()
    }
}
