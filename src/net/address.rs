//! Addresses, whom they mean, and the networks that they are in.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::invalid::Invalid;

/// Reads an address; that of IPv4 has one spelling.
///
/// # Errors
/// Refuses IPv4 in the clothes of IPv6, `::ffff:192.168.6.10`: it would be another address to whoever compares.
pub fn address(text: &str) -> Result<IpAddr, Invalid> {
    let address = text.parse().map_err(|_| Invalid::new(text, "an IP address"))?;
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err(Invalid::new(text, "how an IPv4 address is written: leave out what is before it"))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(address),
    }
}

/// Whom an address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One machine, whoever asks: Go's "global unicast". kubelet takes no other for a node's own address, and k3s no
    /// other for a name server's.
    Machine,
    /// One machine of whatever network is at hand.
    Link,
    /// Whoever asks.
    Oneself,
    /// Many machines, or none.
    Nobody,
}

/// Returns whom an address means.
pub fn scope(address: IpAddr) -> Scope {
    let (is_of_link, is_broadcast) = match address {
        IpAddr::V4(address) => (address.is_link_local(), address.is_broadcast()),
        IpAddr::V6(address) => (address.is_unicast_link_local(), false),
    };
    if is_broadcast || address.is_unspecified() || address.is_multicast() {
        Scope::Nobody
    } else if address.is_loopback() {
        Scope::Oneself
    } else if is_of_link {
        Scope::Link
    } else {
        Scope::Machine
    }
}

/// A range of addresses, `address/prefix`; may hold host bits, as an interface's address does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct Cidr(IpNet);

impl Cidr {
    /// Returns the address before the slash.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// Returns the number of bits that all addresses of the network share.
    pub fn prefix(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Returns the network: the same range, without host bits.
    pub fn network(&self) -> Self {
        Self(self.0.trunc())
    }

    /// Returns whether an address names the network itself.
    pub fn is_named_by(&self, address: IpAddr) -> bool {
        self.has_names_for_all() && address == self.0.network()
    }

    /// Returns whether an address means every machine of the network (IPv4 only).
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        address.is_ipv4() && self.has_names_for_all() && address == self.0.broadcast()
    }

    /// Returns whether an address of the network is kept for more than one machine: itself, or all of them.
    pub fn keeps(&self, address: IpAddr) -> bool {
        self.is_named_by(address) || self.is_broadcast(address)
    }

    /// Returns the address of another machine of the network of the one before the slash.
    ///
    /// # Errors
    /// Says why that address is not one.
    pub fn neighbour(&self, address: IpAddr) -> Result<IpAddr, NoNeighbour> {
        if address == self.address() {
            Err(NoNeighbour::Own(address))
        } else if !self.contains(address) {
            Err(NoNeighbour::Elsewhere(address, self.network()))
        } else if self.is_named_by(address) {
            Err(NoNeighbour::Network(address, self.network()))
        } else if self.is_broadcast(address) {
            Err(NoNeighbour::Broadcast(address, self.network()))
        } else {
            Ok(address)
        }
    }

    /// A network of one or two addresses has none to spare (RFC 3021, RFC 6164).
    fn has_names_for_all(&self) -> bool {
        self.0.max_prefix_len() - self.prefix() > 1
    }

    /// Returns whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Returns whether some address lies in both ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0.trunc()) || other.0.contains(&self.0.trunc())
    }
}

/// Says why an address is not that of another machine in the network of a node.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum NoNeighbour {
    /// It is the node.
    #[error("`{0}` is the node's own address")]
    Own(IpAddr),
    /// It is in another network.
    #[error("`{0}` is not in the node's network {1}")]
    Elsewhere(IpAddr, Cidr),
    /// It is the network.
    #[error("`{0}` is the address of the network {1} itself")]
    Network(IpAddr, Cidr),
    /// It is every machine.
    #[error("`{0}` is the broadcast address of the network {1}")]
    Broadcast(IpAddr, Cidr),
}

impl FromStr for Cidr {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, "an address with a prefix, such as 192.168.6.10/24");
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        address.parse::<IpAddr>().map_err(|_| invalid())?;
        let address = self::address(address)?;
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|_| is_number).ok_or_else(invalid)?;
        IpNet::new(address, prefix).map(Self).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_know_their_bounds_and_each_other() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        assert_eq!(cidr("192.168.6.10/24").network().to_string(), "192.168.6.0/24");
        assert_eq!(cidr("fd00::1234/64").network().to_string(), "fd00::/64");
        assert_eq!(cidr("10.1.2.3/0").network().to_string(), "0.0.0.0/0");
        let address = |text: &str| address(text).unwrap();
        for (network, other, expected) in [
            ("192.168.6.10/24", "192.168.6.1", None),
            ("192.168.6.10/24", "192.168.6.10", Some("`192.168.6.10` is the node's own address")),
            (
                "192.168.6.10/24",
                "192.168.7.1",
                Some("`192.168.7.1` is not in the node's network 192.168.6.0/24"),
            ),
            (
                "192.168.6.10/24",
                "192.168.6.0",
                Some("`192.168.6.0` is the address of the network 192.168.6.0/24 itself"),
            ),
            (
                "192.168.6.10/24",
                "192.168.6.255",
                Some("`192.168.6.255` is the broadcast address of the network 192.168.6.0/24"),
            ),
            ("192.168.6.1/31", "192.168.6.0", None),
            ("192.168.6.0/31", "192.168.6.1", None),
            ("fd00::1/64", "fd00::", Some("`fd00::` is the address of the network fd00::/64 itself")),
            ("fd00::1/64", "fd00::ffff:ffff:ffff:ffff", None),
        ] {
            let found = cidr(network).neighbour(address(other)).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected, "{network} {other}");
        }
        assert!(cidr("192.168.6.0/23").contains("192.168.7.1".parse().unwrap()));
        assert!(!cidr("192.168.6.0/24").contains("fd00::1".parse().unwrap()));
        assert!(
            cidr("10.42.7.0/24").overlaps(&cidr("10.42.0.0/16"))
                && !cidr("10.42.0.0/16").overlaps(&cidr("10.43.0.0/16"))
        );
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0.1/+8",
            "10.0.0.256/8",
            "fd00::/129",
            "010.0.0.1/8",
            "::ffff:10.0.0.1/104",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_one_spelling_and_means_somebody() {
        for (text, expected) in [
            ("192.168.6.10", Scope::Machine),
            ("fd00::1", Scope::Machine),
            ("169.254.0.1", Scope::Link),
            ("fe80::1", Scope::Link),
            ("127.0.0.53", Scope::Oneself),
            ("::1", Scope::Oneself),
            ("0.0.0.0", Scope::Nobody),
            ("::", Scope::Nobody),
            ("224.0.0.251", Scope::Nobody),
            ("ff02::fb", Scope::Nobody),
            ("255.255.255.255", Scope::Nobody),
        ] {
            assert_eq!(scope(address(text).unwrap()), expected, "{text}");
        }
        for text in ["", "192.168.6", "192.168.6.10/24", "::ffff:192.168.6.10", "::ffff:c0a8:60a"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
