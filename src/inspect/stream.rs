//! Readers that hash and report what passes through them.

use std::io::{self, Read};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::progress::{Event, Reporter};

/// Passes bytes on while hashing and counting them.
pub(super) struct Hashing<R> {
    inner: R,
    hasher: Hasher,
    size: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self::with(Algorithm::Sha256, inner)
    }

    pub(super) fn with(algorithm: Algorithm, inner: R) -> Self {
        Self { inner, hasher: Hasher::new(algorithm), size: 0 }
    }

    /// Reads what is left, and returns the digest and length of it all.
    pub(super) fn finish(mut self) -> io::Result<(Digest, u64)> {
        let mut buffer = vec![0; 64 * 1024];
        while self.read(&mut buffer)? > 0 {}
        Ok((self.hasher.finish(), self.size))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

/// Tells a reporter how far the reading is.
pub(super) struct Reported<'a, R> {
    pub(super) inner: R,
    pub(super) reporter: &'a dyn Reporter,
}

impl<R: Read> Read for Reported<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.reporter.report(Event::Advanced(read as u64));
        Ok(read)
    }
}

/// Reads a text of at most `limit` bytes; `None` if it has more, or is not UTF-8.
pub(super) fn read_text(input: impl Read, limit: u64) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Ok(None) } else { Ok(String::from_utf8(bytes).ok()) }
}
