//! Tokens: their form, and whether they are those of the servers.

use std::collections::BTreeSet;

use super::secrets::password;
use crate::check::kit::{K3S_CONFIG, Kit, Node};
use crate::check::seed::network::{is_server, joined};
use crate::check::verdict::{Found, Verdict};
use crate::digest::Digest;
use crate::k3s::{API_PORT, API_PORT_KEY};
use crate::spec::Role;
use crate::yaml;

/// The certificate that a full token names; several in it are named by the last one's digest.
const AUTHORITY: &str = "/var/lib/rancher/k3s/server/tls/server-ca.crt";

/// SK0502
pub(in crate::check) fn have_a_form(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    for key in ["token", "agent-token"] {
        let Some(token) = node.setting_text(key) else { continue };
        let place = format!("{K3S_CONFIG}: {key}");
        if let Some(what) = misshapen(&token, node.is_server()) {
            found.fault(place, what);
        } else if let Some(hash) = hash_of(&token) {
            let known = authorities(kit);
            if !known.is_empty() && !known.contains(hash) {
                found.fault(place, "the hash in it is not that of the cluster's CA in the seeds");
            }
        }
    }
}

/// Says what is wrong with a token's form, without showing it.
fn misshapen(token: &str, is_server: bool) -> Option<&'static str> {
    if token.is_empty() {
        return None;
    }
    let is_of = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if token.split_once('.').is_some_and(|(id, secret)| is_of(id, 6) && is_of(secret, 16)) {
        return is_server.then_some("it has the form of a bootstrap token, which a server does not take");
    }
    let Some(rest) = token.strip_prefix("K10") else {
        let is_odd = token.contains("::") || token.contains(char::is_whitespace);
        return is_odd.then_some("it has `::` or a blank in it, and does not begin with K10");
    };
    let Some((hash, credentials)) = rest.split_once("::") else {
        return Some("it begins with K10 and has no `::`");
    };
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("it begins with K10, and what follows is not a hash of 64 hex digits");
    }
    let is_whole =
        credentials.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty());
    (!is_whole).then_some("it has no user and password after the hash")
}

fn hash_of(token: &str) -> Option<&str> {
    token.strip_prefix("K10")?.split_once("::").map(|(hash, _)| hash)
}

/// Returns the hashes that a token of this cluster may name.
fn authorities(kit: &Kit) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for text in kit.nodes.iter().filter_map(|node| node.text(AUTHORITY)) {
        let views = text.certificates();
        known.insert(Digest::sha256(&text.bytes).hex().to_owned());
        known.extend(views.last().filter(|_| views.len() > 1).map(|root| root.digest().hex().to_owned()));
    }
    known
}

/// SK0503
pub(in crate::check) fn fit_servers(kit: &Kit, verdict: &mut Verdict) {
    let of_servers = |key: &str| -> BTreeSet<String> {
        kit.servers().filter_map(|node| node.setting_text(key)).map(|token| password(&token)).collect()
    };
    let (server_tokens, agent_tokens) = (of_servers("token"), of_servers("agent-token"));
    if server_tokens.len() > 1 {
        let what = "the servers do not have the same token";
        verdict.of(kit.first_server()).fault(format!("{K3S_CONFIG}: token"), what);
    }
    for node in kit.nodes.iter().filter(|node| node.k3s_config.is_some()) {
        let mut found = verdict.of(&node.seed);
        match node.setting_text("token") {
            None => found.fault(K3S_CONFIG, "it has no token"),
            Some(token) if node.role == Role::Agent => {
                let known = if agent_tokens.is_empty() { &server_tokens } else { &agent_tokens };
                let own = password(&token);
                // The servers' own token in an agent's hands is a leak, which is another row.
                if !known.is_empty() && !known.contains(&own) && !server_tokens.contains(&own) {
                    let what = "it is not the token that the servers expect of agents";
                    found.fault(format!("{K3S_CONFIG}: token"), what);
                }
            }
            Some(_) => {}
        }
        match node.setting("server") {
            None if node.role == Role::Agent => found.fault(K3S_CONFIG, "an agent has no `server` to join"),
            None => {}
            Some(url) => {
                if let Some(what) = leads_elsewhere(kit, node, url) {
                    found.fault(format!("{K3S_CONFIG}: server"), what);
                }
            }
        }
    }
}

/// Says why what a node joins is not one of the servers.
fn leads_elsewhere(kit: &Kit, node: &Node, url: &yaml::Node) -> Option<String> {
    let Some((host, port)) = joined(node) else {
        // What is no address at all may be a token in the wrong place.
        let written = url.text().filter(|text| text.contains("://"));
        let named = written.map_or_else(|| "it".to_owned(), |text| format!("`{text}`"));
        return Some(format!("{named} is not an https:// address"));
    };
    let told = kit.servers().find_map(|node| node.setting_text(API_PORT_KEY));
    let wanted = told.unwrap_or_else(|| API_PORT.to_string());
    if port != wanted {
        return Some(format!("port {port} of {host} is not k3s' port {wanted}"));
    }
    let is_strange = kit.servers().next().is_some() && !is_server(kit, &host);
    is_strange.then(|| format!("`{host}` is not an address of a server, and not in tls-san"))
}
