//! Files and folders under temporary names, in use or left behind.
//!
//! Whoever makes one locks it while it is in use; the kernel releases the lock however the process ends. What can
//! be locked is therefore abandoned, and may be removed by anybody.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use tempfile::{Builder, NamedTempFile, TempDir};

/// The prefix of every temporary name, so that people know what an interrupted machine left behind.
pub const TEMPORARY_PREFIX: &str = ".seedkit-";

/// Makes a temporary file in `folder`, readable by its owner only, removed when dropped.
///
/// It is locked while it is open, so that [`remove_abandoned`] knows it is in use.
pub fn named_temporary(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = Builder::new()
            .prefix(&own_prefix())
            .tempfile_in(folder)
            .map_err(|error| without_name(error, "cannot create a temporary file in", folder))?;
        if is_held(file.as_file(), file.path()) {
            return Ok(file);
        }
    }
}

/// Makes a temporary folder in `folder`, removed when dropped, and returns it with the handle that holds its lock.
pub(super) fn named_temporary_folder(folder: &Path) -> io::Result<(TempDir, std::fs::File)> {
    loop {
        let made = Builder::new()
            .prefix(&own_prefix())
            .tempdir_in(folder)
            .map_err(|error| without_name(error, "cannot create a temporary folder in", folder))?;
        match fs::File::open(made.path()) {
            Ok(opened) if is_held(opened.file(), made.path()) => return Ok((made, opened.into_parts().0)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Says what failed in which folder; the random name that was tried tells nobody anything.
fn without_name(error: io::Error, doing: &str, folder: &Path) -> io::Error {
    let text = error.to_string();
    let reason = text.split(" at path ").next().unwrap_or(&text);
    io::Error::new(error.kind(), format!("{doing} `{}`: {reason}", folder.display()))
}

/// Locks what was just made; `false` if somebody took it for abandoned before that.
///
/// A file system without locks keeps everything: nobody can take anything for abandoned there.
fn is_held(file: &std::fs::File, path: &Path) -> bool {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => false,
        Ok(()) | Err(_) => fs::symlink_metadata(path).is_ok(),
    }
}

fn own_prefix() -> String {
    format!("{TEMPORARY_PREFIX}{}-", std::process::id())
}

/// Removes temporary files and folders that processes which no longer live left in `folder`.
///
/// A power cut or `kill -9` leaves them; nobody else does. What is in use is locked, and stays.
pub fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for path in temporaries(folder, TEMPORARY_PREFIX)? {
        // Held until it is gone: who made it a moment ago then knows that it is lost, and makes another.
        let Ok(opened) = fs::File::open(&path) else { continue };
        if flock(opened.file(), FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the temporary files and folders of this very process from `folder`: for a process about to end.
pub fn remove_own(folder: &Path) -> io::Result<()> {
    temporaries(folder, &own_prefix())?.iter().try_for_each(|path| remove(path))
}

fn temporaries(folder: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Removes a file or folder; links are not ours and stay. Fine if it is gone, or goes meanwhile.
fn remove(path: &Path) -> io::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(found) if found.is_file() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_temporaries_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file_in_use = named_temporary(folder.path()).unwrap();
        let (folder_in_use, _lock) = named_temporary_folder(folder.path()).unwrap();
        fs::write(folder.path().join(".seedkit-dead"), "").unwrap();
        fs::create_dir_all(folder.path().join(".seedkit-dead-folder/inside")).unwrap();
        fs_err::os::unix::fs::symlink("theirs", folder.path().join(".seedkit-link")).unwrap();
        fs::write(folder.path().join("theirs"), "").unwrap();
        remove_abandoned(folder.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let mut expected = vec![
            folder.path().join(".seedkit-link"),
            file_in_use.path().to_owned(),
            folder_in_use.path().to_owned(),
            folder.path().join("theirs"),
        ];
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn a_temporary_that_cannot_be_made_is_explained_by_its_folder_alone() {
        let message = named_temporary(Path::new("/proc/self")).unwrap_err().to_string();
        assert!(message.starts_with("cannot create a temporary file in `/proc/self`: "), "{message}");
        assert!(!message.contains(TEMPORARY_PREFIX), "{message}");
    }

    // A folder was made, and locked only then; a cleaner in between took it for abandoned.
    #[test]
    fn what_is_being_made_survives_everybody_who_cleans() {
        let folder = tempfile::tempdir().unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        remove_abandoned(folder.path()).unwrap();
                    }
                });
            }
            let survivors = (0..200).map(|_| {
                let (made, _lock) = named_temporary_folder(folder.path()).unwrap();
                let file = named_temporary(folder.path()).unwrap();
                made.path().is_dir() && file.path().is_file()
            });
            let survived = survivors.filter(|survived| *survived).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(survived, 200);
        });
    }
}
