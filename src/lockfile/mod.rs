//! `seedkit.lock`: what a spec resolved to.
//!
//! The lock pins every image tag to a digest per platform, every file to a length and SHA-256, and the build
//! to one time. It is canonical text, sorted, one fact a line: two people who lock the same things get the
//! same bytes, and a reviewer reads the difference. Which images, files and platforms a build needs is
//! decided once, as [`Wanted`]; [`Lockfile::check`] is the only way to a [`Locked`], and the build steps take
//! nothing else.
//!
//! # Grammar
//!
//! TOML with the keys `version`, `epoch`, `platforms`, `signatures`, `image-size`, then `[[file]]` and `[[image]]` tables,
//! and, where the spec asks for ops packages, one `[packages]` table with `[[index]]` and `[[package]]` tables after it;
//! each with all of its keys in a fixed order. Unknown keys are refused: a newer seedkit may mean something by them.
//!
//! Locks of another version are refused: `seedkit lock` makes a new one.

mod drift;
#[cfg(test)]
mod fixture;
mod packages;
mod text;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_with::{DeserializeFromStr, SerializeDisplay};

pub use drift::{Drift, Locked};
pub use packages::{
    InvalidLooseFile, InvalidOrigin, LockedIndex, LockedPackage, LockedPackages, LooseFile, PackageOrigin,
    PackageRequest,
};

use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::oci::attached::Attachment;
use crate::oci::{Platform, Reference};
use crate::store::Descriptor;

/// The version of the format, the only one that is written and read.
pub const VERSION: u32 = 3;

/// The name a lock has beside its spec.
pub const FILE_NAME: &str = "seedkit.lock";

/// What a spec resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockfile {
    /// The time that everything built from this lock carries.
    pub epoch: Epoch,
    /// The platforms, sorted.
    pub platforms: Vec<Platform>,
    /// Whether what is attached to the images was looked for, and is locked with them.
    pub signatures: bool,
    /// The bytes of all images and of what is attached to them, what they share counted once.
    pub image_size: u64,
    /// The files, sorted by role.
    pub files: Vec<LockedFile>,
    /// The images, sorted by reference.
    pub images: Vec<LockedImage>,
    /// The ops packages, if the spec asks for any.
    pub packages: Option<LockedPackages>,
}

/// One file, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// What the file is for; unique.
    pub role: FileRole,
    /// Where it came from: a path as written in the spec, or a URL.
    pub source: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// One image, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedImage {
    /// The image as listed, fully qualified.
    pub reference: Reference,
    /// The name it gets in the private registry, if the list gives another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The media type of the root manifest.
    pub media_type: String,
    /// The root manifest: of an index if the image has one.
    pub digest: Digest,
    /// The root manifest's length in bytes.
    pub size: u64,
    /// The bytes of all manifests and blobs that the build takes, those of what is attached too.
    pub total_size: u64,
    /// How many manifests are among them, each a request.
    pub manifests: u64,
    /// The runnable image of each platform; empty for artifacts such as charts.
    #[serde(default)]
    pub platforms: BTreeMap<Platform, Digest>,
    /// What is attached to its manifests, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<LockedAttachment>,
}

/// A signature, an attestation, a bill of materials: something attached to an image, pinned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedAttachment {
    /// The manifest that it is about.
    pub subject: Digest,
    /// The tag that it is known by, which is made of its subject; without one it names its subject itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Its own manifest.
    pub digest: Digest,
    /// The media type of its manifest.
    pub media_type: String,
    /// Its manifest's length in bytes.
    pub size: u64,
}

impl From<Attachment> for LockedAttachment {
    fn from(attachment: Attachment) -> Self {
        let Attachment { subject, tag, descriptor: Descriptor { media_type, digest, size } } = attachment;
        Self { subject, tag, digest, media_type, size }
    }
}

impl LockedAttachment {
    /// Returns what a source is asked for.
    pub fn attachment(&self) -> Attachment {
        let Self { subject, tag, digest, media_type, size } = self.clone();
        Attachment { subject, tag, descriptor: Descriptor { media_type, digest, size } }
    }
}

/// What a file of the kit is for.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr, derive_more::Display,
)]
pub enum FileRole {
    /// The k3s binary of a platform.
    #[display("k3s-binary {_0}")]
    K3sBinary(Platform),
    /// The release's own airgap tarball of a platform.
    #[display("k3s-airgap {_0}")]
    K3sAirgap(Platform),
    /// The release's own image list.
    #[display("k3s-images")]
    K3sImages,
    /// A user's file, by its destination on the nodes.
    #[display("file {_0}")]
    File(String),
}

/// Says why a text is not a [`FileRole`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a role of a file that this version of seedkit knows")]
pub struct InvalidRole(String);

impl FromStr for FileRole {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let role = match text.split_once(' ') {
            None if text == "k3s-images" => Some(Self::K3sImages),
            Some(("k3s-binary", platform)) => platform.parse().ok().map(Self::K3sBinary),
            Some(("k3s-airgap", platform)) => platform.parse().ok().map(Self::K3sAirgap),
            Some(("file", destination)) => Some(Self::File(destination.to_owned())),
            _ => None,
        };
        role.ok_or_else(|| InvalidRole(text.to_owned()))
    }
}

/// All that a build of a spec needs, by name; nothing of it is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// Whether what is attached to the images comes along.
    pub signatures: bool,
    /// The images.
    pub images: Vec<WantedImage>,
    /// The files.
    pub files: Vec<WantedFile>,
    /// The ops packages, if any.
    pub packages: Option<PackageRequest>,
}

/// One image that a build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedImage {
    /// The image.
    pub reference: Reference,
    /// The name it gets in the private registry, if another one.
    pub destination: Option<String>,
    /// Which list or spec names it, for messages: `images.txt:12`.
    pub origin: String,
}

/// One file that a build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    /// What it is for.
    pub role: FileRole,
    /// Where it comes from: a path as written in the spec, or a URL.
    pub source: String,
    /// The digest that the spec demands, if it states one.
    pub sha256: Option<Digest>,
}

/// Why a lock cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LockfileError {
    /// The text is not TOML, or has unknown, missing or wrong keys.
    #[error("the lock is malformed: {0}")]
    Malformed(String),
    /// A version of the format that this seedkit does not know.
    #[error("the lock has format version {0}; this seedkit reads version {VERSION}")]
    Version(u32),
    /// Something is locked twice.
    #[error("the lock has `{0}` twice")]
    Duplicate(String),
}

impl Lockfile {
    /// Returns the file with the role, if it is locked.
    pub fn file(&self, role: &FileRole) -> Option<&LockedFile> {
        self.files.iter().find(|file| file.role == *role)
    }

    /// Returns whether both locks pin the same content; the epoch does not matter.
    pub fn pins_same_content(&self, other: &Self) -> bool {
        Self { epoch: other.epoch, ..self.clone() } == *other
    }
}
