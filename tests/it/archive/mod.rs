//! Archives, judged by the programs that people read them with.

mod compress;
mod iso9660;
mod iso9660_large;
mod tar;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;
use seedkit::epoch::Epoch;
use seedkit::tree::{Content, Entry, FileTree};

/// The time of every archive here.
fn epoch() -> Epoch {
    "1763683200".parse().unwrap()
}

/// A tree with what seeds have, and with what is hard on archives.
pub(crate) fn sample_tree() -> FileTree {
    let mut tree = FileTree::new();
    let mut file = |path: &str, mode, size: usize| {
        // Every file differs, and none ends with its archive's block.
        let content: Vec<u8> = (0..size).map(|index| (index * 31 + path.len()) as u8).collect();
        tree.insert_file(path, mode, content).unwrap();
    };
    file("user-data", 0o600, 700);
    file("meta-data", 0o644, 0);
    file("network-config", 0o644, 2048);
    file("k3s/k3s", 0o755, 300_001);
    file("k3s/images/airgap-images-linux-amd64-0123456789ab.tar.zst", 0o444, 4097);
    file("문서/설치 안내서.md", 0o640, 33);
    file("Größe/ÜberLänge 日本語.txt", 0o644, 34);
    file("emoji-😀/😀.txt", 0o644, 35);
    file("odd/a:b?c;d*e\\f", 0o4755, 36);
    file("odd/-dash", 0o644, 37);
    file("odd/.hidden", 0o644, 38);
    file("odd/two.dots.here", 0o644, 39);
    file("case/README", 0o644, 40);
    file("case/readme", 0o644, 41);
    file("case/Readme", 0o644, 42);
    file(&format!("long/{}", "n".repeat(253)), 0o644, 43);
    file(&format!("long/{}.tar.zst", "가".repeat(80)), 0o644, 44);
    file(&format!("long/{}1.tar.zst", "가".repeat(80)), 0o644, 45);
    file(&format!("{}/bottom", ["deep"; 40].join("/")), 0o644, 46);
    tree.insert("empty", Entry::Directory { mode: 0o700 }).unwrap();
    tree.insert("sticky", Entry::Directory { mode: 0o1777 }).unwrap();
    let targets = ["k3s/k3s", "/usr/local/bin/k3s", "../up", "./here", "/", "..", "문서/설치 안내서.md"];
    for (number, target) in targets.into_iter().enumerate() {
        tree.insert(&format!("links/{number}"), Entry::Symlink { target: target.into() }).unwrap();
    }
    tree
}

/// A directory with `count` files whose names differ at their ends only.
fn crowd(count: usize) -> FileTree {
    let mut tree = FileTree::new();
    for number in 0..count {
        let path =
            format!("debs/{}-{number:05}_1.2.3_amd64.deb", "a-package-with-a-rather-long-name".repeat(2));
        tree.insert_file(&path, 0o644, number.to_string()).unwrap();
    }
    tree
}

/// A file as deep as an ISO image may hold it.
pub(crate) fn deepest() -> FileTree {
    let mut tree = FileTree::new();
    tree.insert_file(&["d"; 255].join("/"), 0o644, "bottom").unwrap();
    tree
}

/// Symbolic links whose targets are longer than one Rock Ridge field.
pub(crate) fn long_links() -> FileTree {
    let mut tree = FileTree::new();
    for length in 1..=255 {
        let target = ["t".repeat(length).as_str()].repeat(1023 / (length + 1)).join("/");
        tree.insert(&format!("links/{length}"), Entry::Symlink { target: format!("/{target}") }).unwrap();
    }
    tree
}

/// What is to be found at each path: kind, mode, and content or target.
pub(crate) type Listing = BTreeMap<String, String>;

fn describe_file(mode: u32, content: &[u8]) -> String {
    format!("file {mode:o} {}", seedkit::digest::Digest::sha256(content))
}

pub(crate) fn expected(tree: &FileTree) -> Listing {
    let describe = |entry: &Entry| match entry {
        Entry::Directory { mode } => format!("directory {mode:o}"),
        Entry::File { mode, content: Content::Bytes(bytes) } => describe_file(*mode, bytes),
        Entry::File { content: Content::File(file), .. } => panic!("{file:?} is not in memory"),
        Entry::Symlink { target } => format!("link {target}"),
    };
    tree.iter().map(|(path, entry)| (path.to_string(), describe(entry))).collect()
}

fn found(folder: &Path) -> Listing {
    let entries = walkdir::WalkDir::new(folder).min_depth(1).into_iter().map(Result::unwrap);
    entries
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            let description = if entry.file_type().is_symlink() {
                format!("link {}", fs::read_link(entry.path()).unwrap().display())
            } else if entry.file_type().is_dir() {
                format!("directory {mode:o}")
            } else {
                describe_file(mode, &fs::read(entry.path()).unwrap())
            };
            (path, description)
        })
        .collect()
}

/// Compares two listings and says where they differ.
fn assert_same(found: &Listing, expected: &Listing) {
    let differences: Vec<_> = found
        .keys()
        .chain(expected.keys())
        .filter(|path| found.get(*path) != expected.get(*path))
        .map(|path| format!("{path}: found {:?}, expected {:?}", found.get(path), expected.get(path)))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A file that leaves holes where zeros are written, so that large tests need little disk.
struct SparseFile {
    file: fs::File,
}

impl SparseFile {
    fn create(path: &Path) -> BufWriter<Self> {
        BufWriter::with_capacity(1 << 20, Self { file: fs::File::create(path).unwrap() })
    }

    /// Ends the file, even if its last bytes are a hole.
    fn finish(buffered: BufWriter<Self>) -> u64 {
        let Self { mut file } = buffered.into_inner().map_err(|error| error.into_error()).unwrap();
        let length = file.stream_position().unwrap();
        file.set_len(length).unwrap();
        length
    }
}

impl Write for SparseFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
        let length = bytes.len().min(ZEROS.len());
        if bytes[..length] == ZEROS[..length] {
            self.file.seek(SeekFrom::Current(i64::try_from(length).unwrap()))?;
            return Ok(length);
        }
        self.file.write_all(&bytes[..length]).map(|()| length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
