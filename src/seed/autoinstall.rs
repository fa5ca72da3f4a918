//! What Ubuntu's server installer would make of a seed's `autoinstall`, before it is too late to ask.
//!
//! The installer ignores keys that it does not know, and cloud-init's schema looks at nothing but the version: a
//! mistake is noticed when a machine does not install, or installs something else. The keys and their types lie in
//! `autoinstall-keys.toml`; the rules below them are the traps that a key table does not see.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::yaml::{self, Key, Node, Value};

/// The keys, with where and when they were read.
const KEYS: &str = include_str!("autoinstall-keys.toml");

static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(KEYS).expect("a unit test reads the table of keys"));

/// The installer has its own list of what may stand beside `autoinstall`; nothing that we need is on it.
const ONLY_KEY: &str = "autoinstall";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[expect(dead_code, reason = "it is there for people")]
    source: String,
    #[expect(dead_code, reason = "it is there for people")]
    date: String,
    keys: BTreeMap<String, Kind>,
    /// Keys of keys, where the installer allows no others.
    within: BTreeMap<String, BTreeMap<String, Kind>>,
}

/// What a key holds.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Anything,
    Boolean,
    Integer,
    Text,
    TextOrNothing,
    List,
    Mapping,
    /// A list of commands: text for a shell, or a list of words for none.
    Commands,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Anything => "anything",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Text | Self::TextOrNothing => "a string",
            Self::List | Self::Commands => "a list",
            Self::Mapping => "a mapping",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Anything => true,
            Self::Boolean => matches!(value, Value::Bool(_)),
            Self::Integer => matches!(value, Value::Integer(_)),
            Self::Text => matches!(value, Value::String(_)),
            Self::TextOrNothing => matches!(value, Value::String(_) | Value::Null),
            Self::List | Self::Commands => matches!(value, Value::Sequence(_)),
            Self::Mapping => matches!(value, Value::Mapping(_)),
        }
    }
}

/// Returns the first thing in `user_data` that the installer would refuse, ignore or stumble over, with its line.
pub(super) fn check(user_data: &str) -> Result<(), String> {
    let document = yaml::parse(user_data.as_bytes()).map_err(|finding| finding.to_string())?;
    if let Some(finding) = document.findings.first() {
        return Err(finding.to_string());
    }
    for (key, node) in document.root.entries() {
        if key.name != ONLY_KEY {
            return Err(at(
                node,
                &format!(
                    "`{}` stands beside `autoinstall`, where it would set up the installer and not the node; put it below `autoinstall.user-data`",
                    key.name
                ),
            ));
        }
    }
    let Some(autoinstall) = document.root.at(&[ONLY_KEY]) else {
        return Err("has no key `autoinstall`: the installer would ask its questions".to_owned());
    };
    check_keys(autoinstall, &TABLE.keys, "autoinstall")?;
    for (key, allowed) in &TABLE.within {
        if let Some(node) = autoinstall.at(&[key]) {
            check_keys(node, allowed, &format!("autoinstall.{key}"))?;
        }
    }
    check_commands(autoinstall)?;
    check_rules(autoinstall)
}

fn check_keys(node: &Node, allowed: &BTreeMap<String, Kind>, path: &str) -> Result<(), String> {
    if !matches!(node.value, Value::Mapping(_)) {
        return Err(at(node, &format!("`{path}` is {}, not a mapping", node.value.kind())));
    }
    for (Key { name: key, .. }, node) in node.entries() {
        let Some(kind) = allowed.get(key) else {
            return Err(at(node, &format!("the installer does not know the key `{path}.{key}`")));
        };
        if !kind.fits(&node.value) {
            let (wanted, found) = (kind.name(), node.value.kind());
            return Err(at(node, &format!("`{path}.{key}` is {found}, not {wanted}")));
        }
    }
    Ok(())
}

fn check_commands(autoinstall: &Node) -> Result<(), String> {
    let lists = TABLE.keys.iter().filter(|(_, kind)| **kind == Kind::Commands);
    for (key, _) in lists {
        autoinstall.items_at(&[key]).iter().try_for_each(|command| check_command(key, command))?;
    }
    Ok(())
}

fn check_command(key: &str, command: &Node) -> Result<(), String> {
    let words: Vec<&Node> = match &command.value {
        Value::String(_) => vec![command],
        Value::Sequence(words) => words.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Mapping(_) => {
            return Err(at(command, &format!("a command of `{key}` is {}", command.value.kind())));
        }
    };
    for word in &words {
        let Value::String(text) = &word.value else {
            return Err(at(word, &format!("a word of a command of `{key}` is {}", word.value.kind())));
        };
        if text.contains("/cdrom") {
            return Err(at(
                word,
                &format!(
                    "`{key}` reads `/cdrom`, which is the installer's disc; the seed's is labelled CIDATA"
                ),
            ));
        }
        let is_list = matches!(command.value, Value::Sequence(_));
        // `sh -c` among the words is a shell after all.
        let has_shell = words.iter().any(|word| matches!(&word.value, Value::String(text) if text == "-c"));
        if is_list && !has_shell && text.contains(['*', '|', '>', '<', '&', ';', '$']) {
            return Err(at(
                word,
                &format!(
                    "`{text}` in a list of `{key}` is not read by any shell; write the command as one string"
                ),
            ));
        }
    }
    Ok(())
}

/// The traps of installing with no network and no person.
fn check_rules(autoinstall: &Node) -> Result<(), String> {
    let fail = |problem: &str| Err(at(autoinstall, problem));
    if autoinstall.at(&["version"]).map(|node| &node.value) != Some(&Value::Integer(1)) {
        return fail("`autoinstall.version` is not 1");
    }
    if autoinstall.at(&["identity"]).is_none() && autoinstall.at(&["user-data", "users"]).is_none() {
        return fail("neither `autoinstall.identity` nor `autoinstall.user-data.users` says who may log in");
    }
    if autoinstall.text_at(&["apt", "fallback"]).as_deref() != Some("offline-install") {
        return fail(
            "`autoinstall.apt.fallback` is not `offline-install`: the installer gives up without a mirror",
        );
    }
    let disk = autoinstall.entries_at(&["storage", "layout", "match"]);
    if autoinstall.at(&["storage", "config"]).is_none() && disk.is_empty() {
        return fail("`autoinstall.storage.layout.match` is missing: the installer erases the largest disk");
    }
    if !autoinstall.items_at(&["interactive-sections"]).is_empty() {
        return fail("`autoinstall.interactive-sections` makes the installer wait for a person");
    }
    for key in ["packages", "snaps"] {
        if autoinstall.at(&[key]).is_some() {
            return fail(&format!("`autoinstall.{key}` is fetched from the network, and there is none"));
        }
    }
    Ok(())
}

fn at(node: &Node, problem: &str) -> String {
    format!("line {}: {problem}", node.location.line)
}
