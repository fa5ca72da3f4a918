//! A folder that appears whole or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs_err as fs;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use super::{create_folders, parent, remove_abandoned, set_mode, sync_folder, temporary};

/// Held while a folder gets its final name, and for good by a process about to end.
static PUBLISHING: Mutex<()> = Mutex::new(());

/// A folder that does not exist yet: filled beside its final place, then published by one rename.
///
/// Dropped unpublished, it disappears with all its content. What was at the final place stays untouched
/// until [`Staging::publish`].
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    target: PathBuf,
    _in_use: std::fs::File,
}

impl Staging {
    /// Makes an empty staging folder beside `target`, on the same file system.
    ///
    /// What killed processes left there is removed first; if one was killed while it replaced `target` by several
    /// renames, the old folder gets its name back.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let folder = parent(target);
        create_folders(folder)?;
        restore_or_remove_aside(target)?;
        remove_abandoned(folder)?;
        let (folder, in_use) = temporary::named_temporary_folder(folder)?;
        set_mode(&in_use, 0o755)?;
        Ok(Self { folder, target: target.to_owned(), _in_use: in_use })
    }

    /// Returns the staging folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Moves the folder to its final place, replacing a folder that is there, and makes that durable.
    ///
    /// The exchange is one system call where the file system can (`RENAME_EXCHANGE`); there is no moment
    /// without either the old or the new folder.
    pub fn publish(self) -> io::Result<()> {
        let Self { folder, target, _in_use } = self;
        let not_while_ending = PUBLISHING.lock().expect("nobody panics while publishing");
        let has_replaced = replace(folder.path(), &target)?;
        drop(not_while_ending);
        if has_replaced {
            // What now bears the staging name is the old folder. Another process may be removing it already: the
            // lock went with the new one.
            match folder.close() {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        } else {
            // The staging name is gone; forget it instead of removing what now has the final name.
            let _renamed_away = folder.keep();
        }
        sync_folder(parent(&target))
    }
}

/// Lets this process publish nothing any more: for one that is about to remove what it began, and to end.
///
/// Without this another thread could publish a folder that is half removed.
pub fn stop_publishing() {
    std::mem::forget(PUBLISHING.lock());
}

/// Gives `staged` the name `target`; tells whether an old folder now has the name `staged`.
fn replace(staged: &Path, target: &Path) -> io::Result<bool> {
    loop {
        match renameat_with(CWD, staged, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::NOENT) => {}
            Err(_) if fs::symlink_metadata(target).is_ok() => {
                return exchange_by_three_renames(staged, target).map(|()| true);
            }
            Err(_) => {}
        }
        match fs::rename(staged, target) {
            // Somebody else published a folder in between.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            result => return result.map(|()| false),
        }
    }
}

/// For file systems without `RENAME_EXCHANGE`, such as a Windows drive under WSL.
///
/// Between the first two renames there is neither folder at `target`; who is killed there finds the old one again
/// at the next run.
fn exchange_by_three_renames(staged: &Path, target: &Path) -> io::Result<()> {
    let aside = aside_of(target);
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(staged, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    fs::rename(&aside, staged)
}

/// Returns where the old folder waits while the new one gets its name. Not a temporary name: those are removed.
fn aside_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    parent(target).join(format!(".{name}.replaced-by-seedkit"))
}

fn restore_or_remove_aside(target: &Path) -> io::Result<()> {
    let aside = aside_of(target);
    if fs::symlink_metadata(&aside).is_err() {
        Ok(())
    } else if fs::symlink_metadata(target).is_err() {
        fs::rename(&aside, target)
    } else {
        fs::remove_dir_all(&aside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(path: &Path, name: &str) {
        fs::create_dir(path).unwrap();
        fs::write(path.join(name), "").unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string());
        names.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_unpublished_staging_folder_leaves_the_old_one_and_no_debris() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("kit");
        folder_with(&target, "old");
        let staging = Staging::beside(&target).unwrap();
        fs::write(staging.path().join("new"), "").unwrap();
        drop(staging);
        assert_eq!((names(&target), names(folder.path())), (vec!["old".to_owned()], vec!["kit".to_owned()]));
    }

    #[test]
    fn publishing_replaces_the_old_folder_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("kit");
        for name in ["first", "second"] {
            let staging = Staging::beside(&target).unwrap();
            fs::write(staging.path().join(name), "").unwrap();
            staging.publish().unwrap();
            assert_eq!(
                (names(&target), names(folder.path())),
                (vec![name.to_owned()], vec!["kit".to_owned()])
            );
        }
    }

    #[test]
    fn the_three_renames_exchange_too() {
        let folder = tempfile::tempdir().unwrap();
        let (staged, target) = (folder.path().join("staged"), folder.path().join("kit"));
        folder_with(&staged, "new");
        folder_with(&target, "old");
        exchange_by_three_renames(&staged, &target).unwrap();
        assert!(target.join("new").exists() && staged.join("old").exists());
    }

    #[test]
    fn a_folder_left_between_two_of_the_three_renames_gets_its_name_back() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("kit");
        folder_with(&aside_of(&target), "old");
        drop(Staging::beside(&target).unwrap());
        assert_eq!((names(&target), names(folder.path())), (vec!["old".to_owned()], vec!["kit".to_owned()]));
        // Killed after the second one: the new folder is there, the old one is to go.
        folder_with(&aside_of(&target), "older");
        drop(Staging::beside(&target).unwrap());
        assert_eq!((names(&target), names(folder.path())), (vec!["old".to_owned()], vec!["kit".to_owned()]));
    }
}
