//! The images that a `manifest.json` of `docker save` names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::pieces::{Patience, Piece, Pieces, SAVED, TOO_LARGE};
use super::{Image, ImagePlatform};
use crate::artifact::Finding;
use crate::digest::Digest;
use crate::oci::{Manifest, Reference};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// What a configuration says of layers: the digests of their uncompressed contents.
#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

/// Finds the images of an archive; `None` if `docker save` did not write it.
pub(super) fn resolve(
    pieces: &Pieces,
    findings: &mut BTreeSet<Finding>,
    patience: &mut Patience,
) -> Option<Vec<Image>> {
    let (_, piece) = pieces.get(SAVED)?;
    match piece.document.as_deref().map(serde_json::from_slice::<Vec<Saved>>) {
        Some(Ok(saved)) => {
            let read = |image| one(image, pieces, findings, patience);
            Some(saved.into_iter().filter_map(read).collect())
        }
        problem => {
            let text = problem.and_then(Result::err).map_or(TOO_LARGE.to_owned(), |error| error.to_string());
            findings.insert(Finding::wrong(SAVED, text));
            Some(Vec::new())
        }
    }
}

/// Compares each name with that of the index beside it, as a runtime reads them: both stand for one image.
pub(super) fn compare(oci: &[Image], docker: &[Image], findings: &mut BTreeSet<Finding>) {
    let whole = |name: &String| name.parse::<Reference>().map(|reference| reference.tagged_name()).ok();
    let mut known: BTreeMap<String, Vec<&ImagePlatform>> = BTreeMap::new();
    for image in oci {
        for name in image.names.iter().filter_map(whole) {
            known.entry(name).or_default().extend(&image.platforms);
        }
    }
    for image in docker {
        for name in &image.names {
            let Some(platforms) = whole(name).map(|name| known.get(&name)) else { continue };
            let is_same = |one: &&ImagePlatform| {
                image.platforms.iter().any(|own| (own.config, &own.layers) == (one.config, &one.layers))
            };
            let what = match platforms {
                None => "which index.json does not",
                // What is not here is said of the index.
                Some(platforms) if platforms.is_empty() || platforms.iter().any(is_same) => continue,
                Some(_) => "which is another image in index.json",
            };
            findings.insert(Finding::wrong(SAVED, format!("it names `{}`, {what}", name.escape_debug())));
        }
    }
}

fn one(
    saved: Saved,
    pieces: &Pieces,
    findings: &mut BTreeSet<Finding>,
    patience: &mut Patience,
) -> Option<Image> {
    let Saved { config, repo_tags, layers } = saved;
    let layers = layers.unwrap_or_default();
    let mut sizes = BTreeMap::new();
    let mut find = |path: &str, findings: &mut BTreeSet<Finding>| match pieces.get(path) {
        Some((place, piece)) => {
            sizes.insert(place.to_owned(), piece.size);
            judge_name(path, piece, findings);
            Some(piece)
        }
        None => {
            findings.insert(Finding::Missing { path: path.to_owned() });
            None
        }
    };
    let found = find(&config, findings)?;
    let document = found.document.as_deref().unwrap_or_default();
    if !patience.bears(document.len()) {
        findings.insert(Finding::wrong(SAVED, Patience::LOST));
        return None;
    }
    let diff_ids = match serde_json::from_slice::<Config>(document) {
        Ok(config) => config.rootfs.diff_ids.unwrap_or_default(),
        Err(error) => {
            findings
                .insert(Finding::wrong(&config, format!("it is not a configuration of an image: {error}")));
            Vec::new()
        }
    };
    if diff_ids.len() != layers.len() {
        let reason = format!("it is about {} layers, {SAVED} lists {}", diff_ids.len(), layers.len());
        findings.insert(Finding::wrong(&config, reason));
    }
    let mut diff_ids = diff_ids.into_iter();
    let mut digests = Vec::new();
    for layer in &layers {
        let (piece, expected) = (find(layer, findings), diff_ids.next());
        digests.extend(piece.map(|piece| piece.digest));
        if let (Some(piece), Some(expected)) = (piece, expected) {
            judge_layer(layer, piece, expected, findings);
        }
    }
    let platform = ImagePlatform {
        platform: Manifest::platform_of_config(document).map(|platform| platform.to_string()),
        digest: None,
        config: found.digest,
        layers: digests,
    };
    let mut names = repo_tags.unwrap_or_default();
    names.sort();
    let size = sizes.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
    Some(Image { names, digest: None, media_type: None, size, platforms: vec![platform] })
}

/// A file whose name is a digest must have it: `<hex>.json`, `<hex>.tar`, `<hex>.tar.gz`, `sha256:<hex>`.
///
/// Those in a folder are named by an ID, which is none.
fn judge_name(path: &str, piece: &Piece, findings: &mut BTreeSet<Finding>) {
    let hex = path.strip_prefix("sha256:").unwrap_or(path);
    let hex = hex.split('.').next().unwrap_or_default();
    let Ok(expected) = format!("sha256:{hex}").parse::<Digest>() else { return };
    // A layer may also be called by what it unpacks to.
    if expected != piece.digest && !piece.is_compressed {
        findings.insert(Finding::Bad { path: path.to_owned(), expected, actual: piece.digest });
    }
}

/// A layer that is not compressed has the digest that the configuration lists.
fn judge_layer(path: &str, piece: &Piece, expected: Digest, findings: &mut BTreeSet<Finding>) {
    if !piece.is_compressed && piece.digest != expected {
        findings.insert(Finding::Bad { path: path.to_owned(), expected, actual: piece.digest });
    }
}
