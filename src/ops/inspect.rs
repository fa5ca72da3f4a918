//! `seedkit inspect`: what is in a file, and is it what it says it is?

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::inspect::{self, InspectError, Inspected, Inspection, Options};
use crate::progress::step;

/// What was looked into, and what was found.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The file or folder.
    pub path: PathBuf,
    /// What is in it.
    #[serde(flatten)]
    pub inspection: Inspection,
}

/// Looks into a file or folder.
pub fn run(path: &Path, options: &Options<'_>) -> Result<Outcome, InspectError> {
    step(options.reporter, "inspect", || {
        let inspection = inspect::path(path, options)?;
        let summary = kind(&inspection.artifact).to_owned();
        Ok((Outcome { path: path.to_owned(), inspection }, summary))
    })
}

fn kind(artifact: &Inspected) -> &'static str {
    match artifact {
        Inspected::OpsBundle(_) => "a bundle of ops packages",
        Inspected::Images(_) => "images",
        Inspected::Disc(_) => "a disc",
        Inspected::Certificates(_) => "certificates",
        Inspected::Lock(_) => "a lock",
        Inspected::Kit(_) => "a kit",
    }
}
