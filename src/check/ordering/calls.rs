//! Calls of systemctl, wherever they stand.

use crate::check::kit::{Command, Node, Stage, Statement};

/// What one call of systemctl asks for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) verb: String,
    /// With their suffix.
    pub(super) units: Vec<String>,
    pub(super) waits: bool,
    /// Whether enabled units are started as well.
    pub(super) is_now: bool,
}

impl Call {
    /// Reads a call; `None` for any other command.
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        let words = statement.unwrapped();
        let (program, rest) = words.split_first()?;
        if *program != "systemctl" {
            return None;
        }
        let (options, names): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.starts_with('-'));
        let (verb, units) = names.split_first()?;
        let is = |option: &str| options.contains(&option);
        // A system that is not running starts nothing.
        let is_elsewhere = options.iter().any(|option| option.starts_with("--root"));
        Some(Self {
            verb: (*verb).to_owned(),
            units: units.iter().map(|name| with_suffix(name)).collect(),
            waits: !is("--no-block") && !is_elsewhere,
            is_now: is("--now"),
        })
    }

    /// Returns whether it starts its units, and returns only when they have started.
    pub(super) fn is_blocking_start(&self) -> bool {
        let starts = ["start", "restart", "reload-or-restart", "try-restart", "isolate"]
            .contains(&&*self.verb)
            || (self.is_now && ["enable", "reenable"].contains(&&*self.verb));
        starts && self.waits
    }
}

/// Returns a unit's full name.
fn with_suffix(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{name}.service") }
}

/// Returns the units that are enabled, with the place where.
pub(in crate::check) fn enabled(node: &Node) -> Vec<(String, String)> {
    let commands = node.commands.iter().filter(|command| command.stage != Stage::Boot);
    let statements = commands.flat_map(Command::placed);
    let calls = statements.filter_map(|(place, statement)| Some((place, Call::of(&statement)?)));
    let enables = calls.filter(|(_, call)| ["enable", "reenable"].contains(&&*call.verb));
    enables.flat_map(|(place, call)| call.units.into_iter().map(move |unit| (unit, place.clone()))).collect()
}
