//! Gzip and zstd, on all cores, with the same bytes whatever their number.
//!
//! Both cut their input into blocks of a fixed size, so that only the time depends on the number of workers,
//! and on nothing else: not on how the input is cut into writes, nor on the CPU. Both end with a checksum.
//!
//! # Why
//! zstd's window is 4 MiB: k3s refuses more than 32 MiB, and 8 MiB is what every decoder must accept
//! (RFC 8878). The level is the library's default: container layers and packages are compressed already, and
//! what is left is read once on the target.

mod gzip;

use std::fmt;
use std::io::{self, BufReader, Chain, Cursor, Read, Write};
use std::num::NonZero;
use std::str::FromStr;

use flate2::read::MultiGzDecoder;
use zstd::zstd_safe::CParameter;

use gzip::GzipWriter;

const ZSTD_LEVEL: i32 = 3;
/// 4 MiB, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 22;
const ZSTD_JOB_SIZE: u32 = 2 << 20;
/// What k3s reads at most: 32 MiB.
const ZSTD_LARGEST_WINDOW_LOG: u32 = 25;

const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{}", self.name())]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip (RFC 1952): everything reads it.
    Gzip,
    /// Zstandard (RFC 8878): smaller, and several times faster.
    Zstd,
}

/// Says why a text is not a [`Compression`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a compression: expected none, gzip or zstd")]
pub struct UnknownCompression(String);

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// Returns the name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the end of a file name, with its dot; empty for [`Compression::None`].
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// Returns what the first bytes of a file say; four are enough.
    pub fn detect(first_bytes: &[u8]) -> Self {
        if first_bytes.starts_with(GZIP_MAGIC) {
            Self::Gzip
        } else if first_bytes.starts_with(ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, UnknownCompression> {
        let known = Self::ALL.into_iter().find(|compression| compression.name() == text);
        known.ok_or_else(|| UnknownCompression(text.chars().take(100).collect()))
    }
}

/// Compresses what is written to it; nothing is complete before [`Compressor::finish`].
///
/// Flushing does nothing: it would cut a block, and the bytes would depend on when it was done.
#[derive(Debug)]
pub struct Compressor<W: Write> {
    encoder: Encoder<W>,
}

enum Encoder<W: Write> {
    None(W),
    Gzip(GzipWriter<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> fmt::Debug for Encoder<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None(_) => "None",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl<W: Write> Compressor<W> {
    /// Starts to compress into `output`, with so many threads.
    pub fn new(compression: Compression, workers: NonZero<usize>, output: W) -> io::Result<Self> {
        let encoder = match compression {
            Compression::None => Encoder::None(output),
            Compression::Gzip => Encoder::Gzip(GzipWriter::new(output, workers)?),
            Compression::Zstd => Encoder::Zstd(zstd_encoder(output, workers)?),
        };
        Ok(Self { encoder })
    }

    /// Compresses what is left, writes the checksum and returns the output.
    pub fn finish(self) -> io::Result<W> {
        match self.encoder {
            Encoder::None(mut output) => output.flush().map(|()| output),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            Encoder::None(output) => output.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn zstd_encoder<W: Write>(output: W, workers: NonZero<usize>) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(output, ZSTD_LEVEL)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    encoder.include_checksum(true)?;
    // Never 0, the library's way to say "no threads": that gives other bytes than one thread does.
    encoder.multithread(u32::try_from(workers.get()).unwrap_or(u32::MAX).min(200))?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB_SIZE))?;
    Ok(encoder)
}

/// Reads what was compressed; the caller limits how much, for a small file may hold an enormous one.
pub struct Decoder<R: Read> {
    decoder: Decoding<R>,
}

enum Decoding<R: Read> {
    None(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(zstd::Decoder<'static, BufReader<R>>),
}

impl<R: Read> Decoder<R> {
    /// Starts to read `input`, which is compressed in the given way.
    pub fn new(compression: Compression, input: R) -> io::Result<Self> {
        let decoder = match compression {
            Compression::None => Decoding::None(input),
            Compression::Gzip => Decoding::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::new(input)?;
                decoder.window_log_max(ZSTD_LARGEST_WINDOW_LOG)?;
                Decoding::Zstd(decoder)
            }
        };
        Ok(Self { decoder })
    }

    /// Returns how the input is compressed.
    pub fn compression(&self) -> Compression {
        match self.decoder {
            Decoding::None(_) => Compression::None,
            Decoding::Gzip(_) => Compression::Gzip,
            Decoding::Zstd(_) => Compression::Zstd,
        }
    }
}

impl<R: Read> Decoder<Chain<Cursor<Vec<u8>>, R>> {
    /// Starts to read `input`, compressed in the way that its first bytes say.
    pub fn detect(mut input: R) -> io::Result<Self> {
        let mut first_bytes = Vec::new();
        input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first_bytes)?;
        let compression = Compression::detect(&first_bytes);
        Self::new(compression, Cursor::new(first_bytes).chain(input))
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoding::None(input) => input.read(buffer),
            Decoding::Gzip(decoder) => decoder.read(buffer),
            Decoding::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

impl<R: Read> fmt::Debug for Decoder<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Decoder").field("compression", &self.compression()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise in five of eight bits: compresses to something, but not to nothing.
    fn sample(size: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 27) as u8
        };
        (0..size).map(|_| next()).collect()
    }

    fn compress(compression: Compression, workers: usize, piece: usize, content: &[u8]) -> Vec<u8> {
        let mut compressor =
            Compressor::new(compression, NonZero::new(workers).unwrap(), Vec::new()).unwrap();
        for piece in content.chunks(piece) {
            compressor.write_all(piece).unwrap();
            compressor.flush().unwrap();
        }
        compressor.finish().unwrap()
    }

    #[test]
    fn neither_workers_nor_pieces_change_the_bytes() {
        let content = sample(20 << 20);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let expected = compress(compression, 1, content.len(), &content);
            for (workers, piece) in [(1, 7919), (2, 1 << 20), (3, 65_536), (8, content.len())] {
                assert!(
                    compress(compression, workers, piece, &content) == expected,
                    "{compression} {workers}"
                );
            }
        }
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for size in [0, 1, gzip::BLOCK - 1, gzip::BLOCK, gzip::BLOCK + 1, 3 * gzip::BLOCK] {
            let content = sample(size);
            for compression in Compression::ALL {
                let compressed = compress(compression, 2, 1 << 16, &content);
                let mut decoder = Decoder::detect(&compressed[..]).unwrap();
                if size > 0 {
                    assert_eq!(decoder.compression(), compression);
                }
                let mut found = Vec::new();
                decoder.read_to_end(&mut found).unwrap();
                assert!(found == content, "{compression} {size}");
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = compress(compression, 2, 1 << 16, &sample(100_000));
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 1;
            for damaged in [&flipped[..], &whole[..whole.len() - 1], &whole[..whole.len() / 2]] {
                let mut decoder = Decoder::new(compression, damaged).unwrap();
                assert!(io::copy(&mut decoder, &mut io::sink()).is_err(), "{compression}");
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for compression in Compression::ALL {
            assert_eq!(compression.to_string().parse(), Ok(compression));
        }
        let error = "xz".parse::<Compression>().unwrap_err();
        assert_eq!(error.to_string(), "`xz` is not a compression: expected none, gzip or zstd");
    }
}
