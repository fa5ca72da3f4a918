//! An index of packages: which of its compressed forms to fetch, and whether the bytes are the listed ones.

use std::io::{self, Read as _};

use super::{Listed, Release};
use crate::deb::packing::Packing;
use crate::digest::Digest;
use crate::store::Mismatch;

/// The largest index: that of Debian's main has 50 MiB.
const LARGEST_INDEX: u64 = 1 << 30;

/// An index of packages that a [`Release`] lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFile {
    /// The path relative to the release, such as `main/binary-amd64/Packages.gz`.
    pub path: String,
    /// What has to be fetched.
    pub listed: Listed,
    packing: Packing,
    content: Listed,
    has_by_hash: bool,
}

/// Says why a release has no usable index.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MissingIndex {
    /// It lists none, in no compression that is known.
    #[error("the release lists no index `{0}`, compressed or not")]
    Unlisted(String),
    /// It does not say how large it is, which has to be known before it is unpacked.
    #[error("the release lists `{0}`, but not what it is when unpacked")]
    UnknownContent(String),
    /// It is larger than any.
    #[error("the index `{0}` has {1} bytes, more than 1 GiB")]
    TooLarge(String, u64),
}

/// Says why the bytes of an index are not those that the release lists.
#[derive(Debug, thiserror::Error)]
pub enum WrongIndex {
    /// There are more or fewer bytes.
    #[error("the index `{path}` has {actual} bytes where {expected} are listed")]
    Size {
        /// The index.
        path: String,
        /// The size that is listed.
        expected: u64,
        /// Its size; when unpacked, one more than listed stands for any larger one.
        actual: u64,
    },
    /// The bytes are others.
    #[error("the index `{path}` hashes to {actual} where {expected} is listed")]
    Digest {
        /// The index.
        path: String,
        /// The digest that is listed.
        expected: Digest,
        /// Its digest.
        actual: Digest,
    },
    /// It cannot be unpacked.
    #[error("cannot unpack the index `{0}`")]
    Unpack(String, #[source] io::Error),
    /// It is not text.
    #[error("the index `{0}` is not UTF-8")]
    NotText(String, #[source] std::string::FromUtf8Error),
}

impl IndexFile {
    /// Returns the best form of the index whose unpacked form is listed as `content_path`, if there is any.
    pub(super) fn find(release: &Release, content_path: &str) -> Option<Result<Self, MissingIndex>> {
        let (packing, path, listed) = Packing::ALL.into_iter().find_map(|packing| {
            let path = format!("{content_path}{}", packing.suffix());
            release.file(&path).map(|listed| (packing, path, listed.clone()))
        })?;
        let Some(content) = release.file(content_path).cloned() else {
            return Some(Err(MissingIndex::UnknownContent(path)));
        };
        let size = listed.size.max(content.size);
        Some(if size > LARGEST_INDEX {
            Err(MissingIndex::TooLarge(path, size))
        } else {
            Ok(Self { path, listed, packing, content, has_by_hash: release.has_by_hash })
        })
    }

    /// Returns where to fetch the index, relative to the release: by its digest, if the repository has that.
    pub fn location(&self) -> String {
        match self.path.rsplit_once('/') {
            Some((folder, _)) if self.has_by_hash => {
                format!("{folder}/by-hash/SHA256/{}", self.listed.digest.hex())
            }
            Some(_) | None => self.path.clone(),
        }
    }

    /// Checks the bytes that were fetched, and returns the index as text.
    ///
    /// Never more is unpacked than the release lists.
    pub fn unpack(&self, bytes: &[u8]) -> Result<String, WrongIndex> {
        self.check(bytes, &self.listed)?;
        let unpack = |source| WrongIndex::Unpack(self.path.clone(), source);
        let capacity = usize::try_from(self.content.size).unwrap_or_default();
        let mut content = Vec::with_capacity(capacity);
        let reader = self.packing.open(bytes).map_err(unpack)?;
        reader.take(self.content.size + 1).read_to_end(&mut content).map_err(unpack)?;
        self.check(&content, &self.content)?;
        String::from_utf8(content).map_err(|source| WrongIndex::NotText(self.path.clone(), source))
    }

    /// Says of what was fetched why it is not what is listed.
    pub fn wrong(&self, mismatch: Mismatch) -> WrongIndex {
        let path = self.path.clone();
        match mismatch {
            Mismatch::Truncated { expected, actual, .. } => WrongIndex::Size { path, expected, actual },
            Mismatch::Oversized(_, expected) => WrongIndex::Size { path, expected, actual: expected + 1 },
            Mismatch::WrongContent { expected, actual } => WrongIndex::Digest { path, expected, actual },
        }
    }

    fn check(&self, bytes: &[u8], expected: &Listed) -> Result<(), WrongIndex> {
        let (path, actual) = (|| self.path.clone(), bytes.len() as u64);
        if actual != expected.size {
            return Err(WrongIndex::Size { path: path(), expected: expected.size, actual });
        }
        let actual = Digest::sha256(bytes);
        if actual != expected.digest {
            return Err(WrongIndex::Digest { path: path(), expected: expected.digest, actual });
        }
        Ok(())
    }
}
