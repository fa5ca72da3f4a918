//! Reading files of others whole: never more of them than fits into memory, and never a device or a pipe.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::{open_regular, with_path};

/// The most bytes of a file that is read whole, where its format has no limit of its own.
pub const LARGEST: u64 = 64 << 20;

/// Reads a regular file whole, if it has at most `limit` bytes.
///
/// # Errors
/// They name the file, and the limit if it has more; their kind is then [`ErrorKind::FileTooLarge`].
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed, whatever the file system claims: it may grow while it is read.
    let read = open_regular(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    match read.map_err(|error| with_path(error, "cannot read", path))? as u64 {
        length if length > limit => Err(refused(ErrorKind::FileTooLarge, path, &too_large(limit))),
        _ => Ok(bytes),
    }
}

/// Reads a text as [`read_bounded`] reads bytes.
///
/// # Errors
/// Also if it is not UTF-8, of kind [`ErrorKind::InvalidData`].
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_bounded(path, limit)?)
        .map_err(|_| refused(ErrorKind::InvalidData, path, "is not UTF-8 text"))
}

fn too_large(limit: u64) -> String {
    format!("has more than {limit} bytes, the most that are read of such a file")
}

fn refused(kind: ErrorKind, path: &Path, why: &str) -> io::Error {
    io::Error::new(kind, format!("`{}` {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn what_is_too_long_for_its_format_is_named_with_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_bounded(&path, 4).unwrap(), b"1234");
        let error = read_bounded(&path, 3).unwrap_err();
        let expected =
            format!("`{}` has more than 3 bytes, the most that are read of such a file", path.display());
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::FileTooLarge, expected));
        // A file of many GB of which nothing is on the disk.
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_text(&path, 1000).unwrap_err().kind(), ErrorKind::FileTooLarge);
        fs::write(&path, b"\xff").unwrap();
        let error = read_text(&path, 4).unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is not UTF-8 text", path.display()));
    }
}
