//! What a check says of all rows.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::rows::{Row, Severity, row, rows};
use super::verdict::{Fault, Verdict};
use crate::spec::Allowance;
use crate::text::{self, counted};

/// The row about exceptions, which this module checks itself.
const ALLOWANCES: &str = "SK0003";
/// What an id looks like, as the JSON schema says it.
const ID: &str = "^SK[0-9]{4}$";
/// The longest text that is shown; what it quotes may be of any length.
const LONGEST: usize = 500;

/// What no file can tell.
const UNKNOWABLE: [&str; 5] = [
    "whether the registry answers: ask it from a node (`curl --cacert registry-ca.crt https://REGISTRY/v2/`)",
    "how the hypervisor attaches network card, disc and disk, and how large the disk is",
    "what the VM's clock shows",
    "which cloud-init the nodes' image has: the oldest and the newest supported one are assumed",
    "which firewalls there are between the nodes",
];

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Subject {
    /// A spec and its lock.
    Spec,
    /// A finished kit.
    Kit,
    /// A disc alone.
    Disc,
    /// An archive or layout of images alone.
    Images,
}

/// One place where a row does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Finding {
    /// The row.
    #[schemars(regex(pattern = ID))]
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// The artifact, by its path in the kit; for a spec the file.
    pub artifact: String,
    /// The place within it; may be empty.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What it does on the node.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// Why it is accepted all the same, as the spec says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Whether the clock has a say in it: on another day the same kit may not have it.
    #[serde(skip)]
    pub is_of_today: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, severity: _, artifact, place, what, .. } = self;
        write!(formatter, "{id} `{artifact}`: ")?;
        if !place.is_empty() {
            write!(formatter, "{place}: ")?;
        }
        formatter.write_str(what)
    }
}

/// A row that means nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotApplicable {
    /// The row.
    #[schemars(regex(pattern = ID))]
    pub id: String,
    /// Why.
    pub reason: String,
}

/// A row that was not checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unknown {
    /// The row.
    #[schemars(regex(pattern = ID))]
    pub id: String,
    /// Why.
    pub reason: String,
}

/// How many rows ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All rows.
    pub rows: usize,
    /// Rows that hold.
    pub passed: usize,
    /// Rows that mean nothing here.
    pub not_applicable: usize,
    /// Rows that were not checked.
    pub not_checked: usize,
    /// Findings that are errors and not accepted.
    pub errors: usize,
    /// Findings that are warnings and not accepted.
    pub warnings: usize,
    /// Findings that are notes and not accepted.
    pub notes: usize,
    /// Findings that are accepted.
    pub allowed: usize,
}

impl Summary {
    /// Counts what became of all rows; `passed` of them hold.
    fn of(
        findings: &[Finding],
        passed: usize,
        not_applicable: &[NotApplicable],
        not_checked: &[Unknown],
    ) -> Self {
        let open = |severity: Severity| {
            findings.iter().filter(|found| found.severity == severity && found.allowed.is_none()).count()
        };
        Self {
            rows: rows().len(),
            passed,
            not_applicable: not_applicable.len(),
            not_checked: not_checked.len(),
            errors: open(Severity::Error),
            warnings: open(Severity::Warning),
            notes: open(Severity::Note),
            allowed: findings.iter().filter(|found| found.allowed.is_some()).count(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, passed, not_applicable, not_checked, errors, warnings, notes: _, allowed } = self;
        write!(
            formatter,
            "{passed} of {rows} hold, {not_applicable} do not apply, {not_checked} not checked; "
        )?;
        match errors + warnings {
            0 => formatter.write_str("nothing found")?,
            _ => write!(formatter, "{}, {}", counted(*errors, "error"), counted(*warnings, "warning"))?,
        }
        match allowed {
            0 => Ok(()),
            count => write!(formatter, ", {count} accepted"),
        }
    }
}

/// What a check says of all rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was checked.
    pub(super) subject: Subject,
    /// The counts.
    pub summary: Summary,
    /// All findings, sorted by row; those that are accepted say why.
    pub findings: Vec<Finding>,
    /// The ids of the rows that hold.
    #[schemars(inner(regex(pattern = ID)))]
    pub passed: Vec<String>,
    /// The rows that mean nothing here.
    pub not_applicable: Vec<NotApplicable>,
    /// The rows that were not checked.
    pub not_checked: Vec<Unknown>,
    /// What no file can tell, one sentence each.
    pub not_knowable: Vec<&'static str>,
}

