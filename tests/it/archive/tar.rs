//! Tar archives, read by GNU tar, libarchive, Python and 7-Zip.

use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::tar::{TarWriter, write_tree};
use seedkit::tree::FileTree;

use super::{SparseFile, assert_same, epoch, expected, found, sample_tree};
use crate::support::oracle;

fn archive_of(tree: &FileTree, folder: &Path) -> PathBuf {
    let path = folder.join("bundle.tar");
    write_tree(tree, epoch(), BufWriter::new(fs::File::create(&path).unwrap())).unwrap();
    path
}

#[test]
fn gnu_tar_and_libarchive_extract_every_byte_mode_and_target() {
    let tree = sample_tree();
    for program in ["tar", "bsdtar"] {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive_of(&tree, folder.path());
        let target = folder.path().join("extracted");
        fs::create_dir(&target).unwrap();
        oracle::run(program, ["-xpf".as_ref(), archive.as_os_str(), "-C".as_ref(), target.as_os_str()]);
        assert_same(&found(&target), &expected(&tree));
    }
}

#[test]
fn members_belong_to_nobody_in_particular_at_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive_of(&sample_tree(), folder.path());
    let script = "import sys, tarfile\n\
        for m in tarfile.open(sys.argv[1]): print(m.uid, m.gid, repr(m.uname), repr(m.gname), m.mtime)";
    let listed = oracle::text("python3", ["-c", script, archive.to_str().unwrap()]);
    assert_eq!(listed.lines().count(), sample_tree().iter().count());
    assert!(listed.lines().all(|line| line == "0 0 '' '' 1763683200"), "{listed}");
}

/// As `std::io::repeat(0)`, ten times as fast in a debug build.
struct Zeros;

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn a_member_beyond_8_gib_has_its_size() {
    const SIZE: u64 = (8 << 30) + 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.tar");
    let mut writer = TarWriter::new(SparseFile::create(&path), epoch());
    let large = "large".parse().unwrap();
    writer.reader(&large, 0o644, SIZE, Zeros.take(SIZE)).unwrap();
    writer.file(&"after".parse().unwrap(), 0o644, &"it".into()).unwrap();
    SparseFile::finish(writer.finish().unwrap());
    let path = path.to_str().unwrap();
    for listed in [
        oracle::text("tar", ["-tvf", path]),
        oracle::text("bsdtar", ["-tvf", path]),
        oracle::text("python3", ["-m", "tarfile", "-v", "-l", path]),
        oracle::text(oracle::first_of(&["7zz", "7z"]), ["l", path]),
    ] {
        let line = listed.lines().find(|line| line.contains("large")).unwrap();
        assert!(line.contains("8589934593"), "{listed}");
        assert!(listed.contains("after"), "{listed}");
    }
}
