//! `seedkit verify`: is every byte of a kit what the kit says it is?

use std::path::Path;

use crate::progress::{Bytes, Reporter, step};
use crate::verify::{self, Report, VerifyError};

/// Hashes every file of a kit, `jobs` of them at once.
pub fn run(kit: &Path, jobs: usize, reporter: &dyn Reporter) -> Result<Report, VerifyError> {
    step(reporter, "verify", || {
        let report = verify::kit(kit, jobs, reporter)?;
        let summary = format!("{} files, {}", report.files, Bytes(report.bytes));
        Ok((report, summary))
    })
}
