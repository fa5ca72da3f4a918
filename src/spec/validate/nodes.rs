//! The nodes, each by itself and all together.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{addresses, k3s};
use crate::k3s::DATASTORE;
use crate::net::{self, Cidr, DnsLabel, Scope};
use crate::node::{DiskTraits, Flavour, InstallDisk, InterfaceName, NetworkCard, NoSuchDisk};
use crate::oci::Platform;
use crate::spec::conform::names_a_secret;
use crate::spec::model::Node;
use crate::spec::raw::{RawNode, Role};
use crate::spec::report::At;
use crate::spec::suggest;
use crate::text::Path;

/// A node as far as it could be read.
pub(super) struct Draft<'a> {
    pub(super) at: At<'a>,
    pub(super) name: Option<DnsLabel>,
    pub(super) role: Option<Role>,
    pub(super) platform: Option<Platform>,
    pub(super) address: Option<Cidr>,
    pub(super) gateway: Option<IpAddr>,
    /// `None` for those that could not be read.
    nameservers: Vec<Option<IpAddr>>,
    card: Option<NetworkCard>,
    disk: Option<InstallDisk>,
    values: Map<String, Value>,
}

impl Draft<'_> {
    pub(super) fn has_nameservers(&self) -> bool {
        self.nameservers.iter().any(Option::is_some)
    }

    /// Returns the name servers that could be read, each with its place.
    pub(super) fn name_servers(&self) -> impl Iterator<Item = (At<'_>, IpAddr)> {
        let all = self.nameservers.iter().enumerate();
        all.filter_map(|(index, address)| Some((self.at.key("nameservers").index(index), (*address)?)))
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.as_str() == name)
    }

    /// Returns the name of its interface, if that is known.
    fn interface(&self) -> Option<&str> {
        self.card.as_ref()?.interface()
    }

    /// Returns the node if nothing of it is missing.
    pub(super) fn finish(self) -> Option<Node> {
        let Self { at: _, name, role, platform, address, gateway, nameservers, card, disk, values } = self;
        Some(Node {
            name: name?,
            role: role?,
            platform: platform?,
            address: address?,
            gateway: gateway?,
            nameservers: nameservers.into_iter().collect::<Option<_>>()?,
            card: card?,
            disk,
            values,
        })
    }
}

pub(super) fn nodes<'a>(raw: Option<Vec<RawNode>>, platforms: &[Platform], at: &At<'a>) -> Vec<Draft<'a>> {
    if raw.as_ref().is_some_and(Vec::is_empty) {
        let message = "there are no nodes, and no seeds will be made";
        at.warning(message, "add a node with the role server");
    }
    at.items(raw.unwrap_or_default()).map(|(at, raw)| node(raw, platforms, at)).collect()
}

fn node<'a>(raw: RawNode, platforms: &[Platform], at: At<'a>) -> Draft<'a> {
    let RawNode { name, role, platform, address, gateway, nameservers, mac, interface, disk, values } = raw;
    let name: Option<DnsLabel> = name.and_then(|text| at.key("name").parse(&text));
    if let Some(name) = name.as_ref().filter(|name| net::own_name(name.as_str()).is_some()) {
        at.key("name").error(format!("`{name}` means something else on every system"));
    }
    let platform = match platform {
        None => platforms.first().cloned(),
        Some(text) => known_platform(&text, platforms, &at.key("platform")),
    };
    let address = address.and_then(|text| addresses::of_interface(&text, &at.key("address")));
    let gateway = gateway.and_then(|text| at.key("gateway").address(&text));
    if let (Some(address), Some(gateway)) = (address, gateway) {
        addresses::check_gateway(address, gateway, &at.key("gateway"));
    }
    let nameservers =
        at.key("nameservers").list(nameservers, |at, text| Some(addresses::name_server(text, address, at)));
    let card = network_card(mac, interface, &at);
    let disk = self::disk(disk, &at.key("disk"));
    let values = values.unwrap_or_default();
    check_values(&values, &at.key("values"));
    Draft { at, name, role, platform, address, gateway, nameservers, card, disk, values }
}

fn disk(traits: Option<DiskTraits>, at: &At<'_>) -> Option<InstallDisk> {
    let error = match InstallDisk::try_from(traits?) {
        Ok(disk) => return Some(disk),
        Err(error) => error,
    };
    let hint = match error {
        NoSuchDisk::Unsaid => "write {size: smallest}, {size: largest}, {serial: …} or {path: /dev/…}",
        NoSuchDisk::NotADevice => {
            "write one such as /dev/sda; links below /dev/disk are not known: take serial"
        }
        NoSuchDisk::Several => "add size: smallest or size: largest, or the whole serial",
    };
    if !at.is_wrong() {
        at.error_with_hint(error.to_string(), hint);
    }
    None
}

