//! A tar archive: its first member tells a bundle, its documents tell images.

use std::io::Read;
use std::path::Path;

use super::finding::Finding;
use super::tar::TarStream;
use super::{InspectError, Inspected, bundle, images};
use crate::archive::Bounded;
use crate::archive::compress::Compression;

/// How much an archive may unpack to: some layers are holes for the most part.
const PLAUSIBLE: Plausible = Plausible { ratio: 100, size: 256 << 20 };
/// How much a bundle may unpack to: its packages are compressed already.
const PLAUSIBLE_BUNDLE: Plausible = Plausible { ratio: 8, size: 64 << 20 };

/// How much larger than itself a file may be when it is unpacked.
struct Plausible {
    ratio: u64,
    size: u64,
}

impl Plausible {
    fn limit(&self, length: u64) -> u64 {
        length.saturating_mul(self.ratio).saturating_add(self.size)
    }
}

/// Looks into an archive of `length` bytes; `input` gives what it unpacks to.
pub(super) fn read(
    path: &Path,
    (length, compression): (u64, Compression),
    input: impl Read,
) -> Result<(Inspected, Vec<Finding>), InspectError> {
    let fault = |source| InspectError::Archive { path: path.to_owned(), source };
    let unknown = |what: String| InspectError::Unknown { path: path.to_owned(), what };
    let mut stream = TarStream::new(Bounded::new(input, PLAUSIBLE.limit(length)));
    let Some(first) = stream.next_member().map_err(fault)? else {
        return Err(unknown("an empty archive".to_owned()));
    };
    let beginning = first.path.clone();
    let Some(folder) = bundle::folder_of(&first).map(str::to_owned) else {
        let images = images::read_archive(first, compression, &mut stream).map_err(fault)?;
        let (images, findings) =
            images.ok_or_else(|| unknown(format!("an archive that begins with `{beginning}`")))?;
        return Ok((Inspected::Images(images), findings));
    };
    stream.input_mut().limit_to(PLAUSIBLE_BUNDLE.limit(length));
    let (bundle, findings) = bundle::read(&folder, first, &mut stream).map_err(fault)?;
    Ok((Inspected::OpsBundle(bundle), findings))
}
