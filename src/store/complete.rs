//! Taking in contents that may have been begun before: the rest is fetched, the whole is verified.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::disk::{DiskStore, StoreError, WRITE_BEHIND, begin_writing};
use super::partial::{FOLDER, Partial};
use super::wanted::{Kept, Size, Staged, Wanted};
use super::{Descriptor, Mismatch};
use crate::digest::{Digest, Hasher};

/// The most bytes that are read at once.
const MOST_AT_ONCE: usize = 256 * 1024;

/// The rest of a content, or all of it, opened.
pub struct Opened<R = Box<dyn Read + Send>> {
    /// Where in the content the reader begins: after what is kept, or at 0 if that is of no use.
    pub from: u64,
    /// The length of the whole, if it is known.
    pub length: Option<u64>,
    /// The strong entity tag of the answer, if it has one.
    pub entity_tag: Option<String>,
    /// What gives it, for errors: the request, or the file.
    pub origin: String,
    /// The bytes, not verified.
    pub reader: R,
}

impl<R> Opened<R> {
    /// Returns what `reader` gives from byte `from` on, of which nothing more is known.
    pub fn at(from: u64, reader: R) -> Self {
        Self { from, length: None, entity_tag: None, origin: String::new(), reader }
    }
}

/// Why a content is not complete.
#[derive(Debug)]
pub enum CompleteError<E> {
    /// The rest could not be opened.
    Open(E),
    /// Its bytes stopped coming, are wrong, or could not be kept.
    Store(StoreError),
}

impl<E> From<StoreError> for CompleteError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Returns the name of the file that keeps what is there of a content.
pub(super) fn name_of(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

/// What completing a content led to.
#[derive(Debug)]
pub enum Completed {
    /// It was in the store, or somebody else has just brought it there.
    Present,
    /// It is whole and verified now.
    Staged {
        /// The content.
        staged: Staged,
        /// Its length.
        size: u64,
        /// How many of its bytes came now.
        fetched: u64,
    },
}

impl DiskStore {
    /// Completes a blob and gives it its name; returns how many bytes came now, `None` if it was there.
    ///
    /// `open` opens the rest of it; `advance` hears of every piece of bytes, also of those that were kept.
    pub fn complete<R: Read, E>(
        &self,
        descriptor: &Descriptor,
        open: impl FnMut(&Kept) -> Result<Opened<R>, E>,
        advance: impl FnMut(u64),
    ) -> Result<Option<u64>, CompleteError<E>> {
        match self.complete_staged(&Wanted::described(descriptor), open, advance)? {
            Completed::Present => Ok(None),
            Completed::Staged { staged, fetched, .. } => {
                self.keep(staged)?;
                Ok(Some(fetched))
            }
        }
    }

    /// Completes a content as [`DiskStore::complete`] does, but gives it no name yet: something more may be wrong
    /// with it.
    pub fn complete_staged<R: Read, E>(
        &self,
        wanted: &Wanted<'_>,
        mut open: impl FnMut(&Kept) -> Result<Opened<R>, E>,
        mut advance: impl FnMut(u64),
    ) -> Result<Completed, CompleteError<E>> {
        let is_there = || self.size(wanted.digest).is_some();
        let folder = self.root().join(FOLDER);
        let claimed = match Partial::claim(&folder, &name_of(wanted.digest), is_there) {
            Ok(claimed) => claimed,
            Err(source) => {
                // Where nothing can be had, nobody needs to be told that it could not be kept.
                open(&Kept::default()).map_err(CompleteError::Open)?;
                return Err(write_error(&folder, source).into());
            }
        };
        let Some(mut partial) = claimed else { return Ok(Completed::Present) };
        let mut has_kept = partial.prepare(wanted).map_err(|source| write_error(&folder, source))?;
        loop {
            let attempt = Attempt { wanted, folder: &folder, partial: &mut partial, has_kept: &mut has_kept };
            match attempt.run(&mut open, &mut advance) {
                Ok((size, fetched)) => {
                    let digest = *wanted.digest;
                    let staged = Staged { temporary: partial.into_temporary(), digest };
                    return Ok(Completed::Staged { staged, size, fetched });
                }
                // What was kept and what came do not belong together, or what was kept has rotted.
                Err(CompleteError::Store(error)) if has_kept && is_wrong(&error) => {
                    partial.reset().map_err(|source| write_error(&folder, source))?;
                    has_kept = false;
                }
                Err(CompleteError::Store(error)) if is_wrong(&error) => {
                    partial.remove();
                    return Err(error.into());
                }
                Err(error) => {
                    partial.leave();
                    return Err(error);
                }
            }
        }
    }
}

/// Returns room for what is read at once of so many bytes: most contents are small.
fn buffer(length: u64) -> Vec<u8> {
    vec![0; usize::try_from(length).map_or(MOST_AT_ONCE, |length| length.clamp(1, MOST_AT_ONCE))]
}

/// Returns whether bytes are wrong, rather than missing.
fn is_wrong(error: &StoreError) -> bool {
    match error {
        StoreError::Mismatch(Mismatch::WrongContent { .. } | Mismatch::Oversized(..))
        | StoreError::TooLarge(..) => true,
        StoreError::Mismatch(Mismatch::Truncated { .. })
        | StoreError::Read(..)
        | StoreError::ReadContent(..)
        | StoreError::Write(..) => false,
    }
}

fn write_error(folder: &Path, source: io::Error) -> StoreError {
    StoreError::Write(folder.to_owned(), source)
}

/// One attempt to complete a content.
struct Attempt<'a> {
    wanted: &'a Wanted<'a>,
    folder: &'a Path,
    partial: &'a mut Partial,
    /// Whether anything of an earlier run is in the content.
    has_kept: &'a mut bool,
}

