//! Whether an address can be the registry's, as far as addresses alone tell.

use std::net::IpAddr;

use super::{Endpoint, mirrors};
use crate::check::kit::{Kit, Node};
use crate::check::plan::Plan;
use crate::check::verdict::Verdict;
use crate::net::Cidr;

/// SK0406
pub(super) fn of_kit(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let billed = kit.bill.iter().flat_map(|bill| &bill.nodes).find(|billed| billed.name == node.name);
        let network = billed.map(|billed| billed.address);
        let mut hosts: Vec<String> = mirrors(node)
            .into_iter()
            .flat_map(|(_, endpoints)| endpoints)
            .map(|endpoint| endpoint.host().to_owned())
            .collect();
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            if let Some(what) = unreachable(&host, network.as_ref(), has_route(node, &host)) {
                verdict.fault(&node.seed, format!("{}: endpoint", super::FILE), what);
            }
        }
    }
}

/// Returns whether the node's network has a way to a host.
fn has_route(node: &Node, host: &str) -> bool {
    let Some((_, network)) = node.network() else { return true };
    let cards = network.entries_at(&["ethernets"]);
    let leads = |route: &crate::yaml::Node| {
        let to = route.text_at(&["to"]).unwrap_or_default();
        let leads_there = to.parse::<Cidr>().is_ok_and(|to| host.parse().is_ok_and(|host| to.contains(host)));
        leads_there || to == "default"
    };
    cards.iter().any(|(_, card)| {
        let routes = card.items_at(&["routes"]);
        routes.iter().any(leads)
            || card.at(&["gateway4"]).is_some()
            || card.at(&["dhcp4"]).is_some_and(|value| value.written == "true")
    })
}

/// SK0406
pub(super) fn of_spec(plan: &Plan<'_>, verdict: &mut Verdict) {
    let endpoint = Endpoint::of(&plan.spec.registry.address.to_string());
    for node in &plan.spec.nodes {
        if let Some(what) = unreachable(endpoint.host(), Some(&node.address), true) {
            verdict.fault(plan.file, format!("nodes: {}", node.name), what);
        }
    }
}

fn unreachable(host: &str, network: Option<&Cidr>, has_route: bool) -> Option<String> {
    if host == "localhost" {
        return Some(format!("`{host}` is the node itself"));
    }
    let address: IpAddr = host.parse().ok()?;
    if address.is_loopback() || address.is_unspecified() {
        return Some(format!("`{host}` is the node itself"));
    }
    let is_near = network.is_none_or(|network| network.contains(address));
    (!is_near && !has_route).then(|| format!("`{host}` is in another network, and the node has no gateway"))
}
