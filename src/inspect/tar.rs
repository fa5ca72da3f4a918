//! Tar archives as they stream by, once, whoever wrote them: ustar, GNU's and PAX.
//!
//! Nothing is unpacked. Paths that leave the archive, names that are there twice, devices, sparse files and headers of
//! any length are refused; contents are read by the caller, or passed over.
//!
//! # Why
//! Not the `tar` crate's own loop: it reads long names of any length into memory, and raw, where it does not, it knows
//! no sizes from PAX headers.

use std::collections::BTreeSet;
use std::io::{self, Read};

use tar::Header;

const BLOCK: u64 = 512;
/// The most bytes of a long name or a PAX header; an honest one has a few thousand.
const LARGEST_EXTENSION: u64 = 1 << 20;
/// The longest path; `PATH_MAX` of Linux.
const LONGEST_PATH: usize = 4096;
/// The most members.
const MOST_MEMBERS: usize = 200_000;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Another name of a file.
    Link {
        /// What it says it links to: from its own folder if it is symbolic, else from the top.
        target: String,
        /// Whether it is a symbolic link.
        is_symbolic: bool,
    },
}

/// One member; the stream then reads its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The path: no `./` before it, no slash after it, no `..` in it.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: MemberKind,
    /// The length of its content.
    pub(super) size: u64,
}

/// Says why an archive cannot be read, or is not an honest one.
#[derive(Debug, thiserror::Error)]
pub enum TarFault {
    /// The input failed: it is damaged where it is compressed, or unpacks to too much.
    #[error("it cannot be read {}", .place.as_ref().map_or("at all".to_owned(), |place| format!("beyond `{place}`")))]
    Read {
        /// The last member whose header was read.
        place: Option<String>,
        /// What the reader said.
        source: io::Error,
    },
    /// It ends before its end.
    #[error("it is truncated: it ends {}", .place.as_ref().map_or("at once".to_owned(), |place| format!("in or after `{place}`")))]
    Truncated {
        /// The last member whose header was read.
        place: Option<String>,
    },
    /// What should be a header is none.
    #[error("it is no tar archive, or a damaged one: there is no valid header at byte {offset}")]
    Header {
        /// Where in the uncompressed archive.
        offset: u64,
    },
    /// A header's extension is larger than any honest one, or malformed.
    #[error("it has a malformed long name or PAX header at byte {offset}")]
    Extension {
        /// Where in the uncompressed archive.
        offset: u64,
    },
    /// A path leaves the archive, or steers terminals.
    #[error("it has the member `{path}`, which is no path within an archive")]
    Path {
        /// The path, escaped.
        path: String,
    },
    /// A reader would have to choose between two.
    #[error("it has the member `{path}` twice")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// A device, a socket, a sparse file.
    #[error("it has the member `{path}`, which is of the unknown kind `{kind}`")]
    Kind {
        /// The path.
        path: String,
        /// The letter of its kind.
        kind: char,
    },
    /// More than any honest archive has.
    #[error("it has more than {MOST_MEMBERS} members")]
    TooMany,
}

/// An archive being read: [`TarStream::next_member`] goes on, [`Read`] gives the content of the member it returned.
pub(super) struct TarStream<R> {
    input: R,
    /// How many bytes of the archive were read.
    offset: u64,
    /// What of the current member was not read yet.
    left: u64,
    padding: u64,
    paths: BTreeSet<String>,
    place: Option<String>,
    /// How the input failed; it is not asked again.
    failure: Option<(io::ErrorKind, String)>,
}

