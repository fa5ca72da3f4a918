//! The operations: what each command does, without arguments, terminal or clock.
//!
//! Options in, outcome out. What they need is brought into the store by [`crate::fetch`]. Each command has a module here
//! and a file of the same name in `cli`; the modules after these are what several of them share.

pub mod build;
pub mod ca;
pub mod check;
pub mod diff;
pub mod init;
pub mod inspect;
pub mod iso;
pub mod lock;
pub mod mirror;
pub mod pack;
pub mod push;
pub mod serve;
pub mod verify;

pub mod cluster;
pub mod deliver;
pub mod inputs;
pub mod k3s;
pub mod kit;
pub mod output;
pub mod packages;
pub mod page;
pub mod parts;
pub mod preflight;

use crate::progress::Event;
use crate::text::{Finding, Severity};

/// Returns what a reporter is told of a finding that does not stop the work.
pub fn finding_event(file: &str, finding: &Finding) -> Event {
    let Finding { severity, location, path, message, hint } = finding;
    let path = if path.steps().is_empty() { String::new() } else { format!("{path}: ") };
    let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let text = format!("{file}:{location}: {path}{message}{hint}");
    match severity {
        Severity::Error | Severity::Warning => Event::Warning(text),
        Severity::Note => Event::Note(text),
    }
}
