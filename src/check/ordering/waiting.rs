//! What waits for something that waits for it.

use super::calls::Call;
use crate::check::kit::{Kit, Node, Stage, Statement, statements};
use crate::check::verdict::Verdict;

/// SK0204
pub(super) fn in_cloud_init(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for command in node.commands.iter().filter(|command| command.stage != Stage::Install) {
            for statement in command.statements() {
                let blocking = Call::of(&statement).filter(Call::is_blocking_start);
                let own = blocking
                    .and_then(|call| call.units.into_iter().find(|unit| node.units.contains_key(unit)));
                if let Some(unit) = own {
                    let what = format!("it waits until `{unit}` has started: there is no --no-block");
                    if kit.is_alone() {
                        verdict.warning(&node.seed, &command.place, what);
                    } else {
                        verdict.fault(&node.seed, &command.place, what);
                    }
                }
                if waits_for_cloud_init(&statement) {
                    verdict.fault(&node.seed, &command.place, "it waits for cloud-init, which runs it");
                }
            }
        }
        for (_, file, script) in node.scripts() {
            for statement in statements(&script).iter().filter(|statement| waits_for_cloud_init(statement)) {
                let what = "it waits for cloud-init, which may wait for it";
                verdict.fault(&node.seed, format!("{}: line {}", file.place, statement.line), what);
            }
        }
        for (name, unit) in &node.units {
            for (key, command) in unit.commands() {
                if statements(command).iter().any(waits_for_cloud_init) {
                    let what = "it waits for cloud-init, which may wait for it";
                    verdict.fault(&node.seed, format!("{name}: {key}="), what);
                }
            }
        }
    }
}

fn waits_for_cloud_init(statement: &Statement) -> bool {
    let words = statement.unwrapped();
    words.first() == Some(&"cloud-init")
        && words.contains(&"status")
        && words.iter().any(|word| ["--wait", "-w"].contains(word))
}

/// SK0205
pub(super) fn for_itself(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for (name, unit) in node.units.iter().filter(|(_, unit)| unit.is_oneshot()) {
            let waiting = waiting_for(node, name);
            for (key, command) in unit.commands() {
                for (place, statement) in run_by(node, name, key, command) {
                    let Some(call) = Call::of(&statement).filter(Call::is_blocking_start) else { continue };
                    let Some(other) = call.units.iter().find(|unit| waiting.contains(*unit)) else {
                        continue;
                    };
                    verdict.fault(
                        &node.seed,
                        place,
                        format!("it starts `{other}`, which waits for `{name}`"),
                    );
                }
            }
        }
    }
}

/// Returns the units that come after one.
fn waiting_for(node: &Node, name: &str) -> Vec<String> {
    let before = node.units[name].words("Unit", "Before").into_iter().map(str::to_owned);
    let after = node.units.iter().filter(|(_, unit)| unit.words("Unit", "After").contains(&name));
    before.chain(after.map(|(other, _)| other.clone())).collect()
}

/// Returns the statements of a unit's command, and of the script that it runs.
fn run_by(node: &Node, unit: &str, key: &str, command: &str) -> Vec<(String, Statement)> {
    let own = statements(command).into_iter().map(|statement| (format!("{unit}: {key}="), statement));
    let script = command.split_whitespace().find_map(|word| Some((word, node.files.get(word)?.script()?)));
    let within = script.into_iter().flat_map(|(path, script)| {
        let place = format!("{}: line ", node.files[path].place);
        statements(&script)
            .into_iter()
            .map(move |statement| (format!("{place}{}", statement.line), statement))
    });
    own.chain(within).collect()
}
