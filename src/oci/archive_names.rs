//! The names of the images in a tarball that a container runtime imports, read as a stream.
//!
//! Both descriptions count: Docker's `manifest.json`, and the `index.json` of an image layout. The images themselves
//! are not looked at.

use std::collections::BTreeSet;
use std::io::{self, Read};

use serde::Deserialize;

use super::Reference;
use super::layout::{CONTAINERD_NAME, LayoutIndex, REF_NAME};
use crate::archive::compress::Decoder;

/// The most bytes of one description.
const DOCUMENT_LIMIT: u64 = 16 * 1024 * 1024;
/// The most bytes that a tarball is unpacked to.
const UNPACKED_LIMIT: u64 = 256 * 1024 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    /// `null` for an image without a name.
    repo_tags: Option<Vec<String>>,
}

/// Returns the full names of all images, such as `docker.io/rancher/mirrored-pause:3.6`.
///
/// # Errors
/// If it is no tar archive, plain or compressed by gzip or zstd, or describes no images.
pub fn read(tarball: impl Read) -> io::Result<BTreeSet<String>> {
    let mut archive = tar::Archive::new(Decoder::detect(tarball)?.take(UNPACKED_LIMIT));
    let mut names = Vec::new();
    let mut is_described = false;
    for entry in archive.entries()? {
        let mut entry = entry.map_err(not_tar)?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        if path.as_os_str() == "manifest.json" {
            let images: Vec<DockerImage> = serde_json::from_slice(&document(&mut entry)?)?;
            names.extend(images.into_iter().flat_map(|image| image.repo_tags.unwrap_or_default()));
            is_described = true;
        } else if path.as_os_str() == "index.json" {
            let index: LayoutIndex = serde_json::from_slice(&document(&mut entry)?)?;
            let named = index.manifests.into_iter().filter_map(|mut entry| {
                entry.annotations.remove(CONTAINERD_NAME).or_else(|| entry.annotations.remove(REF_NAME))
            });
            names.extend(named);
            is_described = true;
        }
    }
    if !is_described {
        return Err(io::Error::other("it has neither `manifest.json` nor `index.json`"));
    }
    let names = names.iter().filter_map(|name| name.parse().ok());
    Ok(names.map(|name: Reference| name.tagged_name()).collect())
}

/// The reader of tar quotes what it cannot read, and this may be any file of the machine.
fn not_tar(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => error,
        None => io::Error::new(error.kind(), "it is no tar archive, or a damaged one"),
    }
}

fn document(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(DOCUMENT_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}
