//! `kit.json`: the bill of materials of a finished kit.
//!
//! The one shape that is written when a kit is made, and read by everything that works with one. JSON; docs/json.md has
//! the keys. A key that is not known is passed over, another version is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_with::{As, DisplayFromStr};

use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::fs::{LARGEST, read_bounded};
use crate::lockfile::{FileRole, LockedAttachment, LockedFile, LockedImage};
use crate::net::{Cidr, RegistryHost};
use crate::oci::{Platform, Reference};
use crate::spec::{Allowance, Role};

/// The name of the bill in its kit.
pub const FILE_NAME: &str = "kit.json";
/// The version of the format.
const VERSION: u64 = 1;

/// What a kit says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// The cluster's name.
    pub name: String,
    /// What made it: a program and its version.
    pub made_by: String,
    /// The time that everything in the kit carries.
    pub epoch: Epoch,
    /// The release of k3s.
    pub k3s: String,
    /// The registry as the nodes reach it.
    #[serde(with = "As::<DisplayFromStr>")]
    pub registry: RegistryHost,
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// The nodes, in the order of the spec.
    pub nodes: Vec<Node>,
    /// The findings of a check that the spec accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allowance>,
    /// The files that the lock pins.
    pub files: Vec<File>,
    /// The images that the lock pins.
    pub images: Vec<Image>,
    /// The artifacts, by their path in the kit; the blobs of the layout are named by the images instead.
    pub artifacts: BTreeMap<String, Artifact>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it runs the control plane.
    pub role: Role,
    /// What its images and programs are for.
    pub platform: Platform,
    /// Its address with the prefix of its network.
    #[serde(with = "As::<DisplayFromStr>")]
    pub address: Cidr,
    /// The path of its disc in the kit.
    pub seed: String,
}

/// One file that the lock pins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What it is for.
    pub role: FileRole,
    /// Where it came from.
    pub source: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl From<LockedFile> for File {
    fn from(file: LockedFile) -> Self {
        let LockedFile { role, source, sha256: digest, size } = file;
        Self { role, source, digest, size }
    }
}

/// One image that the lock pins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The image as listed.
    pub reference: Reference,
    /// Its name in the private registry, `repository:tag`, where the image list gives it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The media type of the root manifest.
    pub media_type: String,
    /// The root manifest.
    pub digest: Digest,
    /// The bytes of all that the kit has of it.
    pub total_size: u64,
    /// The runnable image of each platform.
    pub platforms: BTreeMap<Platform, Digest>,
    /// Whether a layer of it is in no registry, and so not in the kit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_incomplete: bool,
    /// What is attached to its manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Attachment>,
}

impl From<LockedImage> for Image {
    fn from(image: LockedImage) -> Self {
        let LockedImage { reference, destination, media_type, digest, total_size, platforms, .. } = image;
        let attachment = |attached: LockedAttachment| {
            let LockedAttachment { subject, tag, digest, media_type, size: _ } = attached;
            Attachment { subject, tag, media_type, digest }
        };
        let attached = image.attached.into_iter().map(attachment).collect();
        let is_incomplete = false;
        Self { reference, destination, media_type, digest, total_size, platforms, is_incomplete, attached }
    }
}

/// A signature or the like that is attached to an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The manifest that it is about.
    pub subject: Digest,
    /// The tag that it is known by, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The media type of its manifest.
    pub media_type: String,
    /// Its manifest.
    pub digest: Digest,
}

/// One finished file of a kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What it was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_from: Vec<String>,
}

/// Why a folder has no bill that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// It cannot be read.
    #[error("`{0}` is not a kit")]
    Read(PathBuf, #[source] std::io::Error),
    /// It is malformed.
    #[error("cannot understand `{0}`")]
    Malformed(PathBuf, #[source] serde_json::Error),
    /// Another seedkit wrote it.
    #[error("`{0}` has version {1}; this seedkit knows version {VERSION}")]
    Version(PathBuf, u64),
}

/// The bill as it is written.
#[derive(Serialize)]
struct Versioned<'a> {
    version: u64,
    #[serde(flatten)]
    bill: &'a Bill,
}

/// What is read first: the rest of another version may be anything.
#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

/// Reads the bill of the kit in `kit`.
pub fn read(kit: &Path) -> Result<Bill, BillError> {
    let path = kit.join(FILE_NAME);
    let bytes = read_bounded(&path, LARGEST).map_err(|source| BillError::Read(kit.to_owned(), source))?;
    let malformed = |source| BillError::Malformed(path.clone(), source);
    let VersionOnly { version } = serde_json::from_slice(&bytes).map_err(malformed)?;
    if version != VERSION {
        return Err(BillError::Version(path, version));
    }
    serde_json::from_slice(&bytes).map_err(malformed)
}

impl Bill {
    /// Returns the text of the file.
    pub fn to_json(&self) -> Vec<u8> {
        let versioned = Versioned { version: VERSION, bill: self };
        let mut json = serde_json::to_vec_pretty(&versioned).expect("strings and numbers always become JSON");
        json.push(b'\n');
        json
    }
}
