//! The nodes, each by itself and all together.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Surroundings, k3s, list};
use crate::k3s::DATASTORE;
use crate::net::{Cidr, DnsLabel, MacAddress};
use crate::node::{DiskTraits, Flavour, InstallDisk, InterfaceName, NetworkCard, NoSuchDisk};
use crate::oci::Platform;
use crate::spec::conform::names_a_secret;
use crate::spec::model::Node;
use crate::spec::raw::{RawNode, Role};
use crate::spec::report::Report;
use crate::spec::suggest;
use crate::text::Path;

/// A node as far as it could be read.
pub(super) struct Draft {
    pub(super) path: Path,
    pub(super) name: Option<DnsLabel>,
    pub(super) role: Option<Role>,
    pub(super) platform: Option<Platform>,
    pub(super) address: Option<Cidr>,
    pub(super) gateway: Option<IpAddr>,
    nameservers: Vec<IpAddr>,
    card: Option<NetworkCard>,
    disk: Option<InstallDisk>,
    values: Map<String, Value>,
}

impl Draft {
    pub(super) fn has_nameservers(&self) -> bool {
        !self.nameservers.is_empty()
    }

    /// Returns the node if nothing of it is missing.
    pub(super) fn finish(self) -> Option<Node> {
        let Self { path: _, name, role, platform, address, gateway, nameservers, card, disk, values } = self;
        Some(Node {
            name: name?,
            role: role?,
            platform: platform?,
            address: address?,
            gateway: gateway?,
            nameservers,
            card: card?,
            disk,
            values,
        })
    }
}

pub(super) fn nodes(
    raw: Option<Vec<RawNode>>,
    surroundings: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> Vec<Draft> {
    let path = Path::root().key("nodes");
    if raw.as_ref().is_some_and(Vec::is_empty) {
        report.warning(
            &path,
            "there are no nodes, and no seeds will be made",
            "add a node with the role server",
        );
    }
    let nodes = raw.unwrap_or_default().into_iter().enumerate();
    nodes.map(|(index, raw)| node(raw, path.index(index), surroundings, report)).collect()
}

fn node(raw: RawNode, path: Path, surroundings: &Surroundings<'_>, report: &mut Report<'_>) -> Draft {
    let RawNode { name, role, platform, address, gateway, nameservers, mac, interface, disk, values } = raw;
    let name: Option<DnsLabel> = report.parse(&path.key("name"), name.as_deref());
    if name.as_ref().is_some_and(|name| name.as_str() == "localhost") {
        report.error(&path.key("name"), "`localhost` is every machine's name for itself");
    }
    let platform = match platform {
        None => surroundings.platforms.first().cloned(),
        Some(text) => known_platform(&path.key("platform"), &text, surroundings, report),
    };
    let address = address.and_then(|text| interface_address(&path.key("address"), &text, report));
    let gateway = report.parse_address(&path.key("gateway"), gateway.as_deref());
    if let (Some(address), Some(gateway)) = (address, gateway) {
        check_gateway(&path, address, gateway, report);
    }
    let nameservers =
        list(nameservers, &path.key("nameservers"), |path, text| report.parse_address(path, Some(text)));
    let card = network_card(&path, mac.as_deref(), interface.as_deref(), report);
    let disk = self::disk(disk, &path.key("disk"), report);
    let values = values.unwrap_or_default();
    check_values(&path.key("values"), &values, report);
    Draft { path, name, role, platform, address, gateway, nameservers, card, disk, values }
}

fn disk(traits: Option<DiskTraits>, path: &Path, report: &mut Report<'_>) -> Option<InstallDisk> {
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
    if !report.is_wrong(path) {
        report.error_with_hint(path, error.to_string(), hint);
    }
    None
}

/// Gives each node without a disk of its own that of the seeds: the installer asks nobody, and takes the largest one
/// unless it is told.
pub(super) fn disks(
    nodes: &mut [Draft],
    flavour: Flavour,
    default: Option<DiskTraits>,
    report: &mut Report<'_>,
) {
    let default_path = Path::root().key("seed").key("disk");
    let default = disk(default, &default_path, report);
    match flavour {
        Flavour::CloudImage => {
            let own = nodes.iter().filter(|node| node.disk.is_some()).map(|node| node.path.key("disk"));
            for path in own.chain(default.map(|_| default_path)) {
                let hint = "remove it, or set seed.flavour to autoinstall";
                report.warning(&path, "a cloud image is on its disk already, and erases none", hint);
            }
        }
        Flavour::Autoinstall => {
            for node in nodes {
                let is_told =
                    [&default_path, &node.path.key("disk")].iter().any(|path| report.is_wrong(path));
                node.disk = node.disk.take().or_else(|| default.clone());
                if node.disk.is_none() && !is_told {
                    let message = "nothing says which disk the installer may erase: it takes the largest";
                    let hint = "add disk to this node or to seed: {size: smallest}, {size: largest}, {serial: …} or {path: /dev/…}";
                    report.error_with_hint(&node.path, message, hint);
                }
            }
        }
    }
}

fn known_platform(
    path: &Path,
    text: &str,
    surroundings: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> Option<Platform> {
    let platform = super::platform(path, text, report)?;
    if !surroundings.platforms.contains(&platform) {
        let hint = format!("add {platform} to platforms");
        report.error_with_hint(path, format!("`{platform}` is not among the platforms of this spec"), hint);
    }
    Some(platform)
}

impl Report<'_> {
    /// Reads an address without a prefix.
    pub(super) fn parse_address(&mut self, path: &Path, text: Option<&str>) -> Option<IpAddr> {
        let text = text?;
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) if text.parse::<Cidr>().is_ok() => {
                let hint = format!("write {}", text.split('/').next().unwrap_or(text));
                self.error_with_hint(
                    path,
                    format!("`{text}` has a prefix, which does not belong here"),
                    hint,
                );
                None
            }
            Err(_) => {
                self.error(path, format!("`{text}` is not an IP address"));
                None
            }
        }
    }
}

