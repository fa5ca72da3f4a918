//! Tar archives, read once from the first byte to the last, whoever wrote them: ustar, GNU's and PAX.
//!
//! Nothing is unpacked. Paths that leave the archive, names that are there twice, devices, sparse files, headers of any
//! length and paths without end are refused; contents are read by the caller, or passed over.
//!
//! # Why
//! Not the `tar` crate's own loop: it reads long names of any length into memory, and raw, where it does not, it knows
//! no sizes from PAX headers.

mod extensions;
mod fault;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

use tar::Header;

use crate::tree::{LONGEST_PATH, TreePath};
use extensions::Extensions;
use fault::{LARGEST_EXTENSION, MOST_MEMBERS, MOST_PATHS};

pub use fault::TarFault;

const BLOCK: u64 = 512;
/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A device or a pipe; only in packages.
    Special,
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
pub struct Member {
    /// The path, without a `./` before it and a slash after it.
    pub path: TreePath,
    /// What it is.
    pub kind: MemberKind,
    /// The length of its content.
    pub size: u64,
    /// Where its content begins in the archive.
    pub offset: u64,
}

/// An archive being read: [`Untar::next_member`] goes on, [`Read`] gives the content of the member it returned.
pub struct Untar<R> {
    input: R,
    /// How many bytes of the archive were read.
    offset: u64,
    /// What of the current member was not read yet.
    left: u64,
    padding: u64,
    paths: BTreeSet<TreePath>,
    paths_length: usize,
    place: Option<String>,
    /// Whether it is one of those in Debian packages, as dpkg reads them.
    is_package: bool,
    /// Passes over so many bytes without reading them.
    seek: Option<fn(&mut R, u64) -> io::Result<()>>,
    /// How the input failed; it is not asked again.
    failure: Option<(io::ErrorKind, String)>,
}

