//! What differs between two folders that should be the same: artifact, entry within it, field.
//!
//! "The digests differ" helps nobody. ISOs and tarballs are opened by bsdtar, which knows nothing of how they were
//! written, and compared entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::oracle;
use super::sandbox::files;

/// Returns all differences between two folders, one a line; nothing if they are the same.
pub(crate) fn differences(one: &Path, other: &Path) -> String {
    let paths = |folder| files(folder).into_iter().collect::<BTreeSet<PathBuf>>();
    let (of_one, of_other) = (paths(one), paths(other));
    let mut found = Vec::new();
    for path in of_one.union(&of_other) {
        let name = path.display();
        match (of_one.contains(path), of_other.contains(path)) {
            (true, true) => found.extend(file_differences(path, &one.join(path), &other.join(path))),
            (true, false) => found.push(format!("{name}: only in the first")),
            (false, _) => found.push(format!("{name}: only in the second")),
        }
    }
    found.extend(folder_modes(one, other));
    found.into_iter().map(|line| line + "\n").collect()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn folder_modes(one: &Path, other: &Path) -> Vec<String> {
    let folders = walkdir::WalkDir::new(one).sort_by_file_name().into_iter().map(Result::unwrap);
    let differ = |folder: walkdir::DirEntry| {
        let path = folder.path().strip_prefix(one).unwrap();
        let (first, second) = (mode(folder.path()), mode(&other.join(path)));
        (first != second).then(|| format!("{}/: mode: {first:04o}, {second:04o}", path.display()))
    };
    let common = |entry: &walkdir::DirEntry| {
        entry.file_type().is_dir() && other.join(entry.path().strip_prefix(one).unwrap()).is_dir()
    };
    folders.filter(common).filter_map(differ).collect()
}

fn file_differences(name: &Path, one: &Path, other: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let (first, second) = (mode(one), mode(other));
    if first != second {
        found.push(format!("mode: {first:04o}, {second:04o}"));
    }
    let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    if first != second {
        let entries = if is_archive(name) { entry_differences(one, other) } else { Vec::new() };
        let whole = || vec![format!("content: {}", first_difference(&first, &second))];
        found.extend(if entries.is_empty() { whole() } else { entries });
    }
    found.into_iter().map(|difference| format!("{}: {difference}", name.display())).collect()
}

fn is_archive(name: &Path) -> bool {
    let name = name.to_string_lossy();
    [".iso", ".tar", ".tar.gz", ".tar.zst"].iter().any(|end| name.ends_with(end))
}

/// Says where two contents part: by line if they are texts, by byte if not.
fn first_difference(one: &[u8], other: &[u8]) -> String {
    if let (Ok(one), Ok(other)) = (std::str::from_utf8(one), std::str::from_utf8(other)) {
        let (mut first, mut second) = (one.split('\n'), other.split('\n'));
        for line in 1.. {
            match (first.next(), second.next()) {
                (Some(first), Some(second)) if first == second => {}
                (first, second) => return format!("line {line}: {first:?}, {second:?}"),
            }
        }
    }
    let common = one.iter().zip(other).take_while(|(first, second)| first == second).count();
    format!("byte {common}, of {} and {}", one.len(), other.len())
}

/// One entry of an archive, by field.
type Fields = BTreeMap<&'static str, String>;

fn entry_differences(one: &Path, other: &Path) -> Vec<String> {
    let (first, second) = (entries(one), entries(other));
    let names = |entries: &[(String, Fields, Vec<u8>)]| -> Vec<String> {
        entries.iter().map(|(name, ..)| name.clone()).collect()
    };
    let (first_names, second_names) = (names(&first), names(&second));
    let lack = |name: &&String, names: &[String]| !names.contains(name);
    let mut found: Vec<String> = Vec::new();
    let only_first = first_names.iter().filter(|name| lack(name, &second_names));
    found.extend(only_first.map(|name| format!("{name}: only in the first")));
    let only_second = second_names.iter().filter(|name| lack(name, &first_names));
    found.extend(only_second.map(|name| format!("{name}: only in the second")));
    if found.is_empty() && first_names != second_names {
        return vec![format!("order: {first_names:?}, {second_names:?}")];
    }
    for (name, fields, content) in first {
        let Some((_, other_fields, other_content)) = second.iter().find(|(other, ..)| *other == name) else {
            continue;
        };
        for (field, value) in fields {
            if value != other_fields[field] {
                found.push(format!("{name}: {field}: {value}, {}", other_fields[field]));
            }
        }
        if content != *other_content {
            found.push(format!("{name}: content: {}", first_difference(&content, other_content)));
        }
    }
    found
}

fn entries(archive: &Path) -> Vec<(String, Fields, Vec<u8>)> {
    let argument = format!("@{}", archive.display());
    let stream = oracle::run("bsdtar", ["--create", "--format=pax", "--file=-", &argument]).stdout;
    let mut archive = tar::Archive::new(stream.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let header = entry.header();
        let link = entry.link_name_bytes().unwrap_or_default();
        let fields = [
            ("type", format!("{:?}", header.entry_type())),
            ("mode", format!("{:04o}", header.mode().unwrap())),
            ("owner", format!("{}:{}", header.uid().unwrap(), header.gid().unwrap())),
            ("mtime", header.mtime().unwrap().to_string()),
            ("size", entry.size().to_string()),
            ("link", String::from_utf8(link.into_owned()).unwrap()),
        ];
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (name, fields.into(), content)
    });
    entries.collect()
}

