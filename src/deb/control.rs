//! Stanzas of fields, as control files, package indices, releases and dpkg's status file have them.
//!
//! ```text
//! text         = *blank-line stanza *( 1*blank-line stanza ) *blank-line
//! stanza       = 1*field
//! field        = name ":" value newline *continuation
//! continuation = ( space | tab ) value newline
//! ```
//!
//! See Debian policy, section 5.1. A field that is there twice is refused: readers disagree on which one
//! counts. So is a line of blanks alone: for some it ends the stanza, for others it does not.

use super::name::excerpt;
use crate::text::quoted;

/// The longest stanza: the longest one of Debian's has 60 KiB.
const LONGEST: usize = 1 << 20;
/// The most fields of one stanza; those of Debian have up to 35.
const MOST_FIELDS: usize = 200;

/// One stanza, borrowed from the text it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza<'text> {
    raw: &'text str,
    fields: Vec<Field<'text>>,
}

/// One field of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'text> {
    /// The name, as it is written; case does not count.
    pub name: &'text str,
    /// The value with its continuation lines, without blanks at both ends.
    pub value: &'text str,
    /// The field's lines as they stand in the text, the last one with its line end.
    pub raw: &'text str,
}

/// Says why a text is not made of stanzas.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {fault}")]
pub struct InvalidStanza {
    line: usize,
    fault: Fault,
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
enum Fault {
    #[error("the field `{0}` is there twice")]
    Duplicate(String),
    #[error("expected `Name: value`, found {}", quoted(.0))]
    NoField(String),
    #[error("the line has nothing but blanks")]
    Blanks,
    #[error("a line is continued before the first field")]
    Continuation,
    #[error("the stanza that begins here is longer than 1 MiB")]
    TooLong,
    #[error("the stanza that begins here has more than 200 fields")]
    TooManyFields,
    #[error("expected one stanza, found several")]
    Several,
    #[error("expected a stanza, found nothing")]
    Nothing,
}

impl<'text> Stanza<'text> {
    /// Reads a text that is one stanza.
    pub fn parse(text: &'text str) -> Result<Self, InvalidStanza> {
        let mut stanzas = Stanzas::of(text);
        let first = stanzas.next().unwrap_or(Err(InvalidStanza { line: 1, fault: Fault::Nothing }))?;
        match stanzas.next() {
            None => Ok(first),
            Some(_) => Err(InvalidStanza { line: stanzas.first_line, fault: Fault::Several }),
        }
    }

    /// Returns the value of a field, if it is there; case does not count.
    pub fn get(&self, name: &str) -> Option<&'text str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Returns all fields, as they are ordered.
    pub fn fields(&self) -> &[Field<'text>] {
        &self.fields
    }

    /// Returns the stanza as it stands in the text, without the blank line that ends it.
    pub fn raw(&self) -> &'text str {
        self.raw
    }
}

/// Reads one stanza of a text after the other; ends with the first error.
#[derive(Debug, Clone)]
pub struct Stanzas<'text> {
    rest: &'text str,
    /// The number of the first line of `rest`.
    line: usize,
    /// The number of the first line of the last stanza.
    first_line: usize,
}

impl<'text> Stanzas<'text> {
    /// Returns the stanzas of `text`.
    pub fn of(text: &'text str) -> Self {
        Self { rest: text, line: 1, first_line: 1 }
    }

    fn skip_blank_lines(&mut self) {
        let blank = self.rest.len() - self.rest.trim_start_matches('\n').len();
        self.rest = &self.rest[blank..];
        self.line += blank;
        self.first_line = self.line;
    }

