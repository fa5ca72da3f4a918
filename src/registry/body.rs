//! Bodies: their errors say whose they are, and they end where they must.

use std::io::{self, Read};

use reqwest::blocking::Response;

use super::fault::Fault;
use super::transport::Answer;
use crate::oci::{SourceError, SourceErrorKind};

/// A body that breaks off; the cause is the [`Fault`].
#[derive(Debug, thiserror::Error)]
#[error("the answer to {origin} breaks off")]
struct BrokenOff {
    origin: String,
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

/// Reads a body up to a limit; one byte more is an error of kind [`io::ErrorKind::InvalidData`].
#[derive(Debug)]
pub(super) struct Body {
    response: Response,
    origin: String,
    limit: u64,
    left: u64,
}

impl Body {
    /// Returns the body of an answer, at most `limit` bytes of it.
    pub(super) fn new(answer: Answer, limit: u64) -> Self {
        let origin = answer.origin.clone();
        Self { response: answer.into_body(), origin, limit, left: limit }
    }

    /// Reads everything into memory.
    pub(super) fn read_whole(mut self) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(as_source_error(error)),
        }
    }
}

/// Turns an error of reading a body into one of the source, with the same words.
pub(super) fn as_source_error(error: io::Error) -> SourceError {
    let kind = match error.kind() == io::ErrorKind::InvalidData {
        true => SourceErrorKind::Invalid,
        false => SourceErrorKind::Connection,
    };
    let message = error.to_string();
    let fault = error.into_inner().and_then(|inner| inner.downcast::<BrokenOff>().ok());
    let error = SourceError::new(kind, message);
    match fault {
        Some(broken) => error.caused_by(broken.fault),
        None => error,
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.response.read(buffer).map_err(|error| {
            let fault = Fault::of(&error);
            io::Error::new(fault.io_kind(), BrokenOff { origin: self.origin.clone(), fault })
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
