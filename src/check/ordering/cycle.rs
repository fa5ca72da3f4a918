//! The order of a node's units, together with those of the system that they name.
//!
//! An edge leads from a unit to what it comes after. A target comes after everything that it wants, unless that says
//! otherwise (systemd.target(5)); what is not part of a boot is left out. The system's own units are those of Debian 12
//! with cloud-init 22.4; later ones call cloud-init.service cloud-init-network.service. A test compares the verdicts with
//! those of `systemd-analyze verify` on such a system.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::enabled;
use crate::check::kit::{Kit, Node};
use crate::check::verdict::Found;

/// What systems have, each with what it comes after.
const SYSTEM: [(&str, &[&str]); 24] = [
    ("systemd-remount-fs.service", &[]),
    ("local-fs.target", &["systemd-remount-fs.service"]),
    ("cloud-init-local.service", &["systemd-remount-fs.service"]),
    ("network-pre.target", &["cloud-init-local.service"]),
    ("systemd-networkd.service", &["network-pre.target"]),
    ("systemd-networkd-wait-online.service", &["systemd-networkd.service"]),
    ("network.target", &["network-pre.target", "systemd-networkd.service"]),
    ("cloud-init.service", &["cloud-init-local.service", "systemd-networkd-wait-online.service"]),
    ("cloud-init-network.service", &["cloud-init-local.service", "systemd-networkd-wait-online.service"]),
    (
        "network-online.target",
        &[
            "network.target",
            "systemd-networkd-wait-online.service",
            "cloud-init.service",
            "cloud-init-network.service",
        ],
    ),
    (
        "sysinit.target",
        &["local-fs.target", "cloud-init-local.service", "cloud-init.service", "cloud-init-network.service"],
    ),
    ("sockets.target", &["sysinit.target"]),
    ("paths.target", &["sysinit.target"]),
    ("basic.target", &["sysinit.target", "sockets.target", "paths.target"]),
    ("systemd-user-sessions.service", &["basic.target", "network.target", "cloud-init.service"]),
    ("ssh.service", &["basic.target", "network.target", "cloud-init.service"]),
    (
        "cloud-config.target",
        &["cloud-init-local.service", "cloud-init.service", "cloud-init-network.service"],
    ),
    ("cloud-config.service", &["basic.target", "cloud-config.target", "network-online.target"]),
    ("multi-user.target", &["basic.target"]),
    ("graphical.target", &["multi-user.target"]),
    (
        "cloud-final.service",
        &["basic.target", "network-online.target", "cloud-config.service", "multi-user.target"],
    ),
    ("cloud-init.target", &["multi-user.target", "cloud-final.service"]),
    ("default.target", &["graphical.target"]),
    ("apt-daily.service", &["basic.target", "cloud-final.service"]),
];

/// SK0203
pub(in crate::check) fn none(_: &Kit, node: &Node, found: &mut Found<'_>) {
    if let Some(cycle) = find(&graph(node)) {
        found.fault("units", format!("each comes after the next: {}", cycle.join(", ")));
    }
}

type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph(node: &Node) -> Graph {
    let mut graph = Graph::new();
    for (name, after) in SYSTEM {
        graph.entry(name.to_owned()).or_default().extend(after.iter().map(|name| (*name).to_owned()));
    }
    let enabled: BTreeSet<String> = enabled(node).into_iter().map(|(unit, _)| unit).collect();
    for (name, unit) in &node.units {
        let edges = graph.entry(name.clone()).or_default();
        edges.extend(unit.words("Unit", "After").into_iter().map(str::to_owned));
        let is_plain = unit.last("Unit", "DefaultDependencies") == Some("no");
        if !is_plain {
            edges.insert("basic.target".to_owned());
        }
        for later in unit.words("Unit", "Before") {
            graph.entry(later.to_owned()).or_default().insert(name.clone());
        }
        let wanted = ["WantedBy", "RequiredBy"].into_iter().flat_map(|key| unit.words("Install", key));
        for target in wanted.filter(|target| target.ends_with(".target")) {
            let comes_later = unit.words("Unit", "After").contains(&target);
            if enabled.contains(name) && !is_plain && !comes_later {
                graph.entry(target.to_owned()).or_default().insert(name.clone());
            }
        }
    }
    graph
}

/// Returns the units of a cycle, if there is one.
fn find(graph: &Graph) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    graph.keys().find_map(|start| walk(graph, start, &mut Vec::new(), &mut done))
}

fn walk(
    graph: &Graph,
    name: &str,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|known| known == name) {
        return Some(way[begin..].to_vec());
    }
    if done.contains(name) {
        return None;
    }
    way.push(name.to_owned());
    let found = graph.get(name).into_iter().flatten().find_map(|next| walk(graph, next, way, done));
    way.pop();
    done.insert(name.to_owned());
    found
}
