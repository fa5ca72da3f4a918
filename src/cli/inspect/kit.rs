//! A kit as people read it.

use itertools::Itertools as _;

use crate::bill::Bill;
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
    let rows: Vec<[String; 4]> = nodes
        .iter()
        .map(|node| {
            let (name, role, address) = (node.name.clone(), node.role.name(), node.address.to_string());
            [name, role.to_owned(), address, node.seed.clone()]
        })
        .collect();
    let nodes = table(["NODE", "ROLE", "ADDRESS", "SEED"], &rows);
    let rows: Vec<[String; 3]> = artifacts
        .iter()
        .map(|(path, artifact)| {
            [path.clone(), Bytes(artifact.size).to_string(), artifact.digest.short().to_owned()]
        })
        .collect();
    let bytes = artifacts.values().map(|artifact| artifact.size).fold(0, u64::saturating_add);
    let listed = table(["ARTIFACT", "SIZE", "DIGEST"], &rows);
    format!("{head}\n{nodes}\n{listed}{}, {}\n\n", counted(artifacts.len(), "artifact"), Bytes(bytes))
}
