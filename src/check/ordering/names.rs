//! Paths and variables of scripts.

use std::collections::BTreeSet;

use crate::check::kit::{Kit, Node, Unit, statements};
use crate::check::verdict::Found;

/// Folders in which nothing is that the seed did not place.
const OURS: [&str; 3] = ["/usr/local/", "/opt/", "/var/lib/seedkit/ops-packages/"];
/// Folders that only programs write to.
const WRITTEN: [&str; 1] = ["/usr/local/bin/k"];
/// Variables that a shell, systemd or a login sets.
const KNOWN: [&str; 30] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "IFS",
    "LANG",
    "LC_ALL",
    "TERM",
    "TZ",
    "TMPDIR",
    "HOSTNAME",
    "EUID",
    "UID",
    "RANDOM",
    "SECONDS",
    "LINENO",
    "PPID",
    "OPTARG",
    "OPTIND",
    "BASH_SOURCE",
    "FUNCNAME",
    "PIPESTATUS",
    "BASH_VERSION",
    "MAINPID",
    "INVOCATION_ID",
    "NOTIFY_SOCKET",
    "CREDENTIALS_DIRECTORY",
];

/// SK0209
pub(in crate::check) fn are_there(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for (place, command) in node.unit_commands() {
        if let Some(path) = command.split_whitespace().find(|word| is_ours_and_missing(node, word)) {
            found.fault(place, format!("`{path}` is not in the seed"));
        }
    }
    for script in node.scripts() {
        for (place, statement) in script.statements() {
            let program = statement.words.first().filter(|word| is_ours_and_missing(node, word));
            let staged = statement.words.iter().find(|word| word.starts_with("/usr/local/seed/"));
            if let Some(word) = program.or(staged.filter(|word| is_ours_and_missing(node, word))) {
                found.fault(place, format!("`{word}` is not in the seed"));
            }
        }
        for name in unset(&script.text, &environment(node, script.path)) {
            found.fault(script.place, format!("${name} is used and nowhere set"));
        }
    }
}

fn is_ours_and_missing(node: &Node, word: &str) -> bool {
    let is_ours = OURS.iter().any(|folder| word.starts_with(folder) && word.len() > folder.len());
    let is_plain = !word.contains(['$', '*', '?', '[']);
    is_ours
        && is_plain
        && !WRITTEN.iter().any(|start| word.starts_with(start) && word != "/usr/local/bin/k3s")
        && !node
            .files
            .keys()
            .any(|path| path == word || path.starts_with(&format!("{}/", word.trim_end_matches('/'))))
}

/// Returns the variables that units set for a script.
fn environment(node: &Node, path: &str) -> BTreeSet<String> {
    let runs = |unit: &&Unit| unit.commands().iter().any(|(_, command)| command.contains(path));
    let settings = node.units.values().filter(runs).flat_map(|unit| unit.words("Service", "Environment"));
    settings.filter_map(|word| Some(word.trim_matches('"').split_once('=')?.0.to_owned())).collect()
}

/// Returns the variables in capitals that a script uses and that nobody sets; `${NAME-…}` sets what it needs.
fn unset(script: &str, environment: &BTreeSet<String>) -> BTreeSet<String> {
    let mut set: BTreeSet<String> = environment.clone();
    // What a template left is another row's.
    set.insert("DOLLAR".to_owned());
    set.extend(KNOWN.iter().map(|name| (*name).to_owned()));
    for statement in statements(script) {
        set.extend(statement.assignments.iter().map(|(name, _)| name.clone()));
        let declares =
            ["read", "export", "local", "for", "readonly", "declare", "typeset", "getopts", "mapfile"];
        if declares.contains(&statement.program()) {
            let names =
                statement.words[1..].iter().map(|word| word.split('=').next().unwrap_or(word).to_owned());
            set.extend(names);
        }
    }
    used(script).into_iter().filter(|name| !set.contains(name)).collect()
}

/// Returns `$NAME` and `${NAME}` outside of single quotes and comments.
fn used(script: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in script.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let (mut is_single, mut is_double) = (false, false);
        for (position, character) in line.char_indices() {
            match character {
                '\'' if !is_double => is_single = !is_single,
                '"' if !is_single => is_double = !is_double,
                '$' if !is_single && !line[..position].ends_with('\\') => {
                    let rest = &line[position + 1..];
                    let (rest, is_braced) = match rest.strip_prefix('{') {
                        Some(rest) => (rest, true),
                        None => (rest, false),
                    };
                    let is_name = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
                    let name: String = rest.chars().take_while(is_name).collect();
                    let end = rest[name.len()..].chars().next();
                    let is_whole = if is_braced {
                        end == Some('}')
                    } else {
                        !end.is_some_and(|c| c.is_ascii_lowercase())
                    };
                    if is_whole && name.starts_with(|first: char| first.is_ascii_uppercase()) {
                        found.insert(name);
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// SK0210
pub(in crate::check) fn do_not_clash(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for script in node.scripts() {
        let own = assigned(&script.text);
        for (place, statement) in script.statements() {
            let is_source = [".", "source"].contains(&statement.program());
            let Some(sourced) = statement.words.get(1).filter(|_| is_source) else { continue };
            let Some(theirs) = node.text(sourced).map(|text| assigned(&text.text())) else { continue };
            for name in own.intersection(&theirs) {
                found.fault(&place, format!("`{sourced}` sets ${name}, too"));
            }
        }
    }
}

fn assigned(script: &str) -> BTreeSet<String> {
    let statements = statements(script).into_iter().filter(|statement| statement.words.is_empty());
    statements.flat_map(|statement| statement.assignments).map(|(name, _)| name).collect()
}
