//! A reader that vouches for what passed through it.

use std::io::{self, Read};

use crate::digest::{Digest, Hasher};

/// Why content is not what its descriptor says.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Mismatch {
    /// The content ended early.
    #[error("blob {digest} is truncated: {actual} of {expected} bytes arrived")]
    Truncated {
        /// The blob.
        digest: Digest,
        /// Its announced length.
        expected: u64,
        /// The length that arrived.
        actual: u64,
    },
    /// The content did not end where it should.
    #[error("blob {digest} is longer than the {expected} bytes it was announced with")]
    Oversized {
        /// The blob.
        digest: Digest,
        /// Its announced length.
        expected: u64,
    },
    /// The content has the right length and is something else.
    #[error("blob {expected} has the wrong content: it hashes to {actual}")]
    WrongContent {
        /// The digest it was asked for by.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
}

/// Passes bytes on while hashing and counting them; the end of the content fails if it is not as expected.
///
/// The check happens inside the `read` that finds the end: who read to the end without an error has verified
/// content. Errors are [`io::ErrorKind::InvalidData`] with a [`Mismatch`] inside.
#[derive(Debug)]
pub struct VerifyReader<R> {
    inner: R,
    expected: Digest,
    size: u64,
    hasher: Option<Hasher>,
    seen: u64,
}

impl<R: Read> VerifyReader<R> {
    /// Wraps `inner`, which must hold exactly `size` bytes with the digest `expected`.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        let hasher = Some(Hasher::new(expected.algorithm()));
        Self { inner, expected, size, hasher, seen: 0 }
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let digest = self.expected.clone();
        if self.seen < self.size {
            return fail(Mismatch::Truncated { digest, expected: self.size, actual: self.seen });
        }
        let actual = hasher.finish();
        if actual != digest {
            return fail(Mismatch::WrongContent { expected: digest, actual });
        }
        Ok(())
    }
}

fn fail<T>(mismatch: Mismatch) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, mismatch))
}

impl<R: Read> Read for VerifyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buffer)?;
        if read == 0 {
            self.finish()?;
            return Ok(0);
        }
        self.seen += read as u64;
        // The size comes first: a registry may send more than it announced, without end.
        if self.seen > self.size {
            return fail(Mismatch::Oversized { digest: self.expected.clone(), expected: self.size });
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..read]);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(content: &[u8], digest: &Digest, size: u64) -> Result<Vec<u8>, Mismatch> {
        let mut bytes = Vec::new();
        match VerifyReader::new(content, digest.clone(), size).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => {
                Err(error.into_inner().unwrap().downcast::<Mismatch>().map(|boxed| *boxed).unwrap())
            }
        }
    }

    #[test]
    fn only_the_announced_content_passes() {
        let digest = Digest::sha256(b"content");
        assert_eq!(read_all(b"content", &digest, 7).unwrap(), b"content");
        assert!(matches!(read_all(b"conten", &digest, 7), Err(Mismatch::Truncated { actual: 6, .. })));
        assert!(matches!(read_all(b"content!", &digest, 7), Err(Mismatch::Oversized { .. })));
        assert!(matches!(read_all(b"c0ntent", &digest, 7), Err(Mismatch::WrongContent { .. })));
        assert!(matches!(read_all(b"", &digest, 7), Err(Mismatch::Truncated { actual: 0, .. })));
    }

    #[test]
    fn empty_content_is_checked_too() {
        assert_eq!(read_all(b"", &Digest::sha256(b""), 0).unwrap(), b"");
        assert!(matches!(read_all(b"", &Digest::sha256(b"x"), 0), Err(Mismatch::WrongContent { .. })));
    }
}
