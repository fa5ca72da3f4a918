//! What is sent with a request.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use reqwest::blocking;

/// A content to send; it can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// What is sent.
    pub(super) content: Sent,
    /// The `Content-Type`.
    pub(super) media_type: String,
    /// The `Content-Range` of a part.
    pub(super) range: Option<String>,
}

/// Where the bytes of an [`Upload`] are.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, from an offset on, so many bytes.
    Part(Arc<File>, u64, u64),
}

impl Sent {
    /// Returns how many bytes it has.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(_, _, length) => *length,
        }
    }

    /// Returns it as the HTTP client takes it.
    pub(super) fn body(&self) -> blocking::Body {
        match self {
            Self::Bytes(bytes) => bytes.clone().into(),
            Self::Part(file, offset, length) => {
                let part = FilePart { file: Arc::clone(file), offset: *offset, end: offset + length };
                blocking::Body::sized(part, *length)
            }
        }
    }
}

/// Reads a part of a file without moving anybody's position.
struct FilePart {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for FilePart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
