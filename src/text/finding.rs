//! What is wrong with a document, where, and what to do about it.

use std::fmt;
use std::path::Path as FilePath;

use super::{Location, Path, excerpt};

/// Whether a finding stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, and probably does not do what its author meant.
    Warning,
    /// The document can be used and means what it says; something was done about it silently.
    Note,
}

/// One thing that is wrong at one place of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops the work.
    pub severity: Severity,
    /// Where it is in the text.
    pub location: Location,
    /// Which value it is about.
    pub path: Path,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Finding {
    /// Returns an error without a hint.
    pub fn error(location: Location, path: Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            location,
            path,
            message: excerpt(&message.into(), MAXIMUM_LENGTH),
            hint: None,
        }
    }

    /// Returns a warning without a hint.
    pub fn warning(location: Location, path: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(location, path, message) }
    }

    /// Returns a note.
    pub fn note(location: Location, path: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(location, path, message) }
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(excerpt(&hint.into(), MAXIMUM_LENGTH));
        self
    }

    /// Returns whether it stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The longest message, in characters; what is quoted from a document may be of any length.
const MAXIMUM_LENGTH: usize = 500;

/// `12:5: nodes[1].address: message`, `warning:` or `note:` before the path of one; the hint is not part of it.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.location)?;
        match self.severity {
            Severity::Error => {}
            Severity::Warning => formatter.write_str("warning: ")?,
            Severity::Note => formatter.write_str("note: ")?,
        }
        if !self.path.steps().is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// Prints findings as `file:line:column: path: message`, each with its hint indented below it.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    file: &'a FilePath,
    findings: &'a [Finding],
}

impl<'a> Listing<'a> {
    /// Returns the listing of `findings` about `file`.
    pub fn of(file: &'a FilePath, findings: &'a [Finding]) -> Self {
        Self { file, findings }
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(formatter, "{line_end}{}:{finding}", self.file.display())?;
            finding.hint.iter().try_for_each(|hint| write!(formatter, "\n  hint: {hint}"))?;
        }
        Ok(())
    }
}
