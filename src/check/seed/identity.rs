//! The name of a seed, computed again from everything else in it.
//!
//! The rule is that of the kits' format: SHA-256 over a line for each of meta-data (without the id), network-config,
//! user-data, and every file of the payload, `path NUL mode NUL digest`; the name ends in its first twelve digits.

use std::collections::BTreeMap;

use crate::check::kit::{Kit, Node, Source};
use crate::check::verdict::Verdict;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::yaml::Value;

/// SK0103
pub(super) fn follows_from_content(kit: &Kit, verdict: &mut Verdict) {
    if kit.is_alone() && kit.nodes.iter().all(|node| !node.disc.files.contains_key("payload/seed-id")) {
        verdict.not_applicable("only seedkit's own seeds derive their id from their content");
        return;
    }
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for node in &kit.nodes {
        let place = "meta-data: instance-id";
        let Some(id) = instance_id(node) else { continue };
        if let Some(other) = known.insert(id.clone(), &node.name) {
            verdict.fault(&node.seed, place, format!("`{id}` is also the id of node `{other}`"));
            continue;
        }
        let expected = content_id(node, &id);
        let name = node.disc.text("payload/seed-id").map(|text| text.text().trim_end().to_owned());
        if !id.ends_with(&format!("-{expected}")) {
            let what =
                format!("`{id}` does not end in {expected}, as its content does: the content was changed");
            verdict.fault(&node.seed, place, what);
        } else if name.as_ref().is_some_and(|name| !id.ends_with(name.as_str())) {
            let what = format!("it is `{}`, and the instance is `{id}`", name.unwrap_or_default());
            verdict.fault(&node.seed, "payload/seed-id", what);
        }
    }
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
