//! user-data: keys that cloud-init knows, commands that are commands, and room for what is copied.

use crate::check::kit::{Kit, Node, Stage, Statement, shown_after, statements};
use crate::check::tables::cloud_init;
use crate::check::verdict::Found;
use crate::yaml::{self, Value};

/// What dash does not have; each with what follows a blank or a line's start.
const BASHISMS: [(&str, &str); 6] = [
    ("[[ ", "`[[`"),
    ("pipefail", "`pipefail`"),
    ("<(", "`<(…)`"),
    ("<<<", "`<<<`"),
    ("declare -", "`declare`"),
    ("&>", "`&>`"),
];

/// SK0105
pub(in crate::check) fn keys_are_known(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let document = match node.user_data.yaml() {
        Ok(document) => document,
        // cloud-init may read what seedkit refuses to write.
        Err(problem) if kit.is_alone() && problem.contains("not supported") => {
            return found.warning("user-data", format!("it is not looked into: {problem}"));
        }
        Err(problem) => return found.fault("user-data", problem),
    };
    for finding in document.findings.iter().filter(|finding| finding.message.contains("already set")) {
        found.fault("user-data", finding.to_string());
    }
    for (key, _) in node.cloud_config.iter().flat_map(yaml::Node::entries) {
        let unknown: Vec<&str> = cloud_init()
            .into_iter()
            .filter(|release| !release.keys.contains(&key.name))
            .map(|release| release.version.as_str())
            .collect();
        if !unknown.is_empty() {
            let what = format!("cloud-init {} does not know `{}`", unknown.join(" and "), key.name);
            found.fault(format!("user-data: line {}", key.location.line), what);
        }
    }
}

/// SK0107
pub(in crate::check) fn commands_are_text(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for command in &node.commands {
        let what = if let Value::String(script) = &command.value.value {
            bashism(script)
        } else {
            not_text(&command.value)
        };
        if let Some(what) = what {
            found.fault(&command.place, what);
        }
    }
    modes(node, found);
    for script in node.scripts() {
        let first = script.text.lines().next().unwrap_or_default();
        let is_for_sh = first.trim_end().ends_with("/sh") || first.contains("/sh ");
        if let Some(what) = bashism(&script.text).filter(|_| is_for_sh) {
            found.fault(script.place, what);
        }
    }
}

/// Says what is wrong with a command that is not a text: it may still be a list of texts.
fn not_text(command: &yaml::Node) -> Option<String> {
    if !matches!(command.value, Value::Sequence(_)) {
        return Some(format!("it is {}, not text", command.value.kind()));
    }
    let words = command.items();
    let at = words.iter().position(|word| !matches!(word.value, Value::String(_)))?;
    let before = at.checked_sub(1).map_or("", |before| words[before].written.as_str());
    let shown = shown_after(before, &words[at].written);
    Some(format!("`{shown}` in it is {}, not text", words[at].value.kind()))
}

fn bashism(script: &str) -> Option<String> {
    for line in script.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        let found = BASHISMS.iter().find(|(mark, _)| line.contains(mark) && !within_quotes(line, mark));
        if let Some((_, name)) = found {
            return Some(format!("{name} is of bash, and /bin/sh is dash"));
        }
    }
    let has_source = statements(script).iter().any(|statement| statement.program() == "source");
    has_source.then(|| "`source` is of bash, and /bin/sh is dash".to_owned())
}

/// Returns whether a mark stands within single quotes.
fn within_quotes(line: &str, mark: &str) -> bool {
    let before = line.split(mark).next().unwrap_or_default();
    before.matches('\'').count() % 2 == 1 || before.matches('"').count() % 2 == 1
}

fn modes(node: &Node, found: &mut Found<'_>) {
    let written = node.cloud_config.iter().flat_map(|config| config.items_at(&["write_files"]));
    for (index, item) in written.enumerate() {
        let Some(mode) = item.at(&["permissions"]) else { continue };
        let path = item.text_at(&["path"]).unwrap_or_default();
        let digits = mode.written.as_str();
        let is_mode =
            (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        if !matches!(mode.value, Value::String(_)) || !is_mode {
            let place = format!("user-data: write_files[{index}]: {path}: permissions");
            found.fault(place, format!("`{digits}` is not text of three or four octal digits"));
        }
    }
}

/// SK0111
pub(in crate::check) fn copies_have_room(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for command in node.commands.iter().filter(|command| command.stage == Stage::Boot) {
        let copies = ["cp", "install", "tar", "dd", "rsync", "mv"];
        let statements = command.statements();
        let copy = statements.iter().map(Statement::program).find(|program| copies.contains(program));
        if let Some(program) = copy {
            let what = format!("`{program}` runs before the root file system has grown");
            found.fault(&command.place, what);
        }
    }
    let Some(installer) = &node.autoinstall else { return };
    let layout = installer.text_at(&["storage", "layout", "name"]).unwrap_or_else(|| "lvm".to_owned());
    let is_scaled = installer.text_at(&["storage", "layout", "sizing-policy"]).as_deref() != Some("all");
    let has_own = installer.at(&["storage", "config"]).is_some();
    if layout == "lvm" && is_scaled && !has_own {
        let what = "the layout is lvm, which leaves half of the disk unused";
        found.fault("user-data: autoinstall.storage", what);
    }
}