/// Gives each node without a disk of its own that of the seeds: the installer asks nobody, and takes the largest one
/// unless it is told.
pub(super) fn disks(nodes: &mut [Draft<'_>], flavour: Flavour, default: Option<DiskTraits>, at: &At<'_>) {
    let default = disk(default, at);
    match flavour {
        Flavour::CloudImage => {
            let own = nodes.iter().filter(|node| node.disk.is_some()).map(|node| node.at.key("disk"));
            for at in own.chain(default.map(|_| at.clone())) {
                let hint = "remove it, or set seed.flavour to autoinstall";
                at.warning("a cloud image is on its disk already, and erases none", hint);
            }
        }
        Flavour::Autoinstall => {
            for node in nodes {
                let is_told = at.is_wrong() || node.at.key("disk").is_wrong();
                node.disk = node.disk.take().or_else(|| default.clone());
                if node.disk.is_none() && !is_told {
                    let message = "nothing says which disk the installer may erase: it takes the largest";
                    let hint = "add disk to this node or to seed: {size: smallest}, {size: largest}, {serial: …} or {path: /dev/…}";
                    node.at.error_with_hint(message, hint);
                }
            }
        }
    }
}

fn known_platform(text: &str, platforms: &[Platform], at: &At<'_>) -> Option<Platform> {
    let platform = super::platform(text, at)?;
    if !platforms.contains(&platform) {
        let hint = format!("add {platform} to platforms");
        at.error_with_hint(format!("`{platform}` is not among the platforms of this spec"), hint);
    }
    Some(platform)
}

fn network_card(mac: Option<String>, interface: Option<String>, at: &At<'_>) -> Option<NetworkCard> {
    let address = mac.and_then(|text| at.key("mac").parse(&text));
    let name = interface.and_then(|text| {
        let hint = if InterfaceName::is_taken(&text) {
            "write the name of the card, such as eth0 or ens192"
        } else {
            "use at most 15 letters, digits, `_`, `.` and `-`, a letter first"
        };
        at.key("interface").parse_with_hint(&text, hint)
    });
    let card = NetworkCard::new(address, name);
    if card.is_none() && !at.key("mac").is_wrong() && !at.key("interface").is_wrong() {
        let message = "this node's network card is not named: it cannot be found";
        at.error_with_hint(message, "add mac, the card's hardware address, or interface, its name");
    }
    card
}

fn check_values(values: &Map<String, Value>, at: &At<'_>) {
    for (name, value) in values {
        if names_a_secret(name) && value.is_string() {
            let hint = "whoever reads the spec reads it; place it with files instead";
            at.key(name).warning("this looks like a secret", hint);
        }
    }
}

/// Checks what no node can be wrong about alone; `at` is that of k3s.
pub(super) fn together(nodes: &[Draft<'_>], k3s: &k3s::Draft, at: &At<'_>) {
    refuse_duplicates("name", nodes, |node| node.name.as_ref());
    refuse_duplicates("address", nodes, |node| Some(node.address?.address()));
    refuse_duplicates("mac", nodes, |node| node.card.as_ref()?.mac());
    check_gateways(nodes);
    check_interfaces(nodes, k3s, at);
    check_roles(nodes, k3s, at);
    check_binaries(nodes, k3s, &at.key("binary"));
    check_completeness(nodes, k3s);
}

fn refuse_duplicates<'a, T: Ord + Display>(
    what: &str,
    nodes: &'a [Draft<'_>],
    value: impl Fn(&'a Draft<'_>) -> Option<T>,
) {
    let mut seen: BTreeMap<T, &Path> = BTreeMap::new();
    for node in nodes {
        let Some(value) = value(node) else { continue };
        match seen.get(&value) {
            Some(first) => node.at.key(what).error(format!("`{value}` is already the {what} of {first}")),
            None => drop(seen.insert(value, node.at.path())),
        }
    }
}

