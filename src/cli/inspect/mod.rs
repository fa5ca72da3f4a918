//! `seedkit inspect`

mod bundle;
mod certificate;
mod disc;
mod images;
mod kit;
mod lock;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::session::Session;
use crate::cli::table::line;
use crate::cli::{Answer, environment};
use crate::inspect::{Inspected, Inspection, Options};
use crate::ops::inspect;
use crate::text::counted;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit inspect ops-packages-*.tar.gz    which packages, why each, and is it whole?
  seedkit inspect airgap-images-*.tar      which images, for which platforms?
  seedkit inspect seed-k3s-master1.iso     for which node, with what payload?
  seedkit inspect kit                      nodes, images, artifacts
  seedkit inspect kit/registry/ca.crt      names, days left, who signed it
  seedkit inspect --json FILE | jq -r '.packages[] | [.name, .version] | @tsv'";

/// Arguments of `seedkit inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// What to look into; its kind is found by its content.
    path: PathBuf,
}

pub(super) fn run(arguments: InspectArguments, session: &Session) -> anyhow::Result<Answer> {
    let InspectArguments { path } = arguments;
    let options = Options { now: environment::now(), reporter: &session.console };
    let outcome = inspect::run(&path, &options)?;
    let answer = Answer::of(outcome.inspection.findings.is_empty());
    session.show("inspect", &outcome, |outcome| text(&path, &outcome.inspection))?;
    Ok(answer)
}

fn text(path: &Path, Inspection { artifact, findings }: &Inspection) -> String {
    let text = match artifact {
        Inspected::OpsBundle(bundle) => bundle::text(bundle),
        Inspected::Images(images) => images::text(images),
        Inspected::Disc(disc) => disc::text(disc),
        Inspected::Certificates(certificates) => certificate::text(certificates),
        Inspected::Lock(lock) => lock::text(lock),
        Inspected::Kit(kit) => kit::text(kit),
    };
    let verdict = match findings.len() {
        0 => verdict(artifact).to_owned(),
        count => counted(count, "finding"),
    };
    let findings: String = findings.iter().map(|finding| line(&finding.to_string())).collect();
    text + &findings + &line(&format!("{}: {verdict}", path.display()))
}

/// Says what is known of an artifact without findings, and no more.
fn verdict(artifact: &Inspected) -> &'static str {
    match artifact {
        Inspected::OpsBundle(_) | Inspected::Images(_) => "everything in it is what it says it is",
        Inspected::Disc(disc) if disc.seed.as_ref().is_some_and(|seed| !seed.payload.is_empty()) => {
            "its payload is what its sums say it is"
        }
        Inspected::Disc(_) => "a disc that can be read; it has no sums to compare with",
        Inspected::Certificates(_) => "a file of certificates",
        Inspected::Lock(_) => "a lock that can be used",
        Inspected::Kit(_) => "every artifact is there and has its length; `seedkit verify` reads every byte",
    }
}
