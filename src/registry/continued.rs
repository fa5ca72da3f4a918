//! A large body that goes on where it broke off.

use std::io::{self, Read};
use std::sync::Arc;

use super::body::BrokenOff;
use super::fault::Fault;
use super::retry::{Attempts, Failure, Patience};
use crate::digest::{Algorithm, Hasher};
use crate::oci::SourceError;
use crate::store::Opened;

/// So many bytes are worth a new beginning of counting failures: less would let a server hand out single bytes forever,
/// and more would end runs on a line that is cut every minute.
const WORTH_COUNTING: u64 = 256 * 1024;

/// Opens the rest of a content from a byte on: what comes may begin with an earlier one. If its length is that byte, the
/// content ends there, whatever was announced.
pub(super) type Reopen = Box<dyn FnMut(u64) -> Result<Opened, SourceError> + Send>;

/// Who vouches that answers belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voucher {
    /// The reader's digest, or an entity tag.
    Other,
    /// Nobody: what comes again must be what came before.
    Nobody,
}

/// What comes again is not what came before.
#[derive(Debug, thiserror::Error)]
#[error("the content at {0} changed while it was read")]
struct Changed(String);

/// Reads a content to its end, from as many answers as that takes. Nothing of it is verified here.
pub(super) struct Continued {
    current: Box<dyn Read + Send>,
    reopen: Reopen,
    /// What is read, for errors.
    origin: String,
    /// From which host.
    host: String,
    /// The next byte.
    position: u64,
    /// Where the content ends, if that is known.
    end: Option<u64>,
    /// How much of `current` was read before, from an answer that broke off.
    known: u64,
    /// The hash of all that was read, and of what came again of it.
    seen: Option<(Hasher, Hasher)>,
    /// The bytes since the last failure.
    since_failure: u64,
    attempts: Attempts,
}

impl Continued {
    /// Returns a content up to its length, which `opened` begins.
    pub(super) fn new(opened: Opened, host: String, patience: &Arc<Patience>, reopen: Reopen) -> Self {
        let Opened { from: position, length: end, entity_tag: _, origin, reader: current } = opened;
        let (known, seen, since_failure, attempts) = (0, None, 0, patience.attempts());
        Self { current, reopen, origin, host, position, end, known, seen, since_failure, attempts }
    }

    /// Has what comes again compared, if nobody vouches for it; the content must begin with its first byte.
    pub(super) fn vouched_by(self, voucher: Voucher) -> Self {
        let hasher = || Hasher::new(Algorithm::Sha256);
        let seen = (voucher == Voucher::Nobody).then(|| (hasher(), hasher()));
        Self { seen, ..self }
    }

    fn is_at_its_end(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// Reads on in the current answer, past what was read before.
    fn read_current(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.known > 0 && !buffer.is_empty() {
            let length = buffer.len().min(usize::try_from(self.known).unwrap_or(usize::MAX));
            let read = self.current.read(&mut buffer[..length])?;
            if read == 0 {
                return Ok(0);
            }
            self.known -= read as u64;
            self.compare(&buffer[..read])?;
        }
        let read = self.current.read(buffer)?;
        if let Some((seen, _)) = &mut self.seen {
            seen.update(&buffer[..read]);
        }
        Ok(read)
    }

    fn compare(&mut self, again: &[u8]) -> io::Result<()> {
        let Some((seen, repeated)) = &mut self.seen else { return Ok(()) };
        repeated.update(again);
        if self.known == 0 && repeated.clone().finish() != seen.clone().finish() {
            let changed = Changed(self.origin.clone());
            return Err(io::Error::new(io::ErrorKind::InvalidData, changed));
        }
        Ok(())
    }

    /// Takes note of a failure; returns whether there is another attempt, which then has begun.
    fn begins_again(&mut self, host: &str, failure: &Failure) -> io::Result<bool> {
        if self.since_failure >= WORTH_COUNTING {
            self.attempts.progressed();
        }
        self.since_failure = 0;
        let Some(wait) = self.attempts.next(host, failure) else { return Ok(false) };
        // The connection is closed, and its place at the host free, before anybody waits.
        self.current = Box::new(io::empty());
        self.attempts.wait(wait);
        let Opened { reader, from, length, .. } = (self.reopen)(self.position).map_err(io::Error::other)?;
        if from == self.position && length == Some(from) {
            self.end = length;
        }
        (self.current, self.known) = (reader, self.position - from.min(self.position));
        if let Some((_, repeated)) = &mut self.seen {
            *repeated = Hasher::new(Algorithm::Sha256);
        }
        Ok(true)
    }
}

impl Read for Continued {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let error = match self.read_current(buffer) {
                Ok(0) if !buffer.is_empty() && self.end.is_some() && !self.is_at_its_end() => None,
                Ok(read) => {
                    self.position += read as u64;
                    self.since_failure += read as u64;
                    return Ok(read);
                }
                // All is there; how the answer ended is of no matter.
                Err(_) if self.is_at_its_end() => return Ok(0),
                Err(error) => Some(error),
            };
            let Some(error) = error else {
                let host = self.host.clone();
                if self.begins_again(&host, &Failure::BrokenOff(Fault::Closed))? {
                    continue;
                }
                // How much is missing is said by whoever verifies.
                return Ok(0);
            };
            let broken = error.downcast::<BrokenOff>()?;
            let again = match broken.failure() {
                Some((host, failure)) => self.begins_again(host, &failure)?,
                None => false,
            };
            if !again {
                return Err(broken.after(self.attempts.shown()).into_io());
            }
        }
    }
}
