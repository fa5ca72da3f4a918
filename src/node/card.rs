//! The network card of a node: what finds it, and what its interface may be called.

use std::str::FromStr;

use super::list;
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

/// Interfaces that are no card's, one a line, with whose they are in comments before them.
const TAKEN: &str = include_str!("interfaces.txt");

/// The name of a network interface, as Linux takes it: at most 15 letters, digits, `_`, `.` and `-`, a letter first;
/// nobody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Returns whether an interface that is not a card's has this name.
    pub fn is_taken(name: &str) -> bool {
        list::has(TAKEN, name)
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
                "the name of a card: the kernel, k3s or a program of nodes calls another interface so",
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
        for name in ["", "0eth", "a234567890123456", "a b", "eth0:1", "a/b"] {
            assert!(name.parse::<InterfaceName>().is_err() && !InterfaceName::is_taken(name), "{name:?}");
        }
    }

    #[test]
    fn an_interface_that_programs_make_is_no_card() {
        for entry in list::entries(TAKEN) {
            let one = entry.replace('*', "7f");
            assert!(InterfaceName::is_taken(&one) && one.parse::<InterfaceName>().is_err(), "{one}");
        }
        for name in
            ["eth0", "ens192", "enp0s31f6", "wlan0", "lan0", "wg0", "tun0", "br0", "lo0", "dummy", "alluvial"]
        {
            assert!(name.parse::<InterfaceName>().is_ok(), "{name}");
        }
        assert!(list::entries(TAKEN).collect::<Vec<_>>().is_sorted());
    }
}
