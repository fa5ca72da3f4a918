//! Files that appear whole or not at all.
//!
//! Everything seedkit finishes gets its final name by a rename, after its bytes are on the disk. Copies are
//! left to the kernel: a hard link or a reflink where it can, `copy_file_range` where it cannot.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

/// The prefix of every temporary name, so that people know what an interrupted machine left behind.
pub const TEMPORARY_PREFIX: &str = ".seedkit-";

/// Returns the folder that holds `path`; the current folder for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Writes `bytes` to `path` under a temporary name, syncs, and renames over what was there.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = parent(path);
    let mut file = named_temporary(folder)?;
    file.write_all(bytes)?;
    set_mode(file.as_file(), mode)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| with_path(error.error, "cannot write", path))?;
    sync_folder(folder)
}

/// Creates `path` with `bytes`; fails with [`io::ErrorKind::AlreadyExists`] and changes nothing if it is there.
pub fn create_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = parent(path);
    let mut file = named_temporary(folder)?;
    file.write_all(bytes)?;
    set_mode(file.as_file(), mode)?;
    file.as_file().sync_data()?;
    // By one rename that refuses a name that exists, or by a hard link where the file system has no such rename.
    file.persist_noclobber(path).map_err(|error| with_path(error.error, "cannot create", path))?;
    sync_folder(folder)
}

/// Gives a file or folder of ours its permissions, whatever the umask is.
///
/// A file system without permissions, as on a USB stick, refuses, and that is no failure: a folder of secrets
/// looks at its permissions itself.
fn set_mode(file: &std::fs::File, mode: u32) -> io::Result<()> {
    match file.set_permissions(std::fs::Permissions::from_mode(mode)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

/// Creates `folder` and its parents if they are missing; only the last one gets `mode`, whatever the umask is.
pub fn create_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(parent(folder))?;
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(with_path(error, "cannot create folder", folder)),
        Ok(()) => set_mode(fs::File::open(folder)?.file(), mode),
    }
}

/// Makes a temporary file in `folder`, readable by its owner only, removed when dropped.
///
/// It is locked while this process lives, so that [`remove_abandoned`] knows it is in use.
pub fn named_temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(&own_prefix())
        .tempfile_in(folder)
        .map_err(|error| with_path(error, "cannot create a temporary file in", folder))?;
    lock(file.as_file());
    Ok(file)
}

fn own_prefix() -> String {
    format!("{TEMPORARY_PREFIX}{}-", std::process::id())
}

/// Locks a file or folder as in use; the kernel releases the lock however the process ends.
fn lock(file: impl std::os::fd::AsFd) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Removes temporary files and folders that processes which no longer live left in `folder`.
///
/// A power cut or `kill -9` leaves them; nobody else does. What is in use is locked, and stays.
pub fn remove_abandoned(folder: &Path) -> io::Result<()> {
    remove_temporaries(folder, TEMPORARY_PREFIX, |path| fs::File::open(path).is_ok_and(lock))
}

/// Removes the temporary files and folders of this very process from `folder`: for a process about to end.
pub fn remove_own(folder: &Path) -> io::Result<()> {
    remove_temporaries(folder, &own_prefix(), |_| true)
}

fn remove_temporaries(folder: &Path, prefix: &str, is_free: impl Fn(&Path) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if !entry.file_name().to_string_lossy().starts_with(prefix) || kind.is_symlink() || !is_free(&path) {
            continue;
        }
        if kind.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    Ok(())
}

/// Lets everybody read a finished file that was begun as a temporary one, whatever the umask is.
pub fn make_readable(file: &std::fs::File) -> io::Result<()> {
    set_mode(file, 0o644)
}

/// Keeps a finished file to its owner, because it holds secrets.
pub fn make_readable_by_owner(file: &std::fs::File) -> io::Result<()> {
    set_mode(file, 0o600)
}

/// Keeps everybody, its owner too, from changing a finished file.
pub fn make_read_only(file: &std::fs::File) -> io::Result<()> {
    set_mode(file, 0o444)
}

