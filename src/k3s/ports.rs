//! The TCP ports that k3s and sshd take on a node, whoever else would listen there.
//!
//! What listens was read off a server (k3s#9723, k3s#8508) and in the documentation's table of ports; that the service
//! load balancer takes a port from a server that listens there already, in k3s#383 and k3s#2403.

use super::Settings;

/// Those of every node, each with who listens.
const EVERYWHERE: [(u16, &str); 7] = [
    (22, "sshd"),
    (6444, "k3s' balancer"),
    (10010, "containerd"),
    (10248, "the kubelet"),
    (10249, "kube-proxy"),
    (10250, "the kubelet"),
    (10256, "kube-proxy"),
];

/// Those of servers, each with who listens; etcd's are kept for the day when a second server joins.
const ON_SERVERS: [(u16, &str); 8] = [
    (2379, "etcd"),
    (2380, "etcd"),
    (2381, "etcd"),
    (2382, "etcd"),
    (10257, "the controller manager"),
    (10258, "the cloud controller"),
    (10259, "the scheduler"),
    (10260, "the cloud controller"),
];

/// What [`super::Settings`] call the range of ports that services take on all nodes, and its default.
const NODE_PORTS: (&str, &str) = ("service-node-port-range", "30000-32767");

/// The port that the embedded registry listens on.
const EMBEDDED: u16 = 5001;

/// Returns who listens on a port of a server or an agent, if one of them does; `config` is that of the servers.
pub fn listener(port: u16, is_server: bool, config: &Settings) -> Option<&'static str> {
    let has_embedded = config.get("embedded-registry").is_some_and(|value| *value == true);
    let embedded = has_embedded.then_some((EMBEDDED, "k3s' embedded registry"));
    let supervisor = config.api_port().ok().map(|port| (port, "k3s' supervisor and the API server"));
    let servers = ON_SERVERS.iter().chain(&supervisor).filter(|_| is_server);
    let mut known = EVERYWHERE.iter().chain(servers).chain(&embedded);
    known.find(|(known, _)| *known == port).map(|(_, who)| *who)
}

/// Returns what packets to a port of any node may be led to instead of to who listens there, if to anything.
pub fn diversion(port: u16, config: &Settings) -> Option<&'static str> {
    let disabled = config.texts("disable");
    let has_balancer = !["traefik", "servicelb"].iter().any(|name| disabled.contains(name));
    let range = config.texts(NODE_PORTS.0).first().copied().unwrap_or(NODE_PORTS.1);
    let is_of_services = range.split_once('-').is_some_and(|(first, last)| {
        first.parse().is_ok_and(|first| port >= first) && last.parse().is_ok_and(|last| port <= last)
    });
    match port {
        80 | 443 if has_balancer => Some("Traefik, through k3s' service load balancer"),
        _ if is_of_services => Some("a service: this is among the ports that k3s gives to them"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn servers_have_more_ports_than_agents() {
        let mut config = Settings::default();
        for (port, on_server, on_agent) in [
            (6443, Some("k3s' supervisor and the API server"), None),
            (2380, Some("etcd"), None),
            (10250, Some("the kubelet"), Some("the kubelet")),
            (5000, None, None),
            (5001, None, None),
        ] {
            assert_eq!(listener(port, true, &config), on_server, "{port}");
            assert_eq!(listener(port, false, &config), on_agent, "{port}");
        }
        config.insert("embedded-registry".to_owned(), true.into()).unwrap();
        config.insert("https-listen-port".to_owned(), 5000.into()).unwrap();
        assert_eq!(listener(6443, true, &config), None);
        assert_eq!(listener(5000, true, &config), Some("k3s' supervisor and the API server"));
        assert_eq!(listener(5001, false, &config), Some("k3s' embedded registry"));
    }

    #[test]
    fn services_take_ports_from_who_listens_there() {
        let mut config = Settings::default();
        assert!([80, 443, 30000, 32767].iter().all(|port| diversion(*port, &config).is_some()));
        assert!([81, 5000, 29999, 32768].iter().all(|port| diversion(*port, &config).is_none()));
        config.insert("disable".to_owned(), json!(["coredns", "servicelb,metrics-server"])).unwrap();
        config.insert("service-node-port-range".to_owned(), "5000-5010".into()).unwrap();
        assert!([80, 443, 30000].iter().all(|port| diversion(*port, &config).is_none()));
        assert!(diversion(5000, &config).is_some());
    }
}