/// What long names and PAX headers say of the member after them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> TarStream<R> {
    /// Starts to read an archive that is not compressed, or not any more.
    pub(super) fn new(input: R) -> Self {
        let (paths, place, failure) = (BTreeSet::new(), None, None);
        Self { input, offset: 0, left: 0, padding: 0, paths, place, failure }
    }

    /// Passes over what is left of the current member and returns the next one; at the end, `None`, when the input has
    /// been read to its own end, where checksums stand.
    pub(super) fn next_member(&mut self) -> Result<Option<Member>, TarFault> {
        self.pass_over()?;
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else {
                return self.drain().map(|()| None);
            };
            let size = header.entry_size().map_err(|_| TarFault::Header { offset: self.offset - BLOCK })?;
            match header.entry_type().as_byte() {
                b'L' => extensions.path = Some(until_nul(self.extension(size)?)),
                b'K' => extensions.target = Some(until_nul(self.extension(size)?)),
                b'x' => {
                    let records = self.extension(size)?;
                    let malformed = TarFault::Extension { offset: self.offset };
                    extensions.read_pax(&records).ok_or(malformed)?;
                }
                b'g' => drop(self.extension(size)?),
                _ => match self.member(&header, size, &mut extensions)? {
                    Some(member) => return Ok(Some(member)),
                    // The top of the archive itself: `./`.
                    None => self.pass_over()?,
                },
            }
        }
    }

    /// Returns what the archive is read from.
    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Returns the fault of a read that failed, with the member it failed in.
    pub(super) fn fault(&self, source: io::Error) -> TarFault {
        let place = self.place.clone();
        match source.kind() == io::ErrorKind::UnexpectedEof {
            true => TarFault::Truncated { place },
            false => TarFault::Read { place, source },
        }
    }

    fn member(
        &mut self,
        header: &Header,
        size: u64,
        extensions: &mut Extensions,
    ) -> Result<Option<Member>, TarFault> {
        let Extensions { path, target, size: pax_size } = std::mem::take(extensions);
        let stated = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = confined(&stated)?;
        let target = target.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let target = String::from_utf8_lossy(&target).into_owned();
        let kind = match header.entry_type().as_byte() {
            // Before there was a letter for them, folders were files whose name ends with a slash.
            b'0' if stated.ends_with(b"/") => MemberKind::Folder,
            b'0' | b'7' => MemberKind::File,
            b'5' => MemberKind::Folder,
            b'1' => MemberKind::Link { target, is_symbolic: false },
            b'2' => MemberKind::Link { target, is_symbolic: true },
            other => return Err(TarFault::Kind { path, kind: char::from(other) }),
        };
        // As all readers do: what is no file has no content, whatever its header says.
        let size = if kind == MemberKind::File { pax_size.unwrap_or(size) } else { 0 };
        self.left = size;
        self.padding = size.checked_next_multiple_of(BLOCK).map_or(0, |end| end - size);
        if path.is_empty() {
            return Ok(None);
        }
        self.place = Some(path.clone());
        let is_new = self.paths.insert(path.clone());
        if !is_new && kind != MemberKind::Folder {
            return Err(TarFault::Duplicate { path });
        }
        if self.paths.len() > MOST_MEMBERS {
            return Err(TarFault::TooMany);
        }
        Ok(Some(Member { path, kind, size }))
    }

    /// Reads a header; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, TarFault> {
        let mut header = Header::new_old();
        let offset = self.offset;
        self.read_exact(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let bytes = header.as_bytes();
        // Its own field counts as blanks.
        let actual = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        match header.cksum() {
            Ok(stated) if stated == actual => Ok(Some(header)),
            Ok(_) | Err(_) => Err(TarFault::Header { offset }),
        }
    }

    /// Reads the content of a header that says something about the next one.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarFault> {
        if size > LARGEST_EXTENSION {
            return Err(TarFault::Extension { offset: self.offset });
        }
        let mut content = vec![0; usize::try_from(size).expect("it has at most a mebibyte")];
        self.read_exact(&mut content)?;
        self.padding = size.next_multiple_of(BLOCK) - size;
        self.pass_over()?;
        Ok(content)
    }

    fn pass_over(&mut self) -> Result<(), TarFault> {
        self.left = self.left.saturating_add(std::mem::take(&mut self.padding));
        match io::copy(self, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.fault(error)),
        }
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), TarFault> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_input(&mut buffer[filled..]) {
                Ok(0) => return Err(TarFault::Truncated { place: self.place.clone() }),
                Ok(read) => filled += read,
                Err(error) => return Err(self.fault(error)),
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), TarFault> {
        let mut buffer = [0; 8192];
        loop {
            match self.read_input(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
    }

    fn read_input(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((kind, message)) = &self.failure {
            return Err(io::Error::new(*kind, message.clone()));
        }
        loop {
            match self.input.read(buffer) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some((error.kind(), error.to_string()));
                    return Err(error);
                }
            }
        }
    }
}

impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.read_input(&mut buffer[..most])?;
        if read == 0 {
            self.failure = Some((io::ErrorKind::UnexpectedEof, "the archive ends here".to_owned()));
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

impl Extensions {
    /// Takes in the records of a PAX header, `<length> <key>=<value>\n`; `None` if they are malformed, or describe a
    /// sparse file.
    fn read_pax(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let digits = records.iter().position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&records[..digits]).ok()?.parse().ok()?;
            let record = records.get(digits + 1..length)?.strip_suffix(b"\n")?;
            records = &records[length..];
            let separator = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&record[..separator], &record[separator + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                key if key.starts_with(b"GNU.sparse.") => return None,
                _ => {}
            }
        }
        Some(())
    }
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
    name
}

/// Returns a path without `./` before and a slash after it, if it stays within the archive; empty for its top.
fn confined(path: &[u8]) -> Result<String, TarFault> {
    let lossy = String::from_utf8_lossy(path);
    let escaped = || TarFault::Path { path: lossy.chars().take(200).flat_map(char::escape_debug).collect() };
    let text = std::str::from_utf8(path).map_err(|_| escaped())?;
    if text.is_empty() || text.starts_with('/') || text.len() > LONGEST_PATH {
        return Err(escaped());
    }
    let mut inside = text.trim_end_matches('/');
    while let Some(rest) = inside.strip_prefix("./") {
        inside = rest.trim_start_matches('/');
    }
    let inside = if inside == "." { "" } else { inside };
    let is_confined = inside.is_empty() || !inside.split('/').any(|part| ["", ".", ".."].contains(&part));
    match is_confined && !inside.contains(char::is_control) {
        true => Ok(inside.to_owned()),
        false => Err(escaped()),
    }
}

#[cfg(test)]
mod tests;
