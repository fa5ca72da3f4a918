//! Results on standard output.

use std::io::Write;

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::Answer;

/// The version of the shape of all JSON results; a field that goes or changes meaning raises it.
const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a, T> {
    version: u32,
    command: &'a str,
    #[serde(flatten)]
    result: T,
}

/// Prints a result as it is.
pub(super) fn print(text: &str) -> anyhow::Result<Answer> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // `seedkit … | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Answer::Yes),
        result => result.map(|()| Answer::Yes).context("cannot print the result"),
    }
}

/// Prints a result as JSON, with the version of its shape and the command it comes from.
pub(super) fn print_json(command: &str, result: impl Serialize) -> anyhow::Result<Answer> {
    let document = Document { version: JSON_VERSION, command, result };
    print(&format!("{}\n", serde_json::to_string_pretty(&document)?))
}