impl<R> std::fmt::Debug for Untar<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Untar").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl<R: Read> Untar<R> {
    /// Starts to read an archive that is not compressed, or not any more.
    pub fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            left: 0,
            padding: 0,
            paths: BTreeSet::new(),
            paths_length: 0,
            place: None,
            is_package: false,
            seek: None,
            failure: None,
        }
    }

    /// Starts to read an archive of a Debian package as dpkg does: with devices, and names in any encoding, but without
    /// PAX headers and hard links that lead out of it.
    pub fn of_package(input: R) -> Self {
        Self { is_package: true, ..Self::new(input) }
    }

    /// Starts to read an archive whose contents are not looked at: they are not read, and neither is what follows its
    /// end.
    pub fn seeking(input: R) -> Self
    where
        R: Seek,
    {
        let seek = |input: &mut R, length| {
            let length = i64::try_from(length).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            input.seek(SeekFrom::Current(length)).map(drop)
        };
        Self { seek: Some(seek), ..Self::new(input) }
    }

    /// Passes over what is left of the current member and returns the next one; at the end, `None`, when the input has
    /// been read to its own end, where checksums stand.
    pub fn next_member(&mut self) -> Result<Option<Member>, TarFault> {
        self.pass_over()?;
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else {
                return self.drain().map(|()| None);
            };
            let size = header.entry_size().map_err(|_| TarFault::Header(self.offset - BLOCK))?;
            match header.entry_type().as_byte() {
                b'L' => {
                    let path = until_nul(self.extension(size)?);
                    self.path_within(&path)?;
                    extensions.path = Some(path);
                }
                b'K' => extensions.target = Some(until_nul(self.extension(size)?)),
                b'x' if !self.is_package => {
                    let records = self.extension(size)?;
                    let malformed = TarFault::Extension(self.offset);
                    extensions.read_pax(&records).ok_or(malformed)?;
                }
                b'g' if !self.is_package => drop(self.extension(size)?),
                _ => match self.member(&header, size, &mut extensions)? {
                    Some(member) => return Ok(Some(member)),
                    // The top of the archive itself: `./`.
                    None => self.pass_over()?,
                },
            }
        }
    }

    /// Returns what the archive is read from.
    pub fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Returns the fault of a read that failed, with the member it failed in.
    pub fn fault(&self, source: io::Error) -> TarFault {
        let place = self.place.clone();
        if source.kind() == io::ErrorKind::UnexpectedEof {
            TarFault::Truncated(place)
        } else {
            TarFault::Read(place, source)
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
        let path = self.path_within(&stated)?;
        let target = target.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let kind = match header.entry_type().as_byte() {
            // Before there was a letter for them, folders were files whose name ends with a slash.
            b'0' if stated.ends_with(b"/") => MemberKind::Folder,
            b'0' | b'7' => MemberKind::File,
            b'5' => MemberKind::Folder,
            b'3' | b'4' | b'6' if self.is_package => MemberKind::Special,
            kind @ (b'1' | b'2') => {
                // A symbolic link points where it will; a hard link to a file of the package.
                if self.is_package && kind == b'1' {
                    self.path_within(&target)?;
                }
                let target = String::from_utf8_lossy(&target).into_owned();
                MemberKind::Link { target, is_symbolic: kind == b'2' }
            }
            other => return Err(TarFault::Kind(escaped(&stated), char::from(other))),
        };
        // As all readers do: what is not a file has no content, whatever its header says.
        let size = if kind == MemberKind::File { pax_size.unwrap_or(size) } else { 0 };
        self.left = size;
        self.padding = size.checked_next_multiple_of(BLOCK).map_or(0, |end| end - size);
        let Some(path) = path else { return Ok(None) };
        self.place = Some(path.to_string());
        self.paths_length += path.as_str().len() + target.len();
        let is_new = self.paths.insert(path.clone());
        if !is_new && kind != MemberKind::Folder {
            return Err(TarFault::Duplicate(path.to_string()));
        }
        if self.paths.len() > MOST_MEMBERS || self.paths_length > MOST_PATHS {
            return Err(TarFault::TooMany);
        }
        Ok(Some(Member { path, kind, size, offset: self.offset }))
    }

    /// Returns a path without `./` before and a slash after it, if it stays within the archive; `None` for its top.
    fn path_within(&self, stated: &[u8]) -> Result<Option<TreePath>, TarFault> {
        let text = String::from_utf8_lossy(stated);
        let fault = || TarFault::Path(escaped(stated));
        if stated.is_empty()
            || stated.len() > LONGEST_PATH
            || (matches!(text, Cow::Owned(_)) && !self.is_package)
        {
            return Err(fault());
        }
        let mut inside = text.trim_end_matches('/');
        while let Some(rest) = inside.strip_prefix("./") {
            inside = rest.trim_start_matches('/');
        }
        match inside {
            "." => Ok(None),
            inside => inside.parse().map(Some).map_err(|_| fault()),
        }
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
            Ok(_) | Err(_) => Err(TarFault::Header(offset)),
        }
    }

    /// Reads the content of a header that says something about the next one.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarFault> {
        if size > LARGEST_EXTENSION {
            return Err(TarFault::Extension(self.offset));
        }
        let mut content = vec![0; usize::try_from(size).expect("it has at most a mebibyte")];
        self.read_exact(&mut content)?;
        self.padding = size.next_multiple_of(BLOCK) - size;
        self.pass_over()?;
        Ok(content)
    }

    fn pass_over(&mut self) -> Result<(), TarFault> {
        self.left = self.left.saturating_add(std::mem::take(&mut self.padding));
        if let Some(seek) = self.seek {
            let left = std::mem::take(&mut self.left);
            self.offset = self.offset.saturating_add(left);
            return seek(&mut self.input, left).map_err(|error| self.fault(error));
        }
        match io::copy(self, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.fault(error)),
        }
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), TarFault> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_input(&mut buffer[filled..]) {
                Ok(0) => return Err(TarFault::Truncated(self.place.clone())),
                Ok(read) => filled += read,
                Err(error) => return Err(self.fault(error)),
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), TarFault> {
        if self.seek.is_some() {
            return Ok(());
        }
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

impl<R: Read> Read for Untar<R> {
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

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
    name
}

fn escaped(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
