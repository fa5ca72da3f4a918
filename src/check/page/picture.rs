//! What goes where: discs, what is on them, and the machines that get them.
//!
//! All of it is read back from the discs; the bill only says which disc is whose.

use std::collections::BTreeMap;

use itertools::Itertools as _;
use serde::Serialize;

use crate::bill::{self, Bill};
use crate::check::kit::{self, AUTHORITIES, Kit, PlacedFile, Seed, Source, Text};
use crate::cluster::executable;
use crate::pki::CertificateView;
use crate::progress::Bytes;
use crate::text::counted;

/// The path in the kit of the disc that all nodes share.
const SHARED: &str = "seeds/payload.iso";

/// The registry, and what it serves.
#[derive(Serialize)]
pub(super) struct Registry {
    address: String,
    items: Vec<Item>,
}

/// A machine of the cluster, and its discs.
#[derive(Serialize)]
pub(super) struct Node {
    name: String,
    role: String,
    class: &'static str,
    address: String,
    platform: String,
    macs: Vec<String>,
    discs: Vec<Disc>,
}

/// A disc image.
#[derive(Serialize)]
struct Disc {
    path: String,
    size: String,
    fault: &'static str,
    items: Vec<Item>,
}

/// Something on a disc.
#[derive(Serialize)]
struct Item {
    what: String,
    detail: String,
    size: String,
}

impl Item {
    fn of(what: String, detail: impl Into<String>, size: u64) -> Self {
        Self { what, detail: detail.into(), size: Bytes(size).to_string() }
    }
}

/// Returns the registry.
pub(super) fn registry(bill: &Bill) -> Registry {
    let item = |what, detail: &str| Item { what, detail: detail.to_owned(), size: String::new() };
    let items = vec![
        item(counted(bill.images.len(), "image"), "images/, an OCI layout"),
        item("Certificate and key".to_owned(), "registry/registry.crt registry/registry.key"),
    ];
    Registry { address: bill.registry.to_string(), items }
}

/// Returns the nodes, in the order of the bill.
pub(super) fn nodes(kit: &Kit) -> Vec<Node> {
    kit.seeds.iter().map(|seed| node(kit, seed)).collect()
}

fn node(kit: &Kit, seed: &Seed) -> Node {
    let Seed { name, path, billed, disc: _ } = seed;
    let found = kit.nodes.iter().find(|node| node.seed == *path && node.name == *name);
    let fault = match (found, &seed.disc) {
        (Some(_), _) => "",
        (None, Some(_)) => "cloud-init would find no seed on it",
        (None, None) => "it cannot be read",
    };
    let size = seed.disc.as_ref().map(|disc| Bytes(disc.length).to_string()).unwrap_or_default();
    let items = found.map(|node| items(kit, node, false)).unwrap_or_default();
    let mut discs = vec![Disc { path: path.clone(), size, fault, items }];
    let shared = found.map(|node| items_of_shared(kit, node)).unwrap_or_default();
    discs.extend(shared);
    let macs = found.map(macs).unwrap_or_default();
    let said = |what: fn(&bill::Node) -> String| billed.as_ref().map(what).unwrap_or_default();
    let class = billed.as_ref().map_or("agent", |node| node.role.name());
    let (address, platform) = (said(|node| node.address.to_string()), said(|node| node.platform.to_string()));
    Node { name: name.clone(), role: class.to_owned(), class, address, platform, macs, discs }
}

/// Returns the disc that all nodes share, if this one needs it.
fn items_of_shared(kit: &Kit, node: &kit::Node) -> Option<Disc> {
    let items = items(kit, node, true);
    let size = kit.artifact(SHARED).map(|artifact| Bytes(artifact.size).to_string());
    let disc = Disc { path: SHARED.to_owned(), size: size.unwrap_or_default(), fault: "", items };
    (!disc.items.is_empty()).then_some(disc)
}

/// Returns the addresses of the network cards that the seed is meant for.
fn macs(node: &kit::Node) -> Vec<String> {
    node.cards().iter().filter_map(|(_, card)| card.text_at(&["match", "macaddress"])).collect()
}

/// What a file is on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Program,
    Images,
    Packages,
    Certificate,
    Authorities,
    Configuration,
    Own,
    Other,
}

