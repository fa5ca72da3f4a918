//! The networks: none may lie in another, and the registry must be reachable.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::nodes::Draft;
use crate::net::{Cidr, Host, RegistryHost};
use crate::spec::report::Report;
use crate::text::Path;

/// A network inside the cluster.
struct Inner {
    key: &'static str,
    cidr: Cidr,
    /// Where it is set; `None` for k3s' default.
    path: Option<Path>,
}

/// The settings that hold networks inside the cluster, and k3s' defaults.
const INNER: [(&str, &str); 2] = [("cluster-cidr", "10.42.0.0/16"), ("service-cidr", "10.43.0.0/16")];

/// What the networks of a spec are judged by.
pub(super) struct Networks<'a> {
    pub(super) nodes: &'a [Draft],
    /// The servers' settings of k3s.
    pub(super) config: &'a Map<String, Value>,
    /// Names that the nodes know beside their own.
    pub(super) hosts: &'a BTreeMap<String, IpAddr>,
}

impl Networks<'_> {
    pub(super) fn check(&self, registry: Option<&RegistryHost>, report: &mut Report<'_>) {
        let inner = inner_networks_of(self.config, report);
        check_node_networks(self.nodes, &inner, report);
        if let Some(registry) = registry {
            self.check_name(registry, report);
            check_registry(registry, self.nodes, &inner, report);
        }
    }

    /// Looks for somebody who tells the nodes where the registry is, if that has a name.
    fn check_name(&self, registry: &RegistryHost, report: &mut Report<'_>) {
        let Host::Name(name) = registry.host() else { return };
        let is_node = |node: &Draft| node.name.as_ref().is_some_and(|own| own.as_str() == name);
        let is_known = name == "localhost" || self.hosts.contains_key(name) || self.nodes.iter().any(is_node);
        let asks_nobody = |node: &&Draft| !node.has_nameservers();
        if let (false, Some(node)) = (is_known, self.nodes.iter().find(asks_nobody)) {
            let message = format!("this node has no name server, and cannot find the registry `{name}`");
            report.warning(&node.path, message, format!("write seed.hosts: {{{name}: ADDRESS}}"));
        }
    }
}

fn inner_networks_of(config: &Map<String, Value>, report: &mut Report<'_>) -> Vec<Inner> {
    let inner: Vec<Inner> =
        INNER.iter().flat_map(|(key, default)| inner_networks(key, default, config, report)).collect();
    for (index, one) in inner.iter().enumerate() {
        for other in &inner[..index] {
            if one.key != other.key && one.cidr.overlaps(&other.cidr) {
                let path = one.path.as_ref().or(other.path.as_ref());
                let message = format!("{} {} overlaps {} {}", one.key, one.cidr, other.key, other.cidr);
                report.error(path.unwrap_or(&Path::root().key("k3s")), message);
            }
        }
    }
    inner
}

fn inner_networks(
    key: &'static str,
    default: &str,
    config: &Map<String, Value>,
    report: &mut Report<'_>,
) -> Vec<Inner> {
    let Some(value) = config.get(key) else {
        let cidr = default.parse().expect("k3s' defaults are networks");
        return vec![Inner { key, cidr, path: None }];
    };
    let path = Path::root().key("k3s").key("config").key(key);
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    let networks = texts.into_iter().filter_map(|text| report.parse(&path, Some(text)));
    networks.map(|cidr| Inner { key, cidr, path: Some(path.clone()) }).collect()
}

fn check_node_networks(nodes: &[Draft], inner: &[Inner], report: &mut Report<'_>) {
    let mut networks: BTreeSet<Cidr> = BTreeSet::new();
    for node in nodes {
        let Some(address) = node.address else { continue };
        let network = address.network();
        if networks.contains(&network) {
            continue;
        }
        let path = node.path.key("address");
        if let Some(other) = networks.iter().find(|other| other.overlaps(&network)) {
            let message =
                format!("the node's network {network} overlaps {other}, the network of another node");
            report.warning(&path, message, "give the nodes of one network the same prefix");
        }
        for Inner { key, cidr, path: set } in inner {
            if cidr.overlaps(&network) {
                let whose = if set.is_some() { "" } else { ", k3s' default" };
                let message = format!("the node's network {network} overlaps {key} {cidr}{whose}");
                let hint = format!("set k3s.config.{key} to a network that is free");
                report.error_with_hint(&path, message, hint);
            }
        }
        networks.insert(network);
    }
}

fn check_registry(registry: &RegistryHost, nodes: &[Draft], inner: &[Inner], report: &mut Report<'_>) {
    let path = Path::root().key("registry").key("address");
    let address = match registry.host() {
        Host::Name(name) if name == "localhost" => IpAddr::from([127, 0, 0, 1]),
        Host::Name(_) => return,
        Host::Ip(address) => *address,
    };
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        let message = format!("`{}` is not an address that nodes can reach", registry.host());
        report.error_with_hint(&path, message, "write the address by which the nodes reach the registry");
        return;
    }
    if let Some(Inner { key, cidr, .. }) = inner.iter().find(|inner| inner.cidr.contains(address)) {
        let message = format!("`{address}` lies in {key} {cidr}: the nodes look for it inside the cluster");
        report.error_with_hint(&path, message, format!("set k3s.config.{key} to a network that is free"));
    }
    for node in nodes {
        let Some(own) = node.address else { continue };
        if own.address() == address {
            let message = format!("`{address}` is the registry's address too");
            report.warning(
                &node.path.key("address"),
                message,
                "that is right only if this node runs the registry",
            );
        } else if !own.contains(address) && node.gateway.is_none() {
            let message =
                format!("the registry {address} is not in the node's network, and there is no gateway to it");
            report.warning(&node.path.key("address"), message, "add gateway");
        }
    }
}
