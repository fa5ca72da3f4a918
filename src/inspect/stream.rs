//! Readers that bound, hash and report what passes through them.

use std::io::{self, Read};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::progress::{Event, Reporter};

/// Passes on so many bytes, and fails if there are more.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, limit }
    }

    /// Allows fewer bytes in all, those that were read already included.
    pub(super) fn limit_to(&mut self, limit: u64) {
        let read = self.limit - self.left;
        self.limit = limit.min(self.limit);
        self.left = self.limit.saturating_sub(read);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            // Whether there is more decides between the end and too much.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other(format!(
                    "it unpacks to more than the {} bytes that are plausible for its size",
                    self.limit
                ))),
            };
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

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
        self.reporter.report(Event::Advanced { bytes: read as u64 });
        Ok(read)
    }
}

/// Reads a text of at most `limit` bytes; `None` if it has more, or is not UTF-8.
pub(super) fn read_text(input: impl Read, limit: u64) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Ok(None),
        false => Ok(String::from_utf8(bytes).ok()),
    }
}
