//! What the value of a flag has to be. k3s does not start with another one, and says so on the node alone.

use serde::Deserialize;
use serde_json::Value;

use crate::net::{self, Cidr, Host, RegistryHost};

/// What a value has to be; the flags of each are in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Switch,
    Number,
    Port,
    Ports,
    Address,
    Network,
    Host,
    Registry,
    Path,
    Mode,
    Argument,
    Label,
    Taint,
    Backend,
}

impl Kind {
    /// Says what a value of this kind is.
    fn expected(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Number => "a number",
            Self::Port => "a port",
            Self::Ports => "a range of ports such as 30000-32767",
            Self::Address => "an IP address",
            Self::Network => "an address with a prefix, such as 192.168.6.10/24",
            Self::Host => "an IP address or a DNS name",
            Self::Registry => "a registry: write host or host:port, without scheme and path",
            Self::Path => "an absolute path",
            Self::Mode => "a mode of three or four octal digits",
            Self::Argument => "an argument: write name=value",
            Self::Label => "a label: write name=value",
            Self::Taint => "a taint: write name=value:NoSchedule, PreferNoSchedule or NoExecute",
            Self::Backend => "a backend of flannel: vxlan, host-gw, wireguard-native, tailscale or none",
        }
    }

    fn fits(self, text: &str) -> bool {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
        match self {
            // As Go reads it.
            Self::Switch => ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"]
                .contains(&text),
            Self::Number => text.parse::<i64>().is_ok(),
            Self::Port => port(text).is_some(),
            Self::Ports => text.split_once('-').is_some_and(|(first, last)| {
                port(first).is_some_and(|first| port(last).is_some_and(|last| first <= last))
            }),
            Self::Address => net::address(text).is_ok(),
            Self::Network => text.parse::<Cidr>().is_ok(),
            Self::Host => text.parse::<Host>().is_ok(),
            Self::Registry => text.parse::<RegistryHost>().is_ok(),
            Self::Path => text.starts_with('/'),
            Self::Mode => matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7')),
            // `--` before it is taken off; without a value it is a switch.
            Self::Argument => {
                let name = text.split('=').next().unwrap_or_default().trim_start_matches('-');
                !name.is_empty() && !name.contains(char::is_whitespace)
            }
            Self::Label => text.split_once('=').is_some_and(|(name, value)| is_label(name, value)),
            Self::Taint => text.rsplit_once(':').is_some_and(|(pair, effect)| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                is_label(name, value) && ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect)
            }),
            Self::Backend => ["vxlan", "host-gw", "wireguard-native", "tailscale", "none"].contains(&text),
        }
    }

    /// Returns whether k3s takes a text with commas for several values.
    fn is_listed(self) -> bool {
        match self {
            Self::Address | Self::Network | Self::Host | Self::Label | Self::Taint => true,
            Self::Switch | Self::Number | Self::Port | Self::Ports | Self::Registry => false,
            Self::Path | Self::Mode | Self::Argument | Self::Backend => false,
        }
    }
}

/// Whether Kubernetes takes a name, perhaps with a domain before it, and a value for it.
fn is_label(name: &str, value: &str) -> bool {
    let is_plain = |text: &str| {
        text.len() <= 63
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.ends_with(|last: char| last.is_ascii_alphanumeric())
    };
    let (domain, own) = name.rsplit_once('/').unwrap_or(("kubernetes.io", name));
    is_plain(own) && (value.is_empty() || is_plain(value)) && matches!(domain.parse(), Ok(Host::Name(_)))
}

/// Says which part of the value of a flag k3s does not take, and what it wants: `x` is not a number.
pub fn misfit(flag: &str, value: &Value) -> Option<String> {
    let kind = super::TABLE.values.iter().find(|(_, flags)| flags.contains(flag)).map(|(kind, _)| *kind)?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        // That a flag has one value or a list of them is said elsewhere.
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let parts: Vec<&str> =
        if kind.is_listed() { text.split(',').map(str::trim).collect() } else { vec![&text] };
    let misfit = parts.into_iter().find(|part| !kind.fits(part))?;
    Some(net::Invalid::new(misfit, kind.expected()).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k3s::{Known, TABLE, known, refuse_own};

    #[test]
    fn a_flag_has_a_value_that_k3s_takes() {
        for (flag, good, bad) in [
            ("secrets-encryption", json!(true), json!("yes")),
            ("etcd-snapshot-retention", json!(5), json!("many")),
            ("lb-server-port", json!(6444), json!(0)),
            ("service-node-port-range", json!("30000-32767"), json!("32767-30000")),
            ("node-external-ip", json!("192.168.6.1, fd00::1"), json!("192.168.6.1,nope")),
            ("cluster-cidr", json!("10.42.0.0/16"), json!("10.42.0.0")),
            ("tls-san", json!("k3s.lan,192.168.6.1"), json!("https://k3s.lan")),
            ("system-default-registry", json!("192.168.6.1:5000"), json!("https://192.168.6.1:5000")),
            ("resolv-conf", json!("/etc/k3s-resolv.conf"), json!("etc/resolv.conf")),
            ("write-kubeconfig-mode", json!(644), json!("0999")),
            ("kubelet-arg", json!("--max-pods=200"), json!("--max-pods 200")),
            ("node-label", json!("example.com/tier=worker"), json!("tier=a=b")),
            ("node-label", json!("tier=worker,zone=a"), json!("tier=worker,zone")),
            ("node-taint", json!("tier:NoSchedule"), json!("tier=worker:Sometimes")),
            ("flannel-backend", json!("host-gw"), json!("vxlam")),
            ("snapshotter", json!("anything"), json!({})),
        ] {
            assert_eq!(misfit(flag, &good), None, "{flag}");
            assert!(bad.is_object() || misfit(flag, &bad).is_some(), "{flag}");
        }
        assert_eq!(misfit("v", &json!("x")), Some("`x` is not a number".to_owned()));
    }

    #[test]
    fn every_flag_with_a_kind_is_one_that_a_spec_may_set() {
        for flag in TABLE.values.values().flatten() {
            assert!(known(flag) != Known::Nowhere && refuse_own(flag).is_ok(), "{flag}");
        }
    }
}
