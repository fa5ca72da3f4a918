//! ISO images of ordinary size, read by xorriso, libarchive, 7-Zip, isoinfo and blkid.

use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::iso9660::{self, Options};
use seedkit::tree::FileTree;

use super::{assert_same, crowd, deepest, epoch, expected, found, long_links, sample_tree};
use crate::support::oracle;

pub(super) fn options() -> Options {
    Options { volume_id: "CIDATA".parse().unwrap(), epoch: epoch() }
}

/// Writes `tree` to an image in `folder`.
fn image_of(tree: &FileTree, folder: &Path) -> PathBuf {
    let path = folder.join("seed.iso");
    let plan = iso9660::plan(tree, &options()).unwrap();
    plan.write(&mut fs::File::create(&path).unwrap().into_file()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), plan.size());
    path
}

/// Extracts with xorriso, which reads Rock Ridge.
fn extract_with_xorriso(image: &Path, folder: &Path) -> PathBuf {
    let target = folder.join("xorriso");
    let (image, to) = (image.to_str().unwrap(), target.to_str().unwrap());
    oracle::run("xorriso", ["-osirrox", "on", "-abort_on", "WARNING", "-indev", image, "-extract", "/", to]);
    target
}

#[test]
fn xorriso_extracts_every_byte_mode_and_target() {
    for tree in [sample_tree(), long_links(), deepest(), crowd(3000), FileTree::new()] {
        let folder = tempfile::tempdir().unwrap();
        let extracted = extract_with_xorriso(&image_of(&tree, folder.path()), folder.path());
        assert_same(&found(&extracted), &expected(&tree));
    }
}

#[test]
fn libarchive_extracts_every_byte_mode_and_target() {
    for tree in [sample_tree(), long_links(), deepest()] {
        let folder = tempfile::tempdir().unwrap();
        let image = image_of(&tree, folder.path());
        let target = folder.path().join("bsdtar");
        fs::create_dir(&target).unwrap();
        oracle::run("bsdtar", ["-xpf".as_ref(), image.as_os_str(), "-C".as_ref(), target.as_os_str()]);
        assert_same(&found(&target), &expected(&tree));
    }
}

#[test]
fn every_file_is_in_the_joliet_tree_once() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_of(&sample_tree(), folder.path());
    let target = folder.path().join("7z");
    oracle::run(
        oracle::first_of(&["7zz", "7z"]),
        ["x".to_owned(), format!("-o{}", target.display()), image.display().to_string()],
    );
    // 7-Zip knows no modes here, and Joliet no links.
    let content_only = |description: &String| description.split(' ').next_back().unwrap().to_owned();
    let renamed = [
        ("emoji-😀", "emoji-_"),
        ("emoji-😀/😀.txt", "emoji-_/_.txt"),
        ("odd/a:b?c;d*e\\f", "odd/a_b_c_d_e_f"),
        ("case/Readme", "case/Readme_1"),
        ("case/readme", "case/readme_2"),
    ];
    let long = |stem: &str, end: &str| format!("long/{}{end}", stem.repeat(64 - end.chars().count()));
    let mut expected = expected(&sample_tree());
    expected.retain(|_, description| description.starts_with("file"));
    for (from, to) in renamed {
        if let Some(description) = expected.remove(from) {
            expected.insert(to.to_owned(), description);
        }
    }
    for (from, to) in [
        ("n".repeat(253), long("n", "")),
        (format!("{}.tar.zst", "가".repeat(80)), long("가", ".zst")),
        (format!("{}1.tar.zst", "가".repeat(80)), long("가", "_1.zst")),
    ] {
        let description = expected.remove(&format!("long/{from}")).unwrap();
        expected.insert(to, description);
    }
    let mut found = found(&target);
    found.retain(|_, description| description.starts_with("file"));
    for listing in [&mut found, &mut expected] {
        listing.values_mut().for_each(|description| *description = content_only(description));
    }
    assert_same(&found, &expected);
}

#[test]
fn seven_zip_gets_to_the_bottom_of_the_deepest_tree() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_of(&deepest(), folder.path());
    let arguments = ["l", "-slt", image.to_str().unwrap()];
    let listed = oracle::text(oracle::first_of(&["7zz", "7z"]), arguments);
    assert!(listed.lines().any(|line| line == format!("Path = {}", ["d"; 255].join("/"))));
}

#[test]
fn isoinfo_lists_the_same_names_in_rock_ridge() {
    let tree = sample_tree();
    let folder = tempfile::tempdir().unwrap();
    let image = image_of(&tree, folder.path());
    let listed = oracle::text("isoinfo", ["-R", "-f", "-i", image.to_str().unwrap()]);
    let mut listed: Vec<_> = listed.lines().filter_map(|line| line.strip_prefix('/')).collect();
    listed.sort_unstable();
    let mut paths: Vec<_> = tree.iter().map(|(path, _)| path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(listed, paths);
}

#[test]
fn isoinfo_finds_a_plain_volume_with_both_extensions() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_of(&sample_tree(), folder.path());
    let text = oracle::text("isoinfo", ["-d", "-i", image.to_str().unwrap()]);
    for line in [
        "Volume id: CIDATA",
        "Joliet with UCS level 3 found",
        "Rock Ridge signatures version 1 found",
        "Logical block size is: 2048",
    ] {
        assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
    }
    let blocks = fs::metadata(&image).unwrap().len() / 2048;
    assert!(text.contains(&format!("Volume size is: {blocks}\n")), "{text}");
}

#[test]
fn isovfy_finds_no_inconsistency() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_of(&sample_tree(), folder.path());
    let text = oracle::text("isovfy", [image]);
    assert!(text.trim_end().ends_with("No errors found"), "{text}");
}

#[test]
fn blkid_sees_the_label_that_cloud_init_looks_for() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_of(&sample_tree(), folder.path());
    let text = oracle::text("blkid", ["-p", "-o", "export", image.to_str().unwrap()]);
    for line in ["LABEL=CIDATA", "TYPE=iso9660", "UUID=2025-11-21-00-00-00-00"] {
        assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes_and_another_epoch_others() {
    let write = |options: &Options| {
        let mut bytes = Vec::new();
        iso9660::plan(&sample_tree(), options).unwrap().write(&mut bytes).unwrap();
        bytes
    };
    let mut options = options();
    let first = write(&options);
    assert!(write(&options) == first);
    options.epoch = "1763683201".parse().unwrap();
    assert!(write(&options) != first);
}
