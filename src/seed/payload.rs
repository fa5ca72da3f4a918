//! The payload: files that lie on the disc as they are, checked and placed by the node's staging unit.
//!
//! ```text
//! payload/seed-id       the name of the seed
//! payload/SHA256SUMS    as `sha256sum --check` reads it: every other file of the payload
//! payload/FILES         one line for each file: its mode, a space, its absolute path
//! payload/FOLDERS       the same for folders that are made first; only if there are any
//! payload/SHARED        what the disc of all nodes has: digest in hexadecimal, a space, path; only if there is any
//! payload/root/…        the other files, each at its path
//! ```
//!
//! The disc of all nodes names its files by their digests, `sha256/…`: nodes of two architectures may share it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::io::Read;

use super::{Disc, PayloadFile, SeedError};
use crate::artifact::{SUMS, sums_line};
use crate::digest::{Algorithm, Digest};
use crate::node::NodePath;
use crate::tree::{Content, FileTree, TreeError};

/// A line `#!…` longer than this is refused by Linux anyway.
const LONGEST_INTERPRETER: u64 = 256;

/// The files of a payload by their destination.
#[derive(Debug)]
pub(super) struct Payload {
    files: BTreeMap<NodePath, PayloadFile>,
    /// `FILES`, `FOLDERS`, `SHARED`: by name.
    lists: BTreeMap<&'static str, List>,
}

#[derive(Debug)]
struct List {
    text: String,
    digest: Digest,
}

impl From<String> for List {
    fn from(text: String) -> Self {
        Self { digest: Digest::sha256(text.as_bytes()), text }
    }
}

impl Payload {
    /// Checks each file and that no two have one destination; `written` are destinations taken otherwise.
    pub(super) fn new(
        files: Vec<PayloadFile>,
        folders: &[(String, u32)],
        written: &[NodePath],
    ) -> Result<Self, SeedError> {
        let mut by_destination = BTreeMap::new();
        for file in files {
            check(&file)?;
            let is_taken = written.contains(&file.destination);
            match by_destination.entry(file.destination.clone()) {
                Slot::Vacant(slot) if !is_taken => slot.insert(file),
                Slot::Vacant(_) | Slot::Occupied(_) => return Err(refuse(&file, "another file goes there")),
            };
        }
        let line = |mode: u32, path: &str| format!("{mode:04o} {path}\n");
        let list = by_destination
            .values()
            .map(|file| line(file.mode, file.destination.as_str()))
            .collect::<String>();
        let mut lists = BTreeMap::from([("FILES", List::from(list))]);
        if !folders.is_empty() {
            let list = folders.iter().map(|(path, mode)| line(*mode, path)).collect::<String>();
            lists.insert("FOLDERS", List::from(list));
        }
        let shared = by_destination.values().filter(|file| file.disc == Disc::Shared);
        let shared: String =
            shared.map(|file| format!("{} {}\n", file.digest.hex(), file.destination)).collect();
        if !shared.is_empty() {
            lists.insert("SHARED", List::from(shared));
        }
        Ok(Self { files: by_destination, lists })
    }

    /// Returns path in the seed, mode and digest of every file, in the order of their paths.
    pub(super) fn identity(&self) -> impl Iterator<Item = (String, u32, &Digest)> {
        // `FILES` says nothing more than the files themselves.
        let lists = ["FOLDERS", "SHARED"].into_iter().filter_map(|name| {
            self.lists.get(name).map(|list| (format!("payload/{name}"), 0o644, &list.digest))
        });
        let files = self.files.values();
        lists.chain(files.map(|file| (format!("payload/root{}", file.destination), file.mode, &file.digest)))
    }

    /// Adds the payload of the seed named `id` to `tree`.
    pub(super) fn add_to(self, tree: &mut FileTree, id: &str) -> Result<(), SeedError> {
        let Self { files, mut lists } = self;
        lists.insert("seed-id", List::from(format!("{id}\n")));
        let mut sums = String::new();
        for (name, List { text, digest }) in lists {
            sums += &sums_line(name, &digest);
            tree.insert_file(&format!("payload/{name}"), 0o644, text)?;
        }
        for PayloadFile { destination, mode, content, digest, disc } in files.into_values() {
            match disc {
                Disc::Seed => {
                    sums += &sums_line(&format!("root{destination}"), &digest);
                    tree.insert_file(&format!("payload/root{destination}"), mode, content)?;
                }
                Disc::Shared => {}
            }
        }
        tree.insert_file(&format!("payload/{SUMS}"), 0o644, sums)?;
        Ok(())
    }
}

/// Builds the files of the disc that all nodes share, of which `files` are the digests and bytes.
///
/// # Errors
/// Fails if a digest is not SHA-256, which no file of a seed has.
pub fn shared_disc(files: BTreeMap<Digest, Content>) -> Result<FileTree, TreeError> {
    let mut tree = FileTree::new();
    for (digest, content) in files {
        tree.insert_file(&format!("sha256/{}", digest.hex()), 0o644, content)?;
    }
    Ok(tree)
}

fn refuse(file: &PayloadFile, reason: &'static str) -> SeedError {
    SeedError::Destination(file.destination.clone(), reason)
}

/// Refuses what the staging script could not place, or what would not work where it is placed.
fn check(file: &PayloadFile) -> Result<(), SeedError> {
    let PayloadFile { mode, digest, .. } = file;
    if *mode > 0o7777 {
        return Err(refuse(file, "its mode has more than permission bits"));
    }
    if digest.algorithm() != Algorithm::Sha256 {
        return Err(refuse(file, "its digest is not SHA-256"));
    }
    if has_unusable_interpreter(file)? {
        return Err(refuse(
            file,
            "its first line, `#!…`, ends in a carriage return: no such interpreter exists",
        ));
    }
    Ok(())
}

/// Holds for a script with the line ends of Windows.
fn has_unusable_interpreter(file: &PayloadFile) -> Result<bool, SeedError> {
    let mut start = Vec::new();
    let read = |source| SeedError::Read(file.destination.clone(), source);
    file.content
        .open()
        .and_then(|reader| reader.take(LONGEST_INTERPRETER).read_to_end(&mut start))
        .map_err(read)?;
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.starts_with(b"#!") && line.ends_with(b"\r"))
}
