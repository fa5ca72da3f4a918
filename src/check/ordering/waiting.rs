//! What waits for something that waits for it.

use super::calls::Call;
use crate::check::kit::{Command, Kit, Node, Script, Stage, Statement, statements};
use crate::check::verdict::Found;

/// SK0204
pub(in crate::check) fn in_cloud_init(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let commands = node.commands.iter().filter(|command| command.stage != Stage::Install);
    for (place, statement) in commands.flat_map(Command::placed) {
        let blocking = Call::of(&statement).filter(Call::is_blocking_start);
        let mut units = blocking.into_iter().flat_map(|call| call.units);
        if let Some(unit) = units.find(|unit| node.units.contains_key(unit)) {
            let what = format!("it waits until `{unit}` has started: there is no --no-block");
            if kit.is_alone() {
                found.warning(&place, what);
            } else {
                found.fault(&place, what);
            }
        }
        if waits_for_cloud_init(&statement) {
            found.fault(place, "it waits for cloud-init, which runs it");
        }
    }
    for (place, statement) in node.statements_of_files() {
        if waits_for_cloud_init(&statement) {
            found.fault(place, "it waits for cloud-init, which may wait for it");
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
pub(in crate::check) fn for_itself(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for (name, unit) in node.units.iter().filter(|(_, unit)| unit.is_oneshot()) {
        let waiting = waiting_for(node, name);
        let commands = unit.commands().into_iter();
        for (place, statement) in commands.flat_map(|(key, command)| run_by(node, name, key, command)) {
            let call = Call::of(&statement).filter(Call::is_blocking_start);
            let other = call.and_then(|call| call.units.into_iter().find(|unit| waiting.contains(unit)));
            if let Some(other) = other {
                found.fault(place, format!("it starts `{other}`, which waits for `{name}`"));
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
    let script = command.split_whitespace().find_map(|word| node.script(word));
    own.chain(script.iter().flat_map(Script::statements)).collect()
}
