//! Chromium without a window, which opens a page as a person's browser would.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use super::oracle;
use super::sandbox::Sandbox;

/// What a browser saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What the expressions gave.
    pub(crate) values: Vec<Value>,
    /// Everything that was asked for, of files and of servers.
    pub(crate) requests: Vec<String>,
    /// Messages of the console, uncaught exceptions, dialogs.
    pub(crate) complaints: Vec<Value>,
}

/// Opens a file in a browser that was never used before, and takes the steps that `browser.py` describes; `now` is what
/// the page takes for the time, in seconds since 1970.
pub(crate) fn open(page: &Path, now: Option<i64>, steps: &[Value]) -> Seen {
    let sandbox = Sandbox::new();
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/browser.py");
    sandbox.write("job", json!({ "now": now, "steps": steps }).to_string());
    let mut python = sandbox.command("python3");
    python.args([driver.as_path(), Path::new("chromium"), &sandbox.path("profile")]);
    python
        .arg(format!("file://{}", page.display()))
        .stdin(fs::File::open(sandbox.path("job")).unwrap().into_parts().0);
    let result: Value = serde_json::from_slice(&oracle::finish(&mut python).stdout).unwrap();
    let list = |key: &str| result[key].as_array().unwrap().clone();
    let requests = list("requests").iter().map(|url| url.as_str().unwrap().to_owned()).collect();
    Seen { values: list("values"), requests, complaints: list("complaints") }
}
