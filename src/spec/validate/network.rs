//! The networks: none may lie in another, and the registry must be reachable.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::nodes::Draft;
use crate::net::{Cidr, Host, RegistryHost};
use crate::spec::report::At;

/// A network inside the cluster.
struct Inner<'a> {
    key: &'static str,
    cidr: Cidr,
    /// Where it is set; `None` for k3s' default.
    at: Option<At<'a>>,
}

/// The settings that hold networks inside the cluster, and k3s' defaults.
const INNER: [(&str, &str); 2] = [("cluster-cidr", "10.42.0.0/16"), ("service-cidr", "10.43.0.0/16")];

/// What the networks of a spec are judged by.
pub(super) struct Networks<'a> {
    pub(super) nodes: &'a [Draft<'a>],
    /// The servers' settings of k3s.
    pub(super) config: &'a Map<String, Value>,
    /// Names that the nodes know beside their own.
    pub(super) hosts: &'a BTreeMap<String, IpAddr>,
}

impl Networks<'_> {
    /// Checks them; `at` is the whole spec.
    pub(super) fn check(&self, registry: Option<&RegistryHost>, at: &At<'_>) {
        let inner = inner_networks_of(self.config, &at.key("k3s"));
        check_node_networks(self.nodes, &inner);
        if let Some(registry) = registry {
            self.check_name(registry);
            check_registry(registry, self.nodes, &inner, &at.key("registry").key("address"));
        }
    }

    /// Looks for somebody who tells the nodes where the registry is, if that has a name.
    fn check_name(&self, registry: &RegistryHost) {
        let Host::Name(name) = registry.host() else { return };
        let is_node = self.nodes.iter().any(|node| node.is_named(name));
        let is_known = is_node || name == "localhost" || self.hosts.contains_key(name);
        if let (false, Some(node)) = (is_known, self.nodes.iter().find(|node| !node.has_nameservers())) {
            let message = format!("this node has no name server, and cannot find the registry `{name}`");
            node.at.warning(message, format!("write seed.hosts: {{{name}: ADDRESS}}"));
        }
    }
}

fn inner_networks_of<'a>(config: &Map<String, Value>, at: &At<'a>) -> Vec<Inner<'a>> {
    let networks = INNER.iter().flat_map(|(key, default)| inner_networks(key, default, config, at));
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

fn inner_networks<'a>(
    key: &'static str,
    default: &str,
    config: &Map<String, Value>,
    at: &At<'a>,
) -> Vec<Inner<'a>> {
    let Some(value) = config.get(key) else {
        let cidr = default.parse().expect("k3s' defaults are networks");
        return vec![Inner { key, cidr, at: None }];
    };
    let at = at.key("config").key(key);
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    let networks = texts.into_iter().filter_map(|text| at.parse(text));
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

fn check_registry(registry: &RegistryHost, nodes: &[Draft<'_>], inner: &[Inner<'_>], at: &At<'_>) {
    let address = match registry.host() {
        Host::Name(name) if name == "localhost" => IpAddr::from([127, 0, 0, 1]),
        Host::Name(_) => return,
        Host::Ip(address) => *address,
    };
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        let message = format!("`{}` is not an address that nodes can reach", registry.host());
        at.error_with_hint(message, "write the address by which the nodes reach the registry");
        return;
    }
    if let Some(Inner { key, cidr, .. }) = inner.iter().find(|inner| inner.cidr.contains(address)) {
        let message = format!("`{address}` lies in {key} {cidr}: the nodes look for it inside the cluster");
        at.error_with_hint(message, format!("set k3s.config.{key} to a network that is free"));
    }
    for node in nodes {
        let Some(own) = node.address else { continue };
        let at = node.at.key("address");
        if own.address() == address {
            let message = format!("`{address}` is the registry's address too");
            at.warning(message, "that is right only if this node runs the registry");
        } else if !own.contains(address) && node.gateway.is_none() {
            let message =
                format!("the registry {address} is not in the node's network, and there is no gateway to it");
            at.warning(message, "add gateway");
        }
    }
}
