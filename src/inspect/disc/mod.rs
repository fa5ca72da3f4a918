//! A disc: what is on it, and, if it is a seed, for which node and with what payload.
//!
//! Contents are hashed where the disc has sums for them, and shown nowhere: user-data and payload hold the cluster's
//! secrets. What is shown of them is picked by name.

mod payload;
mod seed;

use std::io::{self, Read};

use serde::Serialize;

pub use payload::PlacedFile;
pub use seed::{K3sNode, Seed};

use crate::artifact::Finding;
use crate::digest::{Digest, Hasher};
use crate::disc::{Disc, EntryKind, Names};
use crate::inspect::stream::Reported;
use crate::progress::Reporter;

/// A disc and the files on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscContents {
    /// The volume identifier: the label by which cloud-init finds a seed.
    pub volume_id: String,
    /// The length of the file.
    pub bytes: u64,
    /// Whose names the files have: `rock-ridge`, `joliet`, or `plain`.
    pub names: &'static str,
    /// How many files there are.
    pub count: usize,
    /// The files, sorted by path.
    pub files: Vec<DiscFile>,
    /// What the seed is for, if the disc is one.
    pub seed: Option<Seed>,
}

/// One file of a disc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiscFile {
    /// The path.
    pub path: String,
    /// The permission bits in octal; only Rock Ridge has them.
    pub mode: Option<String>,
    /// The length in bytes; that of a link's target.
    pub size: u64,
}

/// Looks at what is on a disc; fails only if the file cannot be read.
pub(super) fn read(disc: &Disc, reporter: &dyn Reporter) -> io::Result<(DiscContents, Vec<Finding>)> {
    let mut findings = Vec::new();
    if disc.stated_length() > disc.length() {
        let (stated, found) = (disc.stated_length(), disc.length());
        findings.push(Finding::wrong(
            "volume descriptor",
            format!("it says that the disc has {stated} bytes, and there are {found}: it is truncated"),
        ));
    }
    let seed = if seed::is_labelled(disc) { seed::read(disc, reporter, &mut findings)? } else { None };
    let files: Vec<DiscFile> = disc.entries().iter().filter_map(file).collect();
    let contents = DiscContents {
        volume_id: disc.volume_id().to_owned(),
        bytes: disc.length(),
        names: match disc.names() {
            Names::RockRidge => "rock-ridge",
            Names::Joliet => "joliet",
            Names::Plain => "plain",
        },
        count: files.len(),
        files,
        seed,
    };
    findings.sort();
    findings.dedup();
    Ok((contents, findings))
}

fn file(entry: &crate::disc::Entry) -> Option<DiscFile> {
    let size = match &entry.kind {
        EntryKind::File(content) => content.size(),
        EntryKind::Link(target) => target.len() as u64,
        EntryKind::Special => 0,
        EntryKind::Folder => return None,
    };
    Some(DiscFile { path: entry.path.clone(), mode: entry.mode.map(octal), size })
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

/// Reads a small file as text; `None` if it is not there, has more than `limit` bytes, or is not UTF-8.
fn text(disc: &Disc, path: &str, limit: u64) -> io::Result<Option<String>> {
    match disc.file(path) {
        Some(content) => super::stream::read_text(disc.open_content(content), limit),
        None => Ok(None),
    }
}

/// Reads to the end in pieces, so that progress is seen.
fn hash(content: impl Read, reporter: &dyn Reporter) -> io::Result<Digest> {
    Hasher::sha256_of(&mut Reported { inner: content, reporter }).map(|(digest, _)| digest)
}
