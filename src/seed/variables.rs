//! The variables that templates see.

use serde_json::{Map, Value, json};

use super::{Membership, NodeSeed, Peer, Registry};
use crate::k3s::Mirror;

/// Where the node keeps the certificate of the registry's authority.
pub(super) const REGISTRY_CA: &str = "/etc/rancher/k3s/registry-ca.crt";

/// Units of Debian and Ubuntu that look for something in the network, now and then.
const NETWORK_USERS: [&str; 9] = [
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "apt-news.service",
    "esm-cache.service",
    "fwupd-refresh.timer",
    "motd-news.timer",
    "ua-timer.timer",
    "unattended-upgrades.service",
    "update-notifier-download.timer",
];

/// Every unit that a seed of this or an earlier version may have written: what a new seed has not is removed.
pub(super) const UNITS_EVER: [&str; 7] = [
    "k3s-agent-bootstrap.service",
    "k3s-agent.service",
    "k3s-bootstrap.service",
    "k3s.service",
    "k8s-ops-packages.service",
    "seedkit-clock.service",
    "seedkit-stage.service",
];

/// Returns all variables but `files`, `units`, `stale_units` and `seed.instance_id`, which are known later.
pub(super) fn of(seed: &NodeSeed) -> Value {
    let NodeSeed {
        cluster,
        flavour,
        node,
        nodes,
        hosts,
        ssh,
        timezone,
        ntp,
        k3s,
        registry,
        payload: _,
        images: _,
        ops,
        epoch,
    } = seed;
    let address = node.address.address();
    let default_route = if address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    let console_password = ssh.console_password.as_ref().map(|hash| hash.text().expose_line());
    let keys: Vec<_> = ssh.authorized_keys.iter().map(|key| key.as_str()).collect();
    json!({
        "cluster": {"name": cluster},
        "flavour": flavour.name(),
        "node": {
            "name": node.name.as_str(),
            "role": k3s.membership.role(),
            "marker": k3s.membership.marker(),
            "address": address,
            "cidr": node.address.to_string(),
            "gateway": node.gateway,
            "default_route": default_route,
            "nameservers": node.nameservers,
            "mac": node.card.mac().map(|mac| mac.to_string()),
            "interface": node.card.interface(),
            "disk": node.disk,
            "values": node.values,
        },
        "nodes": peers(nodes),
        "ssh": {"user": ssh.user, "authorized_keys": keys, "console_password": console_password},
        "hosts": hosts.iter().map(|(name, address)| json!({"name": name, "address": address})).collect::<Vec<_>>(),
        "timezone": timezone,
        "ntp": ntp.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "quiet_units": NETWORK_USERS,
        "k3s": {
            "unit": k3s.membership.unit(),
            "completion_unit": k3s.membership.completion_unit(),
            "config": configuration(seed),
            "others": peers(k3s.membership.others()),
            "port": k3s.api_port,
        },
        "registry": registry_variables(registry),
        "ops": ops.as_ref().map(|ops| json!({"name": ops.name, "archive": ops.archive.destination.as_str()})),
        "seed": {"epoch": epoch.seconds(), "date": epoch.to_string()},
    })
}

fn peers(peers: &[Peer]) -> Vec<Value> {
    peers.iter().map(|peer| json!({"name": peer.name.as_str(), "address": peer.address})).collect()
}

fn registry_variables(registry: &Registry) -> Value {
    let Registry { address, mirrors, ca_pem: _, auth, disable_default_endpoint: _ } = registry;
    let mirror = |Mirror { host, rewrites }: &Mirror| json!({"host": host, "rewrite": rewrites});
    let auth =
        auth.as_ref().map(|auth| json!({"username": auth.username, "password": auth.password.expose_line()}));
    json!({
        "address": address.to_string(),
        "endpoint": format!("https://{address}"),
        "ca_file": REGISTRY_CA,
        "mirrors": mirrors.iter().map(mirror).collect::<Vec<_>>(),
        "auth": auth,
    })
}

/// Returns the content of `config.yaml`: our keys first, then the user's in their order.
fn configuration(seed: &NodeSeed) -> Map<String, Value> {
    let mut configuration = Map::new();
    let mut set = |key: &str, value: Value| configuration.insert(key.to_owned(), value);
    set("node-name", json!(seed.node.name.as_str()));
    set("node-ip", json!(seed.node.address.address()));
    match &seed.k3s.membership {
        Membership::FirstServer { token, agent_token, cluster_init, others: _, authorities: _ } => {
            set("token", json!(token.expose_line()));
            set("agent-token", json!(agent_token.expose_line()));
            if *cluster_init {
                set("cluster-init", json!(true));
            }
        }
        Membership::Server { server_url, token, agent_token } => {
            set("server", json!(server_url));
            set("token", json!(token.expose_line()));
            set("agent-token", json!(agent_token.expose_line()));
        }
        Membership::Agent { server_url, agent_token } => {
            set("server", json!(server_url));
            set("token", json!(agent_token.expose_line()));
        }
    }
    if seed.registry.disable_default_endpoint {
        set("disable-default-registry-endpoint", json!(true));
    }
    configuration.extend(seed.k3s.config.as_map().clone());
    let secrets = seed.k3s.secret_config.iter();
    configuration.extend(secrets.map(|(key, value)| (key.clone(), json!(value.expose_line()))));
    configuration
}
