//! What templates leave behind.

use crate::check::kit::{K3S_CONFIG, Kit, Node};
use crate::check::verdict::Found;
use crate::yaml;

/// What must not be empty: file on the node, and keys in it.
const NEEDED: [&str; 7] =
    ["token", "agent-token", "server", "node-name", "node-ip", "hostname", "local-hostname"];

/// SK0106
pub(in crate::check) fn nothing_is_left_of_templates(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let own = node.seed_texts().map(|(name, text)| (name.to_owned(), text.text().into_owned(), false));
    let mut texts: Vec<(String, String, bool)> = own.collect();
    if let Some(user) = &node.user {
        texts.extend(scalars(user, "user-data").into_iter().map(|(place, text)| {
            let is_script = ["runcmd", "bootcmd", "-commands"].iter().any(|key| place.contains(key));
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
            found.fault(place, format!("`{left}` was left by a template"));
        }
    }
    empty_values(node, found);
}

fn empty_values(node: &Node, found: &mut Found<'_>) {
    let meta_data = node.meta_data.root();
    let documents = [
        ("meta-data".to_owned(), &meta_data),
        ("user-data".to_owned(), &node.cloud_config),
        (format!("payload/root{K3S_CONFIG}"), &node.k3s_config),
    ];
    for (place, document) in documents {
        for (key, value) in document.iter().flat_map(yaml::Node::entries) {
            let is_empty = value.text().is_none_or(|text| text.trim().is_empty());
            if NEEDED.contains(&key.name.as_str()) && is_empty {
                found.fault(format!("{place}: {}", key.name), "it is empty");
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
    // A script has variables of its own; whether they are set is another question.
    let variable = marked(text, "${", "}").find(|name| !is_script || *name == "DOLLAR");
    if let Some(name) = variable {
        return Some(format!("${{{name}}}"));
    }
    for (position, mark) in text.match_indices("{{").chain(text.match_indices("{%")) {
        let inside = text[position + mark.len()..].trim_start_matches(['-', ' ']);
        if inside.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Some(text[position..].chars().take(40).collect());
        }
    }
    marked(text, "@@", "@@").next().map(|name| format!("@@{name}@@"))
}

/// Returns the names in capitals that stand between two marks.
fn marked<'a>(text: &'a str, open: &str, close: &str) -> impl Iterator<Item = &'a str> {
    text.match_indices(open).filter_map(move |(position, _)| {
        let rest = &text[position + open.len()..];
        let is_part = |one: char| one.is_ascii_uppercase() || one == '_';
        let (name, behind) = rest.split_at(rest.find(|one| !is_part(one)).unwrap_or(rest.len()));
        (!name.is_empty() && behind.starts_with(close)).then_some(name)
    })
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
