//! Tokens: their form, and whether they are those of the servers.

use std::collections::BTreeSet;

use crate::check::kit::{Kit, Node};
use crate::check::seed::network::{is_server, joined};
use crate::check::verdict::Verdict;
use crate::digest::Digest;
use crate::spec::Role;

const FILE: &str = "/etc/rancher/k3s/config.yaml";
/// The certificate that a full token names; several in it are named by the last one's digest.
const AUTHORITY: &str = "/var/lib/rancher/k3s/server/tls/server-ca.crt";
/// The port at which servers are asked.
const PORT: &str = "6443";

/// Returns a value of k3s' configuration as a text.
fn value(node: &Node, key: &str) -> Option<String> {
    node.k3s_config()?.text_at(&[key])
}

/// SK0502
pub(super) fn have_a_form(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let is_server = node.role == Role::Server;
        for key in ["token", "agent-token"] {
            let Some(token) = value(node, key) else { continue };
            if let Some(what) = misshapen(&token, is_server) {
                verdict.fault(&node.seed, format!("{FILE}: {key}"), what);
            } else if let Some(hash) = hash_of(&token) {
                let known = authorities(kit);
                if !known.is_empty() && !known.contains(hash) {
                    let what = "the hash in it is not that of the cluster's CA in the seeds";
                    verdict.fault(&node.seed, format!("{FILE}: {key}"), what);
                }
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
    let files = kit.nodes.iter().filter_map(|node| node.files.get(AUTHORITY)?.text.as_ref());
    let mut known = BTreeSet::new();
    for text in files {
        let views = crate::pki::CertificateView::bundle_from_pem(&text.text()).unwrap_or_default();
        known.insert(Digest::sha256(&text.bytes).hex().to_owned());
        known.extend(views.last().filter(|_| views.len() > 1).map(|root| root.digest().hex().to_owned()));
    }
    known
}

/// SK0503
pub(super) fn fit_servers(kit: &Kit, verdict: &mut Verdict) {
    let secret = |token: &str| token.rsplit_once(':').map_or(token, |(_, password)| password).to_owned();
    let of_servers = |key: &str| -> BTreeSet<String> {
        kit.servers().filter_map(|node| value(node, key)).map(|token| secret(&token)).collect()
    };
    let (server_tokens, agent_tokens) = (of_servers("token"), of_servers("agent-token"));
    if server_tokens.len() > 1 {
        let seed = kit.servers().next().map(|node| node.seed.clone()).unwrap_or_default();
        verdict.fault(&seed, format!("{FILE}: token"), "the servers do not have the same token");
    }
    for node in &kit.nodes {
        let config = node.k3s_config();
        let Some(config) = config else { continue };
        match value(node, "token") {
            None => verdict.fault(&node.seed, FILE, "it has no token"),
            Some(token) if node.role == Role::Agent => {
                let known = if agent_tokens.is_empty() { &server_tokens } else { &agent_tokens };
                let own = secret(&token);
                // The servers' own token in an agent's hands is a leak, which is another row.
                if !known.is_empty() && !known.contains(&own) && !server_tokens.contains(&own) {
                    verdict.fault(
                        &node.seed,
                        format!("{FILE}: token"),
                        "it is not the token that the servers expect of agents",
                    );
                }
            }
            Some(_) => {}
        }
        match (config.at(&["server"]), joined(node)) {
            (None, _) if node.role == Role::Agent => {
                verdict.fault(&node.seed, FILE, "an agent has no `server` to join")
            }
            (Some(url), None) => {
                let what = format!("`{}` is not an https:// address", url.text().unwrap_or_default());
                verdict.fault(&node.seed, format!("{FILE}: server"), what);
            }
            (Some(_), Some((host, port)))
                if port != PORT && value_of_servers(kit, "https-listen-port").as_deref() != Some(&port) =>
            {
                verdict.fault(
                    &node.seed,
                    format!("{FILE}: server"),
                    format!("port {port} of {host} is not k3s' port {PORT}"),
                );
            }
            (Some(_), Some((host, _))) if kit.servers().next().is_some() && !is_server(kit, &host) => {
                verdict.fault(
                    &node.seed,
                    format!("{FILE}: server"),
                    format!("`{host}` is not an address of a server, and not in tls-san"),
                );
            }
            (None | Some(_), None | Some(_)) => {}
        }
    }
}

fn value_of_servers(kit: &Kit, key: &str) -> Option<String> {
    kit.servers().find_map(|node| value(node, key))
}
