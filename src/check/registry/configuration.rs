//! registries.yaml: there, on every node, and saying what was meant.

use std::collections::BTreeSet;

use super::{Endpoint, FILE, mirrors};
use crate::check::kit::{K3S_CONFIG, Kit, Node};
use crate::check::verdict::Found;
use crate::yaml;

/// The first minor release that knows how not to ask the public registries.
const KNOWS_NO_DEFAULT: u32 = 30;
const NO_DEFAULT: &str = "disable-default-registry-endpoint";

/// SK0402
pub(in crate::check) fn files_are_there(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(root) = node.yaml(FILE) else { return };
    for (host, config) in root.entries_at(&["configs"]) {
        for key in ["ca_file", "cert_file", "key_file"] {
            let Some(path) = config.text_at(&["tls", key]) else { continue };
            if !node.files.contains_key(&path) {
                let place = format!("{FILE}: configs.{}.tls.{key}", host.name);
                found.fault(place, format!("`{path}` is not placed on this node"));
            }
        }
    }
}

/// SK0403
pub(in crate::check) fn says_what_was_meant(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(text) = node.text(FILE) else { return };
    let document = match text.yaml() {
        Ok(document) => document,
        Err(problem) => return found.fault(FILE, problem),
    };
    for finding in document.findings.iter().filter(|finding| finding.is_error()) {
        found.fault(FILE, finding.to_string());
    }
    for (key, _) in document.root.entries() {
        if !["mirrors", "configs"].contains(&key.name.as_str()) {
            found.fault(FILE, format!("k3s does not know the key `{}`", key.name));
        }
    }
    let known: BTreeSet<&str> =
        document.root.entries_at(&["configs"]).iter().map(|(key, _)| key.name.as_str()).collect();
    for (mirror, endpoints) in mirrors(node) {
        for endpoint in &endpoints {
            if let Some(what) = misunderstood(endpoint, &known) {
                found.fault(format!("{FILE}: mirrors.{mirror}"), what);
            }
        }
    }
    rewrites(&document.root, found);
}

/// Says why an endpoint is not asked as it is meant; `known` are the keys of `configs`.
fn misunderstood(endpoint: &Endpoint, known: &BTreeSet<&str>) -> Option<String> {
    match endpoint.scheme.as_deref() {
        None => Some(format!("`{}` has no https://", endpoint.written)),
        Some("https") => {
            let is_known = known.contains("*") || endpoint.keys().iter().any(|key| known.contains(&**key));
            (!is_known).then(|| format!("no entry of `configs` is for `{}`", endpoint.authority))
        }
        Some("http") => None,
        Some(other) => Some(format!("`{other}` is not a scheme of a registry")),
    }
}

fn rewrites(root: &yaml::Node, found: &mut Found<'_>) {
    for (mirror, settings) in root.entries_at(&["mirrors"]) {
        let place = format!("{FILE}: mirrors.{}.rewrite", mirror.name);
        for (pattern, target) in settings.entries_at(&["rewrite"]) {
            let pattern = &pattern.name;
            let groups = pattern.replace("\\(", "").matches('(').count();
            let closed = pattern.replace("\\)", "").matches(')').count();
            if groups != closed {
                found.fault(&place, format!("`{pattern}` is not a regular expression"));
            }
            let text = target.text().unwrap_or_default();
            let used = text
                .match_indices('$')
                .filter_map(|(at, _)| text[at + 1..].trim_start_matches('{').chars().next()?.to_digit(10));
            if let Some(number) = used.max().filter(|number| *number as usize > groups) {
                found.fault(&place, format!("`{text}` names group {number}, and `{pattern}` has {groups}"));
            }
        }
    }
}

/// SK0404
pub(in crate::check) fn is_everywhere(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(file) = node.files.get(FILE) else { return found.fault(FILE, "it is not in the seed") };
    // One that cannot be read is another row's.
    if file.text.as_ref().is_none_or(|text| text.yaml().is_err()) {
        return;
    }
    let mirrored = mirrors(node);
    let told: BTreeSet<&str> = mirrored.iter().map(|(host, _)| host.as_str()).collect();
    if told.is_empty() {
        found.fault(FILE, "it names no mirror");
    } else if !told.contains("*") {
        let wanted: BTreeSet<&str> = kit.images().iter().map(|image| image.reference.registry()).collect();
        for registry in wanted.difference(&told) {
            found.warning(FILE, format!("it says nothing of `{registry}`, whose images are in the kit"));
        }
    }
}

/// SK0405
pub(in crate::check) fn has_no_default(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let is_told = |config: &yaml::Node| config.is_true_at(&[NO_DEFAULT]);
    let is_asked = node.files.contains_key(FILE);
    if is_asked && node.k3s_config.as_ref().is_some_and(|config| !is_told(config)) {
        found.fault(K3S_CONFIG, format!("it has no `{NO_DEFAULT}: true`"));
    }
}

/// Says of an old release that it always asks the public registries.
pub(in crate::check) fn knows_no_default(kit: &Kit) -> Option<String> {
    let is_old = kit.kubernetes_minor().is_some_and(|minor| minor < KNOWS_NO_DEFAULT);
    is_old.then(|| "this release of k3s cannot be told not to ask the public registries".to_owned())
}
