//! Tar archives: POSIX.1-1988 (ustar), so that everything reads them, down to busybox.
//!
//! ```text
//! archive = member* zeros[1024]
//! member  = [pax] header[512] content zeros[to a multiple of 512]
//! pax     = header[512, type x] ( <length> " " <key> "=" <value> "\n" )* zeros
//! ```
//!
//! A PAX header stands only before a member whose path, link target or size does not fit: more than 255
//! bytes or no slash in the right place, more than 100 bytes, more than 8 GiB. Owner and group are 0 and have
//! no names, the time is the build's epoch, modes and order are the caller's.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use crate::archive::content::{self, ContentError};
use crate::epoch::Epoch;
use crate::tree::{Content, Entry, FileTree, TreePath};

const BLOCK: usize = 512;
const NAME_LIMIT: usize = 100;
const PREFIX_LIMIT: usize = 155;
/// Eleven octal digits.
const SIZE_LIMIT: u64 = 0o77_777_777_777;
const MODE_LIMIT: u32 = 0o7777;

/// Says why a member did not get into an archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// A mode has more than permission bits.
    #[error("the mode {1:o} of `{0}` is more than permission bits")]
    InvalidMode(TreePath, u32),
    /// Its bytes did not get in.
    #[error("cannot write `{0}` into the tar archive")]
    Content(TreePath, #[source] ContentError),
    /// The rest did not get in.
    #[error("cannot write the tar archive")]
    Write(#[source] io::Error),
}

/// Writes one archive, member by member, in the caller's order.
///
/// After an error what was written so far is useless.
#[derive(Debug)]
pub struct TarWriter<W> {
    output: W,
    epoch: Epoch,
}

impl<W: Write> TarWriter<W> {
    /// Starts an archive all of whose members have the time `epoch`.
    pub fn new(output: W, epoch: Epoch) -> Self {
        Self { output, epoch }
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &TreePath, mode: u32) -> Result<(), TarError> {
        self.member(path, Member { kind: EntryType::Directory, mode, size: 0, target: "" })
    }

    /// Adds a regular file.
    pub fn file(&mut self, path: &TreePath, mode: u32, content: &Content) -> Result<(), TarError> {
        let size = content.size();
        self.member(path, Member { kind: EntryType::Regular, mode, size, target: "" })?;
        let copied = content::copy(content, &mut self.output);
        self.end_of_content(path, size, copied)
    }

    /// Adds a regular file whose bytes come from a reader; it is an error if it has not exactly `size` bytes.
    pub fn reader(
        &mut self,
        path: &TreePath,
        mode: u32,
        size: u64,
        reader: impl Read,
    ) -> Result<(), TarError> {
        self.member(path, Member { kind: EntryType::Regular, mode, size, target: "" })?;
        let copied = content::copy_exactly(reader, size, &mut self.output);
        self.end_of_content(path, size, copied)
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &TreePath, target: &str) -> Result<(), TarError> {
        self.member(path, Member { kind: EntryType::Symlink, mode: 0o777, size: 0, target })
    }

    /// Writes the end of the archive and returns the output.
    pub fn finish(self) -> Result<W, TarError> {
        let Self { mut output, epoch: _ } = self;
        output.write_all(&[0; 2 * BLOCK]).and_then(|()| output.flush()).map_err(TarError::Write)?;
        Ok(output)
    }

    fn member(&mut self, path: &TreePath, member: Member<'_>) -> Result<(), TarError> {
        if member.mode > MODE_LIMIT {
            return Err(TarError::InvalidMode(path.clone(), member.mode));
        }
        self.output.write_all(&headers(path.as_str(), &member, self.epoch)).map_err(TarError::Write)
    }

    fn end_of_content(
        &mut self,
        path: &TreePath,
        size: u64,
        copied: Result<(), ContentError>,
    ) -> Result<(), TarError> {
        copied.map_err(|source| TarError::Content(path.clone(), source))?;
        content::pad(size, BLOCK, &mut self.output).map_err(TarError::Write)
    }
}

/// Writes a whole tree, in its order: directories before what is in them.
pub fn write_tree<W: Write>(tree: &FileTree, epoch: Epoch, output: W) -> Result<W, TarError> {
    let mut writer = TarWriter::new(output, epoch);
    for (path, entry) in tree.iter() {
        match entry {
            Entry::Directory { mode } => writer.directory(path, *mode)?,
            Entry::File { mode, content } => writer.file(path, *mode, content)?,
            Entry::Symlink { target } => writer.symlink(path, target)?,
        }
    }
    writer.finish()
}

/// What a header says besides the path.
struct Member<'a> {
    kind: EntryType,
    mode: u32,
    size: u64,
    target: &'a str,
}

/// Returns the header of a member, behind a PAX header if it needs one.
fn headers(path: &str, member: &Member<'_>, epoch: Epoch) -> Vec<u8> {
    let path = if member.kind == EntryType::Directory { format!("{path}/") } else { path.to_owned() };
    let mut records = Vec::new();
    let (prefix, name) = split(&path).unwrap_or_else(|| {
        records.extend(pax_record("path", &path));
        ("", cut(&path, NAME_LIMIT))
    });
    if member.target.len() > NAME_LIMIT {
        records.extend(pax_record("linkpath", member.target));
    }
    if member.size > SIZE_LIMIT {
        records.extend(pax_record("size", &member.size.to_string()));
    }
    let mut header = blank(member.kind, member.mode, epoch);
    // Above its limit this writes GNU's binary form, for readers that know no PAX.
    header.set_size(member.size);
    let ustar = header.as_ustar_mut().expect("the header was made as ustar");
    ustar.name[..name.len()].copy_from_slice(name.as_bytes());
    ustar.prefix[..prefix.len()].copy_from_slice(prefix.as_bytes());
    let target = cut(member.target, NAME_LIMIT);
    ustar.linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    let mut bytes = if records.is_empty() { Vec::new() } else { pax(&records, epoch) };
    bytes.extend(header.as_bytes());
    bytes
}

