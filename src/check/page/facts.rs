//! What a kit is made of, in numbers and tables.

use serde::Serialize;

use super::certificates::Instant;
use crate::check::kit::{BillImage, Kit};
use crate::inspect::OpsBundle;
use crate::progress::Bytes;
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
pub(super) fn facts(kit: &Kit) -> Vec<Fact> {
    let bill = &kit.bill;
    let fact = |what, value: String, note: String| Fact { what, value, note };
    let servers = bill.nodes.iter().filter(|node| node.role == "server").count();
    let agents = bill.nodes.len() - servers;
    let roles = format!("{}, {}", counted(servers, "server"), counted(agents, "agent"));
    let mut facts = vec![
        fact("k3s", bill.k3s.clone(), String::new()),
        fact("Nodes", bill.nodes.len().to_string(), roles),
        fact("Images", bill.images.len().to_string(), String::new()),
        fact("Registry", bill.registry.clone(), String::new()),
        fact("Platforms", bill.platforms.join(", "), String::new()),
        fact("Date of the lock", Instant::of(bill.epoch).text, String::new()),
        fact("Made by", bill.made_by.clone(), String::new()),
    ];
    for bundle in bundles(kit) {
        let packages = format!("{} for {}", counted(bundle.count, "package"), bundle.architecture);
        facts.push(fact("Ops packages", packages, bundle.suite.clone()));
    }
    facts
}

fn bundles(kit: &Kit) -> impl Iterator<Item = &OpsBundle> {
    kit.archives.values().filter_map(|archive| archive.bundle())
}

/// Returns the images, as the bill has them.
pub(super) fn images(kit: &Kit) -> Vec<Image> {
    let image = |image: &BillImage| Image {
        reference: image.reference.clone(),
        destination: image.destination.clone().unwrap_or_default(),
        digest: image.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
        platforms: image.platforms.keys().cloned().collect::<Vec<String>>().join(", "),
        size: image.total_size.map(|size| Bytes(size).to_string()).unwrap_or_default(),
    };
    kit.bill.images.iter().map(image).collect()
}

/// Returns the artifacts, as the bill has them.
pub(super) fn artifacts(kit: &Kit) -> Vec<Artifact> {
    let artifacts = kit.bill.artifacts.iter().map(|(path, artifact)| Artifact {
        path: path.clone(),
        digest: artifact.digest.to_string(),
        size: Bytes(artifact.size).to_string(),
    });
    artifacts.collect()
}