fn kind(kit: &Kit, path: &str) -> Kind {
    let is_in = |folder: &str| path.starts_with(folder);
    match path {
        "/usr/local/bin/k3s" => Kind::Program,
        _ if kit.is_users_own(path) => Kind::Own,
        _ if is_in("/var/lib/rancher/k3s/agent/images/") => Kind::Images,
        _ if is_in("/var/lib/seedkit/ops-packages/") => Kind::Packages,
        _ if is_in(AUTHORITIES) => Kind::Authorities,
        _ if path.ends_with(".crt") || path.ends_with(".pem") => Kind::Certificate,
        _ if is_in("/etc/rancher/") => Kind::Configuration,
        _ => Kind::Other,
    }
}

/// Returns what a node has from its own disc, or from the one that all share.
fn items(kit: &Kit, node: &kit::Node, is_shared: bool) -> Vec<Item> {
    let mut kinds: BTreeMap<Kind, Vec<(&str, &PlacedFile)>> = BTreeMap::new();
    for (path, file) in &node.files {
        let is_there = file.place.starts_with("payload.iso: ") && file.source == Source::Payload;
        if is_there == is_shared {
            kinds.entry(kind(kit, path)).or_default().push((path, file));
        }
    }
    let mut items = Vec::new();
    if !is_shared {
        let texts = [Some(&node.user_data), Some(&node.meta_data), node.network_config.as_ref()];
        let names =
            if texts[2].is_some() { "user-data, meta-data, network-config" } else { "user-data, meta-data" };
        let bytes = texts.into_iter().flatten().map(|text| text.bytes.len() as u64).sum();
        items.push(Item::of("cloud-init’s seed".to_owned(), names, bytes));
    }
    for (kind, files) in kinds {
        match kind {
            Kind::Program => items.extend(files.iter().map(|(path, file)| program(kit, path, file))),
            Kind::Images => items.extend(files.iter().map(|(path, file)| images(kit, path, file))),
            Kind::Packages => items.extend(files.iter().map(|(path, file)| packages(kit, path, file))),
            Kind::Certificate => items.extend(files.iter().map(|(path, file)| certificate(path, file))),
            Kind::Own => items.extend(files.iter().map(|(path, file)| own(path, file))),
            Kind::Authorities => items.push(together("The cluster’s own authorities", &files)),
            Kind::Configuration => items.push(together("Settings of k3s", &files)),
            Kind::Other => {
                let what = format!("{} of the system", counted(files.len(), "file"));
                let size = files.iter().map(|(_, file)| file.size).sum();
                items.push(Item::of(what, "units, scripts and settings", size));
            }
        }
    }
    items
}

/// Returns files that belong together as one thing, with their paths if these are few.
fn together(what: &str, files: &[(&str, &PlacedFile)]) -> Item {
    let size = files.iter().map(|(_, file)| file.size).sum();
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let detail = if paths.len() <= 4 { paths.join(" ") } else { counted(paths.len(), "file") };
    Item::of(what.to_owned(), detail, size)
}

fn program(kit: &Kit, path: &str, file: &PlacedFile) -> Item {
    let what = match file.executable.as_ref().map(|executable| &executable.kind) {
        Some(executable::Kind::Elf(machine)) => format!("k3s {} for {machine}", kit.k3s()),
        Some(executable::Kind::Script) => "A script that stands in for k3s".to_owned(),
        Some(executable::Kind::Other(_)) | None => "k3s".to_owned(),
    };
    Item::of(what, path, file.size)
}

fn images(kit: &Kit, path: &str, file: &PlacedFile) -> Item {
    let count = kit.archive(file).and_then(|archive| archive.images()).map(|images| images.count);
    let what = count.map_or_else(|| "Images".to_owned(), |count| counted(count, "image"));
    Item::of(what, path, file.size)
}

fn packages(kit: &Kit, path: &str, file: &PlacedFile) -> Item {
    let bundle = kit.archive(file).and_then(|archive| archive.bundle());
    let what =
        bundle.map_or_else(|| "Ops packages".to_owned(), |bundle| counted(bundle.count, "ops package"));
    Item::of(what, path, file.size)
}

fn certificate(path: &str, file: &PlacedFile) -> Item {
    let views: Vec<CertificateView> = file.text.iter().flat_map(Text::certificates).collect();
    let subjects = views.iter().map(CertificateView::subject).join(", ");
    let what = if views.is_empty() { "Certificate".to_owned() } else { format!("Trusts {subjects}") };
    Item::of(what, path, file.size)
}

fn own(path: &str, file: &PlacedFile) -> Item {
    Item::of("Your own file".to_owned(), path, file.size)
}
