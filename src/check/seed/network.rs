//! The network of each node, and of all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::check::kit::{Kit, Node};
use crate::check::plan::Plan;
use crate::check::verdict::Verdict;
use crate::net::{Cidr, DnsLabel};
use crate::spec::{self, Role};
use crate::yaml::{self, Value};

/// The networks that k3s gives to pods and services, unless it is told otherwise.
const INNER: [(&str, &str); 2] = [("cluster-cidr", "10.42.0.0/16"), ("service-cidr", "10.43.0.0/16")];
/// The port at which servers are asked.
const PORT: &str = "6443";

/// How netplan was told of a default route before 0.103; it still reads them.
const OLD_GATEWAYS: [&str; 2] = ["gateway4", "gateway6"];

/// SK0108
pub(in crate::check) fn comes_up(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        if let Some(reason) = not_described(node).filter(|_| kit.is_alone()) {
            verdict.not_applicable(reason);
            continue;
        }
        let Some((place, network)) = node.network() else {
            verdict.fault(
                &node.seed,
                "network-config",
                "it is not there, or no YAML: the node asks for an address",
            );
            continue;
        };
        let cards = network.entries_at(&["ethernets"]);
        let others = ["bonds", "bridges", "vlans", "wifis", "tunnels"];
        let has_others = others.iter().any(|key| network.at(&[key]).is_some());
        if cards.is_empty() && !has_others {
            verdict.fault(&node.seed, place, "it describes no network card");
        }
        // The gateway may be that of what is made of the cards.
        if has_others {
            continue;
        }
        for (name, card) in cards {
            let mut faults = Vec::new();
            judge(card, &mut faults);
            // A card without an address may be waited for in vain.
            let is_unused = card.at(&["addresses"]).is_none()
                && !card.is_true_at(&["dhcp4"])
                && !card.is_true_at(&["dhcp6"]);
            if is_unused && !card.is_true_at(&["optional"]) {
                faults.push("it has no address and is not `optional`: each boot waits for it".to_owned());
            }
            let place = format!("{place}: ethernets.{}", name.name);
            for what in faults {
                verdict.fault(&node.seed, &place, what);
            }
            for key in OLD_GATEWAYS.iter().filter(|key| card.at(&[key]).is_some()) {
                verdict.warning(&node.seed, &place, format!("netplan calls `{key}` deprecated: use routes"));
            }
        }
        let has_route =
            cards.iter().any(|(_, card)| card.is_true_at(&["dhcp4"]) || !default_routes(card).is_empty());
        if !cards.is_empty() && !has_route {
            verdict.warning(
                &node.seed,
                place,
                "there is no default route: k3s does not find its own address by itself",
            );
        }
    }
}

