//! Who waits for the nodes, and who logs in.

use super::Check;
use super::images::disabled;
use super::kit::{Kit, Node, statements};
use super::verdict::Verdict;
use crate::yaml;

pub(super) const CHECKS: &[Check] = &[
    Check::kit("SK0801", three_states),
    Check::kit("SK0802", markers_name_the_seed),
    Check::kit("SK0803", only_the_role_says_done),
    Check::kit("SK0804", somebody_logs_in),
    Check::kit("SK0902", plugins_find_the_api),
    Check::kit("SK0903", storage_class),
];

/// The script that writes markers.
const MARKER: &str = "/usr/local/sbin/seedkit-marker";
/// The script that says when a node is done.
const BOOTSTRAP: &str = "/usr/local/sbin/seedkit-bootstrap";
const MANIFESTS: &str = "/var/lib/rancher/k3s/server/manifests/";

fn script(node: &Node, path: &str) -> Option<(String, String)> {
    let file = node.files.get(path)?;
    Some((file.place.clone(), file.script()?))
}

/// SK0801
fn three_states(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some((place, text)) = script(node, BOOTSTRAP) else {
            verdict.fault(&node.seed, BOOTSTRAP, "nothing says when the node is done");
            continue;
        };
        let calls: Vec<_> =
            statements(&text).into_iter().filter(|one| one.program() == "seedkit-marker").collect();
        for state in ["done", "failed"] {
            let is_said = calls.iter().any(|call| call.words.get(1).is_some_and(|word| word == state));
            if !is_said {
                verdict.fault(&node.seed, &place, format!("it never says `{state}`"));
            }
        }
    }
}

/// SK0802
fn markers_name_the_seed(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some((place, text)) = script(node, MARKER) else {
            verdict.fault(&node.seed, MARKER, "the script that writes markers is not there");
            continue;
        };
        if !text.contains("seed_id") {
            verdict.fault(&node.seed, place, "it writes no seed_id");
        }
        let staging = script(node, "/usr/local/sbin/seedkit-stage");
        if let Some((place, text)) = staging {
            let removed = statements(&text).into_iter().filter(|one| one.program() == "rm");
            let removes = removed.flat_map(|one| one.words).any(|word| word.ends_with("bootstrap.done"));
            if !removes {
                verdict.fault(&node.seed, place, "it does not remove the markers of the seed before");
            }
        }
    }
}

/// SK0803
fn only_the_role_says_done(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for (path, file, text) in node.scripts() {
            let writes_done = |statement: &super::kit::Statement| {
                let words = statement.unwrapped();
                let is_marker = |word: &&str| word.contains("bootstrap.done");
                match words.first().copied().unwrap_or_default() {
                    "touch" | "cp" | "mv" | "install" | "ln" => words.last().is_some_and(is_marker),
                    "seedkit-marker" => words.get(1) == Some(&"done") && path != BOOTSTRAP,
                    _ => false,
                }
            };
            for statement in statements(&text).iter().filter(|statement| writes_done(statement)) {
                let place = format!("{}: line {}", file.place, statement.line);
                verdict.fault(&node.seed, place, "it says that the node is done, which is not its to say");
            }
        }
        for command in &node.commands {
            let words: Vec<String> = command.statements().into_iter().flat_map(|one| one.words).collect();
            if words.iter().any(|word| word.contains("bootstrap.done")) {
                verdict.fault(&node.seed, &command.place, "it touches the marker of completion");
            }
        }
    }
}

/// SK0804
fn somebody_logs_in(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some(config) = &node.cloud_config else { continue };
        let users = config.items_at(&["users"]);
        let mut keys: Vec<String> = Vec::new();
        for holder in users.iter().chain([config]) {
            let list = holder.items_at(&["ssh_authorized_keys"]);
            keys.extend(list.iter().filter_map(yaml::Node::text));
        }
        let has_identity = node.autoinstall.as_ref().is_some_and(|installer| {
            installer.at(&["identity"]).is_some() || installer.at(&["ssh", "authorized-keys"]).is_some()
        });
        if keys.is_empty() && !has_identity {
            verdict.fault(&node.seed, "user-data: users", "no user has a key");
        }
        for key in &keys {
            let mut parts = key.split_whitespace();
            let is_known = parts
                .next()
                .is_some_and(|kind| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| kind.starts_with(start)));
            let is_whole = parts.next().is_some_and(|blob| blob.len() >= 40 && blob.starts_with("AAAA"));
            if !is_known || !is_whole {
                verdict.fault(&node.seed, "user-data: ssh_authorized_keys", "it is not a public key of SSH");
            }
        }
        for file in node.files.values() {
            let text = file.text.as_ref().map(|text| text.text());
            if text.is_some_and(|text| text.contains("-----BEGIN OPENSSH PRIVATE KEY-----")) {
                verdict.fault(&node.seed, &file.place, "it is a private key of SSH");
            }
        }
        for (key, value) in config.entries().iter().filter(|(key, _)| key.name == "ssh_pwauth") {
            if value.written == "true" {
                verdict.warning(
                    &node.seed,
                    format!("user-data: {}", key.name),
                    "passwords are taken over SSH",
                );
            }
        }
    }
}

/// Returns the manifests that servers apply: seed, path and text.
fn manifests(kit: &Kit) -> Vec<(&str, &str, String)> {
    let mut found = Vec::new();
    for node in kit.servers() {
        for (path, file) in node.files.iter().filter(|(path, _)| path.starts_with(MANIFESTS)) {
            let text = file.text.as_ref().map(|text| text.text().into_owned()).unwrap_or_default();
            found.push((node.seed.as_str(), path.as_str(), text));
        }
    }
    found
}

/// SK0902
fn plugins_find_the_api(kit: &Kit, verdict: &mut Verdict) {
    let is_off = |node: &Node| {
        node.k3s_config().is_some_and(|config| {
            config.at(&["disable-kube-proxy"]).is_some_and(|value| value.written == "true")
        })
    };
    if !kit.servers().any(is_off) {
        verdict.not_applicable(
            "kube-proxy is not disabled: service addresses are routed before any plugin runs",
        );
        return;
    }
    let texts = manifests(kit);
    let names_it =
        texts.iter().any(|(_, _, text)| text.contains("k8sServiceHost") && text.contains("k8sServicePort"));
    if !names_it {
        let seed = kit.servers().next().map(|node| node.seed.clone()).unwrap_or_default();
        let what = "kube-proxy is disabled, and no manifest sets k8sServiceHost and k8sServicePort";
        verdict.fault(&seed, MANIFESTS, what);
    }
}

/// SK0903
fn storage_class(kit: &Kit, verdict: &mut Verdict) {
    let is_off = kit.servers().any(|node| disabled(node).iter().any(|name| name == "local-storage"));
    let has_own = manifests(kit).iter().any(|(_, _, text)| {
        text.contains("kind: StorageClass") && text.contains("storageclass.kubernetes.io/is-default-class")
    });
    if is_off && !has_own {
        let seed = kit.servers().next().map(|node| node.seed.clone()).unwrap_or_default();
        let what = "local-storage is disabled, and no manifest has a default StorageClass";
        verdict.fault(&seed, "/etc/rancher/k3s/config.yaml: disable", what);
    }
}
