//! Looks into template sources for what Tera lets pass.
//!
//! Three mistakes: a printed expression that does not end in a quoting filter, a condition over something
//! undefined (to Tera simply false), and what another template language left behind. This is not a parser: it
//! splits a source where Tera splits it, and looks at words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::TemplateError;

/// The filters that an expression has to end in.
pub(super) const QUOTING: [&str; 5] = ["base64", "json", "shell", "systemd", "word"];

/// The reason given for a value that no filter has quoted.
pub(super) const UNQUOTED: &str =
    "a value would be written unquoted; end its expression in `json`, `shell`, `systemd`, `base64` or `word`";

/// A stretch of a source, with the line it starts on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) kind: Kind,
    pub(super) line: usize,
    pub(super) text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Written as it is.
    Literal,
    /// `{{ … }}`
    Print,
    /// `{% … %}`
    Tag,
    /// `{# … #}`
    Comment,
}

/// Splits `source`; an unclosed piece reaches to the end, which Tera's own parser then refuses.
pub(super) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut position = 0;
    while position < source.len() {
        let line = 1 + source[..position].matches('\n').count();
        let rest = &source[position..];
        let (kind, close) = match rest.get(..2) {
            Some("{{") => (Kind::Print, "}}"),
            Some("{%") => (Kind::Tag, "%}"),
            Some("{#") => (Kind::Comment, "#}"),
            Some(_) | None => (Kind::Literal, ""),
        };
        let length = match kind {
            Kind::Literal => {
                ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min().unwrap_or(rest.len())
            }
            Kind::Comment => rest.find(close).map_or(rest.len(), |end| end + 2),
            Kind::Print | Kind::Tag => end_outside_strings(rest, close),
        };
        let text = &rest[..length];
        let inner = match kind {
            Kind::Literal => text,
            Kind::Print | Kind::Tag | Kind::Comment => text.get(2..text.len().max(4) - 2).unwrap_or(""),
        };
        pieces.push(Piece { kind, line, text: inner.trim_matches('-') });
        position += length;
    }
    pieces
}

/// Returns where the text after `close` starts, not taking a `close` inside a string for the end.
fn end_outside_strings(rest: &str, close: &str) -> usize {
    let mut quote = None;
    for (index, character) in rest.char_indices().skip(2) {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if rest[index..].starts_with(close) => return index + close.len(),
            None if matches!(character, '"' | '\'' | '`') => quote = Some(character),
            None => {}
        }
    }
    rest.len()
}

/// Refuses a source with an unquoted print or with another language's placeholders.
pub(super) fn check_source(template: &str, source: &str) -> Result<(), TemplateError> {
    let refuse = |line, text: &str, reason: String| {
        let variable = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Err(TemplateError { template: template.to_owned(), line: Some(line), variable, reason })
    };
    if source.starts_with('\u{feff}') {
        return refuse(
            1,
            "",
            "it starts with a byte order mark, which no reader of the file expects".to_owned(),
        );
    }
    if let Some(position) = source.find('\r') {
        let line = 1 + source[..position].matches('\n').count();
        return refuse(line, "", "it has a carriage return; write it with Unix line ends".to_owned());
    }
    for piece in pieces(source) {
        match piece.kind {
            Kind::Print if !ends_in_quoting_filter(piece.text) => {
                return refuse(piece.line, piece.text, UNQUOTED.to_owned());
            }
            Kind::Literal if !has_own_placeholders(template) => {
                if let Some((offset, left)) = leftover(piece.text) {
                    let line = piece.line + piece.text[..offset].matches('\n').count();
                    return refuse(
                        line,
                        left,
                        format!("`{left}` looks like another template language's; write `{{{{ … }}}}`"),
                    );
                }
            }
            Kind::Literal | Kind::Print | Kind::Tag | Kind::Comment => {}
        }
    }
    Ok(())
}

/// Holds for files in whose own language `${NAME}` has a meaning.
fn has_own_placeholders(template: &str) -> bool {
    [".sh.tera", ".service.tera"].iter().any(|suffix| template.ends_with(suffix))
}

/// Finds `${NAME}`, which `envsubst` and friends would have replaced.
fn leftover(text: &str) -> Option<(usize, &str)> {
    text.match_indices("${").find_map(|(start, _)| {
        let end = start + text[start..].find('}')? + 1;
        let name = &text[start + 2..end - 1];
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then(|| (start, &text[start..end]))
    })
}

/// Holds if the last filter of an expression is one of ours, with arguments or without.
fn ends_in_quoting_filter(expression: &str) -> bool {
    let blank = blank_strings(expression);
    let Some((_, last)) = blank.rsplit_once('|') else { return false };
    let last = last.trim();
    let name = match last.split_once('(') {
        Some((name, arguments)) if arguments.find(')') == Some(arguments.len() - 1) => name.trim_end(),
        Some(_) => return false,
        None => last,
    };
    QUOTING.contains(&name)
}

/// Replaces what stands in strings by spaces, so that words in them are no words.
pub(super) fn blank_strings(expression: &str) -> String {
    let mut quote = None;
    let blank = |character| match quote {
        Some(open) => {
            if character == open {
                quote = None;
            }
            ' '
        }
        None if matches!(character, '"' | '\'' | '`') => {
            quote = Some(character);
            ' '
        }
        None => character,
    };
    expression.chars().map(blank).collect()
}

