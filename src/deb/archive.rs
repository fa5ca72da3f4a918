//! Packages themselves: what a `.deb` says and holds; and small ones of our own, for fixtures.
//!
//! ```text
//! package = ar archive of: debian-binary ("2.0\n"), control.tar[.gz|.xz|.zst], data.tar[.gz|.xz|.zst]
//! ```
//!
//! See deb(5). Nothing is unpacked to disk: members are looked at while they stream by. Paths that leave the
//! package are refused, and so is whatever unpacks to more than the caller allows.

mod licenses;
mod members;
mod write;

use std::io::{self, Read};

use super::control::{InvalidStanza, Stanza};
use super::index::{InvalidIndex, PackageStanza};
use super::name::excerpt;
use super::packing::Packing;
use crate::archive::ar::{ArError, ArMember, ArReader};
use members::TarMember;

pub use write::{WritePackageError, write};

/// How much of a package is unpacked at most: the largest one of Debian has 3 GiB.
pub const LARGEST_UNPACKED: u64 = 8 << 30;
/// How much the control archive may unpack to; those of Debian have up to 12 MiB.
const LARGEST_CONTROL: u64 = 64 << 20;
/// The largest text of a package that is read: its control file, its copyright file.
const LARGEST_TEXT: u64 = 1 << 20;

/// What a package says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    control: String,
    /// The short names of its licences, sorted; empty where it does not say them in a way that can be read.
    pub licenses: Vec<String>,
    /// How many bytes its files have.
    pub unpacked: u64,
}

/// Says why a file is not a package that can be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPackage {
    /// It is not an ar archive.
    #[error("the package is malformed")]
    Ar(#[from] ArError),
    /// It has other members, or in another order.
    #[error("the package has `{found}` where {expected} belongs")]
    Member {
        /// The member that is there; empty at the end.
        found: String,
        /// What should be there.
        expected: &'static str,
    },
    /// Its format is another one.
    #[error("the package has format `{0}`, not 2.0")]
    Format(String),
    /// A member cannot be unpacked.
    #[error("cannot unpack `{0}` of the package")]
    Unpack(String, #[source] io::Error),
    /// A member unpacks to more than it may.
    #[error("`{0}` of the package unpacks to more than {1} bytes")]
    TooLarge(String, u64),
    /// A path leaves the package.
    #[error("`{member}` of the package has a path that leaves it: `{path}`")]
    Path {
        /// The member.
        member: String,
        /// The path.
        path: String,
    },
    /// An entry is of a kind that packages do not have.
    #[error("`{path}` in `{member}` of the package is of the unknown kind `{kind}`")]
    Kind {
        /// The member.
        member: String,
        /// The entry.
        path: String,
        /// The letter of its kind.
        kind: char,
    },
    /// There is no control file.
    #[error("the package has no control file")]
    NoControl,
    /// The control file is not text, or too long.
    #[error("the control file of the package is not UTF-8")]
    NotText,
    /// The control file is malformed.
    #[error("the control file of the package is malformed")]
    Control(#[from] InvalidStanza),
    /// The control file says something that cannot be.
    #[error("the control file of the package cannot be used")]
    Index(#[from] InvalidIndex),
}

impl Package {
    /// Returns what the control file says, with its relations.
    pub fn stanza(&self) -> Result<PackageStanza<'_>, InvalidPackage> {
        Ok(PackageStanza::describe(Stanza::parse(&self.control)?, None)?)
    }

    /// Returns the control file.
    pub fn control(&self) -> &str {
        &self.control
    }
}

/// Reads a package to its end, and checks the path of everything in it.
///
/// Its files may have `limit` bytes together, at most; [`LARGEST_UNPACKED`] is enough for any.
pub fn read(input: impl Read, limit: u64) -> Result<Package, InvalidPackage> {
    let mut ar = ArReader::new(input)?;
    read_format(&mut ar)?;
    let control = read_control(&mut ar)?;
    let mut package = Package { control, licenses: Vec::new(), unpacked: 0 };
    let copyright = format!("usr/share/doc/{}/copyright", package.stanza()?.name);
    let Package { control: _, licenses, unpacked } = &mut package;
    let data = next_tar(&mut ar, "data.tar")?;
    data.visit(&mut ar, limit, |member| {
        if member.file_size.is_some() && member.path == copyright {
            *licenses = licenses::names(&String::from_utf8_lossy(&read_text(member.content)?));
        }
        *unpacked += member.file_size.unwrap_or_default();
        Ok(())
    })?;
    match next_member(&mut ar)? {
        None => Ok(package),
        Some(member) => Err(InvalidPackage::Member { found: member.name, expected: "its end" }),
    }
}

fn read_format(ar: &mut ArReader<impl Read>) -> Result<(), InvalidPackage> {
    let found = ar.next_member()?.map(|member| member.name).unwrap_or_default();
    if found != "debian-binary" {
        return Err(InvalidPackage::Member { found, expected: "debian-binary" });
    }
    let mut version = Vec::new();
    ar.take(16).read_to_end(&mut version).map_err(ArError::Read)?;
    let version = String::from_utf8_lossy(&version);
    if version.starts_with("2.") { Ok(()) } else { Err(InvalidPackage::Format(excerpt(version.trim_end()))) }
}

fn read_control(ar: &mut ArReader<impl Read>) -> Result<String, InvalidPackage> {
    let mut control = None;
    next_tar(ar, "control.tar")?.visit(ar, LARGEST_CONTROL, |member| {
        if member.path == "control" && member.file_size.is_some() {
            control = Some(read_text(member.content)?);
        }
        Ok(())
    })?;
    String::from_utf8(control.ok_or(InvalidPackage::NoControl)?).map_err(|_| InvalidPackage::NotText)
}

/// Reads the beginning of a file: all of it, for any honest one.
fn read_text(content: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    content.take(LARGEST_TEXT).read_to_end(&mut text)?;
    Ok(text)
}

/// Returns the next member that counts; a name that begins with `_` does not (deb(5)).
fn next_member(ar: &mut ArReader<impl Read>) -> Result<Option<ArMember>, InvalidPackage> {
    loop {
        match ar.next_member()? {
            Some(member) if member.name.starts_with('_') => {}
            other => return Ok(other),
        }
    }
}

/// Returns the tar archive that has to come next.
fn next_tar(ar: &mut ArReader<impl Read>, expected: &'static str) -> Result<TarMember, InvalidPackage> {
    let found = next_member(ar)?.map(|member| member.name).unwrap_or_default();
    let suffix = found.strip_prefix(expected);
    let packing = Packing::ALL.into_iter().find(|packing| suffix == Some(packing.suffix()));
    match packing {
        Some(packing) => Ok(TarMember { name: found, packing }),
        None => Err(InvalidPackage::Member { found, expected }),
    }
}
