//! A blob into the store, from whichever place gives it right.
//!
//! Only the whole of a blob can be verified, so wrong bytes are found out at its end. The source is then told, and if it
//! has another place the blob is fetched from there, from its first byte: nothing of what was wrong is kept.

use crate::oci::{ImageSource, Reference, SourceError};
use crate::store::{CompleteError, Descriptor, DiskStore, Kept, Mismatch, Opened, StoreError};

/// How many bytes of a blob came; `None` if it was there.
pub type Streamed = Result<Option<u64>, CompleteError<SourceError>>;

/// Fetches a blob, or what is missing of it, by one connection after the other.
///
/// `advance` hears of every piece of bytes, and `begins_anew` when all of them come again.
pub fn fetch_whole(
    source: &dyn ImageSource,
    store: &DiskStore,
    (reference, descriptor): (&Reference, &Descriptor),
    mut advance: impl FnMut(u64),
    begins_anew: impl Fn(),
) -> Streamed {
    loop {
        let open = |kept: &Kept| {
            let part = source.blob_part(reference, descriptor, kept.length..descriptor.size)?;
            Ok(Opened { from: kept.length, entity_tag: None, reader: part.reader })
        };
        let result = store.complete(descriptor, open, &mut advance);
        if !is_to_be_had_elsewhere(source, reference, descriptor, &result) {
            return result;
        }
        begins_anew();
    }
}

/// Returns whether what came is wrong and the source, which is told, has another place to ask.
pub fn is_to_be_had_elsewhere(
    source: &dyn ImageSource,
    reference: &Reference,
    descriptor: &Descriptor,
    result: &Streamed,
) -> bool {
    match result {
        Err(CompleteError::Store(StoreError::Mismatch(
            mismatch @ (Mismatch::WrongContent { .. } | Mismatch::Oversized(..)),
        ))) => source.distrust(reference, descriptor, mismatch),
        Ok(_) | Err(_) => false,
    }
}
