//! Texts that people write: reading them, and saying what is wrong where.
//!
//! A [`Finding`] is one thing at one place; [`Listing`] prints many of them, each with what to do about it.
//! Nothing here knows a format.

mod chain;
mod finding;
mod path;
mod plain;
mod quoted;

pub use chain::chain;
pub use finding::{Finding, Listing, Severity};
pub use path::{Path, Step};
pub use plain::{excerpt, is_odd, plain, plain_json, plain_lines};
pub use quoted::{is_name, quoted};

/// A place in a text; both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{line}:{column}")]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Location {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Returns the place of the character after `text`, where a text begins with it.
    fn end_of(text: &str) -> Self {
        let last = text.rsplit('\n').next().unwrap_or(text);
        Self { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
    }
}

/// Says how many things there are, in English: `1 difference`, `2 differences`.
pub fn counted(count: usize, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{ending}")
}

/// Returns the text that a file holds: UTF-8 of at most `limit` bytes, without its byte order mark.
///
/// # Errors
/// The finding after which there is nothing to read: too long, another encoding, a control character.
pub fn decode(bytes: &[u8], limit: usize) -> Result<&str, Finding> {
    let fatal = |location, message: &str| Finding::error(location, Path::root(), message);
    if bytes.len() > limit {
        return Err(fatal(Location::START, &format!("the file has more than {limit} bytes")));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fatal(Location::START, "the file is UTF-16").with_hint("save it as UTF-8"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        fatal(Location::end_of(&before), "the file is not UTF-8 from here on").with_hint("save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Parsers take NUL for the end of the text, and what steers terminals hides what the text says.
    let is_odd =
        |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}');
    match text.find(is_odd) {
        None => Ok(text),
        Some(position) => {
            Err(fatal(Location::end_of(&text[..position]), "there is a control character here"))
        }
    }
}
