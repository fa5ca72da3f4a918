//! How the parts of packages and the indices of repositories are compressed.
//!
//! # Why
//! xz by `lzma-rust2`: pure Rust as everything here, checks all of the format's checksums, and has a limit for
//! memory, which `lzma-rs` lacks; `xz2` and `liblzma` need a C compiler.

use std::io::{self, BufReader, Read};

use lzma_rust2::XzReader;

use crate::archive::compress::{Compression, Decoder};

/// The memory of an xz decoder in KiB: the highest level's dictionary has 64 MiB.
const XZ_MEMORY: u32 = 80 << 10;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Packing {
    /// All of them; those of indices in the order of preference (measured: gzip is read fastest).
    pub(super) const ALL: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Xz, Self::None];

    /// Returns the end of a file name, with its dot.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }

    /// Starts to read what was compressed; the caller limits how much.
    pub(super) fn open<'input>(self, input: impl Read + 'input) -> io::Result<Box<dyn Read + 'input>> {
        let decoder = |compression, input| Decoder::new(compression, input);
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(decoder(Compression::Gzip, BufReader::new(input))?),
            Self::Zstd => Box::new(decoder(Compression::Zstd, BufReader::new(input))?),
            Self::Xz => Box::new(XzReader::new_mem_limit(BufReader::new(input), true, XZ_MEMORY)),
        })
    }
}
