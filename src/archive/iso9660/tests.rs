//! What needs no oracle: sizes, refusals, determinism.

use super::*;
use crate::digest::Digest;
use crate::tree::{Content, Entry};

fn options() -> Options {
    Options { volume_id: "CIDATA".parse().unwrap(), epoch: "1763683200".parse().unwrap() }
}

fn write(tree: &FileTree) -> Vec<u8> {
    let mut bytes = Vec::new();
    plan(tree, &options()).unwrap().write(&mut bytes).unwrap();
    bytes
}

fn refusal(path: &str, entry: Entry) -> String {
    let mut tree = FileTree::new();
    tree.insert(path, entry).unwrap();
    plan(&tree, &options()).unwrap_err().to_string()
}

#[test]
fn the_planned_size_is_the_written_one() {
    let mut tree = FileTree::new();
    assert_eq!(write(&tree).len() as u64, plan(&tree, &options()).unwrap().size());
    for number in 0..300 {
        let long = "n".repeat(number % 250);
        tree.insert_file(&format!("{}/{number}{long}", number % 7), 0o644, vec![1; number * 37]).unwrap();
        tree.insert(&format!("links/{number}"), Entry::Symlink { target: "t/".repeat(number + 1) }).unwrap();
    }
    assert_eq!(write(&tree).len() as u64, plan(&tree, &options()).unwrap().size());
}

#[test]
fn the_order_of_insertion_leaves_no_trace() {
    let paths = ["z", "a/b", "a/B", "a-b/c", "m/n/o/p"];
    let tree_of = |paths: &mut dyn Iterator<Item = &&str>| {
        let mut tree = FileTree::new();
        for path in paths {
            tree.insert_file(path, 0o600, *path).unwrap();
        }
        tree
    };
    assert_eq!(write(&tree_of(&mut paths.iter())), write(&tree_of(&mut paths.iter().rev())));
}

#[test]
fn what_no_reader_shows_whole_is_refused_by_path() {
    let file = |mode| Entry::File { mode, content: "".into() };
    let link = |target: String| Entry::Symlink { target };
    let long = "n".repeat(254);
    for (path, entry, words) in [
        (format!("a/{long}"), file(0o644), "the name of `a/nnn"),
        (format!("{long}/a"), file(0o644), "has 254 bytes"),
        ("a/link".into(), link(String::new()), "link `a/link` does not fit an ISO image: it is empty"),
        ("a/link".into(), link("t".repeat(1024)), "it is longer than 1023 bytes"),
        (["d"; 256].join("/"), file(0o644), "is 256 levels deep and 511 bytes long"),
        ([long[1..].as_ref(); 17].join("/"), file(0o644), "is 17 levels deep and 4317 bytes long"),
        ("a/link".into(), link("t\0".into()), "it has a NUL character"),
        ("a".into(), file(0o100_644), "the mode 100644 of `a`"),
        ("a".into(), Entry::Directory { mode: 0o40_755 }, "the mode 40755 of `a`"),
    ] {
        let refusal = refusal(&path, entry);
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn the_directory_after_the_last_number_is_refused() {
    let mut tree = FileTree::new();
    // The root is number 1.
    for number in 2..=65_535 {
        tree.insert(&number.to_string(), Entry::Directory { mode: 0o755 }).unwrap();
    }
    plan(&tree, &options()).unwrap();
    tree.insert("0", Entry::Directory { mode: 0o755 }).unwrap();
    let error = plan(&tree, &options()).unwrap_err();
    assert!(matches!(error, IsoError::TooManyDirectories(65_536)), "{error}");
}

#[test]
fn more_blocks_than_can_be_numbered_are_refused() {
    let mut tree = FileTree::new();
    tree.insert_file("huge", 0o644, Content::file("huge".into(), Digest::sha256(b""), 1 << 43)).unwrap();
    assert!(matches!(plan(&tree, &options()), Err(IsoError::VolumeTooLarge)));
}

#[test]
fn a_file_that_changed_its_size_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payload");
    let mut tree = FileTree::new();
    tree.insert_file("opt/payload", 0o644, Content::file(path.clone(), Digest::sha256(b""), 5000)).unwrap();
    let plan = plan(&tree, &options()).unwrap();
    for (size, expected) in
        [(4999, "is truncated: 4999 of 5000 bytes"), (5001, "is longer than the 5000 bytes")]
    {
        fs_err::write(&path, vec![1; size]).unwrap();
        let error = plan.write(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot write `opt/payload` into the ISO image");
        let reason = crate::text::chain(&error).join(": ");
        assert!(reason.contains(expected), "{reason}");
    }
}
