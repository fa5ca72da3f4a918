//! A seed of cloud-init's NoCloud source: for which node it is.
//!
//! Nothing that a file says is shown unless it is named here; passwords, tokens and keys never are.

use std::io;

use serde::Serialize;

use super::payload::{self, PlacedFile};
use super::text;
use crate::artifact::Finding;
use crate::disc::{Disc, EntryKind};
use crate::inspect::masked::without_credentials;
use crate::progress::Reporter;
use crate::seed::UserDataFormat;
use crate::yaml::{self, Node, Value};

/// The labels by which cloud-init finds a seed; no others, although they look alike.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];
const META_DATA: &str = "meta-data";
const USER_DATA: &str = "user-data";
const SEED_ID: &str = "payload/seed-id";
const K3S_CONFIG: &str = "payload/root/etc/rancher/k3s/config.yaml";
/// The largest text that is looked into: as much as the YAML parser takes.
const LARGEST_TEXT: u64 = yaml::MAXIMUM_SIZE as u64;
/// The longest value that is shown.
const LONGEST_VALUE: usize = 300;

/// What a seed is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seed {
    /// The instance that cloud-init takes the node for; `None` if meta-data does not say it.
    pub instance_id: Option<String>,
    /// The node's name.
    pub hostname: Option<String>,
    /// What cloud-init takes user-data for.
    pub user_data: UserDataFormat,
    /// The name of the payload.
    pub seed_id: Option<String>,
    /// What the node is in its cluster, if the payload configures k3s.
    pub k3s: Option<K3sNode>,
    /// The bytes of the payload's files.
    pub payload_bytes: u64,
    /// The files that the node places.
    pub payload: Vec<PlacedFile>,
}

/// What k3s' configuration says of a node, without any secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct K3sNode {
    /// `server` or `agent`.
    pub role: &'static str,
    /// The node's name.
    pub name: Option<String>,
    /// The node's address.
    pub address: Option<String>,
    /// The server that it joins.
    pub server: Option<String>,
}

/// Returns whether a disc means to be a seed.
pub(super) fn is_labelled(disc: &Disc) -> bool {
    disc.volume_id().eq_ignore_ascii_case(LABELS[0])
}

/// Reads a seed; `None` if a file is missing without which it is none.
pub(super) fn read(
    disc: &Disc,
    reporter: &dyn Reporter,
    findings: &mut Vec<Finding>,
) -> io::Result<Option<Seed>> {
    if !LABELS.contains(&disc.volume_id()) {
        let reason = format!("cloud-init finds discs with the labels {} only", LABELS.join(" and "));
        findings.push(Finding::wrong("volume identifier", reason));
    }
    let missing: Vec<&str> =
        [META_DATA, USER_DATA].into_iter().filter(|path| disc.file(path).is_none()).collect();
    findings.extend(missing.iter().map(|path| Finding::Missing { path: (*path).to_owned() }));
    if !missing.is_empty() {
        return Ok(None);
    }
    let meta_data = text(disc, META_DATA, LARGEST_TEXT)?.as_deref().and_then(mapping);
    let user_data = text(disc, USER_DATA, LARGEST_TEXT)?;
    let config = user_data.as_deref().and_then(mapping);
    let first = |keys: &[(&Option<Node>, &str)]| {
        keys.iter().find_map(|(node, key)| node.as_ref().and_then(|node| value(node, key)))
    };
    let hostname = first(&[
        (&meta_data, "local-hostname"),
        (&meta_data, "hostname"),
        (&config, "hostname"),
        (&config, "fqdn"),
    ]);
    let payload = payload::read(disc, reporter, findings)?;
    Ok(Some(Seed {
        instance_id: first(&[(&meta_data, "instance-id"), (&meta_data, "instance_id")]),
        hostname,
        user_data: user_data
            .as_deref()
            .map_or(UserDataFormat::Unknown, |text| UserDataFormat::of(text.as_bytes())),
        seed_id: text(disc, SEED_ID, LARGEST_TEXT)?.map(|text| shown(text.trim_end())),
        k3s: text(disc, K3S_CONFIG, LARGEST_TEXT)?.as_deref().and_then(mapping).map(|node| k3s(&node)),
        payload_bytes: disc.entries().iter().map(payload_size).fold(0, u64::saturating_add),
        payload,
    }))
}

fn payload_size(entry: &crate::disc::Entry) -> u64 {
    match &entry.kind {
        EntryKind::File(content) if entry.path.starts_with("payload/root/") => content.size(),
        EntryKind::File(_) | EntryKind::Folder | EntryKind::Link(_) | EntryKind::Special => 0,
    }
}

/// Reads a mapping; `None` for anything else, such as a script.
fn mapping(text: &str) -> Option<Node> {
    let root = yaml::parse(text.as_bytes()).ok()?.root;
    matches!(root.value, Value::Mapping(_)).then_some(root)
}

/// Returns a scalar of a mapping as it is written.
fn value(node: &Node, key: &str) -> Option<String> {
    node.text_at(&[key]).map(|text| shown(&text))
}

fn shown(text: &str) -> String {
    text.chars().take(LONGEST_VALUE).collect()
}

/// A server knows the token of agents beside its own; an agent knows its server alone.
fn k3s(config: &Node) -> K3sNode {
    let is_agent = config.at(&["server"]).is_some() && config.at(&["agent-token"]).is_none();
    K3sNode {
        role: if is_agent { "agent" } else { "server" },
        name: value(config, "node-name"),
        address: value(config, "node-ip"),
        server: value(config, "server").map(|server| without_credentials(&server)),
    }
}
