//! k3s' configuration: keys, what servers must agree on, name servers, network cards.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;

use crate::check::kit::{K3S_CONFIG, Kit, Node, Text};
use crate::check::plan::Plan;
use crate::check::verdict::{Found, Verdict};
use crate::k3s::passes_over;
use crate::spec::Role;
use crate::yaml;

/// What tells a server to begin the cluster.
const INIT: &str = "cluster-init";
/// What tells k3s where the name servers are.
const RESOLV_CONF: &str = "resolv-conf";
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
pub(in crate::check) fn keys_are_known(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(file) = node.files.get(K3S_CONFIG) else { return };
    let document = match file.text.as_ref().map(Text::yaml) {
        Some(Ok(document)) => document,
        Some(Err(problem)) => return found.fault(&file.place, problem),
        None => return,
    };
    for finding in document.findings.iter().filter(|finding| finding.is_error()) {
        found.fault(&file.place, finding.to_string());
    }
    for (key, _) in document.root.entries() {
        if let Some(what) = passes_over(&key.name, node.is_server(), kit.kubernetes_minor()) {
            found.fault(format!("{}: line {}", file.place, key.location.line), what);
        }
    }
}

/// SK0501
pub(in crate::check) fn keys_of_spec_are_known(plan: &Plan<'_>, found: &mut Found<'_>) {
    let k3s = &plan.spec.k3s;
    let minor = Some(k3s.version.minor().1);
    for (place, config, is_server) in
        [("k3s.config", &k3s.config, true), ("k3s.agentConfig", &k3s.agent_config, false)]
    {
        for what in config.as_map().keys().filter_map(|key| passes_over(key, is_server, minor)) {
            found.fault(place, what);
        }
    }
}

/// SK0505
pub(in crate::check) fn servers_agree(kit: &Kit, verdict: &mut Verdict) {
    let servers: Vec<&Node> = kit.servers().collect();
    let is_first = |node: &&&Node| node.k3s_config.as_ref().is_some_and(|config| config.is_true_at(&[INIT]));
    let beginners: Vec<&str> = servers.iter().filter(is_first).map(|node| node.name.as_str()).collect();
    let alone = servers.iter().filter(|node| servers.len() > 1 && node.setting("server").is_none());
    for node in alone {
        if beginners.is_empty() {
            let what = "none of several servers has cluster-init: it begins a cluster with SQLite";
            verdict.of(&node.seed).fault(K3S_CONFIG, what);
        } else if !beginners.contains(&node.name.as_str()) {
            let what = "it has neither cluster-init nor `server`: it begins a cluster of its own";
            verdict.of(&node.seed).fault(K3S_CONFIG, what);
        }
    }
    let mut found = verdict.of(kit.first_server());
    if beginners.len() > 1 {
        let what =
            format!("cluster-init is set on {}: each begins a cluster of its own", beginners.join(", "));
        found.fault(K3S_CONFIG, what);
    }
    even(servers.len(), &mut found);
    for key in CRITICAL {
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for node in &servers {
            let value = node.setting(key).map(|value| value.to_json().to_string()).unwrap_or_default();
            values.entry(value).or_default().push(&node.name);
        }
        if values.len() > 1 {
            let named = values.values().flatten().join(" and ");
            found.fault(format!("{K3S_CONFIG}: {key}"), format!("it differs between {named}"));
        }
    }
}

/// SK0505
pub(in crate::check) fn servers_of_spec_agree(plan: &Plan<'_>, found: &mut Found<'_>) {
    even(plan.spec.servers().count(), found);
}

/// Warns of an even number of servers.
fn even(count: usize, found: &mut Found<'_>) {
    if count > 1 && count.is_multiple_of(2) {
        found.warning("nodes", format!("{count} servers survive no more failures than {}", count - 1));
    }
}

/// SK0506
pub(in crate::check) fn name_servers(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some((place, _)) = node.network else { return };
    let has_one = |card: &yaml::Node| {
        let servers = card.at(&["nameservers", "addresses"]);
        // A list that is none is another row's.
        card.is_true_at(&["dhcp4"])
            || servers.is_some_and(|list| !list.items().is_empty() || list.text().is_some())
    };
    let cards = node.cards();
    let is_told = node.setting(RESOLV_CONF).is_some() || cards.iter().any(|(_, card)| has_one(card));
    if !is_told && !cards.is_empty() {
        found.fault(place, "the node has no name server, and k3s no resolv-conf");
    }
}

/// SK0506
pub(in crate::check) fn name_servers_of_spec(plan: &Plan<'_>, found: &mut Found<'_>) {
    for node in plan.spec.nodes.iter().filter(|node| node.nameservers.is_empty()) {
        let config = match node.role {
            Role::Server => &plan.spec.k3s.config,
            Role::Agent => &plan.spec.k3s.agent_config,
        };
        if config.get(RESOLV_CONF).is_none() {
            let place = format!("nodes: {}", node.name);
            found.fault(place, "it has no nameservers, and k3s no resolv-conf");
        }
    }
}

/// SK0507
pub(in crate::check) fn network_cards(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some((place, _)) = node.network else { return };
    let names: BTreeSet<&str> = node.cards().iter().map(|(name, _)| name.name.as_str()).collect();
    let lacks = |key: &&str| node.setting(key).is_none();
    let missing = ["node-ip", "flannel-iface"].into_iter().filter(lacks).join(" and ");
    if names.len() > 1 && !missing.is_empty() {
        found.fault(place, format!("the node has {} cards, and k3s no {missing}", names.len()));
    }
}
