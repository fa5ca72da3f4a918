//! k3s' configuration: keys, what servers must agree on, name servers, network cards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::check::kit::{Kit, Node};
use crate::check::plan::Plan;
use crate::check::verdict::Verdict;
use crate::k3s::{Settings, passes_over};
use crate::spec;
use crate::spec::Role;
use crate::yaml;

const FILE: &str = "/etc/rancher/k3s/config.yaml";
/// What must be the same on all servers (k3s documentation, "High Availability Embedded etcd").
const CRITICAL: [&str; 17] = [
    "agent-token",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-helm-controller",
    "disable-kube-proxy",
    "disable-network-policy",
    "disable",
    "egress-selector-mode",
    "embedded-registry",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "secrets-encryption",
    "secrets-encryption-provider",
    "service-cidr",
];

/// SK0501
pub(super) fn keys_are_known(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some(file) = node.files.get(FILE) else { continue };
        let document = match file.text.as_ref().map(|text| text.yaml()) {
            Some(Ok(document)) => document,
            Some(Err(problem)) => {
                verdict.fault(&node.seed, &file.place, problem);
                continue;
            }
            None => continue,
        };
        for finding in document.findings.iter().filter(|finding| finding.is_error()) {
            verdict.fault(&node.seed, &file.place, finding.to_string());
        }
        for (key, _) in document.root.entries() {
            let is_server = node.role == Role::Server;
            if let Some(what) = passes_over(&key.name, is_server, kit.kubernetes_minor()) {
                verdict.fault(&node.seed, format!("{}: line {}", file.place, key.location.line), what);
            }
        }
    }
}

/// SK0501
pub(super) fn keys_of_spec_are_known(plan: &Plan<'_>, verdict: &mut Verdict) {
    let k3s = &plan.spec.k3s;
    let minor = Some(k3s.version.minor().1);
    for (place, config, is_server) in
        [("k3s.config", &k3s.config, true), ("k3s.agentConfig", &k3s.agent_config, false)]
    {
        for what in config.as_map().keys().filter_map(|key| passes_over(key, is_server, minor)) {
            verdict.fault(plan.file, place, what);
        }
    }
}

/// SK0505
pub(super) fn servers_agree(kit: &Kit, verdict: &mut Verdict) {
    let servers: Vec<&Node> = kit.servers().collect();
    let set = |node: &Node, key: &str| {
        node.k3s_config().and_then(|config| config.at(&[key]).map(yaml::Node::to_json))
    };
    let is_first = |node: &&&Node| set(node, "cluster-init") == Some(Json::Bool(true));
    let beginners: Vec<&str> = servers.iter().filter(is_first).map(|node| node.name.as_str()).collect();
    if beginners.len() > 1 {
        let what =
            format!("cluster-init is set on {}: each begins a cluster of its own", beginners.join(", "));
        verdict.fault(&servers[0].seed, FILE, what);
    }
    for node in &servers {
        let joins = set(node, "server").is_some();
        if servers.len() > 1 && !joins && beginners.is_empty() {
            verdict.fault(
                &node.seed,
                FILE,
                "none of several servers has cluster-init: it begins a cluster with SQLite",
            );
        } else if servers.len() > 1 && !joins && !beginners.contains(&node.name.as_str()) {
            verdict.fault(
                &node.seed,
                FILE,
                "it has neither cluster-init nor `server`: it begins a cluster of its own",
            );
        }
    }
    if servers.len() > 1 && servers.len().is_multiple_of(2) {
        let what = format!("{} servers survive no more failures than {}", servers.len(), servers.len() - 1);
        verdict.warning(&servers[0].seed, "nodes", what);
    }
    for key in CRITICAL {
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for node in &servers {
            let value = set(node, key).map(|value| value.to_string()).unwrap_or_default();
            values.entry(value).or_default().push(&node.name);
        }
        if values.len() > 1 {
            let named: Vec<&str> = values.values().flatten().copied().collect();
            let place = format!("{FILE}: {key}");
            verdict.fault(&servers[0].seed, place, format!("it differs between {}", named.join(" and ")));
        }
    }
}

/// SK0505
pub(super) fn servers_of_spec_agree(plan: &Plan<'_>, verdict: &mut Verdict) {
    let count = plan.spec.servers().count();
    if count > 1 && count.is_multiple_of(2) {
        let what = format!("{count} servers survive no more failures than {}", count - 1);
        verdict.warning(plan.file, "nodes", what);
    }
}

/// SK0506
pub(super) fn name_servers(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some((place, network)) = node.network() else { continue };
        let cards = network.entries_at(&["ethernets"]);
        let has_one = cards.iter().any(|(_, card)| {
            let servers = card.at(&["nameservers", "addresses"]);
            let is_dhcp = card.is_true_at(&["dhcp4"]);
            // A list that is none is another row's.
            is_dhcp || servers.is_some_and(|list| !list.items().is_empty() || list.text().is_some())
        });
        let is_told = node.k3s_config().is_some_and(|config| config.at(&["resolv-conf"]).is_some());
        if !has_one && !is_told && !cards.is_empty() {
            verdict.fault(&node.seed, place, "the node has no name server, and k3s no resolv-conf");
        }
    }
}

/// SK0506
pub(super) fn name_servers_of_spec(plan: &Plan<'_>, verdict: &mut Verdict) {
    let has = |config: &Settings| config.get("resolv-conf").is_some();
    for node in plan.spec.nodes.iter().filter(|node| node.nameservers.is_empty()) {
        let is_told = match node.role {
            spec::Role::Server => has(&plan.spec.k3s.config),
            spec::Role::Agent => has(&plan.spec.k3s.agent_config),
        };
        if !is_told {
            verdict.fault(
                plan.file,
                format!("nodes: {}", node.name),
                "it has no nameservers, and k3s no resolv-conf",
            );
        }
    }
}

/// SK0507
pub(super) fn network_cards(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some((place, network)) = node.network() else { continue };
        let cards = network.entries_at(&["ethernets"]);
        let names: BTreeSet<&str> = cards.iter().map(|(name, _)| name.name.as_str()).collect();
        let config = node.k3s_config();
        let lacks = |key: &str| config.as_ref().is_none_or(|config| config.at(&[key]).is_none());
        let missing: Vec<&str> = ["node-ip", "flannel-iface"].into_iter().filter(|key| lacks(key)).collect();
        if names.len() > 1 && !missing.is_empty() {
            let what = format!("the node has {} cards, and k3s no {}", names.len(), missing.join(" and "));
            verdict.fault(&node.seed, place, what);
        }
    }
}
