//! Errors as the user sees them: what was being done, why it failed, what to do.

use std::fmt::Write as _;
use std::io::IsTerminal;

use crate::cli::global::Color;
use crate::cli::hints;
use crate::cli::progress::write_error;
use crate::ops::build::BuildError;
use crate::ops::lock::{CheckError, LockError};
use crate::text::chain;

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
            Color::Auto => {
                std::io::stderr().is_terminal() && crate::cli::environment::variable("NO_COLOR").is_none()
            }
        };
        Self { is_coloured }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
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

/// Prints an error with its causes, the things it lists, and hints.
pub(super) fn print(error: &anyhow::Error, style: Style) {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");
    for (level, message) in chain(error.as_ref()).into_iter().enumerate() {
        match level {
            0 => line(format!("{} {message}", style.paint("1;31", "error:"))),
            _ => line(format!("  because: {message}")),
        }
    }
    for item in items(error) {
        line(format!("  - {item}"));
    }
    for hint in hints::of(error) {
        line(format!("  {} {hint}", style.paint("1;36", "hint:")));
    }
    write_error(&text);
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
        let boxed = || cause.downcast_ref::<Box<LockError>>().map(|error| &**error);
        if let Some(LockError::Images { failures, .. }) = cause.downcast_ref().or_else(boxed) {
            items.extend(failures.iter().map(|failure| chain(failure).join(": ")));
        }
    }
    items
}
