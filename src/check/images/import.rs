//! How k3s imports and keeps images, and what it does not deploy: from a kit, and from a spec.

use itertools::Itertools as _;
use serde_json::Value;

use super::needed::disabled;
use super::{FOLDER, SUFFIXES};
use crate::check::kit::Kit;
use crate::check::plan::Plan;
use crate::check::verdict::Verdict;
use crate::yaml;

/// The flag that is gone.
const PAUSE_FLAG: &str = "pod-infra-container-image";
/// The first minor release of Kubernetes without it.
const GONE: u32 = 35;
/// The file that makes imports conditional.
const CACHE: &str = ".cache.json";
/// The patches of July 2026, by minor release, that keep pins with it.
const KEEPS_PINS: [(u32, u32); 4] = [(33, 14), (34, 10), (35, 7), (36, 3)];

/// SK0307
pub(super) fn kubelet_flags(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let Some(config) = node.k3s_config() else { continue };
        let Some(flags) = config.at(&["kubelet-arg"]) else { continue };
        let flags: Vec<String> =
            flags.items().iter().filter_map(yaml::Node::text).chain(flags.text()).collect();
        let place = "/etc/rancher/k3s/config.yaml: kubelet-arg";
        judge_flags((&node.seed, place), &flags, kit.kubernetes_minor(), verdict);
    }
}

/// SK0307
pub(super) fn kubelet_flags_of_spec(plan: &Plan<'_>, verdict: &mut Verdict) {
    let k3s = &plan.spec.k3s;
    for (place, config) in [("k3s.config", &k3s.config), ("k3s.agentConfig", &k3s.agent_config)] {
        let flags = texts(config.get("kubelet-arg"));
        let place = format!("{place}.kubelet-arg");
        judge_flags((plan.file, &place), &flags, Some(k3s.version.minor().1), verdict);
    }
}

fn judge_flags((artifact, place): (&str, &str), flags: &[String], minor: Option<u32>, verdict: &mut Verdict) {
    for flag in flags.iter().filter(|flag| flag.trim_start_matches('-').starts_with(PAUSE_FLAG)) {
        if minor.is_some_and(|minor| minor >= GONE) {
            verdict.fault(artifact, place, format!("`{flag}`: kubelet does not start with it"));
        } else {
            verdict.warning(artifact, place, format!("`{flag}` has no effect on containerd"));
        }
    }
}

/// Returns a text, or those of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let listed = value.and_then(Value::as_array).into_iter().flatten().filter_map(text);
    listed.chain(value.and_then(text)).collect()
}

/// Returns the paths of a node that lie in k3s' folder of images, without it.
fn importable<'a>(paths: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    paths.filter_map(|path| path.strip_prefix(FOLDER))
}

/// SK0308
pub(super) fn suffixes(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for name in importable(node.files.keys().map(String::as_str)) {
            judge_suffix(&node.seed, name, verdict);
        }
    }
}

/// SK0308
pub(super) fn suffixes_of_spec(plan: &Plan<'_>, verdict: &mut Verdict) {
    for name in importable(plan.spec.files.iter().map(|file| file.destination.as_str())) {
        judge_suffix(plan.file, name, verdict);
    }
}

fn judge_suffix(artifact: &str, name: &str, verdict: &mut Verdict) {
    let place = format!("{FOLDER}{name}");
    if name == CACHE {
        return;
    }
    if name.contains('/') {
        verdict.fault(artifact, place, "k3s looks into no folder within it");
    } else if name.ends_with(".txt") {
        verdict.fault(artifact, place, "k3s takes it for a list of images to pull");
    } else if !SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        verdict.fault(artifact, place, "k3s does not know this suffix and passes it over");
    }
}

/// SK0309
pub(super) fn pins(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        if importable(node.files.keys().map(String::as_str)).any(|name| name == CACHE) {
            judge_cache(&node.seed, kit.k3s(), verdict);
        }
    }
}

/// SK0309
pub(super) fn pins_of_spec(plan: &Plan<'_>, verdict: &mut Verdict) {
    let files = plan.spec.files.iter().map(|file| file.destination.as_str());
    if importable(files).any(|name| name == CACHE) {
        judge_cache(plan.file, plan.spec.k3s.version.as_str(), verdict);
    }
}

fn judge_cache(artifact: &str, release: &str, verdict: &mut Verdict) {
    let numbers = release.strip_prefix("v1.").and_then(|rest| rest.split(['+', '-']).next());
    let numbers = numbers.and_then(|text| text.split_once('.'));
    let numbers = numbers.and_then(|(minor, patch)| Some((minor.parse().ok()?, patch.parse().ok()?)));
    let keeps = numbers.is_some_and(|(minor, patch): (u32, u32)| {
        minor > 36 || KEEPS_PINS.iter().any(|(known, first)| *known == minor && patch >= *first)
    });
    if !keeps {
        verdict.fault(
            artifact,
            format!("{FOLDER}{CACHE}"),
            format!("{release} loses the pins of what did not change"),
        );
    }
}

/// SK0312
pub(super) fn components(kit: &Kit, verdict: &mut Verdict) {
    let named = kit.servers().flat_map(disabled).filter(|name| !name.is_empty());
    let all = named.sorted().dedup().join(", ");
    if let (Some(node), false) = (kit.servers().next(), all.is_empty()) {
        let what = format!("not deployed: {all}");
        verdict.fault(&node.seed, "/etc/rancher/k3s/config.yaml: disable", what);
    }
}

/// SK0312
pub(super) fn components_of_spec(plan: &Plan<'_>, verdict: &mut Verdict) {
    let all = texts(plan.spec.k3s.config.get("disable"));
    if !all.is_empty() {
        verdict.fault(plan.file, "k3s.config.disable", format!("not deployed: {}", all.join(", ")));
    }
}
