//! The addresses of a node: its own, its gateway's, its name servers'.

use std::net::{IpAddr, Ipv4Addr};

use crate::net::{self, Cidr, NoNeighbour, Scope};
use crate::spec::report::At;

/// Reads the address that a node has in its network.
pub(super) fn of_interface(text: &str, at: &At<'_>) -> Option<Cidr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let prefix = if address.is_ipv4() { 24 } else { 64 };
        let hint = format!("write {address}/{prefix} if its network is a /{prefix}");
        return at.refuse_with_hint(format!("`{address}` has no prefix"), hint);
    }
    let cidr: Cidr = at.parse(text)?;
    let address = cidr.address();
    let complaint = if cidr.is_named_by(address) {
        "is the address of the network itself"
    } else if cidr.is_broadcast(address) {
        "is the broadcast address of its network"
    } else if net::scope(address) != Scope::Machine {
        "is not an address that a machine can have in a network"
    } else if cidr.prefix() == 0 {
        "makes a network of all addresses there are"
    } else {
        return Some(cidr);
    };
    at.refuse(format!("`{cidr}` {complaint}"))
}

/// Checks the way out of the network of a node.
pub(super) fn check_gateway(address: Cidr, gateway: IpAddr, at: &At<'_>) {
    match address.neighbour(gateway) {
        Ok(_) => {}
        Err(error @ NoNeighbour::Elsewhere(..)) => {
            at.error_with_hint(error.to_string(), "check the prefix of address")
        }
        Err(error @ (NoNeighbour::Own(_) | NoNeighbour::Network(..) | NoNeighbour::Broadcast(..))) => {
            at.error(error.to_string())
        }
    }
}

/// Where systemd-resolved listens for the programs of its own machine.
const STUBS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];

/// Reads the address of a name server that a node of this address asks.
pub(super) fn name_server(text: &str, node: Option<Cidr>, at: &At<'_>) -> Option<IpAddr> {
    let address = at.address(text)?;
    if STUBS.contains(&address) {
        let message = format!("`{address}` is the node's own systemd-resolved, which would ask itself");
        return at.refuse_with_hint(message, "write the name servers that it is to ask");
    }
    let is_of_all = node.is_some_and(|node| node.keeps(address));
    if is_of_all || net::scope(address) == Scope::Nobody {
        return at.refuse(format!("`{address}` is not a machine that can be asked"));
    }
    if node.is_some_and(|node| node.address() == address) {
        let hint = "that is right only if this node runs a name server";
        at.warning(format!("`{address}` is the node's own address"), hint);
    }
    Some(address)
}
