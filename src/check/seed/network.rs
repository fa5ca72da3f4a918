//! The network of each node, and of all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::check::kit::{K3S_CONFIG, Kit, Node};
use crate::check::plan::Plan;
use crate::check::verdict::{Found, Verdict};
use crate::k3s::{API_PORT, INNER_NETWORKS};
use crate::net::{self, Cidr, DnsLabel, NoNeighbour};
use crate::spec;
use crate::yaml::{self, Value};

/// How netplan was told of a default route before 0.103; it still reads them.
const OLD_GATEWAYS: [&str; 2] = ["gateway4", "gateway6"];

/// SK0108
pub(in crate::check) fn comes_up(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some((place, network)) = &node.network else {
        return found.fault("network-config", "it is not there, or no YAML: the node asks for an address");
    };
    let cards = node.cards();
    let others = ["bonds", "bridges", "vlans", "wifis", "tunnels"];
    let has_others = others.iter().any(|key| network.at(&[key]).is_some());
    if cards.is_empty() && !has_others {
        found.fault(*place, "it describes no network card");
    }
    // The gateway may be that of what is made of the cards.
    if has_others {
        return;
    }
    for (name, card) in cards {
        let mut faults = Vec::new();
        judge(card, &mut faults);
        // A card without an address may be waited for in vain.
        let is_unused =
            card.at(&["addresses"]).is_none() && !card.is_true_at(&["dhcp4"]) && !card.is_true_at(&["dhcp6"]);
        if is_unused && !card.is_true_at(&["optional"]) {
            faults.push("it has no address and is not `optional`: each boot waits for it".to_owned());
        }
        let place = format!("{place}: ethernets.{}", name.name);
        for what in faults {
            found.fault(&place, what);
        }
        for key in OLD_GATEWAYS.iter().filter(|key| card.at(&[key]).is_some()) {
            found.warning(&place, format!("netplan calls `{key}` deprecated: use routes"));
        }
    }
    let has_route =
        cards.iter().any(|(_, card)| card.is_true_at(&["dhcp4"]) || !default_routes(card).is_empty());
    if !cards.is_empty() && !has_route {
        found.warning(*place, "there is no default route: k3s does not find its own address by itself");
    }
}

/// Says why nothing can be told of a network that somebody else described, or left to cloud-init.
pub(in crate::check) fn is_not_described(kit: &Kit) -> Option<String> {
    let node = kit.nodes.iter().find(|_| kit.is_alone())?;
    let Some((_, network)) = &node.network else {
        let is_there = node.autoinstall.is_none() && node.network_config.is_some();
        return (!is_there).then(|| "the disc describes no network: the node asks for an address".to_owned());
    };
    let says = |key: &str, value: &str| network.at(&[key]).is_some_and(|node| node.written == value);
    if says("config", "disabled") {
        return Some("the disc turns cloud-init's network off".to_owned());
    }
    says("version", "1").then(|| "the network is described in version 1, of which no row speaks".to_owned())
}

/// Returns where the default routes of a card lead.
fn default_routes(card: &yaml::Node) -> Vec<String> {
    let routes = card.items_at(&["routes"]);
    let older = OLD_GATEWAYS.iter().filter_map(|key| card.text_at(&[key]));
    let is_default = |route: &&yaml::Node| {
        route.text_at(&["to"]).is_some_and(|to| ["default", "0.0.0.0/0", "::/0"].contains(&to.as_str()))
    };
    let newer = routes.iter().filter(is_default).map(|route| route.text_at(&["via"]).unwrap_or_default());
    newer.chain(older).collect()
}

