//! `seedkit lock`

use clap::Args;
use serde::Serialize;

use crate::cli::session::{NoLock, Session, Workplace};
use crate::cli::{Answer, ui};
use crate::fetch::pulls::Pulls;
use crate::fetch::sources::{Complaint, Sources};
use crate::lockfile::Lockfile;
use crate::ops::lock::Fresh;
use crate::progress::Bytes;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit lock                 resolve everything anew and write seedkit.lock
  seedkit lock --check         does it still fit seedkit.yaml? (exit 1 if not)
  SOURCE_DATE_EPOCH=1763683200 seedkit lock
                               choose the time that everything built will carry";

/// Arguments of `seedkit lock`.
#[derive(Debug, Args)]
pub(super) struct LockArguments {
    /// Write nothing; only say whether the lock fits the spec.
    #[arg(long)]
    check: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LockResult {
    path: String,
    epoch: u64,
    images: usize,
    attached: usize,
    files: usize,
    bytes: u64,
    is_changed: bool,
    pulls: Vec<Pulls>,
    passed_over: Vec<Complaint>,
}

pub(super) fn run(arguments: LockArguments, session: &Session) -> anyhow::Result<Answer> {
    let LockArguments { check } = arguments;
    let workplace = session.workplace()?;
    let path = session.lock_path();
    let previous = session.lockfile()?;
    if check || session.global.locked {
        let Some(previous) = previous else {
            return Err(NoLock { path }.into());
        };
        let Workplace { spec, sources, store } = &workplace;
        let locked = crate::ops::lock::check(spec, previous, sources, &session.equipment(store))?;
        return print(session, locked.lockfile(), false, (Vec::new(), sources));
    }
    let Fresh { lockfile, pulls } = session.make_lock(&workplace, previous.as_ref())?;
    print(session, &lockfile, previous.as_ref() != Some(&lockfile), (pulls, &workplace.sources))
}

fn print(
    session: &Session,
    lockfile: &Lockfile,
    is_changed: bool,
    (pulls, sources): (Vec<Pulls>, &Sources),
) -> anyhow::Result<Answer> {
    let files: u64 = lockfile.files.iter().map(|file| file.size).sum();
    let images: u64 = lockfile.images.iter().map(|image| image.total_size).sum();
    let result = LockResult {
        path: session.lock_path().display().to_string(),
        epoch: lockfile.epoch.seconds(),
        images: lockfile.images.len(),
        attached: lockfile.images.iter().map(|image| image.attached.len()).sum(),
        files: lockfile.files.len(),
        bytes: files + images,
        is_changed,
        pulls,
        passed_over: sources.complaints(),
    };
    if session.global.json {
        return ui::print_json("lock", result);
    }
    let what = if is_changed { "written" } else { "up to date" };
    ui::print(&format!(
        "{}: {what}; {} images, {} files, at most {}\n",
        result.path,
        result.images,
        result.files,
        Bytes(result.bytes)
    ))
}
