//! `seedkit build`

use std::path::PathBuf;

use clap::Args;

use crate::artifact::SUMS;
use crate::cli::session::{Session, SharingArguments, Workplace};
use crate::cli::{Answer, interrupt};
use crate::fs::{follow_link, parent};
use crate::ops::build::{self, Options, Outcome};
use crate::ops::kit::{SEEDS, SHARED_PAYLOAD};
use crate::progress::Bytes;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit build                              seedkit.yaml -> kit/
  seedkit build -f lab/seedkit.yaml -o out   another spec, another folder
  seedkit build --locked --offline           what is locked and stored, or an error
  seedkit build --deliver /mnt/c/vm/seeds    the seeds also go to a Windows drive";

/// Arguments of `seedkit build`.
#[derive(Debug, Args)]
pub(super) struct BuildArguments {
    /// The kit's folder; an existing kit is replaced when the new one is whole.
    #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = "kit", value_name = "DIR")]
    output: PathBuf,
    /// Also copy the seeds, and only them, to this folder, and read them back.
    #[arg(long, env = "SEEDKIT_DELIVER", value_name = "DIR")]
    deliver: Option<PathBuf>,
    #[command(flatten)]
    sharing: SharingArguments,
}

pub(super) fn run(arguments: BuildArguments, session: &Session) -> anyhow::Result<Answer> {
    let BuildArguments { output, deliver, sharing } = arguments;
    let output = follow_link(output);
    let prepared = session.prepare(session.workplace()?)?;
    let Workplace { spec, store, .. } = &prepared.workplace;
    let deliver = deliver.or_else(|| spec.deliver.clone());
    interrupt::clean(parent(&output).to_owned());
    deliver.iter().cloned().for_each(interrupt::clean);
    let options = Options {
        parts: prepared.parts(),
        output: &output,
        sharing: sharing.get(),
        deliver: deliver.as_deref(),
    };
    let outcome = build::run(&options, &session.equipment(store))?;
    session.console.print_step_table();
    session.show("build", &outcome, text)
}

/// Lists the kit, and says what to do with it.
fn text(outcome: &Outcome) -> String {
    let kit = outcome.kit.display();
    let mut text = format!("{kit}/\n");
    for (path, artifact) in outcome.artifacts.iter() {
        text.push_str(&format!("  {path:<56} {:>10}\n", Bytes(artifact.size).to_string()));
    }
    text.push_str(&format!("  {SUMS:<56} everything above, and {} images\n", outcome.images));
    for seed in &outcome.delivered {
        text.push_str(&format!("delivered {}\n", seed.display()));
    }
    let shared = format!("{SEEDS}/{SHARED_PAYLOAD}");
    let shared = if outcome.artifacts.get(&shared).is_some() {
        format!(" and {kit}/{shared} to each VM as CD-ROMs")
    } else {
        " to each VM as a CD-ROM".to_owned()
    };
    text.push_str(&format!(
        "next: attach {kit}/seeds/seed-NODE.iso{shared} and boot it;\n      \
         check the kit wherever it went with `seedkit verify {kit}` or `sha256sum -c SHA256SUMS`\n"
    ));
    text
}
