//! Handing the seeds on: to a Windows drive under WSL, to a disk that goes through a door.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::digest::{Digest, Hasher, HashingWriter};
use crate::ops::kit::{SEEDS, hide_seeds};
use crate::progress::{Event, Reporter};

/// How much is copied between two signs of progress.
const PIECE: u64 = 8 * 1024 * 1024;

/// Why the seeds are not where they were to be copied.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Reading or writing failed.
    #[error("cannot copy `{seed}` to `{target}`")]
    Copy {
        /// The seed.
        seed: PathBuf,
        /// Its copy.
        target: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// The copy reads back as something else.
    #[error("`{0}` reads back with other content than was written")]
    ReadsBackWrong(PathBuf),
}

/// Copies the seeds of a kit, and nothing else, into `target`, and reads back what it wrote.
///
/// Each copy gets its name when it is whole. Other files in `target` are left alone.
pub fn seeds(kit: &Path, target: &Path, reporter: &dyn Reporter) -> Result<Vec<PathBuf>, DeliverError> {
    let folder = kit.join(SEEDS);
    let fail = |source| DeliverError::Copy { seed: folder.clone(), target: target.to_owned(), source };
    crate::fs::create_folders(target).map_err(fail)?;
    crate::fs::remove_abandoned(target).map_err(fail)?;
    hide_seeds(target, reporter).map_err(fail)?;
    let mut seeds: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let bytes = entry.metadata().map_err(fail)?.len();
        reporter.report(Event::Planned { bytes, items: 1 });
        seeds.push(entry.path());
    }
    seeds.sort();
    seeds.into_iter().map(|seed| deliver_one(&seed, target, reporter)).collect()
}

fn deliver_one(seed: &Path, folder: &Path, reporter: &dyn Reporter) -> Result<PathBuf, DeliverError> {
    let target = folder.join(seed.file_name().unwrap_or_default());
    let fail = |source| DeliverError::Copy { seed: seed.to_owned(), target: target.clone(), source };
    // Its mode is 0600 from the start, and stays: seeds hold tokens.
    let temporary = crate::fs::named_temporary(folder).map_err(fail)?;
    let mut output = HashingWriter::new(temporary);
    copy(seed, &mut output, reporter).map_err(fail)?;
    let (temporary, written, _) = output.finish();
    temporary.as_file().sync_all().map_err(fail)?;
    // What was just written is in memory still; the disk is to answer.
    crate::fs::forget_cached(temporary.as_file());
    if digest_of(temporary.path()).map_err(fail)? != written {
        return Err(DeliverError::ReadsBackWrong(target));
    }
    crate::fs::publish(temporary, &target, 0o600).map_err(fail)?;
    reporter.report(Event::ItemFinished(target.display().to_string()));
    Ok(target)
}

fn copy(seed: &Path, output: &mut impl Write, reporter: &dyn Reporter) -> std::io::Result<()> {
    let mut input = fs::File::open(seed)?;
    loop {
        let bytes = std::io::copy(&mut Read::by_ref(&mut input).take(PIECE), output)?;
        if bytes == 0 {
            return output.flush();
        }
        reporter.report(Event::Advanced(bytes));
    }
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    Hasher::sha256_of(&mut fs::File::open(path)?.into_parts().0).map(|(digest, _)| digest)
}
