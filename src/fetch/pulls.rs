//! How many pulls are needed, and how many a registry still allows: said before the first one.
//!
//! A pull is a request that gets a manifest: registries that limit them count each, of an index and of its children.
//! Names are resolved by HEAD, which costs none; what is in the store costs none either.
//!
//! # Why
//!
//! Too few pulls are a warning and no error: what is fetched is kept, so a list that no limit would ever allow at once
//! arrives in several runs. With none left at all nothing would arrive, and that is an error before the first request
//! fails.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use serde::Serialize;

use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::fetch::sources::Sources;
use crate::oci::{ImageSource, Reference, graph};
use crate::progress::Event;
use crate::registry::RateLimit;
use crate::store::{Descriptor, DiskStore};
use crate::text::counted;

/// The pulls from one registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pulls {
    /// The registry, as references name it.
    pub registry: String,
    /// How many are needed.
    pub needed: u64,
    /// Whether it may be more: what an index lists is known only when it is there.
    pub is_at_least: bool,
    /// How many are left, if the registry says so.
    pub remaining: Option<u64>,
    /// Of how many.
    pub limit: Option<u64>,
    /// In how many seconds.
    pub window_seconds: Option<u64>,
}

/// Says that nothing may be pulled, and something must be.
#[derive(Debug, thiserror::Error)]
#[error("`{registry}` allows no more pulls now{window}, and {needed} needed")]
pub struct NoPullsLeft {
    /// The registry.
    pub registry: String,
    window: String,
    needed: String,
}

/// An image that will be read.
#[derive(Debug)]
pub struct PlannedImage<'a> {
    /// The image.
    pub reference: &'a Reference,
    /// Its root.
    pub root: &'a Descriptor,
    /// How many manifests it has in all, if that is known.
    pub manifests: Option<u64>,
}

/// Counts what must be pulled, asks each registry what it allows, and says both.
pub fn check(
    images: &[PlannedImage<'_>],
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<Vec<Pulls>, NoPullsLeft> {
    let mut needs: BTreeMap<&str, (u64, bool, &PlannedImage<'_>)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for image in images {
        let (needed, is_at_least) = needed(equipment.store, image, &mut seen);
        if needed > 0 {
            let need = needs.entry(image.reference.registry()).or_insert((0, false, image));
            (need.0, need.1) = (need.0 + needed, need.1 | is_at_least);
        }
    }
    let mut all = Vec::new();
    for (registry, (needed, is_at_least, image)) in needs {
        if sources.rate_limit(registry).is_none() {
            // Only to hear the limit. What is wrong with the registry is said by the request that needs it.
            let name = image.reference.pinned(image.root.digest);
            let _unless_it_fails = sources.resolve(&name);
        }
        let pulls = Pulls::of(registry, needed, is_at_least, sources.rate_limit(registry));
        pulls.say(equipment)?;
        all.push(pulls);
    }
    Ok(all)
}

impl Pulls {
    fn of(registry: &str, needed: u64, is_at_least: bool, limit: Option<RateLimit>) -> Self {
        Self {
            registry: registry.to_owned(),
            needed,
            is_at_least,
            remaining: limit.map(|limit| limit.remaining),
            limit: limit.and_then(|limit| limit.limit),
            window_seconds: limit.and_then(|limit| limit.window).map(|window| window.as_secs()),
        }
    }

    fn say(&self, equipment: &Equipment<'_>) -> Result<(), NoPullsLeft> {
        let Self { registry, needed, is_at_least, remaining, limit, window_seconds } = self;
        let Some(remaining) = *remaining else { return Ok(()) };
        let least = if *is_at_least { "at least " } else { "" };
        let verb = if *needed == 1 { "is" } else { "are" };
        let number =
            format!("{least}{} {verb}", counted(usize::try_from(*needed).unwrap_or(usize::MAX), "pull"));
        let of = limit.map_or(String::new(), |limit| format!(" of {limit}"));
        let within = window_seconds.map_or(String::new(), |seconds| format!(" in {}", duration(seconds)));
        if remaining == 0 {
            let (registry, needed) = (registry.clone(), number);
            let window = limit.map_or(String::new(), |limit| format!(" (0 of {limit}{within})"));
            return Err(NoPullsLeft { registry, window, needed });
        }
        let text = format!("`{registry}`: {number} needed, {remaining}{of} left{within}");
        equipment.reporter.report(if remaining < *needed {
            Event::Warning(format!(
                "{text}: what is fetched is kept, so run the same command again when there are more; logging \
                 in raises the limit, and a mirror under `sources` spares it"
            ))
        } else {
            Event::Note(text)
        });
        Ok(())
    }
}

/// Counts the manifests of an image that are not in the store; tells whether they may be more.
fn needed(store: &DiskStore, image: &PlannedImage<'_>, seen: &mut BTreeSet<Digest>) -> (u64, bool) {
    if store.contains(image.root) {
        return (missing(store, image.root, seen), false);
    }
    match (seen.insert(image.root.digest), image.manifests) {
        (false, _) => (0, false),
        (true, Some(manifests)) => (manifests, false),
        (true, None) => (1, true),
    }
}

fn missing(store: &DiskStore, root: &Descriptor, seen: &mut BTreeSet<Digest>) -> u64 {
    let mut missing = 0;
    let read = |descriptor: &Descriptor| {
        let is_new = seen.insert(descriptor.digest);
        let bytes = store.read(descriptor).ok().flatten();
        missing += u64::from(is_new && bytes.is_none());
        Ok::<_, Infallible>(bytes)
    };
    // What is not a manifest, or too much, is an error of whoever needs it.
    let _nodes = graph::below(root, read);
    missing
}

/// Returns a window as people say it.
fn duration(seconds: u64) -> String {
    match (seconds % 3600, seconds % 60) {
        (0, _) if seconds > 0 => format!("{} h", seconds / 3600),
        (_, 0) if seconds > 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}
