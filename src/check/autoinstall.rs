//! What Ubuntu's server installer makes of a seed.

use super::kit::{Command, Kit, Node, Stage, shown_after};
use super::verdict::Found;
use crate::yaml::{self, Value};

/// Says of seeds that the installer reads none of them.
pub(super) fn is_not_used(kit: &Kit) -> Option<String> {
    let is_used = kit.nodes.iter().any(|node| node.autoinstall.is_some());
    (!is_used).then(|| "the seeds are for cloud images, not for Ubuntu's installer".to_owned())
}

/// Returns what the installer runs.
fn commands(node: &Node) -> impl Iterator<Item = &Command> {
    node.commands.iter().filter(|command| command.stage == Stage::Install)
}

/// SK0702
pub(super) fn reads_the_seed(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for command in commands(node) {
        if let Some(word) = command.words().iter().find(|word| word.contains("/cdrom")) {
            found.fault(&command.place, format!("`{word}` is on the installer's disc"));
        }
    }
}

/// SK0703
pub(super) fn settings_reach_the_node(_: &Kit, node: &Node, found: &mut Found<'_>) {
    let user = node.user.iter().filter(|_| node.autoinstall.is_some());
    for (key, _) in user.flat_map(yaml::Node::entries).filter(|(key, _)| key.name != "autoinstall") {
        let what = format!("`{}` stands beside `autoinstall`, where it sets up the installer", key.name);
        found.fault("user-data", what);
    }
}

/// SK0704
pub(super) fn goes_on_without_a_mirror(_: &Kit, node: &Node, found: &mut Found<'_>) {
    must(node, &["apt", "fallback"], ("", "offline-install"), found);
}

/// SK0705
pub(super) fn ends(_: &Kit, node: &Node, found: &mut Found<'_>) {
    must(node, &["shutdown"], ("reboot", "poweroff"), found);
}

/// Says that a setting of the installer, which has a default, is not what is wanted.
fn must(node: &Node, keys: &[&str], (default, wanted): (&str, &str), found: &mut Found<'_>) {
    let Some(installer) = &node.autoinstall else { return };
    let told = installer.text_at(keys).unwrap_or_else(|| default.to_owned());
    if told != wanted {
        let place = format!("user-data: autoinstall.{}", keys.join("."));
        found.fault(place, format!("it is `{told}`, not `{wanted}`"));
    }
}

/// SK0706
pub(super) fn has_a_shell(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for command in commands(node).filter(|command| matches!(command.value.value, Value::Sequence(_))) {
        let words: Vec<&str> = command.value.items().iter().map(|word| word.written.as_str()).collect();
        // `sh -c` among the words is a shell after all.
        let has_shell = words.contains(&"-c");
        let odd = words.iter().position(|word| word.contains(['*', '|', '>', '<', '&', ';', '$']));
        if let (Some(at), false) = (odd, has_shell) {
            let before = at.checked_sub(1).map_or("", |before| words[before]);
            found.fault(&command.place, format!("no shell reads `{}`", shown_after(before, words[at])));
        }
    }
}
