//! Errors as the user sees them: what was being done, why it failed, what to do.

use std::fmt::Write as _;

use crate::cli::global::Color;
use crate::cli::ui;
use crate::cli::{environment, hints};
use crate::ops::build::BuildError;
use crate::ops::iso::IsoError;
use crate::ops::lock::{CheckError, LockError};
use crate::registry::Echo;
use crate::text::chain;

/// The words that have a colour, with its code.
const LABELS: [(&str, &str); 2] = [("error:", "1;31"), ("  hint:", "1;36")];

/// How errors look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    is_coloured: bool,
}

impl Style {
    pub(super) fn new(color: Color) -> Self {
        let is_coloured = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => ui::is_error_seen() && environment::variable("NO_COLOR").is_none(),
        };
        Self { is_coloured }
    }

    /// Gives the words that lines begin with their colours.
    fn paint(self, text: String) -> String {
        if !self.is_coloured {
            return text;
        }
        let paint = |line: &str| match LABELS.iter().find(|(label, _)| line.starts_with(label)) {
            Some((label, code)) => format!("\u{1b}[{code}m{label}\u{1b}[0m{}\n", &line[label.len()..]),
            None => format!("{line}\n"),
        };
        text.lines().map(paint).collect()
    }
}

/// Returns 1 where the answer is no, 2 where there is no answer.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<CheckError>() {
        Some(CheckError::Stale(_)) => 1,
        Some(CheckError::Wanted(_)) => 2,
        None if matches!(error.downcast_ref(), Some(BuildError::Unfit(..))) => 1,
        None => 2,
    }
}

/// Prints an error with its causes, the things it lists, and hints; what servers repeat of a login is hidden.
pub(super) fn print(error: &anyhow::Error, style: Style, echo: &Echo) {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");
    for (level, message) in chain(error.as_ref()).into_iter().enumerate() {
        match level {
            0 => line(format!("error: {message}")),
            _ => line(format!("  because: {message}")),
        }
    }
    for item in items(error) {
        line(format!("  - {item}"));
    }
    for hint in hints::of(error) {
        line(format!("  hint: {hint}"));
    }
    ui::write_error_painted(&echo.clean(&text), |text| style.paint(text));
}

/// Returns the single things that an error is about, where it is about several.
fn items(error: &anyhow::Error) -> Vec<String> {
    let mut items = Vec::new();
    for cause in error.chain() {
        if let Some(CheckError::Stale(drift)) = cause.downcast_ref() {
            items.extend(drift.iter().map(ToString::to_string));
        }
        if let Some(BuildError::Unfit(findings)) = cause.downcast_ref() {
            items.extend(findings.iter().map(ToString::to_string));
        }
        if let Some(BuildError::Unsound(findings)) = cause.downcast_ref() {
            items.extend(findings.iter().map(ToString::to_string));
        }
        if let Some(IsoError::Missing(missing)) = cause.downcast_ref() {
            items.extend(missing.iter().map(ToString::to_string));
        }
        let boxed = || cause.downcast_ref::<Box<LockError>>().map(|error| &**error);
        if let Some(LockError::Images { failures, .. }) = cause.downcast_ref().or_else(boxed) {
            items.extend(failures.iter().map(|failure| chain(failure).join(": ")));
        }
    }
    items
}
