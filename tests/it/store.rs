//! The store on a real file system: one that is full, and blobs larger than the memory they may take.

use std::io::{self, Read};

use fs_err as fs;
use seedkit::digest::{Algorithm, Hasher};
use seedkit::store::{Descriptor, DiskStore, StoreError};

use crate::support::{alone, oracle};

/// More than any disk image of this test, far less than the memory of any machine.
const LARGE: u64 = 600 * 1024 * 1024;

/// Returns what the blob of `size` zeros is.
fn describe_zeros(size: u64) -> Descriptor {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    io::copy(&mut zeros(size), &mut hasher).unwrap();
    Descriptor { media_type: "application/octet-stream".to_owned(), digest: hasher.finish(), size }
}

fn zeros(size: u64) -> impl Read {
    io::repeat(0).take(size)
}

/// A file system of one MiB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        oracle::run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path().to_str().unwrap()]);
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its folder cannot be removed while it is a mount point.
        oracle::run("umount", ["--lazy".as_ref(), self.0.path()]);
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_neither_blob_nor_temporary() {
    alone::run_with_mounts(module_path!(), "push_to_a_full_disk");
}

#[test]
#[ignore = "run by `a_full_disk_is_named_and_leaves_neither_blob_nor_temporary`"]
fn push_to_a_full_disk() {
    let disk = SmallDisk::mount();
    let folder = disk.0.path();
    let store = DiskStore::open(folder).unwrap();
    let small = describe_zeros(100_000);
    store.push(&small, zeros(small.size), |_| {}).unwrap();
    let large = describe_zeros(2 * 1024 * 1024);
    let pushed = store.push(&large, zeros(large.size), |_| {}).unwrap_err();
    let undescribed = store.push_undescribed(None, LARGE, zeros(large.size), |_| {}).unwrap_err();
    for error in [pushed, undescribed] {
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
        let StoreError::Write(_, source) = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }
    let left: Vec<_> = fs::read_dir(folder.join("sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, [small.digest.hex()]);
    // The room is free again.
    let other = describe_zeros(500_000);
    store.push(&other, zeros(other.size), |_| {}).unwrap();
}

#[test]
fn a_large_blob_takes_less_than_64_mib_of_memory() {
    alone::run(module_path!(), "push_a_large_blob_within_64_mib");
}

#[test]
#[ignore = "run by `a_large_blob_takes_less_than_64_mib_of_memory`"]
fn push_a_large_blob_within_64_mib() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    let large = describe_zeros(LARGE);
    store.push(&large, zeros(LARGE), |_| {}).unwrap();
    assert!(store.contains(&large));
    let peak = alone::peak_memory();
    assert!(peak < 64 * 1024, "{peak} KiB");
}