mod tests {
    use std::path::Path;

    use fs_err as fs;
    use seedkit::archive::iso9660::{Options, plan};
    use seedkit::tree::FileTree;

    fn tarball(members: &[(&str, u32, u64, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, mode, mtime, content) in members {
            let mut header = tar::Header::new_ustar();
            header.set_mode(*mode);
            header.set_mtime(*mtime);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn disc(content: &str, mode: u32, epoch: &str) -> Vec<u8> {
        let mut tree = FileTree::new();
        for (name, mode, content) in [("user-data", 0o644, content), ("meta-data", mode, "same")] {
            tree.insert_file(name, mode, content.to_owned()).unwrap();
        }
        let options = Options { volume_id: "CIDATA".parse().unwrap(), epoch: epoch.parse().unwrap() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("iso");
        plan(&tree, &options).unwrap().write(&mut fs::File::create(&path).unwrap()).unwrap();
        fs::read(path).unwrap()
    }

    /// Writes one file into each of two folders and returns what is found to differ.
    fn found(name: &str, one: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> String {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let write = |folder: &Path, content: &[u8]| fs::write(folder.join(name), content).unwrap();
        write(folders[0].path(), one.as_ref());
        write(folders[1].path(), other.as_ref());
        super::differences(folders[0].path(), folders[1].path())
    }

    #[test]
    fn a_planted_difference_is_reported_as_artifact_entry_and_field() {
        let tar = |mode, mtime, content| tarball(&[("a", 0o644, 1, "same"), ("b", mode, mtime, content)]);
        let reference = || tar(0o644, 1, "b");
        let zstd = |bytes: Vec<u8>| zstd::encode_all(bytes.as_slice(), 1).unwrap();
        let iso = || disc("#cloud-config\n", 0o644, "1763683200");
        for (expected, difference) in [
            ("", found("x.tar", reference(), reference())),
            (
                "x.tar: b: content: line 1: Some(\"b\"), Some(\"c\")\n",
                found("x.tar", reference(), tar(0o644, 1, "c")),
            ),
            ("x.tar: b: mode: 0644, 0600\n", found("x.tar", reference(), tar(0o600, 1, "b"))),
            ("x.tar: b: mtime: 1, 2\n", found("x.tar", reference(), tar(0o644, 2, "b"))),
            ("x.tar.zst: b: mtime: 1, 2\n", found("x.tar.zst", zstd(reference()), zstd(tar(0o644, 2, "b")))),
            (
                "x.tar: b: only in the first\n",
                found("x.tar", reference(), tarball(&[("a", 0o644, 1, "same")])),
            ),
            (
                "x.tar: order: [\"a\", \"b\"], [\"b\", \"a\"]\n",
                found("x.tar", reference(), tarball(&[("b", 0o644, 1, "b"), ("a", 0o644, 1, "same")])),
            ),
            (
                "x.iso: user-data: content: line 1: Some(\"#cloud-config\"), Some(\"#cloud-conf1g\")\n",
                found("x.iso", iso(), disc("#cloud-conf1g\n", 0o644, "1763683200")),
            ),
            (
                "x.iso: meta-data: mode: 0644, 0600\n",
                found("x.iso", iso(), disc("#cloud-config\n", 0o600, "1763683200")),
            ),
            (
                "x.json: content: line 2: Some(\" 1\"), Some(\" 2\")\n",
                found("x.json", "{\n 1\n}\n", "{\n 2\n}\n"),
            ),
            ("x.bin: content: byte 1, of 2 and 3\n", found("x.bin", [0xff, 0], [0xff, 1, 2])),
        ] {
            assert_eq!(difference, expected);
        }
    }

    #[test]
    fn a_difference_outside_of_all_entries_is_reported_too() {
        let iso = disc("#cloud-config\n", 0o644, "1763683200");
        let mut other = iso.clone();
        // Volume set identifier: no entry has it.
        other[16 * 2048 + 190] ^= 1;
        assert_eq!(
            found("x.iso", &iso, other),
            format!("x.iso: content: byte 32958, of {0} and {0}\n", iso.len())
        );
    }

    #[test]
    fn files_that_only_one_folder_has_and_other_modes_are_reported() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (folder, name, mode) in [(&folders[0], "first", 0o755), (&folders[1], "second", 0o700)] {
            let inner = folder.path().join("folder");
            fs::create_dir(&inner).unwrap();
            fs::write(inner.join(name), "").unwrap();
            fs::write(inner.join("both"), "").unwrap();
            for path in [&inner, &inner.join("both")] {
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            }
        }
        assert_eq!(
            super::differences(folders[0].path(), folders[1].path()),
            "folder/both: mode: 0755, 0700\nfolder/first: only in the first\nfolder/second: only in the second\n\
             folder/: mode: 0755, 0700\n"
        );
    }
}
