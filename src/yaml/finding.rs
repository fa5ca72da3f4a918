//! What is wrong with a document, where, and what to do about it.

use std::fmt;

use super::Location;

/// Whether a finding stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, and probably does not do what its author meant.
    Warning,
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
        Self { severity: Severity::Error, location, path, message: printable(&message.into()), hint: None }
    }

    /// Returns a warning without a hint.
    pub fn warning(location: Location, path: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(location, path, message) }
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into()));
        self
    }

    /// Returns whether it stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The longest message, in characters; what is quoted from a document may be of any length.
const MAXIMUM_LENGTH: usize = 500;

/// Takes the control characters out of a message: what is quoted from a document must not steer a terminal.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len().min(MAXIMUM_LENGTH));
    for (count, character) in text.chars().enumerate() {
        if count == MAXIMUM_LENGTH {
            printable.push('…');
            break;
        }
        match character.is_control() {
            true => printable.extend(character.escape_default()),
            false => printable.push(character),
        }
    }
    printable
}

/// `12:5: nodes[1].address: message`, `warning:` before the path of a warning; the hint is not part of it.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.location)?;
        match self.severity {
            Severity::Error => {}
            Severity::Warning => formatter.write_str("warning: ")?,
        }
        if !self.path.steps().is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// One step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the entry of a mapping.
    Key(String),
    /// To an item of a list, counted from 0.
    Index(usize),
}

/// The way from the outermost value to a part of it; prints as `nodes[1].address`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

impl Path {
    /// Returns the path of the outermost value.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the path of an entry of this mapping.
    pub fn key(&self, name: &str) -> Self {
        self.with(Step::Key(name.to_owned()))
    }

    /// Returns the path of an item of this list.
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// Returns the steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<T: IntoIterator<Item = Step>>(steps: T) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Key(name) if !is_word(name) => write!(formatter, "[{name:?}]")?,
                Step::Key(name) if position == 0 => formatter.write_str(name)?,
                Step::Key(name) => write!(formatter, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// Returns whether a name needs no quotes within a path.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