/// The way out leads through another node only if that one is a router, too.
fn check_gateways(nodes: &[Draft<'_>]) {
    for node in nodes {
        let is_gateway = |other: &&Draft<'_>| other.address.map(|own| own.address()) == node.gateway;
        let Some(other) = nodes.iter().filter(|_| node.gateway.is_some()).find(is_gateway) else { continue };
        if other.address != node.address {
            let message = format!("the gateway is the address of {}", other.at.path());
            node.at.key("gateway").warning(message, "that is right only if that node is a router as well");
        }
    }
}

/// flannel does not start on a node that has no such interface.
fn check_interfaces(nodes: &[Draft<'_>], k3s: &k3s::Draft, at: &At<'_>) {
    for (role, key, config) in
        [(Role::Server, "config", &k3s.config), (Role::Agent, "agentConfig", &k3s.agent_config)]
    {
        let Some(name) = config.get("flannel-iface").and_then(Value::as_str) else { continue };
        let is_other =
            |node: &&Draft<'_>| node.role == Some(role) && node.interface().is_some_and(|own| own != name);
        if let Some(node) = nodes.iter().find(is_other) {
            let message =
                format!("the interface of {} is `{}`", node.at.path(), node.interface().unwrap_or_default());
            let hint = "remove it, or have all nodes of this role name their interface so";
            at.key(key).key("flannel-iface").warning(message, hint);
        }
    }
}

/// Checks who begins the cluster and who joins it.
fn check_roles(nodes: &[Draft<'_>], k3s: &k3s::Draft, at: &At<'_>) {
    // A role that could not be read may have been any.
    if nodes.iter().any(|node| node.role.is_none()) {
        return;
    }
    let servers: Vec<&Draft<'_>> = nodes.iter().filter(|node| node.role == Some(Role::Server)).collect();
    match (servers.as_slice(), nodes.first()) {
        ([], Some(agent)) => {
            let message = "an agent needs a server, and no node is one";
            agent.at.key("role").error_with_hint(message, "give one node the role server");
        }
        ([.., last], _) if servers.len().is_multiple_of(2) => {
            let has_datastore =
                k3s.config.get(DATASTORE).is_some() || k3s.config_from.contains_key(DATASTORE);
            if !has_datastore {
                let message = format!(
                    "this is server {}: an even number survives no more losses than one less",
                    servers.len()
                );
                let hint = "embedded etcd needs 1, 3, 5 … servers; make this one an agent, or add a server";
                last.at.key("role").error_with_hint(message, hint);
            }
        }
        _ => {}
    }
    if let Some(name) = &k3s.first_server {
        check_first_server(name, nodes, &servers, &at.key("firstServer"));
    }
}

/// The server that is named first has to be one.
fn check_first_server(name: &DnsLabel, nodes: &[Draft<'_>], servers: &[&Draft<'_>], at: &At<'_>) {
    let is_it = |node: &Draft<'_>| node.name.as_ref() == Some(name);
    // A name that could not be read may have been this one.
    if servers.iter().any(|node| is_it(node) || node.name.is_none()) {
        return;
    }
    let message = if nodes.iter().any(is_it) {
        format!("`{name}` is an agent, which begins no cluster")
    } else {
        format!("no node is named `{name}`")
    };
    let names = servers.iter().filter_map(|node| node.name.as_ref()).map(DnsLabel::as_str);
    let hint = suggest::meant(name.as_str(), names)
        .unwrap_or_else(|| "name a node that has the role server, or remove firstServer".to_owned());
    at.error_with_hint(message, hint);
}

/// Every node needs a k3s that runs on it.
fn check_binaries(nodes: &[Draft<'_>], k3s: &k3s::Draft, at: &At<'_>) {
    let Some(binary) = &k3s.binary else { return };
    if at.is_wrong() {
        return;
    }
    let mut missing = BTreeMap::new();
    for node in nodes {
        if let Some(platform) = &node.platform
            && !binary.contains_key(platform)
        {
            missing.entry(platform).or_insert(node.at.path());
        }
    }
    for (platform, node) in missing {
        let hint = format!("add \"{platform}\": {{path: …}} or {{url: …}}");
        at.error_with_hint(format!("there is no k3s for {platform}, the platform of {node}"), hint);
    }
}

/// Warns about what a node can do without and mostly should not.
fn check_completeness(nodes: &[Draft<'_>], k3s: &k3s::Draft) {
    let has_resolver = |node: &Draft<'_>| match node.role {
        Some(Role::Agent) => k3s.agent_config.get("resolv-conf").is_some(),
        Some(Role::Server) | None => k3s.config.get("resolv-conf").is_some(),
    };
    for node in nodes {
        if node.gateway.is_none() && !node.at.key("gateway").is_wrong() {
            let message = "this node has no gateway, and k3s does not start without a default route";
            let hint = "add gateway; where there is none, any other address of the node's network will do";
            node.at.error_with_hint(message, hint);
        }
        if !node.has_nameservers() && !node.at.key("nameservers").is_refused() && !has_resolver(node) {
            let message = "this node has no name server, and k3s falls back to 8.8.8.8";
            node.at.warning(message, "add nameservers, or set resolv-conf in k3s.config");
        }
        for (at, address) in node.name_servers() {
            if net::scope(address) != Scope::Machine && !has_resolver(node) {
                let message =
                    format!("pods cannot ask `{address}`, and k3s falls back to 8.8.8.8 because of it");
                at.warning(message, "write the address of another machine, or set resolv-conf in k3s.config");
            }
        }
    }
}
