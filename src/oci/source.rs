//! Where images come from: a registry, a layout, an archive.

use std::io::Read;

use super::Reference;
use crate::store::Descriptor;

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

    /// Opens a blob of the reference's repository. What the reader gives is not verified yet.
    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError>;
}
