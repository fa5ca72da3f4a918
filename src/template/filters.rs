//! The filters through which values reach a file; `safe`, which would wave values through, is refused.

use base64::Engine as _;
use serde::Serialize as _;
use tera::{Error, ErrorKind, Kwargs, State, Tera, Value};

use super::growth::bounded;
use crate::text::is_odd;

/// Adds the quoting filters to `tera`.
pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("base64", |value: &Value, _: Kwargs, _: &State| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(scalar(value)?);
        Ok::<_, Error>(Value::safe_string(&bounded(encoded)?))
    });
    tera.register_filter("json", |value: &Value, _: Kwargs, _: &State| {
        Ok::<_, Error>(Value::safe_string(&bounded(json(defined(value)?)?)?))
    });
    tera.register_filter("shell", |value: &Value, _: Kwargs, _: &State| {
        shell(&scalar(value)?).and_then(bounded).map(|word| Value::safe_string(&word))
    });
    tera.register_filter("systemd", |value: &Value, arguments: Kwargs, _: &State| {
        let is_command = arguments.get::<bool>("exec")?.unwrap_or(false);
        systemd(&scalar(value)?, is_command).and_then(bounded).map(|word| Value::safe_string(&word))
    });
    tera.register_filter("word", |value: &Value, _: Kwargs, _: &State| {
        word(&scalar(value)?).map(|word| Value::safe_string(&word))
    });
    tera.register_filter("safe", |_: &Value, _: Kwargs, _: &State| {
        Err::<Value, _>(Error::message("the filter `safe` would let a value through unquoted"))
    });
}

/// Refuses what is undefined, in the way that lets Tera point at the expression.
fn defined(value: &Value) -> Result<&Value, Error> {
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::InvalidArgument {
            expected_type: "a value".to_owned(),
            actual_type: "undefined".to_owned(),
        }));
    }
    Ok(value)
}

/// Returns the text of a string, number or boolean.
fn scalar(value: &Value) -> Result<String, Error> {
    let value = defined(value)?;
    if !(value.is_string() || value.is_number() || value.is_bool()) {
        return Err(Error::message(format!(
            "this filter takes a string, number or boolean, not `{}`",
            value.name()
        )));
    }
    Ok(value.to_string())
}

/// Writes JSON on one line that every YAML parser reads as the same value.
fn json(value: &Value) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, YamlSafe);
    value.serialize(&mut serializer).map_err(Error::message)?;
    let text = String::from_utf8(bytes)?;
    // Outside strings JSON is ASCII, so that each of these characters stands in a string.
    Ok(text.chars().fold(String::with_capacity(text.len()), |mut safe, character| {
        if is_unsafe_in_yaml(character) {
            safe.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            safe.push(character);
        }
        safe
    }))
}

/// Holds for what JSON strings may hold as it is, but YAML 1.1 takes for a line break, strips or refuses.
fn is_unsafe_in_yaml(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// JSON with a space after `:` and `,`, as YAML 1.0 parsers want it, and floats that YAML 1.1 reads as floats.
struct YamlSafe;

impl serde_json::ser::Formatter for YamlSafe {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }

    /// YAML 1.1 wants a dot and a signed exponent: `1e300` would be a string.
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> std::io::Result<()> {
        let text = format!("{value:?}");
        let Some((digits, exponent)) = text.split_once('e') else { return writer.write_all(text.as_bytes()) };
        let dot = if digits.contains('.') { "" } else { ".0" };
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        write!(writer, "{digits}{dot}e{sign}{exponent}")
    }
}

/// Writes one word of POSIX shell, in single quotes.
fn shell(text: &str) -> Result<String, Error> {
    if text.contains(['\0', '\r']) {
        return Err(Error::message("a shell word cannot hold NUL, and a script of ours no carriage return"));
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Writes one word as systemd.syntax(7) quotes it; in a command line `$` would start a variable.
fn systemd(text: &str, is_command: bool) -> Result<String, Error> {
    let mut word = String::from("\"");
    for character in text.chars() {
        match character {
            '\0' => return Err(Error::message("a word of a systemd unit cannot hold NUL")),
            '"' | '\\' => word.extend(['\\', character]),
            '%' => word.push_str("%%"),
            '$' if is_command => word.push_str("$$"),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            control if control.is_ascii_control() => word.push_str(&format!("\\x{:02x}", u32::from(control))),
            // What is printed is shown, not obeyed: to systemd this means the same.
            odd if is_odd(odd) => word.push_str(&format!("\\u{:04x}", u32::from(odd))),
            other => word.push(other),
        }
    }
    word.push('"');
    Ok(word)
}

/// Returns `text` if it means itself in any file, whatever that file's quotes are.
fn word(text: &str) -> Result<String, Error> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._:/@+-".contains(character);
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(Error::message(
            "this place has no quotes: only ASCII letters, digits and `._:/@+-` may stand here",
        ));
    }
    Ok(text.to_owned())
}
