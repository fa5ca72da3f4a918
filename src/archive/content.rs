//! Copies the bytes of one file into an archive, whose header has already said how many there are.

use std::io::{self, BufReader, Read, Write};

use fs_err as fs;

use crate::digest::{PIECE, VerifyReader};
use crate::tree::Content;

/// Says why the bytes of a file did not get into an archive.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It could not be opened.
    #[error("cannot open it")]
    Open(#[source] io::Error),
    /// Reading it, or writing to the archive, failed.
    #[error("cannot copy its bytes")]
    Copy(#[source] io::Error),
    /// It ended too early: what was announced is no longer there.
    #[error("it was to have {expected} bytes, but it ends after {actual}")]
    Shorter {
        /// The announced size.
        expected: u64,
        /// What was there.
        actual: u64,
    },
    /// It goes on after the announced size.
    #[error("it was to have {0} bytes, but there are more")]
    Longer(u64),
}

/// Writes the bytes of `content` to `output`: exactly as many as planned, or an error.
pub(super) fn copy(content: &Content, output: &mut impl Write) -> Result<(), ContentError> {
    match content {
        Content::Bytes(bytes) => output.write_all(bytes).map_err(ContentError::Copy),
        Content::File(content) => {
            let file = fs::File::open(&content.path).map_err(ContentError::Open)?;
            // Hashed as it passes: whatever became of the file, nothing else gets into an archive under its name.
            let mut verified =
                BufReader::with_capacity(PIECE, VerifyReader::new(file, content.digest, content.size));
            io::copy(&mut verified, output).map(drop).map_err(ContentError::Copy)
        }
    }
}

/// Writes `size` bytes of `reader` to `output`; it is an error if the reader has fewer or more.
pub(super) fn copy_exactly(
    mut reader: impl Read,
    size: u64,
    output: &mut impl Write,
) -> Result<(), ContentError> {
    let actual = io::copy(&mut reader.by_ref().take(size), output).map_err(ContentError::Copy)?;
    if actual < size {
        return Err(ContentError::Shorter { expected: size, actual });
    }
    match io::copy(&mut reader.take(1), &mut io::sink()).map_err(ContentError::Copy)? {
        0 => Ok(()),
        _ => Err(ContentError::Longer(size)),
    }
}

/// Writes zeros until `written` bytes are a multiple of `block`.
pub(super) fn pad(written: u64, block: usize, output: &mut impl Write) -> io::Result<()> {
    let missing = written.next_multiple_of(block as u64) - written;
    io::copy(&mut io::repeat(0).take(missing), output).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_reader_with_another_size_than_announced_is_an_error() {
        for (size, expected) in [
            (2, "it was to have 2 bytes, but there are more"),
            (4, "it was to have 4 bytes, but it ends after 3"),
        ] {
            let error = copy_exactly(&b"abc"[..], size, &mut io::sink()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        copy_exactly(&b"abc"[..], 3, &mut io::sink()).unwrap();
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let content = Content::file("/nonexistent/payload".into(), Digest::sha256(b"x"), 1);
        let error = copy(&content, &mut io::sink()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("/nonexistent/payload"), "{source}");
    }

    #[test]
    fn padding_ends_on_a_block() {
        for (written, expected) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            let mut output = Vec::new();
            pad(written, 512, &mut output).unwrap();
            assert_eq!(output, vec![0; expected], "{written}");
        }
    }
}
