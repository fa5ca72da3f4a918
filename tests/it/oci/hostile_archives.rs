//! Tar archives that are broken, or made to break their reader.

use std::path::Path;

use fs_err as fs;
use seedkit::oci::LayoutSource;
use tar::{EntryType, Header};

use super::{sample, whole_text};
use crate::support::oracle;

/// One member as it stands in an archive, whether that makes sense or not.
fn member(kind: EntryType, name: &str, target: &str, content: &[u8]) -> Vec<u8> {
    member_claiming(kind, (name, target), content.len() as u64, content)
}

fn member_claiming(kind: EntryType, (name, target): (&str, &str), size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    // Directly: the crate itself refuses to write such names.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str) -> Vec<u8> {
    member(EntryType::Regular, name, "", b"{}")
}

fn link(name: &str, target: &str) -> Vec<u8> {
    member(EntryType::Symlink, name, target, b"")
}

/// Returns what opening an archive with these members says.
fn error_of(members: &[Vec<u8>]) -> String {
    let mut bytes = members.concat();
    bytes.extend([0; 1024]);
    error_of_bytes(&bytes)
}

fn error_of_bytes(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    fs::write(&path, bytes).unwrap();
    error_of_path(&path)
}

/// Opens an archive in both forms; both must refuse it, and name it.
fn error_of_path(path: &Path) -> String {
    let errors = [LayoutSource::oci_archive(path), LayoutSource::docker_archive(path)]
        .map(|source| whole_text(&source.unwrap_err()));
    assert!(errors.iter().all(|error| error.contains(path.to_str().unwrap())), "{errors:?}");
    let [first, _] = errors;
    first
}

#[test]
fn members_that_no_honest_archive_has_are_refused_by_name() {
    let hard_link = member(EntryType::Link, "x", "../../etc/passwd", b"");
    for (members, name, problem) in [
        (vec![file("../index.json")], "../index.json", "is not a path within an archive"),
        (vec![file("blobs/../../x")], "blobs/../../x", "is not a path within an archive"),
        (vec![file("/index.json")], "/index.json", "is not a path within an archive"),
        (vec![file("blobs//x")], "blobs//x", "is not a path within an archive"),
        (vec![link("x", "/etc/passwd")], "x", "links to a place outside of the archive"),
        (vec![link("blobs/x", "../../etc/passwd")], "blobs/x", "links to a place outside of the archive"),
        (vec![hard_link], "x", "links to a place outside of the archive"),
        (vec![link("x", "y")], "x", "links to a file that is not in the archive"),
        (vec![link("x", "x")], "x", "links to a file that is not in the archive"),
        (vec![link("x", "y"), link("y", "x")], "x", "links to a file that is not in the archive"),
        (vec![file("x"), file("x")], "x", "is there twice"),
        (vec![file("x"), file("./x")], "x", "is there twice"),
        (vec![file("x"), link("x", "index.json")], "x", "is there twice"),
        (vec![member(EntryType::Fifo, "x", "", b"")], "x", "is of the unknown kind `6`"),
        (vec![member(EntryType::Block, "x", "", b"")], "x", "is of the unknown kind `4`"),
        (vec![member(EntryType::Char, "x", "", b"")], "x", "is of the unknown kind `3`"),
    ] {
        let error = error_of(&members);
        assert!(error.ends_with(&format!("has the member `{name}`, which {problem}")), "{error}");
    }
}

#[test]
fn names_are_printable_whatever_the_archive_holds() {
    let error = error_of(&[file("\u{1b}[2J"), file("\u{1b}[2J")]);
    assert!(error.contains(r"`\u{1b}[2J`"), "{error}");
}

#[test]
fn sizes_are_not_believed() {
    const TIB: u64 = 1 << 40;
    let claiming =
        |kind, size| error_of(&[member_claiming(kind, ("x", ""), size, b"{}"), file("index.json")]);
    let error = claiming(EntryType::Regular, TIB);
    assert!(error.contains("`x`, which claims 1099511627776 bytes, more than the archive has"), "{error}");
    for kind in [EntryType::XHeader, EntryType::GNULongName, EntryType::GNULongLink] {
        claiming(kind, TIB);
        claiming(kind, u64::MAX);
    }
    claiming(EntryType::Regular, u64::MAX);
}

#[test]
fn a_header_that_really_is_large_is_not_taken_into_memory() {
    for kind in [EntryType::XHeader, EntryType::GNULongName] {
        let error = error_of(&[member(kind, "x", "", &vec![b'n'; 4 << 20]), file("index.json")]);
        assert!(
            error.contains(
                "it has a malformed long name or PAX header, or one of more than 1048576 bytes, at byte"
            ),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_plain_tar_archive_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let archive = good_archive(folder.path());
    for program in ["gzip", "zstd"] {
        let compressed = oracle::run(program, ["-c".as_ref(), archive.as_os_str()]).stdout;
        let error = error_of_bytes(&compressed);
        assert!(
            error.contains(&format!("is {program}-compressed, not an uncompressed tar archive")),
            "{error}"
        );
    }
    for (magic, what) in [(&b"\xfd7zXZ\0"[..], "xz"), (b"BZh9", "bzip2"), (b"\x04\x22\x4d\x18", "lz4")] {
        let error = error_of_bytes(&[magic, &[7; 1000]].concat());
        assert!(error.contains(&format!("is {what}-compressed")), "{error}");
    }
    assert!(error_of_bytes(b"").contains("is empty, not an"));
    error_of_bytes(&b"<html><body>Login</body></html>".repeat(100));
    error_of_bytes(b"<html>");
    let fifo = folder.path().join("fifo");
    oracle::run("mkfifo", [&fifo]);
    for path in [&fifo, Path::new("/dev/zero"), folder.path()] {
        let error = error_of_path(path);
        assert!(error.contains("is not a regular file, not an uncompressed tar archive"), "{error}");
    }
    assert!(error_of_path(&folder.path().join("missing")).contains("cannot read"));
}

/// Lets skopeo make an archive.
fn good_archive(folder: &Path) -> std::path::PathBuf {
    sample().write_layout(&folder.join("layout"));
    let path = folder.join("images.tar");
    let from = format!("oci:{}:latest", folder.join("layout").display());
    super::skopeo_copy(&from, &format!("oci-archive:{}:quay.io/a/b:1", path.display()));
    path
}

#[test]
fn an_archive_cut_off_anywhere_is_an_error_or_has_all_that_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(good_archive(folder.path())).unwrap();
    let path = folder.path().join("cut.tar");
    let image = super::contents_of(&sample());
    let mut refused = 0;
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        let source = LayoutSource::oci_archive(&path).map_err(|error| whole_text(&error));
        match source.and_then(|source| super::read_contents(&source, super::NAME)) {
            Ok(contents) => assert!(contents == image, "{length} of {} bytes", whole.len()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn links_to_links_are_followed_in_whatever_order_they_stand() {
    for (first, second) in [("a", "z"), ("z", "a")] {
        let index = member(EntryType::Regular, "real", "", br#"{"schemaVersion":2,"manifests":null}"#);
        let members = [link("index.json", first), link(first, second), link(second, "./real"), index];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.tar");
        fs::write(&path, [members.concat(), vec![0; 1024]].concat()).unwrap();
        LayoutSource::oci_archive(&path).unwrap();
    }
}
