//! `seedkit check`

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::check::{self, Finding, Report, Row, Severity};
use crate::cli::session::Session;
use crate::cli::table::fields;
use crate::cli::{Answer, environment, interrupt, ui};
use crate::fs::{follow_link, parent};
use crate::ops;
use crate::ops::check::{Options, Outcome};
use crate::text::counted;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit check                         what the spec and its lock alone can tell
  seedkit check kit                     a finished kit, every file of it
  seedkit check seed.iso                one disc alone, whoever wrote it
  seedkit check images.tar              one archive or layout of images alone
  seedkit check --explain SK0203        the story behind a finding
  seedkit check kit --html kit.html     also as a page of one file, for a browser
  seedkit check kit --sarif > k.sarif   for code-scanning pipelines
  seedkit check kit --json | jq -r '.findings[] | [.id, .artifact, .what] | @tsv'

Exit code 1 if there is an error that `allow` in seedkit.yaml does not accept;
warnings do not count.";

/// Arguments of `seedkit check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// A finished kit, a disc, or images in an archive or layout; without it the spec and its lock are checked.
    kit: Option<PathBuf>,
    /// Print the result as SARIF 2.1.0.
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Also write the report on the kit as a page of one file; an older page is replaced.
    #[arg(long, value_name = "FILE", requires = "kit")]
    html: Option<PathBuf>,
    /// Print the story behind a finding.
    #[arg(long, value_name = "ID", conflicts_with_all = ["kit", "sarif", "json", "html"])]
    explain: Option<String>,
}

pub(super) fn run(arguments: CheckArguments, session: &Session) -> anyhow::Result<Answer> {
    let CheckArguments { kit, sarif, html, explain } = arguments;
    if let Some(id) = explain {
        let Some(row) = check::row(&id) else { bail!("`{id}` is not an id of a check") };
        return ui::print(&story(row));
    }
    let outcome = match kit {
        Some(kit) => {
            let html = html.map(follow_link);
            html.iter().for_each(|path| interrupt::clean(parent(path).to_owned()));
            let (now, jobs) = (environment::now(), usize::from(session.global.jobs));
            let options = Options { kit: &kit, html: html.as_deref(), now, jobs, reporter: &session.console };
            ops::check::run(&options)?
        }
        None => ops::check::spec(&session.global.file, &session.spec()?, session.lockfile()?.as_ref()),
    };
    if sarif {
        ui::print_document(&check::sarif(&outcome.report, env!("CARGO_PKG_VERSION")))?;
    } else {
        session.show("check", &outcome, |Outcome { path, report }| text(path, report))?;
    }
    Ok(Answer::of(!outcome.report.has_errors()))
}

/// Lists findings, then what was not looked at, then how it went.
fn text(path: &Path, report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += &paragraph(finding);
    }
    let rows = |title: &str, rows: Vec<(&str, &str)>| {
        let line = |(id, reason): (&str, &str)| format!("  {id}  {reason}\n");
        let list: String = rows.into_iter().map(line).collect();
        if list.is_empty() { list } else { format!("{title}:\n{list}") }
    };
    let not_applicable = report.not_applicable.iter().map(|row| (row.id.as_str(), row.reason.as_str()));
    text += &rows("does not apply", not_applicable.collect());
    let not_checked = report.not_checked.iter().map(|row| (row.id.as_str(), row.reason.as_str()));
    text += &rows("not checked", not_checked.collect());
    if !report.not_knowable.is_empty() {
        text += "no file can tell:\n";
    }
    text += &report.not_knowable.iter().map(|line| format!("  {line}\n")).collect::<String>();
    let verdict = if report.has_errors() {
        format!("no: {} to correct", counted(report.summary.errors, "error"))
    } else {
        "yes: all parts that were checked fit each other".to_owned()
    };
    text + &format!("{}\n{}: {verdict}\n", report.summary, path.display())
}

fn paragraph(finding: &Finding) -> String {
    let Finding { severity, why, fix, allowed, .. } = finding;
    let word = match (allowed, severity) {
        (Some(_), _) => "accepted",
        (None, Severity::Error) => "error",
        (None, Severity::Warning) => "warning",
        (None, Severity::Note) => "note",
    };
    let mut text = format!("{word} {finding}\n  on the node: {why}\n");
    match allowed {
        Some(reason) => text += &format!("  accepted: {reason}\n"),
        None => text += &format!("  what to do: {fix}\n"),
    }
    text + "\n"
}

fn story(row: &Row) -> String {
    let Row { id, title, origin, severity, not_applicable, why, fix, story, .. } = row;
    let all = [
        ("severity", severity.name().to_owned()),
        ("known from", origin.description().to_owned()),
        ("on the node", why.clone()),
        not_applicable.clone().map_or_else(|| ("what to do", fix.clone()), |reason| ("not checked", reason)),
    ];
    format!("{id}: {title}\n\n{story}\n\n{}", fields("", 13, all))
}
