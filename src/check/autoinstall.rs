//! What Ubuntu's server installer makes of a seed.

use super::Check;
use super::kit::{Kit, Node, Stage};
use super::verdict::Verdict;
use crate::yaml::{self, Value};

pub(super) const CHECKS: &[Check] = &[
    Check::kit("SK0702", reads_the_seed),
    Check::kit("SK0703", settings_reach_the_node),
    Check::kit("SK0704", goes_on_without_a_mirror),
    Check::kit("SK0705", ends),
    Check::kit("SK0706", has_a_shell),
];

/// Returns the nodes that the installer makes, with what it is told; says that there are none.
fn installed<'a>(kit: &'a Kit, verdict: &mut Verdict) -> Vec<(&'a Node, &'a yaml::Node)> {
    let nodes: Vec<_> =
        kit.nodes.iter().filter_map(|node| Some((node, node.autoinstall.as_ref()?))).collect();
    if nodes.is_empty() {
        verdict.not_applicable("the seeds are for cloud images, not for Ubuntu's installer");
    }
    nodes
}

/// SK0702
fn reads_the_seed(kit: &Kit, verdict: &mut Verdict) {
    for (node, _) in installed(kit, verdict) {
        for command in node.commands.iter().filter(|command| command.stage == Stage::Install) {
            let statements = command.statements();
            let mut words = statements.iter().flat_map(|statement| &statement.words);
            if let Some(word) = words.find(|word| word.contains("/cdrom")) {
                verdict.fault(&node.seed, &command.place, format!("`{word}` is on the installer's disc"));
            }
        }
    }
}

/// SK0703
fn settings_reach_the_node(kit: &Kit, verdict: &mut Verdict) {
    for (node, _) in installed(kit, verdict) {
        for (key, _) in
            node.user.iter().flat_map(yaml::Node::entries).filter(|(key, _)| key.name != "autoinstall")
        {
            let what = format!("`{}` stands beside `autoinstall`, where it sets up the installer", key.name);
            verdict.fault(&node.seed, "user-data", what);
        }
    }
}

/// SK0704
fn goes_on_without_a_mirror(kit: &Kit, verdict: &mut Verdict) {
    for (node, installer) in installed(kit, verdict) {
        let fallback = installer.text_at(&["apt", "fallback"]);
        if fallback.as_deref() != Some("offline-install") {
            let what = format!("it is `{}`, not `offline-install`", fallback.unwrap_or_default());
            verdict.fault(&node.seed, "user-data: autoinstall.apt.fallback", what);
        }
    }
}

/// SK0705
fn ends(kit: &Kit, verdict: &mut Verdict) {
    for (node, installer) in installed(kit, verdict) {
        let shutdown = installer.text_at(&["shutdown"]);
        if shutdown.as_deref() != Some("poweroff") {
            let what = format!("it is `{}`, not `poweroff`", shutdown.unwrap_or_else(|| "reboot".to_owned()));
            verdict.fault(&node.seed, "user-data: autoinstall.shutdown", what);
        }
    }
}

/// SK0706
fn has_a_shell(kit: &Kit, verdict: &mut Verdict) {
    for (node, _) in installed(kit, verdict) {
        let lists = node.commands.iter().filter(|command| command.stage == Stage::Install);
        for command in lists.filter(|command| matches!(command.value.value, Value::Sequence(_))) {
            let words: Vec<&str> = command.value.items().iter().map(|word| word.written.as_str()).collect();
            // `sh -c` among the words is a shell after all.
            let has_shell = words.contains(&"-c");
            let odd = words.iter().find(|word| word.contains(['*', '|', '>', '<', '&', ';', '$']));
            if let (Some(word), false) = (odd, has_shell) {
                verdict.fault(&node.seed, &command.place, format!("no shell reads `{word}`"));
            }
        }
    }
}
