//! Does a located document have the shape that the schema asks for?
//!
//! All deviations are found, each with its place, and cut out of the JSON that is handed on: what remains can
//! be deserialized and checked for its meaning in the same run.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::suggest;
use crate::text::{Finding, Location, Path};
use crate::yaml::{Node, Value as Yaml};

/// What remains of a document after everything that does not fit the schema was cut out.
#[derive(Debug)]
pub(super) struct Conformed {
    /// The rest; deserializes without errors.
    pub(super) json: Value,
    /// What was wrong.
    pub(super) findings: Vec<Finding>,
}

/// Compares a document with a schema.
pub(super) fn conform(schema: &Value, root: &Node) -> Conformed {
    let mut walker = Walker { root: schema, findings: Vec::new() };
    let json = walker.value(schema, root, &Path::root()).unwrap_or_else(|| Value::Object(Map::new()));
    Conformed { json, findings: walker.findings }
}

/// Returns the paths of the errors: what has one needs no second.
pub(super) fn paths_of(findings: &[Finding]) -> BTreeSet<Path> {
    findings.iter().filter(|finding| finding.is_error()).map(|finding| finding.path.clone()).collect()
}

struct Walker<'schema> {
    root: &'schema Value,
    findings: Vec<Finding>,
}

impl<'schema> Walker<'schema> {
    /// Returns the schema that a `$ref` leads to, or the schema itself.
    fn resolve(&self, schema: &'schema Value) -> &'schema Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// Returns what of `node` fits; `None` if it is of another kind altogether.
    fn value(&mut self, schema: &'schema Value, node: &Node, path: &Path) -> Option<Value> {
        let schema = self.resolve(schema);
        if let Some(choices) = choices(schema) {
            return self.choice(&choices, node, path);
        }
        let Some(expected) = schema.get("type").and_then(Value::as_str) else {
            return Some(node.to_json());
        };
        match (expected, &node.value) {
            ("object", Yaml::Mapping(_)) => Some(self.object(schema, node, path)),
            ("array", Yaml::Sequence(items)) => Some(self.array(schema, items, path)),
            ("string", Yaml::String(text)) => Some(text.as_str().into()),
            ("boolean", Yaml::Bool(value)) => Some((*value).into()),
            ("integer", Yaml::Integer(value)) => self.integer(schema, *value, node, path),
            _ => {
                self.findings.push(wrong_kind(schema, expected, node, path));
                None
            }
        }
    }

    fn object(&mut self, schema: &'schema Value, node: &Node, path: &Path) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        let others = schema.get("additionalProperties");
        let mut object = Map::new();
        let Yaml::Mapping(entries) = &node.value else { return object.into() };
        for (key, value) in entries {
            let path = path.key(&key.name);
            let schema = match (property(&key.name), others) {
                (Some(schema), _) => schema,
                (None, Some(Value::Bool(false))) => {
                    self.findings.push(unknown_key(schema, &key.name, key.location, path));
                    continue;
                }
                (None, Some(schema)) => schema,
                (None, None) => &Value::Bool(true),
            };
            if let Some(value) = self.value(schema, value, &path) {
                object.entry(&key.name).or_insert(value);
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if node.entry(name).is_none() {
                self.findings.push(missing_key(name, property(name), node.location, path));
            }
        }
        object.into()
    }

    fn array(&mut self, schema: &'schema Value, items: &[Node], path: &Path) -> Value {
        let schema = self.resolve(schema.get("items").unwrap_or(&Value::Bool(true)));
        items
            .iter()
            .enumerate()
            // What does not fit leaves an empty place, so that the items after it keep their numbers.
            .map(|(index, item)| {
                self.value(schema, item, &path.index(index)).unwrap_or_else(|| empty(schema))
            })
            .collect()
    }

    fn integer(&mut self, schema: &Value, value: i64, node: &Node, path: &Path) -> Option<Value> {
        let bound = |name| schema.get(name).and_then(Value::as_i64);
        let (minimum, maximum) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
        if (minimum..=maximum).contains(&value) {
            return Some(value.into());
        }
        let message = format!("{value} is not between {minimum} and {maximum}");
        self.findings.push(Finding::error(node.location, path.clone(), message));
        None
    }

    fn choice(&mut self, choices: &[&str], node: &Node, path: &Path) -> Option<Value> {
        if let Yaml::String(text) = &node.value
            && choices.contains(&text.as_str())
        {
            return Some(text.as_str().into());
        }
        let list = choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or ");
        let found =
            if node.written.is_empty() { node.value.kind().to_owned() } else { quoted(&node.written) };
        let finding = Finding::error(node.location, path.clone(), format!("expected {list}, found {found}"));
        self.findings.push(match suggest::meant(&node.written, choices.iter().copied()) {
            Some(hint) if choices.len() > 1 => finding.with_hint(hint),
            Some(_) | None => finding,
        });
        None
    }
}

/// Returns the strings that a schema allows, if it is a list of them.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    let list = schema.get("enum").or_else(|| schema.get("oneOf"))?.as_array()?;
    list.iter().map(|choice| choice.get("const").unwrap_or(choice).as_str()).collect()
}

/// Returns the value that stands for an item which does not fit.
fn empty(schema: &Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => Map::new().into(),
        Some("string") => "".into(),
        Some(_) | None => Value::Null,
    }
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    format!("`{short}`")
}

