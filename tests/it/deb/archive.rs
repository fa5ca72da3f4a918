//! Packages, exchanged with dpkg-deb, and hostile ones.

use std::path::Path;

use fs_err as fs;
use seedkit::archive::ar::ArWriter;
use seedkit::deb::archive::{InvalidPackage, LARGEST_UNPACKED, Package, read, write};
use seedkit::epoch::Epoch;
use seedkit::tree::{Entry, FileTree};

use crate::support::oracle;

const CONTROL: &str = "Package: tiny\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: A <a@example.org>\n\
                       Depends: other (>= 1)\nDescription: small\n and long\n";
const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nLicense: MIT\n";

fn epoch() -> Epoch {
    "1763683200".parse().unwrap()
}

fn tiny() -> Vec<u8> {
    let mut files = FileTree::new();
    files.insert_file("usr/bin/tiny", 0o755, "#!/bin/sh\n").unwrap();
    files.insert_file("usr/share/doc/tiny/copyright", 0o644, COPYRIGHT).unwrap();
    files.insert("usr/bin/link", Entry::Symlink { target: "/usr/bin/tiny".to_owned() }).unwrap();
    write(CONTROL, &files, epoch(), Vec::new()).unwrap()
}

fn read_all(package: &[u8]) -> Result<Package, InvalidPackage> {
    read(package, LARGEST_UNPACKED)
}

fn refusal(package: &[u8]) -> String {
    read_all(package).expect_err("the package is hostile, but was accepted").to_string()
}

#[test]
fn dpkg_deb_reads_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.deb");
    fs::write(&path, tiny()).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(oracle::text("dpkg-deb", ["--field", path]), CONTROL);
    let contents = oracle::text("dpkg-deb", ["--contents", path]);
    let file = contents.lines().find(|line| line.ends_with("/tiny") && line.starts_with('-')).unwrap();
    let words: Vec<&str> = file.split_ascii_whitespace().collect();
    assert_eq!(words, ["-rwxr-xr-x", "0/0", "10", "2025-11-21", "00:00", "usr/bin/tiny"]);
    let target = folder.path().join("root");
    oracle::run("dpkg-deb", ["--extract", path, target.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(target.join("usr/share/doc/tiny/copyright")).unwrap(), COPYRIGHT);
    assert_eq!(fs::read_link(target.join("usr/bin/link")).unwrap(), Path::new("/usr/bin/tiny"));
    assert_eq!(tiny(), tiny());
}

#[test]
fn what_dpkg_deb_makes_is_read_in_every_compression() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    // Longer than a tar header's field: dpkg-deb writes GNU's extension for it.
    let long = format!("usr/share/{}/{}", "folder".repeat(20), "name".repeat(30));
    let mut tree = FileTree::new();
    tree.insert_file("DEBIAN/control", 0o644, CONTROL).unwrap();
    tree.insert_file("usr/share/doc/tiny/copyright", 0o644, COPYRIGHT).unwrap();
    tree.insert_file(&long, 0o644, vec![b'x'; 100_000]).unwrap();
    tree.insert("usr/link", Entry::Symlink { target: format!("/{}", "far/".repeat(50)) }).unwrap();
    for (path, entry) in tree.iter() {
        let place = root.join(path.as_str());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        match entry {
            Entry::Directory { .. } => fs::create_dir_all(place).unwrap(),
            Entry::Symlink { target } => fs_err::os::unix::fs::symlink(target, place).unwrap(),
            Entry::File { content, .. } => {
                std::io::copy(&mut content.open().unwrap(), &mut fs::File::create(place).unwrap()).unwrap();
            }
        }
    }
    fs::hard_link(root.join(&long), root.join("usr/hard")).unwrap();
    for compression in ["none", "gzip", "xz", "zstd"] {
        let path = folder.path().join(format!("{compression}.deb"));
        let option = format!("-Z{compression}");
        let places = [root.to_str().unwrap(), path.to_str().unwrap()];
        oracle::run("dpkg-deb", ["--root-owner-group", &option, "--build", places[0], places[1]]);
        let package = read_all(&fs::read(&path).unwrap()).unwrap();
        let stanza = package.stanza().unwrap();
        assert_eq!((stanza.name, stanza.version.as_str()), ("tiny", "1:2.0-1"));
        assert_eq!(package.control(), oracle::text("dpkg-deb", ["--field", places[1]]));
        assert_eq!(package.licenses, ["MIT"], "{compression}");
        assert_eq!(package.unpacked, 100_000 + COPYRIGHT.len() as u64);
    }
}

/// Returns a tar archive with one member, whatever its path.
fn tar_of(path: &str, kind: tar::EntryType, target: &str, size: usize) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_cksum();
    let mut bytes = [header.as_bytes().as_slice(), &vec![b'a'; size.next_multiple_of(512)]].concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn ar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ArWriter::new(Vec::new(), epoch()).unwrap();
    members.iter().for_each(|(name, content)| writer.member(name, 0o644, content).unwrap());
    writer.finish().unwrap()
}

/// Returns the control archive of a good package.
fn control_tar() -> Vec<u8> {
    let mut tree = FileTree::new();
    tree.insert_file("control", 0o644, CONTROL).unwrap();
    seedkit::archive::tar::write_tree(&tree, epoch(), Vec::new()).unwrap()
}

fn with_data(data: &[u8]) -> Vec<u8> {
    ar_of(&[("debian-binary", b"2.0\n"), ("control.tar", &control_tar()), ("data.tar", data)])
}

