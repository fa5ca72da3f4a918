//! Units: enabled, owned, free of what would hold k3s up, and of their role.

use super::calls::enabled;
use crate::check::kit::{Command, Kit, Node, Unit, statements};
use crate::check::verdict::{Found, Verdict};
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
pub(in crate::check) fn enabled_units(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let enabled = enabled(node);
    for (name, _) in node.units.iter().filter(|(_, unit)| unit.has_section("Install")) {
        if !enabled.iter().any(|(unit, _)| unit == name) {
            found.fault(name, "it is never enabled");
        }
    }
    // Of somebody else's seed nobody knows what is in the image, or comes with `packages`.
    for (name, place) in enabled.iter().filter(|_| !kit.is_alone()) {
        let template = name.split_once('@').map(|(before, _)| format!("{before}@.service"));
        let is_there = node.units.contains_key(name)
            || template.is_some_and(|template| node.units.contains_key(&template))
            || SYSTEMS_OWN.contains(&name.as_str());
        if !is_there {
            found.fault(place, format!("`{name}` is enabled and not in the seed"));
        }
    }
}

/// SK0202
pub(in crate::check) fn one_owner(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let owned: Vec<(&str, &str)> = node.units.iter().flat_map(|(name, unit)| started(name, unit)).collect();
    for (place, statement) in node.commands.iter().flat_map(Command::placed) {
        let words = statement.unwrapped();
        let is_shell = words.first().is_some_and(|word| ["sh", "bash", "dash"].contains(word));
        let own = statement.words.first().map(String::as_str);
        let script = if is_shell { words.get(1).copied() } else { own };
        if let Some((unit, path)) = owned.iter().find(|(_, path)| Some(*path) == script) {
            found.fault(place, format!("it runs `{path}`, which `{unit}` runs as well"));
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
pub(in crate::check) fn k3s_waits_for_no_packages(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let is_k3s = |name: &str| name.starts_with("k3s") || name == "seedkit-stage.service";
    for (name, unit) in node.units.iter().filter(|(name, _)| is_k3s(name)) {
        for key in ["After", "Requires", "BindsTo", "Requisite"] {
            if unit.words("Unit", key).contains(&PACKAGES) {
                found.fault(format!("{name}: {key}="), format!("it names `{PACKAGES}`"));
            }
        }
    }
    let before = node.units.get(PACKAGES).map(|unit| unit.words("Unit", "Before")).unwrap_or_default();
    for name in before.into_iter().filter(|name| is_k3s(name)) {
        found.fault(format!("{PACKAGES}: Before="), format!("it names `{name}`"));
    }
}

/// SK0206: without ops packages, it means nothing.
pub(in crate::check) fn packages_are_there(kit: &Kit, verdict: &mut Verdict) {
    if kit.nodes.iter().all(|node| !node.units.contains_key(PACKAGES)) {
        verdict.not_applicable("the kit has no ops packages");
    }
}

/// SK0207
pub(in crate::check) fn k3s_has_time(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for (name, unit) in &node.units {
        let says = |key: &str| unit.last("Service", key).unwrap_or_default();
        let mut must = |key: &str, is_right: bool, wanted: &str| {
            if !is_right {
                found.fault(format!("{name}: {key}="), format!("it is `{}`, not {wanted}", says(key)));
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

/// SK0208
pub(in crate::check) fn roles(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let (own, completion, word) = of_role(node.role);
    let (others, _, _) = of_role(match node.role {
        Role::Server => Role::Agent,
        Role::Agent => Role::Server,
    });
    for name in [own, completion] {
        if !node.units.contains_key(name) {
            found.fault(name, "the unit of the node's role is not there");
        }
    }
    if node.units.contains_key(others) {
        found.fault(others, "it is the unit of the other role");
    }
    let starts = node.units.get(own).and_then(|unit| unit.last("Service", "ExecStart"));
    if starts.is_some_and(|command| !command.split_whitespace().any(|part| part == word)) {
        found.fault(format!("{own}: ExecStart="), format!("it does not run `k3s {word}`"));
    }
    marker(node, completion, found);
}

fn of_role(role: Role) -> (&'static str, &'static str, &'static str) {
    match role {
        Role::Server => ("k3s.service", "k3s-bootstrap.service", "server"),
        Role::Agent => ("k3s-agent.service", "k3s-agent-bootstrap.service", "agent"),
    }
}

/// The script that writes the marker, and the one that looks whether it is written, must mean the role's own.
fn marker(node: &Node, completion: &str, found: &mut Found<'_>) {
    let wanted = format!("/var/lib/{}", completion.trim_end_matches(".service"));
    for script in node.scripts() {
        let assigned = statements(&script.text).into_iter().flat_map(|one| one.assignments);
        for (name, value) in assigned.filter(|(name, _)| name == "marker") {
            let is_a_role = value.starts_with("/var/lib/k3s");
            if is_a_role && value != wanted {
                found.fault(script.place, format!("`{name}` is `{value}`, not `{wanted}`"));
            }
        }
    }
}