/// Refuses conditions over paths that `values` does not hold: to Tera they are simply false.
///
/// Exempt are names that the template itself sets, and paths that it asks `is defined` somewhere.
pub(super) fn check_conditions(template: &str, source: &str, values: &Value) -> Result<(), TemplateError> {
    let tags: Vec<_> = pieces(source).into_iter().filter(|piece| piece.kind == Kind::Tag).collect();
    let mut own = BTreeSet::from(["loop".to_owned()]);
    let mut asked = BTreeSet::new();
    for tag in &tags {
        own.extend(names_set(tag.text));
        asked.extend(paths(tag.text).into_iter().filter(|path| path.is_asked).map(|path| path.text));
    }
    for tag in &tags {
        let text = tag.text.trim_start();
        let is_condition = ["if ", "elif "].iter().any(|keyword| text.starts_with(keyword));
        for path in paths(tag.text).into_iter().filter(|_| is_condition) {
            let root = path.text.split('.').next().unwrap_or_default();
            let is_exempt = own.contains(root)
                || asked
                    .iter()
                    .any(|asked| path.text == *asked || path.text.starts_with(&format!("{asked}.")));
            if !is_exempt && !resolves(values, &path.text) {
                let reason = format!("`{}` is not defined; ask `is defined` where that is meant", path.text);
                let variable = Some(path.text);
                return Err(TemplateError {
                    template: template.to_owned(),
                    line: Some(tag.line),
                    variable,
                    reason,
                });
            }
        }
    }
    Ok(())
}

/// Returns the names that a `for` or `set` tag gives a value.
pub(super) fn names_set(tag: &str) -> Vec<String> {
    let words: Vec<_> = tag.split([' ', ',', '\n', '=']).filter(|word| !word.is_empty()).collect();
    match words.split_first() {
        Some((&"for", names)) => {
            names.iter().take_while(|name| **name != "in").map(|name| (*name).to_owned()).collect()
        }
        Some((&("set" | "set_global"), [name, ..])) => vec![(*name).to_owned()],
        Some(_) | None => Vec::new(),
    }
}

/// A dotted path in an expression.
pub(super) struct Path {
    pub(super) text: String,
    /// Whether `is defined`, `is undefined`, `is not defined` or a default follows.
    is_asked: bool,
}

fn is_part_of_path(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '.'
}

/// Returns the whole dotted path of which `position` is a part: Tera points at one name of it.
pub(super) fn path_at(source: &str, position: usize) -> String {
    let (before, after) = source.split_at_checked(position).unwrap_or((source, ""));
    let start = before.trim_end_matches(is_part_of_path).len();
    let length = after.find(|character| !is_part_of_path(character)).unwrap_or(after.len());
    source[start..before.len() + length].to_owned()
}

/// Returns the dotted paths of a tag that name variables.
pub(super) fn paths(tag: &str) -> Vec<Path> {
    const KEYWORDS: [&str; 12] =
        ["if", "elif", "and", "or", "not", "in", "is", "true", "false", "none", "defined", "undefined"];
    let blank = blank_strings(tag);
    let mut found = Vec::new();
    let mut position = 0;
    while let Some(offset) = blank[position..].find(is_part_of_path) {
        let start = position + offset;
        let end = blank[start..]
            .find(|character| !is_part_of_path(character))
            .map_or(blank.len(), |length| start + length);
        let (before, text, after) =
            (blank[..start].trim_end(), &blank[start..end], blank[end..].trim_start());
        position = end;
        let is_filter_or_test = before.ends_with('|')
            || before.ends_with(" is")
            || before.ends_with(" is not")
            || after.starts_with('(');
        let is_argument = after.starts_with('=') && !after.starts_with("==");
        let is_number = text.starts_with(|first: char| first.is_ascii_digit());
        if is_filter_or_test || is_argument || is_number || KEYWORDS.contains(&text) || before.ends_with(']')
        {
            continue;
        }
        let is_asked =
            ["is defined", "is undefined", "is not defined", "is not undefined", "| default", "|default"]
                .iter()
                .any(|question| after.starts_with(question));
        found.push(Path { text: text.trim_matches('.').to_owned(), is_asked });
    }
    found
}

/// Holds if `values` has something at `path`, be it null.
fn resolves(values: &Value, path: &str) -> bool {
    path.split('.').try_fold(values, |value, key| value.get(key)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_split_where_tera_splits_it() {
        let source = "a\n{{ \"}}\" | json }}{# }} #}\n{%- if x -%}b";
        let split: Vec<_> =
            pieces(source).into_iter().map(|piece| (piece.kind, piece.line, piece.text)).collect();
        let expected = [
            (Kind::Literal, 1, "a\n"),
            (Kind::Print, 2, " \"}}\" | json "),
            (Kind::Comment, 2, " }} "),
            (Kind::Literal, 2, "\n"),
            (Kind::Tag, 3, " if x "),
            (Kind::Literal, 3, "b"),
        ];
        assert_eq!(split, expected);
    }

    #[test]
    fn only_a_quoting_filter_may_come_last() {
        for (expression, expected) in [
            (" a | json ", true),
            ("a|upper|shell", true),
            ("a | systemd(exec=true)", true),
            ("a | default(value=\"|\") | json", true),
            ("a", false),
            ("a | safe", false),
            ("a | json | upper", false),
            ("a | json ~ b", false),
            ("a ~ \"| json", false),
            ("a | json if b else c", false),
            ("a | systemd(exec=true) ~ (b)", false),
        ] {
            assert_eq!(ends_in_quoting_filter(expression), expected, "{expression}");
        }
    }

    #[test]
    fn hostile_sources_do_not_panic() {
        for source in
            ["{{", "{%", "{#", "{{}", "{{-}}", "{{-", "{%%}", "{{ \"", "{", "한{{ 글", "{{}}", "{%-%}"]
        {
            check_source("a", source).ok();
            check_conditions("a", source, &Value::Null).ok();
        }
    }
}
