//! Content-addressed blobs: their descriptors, how they are verified, where they are kept.
//!
//! A blob has its name only after its size and digest were checked and its bytes are on the disk; so having
//! a name in a [`DiskStore`] means having the content. What is there of a content that is not whole yet is kept
//! apart, and continued by the next run. Nothing here knows what a blob means.

mod complete;
mod disk;
mod mark;
mod note;
mod part;
mod partial;
mod wanted;

use serde::{Deserialize, Serialize};

pub use crate::digest::{Mismatch, VerifyReader};
pub use complete::{CompleteError, Completed, Opened};
pub use disk::{DiskStore, StoreError};
pub use note::Note;
pub use part::Part;
pub use wanted::{Kept, Size, Staged, Wanted};

use crate::digest::Digest;

/// What content is, how long it is, and its digest (OCI image specification, "Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type, as the referring document says it.
    pub media_type: String,
    /// The digest of the raw content.
    pub digest: Digest,
    /// The length in bytes.
    pub size: u64,
}
