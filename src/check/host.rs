//! Who waits for the nodes, and who logs in.

use super::images::needed::disabled;
use super::kit::{K3S_CONFIG, Kit, MANIFESTS, Node, Statement, statements};
use super::verdict::{Found, Verdict};
use crate::ssh::AuthorizedKey;
use crate::yaml;

/// The script that writes markers.
const MARKER: &str = "/usr/local/sbin/seedkit-marker";
/// The script that says when a node is done.
const BOOTSTRAP: &str = "/usr/local/sbin/seedkit-bootstrap";
/// What lets passwords in over SSH.
const PASSWORDS: &str = "ssh_pwauth";
/// The script that places the files of a payload.
const STAGE: &str = "/usr/local/sbin/seedkit-stage";

/// SK0801
pub(super) fn three_states(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(script) = node.script(BOOTSTRAP) else {
        return found.fault(BOOTSTRAP, "nothing says when the node is done");
    };
    let statements = statements(&script.text);
    for state in ["done", "failed"] {
        let says = |one: &Statement| {
            one.program() == "seedkit-marker" && one.words.get(1).is_some_and(|word| word == state)
        };
        if !statements.iter().any(says) {
            found.fault(script.place, format!("it never says `{state}`"));
        }
    }
}

/// SK0802
pub(super) fn markers_name_the_seed(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(marker) = node.script(MARKER) else {
        return found.fault(MARKER, "the script that writes markers is not there");
    };
    if !marker.text.contains("seed_id") {
        found.fault(marker.place, "it writes no seed_id");
    }
    let Some(stage) = node.script(STAGE) else { return };
    let removed = statements(&stage.text).into_iter().filter(|one| one.program() == "rm");
    let removes = removed.flat_map(|one| one.words).any(|word| word.ends_with("bootstrap.done"));
    if !removes {
        found.fault(stage.place, "it does not remove the markers of the seed before");
    }
}

/// SK0803
pub(super) fn only_the_role_says_done(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for script in node.scripts() {
        let writes_done = |statement: &Statement| {
            let words = statement.unwrapped();
            let is_marker = |word: &&str| word.contains("bootstrap.done");
            match words.first().copied().unwrap_or_default() {
                "touch" | "cp" | "mv" | "install" | "ln" => words.last().is_some_and(is_marker),
                "seedkit-marker" => words.get(1) == Some(&"done") && script.path != BOOTSTRAP,
                _ => false,
            }
        };
        for (place, _) in script.statements().into_iter().filter(|(_, one)| writes_done(one)) {
            found.fault(place, "it says that the node is done, which is not its to say");
        }
    }
    for command in &node.commands {
        if command.words().iter().any(|word| word.contains("bootstrap.done")) {
            found.fault(&command.place, "it touches the marker of completion");
        }
    }
}

/// SK0804
pub(super) fn somebody_logs_in(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(config) = &node.cloud_config else { return };
    let holders = config.items_at(&["users"]).iter().chain([config]);
    let listed = holders.flat_map(|holder| holder.items_at(&["ssh_authorized_keys"]));
    let keys: Vec<String> = listed.filter_map(yaml::Node::text).collect();
    let has_identity = node.autoinstall.as_ref().is_some_and(|installer| {
        installer.at(&["identity"]).is_some() || installer.at(&["ssh", "authorized-keys"]).is_some()
    });
    if keys.is_empty() && !has_identity {
        found.fault("user-data: users", "no user has a key");
    }
    for _ in keys.iter().filter(|key| key.parse::<AuthorizedKey>().is_err()) {
        found.fault("user-data: ssh_authorized_keys", "it is not a public key of SSH");
    }
    for file in node.files.values() {
        let text = file.content().unwrap_or_default();
        if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
            found.fault(&file.place, "it is a private key of SSH");
        }
    }
    if config.entries().iter().any(|(key, value)| key.name == PASSWORDS && value.written == "true") {
        found.warning(format!("user-data: {PASSWORDS}"), "passwords are taken over SSH");
    }
}

/// Returns whether a manifest that servers apply has all of these words.
fn is_in_manifests(kit: &Kit, words: [&str; 2]) -> bool {
    let files = kit.servers().flat_map(|node| node.below(MANIFESTS));
    files.filter_map(|(_, file)| file.content()).any(|text| words.iter().all(|word| text.contains(word)))
}

/// SK0902
pub(super) fn plugins_find_the_api(kit: &Kit, verdict: &mut Verdict) {
    if !is_in_manifests(kit, ["k8sServiceHost", "k8sServicePort"]) {
        let what = "kube-proxy is disabled, and no manifest sets k8sServiceHost and k8sServicePort";
        verdict.of(kit.first_server()).fault(MANIFESTS, what);
    }
}

/// Says that the API is found in the usual way.
pub(super) fn has_a_proxy(kit: &Kit) -> Option<String> {
    let is_off = |node: &Node| node.setting("disable-kube-proxy").is_some_and(|node| node.written == "true");
    let is_there = !kit.servers().any(is_off);
    is_there
        .then(|| "kube-proxy is not disabled: service addresses are routed before any plugin runs".to_owned())
}

/// SK0903
pub(super) fn storage_class(kit: &Kit, verdict: &mut Verdict) {
    let is_off = kit.servers().any(|node| disabled(node).iter().any(|name| name == "local-storage"));
    let default = ["kind: StorageClass", "storageclass.kubernetes.io/is-default-class"];
    if is_off && !is_in_manifests(kit, default) {
        let what = "local-storage is disabled, and no manifest has a default StorageClass";
        verdict.of(kit.first_server()).fault(format!("{K3S_CONFIG}: disable"), what);
    }
}
