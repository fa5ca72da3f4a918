//! Bodies: their errors say whose they are, and they end where they must.

use std::io::{self, Read};
use std::sync::Arc;

use super::fault::Fault;
use super::retry::{Failure, Patience};
use super::transport::{Answer, Content};
use crate::oci::{SourceError, SourceErrorKind};
use crate::store::Mismatch;

/// A body that breaks off; the cause is the [`Fault`].
#[derive(Debug, thiserror::Error)]
#[error("the answer to {origin} breaks off{attempts}")]
pub(super) struct BrokenOff {
    origin: String,
    host: String,
    /// How often it was asked for, if more than once.
    attempts: String,
    #[source]
    fault: Fault,
}

/// A body that is longer than what is taken.
#[derive(Debug, thiserror::Error)]
#[error("the answer to {origin} is longer than the {limit} bytes that are allowed")]
struct TooLong {
    origin: String,
    limit: u64,
}

impl BrokenOff {
    /// Returns the host it came from, and the failure that it is, if asking again may help.
    pub(super) fn failure(&self) -> Option<(&str, Failure)> {
        self.fault.is_passing().then(|| (self.host.as_str(), Failure::BrokenOff(self.fault.clone())))
    }

    /// Returns the same after so many attempts.
    pub(super) fn after(self, attempts: String) -> Self {
        Self { attempts, ..self }
    }

    /// Returns it as an error of a reader.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::new(self.fault.io_kind(), self)
    }

    /// Returns it as an error of the source, with the same words.
    fn into_source(self) -> SourceError {
        SourceError::new(SourceErrorKind::Connection, self.to_string()).caused_by(self.fault)
    }
}

/// Reads a body up to a limit; one byte more is an error of kind [`io::ErrorKind::InvalidData`].
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    origin: String,
    limit: u64,
    left: u64,
}

impl Body {
    /// Returns the body of an answer, at most `limit` bytes of it.
    pub(super) fn new(answer: Answer, limit: u64) -> Self {
        let origin = answer.origin.clone();
        Self { content: answer.into_content(), origin, limit, left: limit }
    }

    /// Reads everything into memory.
    pub(super) fn read_whole(mut self) -> Result<Vec<u8>, Stopped> {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer).map_err(|error| {
            let (origin, host) = (self.origin.clone(), self.content.host.clone());
            BrokenOff { origin, host, attempts: String::new(), fault: Fault::of(&error) }.into_io()
        })?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let too_long = TooLong { origin: self.origin.clone(), limit: self.limit };
                return Err(io::Error::new(io::ErrorKind::InvalidData, too_long));
            }
        }
        Ok(read)
    }
}

/// Why something small, which is read whole, did not come.
pub(super) enum Stopped {
    /// Its body broke off: the whole may be asked for again.
    Early(BrokenOff),
    /// It came, and is not what its digest says: it may be asked for once more.
    Wrong(SourceError),
    /// Anything else; what may pass was tried again already.
    For(SourceError),
}

impl Stopped {
    /// Returns that the answer to `origin` is wrong.
    pub(super) fn wrong(origin: &str, mismatch: Mismatch) -> Self {
        let error = SourceError::new(SourceErrorKind::Invalid, format!("the answer to {origin} is wrong"));
        Self::Wrong(error.caused_by(mismatch))
    }
}

impl From<SourceError> for Stopped {
    fn from(error: SourceError) -> Self {
        Self::For(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        match error.downcast::<BrokenOff>() {
            Ok(broken) => Self::Early(broken),
            Err(error) => Self::For(SourceError::new(SourceErrorKind::Invalid, error.to_string())),
        }
    }
}

/// Asks for something small until its body comes whole, or the policy's patience ends.
pub(super) fn until_whole<T>(
    patience: &Arc<Patience>,
    mut ask: impl FnMut() -> Result<T, Stopped>,
) -> Result<T, SourceError> {
    let mut attempts = patience.attempts();
    let mut was_wrong = false;
    loop {
        let broken = match ask() {
            Ok(whole) => return Ok(whole),
            Err(Stopped::Wrong(_)) if !std::mem::replace(&mut was_wrong, true) => continue,
            Err(Stopped::Wrong(error) | Stopped::For(error)) => return Err(error),
            Err(Stopped::Early(broken)) => broken,
        };
        let wait = broken.failure().and_then(|(host, failure)| attempts.next(host, &failure));
        let Some(wait) = wait else { return Err(broken.after(attempts.shown()).into_source()) };
        attempts.wait(wait);
    }
}