fn wrong_kind(schema: &Value, expected: &str, node: &Node, path: &Path) -> Finding {
    let keys = known_keys(schema);
    let wanted = match expected {
        "object" if keys.is_empty() => "a mapping".to_owned(),
        "object" => format!("a mapping of {}", keys.join(", ")),
        "array" => "a list".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "an integer".to_owned(),
        other => format!("a {other}"),
    };
    let found = match &node.value {
        Yaml::Bool(_) | Yaml::Integer(_) | Yaml::Float(_) => {
            format!("{} {}", node.value.kind(), quoted(&node.written))
        }
        Yaml::Null | Yaml::String(_) | Yaml::Sequence(_) | Yaml::Mapping(_) => node.value.kind().to_owned(),
    };
    let hint = match (expected, &node.value) {
        (_, Yaml::Null) => Some("give it a value, or remove the key".to_owned()),
        ("string", Yaml::Bool(_) | Yaml::Integer(_) | Yaml::Float(_)) => {
            Some(format!("quote it: \"{}\"", node.written))
        }
        ("array", Yaml::String(_) | Yaml::Mapping(_)) => Some("put `- ` before each item".to_owned()),
        ("object", Yaml::String(text)) if keys.first() == Some(&"path") => {
            Some(format!("write {{path: {text}}}"))
        }
        _ => None,
    };
    let finding = Finding::error(node.location, path.clone(), format!("expected {wanted}, found {found}"));
    match hint {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    }
}

fn known_keys(schema: &Value) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(Map::keys).map(String::as_str).collect()
}

/// Names under which people write secrets down.
const SECRET_WORDS: [&str; 5] = ["password", "passwd", "token", "secret", "credential"];

/// Returns whether a key's name says that its value is a secret.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

fn unknown_key(schema: &Value, name: &str, location: Location, path: Path) -> Finding {
    let known = known_keys(schema);
    let finding = Finding::error(location, path, "there is no such key");
    if known.contains(&"passwordFrom") && names_a_secret(name) {
        return finding
            .with_hint("secrets never stand here; write passwordFrom: {env: NAME} or {secret: FILE}");
    }
    if let Some(hint) = suggest::meant(name, known.iter().copied()) {
        return finding.with_hint(hint);
    }
    if names_a_secret(name) {
        return finding
            .with_hint("secrets never stand in the spec; seedkit keeps them in the secrets folder");
    }
    finding.with_hint(format!("known keys: {}", known.join(", ")))
}

fn missing_key(name: &str, schema: Option<&Value>, location: Location, parent: &Path) -> Finding {
    let finding = Finding::error(location, parent.key(name), "this is missing");
    let description = schema.and_then(|schema| schema.get("description")).and_then(Value::as_str);
    // The first sentence ends with a dot and a space: `192.168.6.1` has neither end.
    let line = description.and_then(|text| text.lines().next());
    match line.map(|line| line.split_once(". ").map_or(line, |(sentence, _)| sentence)) {
        None => finding,
        Some(sentence) => finding.with_hint(format!("{name}: {}", sentence.trim_end_matches('.'))),
    }
}
