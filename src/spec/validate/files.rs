//! Files: where they come from, what vouches for them, where they go.

use std::path::Path as Folder;

use super::nodes::Draft;
use super::sources::file_source;
use crate::net::DnsLabel;
use crate::node::{Destination, Unplaceable};
use crate::spec::model::NodeFile;
use crate::spec::raw::RawNodeFile;
use crate::spec::report::Report;
use crate::spec::suggest;
use crate::text::Path;

/// Returns all files, or `None` if one of them cannot be read.
pub(super) fn node_files(
    raw: Vec<RawNodeFile>,
    folder: &Folder,
    nodes: &[Draft],
    report: &mut Report<'_>,
) -> Option<Vec<NodeFile>> {
    let path = Path::root().key("files");
    let mut files: Vec<Option<NodeFile>> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = path.index(index);
        let file = node_file(raw, folder, nodes, &path, report);
        if let Some(file) = &file {
            refuse_same_destination(file, &files, &path, report);
        }
        files.push(file);
    }
    files.into_iter().collect()
}

fn node_file(
    raw: RawNodeFile,
    folder: &Folder,
    nodes: &[Draft],
    path: &Path,
    report: &mut Report<'_>,
) -> Option<NodeFile> {
    let RawNodeFile { source, destination, mode, nodes: names } = raw;
    let source = source.and_then(|raw| file_source(raw, folder, &path.key("source"), report));
    let destination = destination.and_then(|text| self::destination(&text, &path.key("destination"), report));
    let mode = match mode {
        None => Some(0o644),
        Some(text) => self::mode(&text, &path.key("mode"), report),
    };
    let nodes = match names {
        None => nodes.iter().filter_map(|node| node.name.clone()).collect(),
        Some(names) => chosen_nodes(&names, nodes, &path.key("nodes"), report),
    };
    Some(NodeFile { source: source?, destination: destination?, mode: mode?, nodes })
}

fn chosen_nodes(names: &[String], nodes: &[Draft], path: &Path, report: &mut Report<'_>) -> Vec<DnsLabel> {
    if names.is_empty() {
        report.error_with_hint(path, "no node gets this file", "remove nodes to give it to all of them");
    }
    let known: Vec<&DnsLabel> = nodes.iter().filter_map(|node| node.name.as_ref()).collect();
    let mut chosen: Vec<DnsLabel> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let path = path.index(index);
        match known.iter().find(|node| node.as_str() == name) {
            Some(node) if chosen.contains(node) => {
                report.error(&path, format!("`{name}` is in the list twice"))
            }
            Some(node) => chosen.push((*node).clone()),
            None => {
                let message = format!("there is no node `{name}`");
                match suggest::meant(name, known.iter().map(|node| node.as_str())) {
                    Some(hint) => report.error_with_hint(&path, message, hint),
                    None => report.error(&path, message),
                }
            }
        }
    }
    chosen
}

fn destination(text: &str, path: &Path, report: &mut Report<'_>) -> Option<Destination> {
    let error = match text.parse() {
        Ok(destination) => return Some(destination),
        Err(error) => error,
    };
    let message = error.to_string();
    match error {
        Unplaceable::NotNormal(_) => report.error_with_hint(
            path,
            message,
            "start with `/`, and leave out `.`, `..`, double and final `/`",
        ),
        Unplaceable::Volatile { .. } => report.error_with_hint(path, message, "place it elsewhere"),
        Unplaceable::Unlistable(_) | Unplaceable::TooLong(_) => {
            report.error_with_hint(path, message, "choose another name")
        }
        Unplaceable::Owned { owned, .. } if owned.ends_with("config.yaml.d") || owned.ends_with(".env") => report
            .error_with_hint(
                path,
                message,
                "set k3s.config or k3s.agentConfig; variables go to /etc/systemd/system/k3s.service.d/NAME.conf",
            ),
        Unplaceable::Owned { .. } => report.error(path, message),
    }
    None
}

fn mode(text: &str, path: &Path, report: &mut Report<'_>) -> Option<u32> {
    let is_mode = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if !is_mode {
        report.error_with_hint(
            path,
            format!("`{text}` is not a mode"),
            "write three or four octal digits, such as \"0644\"",
        );
        return None;
    }
    u32::from_str_radix(text, 8).ok()
}

/// A lock knows a file by its destination, so that two files never share one, not even on different nodes.
fn refuse_same_destination(
    file: &NodeFile,
    others: &[Option<NodeFile>],
    path: &Path,
    report: &mut Report<'_>,
) {
    let is_same = |other: &NodeFile| other.destination == file.destination;
    if let Some(first) = others.iter().position(|other| other.as_ref().is_some_and(is_same)) {
        let message = format!("`{}` is already the destination of files[{first}]", file.destination);
        report.error_with_hint(&path.key("destination"), message, "give one of the two another destination");
    }
}
