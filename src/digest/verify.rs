//! A reader that vouches for what passed through it.

use std::error::Error;
use std::io::{self, Read};

use crate::digest::{Digest, Hasher};

/// Why content is not what its descriptor says.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
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
    #[error("blob {0} is longer than the {1} bytes it was announced with")]
    Oversized(Digest, u64),
    /// The content has the right length and is something else.
    #[error("blob {expected} has the wrong content: it hashes to {actual}")]
    WrongContent {
        /// The digest it was asked for by.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
}

impl Mismatch {
    /// Returns the blob that was asked for.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Truncated { digest, .. } | Self::Oversized(digest, _) => digest,
            Self::WrongContent { expected, .. } => expected,
        }
    }

    /// Returns the mismatch that an error, or one of its causes, is about.
    pub fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(mismatch) = error.downcast_ref().or_else(|| inner?.downcast_ref()) {
                return Some(mismatch);
            }
            next = error.source();
        }
        None
    }
}

/// Passes bytes on while hashing and counting them; the end of the content fails if it is not as expected.
///
/// The check happens inside the `read` that finds the end: who read to the end without an error has verified
/// content. Errors are [`io::ErrorKind::InvalidData`] with a [`Mismatch`] inside, and come again on every
/// further `read`.
#[derive(Debug)]
pub struct VerifyReader<R> {
    inner: R,
    expected: Digest,
    size: u64,
    seen: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading(Hasher),
    Verified,
    Refused(Mismatch),
}

impl<R: Read> VerifyReader<R> {
    /// Wraps `inner`, which must hold exactly `size` bytes with the digest `expected`.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        let state = State::Reading(Hasher::new(expected.algorithm()));
        Self { inner, expected, size, seen: 0, state }
    }

    /// Judges the content at its end.
    fn verdict(&self, hasher: Hasher) -> State {
        let (digest, expected) = (self.expected, self.size);
        if self.seen < expected {
            return State::Refused(Mismatch::Truncated { digest, expected, actual: self.seen });
        }
        match hasher.finish() {
            actual if actual == digest => State::Verified,
            actual => State::Refused(Mismatch::WrongContent { expected: digest, actual }),
        }
    }
}

impl<R: Read> Read for VerifyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let State::Reading(hasher) = &mut self.state {
            let read = self.inner.read(buffer)?;
            self.seen += read as u64;
            hasher.update(&buffer[..read]);
            // The size comes first: a registry may send more than it announced, without end.
            if self.seen > self.size {
                let digest = self.expected;
                self.state = State::Refused(Mismatch::Oversized(digest, self.size));
            } else if read > 0 {
                return Ok(read);
            } else {
                let hasher = hasher.clone();
                self.state = self.verdict(hasher);
            }
        }
        match &self.state {
            State::Refused(mismatch) => Err(io::Error::new(io::ErrorKind::InvalidData, mismatch.clone())),
            State::Reading(_) | State::Verified => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(content: &[u8], digest: &Digest, size: u64) -> Result<Vec<u8>, Mismatch> {
        let mut bytes = Vec::new();
        match VerifyReader::new(content, *digest, size).read_to_end(&mut bytes) {
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
        assert!(matches!(read_all(b"content!", &digest, 7), Err(Mismatch::Oversized(..))));
        assert!(matches!(read_all(b"c0ntent", &digest, 7), Err(Mismatch::WrongContent { .. })));
        assert!(matches!(read_all(b"", &digest, 7), Err(Mismatch::Truncated { actual: 0, .. })));
    }

    #[test]
    fn who_reads_on_after_an_error_gets_it_again() {
        for content in [&b"conten"[..], b"content!", b"c0ntent"] {
            let mut reader = VerifyReader::new(content, Digest::sha256(b"content"), 7);
            let first = reader.read_to_end(&mut Vec::new()).unwrap_err().to_string();
            assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap_err().to_string(), first);
        }
    }

    #[test]
    fn empty_content_is_checked_too() {
        assert_eq!(read_all(b"", &Digest::sha256(b""), 0).unwrap(), b"");
        assert!(matches!(read_all(b"", &Digest::sha256(b"x"), 0), Err(Mismatch::WrongContent { .. })));
    }
}
