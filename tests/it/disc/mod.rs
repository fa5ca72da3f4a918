//! The reader of discs, on what xorriso, genisoimage and cloud-localds write, and on our own discs.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::iso9660::{Options, plan};
use seedkit::digest::{Digest, Hasher};
use seedkit::disc::{Disc, EntryKind, Names};
use seedkit::tree::FileTree;

use crate::archive::{deepest, expected, long_links, sample_tree};
use crate::support::oracle;

/// What is at each path: kind, mode if it is known, and content or target.
type Listing = BTreeMap<String, String>;

fn open(image: &Path) -> Disc {
    Disc::open(fs::File::open(image).unwrap().into_file()).unwrap()
}

fn listing(disc: &Disc) -> Listing {
    let describe = |entry: &seedkit::disc::Entry| {
        let mode = entry.mode.map(|mode| format!(" {mode:o}")).unwrap_or_default();
        match &entry.kind {
            EntryKind::File(content) => {
                let mut bytes = Vec::new();
                disc.open_content(content).read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes.len() as u64, content.size());
                format!("file{mode} {}", Digest::sha256(&bytes))
            }
            EntryKind::Folder => format!("directory{mode}"),
            EntryKind::Link(target) => format!("link {target}"),
            EntryKind::Special => "special".to_owned(),
        }
    };
    disc.entries().iter().map(|entry| (entry.path.clone(), describe(entry))).collect()
}

/// Compares two listings and says where they differ.
fn assert_same(found: &Listing, expected: &Listing) {
    let paths = found.keys().chain(expected.keys());
    let differences: Vec<_> = paths
        .filter(|path| found.get(*path) != expected.get(*path))
        .map(|path| format!("{path}: found {:?}, expected {:?}", found.get(path), expected.get(path)))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What a folder holds.
fn on_disk(folder: &Path, with_modes: bool) -> Listing {
    let entries = walkdir::WalkDir::new(folder).min_depth(1).into_iter().map(Result::unwrap);
    let describe = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        let mode = if with_modes { format!(" {mode:o}") } else { String::new() };
        let text = if entry.file_type().is_symlink() {
            format!("link {}", fs::read_link(entry.path()).unwrap().display())
        } else if entry.file_type().is_dir() {
            format!("directory{mode}")
        } else {
            format!("file{mode} {}", Digest::sha256(&fs::read(entry.path()).unwrap()))
        };
        (path, text)
    };
    entries.map(describe).collect()
}

/// A folder with files of all sorts, and one for the images made from it.
struct Source {
    folder: tempfile::TempDir,
}

