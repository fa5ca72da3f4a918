//! Where a server may send the client.

use std::net::IpAddr;

use reqwest::Url;

/// Returns whether a status sends the client elsewhere.
pub(super) fn is_one(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Returns where a redirect leads, if the client may go there; an error says where it leads instead.
pub(super) fn target(from: &Url, location: Option<&str>) -> Result<Url, String> {
    let next = location.and_then(|location| from.join(location).ok()).ok_or(", but not to a URL")?;
    may_lead_to(from, &next).map_err(|address| format!(" to {address}"))?;
    match (from.scheme(), next.scheme()) {
        ("http", "http") | (_, "https") => Ok(next),
        ("https", "http") => {
            Err(format!(" from https to plain http at {}", next.host_str().unwrap_or_default()))
        }
        _ => Err(" to something other than http".to_owned()),
    }
}

/// Refuses a server's word that something is at a link-local address, unless it is at one itself: what listens there is
/// this machine's own, such as a cloud's metadata service.
pub(super) fn may_lead_to(from: &Url, to: &Url) -> Result<(), String> {
    let link_local = |url: &Url| {
        let address = url.host_str()?.trim_matches(['[', ']']).parse::<IpAddr>().ok()?.to_canonical();
        let is_link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        is_link_local.then_some(address)
    };
    match link_local(to) {
        Some(address) if link_local(from).is_none() => Err(format!("the link-local address {address}")),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_from_elsewhere_to_a_link_local_address() {
        let may = |from: &str, to: &str| may_lead_to(&from.parse().unwrap(), &to.parse().unwrap()).is_ok();
        for to in [
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.1.1:8080/",
            "https://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://2852039166/",
        ] {
            assert!(!may("http://registry.lan/v2/", to), "{to}");
            assert!(may("http://169.254.10.1:5000/v2/", to), "{to}");
        }
        for to in [
            "https://10.0.0.1/",
            "http://127.0.0.1:5000/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://cdn.lan/",
        ] {
            assert!(may("http://registry.lan/v2/", to), "{to}");
        }
    }
}
