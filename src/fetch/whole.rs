//! A content into the store, from whichever place gives it right.
//!
//! Only the whole of a content can be verified, so wrong bytes are found out at its end. What gives it is then told, and if
//! it is to be had again, from another place or once more from the same, it is fetched from its first byte: nothing of
//! what was wrong is kept.

use std::cell::RefCell;
use std::io::Read;

use crate::oci::{ImageSource, Reference, SourceError, SourceErrorKind};
use crate::store::{
    CompleteError, Completed, Descriptor, DiskStore, Kept, Mismatch, Opened, StoreError, Wanted,
};

/// How many bytes of a blob came; `None` if it was there.
pub type Streamed = Result<Option<u64>, CompleteError<SourceError>>;

/// Returns what is wrong with bytes that came, if they all came.
pub fn wrong<T>(result: &Result<T, CompleteError<SourceError>>) -> Option<&Mismatch> {
    match result {
        Err(CompleteError::Store(StoreError::Mismatch(
            mismatch @ (Mismatch::WrongContent { .. } | Mismatch::Oversized { .. }),
        ))) => Some(mismatch),
        Ok(_) | Err(_) => None,
    }
}

/// Completes a content as long as `is_to_be_had_again` says so of what failed.
pub fn complete<R: Read>(
    store: &DiskStore,
    wanted: &Wanted<'_>,
    open: impl Fn(&Kept) -> Result<Opened<R>, SourceError>,
    mut advance: impl FnMut(u64),
    is_to_be_had_again: impl Fn(&Result<Completed, CompleteError<SourceError>>) -> bool,
) -> Result<Completed, CompleteError<SourceError>> {
    loop {
        let result = store.complete_staged(wanted, &open, &mut advance);
        if result.is_ok() || !is_to_be_had_again(&result) {
            return result;
        }
    }
}

/// A blob of an image, and what gives it.
#[derive(Clone, Copy)]
pub struct Blob<'a> {
    /// What gives it.
    pub source: &'a dyn ImageSource,
    /// An image that it is of.
    pub reference: &'a Reference,
    /// The blob.
    pub descriptor: &'a Descriptor,
}

impl Blob<'_> {
    /// Fetches it, or what is missing of it, by one connection after the other.
    ///
    /// `advance` hears of every piece of bytes, and `begins_anew` when all of them come again.
    pub fn fetch(&self, store: &DiskStore, advance: impl FnMut(u64), begins_anew: impl Fn()) -> Streamed {
        let Self { source, reference, descriptor } = *self;
        let origin = RefCell::new(String::new());
        let open = |kept: &Kept| {
            let part = source.blob_part(reference, descriptor, kept.length..descriptor.size)?;
            *origin.borrow_mut() = part.origin;
            Ok(Opened::at(kept.length, part.reader))
        };
        let is_to_be_had_again = |result: &_| {
            let is_again = wrong(result).is_some_and(|why| source.distrust(reference, descriptor, why));
            if is_again {
                begins_anew();
            }
            is_again
        };
        let result = complete(store, &Wanted::described(descriptor), open, advance, is_to_be_had_again);
        if let Some(mismatch) = wrong(&result) {
            let message = format!("{} is wrong", origin.into_inner());
            let error = SourceError::new(SourceErrorKind::Invalid, message).caused_by(mismatch.clone());
            return Err(CompleteError::Open(error));
        }
        match result? {
            Completed::Present => Ok(None),
            Completed::Staged { staged, fetched, .. } => {
                store.keep(staged)?;
                Ok(Some(fetched))
            }
        }
    }
}
