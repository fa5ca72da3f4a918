//! A YAML document as a tree whose every node knows its line and column.
//!
//! The subset is what configuration needs: YAML 1.2 core schema, one document, keys that are strings. What
//! makes YAML surprising is refused with its place: anchors, aliases, merge keys, tags, and scalars that
//! YAML 1.1 and 1.2 read differently. Findings that leave a usable tree are collected, not fatal.
//!
//! # Why
//! A deserializer stops at the first error and knows only that one's place; a user wants all of them at once.
mod build;
mod scalar;

pub use build::{MAXIMUM_DEPTH, MAXIMUM_SIZE, parse};

use crate::text::{Finding, Location, Path, Step};

/// A document that could be read, with what was wrong in it nevertheless.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The outermost node; [`Value::Null`] for an empty document.
    pub root: Node,
    /// Duplicate keys, ambiguous scalars and the like, in the order of the text.
    pub findings: Vec<Finding>,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it starts.
    pub location: Location,
    /// A scalar as it was written, without quotes: `1.30` and not 1.3. Empty for a collection.
    pub written: String,
}

/// A value of the YAML 1.2 core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent; always finite.
    Float(f64),
    /// Text: quoted, or plain and nothing else.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text; a duplicate key is still in here, twice.
    Mapping(Vec<(Key, Node)>),
}

/// The name of a mapping's entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub name: String,
    /// Where it starts.
    pub location: Location,
}

impl Value {
    /// Returns what kind of value this is, with its article, as an error message says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

impl Node {
    /// Returns the entry of a mapping with its key; of duplicates the first.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Sequence(_) => None,
        }
    }

    /// Returns the value at a path of keys, each of a mapping within the one before.
    ///
    /// A key may be anything, also one with dots, such as the name of a registry.
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.entry(key).map(|(_, node)| node))
    }

    /// Returns the text of a scalar, however it is written.
    pub fn text(&self) -> Option<String> {
        match &self.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => Some(self.written.clone()),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Returns the text of a scalar, or those of a list's scalars.
    pub fn texts(&self) -> Vec<String> {
        self.items().iter().chain([self]).filter_map(Self::text).collect()
    }

    /// Returns the items of a list; none for anything else.
    pub fn items(&self) -> &[Self] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    /// Returns the entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Self)] {
        if let Value::Mapping(entries) = &self.value { entries } else { &[] }
    }

    /// Returns the text of the scalar at a path of keys.
    pub fn text_at(&self, keys: &[&str]) -> Option<String> {
        self.at(keys)?.text()
    }

    /// Returns the items of the list at a path of keys; none for anything else.
    pub fn items_at(&self, keys: &[&str]) -> &[Self] {
        self.at(keys).map_or(&[], Self::items)
    }

    /// Returns the entries of the mapping at a path of keys; none for anything else.
    pub fn entries_at(&self, keys: &[&str]) -> &[(Key, Self)] {
        self.at(keys).map_or(&[], Self::entries)
    }

    /// Returns whether `true` is at a path of keys.
    pub fn is_true_at(&self, keys: &[&str]) -> bool {
        self.at(keys).is_some_and(|node| node.value == Value::Bool(true))
    }

    /// Returns one item of a list.
    pub fn item(&self, index: usize) -> Option<&Self> {
        match &self.value {
            Value::Sequence(items) => items.get(index),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Mapping(_) => None,
        }
    }

    /// Returns the node at `path`, if there is one.
    pub fn get(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |node, step| match step {
            Step::Key(name) => node.entry(name).map(|(_, node)| node),
            Step::Index(index) => node.item(*index),
        })
    }

    /// Returns where `path` stands, or the deepest part of it that is there.
    pub fn locate(&self, path: &Path) -> Location {
        let mut node = self;
        let mut location = self.location;
        for step in path.steps() {
            let next = match step {
                Step::Key(name) => node.entry(name).map(|(_, node)| node),
                Step::Index(index) => node.item(*index),
            };
            let Some(next) = next else { break };
            (node, location) = (next, next.location);
        }
        location
    }

    /// Returns the same value as JSON, keys in their order; of duplicate keys the first.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::String(value) => value.clone().into(),
            Value::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => {
                let mut object = serde_json::Map::new();
                for (key, node) in entries {
                    object.entry(&key.name).or_insert_with(|| node.to_json());
                }
                object.into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
