//! The networks: none may lie in another, and the registry must be reachable.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::nodes::Draft;
use crate::k3s::{self, INNER_NETWORKS, Settings};
use crate::net::{self, Cidr, Host, RegistryHost, Scope};
use crate::spec::raw::Role;
use crate::spec::report::At;

/// A network inside the cluster.
struct Inner<'a> {
    key: &'static str,
    cidr: Cidr,
    /// Where it is set; `None` for k3s' default.
    at: Option<At<'a>>,
}

/// What the networks of a spec are judged by.
pub(super) struct Networks<'a> {
    pub(super) nodes: &'a [Draft<'a>],
    /// The servers' settings of k3s.
    pub(super) config: &'a Settings,
    /// Names that the nodes know beside their own.
    pub(super) hosts: &'a BTreeMap<String, IpAddr>,
}

impl Networks<'_> {
    /// Checks them; `at` is the whole spec.
    pub(super) fn check(&self, registry: Option<&RegistryHost>, at: &At<'_>) {
        let inner = inner_networks_of(self.config, &at.key("k3s"));
        check_node_networks(self.nodes, &inner);
        self.check_addresses(&inner, &at.key("k3s").key("config"));
        if let Some(registry) = registry {
            self.check_name(registry);
            if let Some(address) = self.address_of(registry.host()) {
                let at = at.key("registry").key("address");
                self.check_registry(registry, address, &inner, &at);
            }
        }
    }

    /// Checks addresses against the networks inside the cluster; `at` is that of the servers' settings.
    fn check_addresses(&self, inner: &[Inner<'_>], at: &At<'_>) {
        for node in self.nodes {
            for (at, address) in node.name_servers() {
                // Where the node's own network is inside, that is what is said.
                let is_near =
                    node.address.is_some_and(|own| inner.iter().any(|inner| inner.cidr.overlaps(&own)));
                let around = inner.iter().find(|inner| inner.cidr.contains(address) && !is_near);
                if let Some(Inner { key, cidr, .. }) = around {
                    let message =
                        format!("`{address}` lies in {key} {cidr}, which no node asks before k3s runs");
                    at.error_with_hint(message, "write a name server outside of the cluster");
                }
            }
            let Some(address) = node.address.map(|own| own.address()) else { continue };
            for (key, _) in INNER_NETWORKS {
                let mut own = inner.iter().filter(|inner| inner.key == key).peekable();
                let Some(Inner { cidr, .. }) = own.peek() else { continue };
                if own.all(|inner| inner.cidr.address().is_ipv4() != address.is_ipv4()) {
                    let message =
                        format!("the node's address `{address}` is not of the IP version of {key} {cidr}");
                    let hint =
                        format!("set k3s.config.{key} to a network of the version that the nodes have");
                    node.at.key("address").error_with_hint(message, hint);
                }
            }
        }
        let is_service =
            |address| inner.iter().any(|inner| inner.key == "service-cidr" && inner.cidr.contains(address));
        for address in self.config.texts("cluster-dns").iter().filter_map(|text| text.parse().ok()) {
            if !is_service(address) {
                let message =
                    format!("`{address}` is not in service-cidr, and so not the address of a service");
                at.key("cluster-dns").error_with_hint(message, "write one of that network, or remove it");
            }
        }
    }

    /// Looks for somebody who tells the nodes where the registry is, if that has a name.
    fn check_name(&self, registry: &RegistryHost) {
        let Host::Name(name) = registry.host() else { return };
        let is_node = self.nodes.iter().any(|node| node.is_named(name));
        let is_known = is_node || net::own_name(name).is_some() || self.hosts.contains_key(name);
        if let (false, Some(node)) = (is_known, self.nodes.iter().find(|node| !node.has_nameservers())) {
            let message = format!("this node has no name server, and cannot find the registry `{name}`");
            node.at.warning(message, format!("write seed.hosts: {{{name}: ADDRESS}}"));
        }
    }

    /// Returns the address of a host, as far as the spec knows it.
    fn address_of(&self, host: &Host) -> Option<IpAddr> {
        match host {
            Host::Ip(address) => Some(*address),
            Host::Name(name) => net::own_name(name).or_else(|| {
                let node = self.nodes.iter().find(|node| node.is_named(name));
                self.hosts.get(name).copied().or_else(|| Some(node?.address?.address()))
            }),
        }
    }

    fn check_registry(&self, registry: &RegistryHost, address: IpAddr, inner: &[Inner<'_>], at: &At<'_>) {
        if net::scope(address) != Scope::Machine {
            let message = format!("`{}` is not an address that nodes can reach", registry.host());
            at.error_with_hint(message, "write the address by which the nodes reach the registry");
            return;
        }
        if let Some(Inner { key, cidr, .. }) = inner.iter().find(|inner| inner.cidr.contains(address)) {
            let message =
                format!("`{address}` lies in {key} {cidr}: the nodes look for it inside the cluster");
            at.error_with_hint(message, format!("set k3s.config.{key} to a network that is free"));
        }
        for node in self.nodes {
            let Some(own) = node.address else { continue };
            if own.address() == address {
                let message = format!("`{address}` is the registry's address too");
                let hint = "that is right only if this node runs the registry";
                node.at.key("address").warning(message, hint);
                self.check_port(registry.port(), node, at);
            } else if !own.contains(address) && node.gateway.is_none() {
                let message = format!(
                    "the registry {address} is not in the node's network, and there is no gateway to it"
                );
                node.at.key("address").warning(message, "add gateway");
            } else if own.keeps(address) {
                let message = format!("`{address}` is not a machine in {}", own.network());
                at.error_with_hint(message, "write the address by which the nodes reach the registry");
                return;
            }
        }
    }

    /// A registry that a node runs listens on a port that k3s leaves free there.
    fn check_port(&self, port: u16, node: &Draft<'_>, at: &At<'_>) {
        let path = node.at.path();
        let hint = "choose another port for the registry, such as 5000";
        if let Some(who) = k3s::listener(port, node.role == Some(Role::Server), self.config) {
            at.error_with_hint(format!("port {port} of {path} is that of {who}"), hint);
        } else if let Some(who) = k3s::diversion(port, self.config) {
            at.warning(format!("port {port} of {path} may lead to {who}"), hint);
        }
    }
}

fn inner_networks_of<'a>(config: &Settings, at: &At<'a>) -> Vec<Inner<'a>> {
    let networks = INNER_NETWORKS.iter().flat_map(|(key, default)| inner_networks(key, default, config, at));
    let inner: Vec<Inner<'_>> = networks.collect();
    for (index, one) in inner.iter().enumerate() {
        for other in &inner[..index] {
            if one.key != other.key && one.cidr.overlaps(&other.cidr) {
                let message = format!("{} {} overlaps {} {}", one.key, one.cidr, other.key, other.cidr);
                one.at.as_ref().or(other.at.as_ref()).unwrap_or(at).error(message);
            }
        }
    }
    inner
}

