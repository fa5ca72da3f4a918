//! Compressed archives, read by gzip, zstd, Python, libarchive and 7-Zip.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::compress::{Compression, Compressor};
use seedkit::archive::tar::write_tree;

use super::{assert_same, epoch, expected, found, sample_tree};
use crate::support::oracle;

/// Writes a compressed archive of several blocks in `folder`.
fn archive(compression: Compression, folder: &Path) -> PathBuf {
    let mut tree = sample_tree();
    let numbers: String =
        (0..400_000).map(|number: u32| format!("{} ", number.wrapping_mul(2_654_435_761))).collect();
    tree.insert_file("numbers", 0o644, numbers).unwrap();
    let path = folder.join(format!("bundle.tar{}", compression.suffix()));
    let output = fs::File::create(&path).unwrap();
    let compressor = Compressor::new(compression, NonZero::new(3).unwrap(), output).unwrap();
    write_tree(&tree, epoch(), compressor).unwrap().finish().unwrap();
    path
}

#[test]
fn every_program_decompresses_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let plain = fs::read(archive(Compression::None, folder.path())).unwrap();
    let gzip = archive(Compression::Gzip, folder.path());
    let zstd = archive(Compression::Zstd, folder.path());
    let (gzip, zstd) = (gzip.to_str().unwrap(), zstd.to_str().unwrap());
    let python = "import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())";
    let seven_zip = oracle::first_of(&["7zz", "7z"]);
    for (program, arguments) in [
        ("gzip", vec!["-dc", gzip]),
        ("python3", vec!["-c", python, gzip]),
        (seven_zip, vec!["x", "-so", gzip]),
        // The limit is far below the 32 MiB at which k3s stops.
        ("zstd", vec!["-dc", "--memory=4MB", zstd]),
        (seven_zip, vec!["x", "-so", zstd]),
    ] {
        assert!(oracle::run(program, &arguments).stdout == plain, "{program} {arguments:?}");
    }
}

#[test]
fn libarchive_and_gnu_tar_open_compressed_archives_by_themselves() {
    for (program, compression) in [
        ("bsdtar", Compression::Gzip),
        ("bsdtar", Compression::Zstd),
        ("tar", Compression::Gzip),
        ("tar", Compression::Zstd),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(compression, folder.path());
        let target = folder.path().join("extracted");
        fs::create_dir(&target).unwrap();
        oracle::run(program, ["-xpf".as_ref(), archive.as_os_str(), "-C".as_ref(), target.as_os_str()]);
        let mut found = found(&target);
        assert!(found.remove("numbers").is_some());
        assert_same(&found, &expected(&sample_tree()));
    }
}

#[test]
fn gzip_says_neither_when_nor_where() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(archive(Compression::Gzip, folder.path())).unwrap();
    assert_eq!(bytes[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn zstd_has_a_checksum_and_a_small_window() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(Compression::Zstd, folder.path());
    let text = oracle::text("zstd", ["-lv", archive.to_str().unwrap()]);
    for words in ["Check: XXH64", "Window Size: 4.00 MiB"] {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
}