fn judge(card: &yaml::Node, faults: &mut Vec<String>) {
    let mut networks = Vec::new();
    let addresses = card.at(&["addresses"]);
    for address in addresses.map(yaml::Node::items).unwrap_or_default() {
        let text = address.text().unwrap_or_default();
        match text.parse::<Cidr>() {
            Ok(network) if text.contains('/') => networks.push(network),
            Ok(_) | Err(_) => faults.push(format!("`{text}` is not an address with its prefix")),
        }
    }
    if addresses.is_some_and(|list| !matches!(list.value, Value::Sequence(_))) {
        faults.push("`addresses` is not a list".to_owned());
    }
    for via in default_routes(card) {
        match net::address(&via) {
            Ok(gateway) => faults.extend(misplaced(gateway, &networks)),
            Err(_) => faults.push(format!("`{via}` is not an address of a gateway")),
        }
    }
    if let Some(mac) = card.at(&["match", "macaddress"]) {
        let is_mac =
            mac.written.split(':').count() == 6 && mac.written.split(':').all(|part| part.len() == 2);
        if !matches!(mac.value, Value::String(_)) || !is_mac {
            faults.push(format!("`{}` is not a MAC in quotes", mac.written));
        }
    }
    // In block or in flow style, it is the same list.
    if let Some(servers) = card.at(&["nameservers", "addresses"])
        && !matches!(servers.value, Value::Sequence(_))
    {
        faults.push("`nameservers.addresses` is not a list".to_owned());
    }
}

/// Says why a gateway is not a neighbour in any of a card's networks.
fn misplaced(gateway: IpAddr, networks: &[Cidr]) -> Option<String> {
    let mut why = format!("the gateway {gateway} is in none of its networks");
    for network in networks {
        match network.neighbour(gateway) {
            Ok(_) => return None,
            Err(NoNeighbour::Elsewhere(..)) => {}
            Err(other) => why = format!("the gateway {other}"),
        }
    }
    (!networks.is_empty()).then_some(why)
}

/// SK0109
pub(in crate::check) fn nodes_are_apart(kit: &Kit, verdict: &mut Verdict) {
    let mut known: BTreeMap<(&str, String), String> = BTreeMap::new();
    for node in &kit.nodes {
        let mut found = verdict.of(&node.seed);
        let name = name(node);
        let addresses = addresses(node);
        let mut own: Vec<(&str, String)> = name.iter().map(|name| ("name", name.clone())).collect();
        own.extend(addresses.iter().map(|cidr| ("address", cidr.address().to_string())));
        own.extend(macs(node).map(|mac| ("MAC", mac.to_lowercase())));
        compare_with_bill(kit, node, &own, &mut found);
        for (kind, value) in own {
            if let Some(other) = known.insert((kind, value.clone()), node.name.clone()) {
                found.fault(kind, format!("`{value}` is also that of node `{other}`"));
            }
        }
        if let Some(name) = name.filter(|name| name.parse::<DnsLabel>().is_err()) {
            found.fault("name", format!("`{name}` is not a name of small letters, digits and `-`"));
        }
        for (key, default) in INNER_NETWORKS {
            let inner = inner(node.setting_text(key).as_deref().unwrap_or(default));
            for cidr in addresses.iter().filter(|cidr| inner.iter().any(|inner| inner.overlaps(cidr))) {
                found.fault("address", format!("{cidr} is within the network of `{key}`"));
            }
        }
        if let Some(address) = node.setting_text("node-ip").filter(|_| !addresses.is_empty()) {
            let is_address =
                |one: &str| addresses.iter().any(|cidr| cidr.address().to_string() == one.trim());
            if !address.split(',').all(is_address) {
                let what = format!("`{address}` is not an address of the node");
                found.fault(format!("{K3S_CONFIG}: node-ip"), what);
            }
        }
    }
}

/// Says of a disc that it makes no node of a cluster.
pub(in crate::check) fn is_without_k3s(kit: &Kit) -> Option<String> {
    let is_without = kit.is_alone() && kit.nodes.iter().all(|node| node.k3s_config.is_none());
    is_without.then(|| "the disc makes no node of k3s".to_owned())
}

