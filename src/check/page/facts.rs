//! What a kit is made of, in numbers and tables.

use itertools::Itertools as _;
use serde::Serialize;

use super::certificates::Instant;
use crate::bill::{self, Bill};
use crate::check::kit::{Archive, Kit};
use crate::oci::Platform;
use crate::progress::Bytes;
use crate::spec::Role;
use crate::text::counted;

/// One line of the summary.
#[derive(Serialize)]
pub(super) struct Fact {
    what: &'static str,
    value: String,
    note: String,
}

/// One image.
#[derive(Serialize)]
pub(super) struct Image {
    reference: String,
    destination: String,
    digest: String,
    platforms: String,
    size: String,
}

/// One artifact.
#[derive(Serialize)]
pub(super) struct Artifact {
    path: String,
    digest: String,
    size: String,
}

/// Returns the summary.
pub(super) fn facts(kit: &Kit, bill: &Bill) -> Vec<Fact> {
    let fact = |what, value: String, note: String| Fact { what, value, note };
    let servers = bill.nodes.iter().filter(|node| node.role == Role::Server).count();
    let agents = bill.nodes.len() - servers;
    let roles = format!("{}, {}", counted(servers, "server"), counted(agents, "agent"));
    let mut facts = vec![
        fact("k3s", bill.k3s.clone(), String::new()),
        fact("Nodes", bill.nodes.len().to_string(), roles),
        fact("Images", bill.images.len().to_string(), String::new()),
        fact("Registry", bill.registry.to_string(), String::new()),
        fact("Platforms", joined(&bill.platforms), String::new()),
        fact("Date of the lock", Instant::of(bill.epoch.date_time().unix_timestamp()).text, String::new()),
        fact("Made by", bill.made_by.clone(), String::new()),
    ];
    for bundle in kit.archives.values().filter_map(Archive::bundle) {
        let packages = format!("{} for {}", counted(bundle.count, "package"), bundle.architecture);
        facts.push(fact("Ops packages", packages, bundle.suite.clone()));
    }
    facts
}

fn joined<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> String {
    platforms.into_iter().join(", ")
}

/// Returns the images, as the bill has them.
pub(super) fn images(bill: &Bill) -> Vec<Image> {
    let image = |image: &bill::Image| Image {
        reference: image.reference.to_string(),
        destination: image.destination.clone().unwrap_or_default(),
        digest: image.digest.to_string(),
        platforms: joined(image.platforms.keys()),
        size: Bytes(image.total_size).to_string(),
    };
    bill.images.iter().map(image).collect()
}

/// Returns the artifacts, as the bill has them.
pub(super) fn artifacts(bill: &Bill) -> Vec<Artifact> {
    let artifacts = bill.artifacts.iter().map(|(path, artifact)| Artifact {
        path: path.clone(),
        digest: artifact.digest.to_string(),
        size: Bytes(artifact.size).to_string(),
    });
    artifacts.collect()
}
