//! Parts of a large content that are fetched ahead of where its beginning ends; they too outlive the run.
//!
//! `<store>/partial/<name>.<start>` holds bytes of the content `<name>` from byte `<start>` on, as many as came. They are
//! of whoever works on the content: its beginning's lock says who that is. They are believed no more than that beginning:
//! only the whole is, once it is hashed.

use std::io;
use std::os::unix::fs::FileExt;

use fs_err as fs;

use super::DiskStore;
use super::complete::name_of;
use super::partial::{FOLDER, Partial};
use crate::digest::Digest;

/// What is there of one part. It stays when this is dropped.
#[derive(Debug)]
pub struct Part {
    start: u64,
    length: u64,
    file: Partial,
}

impl DiskStore {
    /// Returns the part of a content that begins at a byte, as far as it is there.
    pub fn part(&self, digest: &Digest, start: u64) -> io::Result<Part> {
        let name = format!("{}.{start}", name_of(digest));
        let file = Partial::claim(&self.root().join(FOLDER), &name, || false)?
            .expect("what is never there already is always claimed");
        let length = file.file().metadata()?.len();
        Ok(Part { start, length, file })
    }

    /// Returns all parts of a content that are there.
    pub fn parts(&self, digest: &Digest) -> io::Result<Vec<Part>> {
        let prefix = format!("{}.", name_of(digest));
        let mut parts = Vec::new();
        for entry in fs::read_dir(self.root().join(FOLDER))? {
            let name = entry?.file_name();
            let start = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
            parts.extend(start.map(|start| self.part(digest, start)).transpose()?);
        }
        Ok(parts)
    }
}

impl Part {
    /// Returns the first byte of the content that is in it.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns one more than the last byte of the content that is in it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Takes in what comes behind it.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.file().write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Reads from a byte of the content on.
    pub fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.file().read_at(buffer, position.saturating_sub(self.start))
    }

    /// Leaves nothing of it.
    pub fn remove(self) {
        self.file.remove();
    }
}
