//! What passes by while a bundle is read: digests of all, the small texts, what the packages say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use crate::archive::Bounded;
use crate::archive::compress::{Compression, Decoder};
use crate::archive::untar::{Member, MemberKind, TarFault, Untar};
use crate::artifact::Finding;
use crate::artifact::SUMS;
use crate::deb;
use crate::digest::{Algorithm, Digest, Hasher, HashingReader};
use crate::inspect::stream::read_text;
use crate::text::chain;

/// What is in the bundle and why.
pub(super) const MANIFEST: &str = "manifest.json";
/// What was requested, a name a line.
pub(super) const REQUEST: &str = "request";
/// What apt reads.
pub(super) const INDEX: &str = "Packages";
/// The same, compressed.
pub(super) const INDEX_GZ: &str = "Packages.gz";
/// What vouches for these two.
pub(super) const RELEASE: &str = "Release";
/// What installs them.
pub(super) const INSTALLER: &str = "install.sh";
/// The folder of the packages.
pub(super) const POOL: &str = "pool/";

/// The files that are needed to judge the others.
const TEXTS: [&str; 6] = [SUMS, MANIFEST, REQUEST, INDEX, RELEASE, INSTALLER];
/// The largest of them: the whole index of Debian has 50 MB.
const LARGEST_TEXT: u64 = 64 << 20;
/// Packages unpack to so many times their size, and some are an image of zeros: qemu's firmware has 100.
const PLAUSIBLE_RATIO: u64 = 200;
const PLAUSIBLE_SIZE: u64 = 256 << 20;

/// A file as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// What a package says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    pub(super) licenses: Vec<String>,
}

/// Everything about a bundle but its packages' bytes.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Every file in the bundle's folder.
    pub(super) files: BTreeMap<String, Found>,
    pub(super) texts: BTreeMap<String, String>,
    /// The packages that could be read, by their path.
    pub(super) packages: BTreeMap<String, Described>,
    /// What the compressed index unpacks to.
    pub(super) unpacked_index: Option<Digest>,
    pub(super) findings: BTreeSet<Finding>,
}

impl Contents {
    /// Reads one member, whatever it is.
    pub(super) fn take<R: Read>(
        &mut self,
        folder: &str,
        member: Member,
        stream: &mut Untar<R>,
    ) -> Result<(), TarFault> {
        let Member { path, kind, size, offset: _ } = member;
        let path = path.as_str();
        let inside = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        match (kind, inside) {
            (MemberKind::File, Some(inside)) => self.take_file(inside, size, stream),
            // The bundle's own, and its pool.
            (MemberKind::Folder, Some(_)) => Ok(()),
            (MemberKind::Folder, None) if path == folder => Ok(()),
            (MemberKind::Link { .. } | MemberKind::Special, Some(_)) => {
                self.findings.insert(Finding::wrong(path, "it is a link, and bundles have none"));
                Ok(())
            }
            (MemberKind::File | MemberKind::Folder | MemberKind::Link { .. } | MemberKind::Special, None) => {
                self.findings.insert(Finding::wrong(
                    path,
                    format!("it lies outside of the bundle's folder `{folder}`"),
                ));
                Ok(())
            }
        }
    }

    fn take_file<R: Read>(&mut self, path: &str, size: u64, stream: &mut Untar<R>) -> Result<(), TarFault> {
        let mut content = HashingReader::new(Algorithm::Sha256, &mut *stream);
        let looked_into = self.look_into(path, size, &mut content);
        let finished = content.finish();
        // What a failed read leaves undone fails again here, with the reason.
        let (digest, size) = finished.map_err(|error| stream.fault(error))?;
        if let Err(reason) = looked_into {
            self.findings.insert(Finding::wrong(path, reason));
        }
        self.files.insert(path.to_owned(), Found { digest, size });
        Ok(())
    }

    /// Reads as much of a file as there is to know of it; the reason why not, if it is not what it should be.
    fn look_into(&mut self, path: &str, size: u64, content: &mut impl Read) -> Result<(), String> {
        if TEXTS.contains(&path) {
            let text = read_text(content, LARGEST_TEXT).map_err(|error| error.to_string())?;
            let text = text.ok_or_else(|| format!("it is not text of at most {LARGEST_TEXT} bytes"))?;
            self.texts.insert(path.to_owned(), text);
        } else if path == INDEX_GZ {
            self.unpacked_index =
                Some(unpacked(content).map_err(|error| format!("cannot unpack it: {error}"))?);
        } else if is_package(path) {
            self.packages.insert(path.to_owned(), describe(content, size)?);
        }
        Ok(())
    }
}

/// Returns whether a path in a bundle is that of a package.
pub(super) fn is_package(path: &str) -> bool {
    path.starts_with(POOL) && path.ends_with(".deb")
}

fn unpacked(content: impl Read) -> io::Result<Digest> {
    let decoder = Decoder::new(Compression::Gzip, content)?;
    Ok(Hasher::sha256_of(&mut Bounded::new(decoder, LARGEST_TEXT))?.0)
}

fn describe(content: impl Read, size: u64) -> Result<Described, String> {
    let plausible = size.saturating_mul(PLAUSIBLE_RATIO).saturating_add(PLAUSIBLE_SIZE);
    let limit = plausible.min(deb::archive::LARGEST_UNPACKED);
    let package = deb::archive::read(content, limit).map_err(|error| chain(&error).join(": "))?;
    let stanza = package.stanza().map_err(|error| chain(&error).join(": "))?;
    Ok(Described {
        name: stanza.name.to_owned(),
        version: stanza.version.to_string(),
        architecture: stanza.architecture.to_owned(),
        licenses: package.licenses.clone(),
    })
}
