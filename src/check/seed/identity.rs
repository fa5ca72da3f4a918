//! The name of a seed, computed again from everything else in it.
//!
//! The rule is that of the kits' format: SHA-256 over a line for each of meta-data (without the id), network-config,
//! user-data, and every file of the payload, `path NUL mode NUL digest`; the name ends in its first twelve digits.

use std::collections::BTreeMap;

use crate::check::kit::{Kit, Node, Source};
use crate::check::verdict::Verdict;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::yaml::Value;

/// Where a seed says its own name.
const ID: &str = "payload/seed-id";

/// SK0103
pub(in crate::check) fn follows_from_content(kit: &Kit, verdict: &mut Verdict) {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for node in &kit.nodes {
        let mut found = verdict.of(&node.seed);
        let place = "meta-data: instance-id";
        let Some(id) = instance_id(node) else { continue };
        if let Some(other) = known.insert(id.clone(), &node.name) {
            found.fault(place, format!("`{id}` is also the id of node `{other}`"));
            continue;
        }
        let expected = content_id(node, &id);
        let name = node.disc.text(ID).map(|text| text.text().trim_end().to_owned());
        if !id.ends_with(&format!("-{expected}")) {
            let what =
                format!("`{id}` does not end in {expected}, as its content does: the content was changed");
            found.fault(place, what);
        } else if let Some(name) = name.filter(|name| !id.ends_with(name.as_str())) {
            found.fault(ID, format!("it is `{name}`, and the instance is `{id}`"));
        }
    }
}

/// Says of a disc that somebody else made that its id follows from nothing.
pub(in crate::check) fn is_not_ours(kit: &Kit) -> Option<String> {
    let has_id = |node: &Node| node.disc.files.contains_key(ID);
    let is_foreign = kit.is_alone() && !kit.nodes.iter().any(has_id);
    is_foreign.then(|| "only seedkit's own seeds derive their id from their content".to_owned())
}

fn instance_id(node: &Node) -> Option<String> {
    let root = node.meta_data.root()?;
    let id = root.at(&["instance-id"])?;
    if let Value::String(text) = &id.value {
        Some(text.clone()).filter(|text| !text.is_empty())
    } else {
        None
    }
}

fn content_id(node: &Node, id: &str) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut add = |path: &str, mode: &str, digest: &Digest| {
        // A mode that is none gives a name that no seed has.
        let mode = u32::from_str_radix(mode, 8).map_or_else(|_| mode.to_owned(), |mode| format!("{mode:o}"));
        hasher.update(format!("{path}\0{mode}\0{digest}\n").as_bytes());
    };
    let unnamed = node.meta_data.text().replace(id, "");
    add("meta-data", "644", &Digest::sha256(unnamed.as_bytes()));
    if let Some(network) = &node.network_config {
        add("network-config", "644", &Digest::sha256(&network.bytes));
    }
    add("user-data", "600", &Digest::sha256(&node.user_data.bytes));
    for list in ["FOLDERS", "SHARED"] {
        let path = format!("payload/{list}");
        if let Some(text) = node.disc.text(&path) {
            add(&path, "644", &Digest::sha256(&text.bytes));
        }
    }
    for (path, file) in node.files.iter().filter(|(_, file)| file.source == Source::Payload) {
        if let (Some(mode), Some(digest)) = (&file.mode, &file.digest) {
            add(&format!("payload/root{path}"), mode, digest);
        }
    }
    hasher.finish().short().to_owned()
}
