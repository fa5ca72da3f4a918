//! Contents that are not whole yet: what is there of them outlives the run, and the next run continues it.
//!
//! `<store>/partial/<name>` holds the bytes of a content from the first one on; the name says its digest
//! (`sha256-<hex>`). Beside it, `<name>.tag` is the entity tag of the answer that the bytes came with, if there was
//! one; `<name>.<start>` are bytes further behind ([`Part`](super::Part)). However a run ends, by error, signal, `kill -9` or a full disk, these files stay;
//! [`DiskStore::forget_partials`] removes those that nobody continues. A content that nobody can name beforehand is not
//! continued: nothing would say that its parts belong together.
//!
//! Whoever works on one holds its lock, which the kernel releases however the process ends. Who comes second waits,
//! and then finds the content in the store. Where a file system has no locks, nothing is kept.
//!
//! # Why
//! What is kept is not believed: it is hashed again from its first byte, and only a whole content that is right gets
//! a name in the store. If it is wrong, what was kept is thrown away and everything is fetched anew, once.

use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use tempfile::{NamedTempFile, TempPath};

use super::DiskStore;
use super::wanted::{Kept, Wanted};
use crate::digest::Digest;
use crate::fs::{create_folder, named_temporary, open_below, parent, with_path};

/// The folder of the store where they are.
pub(super) const FOLDER: &str = "partial";

/// The most bytes an entity tag may have.
const LONGEST_TAG: u64 = 1024;

impl DiskStore {
    /// Removes what is kept of contents that nobody has continued since `oldest` (seconds since 1970), or that are
    /// whole in the store. What somebody works on stays.
    pub fn forget_partials(&self, oldest: u64) -> io::Result<()> {
        let folder = self.root().join(FOLDER);
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let of_content = name.split('.').next().unwrap_or_default();
            let digest = of_content.replacen('-', ":", 1).parse::<Digest>();
            let is_whole = digest.is_ok_and(|digest| self.size(&digest).is_some());
            let is_old = u64::try_from(found.mtime()).is_ok_and(|written| written < oldest);
            let is_alone = name.ends_with(TAG) && !path.with_extension("").exists();
            if found.is_symlink() {
                fs::remove_file(&path)?;
            } else if found.is_file() && (is_whole || is_old || is_alone) {
                remove_unless_locked(&path)?;
            }
        }
        Ok(())
    }
}

fn remove_unless_locked(path: &Path) -> io::Result<()> {
    let Ok(file) = fs::File::open(path) else { return Ok(()) };
    if flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The extension of an entity tag's file, with its dot.
const TAG: &str = ".tag";

/// The file of a content that is not whole; ours alone while this lives.
#[derive(Debug)]
pub(super) struct Partial {
    temporary: NamedTempFile,
    /// Where the entity tag is; `None` if the file is gone with the run.
    tag: Option<PathBuf>,
}

impl Partial {
    /// Waits until nobody else has the file, and takes it; `None` once the content is there.
    pub(super) fn claim(folder: &Path, name: &str, is_there: impl Fn() -> bool) -> io::Result<Option<Self>> {
        let path = folder.join(name);
        loop {
            if is_there() {
                return Ok(None);
            }
            create_folder(folder, 0o755)?;
            let file = open_own(&path)?;
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => {
                    // No locks here: a file of our own cannot be anybody else's.
                    let temporary = named_temporary(folder)?;
                    return Ok(Some(Self { temporary, tag: None }));
                }
            }
            // Whoever had it may have given it its name meanwhile, or thrown it away.
            let (ours, named) = (file.metadata()?, fs::symlink_metadata(&path));
            if !named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                continue;
            }
            if is_there() {
                fs::remove_file(&path)?;
                return Ok(None);
            }
            let mut temporary = NamedTempFile::from_parts(file, TempPath::try_from_path(&path)?);
            temporary.disable_cleanup(true);
            return Ok(Some(Self { temporary, tag: Some(folder.join(format!("{name}{TAG}"))) }));
        }
    }

    /// Throws away what is too long to be a part of what is wanted; tells whether something is left.
    pub(super) fn prepare(&mut self, wanted: &Wanted<'_>) -> io::Result<bool> {
        let length = self.kept()?.length;
        if length > wanted.most() {
            self.reset()?;
            return Ok(false);
        }
        Ok(length > 0)
    }

    /// Returns what is there.
    pub(super) fn kept(&self) -> io::Result<Kept> {
        let length = self.file().metadata()?.len();
        let entity_tag = self.tag.as_ref().and_then(|path| {
            let mut text = String::new();
            let file = open_below(parent(path), path.file_name()?.to_str()?).ok()??;
            file.take(LONGEST_TAG).read_to_string(&mut text).ok()?;
            Some(text)
        });
        Ok(Kept { length, total: None, entity_tag: entity_tag.filter(|tag| !tag.is_empty() && length > 0) })
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.set_tag(None)?;
        self.file().set_len(0)
    }

    /// Remembers the entity tag of the answer that the bytes come with.
    pub(super) fn set_tag(&self, tag: Option<&str>) -> io::Result<()> {
        let Some(path) = &self.tag else { return Ok(()) };
        match tag {
            Some(tag) => {
                let mut file = open_own(path)?;
                file.set_len(0)?;
                file.write_all(tag.as_bytes())
            }
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }

    /// Returns the file.
    pub(super) fn file(&self) -> &std::fs::File {
        self.temporary.as_file()
    }

    /// Leaves what is there to the next run.
    pub(super) fn leave(self) {
        if self.file().metadata().is_ok_and(|found| found.len() == 0) {
            self.remove();
        }
    }

    /// Leaves nothing.
    pub(super) fn remove(mut self) {
        // The next run removes what cannot be removed now.
        let _best_effort = self.set_tag(None);
        self.temporary.disable_cleanup(false);
    }

    /// Returns the file, complete now: gone when dropped.
    pub(super) fn into_temporary(mut self) -> NamedTempFile {
        let _best_effort = self.set_tag(None);
        self.temporary.disable_cleanup(false);
        self.temporary
    }
}

/// Opens a file of this folder, which its owner alone may read, to read it and write to it; it is made if it is missing.
///
/// A link, a pipe, or a second name of a file elsewhere is taken out: nothing is written through it.
pub(super) fn open_own(path: &Path) -> io::Result<std::fs::File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(flags.bits().cast_signed());
    loop {
        match options.open(path) {
            Ok(file) => {
                let found = file.metadata()?;
                if found.is_file() && found.nlink() <= 1 {
                    return Ok(file);
                }
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {}
            // The name of the folder says enough: the file's is a digest that the error names anyway.
            Err(error) => return Err(with_path(error, "cannot create a file in", parent(path))),
        }
        fs::remove_file(path)?;
    }
}
