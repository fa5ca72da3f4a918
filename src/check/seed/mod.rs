//! The seed's disc, and what cloud-init makes of it.

mod content;
mod identity;
pub(super) mod network;
mod user_data;

use super::Check;
use super::kit::{Kit, Seed, Text};
use super::verdict::Verdict;
use crate::seed::UserDataFormat;
use crate::yaml::Value;

/// The labels that cloud-init looks for.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];
/// The length at which FAT, and ISO 9660 without multi-extent files, end a file.
const LARGEST_EXTENT: u64 = 1 << 32;

pub(super) const CHECKS: &[Check] = &[
    Check::kit("SK0101", disc_is_found),
    Check::kit("SK0102", seed_is_valid),
    Check::kit("SK0103", identity::follows_from_content),
    Check::kit("SK0104", texts_are_plain),
    Check::kit("SK0105", user_data::keys_are_known),
    Check::kit("SK0106", content::nothing_is_left_of_templates),
    Check::kit("SK0107", user_data::commands_are_text),
    Check::kit("SK0108", network::comes_up),
    Check::both("SK0109", network::nodes_are_apart, network::nodes_of_spec_are_apart),
    Check::kit("SK0111", user_data::copies_have_room),
    Check::kit("SK0112", disc_is_whole),
];

/// SK0101
fn disc_is_found(kit: &Kit, verdict: &mut Verdict) {
    for Seed { path: seed, disc, .. } in &kit.seeds {
        let Some(disc) = disc else { continue };
        if !LABELS.contains(&disc.volume_id.as_str()) {
            let what = format!("it is `{}`, not {}", disc.volume_id, LABELS.join(" or "));
            verdict.fault(seed, "volume identifier", what);
        }
        if disc.is_udf {
            verdict.fault(seed, "volume descriptors", "it is a bridge disc with UDF");
        }
        if !disc.has_names() {
            verdict.fault(seed, "names", "it has no Rock Ridge: its files have other names");
        }
    }
}

/// SK0102
fn seed_is_valid(kit: &Kit, verdict: &mut Verdict) {
    for Seed { path: seed, disc, .. } in &kit.seeds {
        let Some(disc) = disc.as_ref().filter(|disc| disc.has_names() && !disc.is_cut) else { continue };
        for name in ["user-data", "meta-data"] {
            match (disc.files.get(name), disc.text(name)) {
                (None, _) => verdict.fault(seed, name, "it is not there"),
                (Some(_), None) => verdict.fault(seed, name, "it has more than 1 MiB"),
                (Some(_), Some(_)) => {}
            }
        }
        let Some(meta_data) = disc.text("meta-data") else { continue };
        let root = match meta_data.yaml() {
            Ok(document) => document.root,
            Err(problem) => {
                verdict.fault(seed, "meta-data", format!("it is not YAML: {problem}"));
                continue;
            }
        };
        match (&root.value, root.at(&["instance-id"])) {
            (Value::Mapping(_), Some(id)) if !matches!(&id.value, Value::String(text) if !text.is_empty()) => {
                verdict.fault(seed, "meta-data: instance-id", format!("it is {}, not text", id.value.kind()));
            }
            (Value::Mapping(_), Some(_)) => {}
            (Value::Mapping(_) | Value::Null, None) => {
                verdict.warning(
                    seed,
                    "meta-data",
                    "it has no instance-id: every node is the instance `nocloud`",
                );
            }
            (_, _) => verdict.fault(seed, "meta-data", "it is not a mapping"),
        }
    }
}

/// SK0104
fn texts_are_plain(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        if let Some(what) = marks(&node.user_data).filter(|_| !is_compressed(kit, &node.user_data)) {
            verdict.fault(&node.seed, "user-data", what);
        } else if is_strange(kit, &node.user_data) {
            verdict.fault(&node.seed, "user-data", "its first line is not `#cloud-config`");
        }
        for (name, text) in
            [("meta-data", Some(&node.meta_data)), ("network-config", node.network_config.as_ref())]
        {
            if let Some(what) = text.and_then(marks) {
                verdict.fault(&node.seed, name, what);
            }
        }
        for (path, file) in &node.files {
            let Some(text) = &file.text else { continue };
            let is_read_by_systemd = path.starts_with("/etc/systemd/");
            let is_script = text.text().starts_with("#!");
            if let Some(what) = marks(text).filter(|_| is_read_by_systemd || is_script) {
                verdict.fault(&node.seed, &file.place, what);
            }
        }
    }
}

/// Returns whether cloud-init passes user-data over; a kit's is always a cloud-config, others' may be a script.
fn is_strange(kit: &Kit, user_data: &Text) -> bool {
    let is_known = kit.is_alone() && UserDataFormat::of(&user_data.bytes).is_opaque();
    !is_known && user_data.text().lines().next().map(str::trim_end) != Some("#cloud-config")
}

/// Returns whether user-data is compressed, as cloud-init takes it, and somebody else may have done it.
fn is_compressed(kit: &Kit, user_data: &Text) -> bool {
    kit.is_alone() && UserDataFormat::of(&user_data.bytes) == UserDataFormat::Compressed
}

/// Says what a Windows editor left in a text.
fn marks(text: &Text) -> Option<&'static str> {
    match text.bytes.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is UTF-16"),
        [0xef, 0xbb, 0xbf, ..] => Some("it begins with a byte order mark"),
        bytes if bytes.windows(2).any(|pair| pair == b"\r\n") => Some("its lines end as on Windows"),
        bytes if std::str::from_utf8(bytes).is_err() => Some("it is not UTF-8"),
        _ => None,
    }
}

/// Says that user-data of all nodes is something that cannot be looked into; no kit's is.
fn is_opaque(kit: &Kit, verdict: &mut Verdict) -> bool {
    let mut formats = kit.nodes.iter().map(|node| UserDataFormat::of(&node.user_data.bytes));
    let first = formats.next().filter(|first| kit.is_alone() && first.is_opaque());
    let opaque = first.filter(|_| formats.all(UserDataFormat::is_opaque));
    if let Some(opaque) = opaque {
        verdict.not_applicable(format!("user-data is {opaque}, not a cloud-config"));
    }
    opaque.is_some()
}

/// SK0112
fn disc_is_whole(kit: &Kit, verdict: &mut Verdict) {
    for Seed { path: seed, disc, .. } in &kit.seeds {
        let Some(disc) = disc else { continue };
        if disc.stated_length > disc.length {
            let what = format!("it says that it has {} bytes, and has {}", disc.stated_length, disc.length);
            verdict.fault(seed, "volume descriptor", what);
        }
        for (path, file) in &disc.files {
            let name = path.rsplit('/').next().unwrap_or(path);
            let Some(artifact) = kit.artifact(name) else { continue };
            let is_cut = artifact.size >= LARGEST_EXTENT
                && file.size != artifact.size
                && [artifact.size % LARGEST_EXTENT, LARGEST_EXTENT - 1].contains(&file.size);
            if is_cut {
                let what = format!("it has {} bytes of {}: it was cut at 4 GiB", file.size, artifact.size);
                verdict.fault(seed, path, what);
            }
        }
    }
}
