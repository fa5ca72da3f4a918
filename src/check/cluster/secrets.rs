//! Where secrets are, and what a clock that is behind would break.

use super::leaks;
use crate::check::kit::{Kit, Node, statements};
use crate::check::ordering::enabled;
use crate::check::verdict::Verdict;
use crate::k3s;
use crate::pki::CertificateView;
use crate::spec::Role;
use crate::yaml;

const FILE: &str = "/etc/rancher/k3s/config.yaml";
/// Files that only root may read.
const PRIVATE: [&str; 3] = [FILE, "/etc/rancher/k3s/registries.yaml", "/etc/rancher/node/password"];
/// What waits for a clock that nobody sets.
const WAITING: [&str; 3] = ["systemd-time-wait-sync.service", "chrony-wait.service", "time-sync.target"];
const DAY: i64 = 24 * 60 * 60;

/// SK0504
pub(super) fn are_in_their_place(kit: &Kit, verdict: &mut Verdict) {
    let token_of = |node: &Node, key: &str| node.k3s_config().and_then(|config| config.text_at(&[key]));
    let password = |token: &str| token.rsplit_once(':').map_or(token, |(_, password)| password).to_owned();
    let agent: Vec<String> = kit
        .servers()
        .filter_map(|node| token_of(node, "agent-token"))
        .map(|token| password(&token))
        .collect();
    // With one token for both, there is none to keep from the agents.
    let server: Vec<String> = kit
        .servers()
        .filter_map(|node| token_of(node, "token"))
        .map(|token| password(&token))
        .filter(|token| token.len() >= 8 && !agent.is_empty() && !agent.contains(token))
        .collect();
    let settings = kit.nodes.iter().flat_map(secret_settings);
    let settings = settings.map(|value| ("a secret setting of k3s", value));
    let tokens = server.iter().chain(&agent).map(|token| ("a token of the cluster", token.clone()));
    let configured: Vec<(&str, String)> = tokens.chain(settings).collect();
    for node in &kit.nodes {
        if node.role == Role::Agent {
            for (place, text) in texts(node) {
                if server.iter().any(|token| text.contains(token.as_str())) {
                    verdict.fault(&node.seed, place, "the servers' token is in an agent's seed");
                }
            }
            let keys = node.files.keys().filter(|path| {
                path.starts_with("/var/lib/rancher/k3s/server/tls/") && path.ends_with(".key")
            });
            for path in keys {
                verdict.fault(&node.seed, path, "a key of the cluster's authorities is in an agent's seed");
            }
        }
        for path in PRIVATE {
            let mode = node.files.get(path).and_then(|file| file.mode.as_deref());
            if let Some(mode) = mode.filter(|mode| !mode.ends_with("00")) {
                verdict.fault(&node.seed, path, format!("its mode is {mode}: others than root may read it"));
            }
        }
        let tokens = [server.clone(), agent.clone()].concat();
        leaks::find(kit, node, &configured, verdict);
        shown(node, &tokens, verdict);
    }
}

/// Returns the values in a node's `config.yaml` that are secrets, but for its tokens.
fn secret_settings(node: &Node) -> Vec<String> {
    let Some(config) = node.k3s_config() else { return Vec::new() };
    let values = config.entries().iter().flat_map(|(key, value)| {
        let values = value.items().iter().chain([value]).filter_map(yaml::Node::text);
        values.filter(|value| k3s::is_secret(&key.name, value))
    });
    values.collect()
}

/// Returns every text of a seed with its place.
fn texts(node: &Node) -> Vec<(String, String)> {
    let files = node
        .files
        .values()
        .filter_map(|file| Some((file.place.clone(), file.text.as_ref()?.text().into_owned())));
    let own = [("meta-data", Some(&node.meta_data)), ("network-config", node.network_config.as_ref())];
    let own = own.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.text().into_owned())));
    let commands = node.commands.iter().map(|command| {
        let words: Vec<String> =
            command.statements().into_iter().flat_map(|statement| statement.words).collect();
        (command.place.clone(), words.join(" "))
    });
    files.chain(own).chain(commands).collect()
}

/// Tokens on a command line are in every list of processes.
fn shown(node: &Node, tokens: &[String], verdict: &mut Verdict) {
    let has_token = |text: &str| tokens.iter().any(|token| token.len() >= 8 && text.contains(token.as_str()));
    let is_told = |words: &[String]| {
        words.iter().any(|word| {
            ["--token", "--agent-token"]
                .iter()
                .any(|flag| word == flag || word.starts_with(&format!("{flag}=")))
        })
    };
    for (name, unit) in &node.units {
        for (key, command) in unit.commands() {
            let words: Vec<String> = statements(command).into_iter().flat_map(|one| one.words).collect();
            if has_token(command) || is_told(&words) {
                verdict.fault(&node.seed, format!("{name}: {key}="), "a token is on the command line");
            }
        }
    }
    for command in &node.commands {
        let words: Vec<String> = command.statements().into_iter().flat_map(|one| one.words).collect();
        if is_told(&words) {
            verdict.fault(&node.seed, &command.place, "a token is on the command line");
        }
    }
}

/// SK0508
pub(super) fn clocks(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for (unit, place) in enabled(node) {
            if WAITING.contains(&unit.as_str()) {
                verdict.fault(
                    &node.seed,
                    place,
                    format!("it enables `{unit}`, which ends when somebody has set the clock"),
                );
            }
        }
        for (name, unit) in &node.units {
            for key in ["After", "Requires"] {
                if let Some(other) = unit.words("Unit", key).into_iter().find(|other| WAITING.contains(other))
                {
                    verdict.fault(&node.seed, format!("{name}: {key}="), format!("it waits for `{other}`"));
                }
            }
        }
        for (path, file) in
            node.files.iter().filter(|(path, _)| path.starts_with("/var/lib/rancher/k3s/server/tls/"))
        {
            let text = file.text.as_ref().filter(|_| path.ends_with(".crt"));
            let views = text.map(|text| CertificateView::bundle_from_pem(&text.text()).unwrap_or_default());
            if views.into_iter().flatten().any(|view| view.not_before() > kit.now - DAY) {
                verdict.fault(
                    &node.seed,
                    &file.place,
                    "it began less than a day ago: to a clock that is behind it is of the future",
                );
                verdict.only_today();
            }
        }
    }
}
