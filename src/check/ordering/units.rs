//! Units: enabled, owned, free of what would hold k3s up, and of their role.

use std::collections::BTreeSet;

use super::calls::enabled;
use crate::check::kit::{Kit, Node, Unit};
use crate::check::verdict::Verdict;
use crate::spec::Role;

/// Units that distributions bring along.
const SYSTEMS_OWN: [&str; 14] = [
    "ssh.service",
    "sshd.service",
    "ssh.socket",
    "systemd-timesyncd.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "chrony.service",
    "cron.service",
    "rsyslog.service",
    "qemu-guest-agent.service",
    "open-vm-tools.service",
    "serial-getty@ttyS0.service",
    "multipathd.service",
    "apparmor.service",
];
/// The unit that installs ops packages.
const PACKAGES: &str = "k8s-ops-packages.service";
/// What systemd takes for no limit.
const UNLIMITED: [&str; 4] = ["0", "infinity", "0s", "0sec"];

/// SK0201
pub(super) fn enabled_units(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let enabled = enabled(node);
        let names: BTreeSet<&str> = enabled.iter().map(|(unit, _)| unit.as_str()).collect();
        for (name, _) in node.units.iter().filter(|(_, unit)| unit.has_section("Install")) {
            if !names.contains(name.as_str()) {
                verdict.fault(&node.seed, name, "it is never enabled");
            }
        }
        // Of somebody else's seed nobody knows what is in the image, or comes with `packages`.
        for (name, place) in enabled.iter().filter(|_| !kit.is_alone()) {
            let template = name.split_once('@').map(|(before, _)| format!("{before}@.service"));
            let is_there = node.units.contains_key(name)
                || template.is_some_and(|template| node.units.contains_key(&template))
                || SYSTEMS_OWN.contains(&name.as_str());
            if !is_there {
                verdict.fault(&node.seed, place, format!("`{name}` is enabled and not in the seed"));
            }
        }
    }
}

/// SK0202
pub(super) fn one_owner(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let owned: Vec<(&str, &str)> =
            node.units.iter().flat_map(|(name, unit)| started(name, unit)).collect();
        for command in &node.commands {
            for statement in command.statements() {
                let words = statement.unwrapped();
                let is_shell = words.first().is_some_and(|word| ["sh", "bash", "dash"].contains(word));
                let script = if is_shell {
                    words.get(1).copied()
                } else {
                    statement.words.first().map(String::as_str)
                };
                let Some((unit, path)) = owned.iter().find(|(_, path)| Some(*path) == script) else {
                    continue;
                };
                let what = format!("it runs `{path}`, which `{unit}` runs as well");
                verdict.fault(&node.seed, &command.place, what);
            }
        }
    }
}

/// Returns the unit with the program, or script, of each of its commands.
fn started<'a>(name: &'a str, unit: &'a Unit) -> Vec<(&'a str, &'a str)> {
    let start = unit.commands().into_iter().filter(|(key, _)| *key == "ExecStart");
    let program = |(_, command): (&str, &'a str)| {
        let mut words = command.split_whitespace();
        match words.next() {
            Some("/bin/sh" | "/bin/bash" | "/usr/bin/bash" | "/usr/bin/sh") => words.next(),
            first => first,
        }
    };
    start.filter_map(program).map(|path| (name, path)).collect()
}

/// SK0206
pub(super) fn k3s_waits_for_no_packages(kit: &Kit, verdict: &mut Verdict) {
    if kit.nodes.iter().all(|node| !node.units.contains_key(PACKAGES)) {
        verdict.not_applicable("the kit has no ops packages");
    }
    for node in &kit.nodes {
        let is_k3s = |name: &str| name.starts_with("k3s") || name == "seedkit-stage.service";
        for (name, unit) in node.units.iter().filter(|(name, _)| is_k3s(name)) {
            for key in ["After", "Requires", "BindsTo", "Requisite"] {
                if unit.words("Unit", key).contains(&PACKAGES) {
                    verdict.fault(&node.seed, format!("{name}: {key}="), format!("it names `{PACKAGES}`"));
                }
            }
        }
        let before = node.units.get(PACKAGES).map(|unit| unit.words("Unit", "Before")).unwrap_or_default();
        for name in before.into_iter().filter(|name| is_k3s(name)) {
            verdict.fault(&node.seed, format!("{PACKAGES}: Before="), format!("it names `{name}`"));
        }
    }
}

/// SK0207
pub(super) fn k3s_has_time(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for (name, unit) in &node.units {
            let says = |key: &str| unit.last("Service", key).unwrap_or_default();
            let mut must = |key: &str, is_right: bool, wanted: &str| {
                if !is_right {
                    let what = format!("it is `{}`, not {wanted}", says(key));
                    verdict.fault(&node.seed, format!("{name}: {key}="), what);
                }
            };
            let is_k3s = name == "k3s.service" || name == "k3s-agent.service";
            if is_k3s {
                must("Type", says("Type") == "notify", "notify");
                must("Delegate", ["yes", "true", "1", "on"].contains(&says("Delegate")), "yes");
                must("KillMode", says("KillMode") == "process", "process");
                must("Restart", says("Restart") == "always", "always");
            }
            if is_k3s || ["notify", "forking"].contains(&says("Type")) {
                must("TimeoutStartSec", UNLIMITED.contains(&says("TimeoutStartSec")), "0");
            }
        }
    }
}

/// SK0208
pub(super) fn roles(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let (own, completion, word) = of_role(node.role);
        let (others, _, _) = of_role(match node.role {
            Role::Server => Role::Agent,
            Role::Agent => Role::Server,
        });
        for name in [own, completion] {
            if !node.units.contains_key(name) {
                verdict.fault(&node.seed, name, "the unit of the node's role is not there");
            }
        }
        if node.units.contains_key(others) {
            verdict.fault(&node.seed, others, "it is the unit of the other role");
        }
        let starts = node.units.get(own).and_then(|unit| unit.last("Service", "ExecStart"));
        if starts.is_some_and(|command| !command.split_whitespace().any(|part| part == word)) {
            verdict.fault(&node.seed, format!("{own}: ExecStart="), format!("it does not run `k3s {word}`"));
        }
        marker(node, completion, verdict);
    }
}

fn of_role(role: Role) -> (&'static str, &'static str, &'static str) {
    match role {
        Role::Server => ("k3s.service", "k3s-bootstrap.service", "server"),
        Role::Agent => ("k3s-agent.service", "k3s-agent-bootstrap.service", "agent"),
    }
}

/// The script that writes the marker, and the one that looks whether it is written, must mean the role's own.
fn marker(node: &Node, completion: &str, verdict: &mut Verdict) {
    let wanted = format!("/var/lib/{}", completion.trim_end_matches(".service"));
    for (_, file, script) in node.scripts() {
        let assigned = crate::check::kit::statements(&script).into_iter().flat_map(|one| one.assignments);
        for (name, value) in assigned.filter(|(name, _)| name == "marker") {
            let is_a_role = value.starts_with("/var/lib/k3s");
            if is_a_role && value != wanted {
                let what = format!("`{name}` is `{value}`, not `{wanted}`");
                verdict.fault(&node.seed, &file.place, what);
            }
        }
    }
}
