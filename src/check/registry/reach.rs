//! Whether an address can be the registry's, as far as addresses alone tell.

use std::net::IpAddr;

use super::{Endpoint, endpoints};
use crate::check::kit::{Kit, Node};
use crate::check::plan::Plan;
use crate::check::verdict::Found;
use crate::net::{self, Cidr, Scope};
use crate::yaml;

/// SK0406
pub(in crate::check) fn of_kit(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let billed = kit.bill.iter().flat_map(|bill| &bill.nodes).find(|billed| billed.name == node.name);
    let network = billed.map(|billed| billed.address);
    for endpoint in endpoints(node) {
        let host = endpoint.host();
        if let Some(what) = unreachable(host, network.as_ref(), has_route(node, host)) {
            found.fault(format!("{}: endpoint", super::FILE), what);
        }
    }
}

/// Returns whether the node's network has a way to a host.
fn has_route(node: &Node, host: &str) -> bool {
    let leads = |route: &yaml::Node| {
        let to = route.text_at(&["to"]).unwrap_or_default();
        let leads_there = to.parse::<Cidr>().is_ok_and(|to| host.parse().is_ok_and(|host| to.contains(host)));
        leads_there || to == "default"
    };
    let has_way = |card: &yaml::Node| {
        card.items_at(&["routes"]).iter().any(leads)
            || card.at(&["gateway4"]).is_some()
            || card.at(&["dhcp4"]).is_some_and(|value| value.written == "true")
    };
    node.network.is_none() || node.cards().iter().any(|(_, card)| has_way(card))
}

/// SK0406
pub(in crate::check) fn of_spec(plan: &Plan<'_>, found: &mut Found<'_>) {
    let endpoint = Endpoint::of(&plan.spec.registry.address.to_string());
    for node in &plan.spec.nodes {
        if let Some(what) = unreachable(endpoint.host(), Some(&node.address), true) {
            found.fault(format!("nodes: {}", node.name), what);
        }
    }
}

fn unreachable(host: &str, network: Option<&Cidr>, has_route: bool) -> Option<String> {
    let address: IpAddr = net::own_name(host).or_else(|| host.parse().ok())?;
    if net::scope(address) == Scope::Oneself || address.is_unspecified() {
        return Some(format!("`{host}` is the node itself"));
    }
    let is_near = network.is_none_or(|network| network.contains(address));
    (!is_near && !has_route).then(|| format!("`{host}` is in another network, and the node has no gateway"))
}
