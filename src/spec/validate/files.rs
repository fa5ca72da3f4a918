//! Files: where they come from, what vouches for them, where they go.

use super::nodes::Draft;
use super::sources::file_source;
use crate::net::DnsLabel;
use crate::node::{Destination, Unplaceable, UserName};
use crate::spec::model::NodeFile;
use crate::spec::raw::{RawNodeFile, Role};
use crate::spec::report::At;
use crate::spec::suggest;

/// Returns all files, or `None` if one of them cannot be read.
pub(super) fn node_files(
    raw: Vec<RawNodeFile>,
    nodes: &[Draft<'_>],
    user: &UserName,
    at: &At<'_>,
) -> Option<Vec<NodeFile>> {
    let mut files: Vec<Option<NodeFile>> = Vec::new();
    for (at, raw) in at.items(raw) {
        let file = node_file(raw, nodes, &at);
        if let Some(file) = &file {
            let at = at.key("destination");
            compare_destinations(file, &files, &at);
            check_manifest(file, nodes, &at);
            check_place(&file.destination, user, &at);
        }
        files.push(file);
    }
    files.into_iter().collect()
}

fn node_file(raw: RawNodeFile, nodes: &[Draft<'_>], at: &At<'_>) -> Option<NodeFile> {
    let RawNodeFile { source, destination, mode, nodes: names } = raw;
    let source = source.and_then(|raw| file_source(raw, &at.key("source")));
    let destination = destination.and_then(|text| self::destination(&text, &at.key("destination")));
    let mode = match mode {
        None => Some(0o644),
        Some(text) => self::mode(&text, &at.key("mode")),
    };
    let nodes = match names {
        None => nodes.iter().filter_map(|node| node.name.clone()).collect(),
        Some(names) => chosen_nodes(&names, nodes, &at.key("nodes")),
    };
    Some(NodeFile { source: source?, destination: destination?, mode: mode?, nodes })
}

fn chosen_nodes(names: &[String], nodes: &[Draft<'_>], at: &At<'_>) -> Vec<DnsLabel> {
    if names.is_empty() {
        at.error_with_hint("no node gets this file", "remove nodes to give it to all of them");
    }
    let known: Vec<&DnsLabel> = nodes.iter().filter_map(|node| node.name.as_ref()).collect();
    let mut chosen: Vec<DnsLabel> = Vec::new();
    for (at, name) in at.items(names) {
        match known.iter().find(|node| node.as_str() == name) {
            Some(node) if chosen.contains(node) => at.refuse_again(name),
            Some(node) => chosen.push((*node).clone()),
            None => {
                let message = format!("there is no node `{name}`");
                match suggest::meant(name, known.iter().map(|node| node.as_str())) {
                    Some(hint) => at.error_with_hint(message, hint),
                    None => at.error(message),
                }
            }
        }
    }
    chosen
}

fn destination(text: &str, at: &At<'_>) -> Option<Destination> {
    let error = match text.parse() {
        Ok(destination) => return Some(destination),
        Err(error) => error,
    };
    let message = error.to_string();
    let hint = match error {
        Unplaceable::NotNormal(_) => "start with `/`, and leave out `.`, `..`, double and final `/`",
        Unplaceable::Volatile { folder: "/proc" | "/sys", .. } => {
            "settings of the kernel go to /etc/sysctl.d/NAME.conf, others to /etc/tmpfiles.d/NAME.conf"
        }
        Unplaceable::Volatile { .. } => "place it elsewhere",
        Unplaceable::Unlistable(_) | Unplaceable::TooLong(_) => "choose another name",
        Unplaceable::Folder(folder) => return at.refuse_with_hint(message, inside(&folder)),
        Unplaceable::Program(_) => {
            "programs of your own go to /usr/local/bin, under another name; bring what replaces the system's as packages"
        }
        Unplaceable::Owned { owned, .. } if owned.contains("/server/manifests/") => {
            "k3s writes it whenever it starts; set disable in k3s.config, and give yours another name"
        }
        Unplaceable::Owned { owned, .. } if owned.ends_with("config.yaml.d") || owned.ends_with(".env") => {
            "set k3s.config or k3s.agentConfig; variables go to /etc/systemd/system/k3s.service.d/NAME.conf"
        }
        Unplaceable::Owned { owned, .. } if owned.ends_with("authorized_keys") => {
            "list them under ssh.authorizedKeys"
        }
        Unplaceable::Owned { owned: "/etc/resolv.conf", .. } => "set nameservers of the nodes",
        Unplaceable::Owned { owned: "/etc/localtime" | "/etc/timezone", .. } => "set seed.timezone",
        Unplaceable::Owned { .. } => return at.refuse(message),
    };
    at.refuse_with_hint(message, hint)
}

/// Returns what to do about a folder that is given as a file's destination.
fn inside(folder: &str) -> String {
    format!("write the file's name as well: {folder}/NAME")
}

/// Checks a destination against what only the nodes of this spec have, or should not have there.
fn check_place(destination: &Destination, user: &UserName, at: &At<'_>) {
    let home = user.home();
    if destination.as_str() == home {
        let message = format!("`{home}` is the folder of `{user}`, the user of every node");
        at.error_with_hint(message, inside(&home));
    }
    if let Some(folder) = destination.among_packaged() {
        let message = format!("packages of the system bring, replace and remove what is in `{folder}`");
        let hint = match folder.strip_prefix("/usr") {
            Some(rest) => format!("write a place of your own, such as /usr/local{rest}"),
            None => {
                "that is right only for what no package brings, and that the next boot is to read".to_owned()
            }
        };
        at.warning(message, hint);
    }
}

fn mode(text: &str, at: &At<'_>) -> Option<u32> {
    let is_mode = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if !is_mode {
        let hint = "write three or four octal digits, such as \"0644\"";
        return at.refuse_with_hint(format!("`{text}` is not a mode"), hint);
    }
    u32::from_str_radix(text, 8).ok()
}

/// Agents deploy nothing.
fn check_manifest(file: &NodeFile, nodes: &[Draft<'_>], at: &At<'_>) {
    let is_agent = |name: &DnsLabel| {
        nodes.iter().any(|node| node.role == Some(Role::Agent) && node.name.as_ref() == Some(name))
    };
    let is_manifest = file.destination.as_str().starts_with("/var/lib/rancher/k3s/server/manifests/");
    if is_manifest && !file.nodes.is_empty() && file.nodes.iter().all(is_agent) {
        at.warning("only servers deploy manifests, and none gets this file", "name a server among its nodes");
    }
}

/// A lock knows a file by its destination, so that two files never share one, not even on different nodes. On one node
/// neither lies in the other.
fn compare_destinations(file: &NodeFile, others: &[Option<NodeFile>], at: &At<'_>) {
    let NodeFile { destination, nodes, .. } = file;
    for (index, other) in others.iter().enumerate() {
        let Some(other) = other else { continue };
        let is_above = destination.is_on_the_way_to(&other.destination);
        let is_below = other.destination.is_on_the_way_to(destination);
        let message = match (is_above, is_below) {
            (true, true) => format!("`{destination}` is already the destination of files[{index}]"),
            (false, false) => continue,
            (true, false) | (false, true) if !nodes.iter().any(|node| other.nodes.contains(node)) => continue,
            (true, false) => format!("`{destination}` is a folder: files[{index}] goes there"),
            (false, true) => format!("`{}` is a file: files[{index}] goes there", other.destination),
        };
        return at.error_with_hint(message, "give one of the two another destination");
    }
}
