//! Addresses and names as networks know them.

mod address;
mod invalid;
mod login;
mod own_name;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub use address::{Cidr, NoNeighbour, Scope, address, scope};
pub use invalid::Invalid;
pub use login::{LOGIN, LOGIN_HINT, has_login, without_login};
pub use own_name::own_name;

/// A host name of one label: at most 63 lower-case letters, digits and `-`, which is not at its ends (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct DnsLabel(String);

impl DnsLabel {
    /// Returns the label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DnsLabel {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=63).contains(&text.len()) && text.bytes().all(is_inner);
        if !fits || text.starts_with('-') || text.ends_with('-') {
            return Err(Invalid::new(
                text,
                "a host name: use lower-case letters, digits and `-` inside, at most 63",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An address or a fully spelt name of a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub enum Host {
    /// An IP address.
    Ip(IpAddr),
    /// A DNS name in lower case, at most 253 characters.
    Name(String),
}

impl FromStr for Host {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.parse::<IpAddr>().is_ok() {
            return address(text).map(Self::Ip);
        }
        let name = text.to_ascii_lowercase();
        // A name of digits and dots only is an address with a mistake in it.
        let is_numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let has_labels = name.len() <= 253 && name.split('.').all(|label| label.parse::<DnsLabel>().is_ok());
        if is_numeric || !has_labels {
            return Err(Invalid::new(text, "an IP address or a DNS name"));
        }
        Ok(Self::Name(name))
    }
}

/// A registry as image references name it: `host[:port]`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryHost {
    host: Host,
    port: Option<u16>,
}

impl RegistryHost {
    /// Returns the address or name.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port; 443 if none is written.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(443)
    }
}

impl FromStr for RegistryHost {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, "a registry: write host or host:port, without scheme and path");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']').filter(|(host, _)| host.contains(':')) {
                Some((host, "")) => (host, None),
                Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(invalid)?)),
                None => return Err(invalid()),
            },
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map(|port| port_number(port).ok_or_else(invalid)).transpose()?;
        let is_address = host.parse::<IpAddr>().is_ok();
        Ok(Self { host: host.parse().map_err(|error| if is_address { error } else { invalid() })?, port })
    }
}

fn port_number(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(formatter, "[{address}]")?,
            Host::Ip(IpAddr::V4(_)) | Host::Name(_) => write!(formatter, "{}", self.host)?,
        }
        self.port.iter().try_for_each(|port| write!(formatter, ":{port}"))
    }
}

/// A registry that another one stands in for; prints as `docker.io`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub enum MirroredRegistry {
    /// One.
    Host(RegistryHost),
    /// All that are not named.
    #[display("*")]
    Others,
}

/// The hardware address of a network card; prints as `52:54:00:12:34:56`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{}", _0.map(|byte| format!("{byte:02x}")).join(":"))]
pub struct MacAddress([u8; 6]);

impl FromStr for MacAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, "a network card's address such as 52:54:00:12:34:56");
        // As systems, switches and hypervisors write it: `52:54:…`, `52-54-…`, `5254.0012.3456` and `525400123456`.
        let groups: Vec<&str> = match text.chars().find(|character| !character.is_ascii_hexdigit()) {
            Some(separator) if ":-.".contains(separator) => text.split(separator).collect(),
            Some(_) | None => vec![text],
        };
        let is_group =
            |group: &&str| group.len() * groups.len() == 12 && group.bytes().all(|b| b.is_ascii_hexdigit());
        if !matches!(groups.len(), 1 | 3 | 6) || !groups.iter().all(is_group) {
            return Err(invalid());
        }
        let number = u64::from_str_radix(&groups.concat(), 16).map_err(|_| invalid())?;
        let [_, _, bytes @ ..] = number.to_be_bytes();
        // The lowest bit of the first byte marks group addresses, which no card has.
        if bytes == [0; 6] || bytes[0] & 1 == 1 {
            return Err(invalid());
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_hosts_with_an_optional_port() {
        for (text, port) in [
            ("192.168.6.1:5000", 5000),
            ("registry.lan", 443),
            ("localhost:5000", 5000),
            ("[fd00::1]:5000", 5000),
            ("[fd00::1]", 443),
        ] {
            let host: RegistryHost = text.parse().unwrap();
            assert_eq!((host.to_string().as_str(), host.port()), (text, port));
        }
        for text in [
            "",
            ":5000",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "https://a",
            "a/b",
            "a b",
            "a_b",
            "192.168.6:5000",
            "fd00::1",
            "[a]:1",
            "[::1]x",
            "[::1]:",
            "-a",
            "a..b",
        ] {
            assert!(text.parse::<RegistryHost>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn network_cards_have_one_spelling() {
        for text in ["52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "5254.00ab.cd01", "525400ABCD01"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "52:54:00:ab:cd:01");
        }
        for text in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:01:02",
            "52:54:00-ab-cd-01",
            "525400abcd0",
            "525400abcd0g",
            "525400:abcd01",
            "5:2:5:4:0:0:a:b:c:d:0:1",
            "52:5400:ab:cd:0:1",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "52:54:00:ab:cd:+1",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text:?}");
        }
    }
}
