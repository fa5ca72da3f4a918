//! What a run that is cut short leaves for the next one to go on with.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use super::DiskStore;
use super::partial::{FOLDER, open_own};
use crate::digest::Digest;
use crate::fs::create_folder;

/// The most bytes of a note that are read.
const LIMIT: usize = 16 * 1024;

/// A text about one thing, which its owner alone may read; ours alone while this lives.
///
/// It is advice: a power cut may take a part of it, and whoever reads it has to see whether it is still true. It goes
/// the way of other partial contents when nobody continues it ([`DiskStore::forget_partials`]).
#[derive(Debug)]
pub struct Note {
    file: File,
    path: PathBuf,
}

impl DiskStore {
    /// Opens the note about `subject`, empty if there is none; `None` if somebody else has it, or if nothing can be
    /// kept here.
    pub fn note(&self, subject: &str) -> Option<Note> {
        let folder = self.root().join(FOLDER);
        create_folder(&folder, 0o755).ok()?;
        let path = folder.join(format!("note-{}", Digest::sha256(subject.as_bytes()).hex()));
        let file = open_own(&path).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Note { file, path })
    }
}

impl Note {
    /// Returns what it says; an empty text if that cannot be read.
    pub fn text(&self) -> String {
        let mut bytes = vec![0; LIMIT];
        let length = self.file.read_at(&mut bytes, 0).unwrap_or_default();
        bytes.truncate(length);
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// Makes it say something else.
    pub fn write(&self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

impl Drop for Note {
    /// Removes a note that says nothing.
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|found| found.len() == 0) {
            // What stays is removed with other partial contents.
            let _removed = fs::remove_file(&self.path);
        }
    }
}