    /// Cuts the next line off, with its line end.
    fn take_line(&mut self) -> &'text str {
        let end = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.line += 1;
        line
    }

    fn is_continued(&self) -> bool {
        self.rest.starts_with([' ', '\t'])
    }

    /// Cuts the next field off, with its continuation lines.
    fn take_field(&mut self) -> Result<Field<'text>, InvalidStanza> {
        let (start, line) = (self.rest, self.line);
        let first = self.take_line();
        let fault = |fault| InvalidStanza { line, fault };
        if first.starts_with([' ', '\t']) {
            return Err(fault(Fault::Continuation));
        }
        let no_field = || fault(Fault::NoField(excerpt(first.trim_end())));
        let (name, _) = first.split_once(':').ok_or_else(no_field)?;
        // Policy, section 5.1: printable ASCII but blank and colon, not beginning with `#` or `-`.
        if name.is_empty()
            || name.starts_with(['#', '-'])
            || !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(no_field());
        }
        while self.is_continued() {
            let line = self.line;
            if self.take_line().trim_ascii().is_empty() {
                return Err(InvalidStanza { line, fault: Fault::Blanks });
            }
        }
        let raw = &start[..start.len() - self.rest.len()];
        Ok(Field { name, value: raw[name.len() + 1..].trim_ascii(), raw })
    }

    fn take_stanza(&mut self) -> Result<Stanza<'text>, InvalidStanza> {
        let start = self.rest;
        let first_line = self.first_line;
        let fault = |fault| InvalidStanza { line: first_line, fault };
        let mut fields: Vec<Field<'text>> = Vec::with_capacity(32);
        while !self.rest.is_empty() && !self.rest.starts_with('\n') {
            let line = self.line;
            let field = self.take_field()?;
            if fields.iter().any(|other| other.name.eq_ignore_ascii_case(field.name)) {
                return Err(InvalidStanza { line, fault: Fault::Duplicate(excerpt(field.name)) });
            }
            fields.push(field);
            if start.len() - self.rest.len() > LONGEST {
                return Err(fault(Fault::TooLong));
            }
            if fields.len() > MOST_FIELDS {
                return Err(fault(Fault::TooManyFields));
            }
        }
        Ok(Stanza { raw: &start[..start.len() - self.rest.len()], fields })
    }
}

impl<'text> Iterator for Stanzas<'text> {
    type Item = Result<Stanza<'text>, InvalidStanza>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_blank_lines();
        if self.rest.is_empty() {
            return None;
        }
        let stanza = self.take_stanza();
        if stanza.is_err() {
            self.rest = "";
        }
        Some(stanza)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_borrowed_with_their_continuation_lines() {
        let text = "\n\nPackage: a\nDescription: one\n two\n .\n\tthree\nEmpty:\n\n\nPACKAGE:b";
        let stanzas: Vec<Stanza<'_>> = Stanzas::of(text).map(Result::unwrap).collect();
        assert_eq!(stanzas.len(), 2);
        assert_eq!(stanzas[0].raw(), "Package: a\nDescription: one\n two\n .\n\tthree\nEmpty:\n");
        assert_eq!(stanzas[0].get("description"), Some("one\n two\n .\n\tthree"));
        assert_eq!(stanzas[0].fields()[1].raw, "Description: one\n two\n .\n\tthree\n");
        assert_eq!((stanzas[0].get("Empty"), stanzas[0].get("Other")), (Some(""), None));
        assert_eq!((stanzas[1].get("Package"), stanzas[1].raw()), (Some("b"), "PACKAGE:b"));
        assert_eq!(Stanzas::of("\n\n").count(), 0);
    }

    #[test]
    fn what_readers_disagree_on_is_refused_with_its_line() {
        let many: String = (0..201).map(|number| format!("F{number}: x\n")).collect();
        let long = format!("A: {}\n", "x".repeat(1 << 20));
        for (text, message) in [
            ("A: 1\nB: 2\na: 3\n", "line 3: the field `a` is there twice"),
            ("A: 1\n \nB: 2\n", "line 2: the line has nothing but blanks"),
            ("A: 1\n\t\r\n", "line 2: the line has nothing but blanks"),
            ("\n\n x\n", "line 3: a line is continued before the first field"),
            ("A: 1\nno field\n", "line 2: expected `Name: value`, found a text of 8 characters"),
            ("A: 1\n#B: 2\n", "line 2: expected `Name: value`, found a text of 5 characters"),
            ("A B: 1\n", "line 1: expected `Name: value`, found a text of 6 characters"),
            (": 1\n", "line 1: expected `Name: value`, found a text of 3 characters"),
            (&many, "line 1: the stanza that begins here has more than 200 fields"),
            (&long, "line 1: the stanza that begins here is longer than 1 MiB"),
        ] {
            let mut stanzas = Stanzas::of(text);
            assert_eq!(stanzas.next().unwrap().unwrap_err().to_string(), message);
            assert_eq!(stanzas.next(), None);
        }
    }

    #[test]
    fn one_stanza_is_neither_none_nor_two() {
        assert_eq!(Stanza::parse("\nA: 1\n\n").unwrap().raw(), "A: 1\n");
        assert_eq!(Stanza::parse("\n").unwrap_err().to_string(), "line 1: expected a stanza, found nothing");
        let two = Stanza::parse("A: 1\n\nB: 2\n").unwrap_err();
        assert_eq!(two.to_string(), "line 3: expected one stanza, found several");
    }
}
