//! How k3s imports and keeps images, and what it does not deploy: from a kit, and from a spec.

use itertools::Itertools as _;
use serde_json::Value;

use super::needed::disabled;
use super::{FOLDER, SUFFIXES};
use crate::check::kit::{K3S_CONFIG, Kit, Node};
use crate::check::plan::Plan;
use crate::check::verdict::{Found, Verdict};

/// The flag that is gone.
const PAUSE_FLAG: &str = "pod-infra-container-image";
/// The first minor release of Kubernetes without it.
const GONE: u32 = 35;
/// The file that makes imports conditional.
const CACHE: &str = ".cache.json";
/// The patches of July 2026, by minor release, that keep pins with it.
const KEEPS_PINS: [(u32, u32); 4] = [(33, 14), (34, 10), (35, 7), (36, 3)];

/// SK0307
pub(in crate::check) fn kubelet_flags(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let place = format!("{K3S_CONFIG}: kubelet-arg");
    judge_flags(&place, &node.setting_texts("kubelet-arg"), kit.kubernetes_minor(), found);
}

/// SK0307
pub(in crate::check) fn kubelet_flags_of_spec(plan: &Plan<'_>, found: &mut Found<'_>) {
    let k3s = &plan.spec.k3s;
    for (place, config) in [("k3s.config", &k3s.config), ("k3s.agentConfig", &k3s.agent_config)] {
        let flags = texts(config.get("kubelet-arg"));
        judge_flags(&format!("{place}.kubelet-arg"), &flags, Some(k3s.version.minor().1), found);
    }
}

fn judge_flags(place: &str, flags: &[String], minor: Option<u32>, found: &mut Found<'_>) {
    for flag in flags.iter().filter(|flag| flag.trim_start_matches('-').starts_with(PAUSE_FLAG)) {
        if minor.is_some_and(|minor| minor >= GONE) {
            found.fault(place, format!("`{flag}`: kubelet does not start with it"));
        } else {
            found.warning(place, format!("`{flag}` has no effect on containerd"));
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
fn importable<'a>(
    paths: impl Iterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>,
) -> impl Iterator<Item = &'a str> {
    paths.filter_map(|path| path.as_ref().strip_prefix(FOLDER))
}

/// SK0308
pub(in crate::check) fn suffixes(_: &Kit, node: &Node, found: &mut Found<'_>) {
    importable(node.files.keys()).for_each(|name| judge_suffix(name, found));
}

/// SK0308
pub(in crate::check) fn suffixes_of_spec(plan: &Plan<'_>, found: &mut Found<'_>) {
    importable(destinations(plan)).for_each(|name| judge_suffix(name, found));
}

/// Returns where the spec's own files go.
fn destinations<'a>(plan: &Plan<'a>) -> impl Iterator<Item = &'a str> {
    plan.spec.files.iter().map(|file| file.destination.as_str())
}

fn judge_suffix(name: &str, found: &mut Found<'_>) {
    let place = format!("{FOLDER}{name}");
    if name == CACHE {
        return;
    }
    if name.contains('/') {
        found.fault(place, "k3s looks into no folder within it");
    } else if name.ends_with(".txt") {
        found.fault(place, "k3s takes it for a list of images to pull");
    } else if !SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        found.fault(place, "k3s does not know this suffix and passes it over");
    }
}

/// SK0309
pub(in crate::check) fn pins(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    judge_cache(importable(node.files.keys()), kit.k3s(), found);
}

/// SK0309
pub(in crate::check) fn pins_of_spec(plan: &Plan<'_>, found: &mut Found<'_>) {
    judge_cache(importable(destinations(plan)), plan.spec.k3s.version.as_str(), found);
}

fn judge_cache<'a>(mut names: impl Iterator<Item = &'a str>, release: &str, found: &mut Found<'_>) {
    let numbers = release.strip_prefix("v1.").and_then(|rest| rest.split(['+', '-']).next());
    let numbers = numbers.and_then(|text| text.split_once('.'));
    let numbers = numbers.and_then(|(minor, patch)| Some((minor.parse().ok()?, patch.parse().ok()?)));
    let keeps = numbers.is_some_and(|(minor, patch): (u32, u32)| {
        minor > 36 || KEEPS_PINS.iter().any(|(known, first)| *known == minor && patch >= *first)
    });
    if !keeps && names.any(|name| name == CACHE) {
        let what = format!("{release} loses the pins of what did not change");
        found.fault(format!("{FOLDER}{CACHE}"), what);
    }
}

/// SK0312
pub(in crate::check) fn components(kit: &Kit, verdict: &mut Verdict) {
    let named = kit.servers().flat_map(disabled).filter(|name| !name.is_empty());
    let all = named.sorted().dedup().join(", ");
    if !all.is_empty() {
        let place = format!("{K3S_CONFIG}: disable");
        verdict.of(kit.first_server()).fault(place, format!("not deployed: {all}"));
    }
}

/// SK0312
pub(in crate::check) fn components_of_spec(plan: &Plan<'_>, found: &mut Found<'_>) {
    let all = plan.spec.k3s.config.texts("disable");
    if !all.is_empty() {
        found.fault("k3s.config.disable", format!("not deployed: {}", all.join(", ")));
    }
}