/// Asks the kernel to drop a file's cached pages, so that reading it again asks the disk. Only advice.
pub fn forget_cached(file: &std::fs::File) {
    let _advice_only = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Makes the entries of `folder` durable: renames before this call survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Returns the bytes that an unprivileged user may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let status = rustix::fs::statvfs(existing)
        .map_err(|error| with_path(error.into(), "cannot ask for the free space of", existing))?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// Copies a file without passing its bytes through this process: reflink, else `copy_file_range`.
///
/// The target must not exist. Returns the number of bytes.
pub fn clone_or_copy(source: &Path, target: &Path, mode: u32) -> io::Result<u64> {
    let mut input = fs::File::open(source)?.into_parts().0;
    let output = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(target)
        .map_err(|error| with_path(error, "cannot create", target))?;
    let mut output = output;
    set_mode(&output, mode)?;
    if rustix::fs::ioctl_ficlone(&output, &input).is_ok() {
        return Ok(output.metadata()?.len());
    }
    // `io::copy` between two files is copy_file_range, with sendfile and read/write behind it.
    io::copy(&mut input, &mut output)
        .map_err(|error| with_path(error, &format!("cannot copy `{}` to", source.display()), target))
}

/// Gives `source` a second name: a hard link, else a copy with the same mode. The target must not exist.
pub fn link_or_copy(source: &Path, target: &Path) -> io::Result<()> {
    if fs::hard_link(source, target).is_ok() {
        return Ok(());
    }
    let mode = fs::metadata(source)?.permissions().mode() & 0o777;
    clone_or_copy(source, target, mode).map(drop)
}

/// Adds what was being done, and to which path, to an error that names neither.
pub fn with_path(error: io::Error, doing: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{doing} `{}`: {error}", path.display()))
}

/// A folder that does not exist yet: filled beside its final place, then published by one rename.
///
/// Dropped unpublished, it disappears with all its content. What was at the final place stays untouched
/// until [`Staging::publish`].
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    target: PathBuf,
    _in_use: fs::File,
}

impl Staging {
    /// Makes an empty staging folder beside `target`, on the same file system.
    ///
    /// Staging folders that killed processes left there are removed first.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let folder = parent(target);
        fs::create_dir_all(folder)?;
        remove_abandoned(folder)?;
        let folder = tempfile::Builder::new()
            .prefix(&own_prefix())
            .tempdir_in(folder)
            .map_err(|error| with_path(error, "cannot create a staging folder in", folder))?;
        let in_use = fs::File::open(folder.path())?;
        lock(&in_use);
        set_mode(in_use.file(), 0o755)?;
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
        let staged = folder.path();
        if fs::symlink_metadata(&target).is_err() {
            fs::rename(staged, &target)?;
            // The staging name is gone; forget it instead of removing what now has the final name.
            let _renamed_away = folder.keep();
        } else {
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                staged,
                rustix::fs::CWD,
                &target,
                rustix::fs::RenameFlags::EXCHANGE,
            )
            .map_err(io::Error::from)
            .or_else(|_| exchange_by_three_renames(staged, &target))?;
            // What now bears the staging name is the old folder.
            folder.close()?;
        }
        sync_folder(parent(&target))
    }
}

/// For file systems without `RENAME_EXCHANGE`, such as a Windows drive under WSL.
fn exchange_by_three_renames(staged: &Path, target: &Path) -> io::Result<()> {
    let mut aside = staged.as_os_str().to_owned();
    aside.push(".old");
    let aside = PathBuf::from(aside);
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(staged, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    fs::rename(&aside, staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_create_new_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_new(&path, b"first", 0o600).unwrap();
        let error = create_new(&path, b"second", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unpublished_staging_folder_leaves_the_old_one_and_no_debris() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("kit");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), "").unwrap();
        let staging = Staging::beside(&target).unwrap();
        fs::write(staging.path().join("new"), "").unwrap();
        drop(staging);
        assert!(target.join("old").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn publishing_replaces_the_old_folder_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("kit");
        for name in ["first", "second"] {
            let staging = Staging::beside(&target).unwrap();
            fs::write(staging.path().join(name), "").unwrap();
            staging.publish().unwrap();
        }
        let names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["second"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_abandoned_temporaries_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let in_use = named_temporary(folder.path()).unwrap();
        fs::write(folder.path().join(".seedkit-dead"), "").unwrap();
        fs::create_dir(folder.path().join(".seedkit-dead-folder")).unwrap();
        fs::write(folder.path().join("theirs"), "").unwrap();
        remove_abandoned(folder.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        assert_eq!(left, [in_use.path(), &folder.path().join("theirs")]);
    }

    #[test]
    fn a_second_name_has_the_mode_of_the_first_also_as_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, copy] = ["file", "link", "copy"].map(|name| folder.path().join(name));
        create_new(&file, b"content", 0o444).unwrap();
        link_or_copy(&file, &link).unwrap();
        clone_or_copy(&file, &copy, 0o444).unwrap();
        for path in [file, link, copy] {
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o444,
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn the_three_renames_exchange_too() {
        let folder = tempfile::tempdir().unwrap();
        let (staged, target) = (folder.path().join("staged"), folder.path().join("kit"));
        for (path, name) in [(&staged, "new"), (&target, "old")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join(name), "").unwrap();
        }
        exchange_by_three_renames(&staged, &target).unwrap();
        assert!(target.join("new").exists() && staged.join("old").exists());
    }
}