fn interface_address(path: &Path, text: &str, report: &mut Report<'_>) -> Option<Cidr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let prefix = if address.is_ipv4() { 24 } else { 64 };
        let hint = format!("write {address}/{prefix} if its network is a /{prefix}");
        report.error_with_hint(path, format!("`{address}` has no prefix"), hint);
        return None;
    }
    let cidr: Cidr = report.parse(path, Some(text))?;
    let address = cidr.address();
    let complaint = if cidr.is_network_address() {
        "is the address of the network itself"
    } else if cidr.is_broadcast_address() {
        "is the broadcast address of its network"
    } else if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        "is not an address that a machine can have in a network"
    } else if cidr.prefix() == 0 {
        "makes a network of all addresses there are"
    } else {
        return Some(cidr);
    };
    report.error(path, format!("`{cidr}` {complaint}"));
    None
}

fn check_gateway(path: &Path, address: Cidr, gateway: IpAddr, report: &mut Report<'_>) {
    let path = path.key("gateway");
    if gateway == address.address() {
        report.error(&path, format!("`{gateway}` is the node's own address"));
    } else if !address.contains(gateway) {
        let message = format!("`{gateway}` is not in the node's network {}", address.network());
        report.error_with_hint(&path, message, "check the prefix of address");
    }
}

fn network_card(
    path: &Path,
    mac: Option<&str>,
    interface: Option<&str>,
    report: &mut Report<'_>,
) -> Option<NetworkCard> {
    let address: Option<MacAddress> = report.parse(&path.key("mac"), mac);
    let name = interface.and_then(|text| {
        let hint = "use at most 15 letters, digits, `_`, `.` and `-`, a letter first";
        report.parse_with_hint::<InterfaceName>(&path.key("interface"), text, hint)
    });
    let card = NetworkCard::new(address, name);
    let is_told = ["mac", "interface"].iter().any(|key| report.is_wrong(&path.key(key)));
    if card.is_none() && !is_told {
        let message = "this node's network card is not named: it cannot be found";
        report.error_with_hint(path, message, "add mac, the card's hardware address, or interface, its name");
    }
    card
}

fn check_values(path: &Path, values: &Map<String, Value>, report: &mut Report<'_>) {
    for (name, value) in values {
        if names_a_secret(name) && value.is_string() {
            let hint = "whoever reads the spec reads it; place it with files instead";
            report.warning(&path.key(name), "this looks like a secret", hint);
        }
    }
}

