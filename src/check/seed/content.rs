//! What templates leave behind.

use crate::check::kit::{K3S_CONFIG, Kit, Node};
use crate::check::verdict::Found;
use crate::k3s::flag_of;
use crate::yaml::{self, Value, parse};

/// What must not be empty: file on the node, and keys in it.
const NEEDED: [&str; 7] =
    ["token", "agent-token", "server", "node-name", "node-ip", "hostname", "local-hostname"];

/// The longest thing of a template that is shown, in characters.
const LONGEST: usize = 40;
/// Files of which the values are looked at, and not how they are spelled.
const DOCUMENTS: [&str; 3] = [".yaml", ".yml", ".json"];

/// A text with its place.
struct Piece {
    place: String,
    text: String,
    /// Whether it may have variables of its own; whether they are set is another question.
    is_script: bool,
}

/// SK0106
pub(in crate::check) fn nothing_is_left_of_templates(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    for (name, text) in node.seed_texts() {
        let whole = Piece { place: name.to_owned(), text: text.text().into_owned(), is_script: false };
        judge(whole, true, found);
    }
    for piece in node.user.iter().flat_map(|user| values(user, "user-data", false)) {
        judge(piece, false, found);
    }
    let made = node.files.iter().filter(|(path, _)| !kit.is_users_own(path));
    for (path, file) in made.filter(|(path, _)| !path.contains("/manifests/")) {
        let Some(text) = file.text.as_ref().and_then(|text| text.readable()) else { continue };
        // Units and profiles have variables as well; of somebody else's nobody knows which are meant.
        let is_script = kit.is_alone() || text.starts_with("#!");
        let whole = Piece { place: file.place.clone(), text: text.into_owned(), is_script };
        judge(whole, DOCUMENTS.iter().any(|suffix| path.ends_with(suffix)), found);
    }
    empty_values(node, found);
}

/// Says what is left in a text: in the values of a document, however they are spelled, or else anywhere in it.
fn judge(whole: Piece, is_document: bool, found: &mut Found<'_>) {
    let document = Some(&whole).filter(|_| is_document).and_then(|whole| parse(whole.text.as_bytes()).ok());
    let values = document.iter().flat_map(|document| values(&document.root, &whole.place, whole.is_script));
    let left = |piece: &Piece| Some((piece.place.clone(), leftover(&piece.text, piece.is_script)?));
    let in_values: Vec<_> = values.filter_map(|piece| left(&piece)).collect();
    let all = if in_values.is_empty() { left(&whole).into_iter().collect() } else { in_values };
    for (place, left) in all {
        found.fault(place, format!("`{left}` was left by a template"));
    }
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
            if NEEDED.contains(&flag_of(&key.name)) && is_empty(value) {
                found.fault(format!("{place}: {}", key.name), "it is empty");
            }
        }
    }
}

/// Returns whether a value says nothing: it is no text, or a list without any or with one that is.
fn is_empty(value: &yaml::Node) -> bool {
    match &value.value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Sequence(items) => items.is_empty() || items.iter().any(is_empty),
        Value::Mapping(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Returns every text of a document, keys too; what is written to files is looked at there.
fn values(node: &yaml::Node, place: &str, is_script: bool) -> Vec<Piece> {
    let piece = |place: &str, text: String| Piece { place: place.to_owned(), text, is_script };
    let mut found: Vec<Piece> = node.text().map(|text| piece(place, text)).into_iter().collect();
    for (key, value) in node.entries().iter().filter(|(key, _)| key.name != "write_files") {
        let place = format!("{place}: {}", key.name);
        let runs = ["runcmd", "bootcmd"].contains(&&*key.name) || key.name.ends_with("-commands");
        found.push(piece(&place, key.name.clone()));
        found.extend(values(value, &place, is_script || runs));
    }
    for (index, item) in node.items().iter().enumerate() {
        found.extend(values(item, &format!("{place}[{index}]"), is_script));
    }
    found
}

/// Returns the first thing in a text that a template should have replaced.
fn leftover(text: &str, is_script: bool) -> Option<String> {
    let variable = marked(text, "${", "}").find(|name| !is_script || *name == "DOLLAR");
    if let Some(name) = variable {
        return Some(format!("${{{name}}}"));
    }
    for (position, mark) in text.match_indices("{{").chain(text.match_indices("{%")) {
        let inside = text[position + mark.len()..].trim_start_matches(['-', ' ']);
        if inside.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let shown: String = text[position..].chars().take(LONGEST).collect();
            let end = shown.find(if mark == "{{" { "}}" } else { "%}" });
            // What goes on behind it is not the template's, and may be a secret.
            return Some(end.map_or(mark, |end| &shown[..end + 2]).to_owned());
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