impl Report {
    /// Returns whether something was found that is an error and is not accepted.
    pub fn has_errors(&self) -> bool {
        self.summary.errors > 0
    }

    /// Returns what the report would be if nobody knew what day it is: the same for the same kit, whenever it is
    /// checked.
    pub fn without_today(&self) -> Self {
        let mut report = self.clone();
        let mut passed: BTreeSet<String> = report.passed.into_iter().collect();
        report.findings.retain(|finding| !finding.is_of_today);
        for today in self.findings.iter().filter(|finding| finding.is_of_today) {
            if report.findings.iter().all(|finding| finding.id != today.id) {
                passed.insert(today.id.clone());
            }
        }
        report.passed = passed.into_iter().collect();
        let (passed, others) = (report.passed.len(), &report.not_applicable);
        report.summary = Summary::of(&report.findings, passed, others, &report.not_checked);
        report
    }

    /// Returns the errors that are not accepted.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error && finding.allowed.is_none())
    }
}

/// Joins what was found with the rows and the exceptions.
pub(super) fn assemble(
    subject: Subject,
    verdict: impl Fn(&Row) -> Option<Verdict>,
    allow: &[Allowance],
) -> Report {
    let mut findings = Vec::new();
    let (mut passed, mut not_applicable, mut not_checked) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows().iter().filter(|row| row.id != ALLOWANCES) {
        let id = || row.id.clone();
        if let Some(reason) = &row.not_applicable {
            not_applicable.push(NotApplicable { id: id(), reason: reason.clone() });
        } else if let Some(verdict) = verdict(row) {
            let Verdict { faults, not_applicable: reason } = verdict;
            match reason {
                Some(reason) if faults.is_empty() => not_applicable.push(NotApplicable { id: id(), reason }),
                Some(_) | None if faults.is_empty() => passed.push(id()),
                Some(_) | None => findings.extend(faults.into_iter().map(|fault| finding(row, fault))),
            }
        } else {
            let reason = match subject {
                Subject::Spec if !row.scope.has_spec() => "only a finished kit can tell: `seedkit check KIT`",
                Subject::Kit if !row.scope.has_kit() => "only the spec can tell: `seedkit check`",
                Subject::Disc | Subject::Images if row.scope.has_kit() => {
                    "only a whole kit can tell: `seedkit check KIT`"
                }
                Subject::Disc | Subject::Images => "only the spec can tell: `seedkit check`",
                Subject::Spec | Subject::Kit => "there is no function for it yet",
            };
            not_checked.push(Unknown { id: id(), reason: reason.to_owned() });
        }
    }
    let faults = accept(&mut findings, allow, subject);
    let exceptions = row(ALLOWANCES).expect("a unit test finds this row");
    if faults.is_empty() {
        passed.push(exceptions.id.clone());
    } else {
        findings.extend(faults.into_iter().map(|fault| finding(exceptions, fault)));
    }
    findings.sort();
    findings.dedup();
    passed.sort();
    let summary = Summary::of(&findings, passed.len(), &not_applicable, &not_checked);
    let not_knowable = match subject {
        Subject::Spec | Subject::Kit | Subject::Disc => UNKNOWABLE.to_vec(),
        Subject::Images => Vec::new(),
    };
    Report { subject, summary, findings, passed, not_applicable, not_checked, not_knowable }
}

fn finding(row: &Row, fault: Fault) -> Finding {
    let Fault { artifact, place, what, severity, is_of_today } = fault;
    Finding {
        id: row.id.clone(),
        severity: severity.unwrap_or(row.severity),
        artifact: plain(&artifact),
        place: plain(&place),
        what: plain(&what),
        why: row.why.clone(),
        fix: row.fix.clone(),
        allowed: None,
        is_of_today,
    }
}

