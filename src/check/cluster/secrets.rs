//! Where secrets are, and what a clock that is behind would break.

use super::leaks;
use crate::check::kit::{AUTHORITIES, K3S_CONFIG, Kit, KnownSecret, Node, REGISTRIES, Text, statements};
use crate::check::ordering::enabled;
use crate::check::verdict::{Found, Verdict};
use crate::k3s;
use crate::spec::Role;
use crate::yaml;

/// Files that only root may read.
const PRIVATE: [&str; 3] = [K3S_CONFIG, REGISTRIES, "/etc/rancher/node/password"];
/// What waits for a clock that nobody sets.
const WAITING: [&str; 3] = ["systemd-time-wait-sync.service", "chrony-wait.service", "time-sync.target"];
const DAY: i64 = 24 * 60 * 60;

/// SK0504
pub(in crate::check) fn are_in_their_place(kit: &Kit, verdict: &mut Verdict) {
    let passwords = |key: &str| -> Vec<String> {
        kit.servers().filter_map(|node| node.setting_text(key)).map(|token| password(&token)).collect()
    };
    let agent = passwords("agent-token");
    // With one token for both, there is none to keep from the agents.
    let mut server = passwords("token");
    server.retain(|token| token.len() >= 8 && !agent.is_empty() && !agent.contains(token));
    let tokens = [server.clone(), agent].concat();
    let called = |name: &str, text: String| KnownSecret {
        name: name.to_owned(),
        text: text.into(),
        is_for_no_node: false,
    };
    let settings = kit.nodes.iter().flat_map(secret_settings);
    let settings = settings.map(|value| called("a secret setting of k3s", value));
    let known = kit
        .secrets
        .iter()
        .map(|secret| KnownSecret { name: format!("the secret `{}`", secret.name), ..secret.clone() });
    let tokens_of_all = tokens.iter().map(|token| called("a token of the cluster", token.clone()));
    let secrets: Vec<KnownSecret> = known.chain(tokens_of_all).chain(settings).collect();
    for node in &kit.nodes {
        let mut found = verdict.of(&node.seed);
        if node.role == Role::Agent {
            of_servers_alone(node, &server, &mut found);
        }
        for path in PRIVATE {
            let mode = node.files.get(path).and_then(|file| file.mode.as_deref());
            if let Some(mode) = mode.filter(|mode| !mode.ends_with("00")) {
                found.fault(path, format!("its mode is {mode}: others than root may read it"));
            }
        }
        leaks::find(node, &secrets, &mut found);
        shown(node, &tokens, &mut found);
    }
}

/// Returns the password of a token: what follows the hash and the user, if it has them.
pub(super) fn password(token: &str) -> String {
    token.rsplit_once(':').map_or(token, |(_, password)| password).to_owned()
}

/// Looks in an agent's seed for what only servers may have.
fn of_servers_alone(node: &Node, tokens: &[String], found: &mut Found<'_>) {
    for (place, text) in texts(node) {
        if tokens.iter().any(|token| text.contains(token.as_str())) {
            found.fault(place, "the servers' token is in an agent's seed");
        }
    }
    for (path, _) in node.below(AUTHORITIES).filter(|(path, _)| path.ends_with(".key")) {
        found.fault(path, "a key of the cluster's authorities is in an agent's seed");
    }
}

/// Returns the values in a node's `config.yaml` that are secrets, but for its tokens.
fn secret_settings(node: &Node) -> Vec<String> {
    let entries = node.k3s_config.iter().flat_map(yaml::Node::entries);
    let values = entries.flat_map(|(key, value)| value.texts().into_iter().map(|text| (&key.name, text)));
    values.filter(|(key, value)| k3s::is_secret(key, value)).map(|(_, value)| value).collect()
}

/// Returns every text of a seed with its place.
fn texts(node: &Node) -> Vec<(String, String)> {
    let files = node.files.values();
    let files = files.filter_map(|file| Some((file.place.clone(), file.content()?.into_owned())));
    let own = node.seed_texts().map(|(name, text)| (name.to_owned(), text.text().into_owned()));
    let commands = node.commands.iter().map(|command| (command.place.clone(), command.words().join(" ")));
    files.chain(own).chain(commands).collect()
}

/// Tokens on a command line are in every list of processes.
fn shown(node: &Node, tokens: &[String], found: &mut Found<'_>) {
    let has_token = |text: &str| tokens.iter().any(|token| token.len() >= 8 && text.contains(token.as_str()));
    let is_flag = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        ["--token", "--agent-token"].contains(&name)
    };
    let units = node.unit_commands().filter(|(_, command)| {
        has_token(command) || statements(command).iter().flat_map(|one| &one.words).any(is_flag)
    });
    let commands = node.commands.iter().filter(|command| command.words().iter().any(is_flag));
    let places = units.map(|(place, _)| place).chain(commands.map(|command| command.place.clone()));
    places.for_each(|place| found.fault(place, "a token is on the command line"));
}

/// SK0508
pub(in crate::check) fn clocks(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    for (unit, place) in enabled(node) {
        if WAITING.contains(&unit.as_str()) {
            found.fault(place, format!("it enables `{unit}`, which ends when somebody has set the clock"));
        }
    }
    for (name, unit) in &node.units {
        for key in ["After", "Requires"] {
            if let Some(other) = unit.words("Unit", key).into_iter().find(|other| WAITING.contains(other)) {
                found.fault(format!("{name}: {key}="), format!("it waits for `{other}`"));
            }
        }
    }
    for (_, file) in node.below(AUTHORITIES).filter(|(path, _)| path.ends_with(".crt")) {
        let views = file.text.iter().flat_map(Text::certificates);
        if views.into_iter().any(|view| view.not_before() > kit.now - DAY) {
            let what = "it began less than a day ago: to a clock that is behind it is of the future";
            found.fault(&file.place, what);
            found.only_today();
        }
    }
}