/// Says why nothing can be told of a network that somebody else described, or left to cloud-init.
fn not_described(node: &Node) -> Option<&'static str> {
    let Some((_, network)) = node.network() else {
        let is_there = node.autoinstall.is_none() && node.network_config.is_some();
        return (!is_there).then_some("the disc describes no network: the node asks for an address");
    };
    let version = network.at(&["version"]).map(|version| version.written.as_str());
    let is_off = network.at(&["config"]).is_some_and(|config| config.written == "disabled");
    match version {
        _ if is_off => Some("the disc turns cloud-init's network off"),
        Some("1") => Some("the network is described in version 1, of which no row speaks"),
        Some(_) | None => None,
    }
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
        match via.parse::<IpAddr>() {
            Ok(gateway)
                if networks.is_empty() || networks.iter().any(|network| network.contains(gateway)) => {}
            Ok(gateway) => faults.push(format!("the gateway {gateway} is in none of its networks")),
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

/// SK0109
pub(in crate::check) fn nodes_are_apart(kit: &Kit, verdict: &mut Verdict) {
    let mut known: BTreeMap<(&str, String), String> = BTreeMap::new();
    if kit.is_alone() && kit.nodes.iter().all(|node| node.k3s_config().is_none()) {
        verdict.not_applicable("the disc makes no node of k3s");
        return;
    }
    for node in &kit.nodes {
        let mut own: Vec<(&str, String)> = Vec::new();
        let config = node.k3s_config();
        let of_config = |key: &str| config.as_ref().and_then(|config| config.text_at(&[key]));
        let of_cloud_config = || node.cloud_config.as_ref()?.text_at(&["hostname"]);
        let host = node.meta_data.root().and_then(|root| root.text_at(&["local-hostname"]));
        let name = of_config("node-name").or(host).or_else(of_cloud_config);
        own.extend(name.clone().map(|name| ("name", name)));
        let (addresses, macs) = identifiers(node);
        own.extend(addresses.iter().map(|cidr| ("address", cidr.address().to_string())));
        own.extend(macs.into_iter().map(|mac| ("MAC", mac.to_lowercase())));
        compare_with_bill(kit, node, &own, verdict);
        for (kind, value) in own {
            if let Some(other) = known.insert((kind, value.clone()), node.name.clone()) {
                verdict.fault(&node.seed, kind, format!("`{value}` is also that of node `{other}`"));
            }
        }
        if let Some(name) = name.filter(|name| name.parse::<DnsLabel>().is_err()) {
            verdict.fault(
                &node.seed,
                "name",
                format!("`{name}` is not a name of small letters, digits and `-`"),
            );
        }
        for (key, default) in INNER {
            let inner = of_config(key).unwrap_or_else(|| default.to_owned());
            let inner: Vec<Cidr> = inner.split(',').filter_map(|part| part.trim().parse().ok()).collect();
            for cidr in addresses.iter().filter(|cidr| inner.iter().any(|inner| inner.overlaps(cidr))) {
                verdict.fault(&node.seed, "address", format!("{cidr} is within the network of `{key}`"));
            }
        }
        if let Some(address) = of_config("node-ip").filter(|_| !addresses.is_empty()) {
            let is_own = address
                .split(',')
                .all(|one| addresses.iter().any(|cidr| cidr.address().to_string() == one.trim()));
            if !is_own {
                verdict.fault(
                    &node.seed,
                    "/etc/rancher/k3s/config.yaml: node-ip",
                    format!("`{address}` is not an address of the node"),
                );
            }
        }
    }
}

/// Looks whether the bill says of a node what its seed makes of it: `own` are the seed's names and addresses.
fn compare_with_bill(kit: &Kit, node: &Node, own: &[(&str, String)], verdict: &mut Verdict) {
    let seed = kit.seeds.iter().find(|seed| seed.path == node.seed);
    let Some(billed) = seed.and_then(|seed| seed.billed.as_ref()) else { return };
    for (kind, value) in [("name", billed.name.clone()), ("address", billed.address.address().to_string())] {
        let found: Vec<&str> =
            own.iter().filter(|(other, _)| *other == kind).map(|(_, value)| value.as_str()).collect();
        if !found.is_empty() && !found.contains(&value.as_str()) {
            let what = format!("kit.json says `{value}`, and the seed `{}`", found.join("`, `"));
            verdict.fault(&node.seed, kind, what);
        }
    }
}

/// Returns the addresses and MACs of a node.
fn identifiers(node: &Node) -> (Vec<Cidr>, Vec<String>) {
    let Some((_, network)) = node.network() else { return (Vec::new(), Vec::new()) };
    let cards = network.entries_at(&["ethernets"]);
    let (mut addresses, mut macs) = (Vec::new(), Vec::new());
    for (_, card) in cards {
        let list = card.items_at(&["addresses"]);
        addresses
            .extend(list.iter().filter_map(yaml::Node::text).filter_map(|text| text.parse::<Cidr>().ok()));
        macs.extend(card.at(&["match", "macaddress"]).map(|mac| mac.written.clone()));
    }
    (addresses, macs)
}

/// SK0109
pub(in crate::check) fn nodes_of_spec_are_apart(plan: &Plan<'_>, verdict: &mut Verdict) {
    let mut known: BTreeSet<(&str, String)> = BTreeSet::new();
    for node in &plan.spec.nodes {
        let spec::Node { name, address, card, .. } = node;
        let mac = card.mac().map(|mac| ("MAC", mac.to_string()));
        let own = [("name", name.to_string()), ("address", address.address().to_string())];
        for (kind, value) in own.into_iter().chain(mac) {
            if !known.insert((kind, value.clone())) {
                verdict.fault(
                    plan.file,
                    format!("nodes: {name}"),
                    format!("its {kind} `{value}` is another node's"),
                );
            }
        }
        for (key, default) in INNER {
            let written =
                plan.spec.k3s.config.get(key).and_then(serde_json::Value::as_str).unwrap_or(default);
            let inner: Vec<Cidr> = written.split(',').filter_map(|part| part.trim().parse().ok()).collect();
            if inner.iter().any(|inner| inner.overlaps(address)) {
                verdict.fault(
                    plan.file,
                    format!("nodes: {name}"),
                    format!("{address} is within the network of `{key}`"),
                );
            }
        }
    }
}

/// Returns the host and port of the server that a node joins.
pub(in crate::check) fn joined(node: &Node) -> Option<(String, String)> {
    let config = node.k3s_config()?;
    let server = config.text_at(&["server"])?;
    let rest = server.strip_prefix("https://")?;
    let rest = rest.trim_end_matches('/');
    match rest.rsplit_once(':') {
        Some((host, port)) => Some((host.trim_matches(['[', ']']).to_owned(), port.to_owned())),
        None => Some((rest.to_owned(), PORT.to_owned())),
    }
}

/// Returns whether a host is one of the servers: their address, name, or what their certificate is told to cover.
pub(in crate::check) fn is_server(kit: &Kit, host: &str) -> bool {
    kit.nodes.iter().filter(|node| node.role == Role::Server).any(|node| {
        let config = node.k3s_config();
        let sans = config.as_ref().and_then(|config| config.at(&["tls-san"]));
        let listed = sans.iter().flat_map(|list| list.items()).filter_map(yaml::Node::text);
        let all: Vec<String> = listed.chain(sans.and_then(yaml::Node::text)).collect();
        let (addresses, _) = identifiers(node);
        node.name == host
            || all.iter().flat_map(|text| text.split(',')).any(|name| name.trim() == host)
            || addresses.iter().any(|cidr| cidr.address().to_string() == host)
    })
}
