//! A kit as people read it.

use itertools::Itertools as _;

use crate::bill::{Artifact, Bill, Node};
use crate::cli::table::{fields, line, table};
use crate::progress::Bytes;
use crate::text::counted;

pub(super) fn text(bill: &Bill) -> String {
    let Bill { name, made_by, epoch, k3s, registry, platforms, nodes, images, artifacts, .. } = bill;
    let head = [
        ("made by", made_by.clone()),
        ("date", epoch.to_string()),
        ("k3s", k3s.clone()),
        ("registry", registry.to_string()),
        ("platforms", platforms.iter().join(", ")),
        ("images", images.len().to_string()),
    ];
    let head = line(name) + &fields("  ", 12, head);
    let node = |node: &Node| {
        [node.name.clone(), node.role.name().to_owned(), node.address.to_string(), node.seed.clone()]
    };
    let nodes = table(["NODE", "ROLE", "ADDRESS", "SEED"], nodes.iter().map(node));
    let artifact = |(path, Artifact { size, digest, .. }): (&String, &Artifact)| {
        [path.clone(), Bytes(*size).to_string(), digest.short().to_owned()]
    };
    let bytes = artifacts.values().map(|artifact| artifact.size).fold(0, u64::saturating_add);
    let listed = table(["ARTIFACT", "SIZE", "DIGEST"], artifacts.iter().map(artifact));
    format!("{head}\n{nodes}\n{listed}{}, {}\n\n", counted(artifacts.len(), "artifact"), Bytes(bytes))
}
