//! The names of the images in a tarball that a container runtime imports, read as a stream.
//!
//! Both descriptions count: Docker's `manifest.json`, and the `index.json` of an image layout. The images themselves
//! are not looked at.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::Reference;
use super::layout::{CONTAINERD_NAME, INDEX_LIMIT, LayoutIndex, REF_NAME};
use crate::archive::Bounded;
use crate::archive::compress::Decoder;
use crate::archive::untar::Untar;
use crate::fs::open_regular;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    /// `null` for an image without a name.
    repo_tags: Option<Vec<String>>,
}

/// Returns the full names of all images of the tarball at `path`, such as `docker.io/rancher/mirrored-pause:3.6`.
///
/// # Errors
/// If it is not a tar archive, plain or compressed by gzip or zstd, or describes no images.
pub fn read(path: &Path) -> io::Result<BTreeSet<String>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    let mut archive = Untar::new(Bounded::plausible(Decoder::detect(file)?, length));
    let mut names = Vec::new();
    let (mut has_saved, mut has_index) = (false, false);
    // Whoever wrote both is read no further: there is nothing more to learn.
    while !(has_saved && has_index) {
        let Some(member) = archive.next_member().map_err(io::Error::other)? else { break };
        match member.path.as_str() {
            "manifest.json" => {
                let images: Vec<DockerImage> = serde_json::from_slice(&document(&mut archive)?)?;
                names.extend(images.into_iter().flat_map(|image| image.repo_tags.unwrap_or_default()));
                has_saved = true;
            }
            "index.json" => {
                let index: LayoutIndex = serde_json::from_slice(&document(&mut archive)?)?;
                let named = index.manifests.into_iter().filter_map(|mut entry| {
                    entry.annotations.remove(CONTAINERD_NAME).or_else(|| entry.annotations.remove(REF_NAME))
                });
                names.extend(named);
                has_index = true;
            }
            _ => {}
        }
    }
    if !has_saved && !has_index {
        return Err(io::Error::other("it has neither `manifest.json` nor `index.json`"));
    }
    let names = names.iter().filter_map(|name| name.parse().ok());
    Ok(names.map(|name: Reference| name.tagged_name()).collect())
}

fn document(archive: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    archive.take(INDEX_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INDEX_LIMIT {
        return Err(io::Error::other(format!("its list of images has more than {INDEX_LIMIT} bytes")));
    }
    Ok(bytes)
}
