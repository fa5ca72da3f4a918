//! A content on its way: what is wanted, what is kept of it, and what is whole and has no name yet.

use std::io::{self, Read};

use tempfile::NamedTempFile;

use super::Descriptor;
use crate::digest::Digest;

/// A content that is to be completed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its digest.
    pub digest: &'a Digest,
    /// Its length, if it is known, else the most bytes that it may have.
    pub size: Size,
}

/// How long a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Exactly so many bytes.
    Exactly(u64),
    /// At most so many bytes.
    AtMost(u64),
}

impl<'a> Wanted<'a> {
    /// Wants what a descriptor describes.
    pub fn described(descriptor: &'a Descriptor) -> Self {
        Self { digest: &descriptor.digest, size: Size::Exactly(descriptor.size) }
    }

    /// Returns its length, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self.size {
            Size::Exactly(size) => Some(size),
            Size::AtMost(_) => None,
        }
    }

    /// Returns the most bytes that it may have.
    pub(super) fn most(&self) -> u64 {
        match self.size {
            Size::Exactly(size) | Size::AtMost(size) => size,
        }
    }
}

/// What is there of a content: for who opens the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many bytes, from the first one on.
    pub length: u64,
    /// How many the whole has, if that is known.
    pub total: Option<u64>,
    /// The strong entity tag of the answer that they came with. Without one nothing but a digest of the whole can say
    /// whether what is kept and what comes belong together.
    pub entity_tag: Option<String>,
}

/// Content that is verified, and has no name in the store yet; if it gets none, it is gone.
#[derive(Debug)]
pub struct Staged {
    pub(super) temporary: NamedTempFile,
    pub(super) digest: Digest,
}

impl Staged {
    /// Opens the content at its beginning.
    pub fn open(&self) -> io::Result<impl Read + use<>> {
        self.temporary.reopen()
    }
}