#[test]
fn members_that_leave_the_package_are_refused_with_their_path() {
    use tar::EntryType::{GNULongName, Link, Regular, XHeader};
    for (path, kind, target, reason) in [
        ("../etc/passwd", Regular, "", "a path that leaves it: `../etc/passwd`"),
        ("./usr/../../x", Regular, "", "a path that leaves it: `./usr/../../x`"),
        ("/etc/passwd", Regular, "", "a path that leaves it: `/etc/passwd`"),
        ("./usr/x", Link, "/etc/passwd", "a path that leaves it: `/etc/passwd`"),
        ("./usr/x", Link, "../x", "a path that leaves it: `../x`"),
        ("", Regular, "", "a path that leaves it: ``"),
        ("././@LongLink", GNULongName, "", "a path that leaves it: `aaaa"),
        ("PaxHeader", XHeader, "", "`PaxHeader` in `data.tar` of the package is of the unknown kind `x`"),
    ] {
        let found = refusal(&with_data(&tar_of(path, kind, target, 10_000)));
        assert!(found.contains(reason) && found.contains("`data.tar`"), "{path}: {found}");
    }
    let escaping = tar_of("../control", Regular, "", 10);
    let package = ar_of(&[("debian-binary", b"2.0\n"), ("control.tar", &escaping), ("data.tar", b"")]);
    assert!(refusal(&package).contains("`control.tar` of the package has a path that leaves it"));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    fs::write(root.join("DEBIAN/control"), CONTROL).unwrap();
    fs::write(root.join("zeros"), vec![0; 20 << 20]).unwrap();
    for compression in ["gzip", "xz", "zstd"] {
        let path = folder.path().join("bomb.deb");
        let option = format!("-Z{compression}");
        let places = [root.to_str().unwrap(), path.to_str().unwrap()];
        oracle::run("dpkg-deb", ["--root-owner-group", &option, "--build", places[0], places[1]]);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() < 100_000, "{compression}");
        let error = read(&bytes[..], 1 << 20).unwrap_err().to_string();
        assert!(error.contains("of the package unpacks to more than 1048576 bytes"), "{error}");
        assert!(read(&bytes[..], 21 << 20).is_ok(), "{compression}");
    }
}

#[test]
fn a_dictionary_that_fills_the_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("data.tar");
    fs::write(&plain, [0; 1024]).unwrap();
    let mut data = oracle::run("xz", ["--stdout", plain.to_str().unwrap()]).stdout;
    // Block header of 12 bytes: size, flags, filter, size of properties, dictionary, padding, checksum.
    data[16] = 40;
    let mut checksum = flate2::Crc::new();
    checksum.update(&data[12..20]);
    data[20..24].copy_from_slice(&checksum.sum().to_le_bytes());
    let package =
        ar_of(&[("debian-binary", b"2.0\n"), ("control.tar", &control_tar()), ("data.tar.xz", &data)]);
    assert_eq!(refusal(&package), "cannot unpack `data.tar.xz` of the package");
}

#[test]
fn what_is_no_package_is_refused_with_the_reason() {
    let (control, data) = (control_tar(), tar_of("x", tar::EntryType::Regular, "", 1));
    let other = tar_of("other", tar::EntryType::Regular, "", 1);
    let binary: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let whole = with_data(&data);
    for (package, reason) in [
        (b"PK\x03\x04".to_vec(), "the package is malformed"),
        (ar_of(&[]), "the package has `` where debian-binary belongs"),
        (ar_of(&[("debian-binary", b"3.0\n")]), "the package has format `3.0`, not 2.0"),
        (ar_of(&[binary, ("data.tar", &data)]), "the package has `data.tar` where control.tar belongs"),
        (ar_of(&[binary, ("control.tar.lzma", &control)]), "`control.tar.lzma` where control.tar belongs"),
        (ar_of(&[binary, ("control.tar", &control)]), "the package has `` where data.tar belongs"),
        (ar_of(&[binary, ("control.tar", &other), ("data.tar", &data)]), "the package has no control file"),
        (ar_of(&[binary, ("control.tar.gz", &control)]), "cannot unpack `control.tar.gz` of the package"),
        (ar_of(&[binary, ("control.tar.xz", &control)]), "cannot unpack `control.tar.xz` of the package"),
        (whole[..whole.len() - 1200].to_vec(), "cannot unpack `data.tar` of the package"),
        (
            [whole.clone(), ar_of(&[("z", b"")])[8..].to_vec()].concat(),
            "the package has `z` where its end belongs",
        ),
    ] {
        let found = refusal(&package);
        assert!(found.contains(reason), "{found}");
    }
    let signed = [whole, ar_of(&[("_gpgorigin", b"x")])[8..].to_vec()].concat();
    assert!(read_all(&signed).is_ok());
}

#[test]
fn packages_that_dpkg_could_not_use_are_not_written() {
    let mut long = FileTree::new();
    long.insert_file(&"n".repeat(100), 0o644, "").unwrap();
    assert!(
        write(CONTROL, &long, epoch(), Vec::new()).unwrap_err().to_string().contains("longer than 99 bytes")
    );
    for control in ["", "Package: a\n", "Package: a\nVersion: 1\nArchitecture: ../x\n"] {
        assert!(write(control, &FileTree::new(), epoch(), Vec::new()).is_err(), "{control}");
    }
}