impl Attempt<'_> {
    /// Returns the length of the whole, and how many bytes of it came now.
    fn run<R: Read, E>(
        self,
        open: &mut impl FnMut(&Kept) -> Result<Opened<R>, E>,
        advance: &mut impl FnMut(u64),
    ) -> Result<(u64, u64), CompleteError<E>> {
        let kept = self.partial.kept().map_err(|source| self.write_error(source))?;
        let kept = Kept { total: self.wanted.length(), ..kept };
        let mut hasher = match kept.length {
            0 => self.new_hasher(),
            length => self.hash_kept(length, advance)?,
        };
        // The last run was stopped when all had come.
        let is_whole = kept.length > 0 && hasher.clone().finish() == *self.wanted.digest;
        if is_whole || self.wanted.size == Size::Exactly(kept.length) {
            self.judge(hasher, kept.length)?;
            return Ok((kept.length, 0));
        }
        let Opened { from, entity_tag, mut reader, .. } = open(&kept).map_err(CompleteError::Open)?;
        if from != kept.length {
            self.partial.reset().map_err(|source| self.write_error(source))?;
            hasher = self.new_hasher();
            *self.has_kept = false;
        }
        if from == 0 {
            self.partial.set_tag(entity_tag.as_deref()).map_err(|source| self.write_error(source))?;
        }
        let start = if from == kept.length { from } else { 0 };
        let size = self.append(&mut reader, start, &mut hasher, advance)?;
        self.judge(hasher, size)?;
        Ok((size, size - start))
    }

    fn new_hasher(&self) -> Hasher {
        Hasher::new(self.wanted.digest.algorithm())
    }

    fn hash_kept(&self, length: u64, advance: &mut impl FnMut(u64)) -> Result<Hasher, StoreError> {
        let mut hasher = self.new_hasher();
        let mut file = self.partial.file();
        let mut buffer = buffer(length);
        file.seek(SeekFrom::Start(0)).map_err(|source| self.read_error(source))?;
        loop {
            match file.read(&mut buffer).map_err(|source| self.read_error(source))? {
                0 => return Ok(hasher),
                read => {
                    hasher.update(&buffer[..read]);
                    advance(read as u64);
                }
            }
        }
    }

    /// Takes in what comes, each piece as soon as it is there; returns the length of the whole.
    fn append(
        &self,
        reader: &mut impl Read,
        start: u64,
        hasher: &mut Hasher,
        advance: &mut impl FnMut(u64),
    ) -> Result<u64, StoreError> {
        let mut file = self.partial.file();
        file.seek(SeekFrom::Start(start)).map_err(|source| self.write_error(source))?;
        // One byte more than there should be, to see whether there is more.
        let mut buffer = buffer((self.wanted.most() - start).saturating_add(1));
        let (mut size, mut begun) = (start, start);
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(size),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.read_error(error)),
            };
            // The size comes first: a server may send more than it announced, without end.
            if size + read as u64 > self.wanted.most() {
                return Err(self.too_large());
            }
            file.write_all(&buffer[..read]).map_err(|source| self.write_error(source))?;
            hasher.update(&buffer[..read]);
            advance(read as u64);
            size += read as u64;
            if size - begun >= WRITE_BEHIND {
                begin_writing(file, begun, size);
                begun = size;
            }
        }
    }

    fn judge(&self, hasher: Hasher, size: u64) -> Result<(), StoreError> {
        let (actual, expected) = (hasher.finish(), *self.wanted.digest);
        let mismatch = match self.wanted.size {
            Size::Exactly(announced) if size < announced => {
                Mismatch::Truncated { digest: expected, expected: announced, actual: size }
            }
            Size::Exactly(_) | Size::AtMost(_) if actual == expected => return Ok(()),
            Size::Exactly(_) | Size::AtMost(_) => Mismatch::WrongContent { expected, actual },
        };
        Err(StoreError::Mismatch(mismatch))
    }

    fn too_large(&self) -> StoreError {
        match self.wanted.size {
            Size::Exactly(expected) => {
                StoreError::Mismatch(Mismatch::Oversized(*self.wanted.digest, expected))
            }
            Size::AtMost(limit) => StoreError::TooLarge(limit),
        }
    }

    fn read_error(&self, source: io::Error) -> StoreError {
        StoreError::Read(*self.wanted.digest, source)
    }

    fn write_error(&self, source: io::Error) -> StoreError {
        write_error(self.folder, source)
    }
}

#[cfg(test)]
mod tests;