impl Source {
    fn new() -> Self {
        let source = Self { folder: tempfile::tempdir().unwrap() };
        let write = |path: &str, mode: u32, content: Vec<u8>| {
            let path = source.tree().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("user-data", 0o600, b"#cloud-config\n".to_vec());
        write("meta-data", 0o644, Vec::new());
        write("large", 0o444, vec![7; 3_000_001]);
        write("case/README", 0o644, b"1".to_vec());
        write("case/readme", 0o755, b"2".to_vec());
        write("두 말/설치 안내서.md", 0o640, b"3".to_vec());
        write(&format!("long/{}", "n".repeat(240)), 0o644, b"4".to_vec());
        write(&format!("{}/bottom", ["deep"; 12].join("/")), 0o644, b"5".to_vec());
        for number in 0..300 {
            write(
                &format!("crowd/some-package-with-a-long-name-{number:04}_1.0_amd64.deb"),
                0o644,
                vec![b'x'; number],
            );
        }
        for (number, target) in ["../user-data", "/etc/passwd", "..", "/", "a/../b"].iter().enumerate() {
            fs_err::os::unix::fs::symlink(target, source.tree().join(format!("link{number}"))).unwrap();
        }
        let long = ["t".repeat(200).as_str()].repeat(5).join("/");
        fs_err::os::unix::fs::symlink(long, source.tree().join("long-link")).unwrap();
        source
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    /// Has a program write an image of the tree.
    fn image(&self, program: &str, arguments: &[&str]) -> PathBuf {
        let image = self.folder.path().join("image.iso");
        let mut command = oracle::command(program);
        oracle::finish(command.args(arguments).arg("-o").arg(&image).arg(self.tree()));
        image
    }
}

const XORRISO: [&str; 5] = ["-as", "mkisofs", "-quiet", "-V", "cidata"];

#[test]
fn rock_ridge_of_xorriso_is_read_as_it_was_on_disk() {
    let source = Source::new();
    for more in [&["-R"][..], &["-R", "-J", "-joliet-long"], &["-R", "-iso-level", "3", "-U"], &["-R", "-D"]]
    {
        let image = source.image("xorriso", &[&XORRISO[..], more].concat());
        let disc = open(&image);
        assert_eq!((disc.volume_id(), disc.names()), ("cidata", Names::RockRidge), "{more:?}");
        assert!(disc.stated_length() <= disc.length());
        // xorriso opens what only its owner may read, for all who mount it.
        let mut found = listing(&disc);
        found.retain(|path, _| path != "rr_moved");
        let plain = |listing: Listing| -> Listing {
            listing.into_iter().map(|(path, text)| (path, without_mode(&text))).collect()
        };
        assert_same(&plain(found), &plain(on_disk(&source.tree(), true)));
    }
}

fn without_mode(text: &str) -> String {
    let fields: Vec<&str> = text.split(' ').collect();
    match fields[..] {
        ["file", _, digest] => format!("file {digest}"),
        ["directory", _] => "directory".to_owned(),
        _ => text.to_owned(),
    }
}

#[test]
fn rock_ridge_of_genisoimage_is_read_as_it_was_on_disk() {
    let source = Source::new();
    // Of targets that are longer than a record it writes a field whose length is wrong; such discs are refused.
    fs::remove_file(source.tree().join("long-link")).unwrap();
    for more in [&["-R"][..], &["-R", "-J", "-joliet-long"]] {
        let image = source.image("genisoimage", &[&["-quiet", "-V", "CIDATA"], more].concat());
        let disc = open(&image);
        assert_eq!((disc.volume_id(), disc.names()), ("CIDATA", Names::RockRidge), "{more:?}");
        let mut found = listing(&disc);
        // Where genisoimage keeps what is too deep for ISO 9660; Linux shows it too, empty.
        assert!(found.remove("rr_moved").is_some());
        assert_same(&found, &on_disk(&source.tree(), true));
    }
}

#[test]
fn without_rock_ridge_names_are_those_of_joliet_or_as_linux_shows_them() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("folder")).unwrap();
    fs::write(tree.join("user-data"), "#cloud-config\n").unwrap();
    fs::write(tree.join("folder/설치.txt"), "x").unwrap();
    let image = |arguments: &[&str]| {
        let image = folder.path().join("image.iso");
        let mut command = oracle::command("genisoimage");
        oracle::finish(
            command.args(["-quiet", "-V", "cidata"]).args(arguments).arg("-o").arg(&image).arg(&tree),
        );
        image
    };
    let joliet = open(&image(&["-J"]));
    assert_eq!(joliet.names(), Names::Joliet);
    assert_same(&listing(&joliet), &on_disk(&tree, false));
    let plain = open(&image(&[]));
    assert_eq!(plain.names(), Names::Plain);
    let paths: Vec<&str> = plain.entries().iter().map(|entry| entry.path.as_str()).collect();
    // This is why cloud-init finds no user-data on such a disc.
    assert_eq!(paths[0], "folder");
    assert!(paths.contains(&"user_dat"), "{paths:?}");
}

#[test]
fn our_own_discs_are_read_as_they_were_planned() {
    for tree in [sample_tree(), deepest(), long_links(), FileTree::new()] {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("seed.iso");
        let options = Options { volume_id: "CIDATA".parse().unwrap(), epoch: "1763683200".parse().unwrap() };
        plan(&tree, &options).unwrap().write(&mut fs::File::create(&image).unwrap()).unwrap();
        let disc = open(&image);
        assert_eq!(disc.stated_length(), disc.length());
        assert_same(&listing(&disc), &expected(&tree));
    }
}

#[test]
fn cloud_localds_writes_discs_that_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let [user, meta, image] = ["user", "meta", "seed.iso"].map(|name| folder.path().join(name));
    fs::write(&user, "#cloud-config\nhostname: a\n").unwrap();
    fs::write(&meta, "instance-id: i-1\n").unwrap();
    oracle::run("cloud-localds", [&image, &user, &meta]);
    let disc = open(&image);
    assert_eq!(disc.volume_id(), "cidata");
    let (digest, _) = Hasher::sha256_of(&mut disc.open_content(disc.file("user-data").unwrap())).unwrap();
    assert_eq!(digest, Digest::sha256(&fs::read(&user).unwrap()));
    assert_eq!(disc.file("meta-data").unwrap().size(), 17);
}