/// Checks what no node can be wrong about alone.
pub(super) fn together(nodes: &[Draft], k3s: &k3s::Draft, report: &mut Report<'_>) {
    let with_path = |key: &'static str| move |node: &Draft| node.path.key(key);
    let names = nodes.iter().filter_map(|node| Some((with_path("name")(node), node.name.clone()?)));
    refuse_duplicates(names, "name", report);
    let addresses =
        nodes.iter().filter_map(|node| Some((with_path("address")(node), node.address?.address())));
    refuse_duplicates(addresses, "address", report);
    let macs = nodes.iter().filter_map(|node| Some((with_path("mac")(node), node.card.as_ref()?.mac()?)));
    refuse_duplicates(macs, "mac", report);
    check_roles(nodes, k3s, report);
    check_binaries(nodes, k3s, report);
    check_completeness(nodes, k3s, report);
}

fn refuse_duplicates<T: Ord + Display>(
    values: impl Iterator<Item = (Path, T)>,
    what: &str,
    report: &mut Report<'_>,
) {
    let mut seen: BTreeMap<T, Path> = BTreeMap::new();
    for (path, value) in values {
        match seen.get(&value) {
            Some(first) => {
                report.error(&path, format!("`{value}` is already the {what} of {}", owner(first)))
            }
            None => drop(seen.insert(value, path)),
        }
    }
}

/// Returns the path of the node that a path of one of its fields belongs to.
fn owner(field: &Path) -> Path {
    let steps = field.steps();
    steps[..steps.len().saturating_sub(1)].iter().cloned().collect()
}

fn check_roles(nodes: &[Draft], k3s: &k3s::Draft, report: &mut Report<'_>) {
    // A role that could not be read may have been any.
    if nodes.iter().any(|node| node.role.is_none()) {
        return;
    }
    let servers: Vec<&Draft> = nodes.iter().filter(|node| node.role == Some(Role::Server)).collect();
    match (servers.as_slice(), nodes.first()) {
        ([], Some(agent)) => {
            let hint = "give one node the role server";
            report.error_with_hint(
                &agent.path.key("role"),
                "an agent needs a server, and no node is one",
                hint,
            );
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
                report.error_with_hint(&last.path.key("role"), message, hint);
            }
        }
        _ => {}
    }
    if let Some(name) = &k3s.first_server {
        check_first_server(name, nodes, &servers, report);
    }
}

/// The server that is named first has to be one.
fn check_first_server(name: &DnsLabel, nodes: &[Draft], servers: &[&Draft], report: &mut Report<'_>) {
    let is_it = |node: &Draft| node.name.as_ref() == Some(name);
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
    report.error_with_hint(&Path::root().key("k3s").key("firstServer"), message, hint);
}

/// Every node needs a k3s that runs on it.
fn check_binaries(nodes: &[Draft], k3s: &k3s::Draft, report: &mut Report<'_>) {
    let path = Path::root().key("k3s").key("binary");
    let Some(binary) = &k3s.binary else { return };
    if report.has_error_below(&path) {
        return;
    }
    let mut missing = BTreeMap::new();
    for node in nodes {
        if let Some(platform) = &node.platform
            && !binary.contains_key(platform)
        {
            missing.entry(platform).or_insert(&node.path);
        }
    }
    for (platform, node) in missing {
        let hint = format!("add \"{platform}\": {{path: …}} or {{url: …}}");
        report.error_with_hint(
            &path,
            format!("there is no k3s for {platform}, the platform of {node}"),
            hint,
        );
    }
}

/// Warns about what a node can do without and mostly should not.
fn check_completeness(nodes: &[Draft], k3s: &k3s::Draft, report: &mut Report<'_>) {
    let has_resolver = |node: &Draft| match node.role {
        Some(Role::Agent) => k3s.agent_config.get("resolv-conf").is_some(),
        Some(Role::Server) | None => k3s.config.get("resolv-conf").is_some(),
    };
    for node in nodes {
        if node.gateway.is_none() && !report.is_wrong(&node.path.key("gateway")) {
            let message = "this node has no gateway, and k3s does not start without a default route";
            let hint = "add gateway; where there is none, any other address of the node's network will do";
            report.error_with_hint(&node.path, message, hint);
        }
        if !node.has_nameservers() && !report.is_refused(&node.path.key("nameservers")) && !has_resolver(node)
        {
            let message = "this node has no name server, and k3s falls back to 8.8.8.8";
            report.warning(&node.path, message, "add nameservers, or set resolv-conf in k3s.config");
        }
    }
}
