//! `seedkit verify`

use std::path::PathBuf;

use clap::Args;

use crate::cli::session::Session;
use crate::cli::table::line;
use crate::cli::{Answer, ui};
use crate::ops::verify;
use crate::text::counted;

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
    let answer = if report.findings.is_empty() { Answer::Yes } else { Answer::No };
    if session.global.json {
        ui::print_json("verify", &report)?;
        return Ok(answer);
    }
    let findings: String = report.findings.iter().map(|finding| line(&finding.to_string())).collect();
    let verdict = match answer {
        Answer::Yes => {
            format!("{}: all {} files are what the kit says they are\n", kit.display(), report.files)
        }
        Answer::No => format!("{}: {}\n", kit.display(), counted(report.findings.len(), "finding")),
    };
    ui::print(&(findings + &verdict))?;
    Ok(answer)
}
