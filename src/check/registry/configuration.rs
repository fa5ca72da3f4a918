//! registries.yaml: there, on every node, and saying what was meant.

use std::collections::BTreeSet;

use super::{FILE, mirrors};
use crate::check::kit::Kit;
use crate::check::verdict::Verdict;

/// The first minor release that knows how not to ask the public registries.
const KNOWS_NO_DEFAULT: u32 = 30;
const NO_DEFAULT: &str = "disable-default-registry-endpoint";

/// SK0402
pub(super) fn files_are_there(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some(root) = node.yaml(FILE) else { continue };
        let configs = root.entries_at(&["configs"]);
        for (host, config) in configs {
            let Some(tls) = config.at(&["tls"]) else { continue };
            for key in ["ca_file", "cert_file", "key_file"] {
                let Some(path) = tls.text_at(&[key]) else { continue };
                if !node.files.contains_key(&path) {
                    let place = format!("{FILE}: configs.{}.tls.{key}", host.name);
                    verdict.fault(&node.seed, place, format!("`{path}` is not placed on this node"));
                }
            }
        }
    }
}

/// SK0403
pub(super) fn says_what_was_meant(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some(text) = node.files.get(FILE).and_then(|file| file.text.as_ref()) else { continue };
        let document = match text.yaml() {
            Ok(document) => document,
            Err(problem) => {
                verdict.fault(&node.seed, FILE, problem);
                continue;
            }
        };
        for finding in document.findings.iter().filter(|finding| finding.is_error()) {
            verdict.fault(&node.seed, FILE, finding.to_string());
        }
        let known: BTreeSet<&str> =
            document.root.entries_at(&["configs"]).iter().map(|(key, _)| key.name.as_str()).collect();
        for (key, _) in document.root.entries() {
            if !["mirrors", "configs"].contains(&key.name.as_str()) {
                verdict.fault(&node.seed, FILE, format!("k3s does not know the key `{}`", key.name));
            }
        }
        for (mirror, endpoints) in mirrors(node) {
            let place = format!("{FILE}: mirrors.{mirror}");
            for endpoint in &endpoints {
                match endpoint.scheme.as_deref() {
                    None => {
                        verdict.fault(&node.seed, &place, format!("`{}` has no https://", endpoint.written))
                    }
                    Some("https")
                        if !known.contains("*")
                            && !endpoint.keys().iter().any(|key| known.contains(key.as_str())) =>
                    {
                        let what = format!("no entry of `configs` is for `{}`", endpoint.authority);
                        verdict.fault(&node.seed, &place, what);
                    }
                    Some("https" | "http") => {}
                    Some(other) => {
                        verdict.fault(&node.seed, &place, format!("`{other}` is not a scheme of a registry"))
                    }
                }
            }
        }
        rewrites(&document.root, &node.seed, verdict);
    }
}

fn rewrites(root: &crate::yaml::Node, seed: &str, verdict: &mut Verdict) {
    let mirrors = root.entries_at(&["mirrors"]);
    for (mirror, settings) in mirrors {
        let rules = settings.entries_at(&["rewrite"]);
        for (pattern, target) in rules {
            let place = format!("{FILE}: mirrors.{}.rewrite", mirror.name);
            let groups = pattern.name.replace("\\(", "").matches('(').count();
            let closed = pattern.name.replace("\\)", "").matches(')').count();
            if groups != closed {
                verdict.fault(seed, &place, format!("`{}` is not a regular expression", pattern.name));
            }
            let text = target.text().unwrap_or_default();
            let used = text
                .match_indices('$')
                .filter_map(|(at, _)| text[at + 1..].trim_start_matches('{').chars().next()?.to_digit(10));
            if let Some(number) = used.max().filter(|number| *number as usize > groups) {
                verdict.fault(
                    seed,
                    &place,
                    format!("`{text}` names group {number}, and `{}` has {groups}", pattern.name),
                );
            }
        }
    }
}

/// SK0404
pub(super) fn is_everywhere(kit: &Kit, verdict: &mut Verdict) {
    let wanted: BTreeSet<String> =
        kit.images().iter().map(|image| image.reference.registry().to_owned()).collect();
    for node in &kit.nodes {
        let Some(file) = node.files.get(FILE) else {
            verdict.fault(&node.seed, FILE, "it is not in the seed");
            continue;
        };
        // One that cannot be read is another row's.
        if file.text.as_ref().is_none_or(|text| text.yaml().is_err()) {
            continue;
        }
        let mirrored = mirrors(node);
        if mirrored.is_empty() {
            verdict.fault(&node.seed, FILE, "it names no mirror");
        } else if mirrored.iter().all(|(host, _)| host != "*") {
            let told: BTreeSet<&str> = mirrored.iter().map(|(host, _)| host.as_str()).collect();
            for registry in wanted.iter().filter(|registry| !told.contains(registry.as_str())) {
                let what = format!("it says nothing of `{registry}`, whose images are in the kit");
                verdict.warning(&node.seed, FILE, what);
            }
        }
    }
}

/// SK0405
pub(super) fn has_no_default(kit: &Kit, verdict: &mut Verdict) {
    if kit.kubernetes_minor().is_some_and(|minor| minor < KNOWS_NO_DEFAULT) {
        verdict.not_applicable("this release of k3s cannot be told not to ask the public registries");
        return;
    }
    for node in kit.nodes.iter().filter(|node| node.files.contains_key(FILE)) {
        let Some(config) = node.k3s_config() else { continue };
        let is_set = config.is_true_at(&[NO_DEFAULT]);
        if !is_set {
            verdict.fault(
                &node.seed,
                "/etc/rancher/k3s/config.yaml",
                format!("it has no `{NO_DEFAULT}: true`"),
            );
        }
    }
}
