//! Everything that cannot be locked, under `--keep-going`.

use super::LockError;
use crate::fetch::failures::{Failure, Failures};

/// Returns all three, or every failure in them.
pub(super) fn all<F, I, P>(
    files: Result<F, LockError>,
    images: Result<I, LockError>,
    packages: Result<P, LockError>,
) -> Result<(F, I, P), LockError> {
    let mut failures = Failures(Vec::new());
    let files = failures.note(("file", "the files"), files);
    let images = match images {
        Err(LockError::Images { failures: several, .. }) => {
            let failure =
                |image: &super::ImageFailure| Failure::of("image", image.reference.to_string(), image);
            failures.0.extend(several.iter().map(failure));
            None
        }
        images => failures.note(("image", "the images"), images),
    };
    let packages = failures.note(("packages", "ops packages"), packages);
    match (files, images, packages) {
        (Some(files), Some(images), Some(packages)) => Ok((files, images, packages)),
        (None, _, _) | (_, None, _) | (_, _, None) => Err(LockError::Several(failures)),
    }
}
