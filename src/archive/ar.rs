//! Ar archives, as Debian packages are: a few members, one after the other.
//!
//! ```text
//! archive = "!<arch>\n" *member
//! member  = name[16] time[12] owner[6] group[6] mode[8, octal] size[10] "`\n" content [ "\n" to an even length ]
//! ```
//!
//! See deb(5). Owner and group are 0, the time is the build's epoch. The extensions for long names, which no
//! package has, are neither read nor written.

use std::io::{self, Read, Write};

use crate::epoch::Epoch;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
const NAME: usize = 16;
const SIZE: std::ops::Range<usize> = 48..58;
const END_OF_HEADER: &[u8] = b"`\n";
/// Ten decimal digits.
const SIZE_LIMIT: u64 = 9_999_999_999;

/// Says why an ar archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// It does not begin as one.
    #[error("it is not an ar archive")]
    Magic,
    /// A header is malformed.
    #[error("the header of member {0} is malformed")]
    Header(usize),
    /// A name does not fit, or is a path.
    #[error("`{0}` cannot be the name of an ar archive's member")]
    Name(String),
    /// A member is larger than its header can say.
    #[error("the ar archive's member `{0}` is larger than 9999999999 bytes")]
    TooLarge(String),
    /// Reading failed, or the archive ends too early.
    #[error("cannot read the ar archive")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("cannot write the ar archive")]
    Write(#[source] io::Error),
}

/// Writes members in the caller's order.
#[derive(Debug)]
pub struct ArWriter<W> {
    output: W,
    epoch: Epoch,
}

impl<W: Write> ArWriter<W> {
    /// Starts an archive all of whose members have the time `epoch`.
    pub fn new(mut output: W, epoch: Epoch) -> Result<Self, ArError> {
        output.write_all(MAGIC).map_err(ArError::Write)?;
        Ok(Self { output, epoch })
    }

    /// Adds a member.
    pub fn member(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<(), ArError> {
        if !is_name(name) {
            return Err(ArError::Name(name.to_owned()));
        }
        let size = content.len() as u64;
        if size > SIZE_LIMIT {
            return Err(ArError::TooLarge(name.to_owned()));
        }
        let time = self.epoch.seconds();
        // The mode of a regular file, as ar itself writes it.
        let mode = 0o100_000 | (mode & 0o7777);
        let header = format!("{name:<16}{time:<12}{:<6}{:<6}{mode:<8o}{size:<10}`\n", 0, 0);
        let padding: &[u8] = if size.is_multiple_of(2) { b"" } else { b"\n" };
        let parts = [header.as_bytes(), content, padding];
        parts.into_iter().try_for_each(|part| self.output.write_all(part)).map_err(ArError::Write)
    }

    /// Returns the output; an archive has no end of its own.
    pub fn finish(mut self) -> Result<W, ArError> {
        self.output.flush().map_err(ArError::Write)?;
        Ok(self.output)
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    (1..=NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

/// What a header says of the member after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArMember {
    /// The name; never a path.
    pub name: String,
    /// The length in bytes.
    pub size: u64,
}

/// Reads member after member; [`Read`] gives the content of the one that [`ArReader::next_member`] returned.
#[derive(Debug)]
pub struct ArReader<R> {
    input: R,
    /// What of the current member was not read yet.
    left: u64,
    has_padding: bool,
    number: usize,
}

impl<R: Read> ArReader<R> {
    /// Starts to read an archive.
    pub fn new(mut input: R) -> Result<Self, ArError> {
        let mut magic = Vec::new();
        input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(ArError::Read)?;
        if magic != MAGIC {
            return Err(ArError::Magic);
        }
        Ok(Self { input, left: 0, has_padding: false, number: 0 })
    }

    /// Passes over what is left of the current member, and returns the next one.
    pub fn next_member(&mut self) -> Result<Option<ArMember>, ArError> {
        io::copy(self, &mut io::sink()).map_err(ArError::Read)?;
        let mut header = Vec::new();
        let padding = u64::from(std::mem::take(&mut self.has_padding));
        io::copy(&mut self.input.by_ref().take(padding), &mut io::sink()).map_err(ArError::Read)?;
        self.input.by_ref().take(HEADER as u64).read_to_end(&mut header).map_err(ArError::Read)?;
        if header.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let malformed = ArError::Header(self.number);
        let Some(member) = parse_header(&header) else { return Err(malformed) };
        self.left = member.size;
        self.has_padding = !member.size.is_multiple_of(2);
        Ok(Some(member))
    }
}

fn parse_header(header: &[u8]) -> Option<ArMember> {
    let text = std::str::from_utf8(header).ok().filter(|text| text.len() == HEADER && text.is_ascii())?;
    let size = text[SIZE].trim_ascii_end();
    let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    // GNU's ar ends names with a slash.
    let name = text[..NAME].trim_ascii_end();
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_header = is_number && is_name(name) && header.ends_with(END_OF_HEADER);
    is_header.then_some(ArMember { name: name.to_owned(), size: size.parse().ok()? })
}

impl<R: Read> Read for ArReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        match self.input.read(&mut buffer[..most])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a member ends too early")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ArWriter::new(Vec::new(), "1763683200".parse().unwrap()).unwrap();
        for (name, content) in members {
            writer.member(name, 0o644, content).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn members_come_back_whether_they_are_read_or_not() {
        let archive =
            archive(&[("a", b"odd"), ("debian-binary", b"2.0\n"), ("sixteen-letters!", b""), ("z", b"z")]);
        let mut reader = ArReader::new(&archive[..]).unwrap();
        let mut found = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            let mut content = String::new();
            if member.name != "debian-binary" {
                reader.read_to_string(&mut content).unwrap();
            }
            found.push((member.name, member.size, content));
        }
        let expected =
            [("a", 3, "odd"), ("debian-binary", 4, ""), ("sixteen-letters!", 0, ""), ("z", 1, "z")];
        assert_eq!(found, expected.map(|(name, size, content)| (name.to_owned(), size, content.to_owned())));
    }

    #[test]
    fn what_is_no_archive_is_refused_with_the_member_s_number() {
        let good = archive(&[("a", b"content"), ("b", b"")]);
        let with = |from: &str, to: &str| {
            String::from_utf8(good.clone()).unwrap().replacen(from, to, 1).into_bytes()
        };
        for (bytes, message) in [
            (b"!<ar".to_vec(), "it is not an ar archive"),
            (b"!<thin>\n".to_vec(), "it is not an ar archive"),
            (with("a   ", "../a"), "the header of member 1 is malformed"),
            (with("a ", "  "), "the header of member 1 is malformed"),
            (with("7         `", "-7        `"), "the header of member 1 is malformed"),
            (with("`\nc", "`.c"), "the header of member 1 is malformed"),
            (good[..good.len() - 5].to_vec(), "the header of member 2 is malformed"),
            (good[..70].to_vec(), "cannot read the ar archive"),
        ] {
            let read = |bytes: &[u8]| -> Result<(), ArError> {
                let mut reader = ArReader::new(bytes)?;
                while reader.next_member()?.is_some() {}
                Ok(())
            };
            assert_eq!(read(&bytes).unwrap_err().to_string(), message, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn names_that_do_not_fit_are_not_written() {
        for name in ["", "a/b", "two words", "seventeen-letters"] {
            let mut writer = ArWriter::new(Vec::new(), "1763683200".parse().unwrap()).unwrap();
            assert!(writer.member(name, 0o644, b"").is_err(), "{name}");
        }
    }
}
