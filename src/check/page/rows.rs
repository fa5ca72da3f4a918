//! Findings, and the rows without any.

use serde::Serialize;

use crate::check::report::{Finding, NotApplicable, Report, Unknown};
use crate::check::rows::{Severity, row};

/// Findings under one heading.
#[derive(Serialize)]
pub(super) struct Group<'a> {
    title: &'static str,
    findings: Vec<Card<'a>>,
}

/// One finding.
#[derive(Serialize)]
struct Card<'a> {
    class: &'static str,
    word: &'static str,
    title: &'static str,
    #[serde(flatten)]
    finding: &'a Finding,
    allowed: &'a str,
}

/// Rows that ended the same way.
#[derive(Serialize)]
pub(super) struct List<'a> {
    title: &'static str,
    is_open: bool,
    has_reasons: bool,
    rows: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    title: &'static str,
    reason: &'a str,
}

/// Returns the findings, the worst first and those that are accepted last; no heading has none.
pub(super) fn findings(report: &Report) -> Vec<Group<'_>> {
    let kinds = [
        ("To correct", Some(Severity::Error)),
        ("Warnings", Some(Severity::Warning)),
        ("Notes", Some(Severity::Note)),
        ("Accepted", None),
    ];
    let group = |(title, severity): (&'static str, Option<Severity>)| {
        let open = |found: &Finding| found.allowed.is_none().then_some(found.severity);
        let findings = report.findings.iter().filter(|found| open(found) == severity);
        Group { title, findings: findings.map(card).collect() }
    };
    kinds.into_iter().map(group).filter(|group| !group.findings.is_empty()).collect()
}

fn card(finding: &Finding) -> Card<'_> {
    let class = if finding.allowed.is_some() { "accepted" } else { finding.severity.name() };
    let allowed = finding.allowed.as_deref().unwrap_or_default();
    Card { class, word: class, title: title(&finding.id), finding, allowed }
}

/// Returns the rows that have no findings.
pub(super) fn lists(report: &Report) -> Vec<List<'_>> {
    let line = |id, reason| Line { id, title: title(id), reason };
    let Report { passed, not_applicable, not_checked, .. } = report;
    let unknown = not_checked.iter().map(|Unknown { id, reason }| line(id, reason));
    let meaningless = not_applicable.iter().map(|NotApplicable { id, reason }| line(id, reason));
    let held = passed.iter().map(|id| line(id, ""));
    let list = |title, rows: Vec<_>, has_reasons| List {
        title,
        // What nobody looked at should not have to be looked for.
        is_open: title == NOT_CHECKED,
        has_reasons,
        rows,
    };
    let lists = [
        list(NOT_CHECKED, unknown.collect(), true),
        list("Does not apply", meaningless.collect(), true),
        list("Holds", held.collect(), false),
    ];
    lists.into_iter().filter(|list| !list.rows.is_empty()).collect()
}

const NOT_CHECKED: &str = "Not checked";

fn title(id: &str) -> &'static str {
    row(id).map_or("", |row| row.title.as_str())
}
