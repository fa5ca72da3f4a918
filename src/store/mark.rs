//! The mark of a blob whose content was verified: a time of change that says what it was verified as.
//!
//! # Why
//! Reading a store of many GB again for each build takes minutes, and an extended attribute is not kept everywhere. Whoever
//! writes to a file sets another time.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use super::Descriptor;
use crate::digest::{Algorithm, Digest, Hasher};

/// The version of the marks: those of another one are as good as none, and what has them is read again.
const MARKS: &[u8] = b"seedkit mark 2";

/// Returns the time of change of a file whose content was verified: no time that a clock says, and another one for every
/// digest, file and length. So what has another blob's name, or is a copy with the time of its original, has none.
fn mark(found: &Metadata, digest: &Digest) -> SystemTime {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for part in [MARKS, digest.bytes(), &found.ino().to_le_bytes(), &found.len().to_le_bytes()] {
        hasher.update(part);
    }
    let [a, b, c, d, e, f, ..] = *hasher.finish().bytes() else { return SystemTime::UNIX_EPOCH };
    let nanoseconds = u32::from_le_bytes([a, b, c, d]) % 1_000_000_000;
    // Some month of the year 2001.
    let seconds = 1_000_000_000 + u64::from(u16::from_le_bytes([e, f])) * 60;
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

/// Marks a file whose content was verified.
pub(super) fn set_mark(file: &std::fs::File, digest: &Digest) -> io::Result<()> {
    file.set_modified(mark(&file.metadata()?, digest))
}

/// Returns whether a file has the mark of a blob that was verified, and was not written to since.
pub(super) fn is_marked(path: &Path, descriptor: &Descriptor) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    let is_as_it_was = || found.modified().is_ok_and(|time| time == mark(&found, &descriptor.digest));
    found.is_file() && found.len() == descriptor.size && is_as_it_was()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DiskStore;

    fn descriptor(content: &[u8]) -> Descriptor {
        Descriptor {
            media_type: "application/octet-stream".to_owned(),
            digest: Digest::sha256(content),
            size: content.len() as u64,
        }
    }

    // The mark said that a file was verified, not as what: moved or linked, it was believed under any name.
    #[test]
    fn a_verified_blob_under_another_ones_name_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let (blob, other) = (descriptor(b"content"), descriptor(b"c0ntent"));
        store.push(&blob, &b"content"[..], |_| {}).unwrap();
        assert!(store.is_whole(&blob));
        fs::hard_link(store.path(&blob.digest), store.path(&other.digest)).unwrap();
        assert!(!store.is_whole(&other));
        assert!(store.is_whole(&blob) && !store.contains(&other));
    }

    #[test]
    fn a_mark_of_the_version_before_is_no_mark_and_the_content_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let blob = descriptor(b"content");
        let path = store.path(&blob.digest);
        for (content, is_whole) in [(&b"content"[..], true), (b"c0ntent", false)] {
            fs::write(&path, content).unwrap();
            let file = fs::File::open(&path).unwrap().into_parts().0;
            let found = file.metadata().unwrap();
            let mixed = (found.ino() ^ found.len().rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let nanoseconds = u32::try_from(mixed >> 34).unwrap() % 1_000_000_000;
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, nanoseconds)).unwrap();
            assert_eq!(store.is_whole(&blob), is_whole);
        }
    }

    #[test]
    fn a_link_is_no_blob_of_ours_and_nothing_is_written_through_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let blob = descriptor(b"content");
        let outside = folder.path().join("outside");
        fs::write(&outside, "content").unwrap();
        let before = fs::metadata(&outside).unwrap().modified().unwrap();
        fs_err::os::unix::fs::symlink(&outside, store.path(&blob.digest)).unwrap();
        assert!(!store.contains(&blob) && !store.is_whole(&blob) && store.read(&blob).unwrap().is_none());
        assert_eq!(fs::metadata(&outside).unwrap().modified().unwrap(), before);
        store.push(&blob, &b"content"[..], |_| {}).unwrap();
        assert!(fs::symlink_metadata(store.path(&blob.digest)).unwrap().is_file());
    }
}
