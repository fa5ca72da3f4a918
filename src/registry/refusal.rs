//! Answers that are not what was asked for, as errors.

use std::io::Read;

use reqwest::StatusCode;
use serde_json::Value;

use super::echo::Echo;
use super::fault::{Fault, quoted};
use super::transport::Answer;
use crate::oci::{SourceError, SourceErrorKind};

/// What is read of the body of an error.
const LONGEST_EXPLANATION: u64 = 16 * 1024;
/// What is shown of it.
const MOST_CHARACTERS: usize = 300;

/// What Go's servers, nginx and Apache say when TLS is missing.
const TLS_WANTED: [&str; 3] = [
    "HTTP request to an HTTPS server",
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
];

/// Makes an error of an answer whose status is not the wanted one; `note` is added in parentheses.
pub(super) fn refused(answer: Answer, note: Option<&str>) -> SourceError {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut message = format!("{} answers {} {reason}", answer.origin, status.as_u16()).trim_end().to_owned();
    message += answer.attempts();
    let echo = answer.echo.clone();
    let retry_after = answer.header("retry-after").map(|after| quoted(&echo.clean(after), 40));
    let (is_from_elsewhere, mut explanation) = (answer.is_from_elsewhere, String::new());
    // What cannot be read explains nothing; the status stands.
    let _partly = answer.into_content().take(LONGEST_EXPLANATION).read_to_string(&mut explanation);
    let title = || Some(format!("a web page, titled {}", title(&explanation, &echo)?));
    if let Some(said) = explain(&explanation, &echo).or_else(title) {
        message = format!("{message}: {said}");
    }
    if let Some(after) = retry_after {
        message = format!("{message}; it says Retry-After: {after}");
    }
    if let Some(note) = note {
        message = format!("{message} ({note})");
    }
    let error = SourceError::new(kind(status, is_from_elsewhere), message);
    if status == StatusCode::BAD_REQUEST && TLS_WANTED.iter().any(|words| explanation.contains(words)) {
        return SourceError { kind: SourceErrorKind::Connection, ..error }.caused_by(Fault::NotPlain);
    }
    error
}

/// Describes a web page that came instead of something else, as filters and login pages do.
pub(super) fn web_page(answer: Answer) -> String {
    let (mut begin, echo) = (Vec::new(), answer.echo.clone());
    let _partly = answer.into_content().take(LONGEST_EXPLANATION).read_to_end(&mut begin);
    match title(&String::from_utf8_lossy(&begin), &echo) {
        Some(title) => format!("a web page, titled {title},"),
        None => "a web page".to_owned(),
    }
}

/// Returns the title of a web page, quoted.
fn title(page: &str, echo: &Echo) -> Option<String> {
    // Before anything is taken out or cut off: a half of a secret is not known for one.
    let page = echo.clean(page);
    let lower = page.to_ascii_lowercase();
    let begin = lower.find("<title")?;
    let begin = begin + lower[begin..].find('>')? + 1;
    let end = begin + lower[begin..].find("</title")?;
    let title = page[begin..end].split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then(|| format!("`{}`", quoted(&title, 100)))
}

fn kind(status: StatusCode, is_from_elsewhere: bool) -> SourceErrorKind {
    match status.as_u16() {
        401 | 403 if is_from_elsewhere => SourceErrorKind::RefusedElsewhere,
        401 | 403 => SourceErrorKind::Denied,
        404 => SourceErrorKind::NotFound,
        429 => SourceErrorKind::RateLimited,
        // The server, or a proxy before it, cannot at the moment.
        407 | 408 | 500..=599 => SourceErrorKind::Connection,
        _ => SourceErrorKind::Invalid,
    }
}

/// Returns what a server says of its refusal: from JSON its code and message, else nothing.
fn explain(body: &str, echo: &Echo) -> Option<String> {
    let document: Value = serde_json::from_str(body).ok()?;
    let listed = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    let said: Vec<String> = listed.chain([&document]).filter_map(said).collect();
    (!said.is_empty()).then(|| quoted(&echo.clean(&said.join("; ")), MOST_CHARACTERS))
}

/// The forms in use: the registry's `code` and `message`, token servers' `details`, OAuth2's `error` and
/// `error_description`.
fn said(error: &Value) -> Option<String> {
    let first = |names: &[&str]| names.iter().find_map(|name| error.get(name)?.as_str());
    let parts = [first(&["code", "error"]), first(&["message", "error_description", "details"])];
    let said = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_a_filters_page_is_found_and_cannot_move_the_cursor() {
        for (page, expected) in [
            ("<html><head><TITLE lang=en>\n Web filter:\n blocked </TITLE>", Some("`Web filter: blocked`")),
            ("<title>a\u{1b}[0m</title>", Some("`a\\u{1b}[0m`")),
            ("<title> </title>", None),
            ("<title>never ends", None),
            ("{}", None),
        ] {
            assert_eq!(title(page, &Echo::default()).as_deref(), expected, "{page}");
        }
    }

    #[test]
    fn what_servers_say_is_found_in_the_forms_in_use() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#,
                Some("MANIFEST_UNKNOWN: manifest unknown"),
            ),
            (r#"{"errors":[{"code":"A","message":null},{"message":"b\u001b[0m"}]}"#, Some("A; b\\u{1b}[0m")),
            (r#"{"details":"incorrect username or password"}"#, Some("incorrect username or password")),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, Some("invalid_grant: expired")),
            (r#"{"message":5}"#, None),
            (r#"["no"]"#, None),
            ("<html>", None),
        ] {
            assert_eq!(explain(body, &Echo::default()).as_deref(), expected, "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(9000));
        assert_eq!(explain(&long, &Echo::default()).unwrap().chars().count(), MOST_CHARACTERS + 1);
    }
}