fn inner_networks<'a>(key: &'static str, default: &str, config: &Settings, at: &At<'a>) -> Vec<Inner<'a>> {
    if config.get(key).is_none() {
        let cidr = default.parse().expect("k3s' defaults are networks");
        return vec![Inner { key, cidr, at: None }];
    }
    let at = at.key("config").key(key);
    // What is no network is said where the flag is read.
    let networks = config.texts(key).into_iter().filter_map(|text| text.parse().ok());
    networks.map(|cidr| Inner { key, cidr, at: Some(at.clone()) }).collect()
}

fn check_node_networks(nodes: &[Draft<'_>], inner: &[Inner<'_>]) {
    let mut networks: BTreeSet<Cidr> = BTreeSet::new();
    for node in nodes {
        let Some(address) = node.address else { continue };
        let network = address.network();
        if networks.contains(&network) {
            continue;
        }
        let at = node.at.key("address");
        if let Some(other) = networks.iter().find(|other| other.overlaps(&network)) {
            let message =
                format!("the node's network {network} overlaps {other}, the network of another node");
            at.warning(message, "give the nodes of one network the same prefix");
        }
        for Inner { key, cidr, at: set } in inner {
            if cidr.overlaps(&network) {
                let whose = if set.is_some() { "" } else { ", k3s' default" };
                let message = format!("the node's network {network} overlaps {key} {cidr}{whose}");
                at.error_with_hint(message, format!("set k3s.config.{key} to a network that is free"));
            }
        }
        networks.insert(network);
    }
}
