//! Texts of others on a terminal: what steers it is shown, not obeyed.

/// Returns whether a character could repaint a terminal, break a line, or turn the direction of a text: all of C0 and C1,
/// the separators of lines, and what Unicode has for both directions.
pub fn is_odd(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Returns a text whose odd characters are shown as escapes, such as `\u{1b}`; it has no line end.
pub fn plain(text: &str) -> String {
    escaped(text, "", |character| character.escape_default().to_string())
}

/// Does the same with a text of several lines, in which tabs stay, too.
pub fn plain_lines(text: &str) -> String {
    escaped(text, "\n\t", |character| character.escape_default().to_string())
}

/// Returns a document of JSON with the same values, which can be shown as well: its own escapes leave much out.
pub fn plain_json(document: &str) -> String {
    escaped(document, "\n", |character| format!("\\u{:04x}", u32::from(character)))
}

/// Does what [`plain`] does with the first `limit` characters; an ellipsis stands for the others.
pub fn excerpt(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => plain(&text[..end]) + "…",
        None => plain(text),
    }
}

fn escaped(text: &str, kept: &str, escape: impl Fn(char) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_odd(character) && !kept.contains(character) {
            escaped.push_str(&escape(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_as_an_escape() {
        let text = "größe\t\u{1b}[2J\u{9b}2J\u{7f}\u{202e}x\u{2028}\n";
        assert_eq!(plain(text), "größe\\t\\u{1b}[2J\\u{9b}2J\\u{7f}\\u{202e}x\\u{2028}\\n");
        assert_eq!(plain_lines(text), "größe\t\\u{1b}[2J\\u{9b}2J\\u{7f}\\u{202e}x\\u{2028}\n");
        assert_eq!(excerpt("a\nbc", 2), "a\\n…");
    }

    #[test]
    fn a_document_keeps_its_values() {
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{202e}\n\t", "b": [1] });
        let document = plain_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(document.contains(r"\u009b\u202e\n\t"), "{document}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), value);
    }
}
