//! Is there room? Asked before the first byte is fetched.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::fetch::Equipment;
use crate::fetch::files::descriptor_of;
use crate::lockfile::{FileRole, Locked, LockedPackage};
use crate::oci::Platform;
use crate::progress::Bytes;
use crate::spec::{Packages, Payload, Spec};

/// Room for everything small: manifests, certificates, ISO metadata, the bill.
const SMALL_CHANGE: u64 = 16 * 1024 * 1024;

/// Room for what a seed has beside its payload: descriptors, folders, padding.
const SEED_OVERHEAD: u64 = 1024 * 1024;

/// Why a build is not begun.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// There is not enough space.
    #[error("`{}` has {} free; the build needs up to {}", .path.display(), Bytes(*.free), Bytes(*.needed))]
    NoSpace {
        /// A folder on the file system that is too full.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that the build may need there.
        needed: u64,
    },
    /// The free space cannot be found out.
    #[error("cannot find out how much space is free for `{0}`")]
    Unknown(PathBuf, #[source] std::io::Error),
}

/// What a build may need at most, in bytes.
struct Needs {
    fetch: u64,
    kit: u64,
    seeds: u64,
}

/// Compares what a build may need with what is free: in the store, where the kit goes, and where seeds are copied.
///
/// A tarball holds one platform and the lock counts all, so the need is an upper bound.
pub fn check(
    spec: &Spec,
    locked: &Locked,
    output: &Path,
    deliver: Option<&Path>,
    equipment: &Equipment<'_>,
) -> Result<(), PreflightError> {
    let store = equipment.store.root();
    let Needs { fetch, kit, seeds } = needed(spec, locked, equipment);
    let is_shared = device_of(store)? == device_of(output)?;
    // On one file system the layout is a second name for the store's files.
    let layout = if is_shared { 0 } else { locked.lockfile().image_size };
    let mut needs: BTreeMap<u64, (&Path, u64)> = BTreeMap::new();
    let places = [(store, fetch), (output, kit + layout)];
    for (path, bytes) in places.into_iter().chain(deliver.map(|target| (target, seeds))) {
        needs.entry(device_of(path)?).or_insert((path, 0)).1 += bytes;
    }
    for (path, needed) in needs.into_values() {
        let free =
            crate::fs::free_bytes(path).map_err(|source| PreflightError::Unknown(path.to_owned(), source))?;
        if free < needed {
            return Err(PreflightError::NoSpace { path: path.to_owned(), free, needed });
        }
    }
    Ok(())
}

fn needed(spec: &Spec, locked: &Locked, equipment: &Equipment<'_>) -> Needs {
    let lockfile = locked.lockfile();
    let is_missing = |file: &&crate::lockfile::LockedFile| !equipment.store.contains(&descriptor_of(file));
    let files: u64 = lockfile.files.iter().filter(is_missing).map(|file| file.size).sum();
    // If a root is missing, what it shares with others may be there: an upper bound again.
    let has_all = lockfile.images.iter().all(|image| equipment.store.path(&image.digest).exists());
    let images = if has_all { 0 } else { lockfile.image_size };
    let packages = lockfile.packages.iter().flat_map(|locked| &locked.packages);
    let all_packages: u64 = packages.clone().map(|package| package.size).sum();
    let is_missing = |package: &&LockedPackage| !equipment.store.path(&package.sha256).exists();
    let missing_packages: u64 = packages.clone().filter(is_missing).map(|package| package.size).sum();
    let tarballs = lockfile.image_size * spec.platforms.len() as u64;
    let size = |role: FileRole| locked.file(&role).map_or(0, |file| file.size);
    let own = |node: &crate::spec::Node| {
        let files = spec.files_of(node).map(|file| size(FileRole::File(file.destination.to_string())));
        files.sum::<u64>() + SEED_OVERHEAD
    };
    let common = |platform: &Platform| {
        let k3s = size(FileRole::K3sBinary(platform.clone())) + size(FileRole::K3sAirgap(platform.clone()));
        let architecture = Packages::architecture(platform);
        let ops = packages.clone().filter(|package| Some(package.target.as_str()) == architecture);
        k3s + ops.map(|package| package.size).sum::<u64>() + lockfile.image_size
    };
    let discs: u64 = match spec.seed.payload {
        Payload::Embedded => spec.nodes.iter().map(|node| common(&node.platform)).sum(),
        Payload::Shared => spec.platforms.iter().map(common).sum(),
    };
    let seeds = discs + spec.nodes.iter().map(own).sum::<u64>();
    Needs {
        fetch: files + images + missing_packages,
        kit: tarballs + all_packages + seeds + SMALL_CHANGE,
        seeds,
    }
}

fn device_of(path: &Path) -> Result<u64, PreflightError> {
    let unknown = |source| PreflightError::Unknown(path.to_owned(), source);
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    Ok(fs::metadata(existing).map_err(unknown)?.dev())
}
