//! The payload of a seed, and the sums and lists that the node goes by.
//!
//! ```text
//! payload/SHA256SUMS    every other file of the payload
//! payload/FILES         a mode, a space, an absolute path: where each file is placed
//! payload/root/…        the files
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Serialize;

use super::{hash, octal, text};
use crate::artifact::Finding;
use crate::artifact::{ArtifactList, SUMS};
use crate::digest::Digest;
use crate::disc::{Content, Disc, Entry, EntryKind};
use crate::progress::{Event, Reporter};

/// The folder of the payload.
const FOLDER: &str = "payload/";
/// The list of where its files go, within it.
const FILES: &str = "FILES";
/// The folder of the files to be placed, within it.
const ROOT: &str = "root";
/// The largest of these lists.
const LARGEST_LIST: u64 = 16 << 20;

/// A file that the node places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedFile {
    /// Where it goes.
    pub path: String,
    /// The permission bits that it gets, in octal.
    pub mode: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, as they are on the disc.
    pub sha256: Digest,
}

/// Reads the payload; nothing if the disc has none.
pub(super) fn read(
    disc: &Disc,
    reporter: &dyn Reporter,
    findings: &mut Vec<Finding>,
) -> io::Result<Vec<PlacedFile>> {
    let found: BTreeMap<&str, (&Entry, &Content)> = disc.entries().iter().filter_map(inside).collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let digests = digests(disc, &found, reporter)?;
    match text(disc, &format!("{FOLDER}{SUMS}"), LARGEST_LIST)? {
        Some(sums) => findings.extend(judge_sums(&sums, &digests)),
        None => findings.push(Finding::Missing { path: format!("{FOLDER}{SUMS}") }),
    }
    let Some(list) = text(disc, &format!("{FOLDER}{FILES}"), LARGEST_LIST)? else {
        findings.push(Finding::Missing { path: format!("{FOLDER}{FILES}") });
        return Ok(Vec::new());
    };
    let mut placed = Vec::new();
    let mut listed = BTreeSet::new();
    for line in list.lines() {
        let Some((mode, path)) = line.split_once(' ').filter(|(_, path)| path.starts_with('/')) else {
            findings
                .push(Finding::wrong(format!("{FOLDER}{FILES}"), "it has a line that is not `MODE /PATH`"));
            continue;
        };
        let place = format!("{ROOT}{path}");
        match (found.get(place.as_str()), digests.get(place.as_str())) {
            (Some((entry, content)), Some(sha256)) => {
                if entry.mode.is_some_and(|own| octal(own) != mode) {
                    let reason = format!("its mode is not {mode}, which {FILES} gives it");
                    findings.push(Finding::wrong(format!("{FOLDER}{place}"), reason));
                }
                placed.push(PlacedFile {
                    path: path.to_owned(),
                    mode: mode.to_owned(),
                    size: content.size(),
                    sha256: *sha256,
                });
            }
            _ => findings.push(Finding::Missing { path: format!("{FOLDER}{place}") }),
        }
        listed.insert(place);
    }
    let is_placed = |path: &&&str| path.starts_with("root/") && !listed.contains(**path);
    let unlisted = found.keys().filter(is_placed);
    findings.extend(
        unlisted.map(|path| Finding::wrong(format!("{FOLDER}{path}"), format!("{FILES} does not list it"))),
    );
    Ok(placed)
}

/// Returns a file of the payload by its path within it.
fn inside(entry: &Entry) -> Option<(&str, (&Entry, &Content))> {
    let path = entry.path.strip_prefix(FOLDER)?;
    match &entry.kind {
        EntryKind::File(content) => Some((path, (entry, content))),
        EntryKind::Folder | EntryKind::Link(_) | EntryKind::Special => None,
    }
}

/// Hashes all files; those that are the same bytes of the disc only once.
fn digests<'a>(
    disc: &Disc,
    found: &BTreeMap<&'a str, (&Entry, &Content)>,
    reporter: &dyn Reporter,
) -> io::Result<BTreeMap<&'a str, Digest>> {
    let contents: BTreeSet<&Content> = found.values().map(|(_, content)| *content).collect();
    let bytes = contents.iter().map(|content| content.size()).fold(0, u64::saturating_add);
    // Files that overlap could make a small disc take for ever.
    if bytes > disc.length() {
        return Err(io::Error::other("the files of its payload lie over each other"));
    }
    reporter.report(Event::Planned { bytes, items: 0 });
    let mut known = BTreeMap::new();
    for content in contents {
        known.insert(content, hash(disc.open_content(content), reporter)?);
    }
    Ok(found.iter().map(|(path, (_, content))| (*path, known[content])).collect())
}

fn judge_sums(sums: &str, digests: &BTreeMap<&str, Digest>) -> Vec<Finding> {
    let listed = match ArtifactList::parse_sums(sums) {
        Ok(listed) => listed,
        Err(error) => return vec![Finding::wrong(format!("{FOLDER}{SUMS}"), error.to_string())],
    };
    let mut findings = Vec::new();
    for (path, expected) in &listed {
        let named = format!("{FOLDER}{path}");
        match digests.get(path.as_str()) {
            Some(actual) if actual == expected => {}
            Some(actual) => findings.push(Finding::Bad { path: named, expected: *expected, actual: *actual }),
            None => findings.push(Finding::Missing { path: named }),
        }
    }
    let extra = digests.keys().filter(|path| **path != SUMS && !listed.contains_key(**path));
    findings.extend(extra.map(|path| Finding::Extra { path: format!("{FOLDER}{path}") }));
    findings
}
