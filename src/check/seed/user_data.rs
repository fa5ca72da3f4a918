//! user-data: keys that cloud-init knows, commands that are commands, and room for what is copied.

use crate::check::kit::{Command, Kit, Node, Stage, statements};
use crate::check::tables::cloud_init;
use crate::check::verdict::Verdict;
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
pub(in crate::check) fn keys_are_known(kit: &Kit, verdict: &mut Verdict) {
    if super::is_opaque(kit, verdict) {
        return;
    }
    for node in &kit.nodes {
        let document = match node.user_data.yaml() {
            Ok(document) => document,
            // cloud-init may read what seedkit refuses to write.
            Err(problem) if kit.is_alone() && problem.contains("not supported") => {
                verdict.warning(&node.seed, "user-data", format!("it is not looked into: {problem}"));
                continue;
            }
            Err(problem) => {
                verdict.fault(&node.seed, "user-data", problem);
                continue;
            }
        };
        for finding in document.findings.iter().filter(|finding| finding.message.contains("already set")) {
            verdict.fault(&node.seed, "user-data", finding.to_string());
        }
        for (key, _) in node.cloud_config.iter().flat_map(yaml::Node::entries) {
            let unknown: Vec<&str> = cloud_init()
                .into_iter()
                .filter(|release| !release.keys.contains(&key.name))
                .map(|release| release.version.as_str())
                .collect();
            if !unknown.is_empty() {
                let what = format!("cloud-init {} does not know `{}`", unknown.join(" and "), key.name);
                verdict.fault(&node.seed, format!("user-data: line {}", key.location.line), what);
            }
        }
    }
}

/// SK0107
pub(in crate::check) fn commands_are_text(kit: &Kit, verdict: &mut Verdict) {
    if super::is_opaque(kit, verdict) {
        return;
    }
    for node in &kit.nodes {
        for command in &node.commands {
            if let Some(what) = not_text(&command.value) {
                verdict.fault(&node.seed, &command.place, what);
            } else if let Some(what) = shell_of(command).as_deref().and_then(bashism) {
                verdict.fault(&node.seed, &command.place, what);
            }
        }
        modes(node, verdict);
        for (_, file, script) in node.scripts() {
            let first = script.lines().next().unwrap_or_default();
            let is_for_sh = first.trim_end().ends_with("/sh") || first.contains("/sh ");
            if let Some(what) = Some(script.as_str()).filter(|_| is_for_sh).and_then(bashism) {
                verdict.fault(&node.seed, &file.place, what);
            }
        }
    }
}

/// Says what a command is that is neither a text nor a list of texts.
fn not_text(command: &yaml::Node) -> Option<String> {
    match &command.value {
        Value::String(_) => None,
        Value::Sequence(words) => {
            let odd = words.iter().find(|word| !matches!(word.value, Value::String(_)))?;
            Some(format!("`{}` in it is {}, not text", odd.written, odd.value.kind()))
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Mapping(_) => {
            Some(format!("it is {}, not text", command.value.kind()))
        }
    }
}

/// Returns what /bin/sh is given by a command.
fn shell_of(command: &Command) -> Option<String> {
    if let Value::String(text) = &command.value.value { Some(text.clone()) } else { None }
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

fn modes(node: &Node, verdict: &mut Verdict) {
    let written = node.cloud_config.iter().flat_map(|config| config.items_at(&["write_files"]));
    for (index, item) in written.enumerate() {
        let Some(mode) = item.at(&["permissions"]) else { continue };
        let path = item.text_at(&["path"]).unwrap_or_default();
        let digits = mode.written.as_str();
        let is_mode =
            (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        if !matches!(mode.value, Value::String(_)) || !is_mode {
            let place = format!("user-data: write_files[{index}]: {path}: permissions");
            verdict.fault(&node.seed, place, format!("`{digits}` is not text of three or four octal digits"));
        }
    }
}

/// SK0111
pub(in crate::check) fn copies_have_room(kit: &Kit, verdict: &mut Verdict) {
    let has_payload = |node: &Node| node.disc.files.keys().any(|path| path.starts_with("payload/"));
    if kit.is_alone() && !kit.nodes.iter().any(has_payload) {
        verdict.not_applicable("the disc has no payload");
        return;
    }
    for node in &kit.nodes {
        for command in node.commands.iter().filter(|command| command.stage == Stage::Boot) {
            let copies = ["cp", "install", "tar", "dd", "rsync", "mv"];
            let statements = command.statements();
            if let Some(statement) = statements.iter().find(|statement| copies.contains(&statement.program()))
            {
                let what = format!("`{}` runs before the root file system has grown", statement.program());
                verdict.fault(&node.seed, &command.place, what);
            }
        }
        let Some(installer) = &node.autoinstall else { continue };
        let layout = installer.text_at(&["storage", "layout", "name"]).unwrap_or_else(|| "lvm".to_owned());
        let is_scaled = installer.text_at(&["storage", "layout", "sizing-policy"]).as_deref() != Some("all");
        let has_own = installer.at(&["storage", "config"]).is_some();
        if layout == "lvm" && is_scaled && !has_own {
            let what = "the layout is lvm, which leaves half of the disk unused";
            verdict.fault(&node.seed, "user-data: autoinstall.storage", what);
        }
    }
}
