//! The directories of a volume, made from a [`FileTree`]; everything that no reader could read is refused here.

use std::collections::BTreeMap;

use super::IsoError;
use super::names::{Identifiers, Namer};
use crate::tree::{Content, Entry, FileTree, TreePath};

/// Linux cuts longer Rock Ridge names (fs/isofs/rock.c).
const NAME_LIMIT: usize = 253;
/// One longer target, and xorriso reads nothing of the volume (Linux would take 4095).
const TARGET_LIMIT: usize = 1023;
/// 7-Zip shows no deeper directories; ECMA-119's own limit of 8 is nobody's.
const DEPTH_LIMIT: usize = 255;
/// Linux opens no longer path (PATH_MAX, with its NUL).
const PATH_LIMIT: usize = 4095;
/// Path tables number directories with 16 bits.
const DIRECTORY_LIMIT: usize = 65_535;
const MODE_LIMIT: u32 = 0o7777;
const ROOT_MODE: u32 = 0o755;

/// All directories, parents before children, and all files, in the tree's order.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) directories: Vec<Directory>,
    pub(super) files: Vec<File>,
}

/// One directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: usize,
    pub(super) mode: u32,
    pub(super) identifiers: Identifiers,
    pub(super) children: Vec<Child>,
    /// How many of the children are directories.
    pub(super) subdirectories: usize,
}

impl Directory {
    fn empty(parent: usize, mode: u32, identifiers: Identifiers) -> Self {
        Self { parent, mode, identifiers, children: Vec::new(), subdirectories: 0 }
    }
}

/// One entry of a directory.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) identifiers: Identifiers,
    pub(super) kind: Kind,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Kind {
    /// The index of a directory.
    Directory(usize),
    /// The index of a file.
    File(usize),
    /// A symbolic link.
    Symlink(String),
}

/// One regular file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: TreePath,
    pub(super) mode: u32,
    pub(super) content: Content,
}

impl Hierarchy {
    /// Sorts the entries of `tree` into directories.
    pub(super) fn of(tree: &FileTree) -> Result<Self, IsoError> {
        let root = Directory::empty(0, ROOT_MODE, Identifiers::default());
        let mut hierarchy = Self { directories: vec![root], files: Vec::new() };
        let mut indices: BTreeMap<Option<TreePath>, usize> = BTreeMap::from([(None, 0)]);
        let mut namers = vec![Namer::default()];
        for (path, entry) in tree.iter() {
            check(path, entry)?;
            let parent = *indices.get(&path.parent()).expect("in a FileTree every parent is a directory");
            let index = hierarchy.directories.len();
            let namer = &mut namers[parent];
            let identifiers = match entry {
                Entry::Directory { .. } => namer.directory(path.name()),
                Entry::File { .. } | Entry::Symlink { .. } => namer.file(path.name()),
            };
            if let Entry::Directory { .. } = entry {
                indices.insert(Some(path.clone()), index);
                namers.push(Namer::default());
            }
            hierarchy.insert(parent, path, entry, identifiers);
        }
        if hierarchy.directories.len() > DIRECTORY_LIMIT {
            return Err(IsoError::TooManyDirectories(hierarchy.directories.len()));
        }
        Ok(hierarchy)
    }

    fn insert(&mut self, parent: usize, path: &TreePath, entry: &Entry, identifiers: Identifiers) {
        let kind = match entry {
            Entry::Directory { mode } => {
                self.directories[parent].subdirectories += 1;
                self.directories.push(Directory::empty(parent, *mode, identifiers.clone()));
                Kind::Directory(self.directories.len() - 1)
            }
            Entry::File { mode, content } => {
                self.files.push(File { path: path.clone(), mode: *mode, content: content.clone() });
                Kind::File(self.files.len() - 1)
            }
            Entry::Symlink { target } => Kind::Symlink(target.clone()),
        };
        let name = path.name().to_owned();
        self.directories[parent].children.push(Child { name, identifiers, kind });
    }
}

/// Refuses what a reader would cut, hide or stumble over.
fn check(path: &TreePath, entry: &Entry) -> Result<(), IsoError> {
    let length = path.name().len();
    if length > NAME_LIMIT {
        return Err(IsoError::NameTooLong(path.clone(), length));
    }
    let depth = path.components().count();
    if depth > DEPTH_LIMIT || path.as_str().len() > PATH_LIMIT {
        let length = path.as_str().len();
        return Err(IsoError::PathTooLong { path: path.clone(), length, depth });
    }
    match entry {
        Entry::Directory { mode } | Entry::File { mode, .. } if *mode > MODE_LIMIT => {
            Err(IsoError::InvalidMode(path.clone(), *mode))
        }
        Entry::Directory { .. } | Entry::File { .. } => Ok(()),
        Entry::Symlink { target } => {
            let refuse = |reason| Err(IsoError::InvalidTarget(path.clone(), reason));
            match target {
                target if target.is_empty() => refuse("it is empty"),
                target if target.len() > TARGET_LIMIT => refuse("it is longer than 1023 bytes"),
                target if target.contains('\0') => refuse("it has a NUL character"),
                _ => Ok(()),
            }
        }
    }
}
