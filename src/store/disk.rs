//! The store on disk: `<root>/<algorithm>/<hex>`, shared by all builds of a user.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use super::mark::{is_marked, set_mark};
use super::wanted::Staged;
use super::{Descriptor, Mismatch, VerifyReader};
use crate::digest::{Algorithm, Digest, HashingWriter, PIECE};
use crate::fs::{close_to_others, create_folder, give_name, named_temporary};

/// How many bytes may wait in the page cache before the disk is told to begin writing them.
pub(super) const WRITE_BEHIND: u64 = 8 * 1024 * 1024;

/// Blobs in a folder, each a file named by its digest.
#[derive(Debug, Clone)]
pub struct DiskStore {
    root: PathBuf,
}

/// Why a blob is not in the store now.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The content is not what the descriptor says; nothing was kept.
    #[error(transparent)]
    Mismatch(Mismatch),
    /// The bytes stopped coming.
    #[error("cannot read blob {0}")]
    Read(Digest, #[source] io::Error),
    /// The bytes of undescribed content stopped coming.
    #[error("cannot read the content")]
    ReadContent(#[source] io::Error),
    /// Undescribed content does not end.
    #[error("the content has more than the {0} bytes that are accepted")]
    TooLarge(u64),
    /// The bytes could not be kept, for example because the disk is full.
    #[error("cannot write to the store `{0}`")]
    Write(PathBuf, #[source] io::Error),
}

impl DiskStore {
    /// Opens the store in `root`, which is created if it is missing.
    ///
    /// Only its owner can enter the folders of blobs: files of a spec lie there beside images, and what they are is
    /// nobody else's to read. Those that an earlier seedkit left open are closed.
    pub fn open(root: &Path) -> io::Result<Self> {
        create_folder(root, 0o700)?;
        for algorithm in ["sha256", "sha512"] {
            let folder = root.join(algorithm);
            create_folder(&folder, 0o700)?;
            close_to_others(&folder)?;
            crate::fs::remove_abandoned(&folder)?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Returns the folder that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the blob is, or will be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.algorithm().name()).join(digest.hex())
    }

    /// Returns whether the blob is there with the right length; its bytes are not read.
    pub fn contains(&self, descriptor: &Descriptor) -> bool {
        self.size(&descriptor.digest) == Some(descriptor.size)
    }

    /// Returns the length of the blob that is there under the digest; its bytes are not read.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        // Not followed: a link is somebody's, and a kit that is given a second name of it gets the link.
        let found = fs::symlink_metadata(self.path(digest)).ok()?;
        found.is_file().then_some(found.len())
    }

    /// Returns whether the blob is there with the right content, which is read only if it may have changed since it was
    /// read last; a wrong one is taken out, or cannot be and is as good as missing.
    ///
    /// Its time of change is the record: it is set to what `mark` makes of the digest and the file when the content has
    /// been verified, and whoever writes to the file sets another one.
    pub fn is_whole(&self, descriptor: &Descriptor) -> bool {
        let path = self.path(&descriptor.digest);
        if is_marked(&path, descriptor) {
            return true;
        }
        let is_whole = self.check(descriptor).unwrap_or(false);
        if is_whole {
            // In a store that is read-only, it is read the next time too.
            let _is_read_again =
                fs::File::open(&path).and_then(|file| set_mark(file.file(), &descriptor.digest));
        }
        is_whole
    }

    /// Returns whether `file`, which is a second name or a copy of the blob, still has the content that was verified.
    ///
    /// It is read only if that may have changed since: a second name without its mark, or a copy of what has none now.
    /// A blob that is wrong itself is taken out.
    pub fn is_still(&self, descriptor: &Descriptor, file: &Path) -> Result<bool, StoreError> {
        let fail = |source| StoreError::Read(descriptor.digest, source);
        let blob = self.path(&descriptor.digest);
        if is_marked(file, descriptor) {
            return Ok(true);
        }
        let place = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
        if place(file) != place(&blob) && is_marked(&blob, descriptor) && is_as_long(file, descriptor) {
            return Ok(true);
        }
        let opened = crate::fs::open_regular(file).map_err(fail)?;
        let is_right = is_right(opened, descriptor)?;
        if !is_right {
            self.check(descriptor)?;
        }
        Ok(is_right)
    }

    /// Takes out the blob whose bytes an error was about, so that the next run fetches it again.
    pub fn evict_wrong(&self, error: &(dyn std::error::Error + 'static)) {
        if let Some(mismatch) = Mismatch::within(error) {
            // Failing to remove it leaves the error that is about to be reported anyway.
            let _reported_by_the_caller = self.evict(mismatch.digest());
        }
    }

    /// Returns whether the blob is there with the right content, all of which is read; a wrong one is taken out.
    pub fn check(&self, descriptor: &Descriptor) -> Result<bool, StoreError> {
        let digest = &descriptor.digest;
        let fail = |source| StoreError::Read(*digest, source);
        match self.size(digest) {
            None => return Ok(false),
            Some(size) if size != descriptor.size => {
                return self.evict(digest).map(|()| false).map_err(fail);
            }
            Some(_) => {}
        }
        let file = fs::File::open(self.path(digest)).map_err(fail)?.into_parts().0;
        let is_right = is_right(file, descriptor)?;
        if !is_right {
            self.evict(digest).map_err(fail)?;
        }
        Ok(is_right)
    }

    /// Reads a small blob whole and verifies it; `None` if it is not there.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, StoreError> {
        let fail = |source| StoreError::Read(descriptor.digest, source);
        if !self.contains(descriptor) {
            return Ok(None);
        }
        let file = fs::File::open(self.path(&descriptor.digest)).map_err(fail)?;
        let mut bytes = Vec::new();
        VerifyReader::new(file, descriptor.digest, descriptor.size)
            .read_to_end(&mut bytes)
            .map_err(|error| read_error(&descriptor.digest, error))?;
        Ok(Some(bytes))
    }

    /// Takes in a blob: verified while it streams, durable before it is named. Fine if it is already there.
    ///
    /// `advance` hears of every piece of bytes as it is written.
    pub fn push(
        &self,
        descriptor: &Descriptor,
        content: impl Read,
        advance: impl FnMut(u64),
    ) -> Result<(), StoreError> {
        self.keep(self.stage(descriptor, content, advance)?)
    }

    /// Takes in a blob as [`DiskStore::push`] does, but gives it no name yet: something more may be wrong with it.
    pub fn stage(
        &self,
        descriptor: &Descriptor,
        content: impl Read,
        mut advance: impl FnMut(u64),
    ) -> Result<Staged, StoreError> {
        let digest = &descriptor.digest;
        let mut reader = VerifyReader::new(content, *digest, descriptor.size);
        let folder = self.root.join(digest.algorithm().name());
        let write_error = |source| StoreError::Write(folder.clone(), source);
        let mut temporary = named_temporary(&folder).map_err(write_error)?;
        let read_error = |error| read_error(digest, error);
        stream(&mut reader, temporary.as_file_mut(), &mut advance)
            .map_err(|error| error.either(read_error, write_error))?;
        Ok(Staged { temporary, digest: *digest })
    }

    /// Takes in content that nobody has described: at most `limit` bytes, hashed while it streams.
    ///
    /// With an `expected` digest other content is refused. The file is its owner's alone, whoever may enter the folder:
    /// it may be one that is closed to others where it comes from.
    pub fn push_undescribed(
        &self,
        expected: Option<&Digest>,
        limit: u64,
        content: impl Read,
        mut advance: impl FnMut(u64),
    ) -> Result<(Digest, u64), StoreError> {
        let folder = self.root.join(Algorithm::Sha256.name());
        let write_error = |source| StoreError::Write(folder.clone(), source);
        let temporary = named_temporary(&folder).map_err(write_error)?;
        let mut output = HashingWriter::new(temporary);
        // One byte more than allowed tells "just at the limit" from "without end".
        stream(&mut content.take(limit.saturating_add(1)), &mut output, &mut advance)
            .map_err(|error| error.either(StoreError::ReadContent, write_error))?;
        let (temporary, actual, size) = output.finish();
        if size > limit {
            return Err(StoreError::TooLarge(limit));
        }
        if let Some(expected) = expected.filter(|expected| **expected != actual) {
            let expected = *expected;
            return Err(StoreError::Mismatch(Mismatch::WrongContent { expected, actual }));
        }
        self.name(Staged { temporary, digest: actual }, 0o400)?;
        Ok((actual, size))
    }

    /// Gives verified content its name, after its bytes are on the disk.
    pub fn keep(&self, staged: Staged) -> Result<(), StoreError> {
        // Read-only: the kits that share this file by a hard link must not change it through their name.
        self.name(staged, 0o444)
    }

    fn name(&self, staged: Staged, mode: u32) -> Result<(), StoreError> {
        let Staged { temporary, digest } = staged;
        let target = self.path(&digest);
        let write_error = |source| StoreError::Write(crate::fs::parent(&target).to_owned(), source);
        let file = give_name(temporary, &target, mode).map_err(write_error)?;
        // Only now, when it is complete: what is kept of a content for later goes by its age. Where the time cannot be
        // set, the content is read again before it is used.
        let _is_read_again = set_mark(&file, &digest);
        Ok(())
    }

    /// Removes a blob whose bytes turned out to be wrong. Fine if it is not there.
    pub fn evict(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Asks the kernel to begin writing a range, without waiting, so that the final sync finds little left to do.
///
/// Linux begins writeback of dirty pages for `POSIX_FADV_DONTNEED` (mm/fadvise.c) and drops only clean ones. A
/// refusal means only that the final sync takes longer.
pub(super) fn begin_writing(file: &std::fs::File, from: u64, to: u64) {
    let length = std::num::NonZero::new(to - from);
    let _advice_only = rustix::fs::fadvise(file, from, length, rustix::fs::Advice::DontNeed);
}

enum StreamError {
    Read(io::Error),
    Write(io::Error),
}

impl StreamError {
    fn either<T>(self, read: impl FnOnce(io::Error) -> T, write: impl FnOnce(io::Error) -> T) -> T {
        match self {
            Self::Read(error) => read(error),
            Self::Write(error) => write(error),
        }
    }
}

/// A file that the kernel can be told to write early.
trait Spill: Write {
    fn file(&self) -> &std::fs::File;
}

impl Spill for std::fs::File {
    fn file(&self) -> &std::fs::File {
        self
    }
}

impl Spill for HashingWriter<NamedTempFile> {
    fn file(&self) -> &std::fs::File {
        self.inner().as_file()
    }
}

/// Copies all of `content`, telling reading from writing when something fails.
fn stream(
    content: &mut impl Read,
    output: &mut impl Spill,
    advance: &mut impl FnMut(u64),
) -> Result<(), StreamError> {
    let mut buffer = vec![0; PIECE];
    let (mut written, mut begun) = (0, 0);
    loop {
        let read = match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StreamError::Read(error)),
        };
        output.write_all(&buffer[..read]).map_err(StreamError::Write)?;
        advance(read as u64);
        written += read as u64;
        if written - begun >= WRITE_BEHIND {
            begin_writing(output.file(), begun, written);
            begun = written;
        }
    }
}

/// Reads a file, and returns whether it is what it should be.
fn is_right(file: std::fs::File, descriptor: &Descriptor) -> Result<bool, StoreError> {
    let mut reader = VerifyReader::new(file, descriptor.digest, descriptor.size);
    let mut buffer = vec![0; PIECE];
    loop {
        match reader.read(&mut buffer).map_err(|error| read_error(&descriptor.digest, error)) {
            Ok(0) => return Ok(true),
            Err(StoreError::Mismatch(_)) => return Ok(false),
            result => result?,
        };
    }
}

fn is_as_long(file: &Path, descriptor: &Descriptor) -> bool {
    fs::metadata(file).is_ok_and(|found| found.len() == descriptor.size)
}

fn read_error(digest: &Digest, error: io::Error) -> StoreError {
    if !error.get_ref().is_some_and(|inner| inner.is::<Mismatch>()) {
        return StoreError::Read(*digest, error);
    }
    let inner = error.into_inner().and_then(|inner| inner.downcast::<Mismatch>().ok());
    StoreError::Mismatch(*inner.expect("the line above saw a mismatch inside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(content: &[u8]) -> Descriptor {
        Descriptor {
            media_type: "application/octet-stream".to_owned(),
            digest: Digest::sha256(content),
            size: content.len() as u64,
        }
    }

    #[test]
    fn a_blob_is_there_after_it_was_pushed_and_twice_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let blob = descriptor(b"content");
        assert!(!store.contains(&blob));
        for _ in 0..2 {
            let mut seen = 0;
            store.push(&blob, &b"content"[..], |bytes| seen += bytes).unwrap();
            assert_eq!(seen, 7);
        }
        assert_eq!(store.read(&blob).unwrap().unwrap(), b"content");
    }

    #[test]
    fn a_truncated_oversized_or_wrong_blob_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let blob = descriptor(b"content");
        for content in [&b"conten"[..], b"content!", b"c0ntent", b""] {
            assert!(matches!(store.push(&blob, content, |_| {}), Err(StoreError::Mismatch(_))));
        }
        let left =
            walkdir::WalkDir::new(folder.path()).into_iter().filter(|e| e.as_ref().unwrap().path().is_file());
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn a_blob_that_rotted_on_disk_is_noticed_when_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        let blob = descriptor(b"content");
        store.push(&blob, &b"content"[..], |_| {}).unwrap();
        fs::remove_file(store.path(&blob.digest)).unwrap();
        fs::write(store.path(&blob.digest), b"c0ntent").unwrap();
        assert!(matches!(store.read(&blob), Err(StoreError::Mismatch(Mismatch::WrongContent { .. }))));
        assert!(!store.is_whole(&blob));
        assert!(store.read(&blob).unwrap().is_none(), "what rotted is taken out");
        store.push(&blob, &b"content"[..], |_| {}).unwrap();
        assert!(store.check(&blob).unwrap());
    }
}
