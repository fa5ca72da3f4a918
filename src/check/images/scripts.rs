//! Scripts that import images, and scripts that go on after a failure.

use itertools::Itertools as _;

use crate::check::kit::{Command, Joint, Kit, Node, Statement, statements};
use crate::check::verdict::Found;

/// Programs whose failure must not be passed over.
const CRITICAL: [&str; 14] = [
    "install",
    "cp",
    "mv",
    "tar",
    "apt-get",
    "apt",
    "dpkg",
    "sha256sum",
    "mount",
    "curl",
    "wget",
    "gzip",
    "zstd",
    "update-ca-certificates",
];

/// SK0305
pub(in crate::check) fn import_nothing(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for (place, statement) in node.statements() {
        let words = statement.unwrapped();
        let is_ctr =
            words.first() == Some(&"ctr") || (words.first() == Some(&"k3s") && words.get(1) == Some(&"ctr"));
        if is_ctr && words.contains(&"import") {
            found.fault(place, format!("it runs `{}`", words.join(" ")));
        }
    }
}

/// SK0306
pub(in crate::check) fn stop_at_failures(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for ((place, statement), (next_place, next)) in node.statements().iter().tuple_windows() {
        let is_joined =
            statement.joint == Joint::Or && place.split(": line").next() == next_place.split(": line").next();
        let is_swallowed = is_joined && ["true", ":", "echo", "printf"].contains(&next.program());
        if is_swallowed && !statement.is_captured && !statement.is_condition && is_critical(statement) {
            let what = format!("a failure of `{}` is passed over", statement.unwrapped().join(" "));
            found.fault(place, what);
        }
    }
    for script in node.scripts() {
        if is_run(node, script.path) && !stops(&script.text) {
            found.fault(script.place, "it has no `set -e`: it goes on after a failure");
        }
        if let Some((line, program)) = after_the_marker(&script.text) {
            let what = format!("`{program}` comes after the marker says that the node is done");
            found.fault(script.line(line), what);
        }
    }
}

/// Returns the first thing after the marker that waits, or has to work; functions are read where they stand.
fn after_the_marker(script: &str) -> Option<(usize, String)> {
    let found = statements(script);
    let marks = |one: &Statement| {
        one.program() == "seedkit-marker" && one.words.get(1).is_some_and(|word| word == "done")
    };
    let after = found.iter().position(marks)? + 1;
    let late = found[after..].iter().find(|one| one.program() == "sleep" || is_critical(one))?;
    Some((late.line, late.unwrapped().join(" ")))
}

fn is_critical(statement: &Statement) -> bool {
    let words = statement.unwrapped();
    let second = words.get(1).copied().unwrap_or_default();
    match words.first().copied().unwrap_or_default() {
        "k3s" => second != "kubectl" && second != "--version",
        "systemctl" => words.iter().any(|word| ["start", "restart", "enable"].contains(word)),
        program => CRITICAL.contains(&program),
    }
}

/// Returns whether a unit or a command runs a script.
fn is_run(node: &Node, path: &str) -> bool {
    let mut words = node.unit_commands().flat_map(|(_, command)| command.split_whitespace());
    words.any(|word| word == path) || node.commands.iter().flat_map(Command::words).any(|word| word == path)
}

fn stops(script: &str) -> bool {
    let first = script.lines().next().unwrap_or_default();
    let has_flag = |word: &str| word.starts_with('-') && !word.starts_with("--") && word.contains('e');
    let in_first = first.split_whitespace().skip(1).any(has_flag);
    let is_set = |statement: &Statement| {
        statement.program() == "set"
            && statement.words[1..].iter().any(|word| has_flag(word) || word == "errexit")
    };
    in_first || statements(script).iter().any(is_set)
}
