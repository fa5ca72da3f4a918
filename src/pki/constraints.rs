//! Which names an authority may vouch for (RFC 5280, section 4.2.1.10).
//!
//! What an authority of others *excludes* is not looked at: clients judge that.

use std::fmt;
use std::net::IpAddr;

use itertools::Itertools as _;
use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::name::SubjectName;

/// The names that an authority may vouch for; a kind of name of which it lists none is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permitted {
    /// Domains with all below them.
    domains: Vec<String>,
    /// Address and mask.
    networks: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Permitted {
    /// Reads them; nothing is limited where a certificate says nothing.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut permitted = Self::default();
        let constraints = certificate.extensions().iter().filter_map(|extension| {
            let ParsedExtension::NameConstraints(constraints) = extension.parsed_extension() else {
                return None;
            };
            constraints.permitted_subtrees.as_ref()
        });
        for subtree in constraints.flatten() {
            if let GeneralName::DNSName(domain) = &subtree.base {
                permitted.domains.push(domain.to_ascii_lowercase());
            } else if let GeneralName::IPAddress(octets) = &subtree.base
                && matches!(octets.len(), 8 | 32)
            {
                let (address, mask) = octets.split_at(octets.len() / 2);
                permitted.networks.push((address.to_vec(), mask.to_vec()));
            }
        }
        permitted
    }

    /// Returns whether the authority may vouch for `name`.
    pub fn permits(&self, name: &SubjectName) -> bool {
        match name {
            SubjectName::Dns(host) => {
                let host = host.as_str().trim_start_matches("*.");
                let is_below = |domain: &String| {
                    host.strip_suffix(domain.trim_start_matches('.')).is_some_and(|rest| {
                        rest.is_empty() && !domain.starts_with('.') || rest.ends_with('.')
                    })
                };
                self.domains.is_empty() || self.domains.iter().any(is_below)
            }
            SubjectName::Ip(address) => {
                let octets = match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                let holds = |(network, mask): &(Vec<u8>, Vec<u8>)| {
                    network.len() == octets.len()
                        && octets
                            .iter()
                            .zip(network)
                            .zip(mask)
                            .all(|((one, other), mask)| (one ^ other) & mask == 0)
                };
                self.networks.is_empty() || self.networks.iter().any(holds)
            }
        }
    }
}

impl fmt::Display for Permitted {
    /// Lists them, as far as each stands for itself: `192.168.6.1, registry.lan`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address =
            |octets: &Vec<u8>| match (<[u8; 4]>::try_from(&octets[..]), <[u8; 16]>::try_from(&octets[..])) {
                (Ok(octets), _) => IpAddr::from(octets).to_string(),
                (_, Ok(octets)) => IpAddr::from(octets).to_string(),
                (Err(_), Err(_)) => "an address".to_owned(),
            };
        let network = |(network, mask): &(Vec<u8>, Vec<u8>)| {
            if mask.iter().all(|byte| *byte == 0xff) {
                address(network)
            } else {
                format!("{} with mask {}", address(network), address(mask))
            }
        };
        let mut names = self.networks.iter().map(network).chain(self.domains.iter().cloned());
        formatter.write_str(&names.join(", "))
    }
}

/// Limits an authority to `names`: each address alone, each host with what is below it, which nothing can forbid.
pub(super) fn limited_to(names: &[SubjectName]) -> NameConstraints {
    let subtree = |name: &SubjectName| match name {
        SubjectName::Ip(address) => {
            let length = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, length))
        }
        SubjectName::Dns(name) => GeneralSubtree::DnsName(name.as_str().trim_start_matches("*.").to_owned()),
    };
    NameConstraints { permitted_subtrees: names.iter().map(subtree).collect(), excluded_subtrees: Vec::new() }
}
