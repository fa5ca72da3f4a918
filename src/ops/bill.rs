//! `kit.json`, read back by what works with a finished kit.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::digest::Digest;
use crate::fs::open_regular;
use crate::net::RegistryHost;
use crate::oci::Reference;
use crate::ops::kit::{BILL, BILL_VERSION};

/// The most bytes a bill may have: far above a kit of ten thousand images.
const BILL_LIMIT: u64 = 64 * 1024 * 1024;

/// What is read of a bill of materials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitBill {
    /// The registry as the nodes reach it.
    pub registry: RegistryHost,
    /// The images.
    pub images: Vec<KitImage>,
}

/// One image of a kit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KitImage {
    /// Its name.
    pub reference: Reference,
    /// Its name in the private registry, `repository:tag`, where the image list gives it one.
    #[serde(default)]
    pub destination: Option<String>,
    /// The digest of its root.
    pub digest: Digest,
}

#[derive(Deserialize)]
struct RawBill {
    version: u32,
    registry: String,
    images: Vec<KitImage>,
}

/// Why a folder is no kit.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// The bill cannot be read.
    #[error("`{}` is no kit", .kit.display())]
    Read {
        /// The folder.
        kit: PathBuf,
        /// What the file system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// The bill is malformed.
    #[error("cannot understand `{}`", .path.display())]
    Malformed {
        /// The bill.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another seedkit wrote it.
    #[error("`{}` has version {found}; this seedkit knows version {BILL_VERSION}", .path.display())]
    Version {
        /// The bill.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// Reads the bill of materials of the kit in `kit`.
pub fn read(kit: &Path) -> Result<KitBill, BillError> {
    let path = kit.join(BILL);
    let fail = |source| BillError::Read { kit: kit.to_owned(), source };
    let mut bytes = Vec::new();
    open_regular(&path).and_then(|file| file.take(BILL_LIMIT).read_to_end(&mut bytes)).map_err(fail)?;
    let raw: RawBill = serde_json::from_slice(&bytes)
        .map_err(|source| BillError::Malformed { path: path.clone(), source: source.into() })?;
    let RawBill { version, registry, images } = raw;
    if version != BILL_VERSION {
        return Err(BillError::Version { path, found: version });
    }
    let registry = registry
        .parse()
        .map_err(|source: crate::net::Invalid| BillError::Malformed { path, source: source.into() })?;
    Ok(KitBill { registry, images })
}
