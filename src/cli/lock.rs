//! `seedkit lock`

use clap::Args;

use crate::cli::Answer;
use crate::cli::session::{NoLock, Session, Workplace};
use crate::ops::lock::{self, Fresh, Outcome};
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

pub(super) fn run(arguments: LockArguments, session: &Session) -> anyhow::Result<Answer> {
    let LockArguments { check } = arguments;
    let workplace = session.workplace()?;
    let path = session.lock_path();
    let previous = session.lockfile()?;
    let outcome = if check || session.global.locked {
        let Some(previous) = previous else {
            return Err(NoLock(path).into());
        };
        let Workplace { spec, sources, store } = &workplace;
        let locked = lock::check(spec, previous, sources, &session.equipment(store))?;
        Outcome::of(path, locked.lockfile())
    } else {
        let Fresh { lockfile, pulls } = session.make_lock(&workplace, previous.as_ref())?;
        let is_changed = previous.as_ref() != Some(&lockfile);
        Outcome { is_changed, pulls, ..Outcome::of(path, &lockfile) }
    };
    let outcome = Outcome { passed_over: workplace.sources.complaints(), ..outcome };
    session.show("lock", &outcome, |Outcome { path, images, files, bytes, is_changed, .. }| {
        let what = if *is_changed { "written" } else { "up to date" };
        format!("{}: {what}; {images} images, {files} files, {}\n", path.display(), Bytes(*bytes))
    })
}
