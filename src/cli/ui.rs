//! All that is printed: results on standard output, everything else on standard error.
//!
//! What is printed holds names out of files, archives, servers and specs. Nothing of them steers a terminal: it passes one
//! filter here, and nothing else writes to either (clippy).

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::Answer;
use crate::text::{plain_json, plain_lines};

/// The version of the shape of all JSON results; a field that goes or changes meaning raises it.
const JSON_VERSION: u32 = 1;

#[derive(Serialize, JsonSchema)]
struct Document<'a, T> {
    /// The version of this shape.
    version: u32,
    /// The command whose result this is.
    command: &'a str,
    #[serde(flatten)]
    result: T,
}

/// Prints a result for people.
pub(super) fn print(text: &str) -> anyhow::Result<Answer> {
    write(&plain_lines(text))
}

/// Prints a result for programs.
pub(super) fn print_document(document: &impl Serialize) -> anyhow::Result<Answer> {
    write(&plain_json(&format!("{}\n", serde_json::to_string_pretty(document)?)))
}

#[expect(clippy::disallowed_methods, reason = "this is the one module that writes for all others")]
fn write(text: &str) -> anyhow::Result<Answer> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // `seedkit … | head` is not a failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Answer::Yes),
        result => result.map(|()| Answer::Yes).context("cannot print the result"),
    }
}

/// Prints a result as JSON, with the version of its shape and the command it comes from.
pub(super) fn print_json(command: &str, result: impl Serialize) -> anyhow::Result<Answer> {
    print_document(&Document { version: JSON_VERSION, command, result })
}

/// Writes to standard error.
pub(super) fn write_error(text: &str) {
    write_error_painted(text, |text| text);
}

/// Writes to standard error what `paint` makes of a text that steers nothing; a closed one is no reason to stop the work.
#[expect(clippy::disallowed_methods, reason = "this is the one module that writes for all others")]
pub(super) fn write_error_painted(text: &str, paint: impl FnOnce(String) -> String) {
    let _closed_is_fine = std::io::stderr().lock().write_all(paint(plain_lines(text)).as_bytes());
}

/// Returns whether people see what is written to standard error at once.
#[expect(clippy::disallowed_methods, reason = "this is the one module that writes for all others")]
pub(super) fn is_error_seen() -> bool {
    std::io::stderr().is_terminal()
}

/// Returns the JSON schema (draft 2020-12) of the JSON result of a command, indented, with a line end.
///
/// It allows fields that it does not name: a new one does not raise the version.
pub(super) fn schema<T: JsonSchema>(command: &str) -> String {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Document<'_, T>>().to_value();
    for (key, value) in [("version", json!(JSON_VERSION)), ("command", json!(command))] {
        let description = schema["properties"][key]["description"].take();
        schema["properties"][key] = json!({ "description": description, "const": value });
    }
    let title = format!("The result of `seedkit {command} --json`, version {JSON_VERSION}");
    let mut document = json!({ "$schema": schema["$schema"].take(), "title": title });
    // A type's own description is written for readers of the code.
    for key in ["type", "properties", "required", "$defs"] {
        document[key] = schema[key].take();
    }
    format!(
        "{}\n",
        serde_json::to_string_pretty::<Value>(&document).expect("a schema is made of texts and numbers")
    )
}
