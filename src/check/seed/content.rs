//! What templates leave behind.

use crate::check::kit::{Kit, Node};
use crate::check::verdict::Verdict;
use crate::yaml;

/// What must not be empty: file on the node, and keys in it.
const NEEDED: [&str; 7] =
    ["token", "agent-token", "server", "node-name", "node-ip", "hostname", "local-hostname"];

/// SK0106
pub(super) fn nothing_is_left_of_templates(kit: &Kit, verdict: &mut Verdict) {
    if super::is_opaque(kit, verdict) {
        return;
    }
    for node in &kit.nodes {
        let own = |name: &'static str, text: Option<String>| text.map(|text| (name.to_owned(), text, false));
        let network = node.network_config.as_ref().map(|text| text.text().into_owned());
        let mut texts: Vec<(String, String, bool)> = Vec::new();
        texts.extend(own("meta-data", Some(node.meta_data.text().into_owned())));
        texts.extend(own("network-config", network));
        if let Some(user) = &node.user {
            let commands =
                |place: &str| ["runcmd", "bootcmd", "-commands"].iter().any(|key| place.contains(key));
            let judged = scalars(user, "user-data").into_iter();
            texts.extend(judged.map(|(place, text)| {
                let is_script = commands(&place);
                (place, text, is_script)
            }));
        }
        let made = node.files.iter().filter(|(path, _)| !kit.is_users_own(path));
        for (_, file) in made.filter(|(path, _)| !path.contains("/manifests/")) {
            let Some(text) = file.text.as_ref().and_then(|text| text.readable()) else { continue };
            // Units and profiles have variables as well; of somebody else's nobody knows which are meant.
            let is_script = kit.is_alone() || text.starts_with("#!");
            texts.push((file.place.clone(), text.into_owned(), is_script));
        }
        for (place, text, is_script) in texts {
            if let Some(left) = leftover(&text, is_script) {
                verdict.fault(&node.seed, place, format!("`{left}` was left by a template"));
            }
        }
        empty_values(node, verdict);
    }
}

fn empty_values(node: &Node, verdict: &mut Verdict) {
    let config = "/etc/rancher/k3s/config.yaml";
    let documents = [
        ("meta-data".to_owned(), node.meta_data.root()),
        ("user-data".to_owned(), node.cloud_config.clone()),
        (format!("payload/root{config}"), node.k3s_config()),
    ];
    for (place, document) in documents {
        for (key, value) in document.iter().flat_map(yaml::Node::entries) {
            let is_empty = value.text().is_none_or(|text| text.trim().is_empty());
            if NEEDED.contains(&key.name.as_str()) && is_empty {
                verdict.fault(&node.seed, format!("{place}: {}", key.name), "it is empty");
            }
        }
    }
}

/// Returns every text of a document with its place; what is written to files is looked at there.
fn scalars(node: &yaml::Node, place: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> =
        node.text().map(|text| (place.to_owned(), text)).into_iter().collect();
    for (key, value) in node.entries().iter().filter(|(key, _)| key.name != "write_files") {
        found.extend(scalars(value, &format!("{place}: {}", key.name)));
    }
    for (index, item) in node.items().iter().enumerate() {
        found.extend(scalars(item, &format!("{place}[{index}]")));
    }
    found
}

/// Returns the first thing in a text that a template should have replaced.
fn leftover(text: &str, is_script: bool) -> Option<String> {
    let shown = |from: usize, length: usize| text[from..].chars().take(length).collect::<String>();
    for (position, _) in text.match_indices("${") {
        let name: String =
            text[position + 2..].chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        let is_closed = text[position + 2 + name.len()..].starts_with('}');
        // A script has variables of its own; whether they are set is another question.
        if is_closed && !name.is_empty() && (!is_script || name == "DOLLAR") {
            return Some(shown(position, name.len() + 3));
        }
    }
    for (position, mark) in text.match_indices("{{").chain(text.match_indices("{%")) {
        let inside = text[position + mark.len()..].trim_start_matches(['-', ' ']);
        if inside.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Some(shown(position, 40));
        }
    }
    for (position, _) in text.match_indices("@@") {
        let name: String =
            text[position + 2..].chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        if !name.is_empty() && text[position + 2 + name.len()..].starts_with("@@") {
            return Some(shown(position, name.len() + 4));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::leftover;

    #[test]
    fn placeholders_are_told_from_variables() {
        for (text, is_script, left) in [
            ("a ${DOLLAR}{X}", true, Some("${DOLLAR}")),
            ("a ${HOST}", false, Some("${HOST}")),
            ("a ${HOST}", true, None),
            ("${state-}", false, None),
            ("{{ node.name }}", false, Some("{{ node.name }}")),
            ("{{.State}}", true, None),
            ("@@TOKEN@@", false, Some("@@TOKEN@@")),
            ("a@@b", false, None),
        ] {
            assert_eq!(leftover(text, is_script).as_deref(), left, "{text}");
        }
    }
}
