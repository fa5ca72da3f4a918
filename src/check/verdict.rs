//! What a row's functions say of their subject.

use super::rows::Severity;

/// What was found for one row; nothing is a pass.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) faults: Vec<Fault>,
    pub(super) not_applicable: Option<String>,
}

/// One place where a row does not hold.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) artifact: String,
    pub(super) place: String,
    pub(super) what: String,
    pub(super) severity: Option<Severity>,
    /// Whether the clock has a say in it.
    pub(super) is_of_today: bool,
}

impl Verdict {
    /// Returns what is found in one artifact.
    pub(super) fn of<'a>(&'a mut self, artifact: &'a str) -> Found<'a> {
        Found { artifact, verdict: self }
    }

    /// Says that the row means nothing for this subject.
    pub(super) fn not_applicable(&mut self, reason: impl Into<String>) {
        self.not_applicable = Some(reason.into());
    }
}

/// What is found for one row in one artifact.
#[derive(Debug)]
pub(super) struct Found<'a> {
    artifact: &'a str,
    verdict: &'a mut Verdict,
}

impl Found<'_> {
    /// Says that the row does not hold; a place is a path within the artifact, and may be empty.
    pub(super) fn fault(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.add(place.into(), what.into(), None);
    }

    /// Says the same where it is less bad than the row in general.
    pub(super) fn warning(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.add(place.into(), what.into(), Some(Severity::Warning));
    }

    /// Says of the last fault that the clock has a say in it; its row has `clock = true`.
    pub(super) fn only_today(&mut self) {
        if let Some(fault) = self.verdict.faults.last_mut() {
            fault.is_of_today = true;
        }
    }

    /// Says that the row means nothing for this subject.
    pub(super) fn not_applicable(&mut self, reason: &str) {
        self.verdict.not_applicable(reason);
    }

    fn add(&mut self, place: String, what: String, severity: Option<Severity>) {
        let artifact = self.artifact.to_owned();
        self.verdict.faults.push(Fault { artifact, place, what, severity, is_of_today: false });
    }
}
