//! A bundle of ops packages, as whoever receives it would want to know it: what is in it, and is it whole.
//!
//! The archive is read once. The table comes from the packages themselves; `manifest.json` only adds why each is
//! there. Everything that the bundle says about itself is then compared: SHA256SUMS with every file, the manifest, the
//! index that apt reads and the request with the packages, the name with SHA256SUMS.

mod contents;
mod judge;

use std::io::Read;

use serde::Serialize;

use crate::archive::untar::{Member, TarFault, Untar};
use crate::artifact::Finding;
use crate::digest::Digest;
use crate::epoch::Epoch;
use contents::Contents;

/// What the folder of every bundle begins with.
const PREFIX: &str = "ops-packages-";

/// A bundle of ops packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsBundle {
    /// Its name: that of the folder in the archive.
    pub name: String,
    /// The code name of the release it is for.
    pub suite: String,
    /// The architecture it is for, as dpkg names it.
    pub architecture: String,
    /// Its date, if its manifest can be read.
    pub epoch: Option<Epoch>,
    /// What was requested.
    pub requested: Vec<String>,
    /// How many packages it has.
    pub count: usize,
    /// How many bytes they have together.
    pub bytes: u64,
    /// The packages, sorted by name.
    pub packages: Vec<BundledPackage>,
    /// The index that apt reads.
    #[serde(skip)]
    pub index: String,
    /// The script that installs them.
    #[serde(skip)]
    pub installer: String,
}

/// One package of a bundle, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundledPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its place in the bundle.
    pub file: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// The short names of its licences; empty where its copyright file does not say them in a way that can be read.
    pub licenses: Vec<String>,
    /// Why it is in the bundle, as the manifest says.
    pub why: String,
}

/// Returns the folder of a bundle if the first member of an archive is in one.
pub(super) fn folder_of(first: &Member) -> Option<&str> {
    let folder = first.path.components().next()?;
    folder.starts_with(PREFIX).then_some(folder)
}

/// Reads a bundle whose first member was read already, to the archive's end.
pub(super) fn read<R: Read>(
    folder: &str,
    first: Member,
    stream: &mut Untar<R>,
) -> Result<(OpsBundle, Vec<Finding>), TarFault> {
    let mut contents = Contents::default();
    let mut next = Some(first);
    while let Some(member) = next {
        contents.take(folder, member, stream)?;
        next = stream.next_member()?;
    }
    Ok(judge::judge(folder, contents))
}
