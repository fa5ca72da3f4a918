//! Do all the parts of a kit fit each other, before any VM boots?
//!
//! The known failures are rows: an id, what must hold, why it matters on the node, what to do, and the story behind it,
//! in `rows/*.toml`. A row's function reads a finished [`Kit`], or a [`Plan`] before anything is fetched, by readers
//! that share nothing with what wrote it. A [`Report`] has every row: with what was found, as not applicable with the
//! reason, or as not checked; none is passed over in silence.
//!
//! # Why
//! No tool that owns one part can say whether it fits the others: images against the executable and the registry's
//! configuration, certificates against endpoints, seeds against payloads, tokens and addresses across nodes.

mod autoinstall;
mod checks;
mod cluster;
mod host;
mod images;
mod kit;
mod ordering;
mod packages;
mod page;
mod plan;
mod registry;
mod report;
mod rows;
mod sarif;
mod seed;
mod tables;
mod verdict;

pub use kit::{Kit, KnownSecret, OpenError, PAGE};
pub use page::{BEGINNING, page};
pub use plan::Plan;
pub use report::{Finding, NotApplicable, Report, Summary, Unknown};
pub use rows::{Origin, Part, Row, Scope, Severity, row, rows};
pub use sarif::sarif;

use checks::Check;
use kit::Contents;
use report::Subject;

/// Checks a finished kit against every row, and a part of one against those that it alone can tell.
pub fn kit(kit: &Kit) -> Report {
    let subject = match kit.alone {
        None => Subject::Kit,
        Some(Part::Disc) => Subject::Disc,
        Some(Part::Images) => Subject::Images,
    };
    let secrets = Contents::of(kit);
    let verdict = |row: &Row| {
        let can_tell = kit.alone.is_none_or(|part| row.alone.contains(&part));
        let mut verdict = Check::of(&row.id).filter(|_| can_tell)?.look_at_kit(kit)?;
        for fault in &mut verdict.faults {
            fault.place = secrets.out_of(&fault.place);
            fault.what = secrets.out_of(&fault.what);
        }
        Some(verdict)
    };
    let allow = kit.bill.as_ref().map_or(&[][..], |bill| &bill.allow);
    report::assemble(subject, verdict, allow)
}

/// Checks what a spec and its lock alone can tell.
pub fn plan(plan: &Plan<'_>) -> Report {
    let verdict = |row: &Row| Check::of(&row.id)?.look_at_plan(plan);
    report::assemble(Subject::Spec, verdict, &plan.spec.allow)
}
