//! `seedkit mirror`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::session::Session;
use crate::cli::{Answer, interrupt, ui};
use crate::fetch::pulls::Pulls;
use crate::fetch::sources::Complaint;
use crate::fs::{Staging, follow_link, parent};
use crate::ops::{mirror, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit mirror                    fetch the locked images into ./images
  seedkit mirror -o /srv/images     into another folder, replacing a layout there
  skopeo inspect oci:images:docker.io/rancher/mirrored-pause:3.6";

/// Arguments of `seedkit mirror`.
#[derive(Debug, Args)]
pub(super) struct MirrorArguments {
    /// The layout's folder.
    #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = "images", value_name = "DIR")]
    output: PathBuf,
}

#[derive(Serialize)]
struct MirrorResult {
    output: String,
    images: usize,
    attached: usize,
    fetched: u64,
    bytes: u64,
    present: u64,
    pulls: Vec<Pulls>,
    #[serde(rename = "passedOver")]
    passed_over: Vec<Complaint>,
}

pub(super) fn run(arguments: MirrorArguments, session: &Session) -> anyhow::Result<Answer> {
    let MirrorArguments { output } = arguments;
    let workplace = session.workplace()?;
    let output = follow_link(output);
    let others = [("the store", workplace.store.root())];
    output::check(&output, output::Kind::Layout, &workplace.spec, &others)?;
    let locked = session.locked(&workplace)?;
    let equipment = session.equipment(&workplace.store);
    interrupt::clean(parent(&output).to_owned());
    let mirrored = crate::progress::step(&session.console, "mirror images", || {
        let staging = Staging::beside(&output)?;
        let mirrored = mirror::fetch(&locked, &workplace.sources, &equipment)?;
        mirror::write_layout(&mirrored, staging.path(), &equipment)?;
        staging.publish()?;
        let summary = mirrored.summary();
        anyhow::Ok((mirrored, summary))
    })?;
    let result = MirrorResult {
        output: output.display().to_string(),
        images: mirrored.images.len(),
        attached: mirrored.attached.len(),
        fetched: mirrored.fetched,
        bytes: mirrored.bytes,
        present: mirrored.present,
        pulls: mirrored.pulls.clone(),
        passed_over: workplace.sources.complaints(),
    };
    if session.global.json {
        return ui::print_json("mirror", result);
    }
    ui::print(&format!("{}: {}\n", output.display(), mirrored.summary()))
}
