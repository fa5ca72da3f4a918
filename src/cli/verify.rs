//! `seedkit verify`

use std::path::PathBuf;

use clap::Args;

use crate::cli::Answer;
use crate::cli::session::Session;
use crate::cli::table::line;
use crate::ops::verify;
use crate::text::counted;
use crate::verify::Report;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit verify kit                    after a disk went through a door
  (cd kit && sha256sum -c SHA256SUMS)   without seedkit; finds no unlisted files";

/// Arguments of `seedkit verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The kit.
    #[arg(default_value = "kit")]
    kit: PathBuf,
}

pub(super) fn run(arguments: VerifyArguments, session: &Session) -> anyhow::Result<Answer> {
    let VerifyArguments { kit } = arguments;
    let report = verify::run(&kit, usize::from(session.global.jobs), &session.console)?;
    let answer = Answer::of(report.findings.is_empty());
    session.show("verify", &report, |Report { findings, files, .. }| {
        let verdict = match findings.len() {
            0 => format!("all {files} files are what the kit says they are"),
            count => counted(count, "finding"),
        };
        let lines: String = findings.iter().map(|finding| line(&finding.to_string())).collect();
        lines + &format!("{}: {verdict}\n", kit.display())
    })?;
    Ok(answer)
}
