//! ISO images beyond 4 GiB, where a file needs several extents; and the memory that writing one takes.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::iso9660;
use seedkit::digest::Hasher;
use seedkit::disc::Disc;
use seedkit::tree::{Content, FileTree};

use super::SparseFile;
use super::iso9660::options;
use crate::support::{alone, oracle};

/// 4.5 GiB and a bit, not a multiple of the block size.
const LARGE: u64 = 4_831_850_553;
/// Beside the signs of 32-bit numbers, the end of the first extent, and the last bytes.
const MARKS: [u64; 5] = [0, (1 << 31) - 8, 0xFFFF_F800 - 8, (1 << 32) - 8, LARGE - 16];

/// Makes a sparse file of `size` bytes with sixteen recognisable bytes at each of `marks`.
fn sparse(path: &Path, size: u64, marks: &[u64]) -> PathBuf {
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    for mark in marks {
        file.file().write_all_at(format!("{mark:016x}").as_bytes(), *mark).unwrap();
    }
    path.to_owned()
}

fn content(path: &Path) -> Content {
    let (digest, size) = Hasher::sha256_of(&mut fs::File::open(path).unwrap()).unwrap();
    Content::file(path.to_owned(), digest, size)
}

#[test]
fn a_file_beyond_4_gib_is_read_whole_by_xorriso_and_7_zip() {
    let folder = tempfile::tempdir().unwrap();
    let large = sparse(&folder.path().join("large"), LARGE, &MARKS);
    let mut tree = FileTree::new();
    tree.insert_file("images/large.tar", 0o644, content(&large)).unwrap();
    tree.insert_file("images/small", 0o644, "after it").unwrap();
    let image = folder.path().join("seed.iso");
    let mut output = SparseFile::create(&image);
    let plan = iso9660::plan(&tree, &options()).unwrap();
    plan.write(&mut output).unwrap();
    assert_eq!(SparseFile::finish(output), plan.size());

    let seven_zip = oracle::first_of(&["7zz", "7z"]);
    let pipe = format!("{seven_zip} x -so \"$1\" images/large.tar | cmp - \"$2\"");
    oracle::run("sh", ["-c".as_ref(), pipe.as_ref(), "sh".as_ref(), image.as_os_str(), large.as_os_str()]);

    let extents = extents(&image, "/images/large.tar");
    assert_eq!(extents.iter().map(|(_, length)| length).sum::<u64>(), LARGE.next_multiple_of(2048));
    assert_eq!(extents.len(), 2);
    let image = fs::File::open(&image).unwrap();
    let disc = Disc::open(image.file().try_clone().unwrap()).unwrap();
    assert_eq!(disc.file("images/large.tar").unwrap().size(), LARGE);
    for mark in MARKS {
        let (mut offset, mut extents) = (mark, extents.iter());
        let start = loop {
            let (start, length) = extents.next().unwrap();
            match offset.checked_sub(*length) {
                Some(beyond) => offset = beyond,
                None => break *start,
            }
        };
        let mut found = [0; 16];
        image.file().read_exact_at(&mut found, start + offset).unwrap();
        assert_eq!(String::from_utf8_lossy(&found), format!("{mark:016x}"));
    }
}

/// Returns offset and length, in whole blocks, of each extent of a file, as xorriso reports them.
fn extents(image: &Path, path: &str) -> Vec<(u64, u64)> {
    // A line has the extent's number, its first block, its blocks, the size of the whole file, and the path.
    let report =
        oracle::text("xorriso", ["-indev", image.to_str().unwrap(), "-find", path, "-exec", "report_lba"]);
    let lines = report.lines().filter_map(|line| line.strip_prefix("File data lba:"));
    let number = |text: &str| text.trim().parse::<u64>().unwrap();
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|fields| (number(fields[1]) * 2048, number(fields[2]) * 2048))
        .collect()
}

#[test]
fn writing_a_large_image_takes_less_than_24_mib_of_memory() {
    alone::run(module_path!(), "write_a_large_image_within_24_mib");
}

/// Runs in a process of its own, because the peak counts everything that a process ever did.
#[test]
#[ignore = "run by `writing_a_large_image_takes_less_than_24_mib_of_memory`"]
fn write_a_large_image_within_24_mib() {
    // The pages of this program, which has all tests in it.
    let before = alone::peak_memory();
    let folder = tempfile::tempdir().unwrap();
    let large = sparse(&folder.path().join("large"), 1 << 30, &[]);
    let mut tree = super::crowd(5000);
    tree.insert_file("large", 0o644, content(&large)).unwrap();
    let mut output = fs::File::create(folder.path().join("seed.iso")).unwrap().into_file();
    iso9660::plan(&tree, &options()).unwrap().write(&mut output).unwrap();
    let needed = alone::peak_memory() - before;
    assert!(needed < 24 * 1024, "{needed} KiB");
}
