//! Files that do not exist yet: what an archive or an ISO will hold.
//!
//! A [`FileTree`] is sorted by path and knows neither owner nor time, so that everything written from it is
//! reproducible: archives say user 0, group 0 and the build's epoch for every entry.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use fs_err as fs;

use crate::digest::Digest;

/// The longest path that archives and discs of others may have, in bytes; `PATH_MAX` of Linux.
pub const LONGEST_PATH: usize = 4096;

/// A relative path of a tree: `/` between components, no `.`, no `..`, nothing empty, UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct TreePath(String);

/// Says why a text is not a [`TreePath`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a path inside a tree: {reason}")]
pub struct InvalidTreePath {
    text: String,
    reason: &'static str,
}

impl TreePath {
    /// Returns the whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the components, outermost first; there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the path without its last component; `None` for a top-level entry.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Returns the last component.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl FromStr for TreePath {
    type Err = InvalidTreePath;

    fn from_str(text: &str) -> Result<Self, InvalidTreePath> {
        let invalid = |reason| {
            Err(InvalidTreePath {
                text: text.chars().take(300).flat_map(char::escape_debug).collect(),
                reason,
            })
        };
        if text.is_empty() {
            return invalid("it is empty");
        }
        if text.starts_with('/') {
            return invalid("it is absolute");
        }
        // They end lines of lists, and steer terminals.
        if text.contains(char::is_control) {
            return invalid("it has a control character");
        }
        for component in text.split('/') {
            match component {
                "" => return invalid("it has an empty component"),
                "." | ".." => return invalid("it has a `.` or `..` component"),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone)]
pub enum Content {
    /// Held in memory: for what was rendered.
    Bytes(Arc<[u8]>),
    /// Read from disk when the tree is written; what it has to be was known when the tree was planned.
    File(Arc<ContentFile>),
}

/// A file on disk, and what its bytes have to be.
#[derive(Debug)]
pub struct ContentFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl Content {
    /// Returns the content of a file on disk; it is compared with `digest` and `size` when it is written somewhere.
    pub fn file(path: PathBuf, digest: Digest, size: u64) -> Self {
        Self::File(Arc::new(ContentFile { path, digest, size }))
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.size,
        }
    }

    /// Opens the content for reading.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(io::Cursor::new(Arc::clone(bytes))),
            Self::File(file) => Box::new(fs::File::open(&file.path)?),
        })
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes().into())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().into())
    }
}

/// One entry of a tree.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A folder.
    Directory {
        /// Permission bits, at most 0o7777.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Permission bits, at most 0o7777.
        mode: u32,
        /// Its bytes.
        content: Content,
    },
    /// A symbolic link.
    Symlink {
        /// The target as stored, never followed.
        target: String,
    },
}

/// A sorted set of entries; every entry's parent is a directory of the same tree.
#[derive(Debug, Clone, Default)]
pub struct FileTree {
    entries: BTreeMap<TreePath, Entry>,
}

/// Says why an entry does not fit a tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The path is malformed.
    #[error(transparent)]
    Path(#[from] InvalidTreePath),
    /// Two entries claim one path.
    #[error("`{0}` is in the tree twice")]
    Duplicate(TreePath),
    /// A file or link stands where a folder is needed.
    #[error("`{parent}` is not a folder, yet `{path}` lies in it")]
    ParentIsNoFolder {
        /// What stands in the way.
        parent: TreePath,
        /// What was to be added.
        path: TreePath,
    },
}

impl FileTree {
    /// Returns a tree without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry; folders above it that are missing are added with mode 0o755.
    ///
    /// A directory added again keeps the mode given last; any other path added twice is an error.
    pub fn insert(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        let path: TreePath = path.parse()?;
        let mut above = path.parent();
        while let Some(parent) = above {
            match self.entries.get(&parent) {
                Some(Entry::Directory { .. }) => break,
                Some(Entry::File { .. } | Entry::Symlink { .. }) => {
                    return Err(TreeError::ParentIsNoFolder { parent, path });
                }
                None => {}
            }
            above = parent.parent();
            self.entries.insert(parent, Entry::Directory { mode: 0o755 });
        }
        match (self.entries.get(&path), &entry) {
            (None, _) | (Some(Entry::Directory { .. }), Entry::Directory { .. }) => {}
            (Some(_), _) => return Err(TreeError::Duplicate(path)),
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Adds a regular file.
    pub fn insert_file(
        &mut self,
        path: &str,
        mode: u32,
        content: impl Into<Content>,
    ) -> Result<(), TreeError> {
        self.insert(path, Entry::File { mode, content: content.into() })
    }

    /// Returns the entries in the order of their paths' bytes, component by component as `/` sorts.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.entries.iter()
    }

    /// Returns the entry at `path`.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        path.parse().ok().and_then(|path: TreePath| self.entries.get(&path))
    }

    /// Returns the bytes of all files together.
    pub fn total_size(&self) -> u64 {
        self.entries
            .values()
            .map(|entry| match entry {
                Entry::File { content, .. } => content.size(),
                Entry::Directory { .. } | Entry::Symlink { .. } => 0,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_the_tree_are_refused() {
        for text in ["", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\0b", "a\u{1b}[2J"] {
            assert!(text.parse::<TreePath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn folders_above_an_entry_come_by_themselves() {
        let mut tree = FileTree::new();
        tree.insert_file("a/b/c", 0o644, "x").unwrap();
        let paths: Vec<_> = tree.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"]);
    }

    #[test]
    fn nothing_is_replaced_and_nothing_lies_in_a_file() {
        let mut tree = FileTree::new();
        tree.insert_file("a", 0o644, "x").unwrap();
        assert!(matches!(tree.insert_file("a", 0o644, "y"), Err(TreeError::Duplicate(..))));
        assert!(matches!(tree.insert_file("a/b", 0o644, "y"), Err(TreeError::ParentIsNoFolder { .. })));
    }
}
