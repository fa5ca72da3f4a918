//! What is unpacked has a bound: a small archive may hold any number of bytes.

use std::io::{self, Read};

/// Passes on so many bytes, and fails if there are more.
#[derive(Debug)]
pub struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
    is_exceeded: bool,
}

impl<R: Read> Bounded<R> {
    /// Allows `limit` bytes of `inner`.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, limit, is_exceeded: false }
    }

    /// Allows as many bytes as an archive of so many may unpack to: some layers are holes for the most part.
    pub fn plausible(inner: R, length: u64) -> Self {
        Self::new(inner, length.saturating_mul(100).saturating_add(256 << 20))
    }

    /// Allows fewer bytes in all, those that were read already included.
    pub fn limit_to(&mut self, limit: u64) {
        let read = self.limit - self.left;
        self.limit = limit.min(self.limit);
        self.left = self.limit.saturating_sub(read);
    }

    /// Returns whether there were more, whatever became of the error that said so.
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            // Whether there is more decides between the end and too much.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => {
                    self.is_exceeded = true;
                    Err(io::Error::other(format!(
                        "it unpacks to more than the {} bytes that are plausible for its size",
                        self.limit
                    )))
                }
            };
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}
