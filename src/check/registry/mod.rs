//! The registry, its certificate, and what nodes are told of it.

pub(super) mod certificate;
pub(super) mod configuration;
pub(super) mod reach;

use super::kit::{Node, REGISTRIES as FILE};
use crate::yaml;

/// Where an endpoint leads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    /// As it is written.
    written: String,
    /// `https` or `http`; nothing if none is written.
    scheme: Option<String>,
    /// With the port, as it is written.
    authority: String,
}

impl Endpoint {
    fn of(written: &str) -> Self {
        let (scheme, rest) = match written.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
            None => (None, written),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        Self { written: written.to_owned(), scheme, authority: authority.to_owned() }
    }

    /// Returns the name or address without the port and without brackets.
    fn host(&self) -> &str {
        match self.authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None => self.authority.split(':').next().unwrap_or_default(),
        }
    }

    /// Returns the keys under which `configs` may speak of it.
    fn keys(&self) -> Vec<String> {
        let port = if self.scheme.as_deref() == Some("http") { ":80" } else { ":443" };
        let mut keys = vec![self.authority.clone()];
        keys.extend(self.authority.strip_suffix(port).map(str::to_owned));
        keys
    }
}

/// Returns every mirrored registry of a node with its endpoints.
fn mirrors(node: &Node) -> Vec<(String, Vec<Endpoint>)> {
    let Some(root) = node.yaml(FILE) else { return Vec::new() };
    let mirror = |(key, value): &(yaml::Key, yaml::Node)| {
        let list = value.items_at(&["endpoint"]);
        let endpoints = list.iter().filter_map(yaml::Node::text).map(|text| Endpoint::of(&text));
        (key.name.clone(), endpoints.collect())
    };
    root.entries_at(&["mirrors"]).iter().map(mirror).collect()
}

/// Returns all endpoints that a node may ask.
fn endpoints(node: &Node) -> impl Iterator<Item = Endpoint> {
    mirrors(node).into_iter().flat_map(|(_, endpoints)| endpoints)
}
