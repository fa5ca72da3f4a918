//! Files that appear whole or not at all.
//!
//! Everything seedkit finishes gets its final name by a rename, after its bytes are on the disk. Copies are
//! left to the kernel: a hard link or a reflink where it can, `copy_file_range` where it cannot.

mod below;
mod bounded;
mod staging;
mod temporary;

use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::digest::PIECE;

pub use below::open_below;
pub use bounded::{LARGEST, read_bounded, read_text};
pub use staging::{Staging, stop_publishing};
pub use temporary::{TEMPORARY_PREFIX, named_temporary, remove_abandoned, remove_own};

/// Returns the folder that holds `path`; the current folder for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Returns where a link leads, so that what is there is replaced and not the link; other paths stay as they are.
pub fn follow_link(path: PathBuf) -> PathBuf {
    let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
    if is_link { fs::canonicalize(&path).unwrap_or(path) } else { path }
}

/// Writes `bytes` to `path` under a temporary name, syncs, and renames over what was there.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = named_temporary(parent(path))?;
    file.write_all(bytes)?;
    publish(file, path, mode)
}

/// Gives a finished temporary file its permissions, its name and place, which outlast a power cut; what was there is
/// replaced.
pub fn publish(file: NamedTempFile, path: &Path, mode: u32) -> io::Result<()> {
    give_name(file, path, mode)?;
    sync_folder(parent(path))
}

/// Does what [`publish`] does, but for the folder: a power cut may leave it without the name, never with half a file.
pub fn give_name(file: NamedTempFile, path: &Path, mode: u32) -> io::Result<std::fs::File> {
    set_mode(file.as_file(), mode)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| with_path(error.error, "cannot write", path))
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
/// A file system without permissions, as on a USB stick, refuses, and that is not a failure: a folder of secrets
/// looks at its permissions itself.
fn set_mode(file: &std::fs::File, mode: u32) -> io::Result<()> {
    match file.set_permissions(std::fs::Permissions::from_mode(mode)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

/// Creates `folder` and its parents if they are missing; a umask of 000 lets nobody else write to them.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|error| with_path(error, "cannot create folder", folder))
}

/// Creates `folder` and its parents if they are missing; only the last one gets `mode`, whatever the umask is.
pub fn create_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    create_folders(parent(folder))?;
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(with_path(error, "cannot create folder", folder)),
        Ok(()) => set_mode(fs::File::open(folder)?.file(), mode),
    }
}

/// Lets only its owner enter a folder of ours that may have been open to others.
///
/// Somebody else's folder stays as it is: its owner decides who shares it.
pub fn close_to_others(folder: &Path) -> io::Result<()> {
    let opened = fs::File::open(folder)?.into_parts().0;
    match opened.metadata()?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => set_mode(&opened, 0o700),
    }
}

/// The file that says what git passes over in its folder.
pub const GIT_IGNORE: &str = ".gitignore";

/// Makes git pass over what matches `patterns` in a folder; returns whether it does.
///
/// A [`GIT_IGNORE`] that says something else is somebody's own, and left alone; one without a word is what a full disk
/// leaves. A folder that cannot be written to holds what it holds: it is used as it is.
pub fn hide_from_git(folder: &Path, patterns: &str) -> io::Result<bool> {
    let path = folder.join(GIT_IGNORE);
    let mut known = String::new();
    let found = open_regular(&path).and_then(|file| file.take(GIT_IGNORE_LIMIT).read_to_string(&mut known));
    match found {
        Ok(0) => {}
        Ok(_) => return Ok(hides(&known, patterns)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Something else stands there, or it is not for us to read.
        Err(_) => return Ok(false),
    }
    match write_atomic(&path, patterns.as_bytes(), 0o644).map_err(|error| error.kind()) {
        Ok(()) => Ok(true),
        Err(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => Ok(false),
        Err(kind) => Err(with_path(kind.into(), "cannot write", &path)),
    }
}

/// The most bytes of a [`GIT_IGNORE`] that are read.
const GIT_IGNORE_LIMIT: u64 = 1024 * 1024;

/// Returns whether a list has each of the patterns, or one for everything; that of the list itself is not needed.
fn hides(known: &str, patterns: &str) -> bool {
    let plain = |pattern: &str| pattern.trim().trim_start_matches('/').to_owned();
    let known: Vec<String> = known.lines().map(plain).collect();
    let is_known = |pattern: String| pattern == GIT_IGNORE || known.contains(&pattern);
    known.iter().any(|pattern| pattern == "*") || patterns.lines().map(plain).all(is_known)
}

/// What [`hide_from_git`] writes into a folder that is ours alone.
pub const EVERYTHING: &str = "*\n";

/// Opens a regular file, and nothing else: opening a pipe would wait until somebody writes to it.
pub fn open_regular(path: &Path) -> io::Result<std::fs::File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| with_path(error, "cannot open", path))?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` is not a regular file", path.display())))
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

/// Whether two names may stand for one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// A hard link where there can be one: who writes to one of the names changes both.
    Links,
    /// None but what the file system itself keeps apart (reflinks).
    None,
}

/// Gives `source` a second name, or makes a copy of it with the same mode. The target must not exist.
///
/// What is copied byte by byte passes through what `reader` makes of the file, and fails as it does.
pub fn share<R: Read>(
    source: &Path,
    target: &Path,
    sharing: Sharing,
    reader: impl FnOnce(std::fs::File) -> R,
) -> io::Result<()> {
    if sharing == Sharing::Links && fs::hard_link(source, target).is_ok() {
        return Ok(());
    }
    let input = fs::File::open(source)?.into_parts().0;
    let mode = input.metadata()?.permissions().mode() & 0o777;
    let output = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(target)
        .map_err(|error| with_path(error, "cannot create", target))?;
    let mut output = output;
    set_mode(&output, mode)?;
    if rustix::fs::ioctl_ficlone(&output, &input).is_ok() {
        return Ok(());
    }
    let mut input = BufReader::with_capacity(PIECE, reader(input));
    io::copy(&mut input, &mut output).map(drop).map_err(|error| match error.get_ref() {
        // It says more than where it happened.
        Some(_) => error,
        None => with_path(error, &format!("cannot copy `{}` to", source.display()), target),
    })
}

/// Adds what was being done, and to which path, to an error that names neither.
pub fn with_path(error: io::Error, doing: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{doing} `{}`: {error}", path.display()))
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
    fn only_regular_files_are_opened_and_nothing_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let message = open_regular(path).unwrap_err().to_string();
            assert_eq!(message, format!("`{}` is not a regular file", path.display()));
        }
        create_new(&folder.path().join("file"), b"", 0o600).unwrap();
        open_regular(&folder.path().join("file")).unwrap();
    }

    #[test]
    fn a_second_name_has_the_mode_of_the_first_also_as_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, copy] = ["file", "link", "copy"].map(|name| folder.path().join(name));
        create_new(&file, b"content", 0o444).unwrap();
        share(&file, &link, Sharing::Links, |file| file).unwrap();
        share(&file, &copy, Sharing::None, |file| file).unwrap();
        for path in [file, link, copy] {
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o444,
                "{}",
                path.display()
            );
        }
    }
}