/// Looks whether the bill says of a node what its seed makes of it: `own` are the seed's names and addresses.
fn compare_with_bill(kit: &Kit, node: &Node, own: &[(&str, String)], found: &mut Found<'_>) {
    let seed = kit.seeds.iter().find(|seed| seed.path == node.seed);
    let Some(billed) = seed.and_then(|seed| seed.billed.as_ref()) else { return };
    for (kind, value) in [("name", billed.name.clone()), ("address", billed.address.address().to_string())] {
        let told: Vec<&str> =
            own.iter().filter(|(other, _)| *other == kind).map(|(_, value)| value.as_str()).collect();
        if !told.is_empty() && !told.contains(&value.as_str()) {
            let what = format!("kit.json says `{value}`, and the seed `{}`", told.join("`, `"));
            found.fault(kind, what);
        }
    }
}

/// Returns the name that a node takes in its cluster.
fn name(node: &Node) -> Option<String> {
    let of_host = || node.meta_data.root()?.text_at(&["local-hostname"]);
    let of_cloud_config = || node.cloud_config.as_ref()?.text_at(&["hostname"]);
    node.setting_text("node-name").or_else(of_host).or_else(of_cloud_config)
}

/// Returns the addresses of a node's cards, with their networks.
fn addresses(node: &Node) -> Vec<Cidr> {
    let listed = node.cards().iter().flat_map(|(_, card)| card.items_at(&["addresses"]));
    listed.filter_map(yaml::Node::text).filter_map(|text| text.parse().ok()).collect()
}

/// Returns the MACs that a node's cards are known by.
fn macs(node: &Node) -> impl Iterator<Item = &str> {
    let macs = node.cards().iter().filter_map(|(_, card)| card.at(&["match", "macaddress"]));
    macs.map(|mac| mac.written.as_str())
}

/// Returns the networks that k3s gives to pods or services.
fn inner(written: &str) -> Vec<Cidr> {
    written.split(',').filter_map(|part| part.trim().parse().ok()).collect()
}

/// SK0109
pub(in crate::check) fn nodes_of_spec_are_apart(plan: &Plan<'_>, found: &mut Found<'_>) {
    let mut known: BTreeSet<(&str, String)> = BTreeSet::new();
    for node in &plan.spec.nodes {
        let spec::Node { name, address, card, .. } = node;
        let place = format!("nodes: {name}");
        let mac = card.mac().map(|mac| ("MAC", mac.to_string()));
        let own = [("name", name.to_string()), ("address", address.address().to_string())];
        for (kind, value) in own.into_iter().chain(mac) {
            if !known.insert((kind, value.clone())) {
                found.fault(&place, format!("its {kind} `{value}` is another node's"));
            }
        }
        for (key, default) in INNER_NETWORKS {
            let written = plan.spec.k3s.config.texts(key).join(",");
            let written = if written.is_empty() { default } else { &written };
            if inner(written).iter().any(|inner| inner.overlaps(address)) {
                found.fault(&place, format!("{address} is within the network of `{key}`"));
            }
        }
    }
}

/// Returns the host and port of the server that a node joins.
pub(in crate::check) fn joined(node: &Node) -> Option<(String, String)> {
    let server = node.setting_text("server")?;
    let rest = server.strip_prefix("https://")?.trim_end_matches('/');
    let split = rest.rsplit_once(':').map(|(host, port)| (host.trim_matches(['[', ']']), port.to_owned()));
    let (host, port) = split.unwrap_or_else(|| (rest, API_PORT.to_string()));
    Some((host.to_owned(), port))
}

/// Returns whether a host is one of the servers: their address, name, or what their certificate is told to cover.
pub(in crate::check) fn is_server(kit: &Kit, host: &str) -> bool {
    kit.servers().any(|node| {
        let names = node.setting_texts("tls-san");
        node.name == host
            || names.iter().flat_map(|text| text.split(',')).any(|name| name.trim() == host)
            || addresses(node).iter().any(|cidr| cidr.address().to_string() == host)
    })
}
