//! The network card of a node: what finds it, and what its interface may be called.

use std::str::FromStr;

use crate::net::{Invalid, MacAddress};

/// How a node finds the network card that gets its address: by hardware address, by name, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCard {
    mac: Option<MacAddress>,
    interface: Option<InterfaceName>,
}

impl NetworkCard {
    /// Returns a card that can be found; `None` if nothing says which one it is.
    pub fn new(mac: Option<MacAddress>, interface: Option<InterfaceName>) -> Option<Self> {
        (mac.is_some() || interface.is_some()).then_some(Self { mac, interface })
    }

    /// Returns its hardware address; with none, [`Self::interface`] finds it.
    pub fn mac(&self) -> Option<MacAddress> {
        self.mac
    }

    /// Returns the name of its interface: given to the card of that hardware address, or looked for without one.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_ref().map(|name| name.0.as_str())
    }
}

/// Names that no card can have: the kernel's loopback, what its settings call all and coming interfaces, and those that
/// flannel, kube-proxy and the network policies of k3s make.
const TAKEN: [&str; 10] = [
    "all",
    "cni0",
    "default",
    "flannel-v6.1",
    "flannel-wg",
    "flannel-wg-v6",
    "flannel.1",
    "kube-bridge",
    "kube-ipvs0",
    "lo",
];

/// The name of a network interface, as Linux takes it: at most 15 letters, digits, `_`, `.` and `-`, a letter first;
/// nobody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Returns whether an interface that is not a card's has this name.
    pub fn is_taken(name: &str) -> bool {
        TAKEN.contains(&name)
    }
}

impl FromStr for InterfaceName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_name = (1..=15).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
            && text.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_name {
            return Err(Invalid::new(text, "the name of a network interface"));
        }
        if Self::is_taken(text) {
            return Err(Invalid::new(
                text,
                "the name of a card: the kernel or k3s has another interface of this name",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_card_is_found_by_something() {
        assert_eq!(NetworkCard::new(None, None), None);
        let card = NetworkCard::new(None, Some("lan0".parse().unwrap())).unwrap();
        assert_eq!((card.mac(), card.interface()), (None, Some("lan0")));
        for name in ["", "0eth", "a234567890123456", "a b", "eth0:1", "a/b", "lo", "all", "cni0"] {
            assert!(name.parse::<InterfaceName>().is_err(), "{name:?}");
        }
    }
}