/// Marks what is accepted, and returns what is wrong with the exceptions.
fn accept(findings: &mut [Finding], allow: &[Allowance], subject: Subject) -> Vec<Fault> {
    let artifact = match subject {
        Subject::Spec => "seedkit.yaml",
        Subject::Kit | Subject::Disc | Subject::Images => "kit.json",
    };
    let mut faults = Vec::new();
    for Allowance { id, reason } in allow {
        let mut is_used = false;
        for finding in findings.iter_mut().filter(|finding| finding.id == *id) {
            finding.allowed = Some(plain(reason));
            is_used = true;
        }
        let (what, severity, is_of_today) = match row(id) {
            None => (format!("`{id}` is not an id of a check"), Severity::Error, false),
            // A spec alone cannot tell whether the kit will have the finding.
            Some(row) if is_used || (subject == Subject::Spec && row.scope.has_kit()) => continue,
            Some(row) => {
                (format!("`{id}` accepts a finding that is not there"), Severity::Warning, row.clock)
            }
        };
        let (artifact, place) = (artifact.to_owned(), format!("allow: {id}"));
        faults.push(Fault { artifact, place, what, severity: Some(severity), is_of_today });
    }
    faults
}

/// Shows what could steer a terminal or break a line, and leaves out what is too long to read.
pub(super) fn plain(text: &str) -> String {
    text::excerpt(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(allow: &[(&str, &str)]) -> Report {
        let allow: Vec<Allowance> = allow
            .iter()
            .map(|(id, reason)| Allowance { id: (*id).to_owned(), reason: (*reason).to_owned() })
            .collect();
        let verdict = |row: &Row| {
            let mut verdict = Verdict::default();
            match row.id.as_str() {
                "SK0101" => verdict.of("seeds/a.iso").fault("volume id", "it is `x\u{1b}[2J`"),
                "SK0108" => verdict.of("seeds/a.iso").warning("", "no gateway"),
                "SK0605" => verdict.not_applicable("not Debian"),
                "SK0301" => return None,
                _ => {}
            }
            Some(verdict)
        };
        assemble(Subject::Kit, verdict, &allow)
    }

    #[test]
    fn every_row_is_in_the_report_once() {
        let report = report(&[]);
        let Summary { rows, passed, not_applicable, not_checked, errors, warnings, .. } = report.summary;
        assert_eq!((errors, warnings), (1, 1));
        assert_eq!(passed + not_applicable + not_checked + 2, rows);
        assert_eq!(report.not_checked[0].id, "SK0301");
        assert!(report.not_applicable.iter().any(|row| row.id == "SK0605" && row.reason == "not Debian"));
        assert_eq!(report.findings[0].what, "it is `x\\u{1b}[2J`");
    }

    #[test]
    fn without_the_clock_a_report_has_nothing_that_another_day_changes() {
        let report = |is_near: bool, is_wrong: bool| {
            let allow = [Allowance { id: "SK0401".to_owned(), reason: "renewed soon".to_owned() }];
            let verdict = |row: &Row| {
                let mut verdict = Verdict::default();
                if row.id == "SK0401" && is_near {
                    let mut found = verdict.of("registry/registry.crt");
                    found.warning("", "it ends in 3 days");
                    found.only_today();
                }
                if row.id == "SK0101" && is_wrong {
                    verdict.of("seeds/a.iso").fault("volume id", "it is none");
                }
                Some(verdict)
            };
            assemble(Subject::Kit, verdict, &allow)
        };
        for is_wrong in [false, true] {
            let (near, far) = (report(true, is_wrong), report(false, is_wrong));
            assert_ne!(near, far);
            assert_eq!(near.without_today(), far.without_today());
            assert_eq!(far.without_today().summary.errors, usize::from(is_wrong));
            assert!(far.without_today().passed.contains(&"SK0401".to_owned()));
        }
    }

    #[test]
    fn exceptions_are_shown_and_those_without_a_finding_are_found() {
        let accepted = report(&[("SK0101", "a lab")]);
        assert!(!accepted.has_errors());
        assert_eq!(accepted.findings[0].allowed.as_deref(), Some("a lab"));
        let stale = report(&[("SK0102", "old")]);
        assert_eq!((stale.summary.errors, stale.summary.warnings), (1, 2));
        let unknown = report(&[("SK9999", "what")]);
        assert_eq!((unknown.summary.errors, unknown.summary.warnings), (2, 1));
    }
}
