//! `seedkit check`: do all the parts fit each other?

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::check::{self, Kit, OpenError, Plan, Report};
use crate::lockfile::Lockfile;
use crate::ops::page::{PageError, Target};
use crate::progress::{Reporter, step};
use crate::spec::Spec;

/// What was checked, and how that went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outcome {
    /// The kit's folder, or the spec's file.
    pub path: PathBuf,
    /// What was found.
    #[serde(flatten)]
    pub report: Report,
}

/// Which kit is checked, and how.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// A finished kit, a disc, or images in an archive or layout.
    pub kit: &'a Path,
    /// A file for the report as a page.
    pub html: Option<&'a Path>,
    /// Seconds since 1970, by which certificates are judged.
    pub now: i64,
    /// How many files are read at once.
    pub jobs: usize,
    /// Who listens.
    pub reporter: &'a dyn Reporter,
}

/// Why nothing can be said. What it wraps says the same, which is printed once; it is in the chain for its hints.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot be read.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The page cannot be written.
    #[error("{0}")]
    Page(#[from] PageError),
    /// There is no page of a part.
    #[error("`{0}` is a part of a kit, and `--html` is for whole kits: leave it out")]
    Part(PathBuf),
}

/// Checks a kit, and writes what it says as a page if there is a place for one.
pub fn run(options: &Options<'_>) -> Result<Outcome, CheckError> {
    let Options { kit: path, html, now, jobs, reporter } = *options;
    let target = html.map(|html| Target::new(path, html)).transpose()?;
    step(reporter, "check", || {
        let kit = Kit::open(path, now, jobs, reporter)?;
        let report = check::kit(&kit);
        if let Some(target) = &target {
            let part = || CheckError::Part(path.to_owned());
            target.write(&check::page(&kit, &report).ok_or_else(part)?)?;
        }
        let summary = report.summary.to_string();
        Ok((Outcome { path: path.to_owned(), report }, summary))
    })
}

/// Checks what a spec, which is in `file`, and its lock alone can tell.
pub fn spec(file: &Path, spec: &Spec, lockfile: Option<&Lockfile>) -> Outcome {
    let report = check::plan(&Plan { file: &file.display().to_string(), spec, lockfile });
    Outcome { path: file.to_owned(), report }
}
