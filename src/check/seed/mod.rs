//! The seed's disc, and what cloud-init makes of it.

pub(super) mod content;
pub(super) mod identity;
pub(super) mod network;
pub(super) mod user_data;

use super::kit::{DiscView, Kit, Node, Text};
use super::verdict::Found;
use crate::seed::UserDataFormat;
use crate::yaml::Value;

/// The labels that cloud-init looks for.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];
/// The length at which FAT, and ISO 9660 without multi-extent files, end a file.
const LARGEST_EXTENT: u64 = 1 << 32;

/// SK0101
pub(super) fn disc_is_found(_: &Kit, disc: &DiscView, found: &mut Found<'_>) {
    if !LABELS.contains(&disc.volume_id.as_str()) {
        let what = format!("it is `{}`, not {}", disc.volume_id, LABELS.join(" or "));
        found.fault("volume identifier", what);
    }
    if disc.is_udf {
        found.fault("volume descriptors", "it is a bridge disc with UDF");
    }
    if !disc.has_names() {
        found.fault("names", "it has no Rock Ridge: its files have other names");
    }
}

/// SK0102
pub(super) fn seed_is_valid(_: &Kit, disc: &DiscView, found: &mut Found<'_>) {
    if !disc.has_names() || disc.is_cut {
        return;
    }
    for name in ["user-data", "meta-data"] {
        match (disc.files.get(name), disc.text(name)) {
            (None, _) => found.fault(name, "it is not there"),
            (Some(_), None) => found.fault(name, "it has more than 1 MiB"),
            (Some(_), Some(_)) => {}
        }
    }
    let Some(meta_data) = disc.text("meta-data") else { return };
    let root = match meta_data.yaml() {
        Ok(document) => document.root,
        Err(problem) => return found.fault("meta-data", format!("it is not YAML: {problem}")),
    };
    match (&root.value, root.at(&["instance-id"])) {
        (Value::Mapping(_), Some(id)) if !matches!(&id.value, Value::String(text) if !text.is_empty()) => {
            found.fault("meta-data: instance-id", format!("it is {}, not text", id.value.kind()));
        }
        (Value::Mapping(_), Some(_)) => {}
        (Value::Mapping(_) | Value::Null, None) => {
            found.warning("meta-data", "it has no instance-id: every node is the instance `nocloud`");
        }
        (_, _) => found.fault("meta-data", "it is not a mapping"),
    }
}

/// SK0104
pub(super) fn texts_are_plain(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    if let Some(what) = marks(&node.user_data).filter(|_| !is_compressed(kit, &node.user_data)) {
        found.fault("user-data", what);
    } else if is_strange(kit, &node.user_data) {
        found.fault("user-data", "its first line is not `#cloud-config`");
    }
    for (name, text) in node.seed_texts() {
        if let Some(what) = marks(text) {
            found.fault(name, what);
        }
    }
    for (path, file) in &node.files {
        let Some(text) = &file.text else { continue };
        let is_read_by_systemd = path.starts_with("/etc/systemd/");
        let is_script = text.text().starts_with("#!");
        if let Some(what) = marks(text).filter(|_| is_read_by_systemd || is_script) {
            found.fault(&file.place, what);
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
pub(super) fn is_opaque(kit: &Kit) -> Option<String> {
    let mut formats = kit.nodes.iter().map(|node| UserDataFormat::of(&node.user_data.bytes));
    let first = formats.next().filter(|first| kit.is_alone() && first.is_opaque());
    let opaque = first.filter(|_| formats.all(UserDataFormat::is_opaque))?;
    Some(format!("user-data is {opaque}, not a cloud-config"))
}

/// Says of a disc that it has nothing for staging.
pub(super) fn has_no_payload(kit: &Kit) -> Option<String> {
    let is_without = kit.is_alone() && kit.nodes.iter().any(|node| !node.has_payload());
    is_without.then(|| "the disc has no payload".to_owned())
}

/// SK0112
pub(super) fn disc_is_whole(kit: &Kit, disc: &DiscView, found: &mut Found<'_>) {
    if disc.stated_length > disc.length {
        let what = format!("it says that it has {} bytes, and has {}", disc.stated_length, disc.length);
        found.fault("volume descriptor", what);
    }
    for (path, file) in &disc.files {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some(artifact) = kit.artifact(name) else { continue };
        let is_cut = artifact.size >= LARGEST_EXTENT
            && file.size != artifact.size
            && [artifact.size % LARGEST_EXTENT, LARGEST_EXTENT - 1].contains(&file.size);
        if is_cut {
            let what = format!("it has {} bytes of {}: it was cut at 4 GiB", file.size, artifact.size);
            found.fault(path, what);
        }
    }
}
