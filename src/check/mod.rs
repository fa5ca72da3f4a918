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

use report::Subject;
use verdict::Verdict;

/// What tests one row.
struct Check {
    id: &'static str,
    kit: Option<fn(&Kit, &mut Verdict)>,
    plan: Option<fn(&Plan<'_>, &mut Verdict)>,
}

impl Check {
    const fn kit(id: &'static str, kit: fn(&Kit, &mut Verdict)) -> Self {
        Self { id, kit: Some(kit), plan: None }
    }

    const fn plan(id: &'static str, plan: fn(&Plan<'_>, &mut Verdict)) -> Self {
        Self { id, kit: None, plan: Some(plan) }
    }

    const fn both(id: &'static str, kit: fn(&Kit, &mut Verdict), plan: fn(&Plan<'_>, &mut Verdict)) -> Self {
        Self { id, kit: Some(kit), plan: Some(plan) }
    }
}

/// All functions, in the order of the report.
const CHECKS: [&[Check]; 9] = [
    kit::CHECKS,
    seed::CHECKS,
    ordering::CHECKS,
    images::CHECKS,
    registry::CHECKS,
    cluster::CHECKS,
    packages::CHECKS,
    autoinstall::CHECKS,
    host::CHECKS,
];

fn check_of(id: &str) -> Option<&'static Check> {
    CHECKS.iter().flat_map(|group| group.iter()).find(|check| check.id == id)
}

/// The rows that look at a disc itself; all others look at the node that it makes.
const OF_DISCS: [&str; 4] = ["SK0002", "SK0101", "SK0102", "SK0112"];

/// Checks a finished kit against every row, and a part of one against those that it alone can tell.
pub fn kit(kit: &Kit) -> Report {
    let subject = match kit.alone {
        None => Subject::Kit,
        Some(Part::Disc) => Subject::Disc,
        Some(Part::Images) => Subject::Images,
    };
    let verdict = |row: &Row| {
        let work = check_of(&row.id)?.kit?;
        if kit.alone.is_some_and(|part| !row.alone.contains(&part)) {
            return None;
        }
        let mut verdict = Verdict::default();
        if kit.alone == Some(Part::Disc) && kit.nodes.is_empty() && !OF_DISCS.contains(&&*row.id) {
            verdict.not_applicable("cloud-init would find no seed on the disc");
        } else {
            work(kit, &mut verdict);
        }
        Some(verdict)
    };
    let allow = kit.bill.as_ref().map_or(&[][..], |bill| &bill.allow);
    report::assemble(subject, verdict, allow)
}

/// Checks what a spec and its lock alone can tell.
pub fn plan(plan: &Plan<'_>) -> Report {
    let verdict = |row: &Row| {
        let work = check_of(&row.id)?.plan?;
        let mut verdict = Verdict::default();
        work(plan, &mut verdict);
        Some(verdict)
    };
    report::assemble(Subject::Spec, verdict, &plan.spec.allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_belongs_to_a_row_and_no_row_has_two() {
        let mut ids: Vec<&str> = CHECKS.iter().flat_map(|group| group.iter()).map(|check| check.id).collect();
        for check in CHECKS.iter().flat_map(|group| group.iter()) {
            let row = row(check.id).unwrap_or_else(|| panic!("{} is not a row", check.id));
            let (kit, plan) = (check.kit.is_some(), check.plan.is_some());
            assert_eq!((kit, plan), (row.scope.has_kit(), row.scope.has_spec()), "{}", check.id);
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
