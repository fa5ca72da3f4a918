//! A tar archive: its first member tells a bundle, its documents tell images.

use std::io::Read;
use std::path::Path;

use super::{InspectError, Inspected, bundle, images};
use crate::archive::Bounded;
use crate::archive::compress::Compression;
use crate::archive::untar::Untar;
use crate::artifact::Finding;

/// How much a bundle of so many bytes may unpack to: its packages are compressed already.
fn plausible_bundle(length: u64) -> u64 {
    length.saturating_mul(8).saturating_add(64 << 20)
}

/// Looks into an archive of `length` bytes; `input` gives what it unpacks to.
pub(super) fn read(
    path: &Path,
    (length, compression): (u64, Compression),
    input: impl Read,
) -> Result<(Inspected, Vec<Finding>), InspectError> {
    let fault = |source| InspectError::Archive(path.to_owned(), source);
    let unknown = |what: String| InspectError::Unknown(path.to_owned(), what);
    let mut stream = Untar::new(Bounded::plausible(input, length));
    let Some(first) = stream.next_member().map_err(fault)? else {
        return Err(unknown("an empty archive".to_owned()));
    };
    let beginning = first.path.to_string();
    let Some(folder) = bundle::folder_of(&first).map(str::to_owned) else {
        let images = images::read_archive(first, compression, &mut stream).map_err(fault)?;
        let (images, findings) =
            images.ok_or_else(|| unknown(format!("an archive that begins with `{beginning}`")))?;
        return Ok((Inspected::Images(images), findings));
    };
    stream.input_mut().limit_to(plausible_bundle(length));
    let (bundle, findings) = bundle::read(&folder, first, &mut stream).map_err(fault)?;
    Ok((Inspected::OpsBundle(bundle), findings))
}
