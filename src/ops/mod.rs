//! The operations: what each command does, without arguments, terminal or clock.
//!
//! Options in, outcome out. This is the only layer where the parts of the domain meet; `cli` has one file of the
//! same name for each.

pub mod failures;
pub mod parallel;
pub mod pulls;
pub mod sources;
pub mod transfer;

pub mod bill;
pub mod build;
pub mod ca;
pub mod cluster;
pub mod deliver;
pub mod diff;
pub mod files;
pub mod init;
pub mod iso;
pub mod k3s;
pub mod kit;
pub mod lock;
pub mod mirror;
pub mod output;
pub mod pack;
pub mod packages;
pub mod page;
pub mod preflight;
pub mod push;
pub mod serve;

use crate::progress::{Event, Reporter};
use crate::store::DiskStore;
use crate::text::{Finding, Severity};

/// Returns what a reporter is told of a finding that does not stop the work.
pub fn finding_event(file: &str, finding: &Finding) -> Event {
    let Finding { severity, location, path, message, hint } = finding;
    let path = if path.steps().is_empty() { String::new() } else { format!("{path}: ") };
    let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let text = format!("{file}:{location}: {path}{message}{hint}");
    match severity {
        Severity::Error | Severity::Warning => Event::Warning { text },
        Severity::Note => Event::Note { text },
    }
}

/// What all operations work with.
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
