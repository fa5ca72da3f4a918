//! Names that every system has by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Those of `/etc/hosts` in netbase of Debian and Ubuntu, in cloud-init's templates and in setup of Fedora.
const NAMES: [(&str, Ipv6Addr); 8] = [
    ("ip6-allhosts", Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 3)),
    ("ip6-allnodes", Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
    ("ip6-allrouters", Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2)),
    ("ip6-localhost", Ipv6Addr::LOCALHOST),
    ("ip6-localnet", Ipv6Addr::new(0xfe00, 0, 0, 0, 0, 0, 0, 0)),
    ("ip6-loopback", Ipv6Addr::LOCALHOST),
    ("ip6-mcastprefix", Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)),
    ("localhost6", Ipv6Addr::LOCALHOST),
];

/// Those of IPv4, and what systemd-resolved answers without asking: all names below `localhost` (RFC 6761).
const LOCALHOST: [&str; 3] = ["localhost", "localhost.localdomain", "localhost4"];

/// Returns whom a name means on every system, whatever name servers say; `None` for other names.
pub fn own_name(name: &str) -> Option<IpAddr> {
    if LOCALHOST.contains(&name) || name.ends_with(".localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    NAMES.into_iter().find(|(own, _)| *own == name).map(|(_, address)| IpAddr::V6(address))
}