fn pax(records: &[u8], epoch: Epoch) -> Vec<u8> {
    const NAME: &[u8] = b"PaxHeader";
    let mut header = blank(EntryType::XHeader, 0o644, epoch);
    header.set_size(records.len() as u64);
    header.as_ustar_mut().expect("the header was made as ustar").name[..NAME.len()].copy_from_slice(NAME);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), records].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Encodes `<length> <key>=<value>\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

fn blank(kind: EntryType, mode: u32, epoch: Epoch) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch.seconds());
    header.set_device_major(0).and_then(|()| header.set_device_minor(0)).expect("ustar has device numbers");
    header
}

/// Splits a path between the fields `prefix` and `name`, as far left as the name has room.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= NAME_LIMIT {
        return Some(("", path));
    }
    path.match_indices('/')
        .map(|(slash, _)| (&path[..slash], &path[slash + 1..]))
        .find(|(prefix, name)| prefix.len() <= PREFIX_LIMIT && name.len() <= NAME_LIMIT && !name.is_empty())
}

/// Returns the first bytes of a text, whole characters only.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Epoch {
        "1763683200".parse().unwrap()
    }

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    /// Returns path, target, mode and content of each member, as the crate reads them.
    fn members(archive: &[u8]) -> Vec<(String, String, u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut members = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let target = entry.link_name_bytes().map(|target| text(&target)).unwrap_or_default();
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
            assert_eq!(entry.header().mtime().unwrap(), epoch().seconds());
            members.push((text(&entry.path_bytes()), target, entry.header().mode().unwrap(), content));
        }
        members
    }

    #[test]
    fn members_stay_in_the_callers_order() {
        let mut writer = TarWriter::new(Vec::new(), epoch());
        writer.file(&path("z"), 0o600, &"last first".into()).unwrap();
        writer.directory(&path("a"), 0o755).unwrap();
        writer.reader(&path("a/b"), 0o644, 3, &b"abc"[..]).unwrap();
        writer.symlink(&path("a/c"), "../z").unwrap();
        let archive = writer.finish().unwrap();
        let expected = [
            ("z", "", 0o600, "last first"),
            ("a/", "", 0o755, ""),
            ("a/b", "", 0o644, "abc"),
            ("a/c", "../z", 0o777, ""),
        ];
        let expected = expected.map(|(path, target, mode, content)| {
            (path.to_owned(), target.to_owned(), mode, content.as_bytes().to_vec())
        });
        assert_eq!(members(&archive), expected);
    }

    #[test]
    fn paths_of_every_length_come_back() {
        let paths = (1..300).flat_map(|length| {
            let folders = "ordner/".repeat(length / 7) + &"x".repeat(length % 7 + 1);
            ["n".repeat(length), folders, "설".repeat(length)]
        });
        for text in paths {
            let mut writer = TarWriter::new(Vec::new(), epoch());
            writer.directory(&path(&text), 0o755).unwrap();
            writer.symlink(&path(&text), &text).unwrap();
            let found = members(&writer.finish().unwrap());
            assert_eq!(found[0].0, format!("{text}/"));
            assert_eq!((&found[1].0, &found[1].1), (&text, &text));
        }
    }

    #[test]
    fn short_members_have_no_pax_header() {
        let mut writer = TarWriter::new(Vec::new(), epoch());
        writer.file(&path(&format!("{}/{}", "d".repeat(155), "n".repeat(100))), 0o644, &"x".into()).unwrap();
        assert_eq!(writer.finish().unwrap().len(), 512 + 512 + 1024);
    }

    #[test]
    fn a_reader_of_another_size_is_named() {
        for size in [2, 4] {
            let mut writer = TarWriter::new(Vec::new(), epoch());
            let error = writer.reader(&path("opt/payload"), 0o644, size, &b"abc"[..]).unwrap_err();
            assert_eq!(error.to_string(), "cannot write `opt/payload` into the tar archive");
        }
    }

    #[test]
    fn modes_are_permission_bits_only() {
        let error = TarWriter::new(Vec::new(), epoch()).directory(&path("a"), 0o40_755).unwrap_err();
        assert_eq!(error.to_string(), "the mode 40755 of `a` is more than permission bits");
    }

    #[test]
    fn the_length_of_a_pax_record_counts_itself() {
        assert_eq!(pax_record("k", "v"), b"6 k=v\n");
        assert_eq!(pax_record("path", &"n".repeat(91))[..9], *b"101 path=");
        assert_eq!(pax_record("path", &"n".repeat(90))[..8], *b"99 path=");
    }

    #[test]
    fn a_tree_is_written_parents_first() {
        let mut tree = FileTree::new();
        tree.insert_file("a/b", 0o644, "x").unwrap();
        tree.insert_file("a-b", 0o600, "y").unwrap();
        let archive = write_tree(&tree, epoch(), Vec::new()).unwrap();
        let paths: Vec<_> = members(&archive).into_iter().map(|(path, ..)| path).collect();
        assert_eq!(paths, ["a/", "a-b", "a/b"]);
    }
}
