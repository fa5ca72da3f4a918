//! The names a certificate vouches for: an address or a DNS name, never a mix of the two.

use std::net::IpAddr;
use std::str::FromStr;

/// What a client connects to, and what it therefore looks for in the certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub enum SubjectName {
    /// An address; only an IP SAN covers it. An IPv4 address mapped into IPv6 is kept as IPv4.
    Ip(IpAddr),
    /// A host name; only a DNS SAN covers it.
    #[display("{}", _0.0)]
    Dns(DnsName),
}

/// A host name in lower case: letters, digits and hyphens, perhaps with a leading `*` label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsName(String);

/// Says why a text is neither an address nor a host name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an IP address or host name: {reason}")]
pub struct InvalidName {
    text: String,
    reason: &'static str,
}

impl FromStr for SubjectName {
    type Err = InvalidName;

    /// Reads `192.168.6.1`, `fd00::1`, `[fd00::1]`, `registry.lan` or `*.registry.lan`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |reason| Err(InvalidName { text: text.chars().take(80).collect(), reason });
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::from(address));
        }
        if let Some(inner) = text.strip_prefix('[') {
            return match inner.strip_suffix(']').map(str::parse::<std::net::Ipv6Addr>) {
                Some(Ok(address)) => Ok(Self::from(IpAddr::V6(address))),
                Some(Err(_)) | None => invalid("brackets hold an IPv6 address and nothing follows them"),
            };
        }
        match check_host_name(text) {
            Ok(()) => Ok(Self::Dns(DnsName(text.to_ascii_lowercase()))),
            Err(reason) => invalid(reason),
        }
    }
}

impl From<IpAddr> for SubjectName {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }
}

impl DnsName {
    /// Returns the name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a certificate for `self` is one for `other`: `*` stands for exactly one label (RFC 9525).
    pub fn covers(&self, other: &Self) -> bool {
        let Some(parent) = self.0.strip_prefix("*.") else { return self == other };
        self == other || other.0.split_once('.').is_some_and(|(label, rest)| label != "*" && rest == parent)
    }
}

/// Applies RFC 1123 section 2.1, and what Go and OpenSSL both demand of wildcards.
fn check_host_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > 253 {
        return Err("it has more than 253 characters");
    }
    if !text.is_ascii() {
        return Err("write it in its ASCII form, which begins with `xn--`");
    }
    if text.contains(':') {
        return Err("it has a port or a scheme, or is not a valid IPv6 address");
    }
    let host = text.strip_prefix("*.").unwrap_or(text);
    if host.len() < text.len() && !host.contains('.') {
        return Err("`*.` needs two labels after it: OpenSSL takes no wider wildcard");
    }
    for label in host.split('.') {
        check_label(label)?;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("its last label is a number, as in an address");
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("it has an empty label");
    }
    if label.len() > 63 {
        return Err("it has a label of more than 63 characters");
    }
    if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("a label has only letters, digits and hyphens; `*` stands alone and first");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label begins and ends with a letter or digit");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SubjectName {
        text.parse().unwrap()
    }

    #[test]
    fn names_have_one_written_form() {
        for (text, canonical) in [
            ("192.168.6.1", "192.168.6.1"),
            ("[::1]", "::1"),
            ("FD00:0::1", "fd00::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("Registry.LAN", "registry.lan"),
            ("*.Mirror.lan", "*.mirror.lan"),
            ("localhost", "localhost"),
            ("xn--9t4b11yi5a.kr", "xn--9t4b11yi5a.kr"),
            ("1password.example", "1password.example"),
        ] {
            assert_eq!(name(text).to_string(), canonical);
        }
        assert!(matches!(name("10.0.0.1"), SubjectName::Ip(_)) && matches!(name("a"), SubjectName::Dns(_)));
    }

    #[test]
    fn what_no_client_could_connect_to_is_refused() {
        let (long_label, long_name) = ("x".repeat(64), "abc.".repeat(63) + "de");
        for text in [
            "",
            " ",
            "192.168.6.300",
            "1.2.3",
            "42",
            "10.0.0.1/24",
            "10.0.0.1:5000",
            "registry.lan:5000",
            "https://registry.lan",
            "[::1]:5000",
            "[::1",
            "[10.0.0.1]",
            "fe80::1%eth0",
            "registry.lan.",
            ".lan",
            "a..b",
            "-a.lan",
            "a-.lan",
            "my_registry.lan",
            "레지스트리.kr",
            "*",
            "*.lan",
            "a.*.lan",
            "r*.mirror.lan",
            "*.*.mirror.lan",
            "a b.lan",
            "a\n.lan",
            "a\0.lan",
            &long_label,
            &long_name,
        ] {
            assert!(text.parse::<SubjectName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let covers = |pattern: &str, host: &str| match (name(pattern), name(host)) {
            (SubjectName::Dns(pattern), SubjectName::Dns(host)) => pattern.covers(&host),
            _ => panic!("{pattern} and {host} are host names"),
        };
        assert!(covers("*.mirror.lan", "a.mirror.lan"));
        assert!(covers("*.mirror.lan", "*.mirror.lan"));
        assert!(covers("a.mirror.lan", "A.Mirror.lan"));
        for host in ["mirror.lan", "a.b.mirror.lan", "amirror.lan", "b.lan"] {
            assert!(!covers("*.mirror.lan", host), "{host}");
        }
        assert!(!covers("a.mirror.lan", "*.mirror.lan"));
    }
}
