//! One line of a list: what its author wrote, before it is read as an image.
//!
//! ```text
//! line      = heading | entry | ""                  a "#" at the start or after a space begins a comment
//! heading   = "##" name                             no space within: it names the group of what follows
//! entry     = ["- "] column [separator column]
//! separator = spaces and tabs | "=" | "->"
//! column    = text | '"' text '"' | "'" text "'"
//! ```

/// A piece of a line and the number of characters before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing, or a comment.
    Blank,
    /// The name of the group that begins here.
    Heading(&'a str),
    /// Something that should be an image.
    Entry(Entry<'a>),
}

/// The columns of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The columns, at least one.
    pub(super) columns: Vec<Piece<'a>>,
    /// Whether `=` or `->` stands between them: what follows is a destination, not a remark.
    pub(super) is_explicit: bool,
}

/// Takes a line apart.
pub(super) fn read(line: &str) -> Line<'_> {
    if let Some(name) = line.trim().strip_prefix("##")
        && is_group_name(name)
    {
        return Line::Heading(name);
    }
    let entry = without_comment(line);
    let start = entry.len() - entry.trim_start().len();
    let start = if entry[start..].starts_with("- ") { start + 2 } else { start };
    let mut entry_columns = Entry { columns: Vec::new(), is_explicit: false };
    let mut rest = start;
    while let Some((begin, end)) = next_column(entry, &mut rest, &mut entry_columns.is_explicit) {
        entry_columns.columns.push(unquoted(entry, begin, end));
    }
    if entry_columns.columns.is_empty() && !entry_columns.is_explicit {
        Line::Blank
    } else {
        Line::Entry(entry_columns)
    }
}

/// Returns whether a text after `##` is a name, and not the beginning of a sentence.
fn is_group_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn without_comment(line: &str) -> &str {
    let begins_comment =
        |position: usize| line[..position].chars().next_back().is_none_or(char::is_whitespace);
    let comment =
        line.match_indices('#').map(|(position, _)| position).find(|position| begins_comment(*position));
    &line[..comment.unwrap_or(line.len())]
}

/// Returns the bounds of the next column after `*rest` and moves it there; notices separators on the way.
fn next_column(line: &str, rest: &mut usize, is_explicit: &mut bool) -> Option<(usize, usize)> {
    loop {
        let remaining = &line[*rest..];
        let next = remaining.chars().next()?;
        let skipped = match next {
            '=' => 1,
            '-' if remaining.starts_with("->") => 2,
            next if next.is_whitespace() => {
                *rest += next.len_utf8();
                continue;
            }
            _ => break,
        };
        *is_explicit = true;
        *rest += skipped;
    }
    let begin = *rest;
    let column = &line[begin..];
    let is_end = |(position, character): (usize, char)| {
        let ends = character.is_whitespace() || character == '=' || column[position..].starts_with("->");
        ends.then_some(position)
    };
    let end = begin + column.char_indices().find_map(is_end).unwrap_or(column.len());
    *rest = end;
    Some((begin, end))
}

fn unquoted(line: &str, begin: usize, end: usize) -> Piece<'_> {
    let column = &line[begin..end];
    let inner = ['"', '\''].iter().find_map(|quote| column.strip_prefix(*quote)?.strip_suffix(*quote));
    let begin = if inner.is_some() { begin + 1 } else { begin };
    Piece { text: inner.unwrap_or(column), offset: line[..begin].chars().count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(line: &str) -> Vec<(&str, usize)> {
        match read(line) {
            Line::Entry(entry) => entry.columns.iter().map(|piece| (piece.text, piece.offset)).collect(),
            Line::Blank | Line::Heading(_) => Vec::new(),
        }
    }

    #[test]
    fn columns_come_out_of_all_their_wrappings() {
        for line in [
            "a:1 b:2",
            "a:1\tb:2",
            "a:1=b:2",
            "a:1 = b:2",
            "a:1->b:2",
            "a:1 -> b:2",
            "- a:1 b:2",
            "  a:1  b:2 # x",
        ] {
            let texts: Vec<_> = columns(line).iter().map(|(text, _)| *text).collect();
            assert_eq!(texts, ["a:1", "b:2"], "{line}");
        }
        assert_eq!(columns("  - \"a:1\"\t'b:2'"), [("a:1", 5), ("b:2", 11)]);
        assert_eq!(columns("a#b"), [("a#b", 0)]);
        assert_eq!(columns("\"a:1"), [("\"a:1", 0)]);
    }

    #[test]
    fn headings_have_no_spaces_and_comments_may() {
        assert_eq!(read("##k8s-images"), Line::Heading("k8s-images"));
        for line in ["", "  \t", "# a:1", "## a heading of a comment", "##", "### a", "#a", "-  # x"] {
            assert!(!matches!(read(line), Line::Heading(_)), "{line}");
        }
        for line in ["", " ", "# a:1", "## two words", "##"] {
            assert_eq!(read(line), Line::Blank, "{line}");
        }
    }
}
