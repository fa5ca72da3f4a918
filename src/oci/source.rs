//! Where images come from: a registry, a layout, an archive.

use std::io::{self, Read};
use std::ops::Range;

use super::Reference;
use crate::store::{Descriptor, Mismatch};

/// Why a source did not give what was asked for, as far as a user can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// No such image, tag or blob.
    NotFound,
    /// Credentials are missing, wrong, or do not suffice.
    Denied,
    /// The source asks for fewer requests.
    RateLimited,
    /// No connection: name, route, proxy, TLS, timeout, reset.
    Connection,
    /// An answer that the specification does not allow, or content that is not what it should be.
    Invalid,
    /// It is not here, and nobody may be asked.
    Offline,
    /// A layout or archive on this machine cannot be read, or its files are not what they should be.
    Local,
    /// A layout or archive on this machine does not have the image.
    NotInLayout,
    /// A manifest or blob that its digest names is not there, though something refers to it.
    ContentNotFound,
    /// Another server, to which the source leads, refuses what it was asked for.
    RefusedElsewhere,
    /// It is there, and of a kind that is not supported.
    Unsupported,
    /// The store cannot be read or written.
    Store,
}

/// What a source could not do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What the user can do something about.
    pub kind: SourceErrorKind,
    /// What was asked, of whom, and what came back; without credentials.
    pub message: String,
    /// The cause below, if there is one.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceErrorKind {
    /// Returns whether it only says that something is not there.
    pub fn is_lack(self) -> bool {
        matches!(self, Self::NotFound | Self::NotInLayout | Self::ContentNotFound)
    }
}

impl SourceError {
    /// Returns an error without a deeper cause.
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None }
    }

    /// Returns the same error with its cause.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }
}

/// Something that images can be read from. All calls may come from several threads at once.
pub trait ImageSource: Send + Sync {
    /// Returns what a reference's digest, else its tag, stands for now, without fetching it where possible.
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError>;

    /// Returns the raw bytes of a manifest of the reference's repository.
    ///
    /// At most [`MANIFEST_LIMIT`](super::MANIFEST_LIMIT) bytes; size and digest are verified.
    fn manifest(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError>;

    /// Opens a part of a blob of the reference's repository, for a caller that has the rest or fetches it elsewhere.
    ///
    /// The part lies within the descriptor's size, and is not empty unless the blob is. The reader begins with the
    /// part's first byte, whether the source can begin there or not. What it gives is not verified: only the whole blob
    /// can be. A reader that ends early was cut.
    fn blob_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError>;

    /// Returns whether contents come over a network, so that several connections may be faster than one.
    fn is_remote(&self, _reference: &Reference) -> bool {
        false
    }

    /// Hears that what it gave of a blob is wrong; tells whether the next request for it is answered otherwise.
    fn distrust(&self, _reference: &Reference, _descriptor: &Descriptor, _why: &Mismatch) -> bool {
        false
    }

    /// Opens a whole blob of the reference's repository. What the reader gives is not verified yet, and may be more.
    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(self.blob_part(reference, descriptor, 0..descriptor.size)?.reader)
    }
}

/// A part of a blob, opened.
pub struct BlobPart {
    /// The bytes from the part's first one on, not verified.
    pub reader: Box<dyn Read + Send>,
    /// Whether the source gives the whole blob, because that is what was asked for or because it knows no parts.
    ///
    /// What lies before the part is then read and thrown away at the first read, and the reader goes on behind the
    /// part, to wherever the source ends. Whoever fetches several parts of a blob at once had better stop that.
    pub is_of_whole: bool,
    /// What gives it, for errors: `the answer to GET …`, a file.
    pub origin: String,
}

impl std::fmt::Debug for BlobPart {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BlobPart").field("is_of_whole", &self.is_of_whole).finish_non_exhaustive()
    }
}

impl BlobPart {
    /// Returns a part that `reader` gives, and nothing else.
    pub fn exact(reader: impl Read + Send + 'static, origin: String) -> Self {
        Self { reader: Box::new(reader), is_of_whole: false, origin }
    }

    /// Returns what `whole` gives from `start` on.
    pub fn of_whole(whole: impl Read + Send + 'static, start: u64, origin: String) -> Self {
        Self { reader: Box::new(Skipping { whole, left: start }), is_of_whole: true, origin }
    }
}

/// Reads past what lies before a part.
struct Skipping<R> {
    whole: R,
    left: u64,
}

impl<R: Read> Read for Skipping<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left > 0 && !buffer.is_empty() {
            let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            match self.whole.read(&mut buffer[..length])? {
                0 => return Ok(0),
                read => self.left -= read as u64,
            }
        }
        self.whole.read(buffer)
    }
}
