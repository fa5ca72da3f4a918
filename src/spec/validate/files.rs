//! Files: where they come from, what vouches for them, where they go.

use std::path::Path as Folder;

use url::Url;

use super::file_path;
use super::nodes::Draft;
use crate::digest::Digest;
use crate::net::DnsLabel;
use crate::node::{Destination, Unplaceable};
use crate::spec::model::{Checksum, FileSource, NodeFile, Place};
use crate::spec::raw::{RawChecksums, RawFileSource, RawNodeFile};
use crate::spec::report::Report;
use crate::spec::suggest;
use crate::text::Path;

pub(super) fn file_source(
    raw: RawFileSource,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<FileSource> {
    let RawFileSource { path: file, url, sha256, checksums } = raw;
    let place = self::place(file, url, folder, path, report);
    let is_vouched_for = sha256.is_some() || checksums.is_some() || report.is_refused(path);
    let checksum = match (sha256, checksums) {
        (Some(_), Some(_)) => {
            report.error_with_hint(path, "there are both sha256 and checksums", "keep one of them");
            None
        }
        (Some(hex), None) => sha256_digest(&hex, &path.key("sha256"), report).map(Checksum::Sha256),
        (None, Some(raw)) => {
            let place = place.as_ref();
            checksum_list(raw, place, folder, &path.key("checksums"), report)
        }
        (None, None) => None,
    };
    let place = place?;
    match (&place, &checksum) {
        (Place::Url(_), _) if !is_vouched_for => {
            let message = "nothing says what this download must contain";
            report.error_with_hint(path, message, "add sha256, or checksums with the publisher's list");
        }
        (Place::Url(url), Some(Checksum::List { .. })) if url.scheme() == "http" => {
            report.error_with_hint(
                &path.key("url"),
                "`http://` needs the digest itself",
                "write https://, or sha256",
            );
        }
        (Place::Url(_) | Place::Path(_), _) => {}
    }
    Some(FileSource { place, checksum })
}

fn place(
    file: Option<String>,
    url: Option<String>,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Place> {
    match (file, url) {
        (Some(file), None) => file_path(&file, folder, &path.key("path"), report).map(Place::Path),
        (None, Some(url)) => web_address(&url, &path.key("url"), report).map(Place::Url),
        (None, None) if report.is_refused(path) => None,
        (None, None) | (Some(_), Some(_)) => {
            report.error_with_hint(
                path,
                "exactly one of path and url is needed",
                "path is a file of yours, url is downloaded",
            );
            None
        }
    }
}

fn checksum_list(
    raw: RawChecksums,
    place: Option<&Place>,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Checksum> {
    let RawChecksums { path: file, url } = raw;
    let list = self::place(file, url, folder, path, report)?;
    if let Place::Url(url) = &list
        && url.scheme() != "https"
    {
        report.error_with_hint(
            &path.key("url"),
            "a list of checksums is only worth something over https",
            "write https://",
        );
    }
    let name = match place? {
        Place::Path(file) => file.file_name().and_then(|name| name.to_str()).map(str::to_owned),
        Place::Url(url) => url.path_segments().and_then(|mut parts| parts.next_back()).map(str::to_owned),
    };
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Some(Checksum::List { place: list, name }),
        None => {
            report.error(path, "the file has no name to look for in the list");
            None
        }
    }
}

fn sha256_digest(hex: &str, path: &Path, report: &mut Report<'_>) -> Option<Digest> {
    let parsed = format!("sha256:{hex}").parse();
    if parsed.is_err() {
        let bare = hex.trim().trim_start_matches("sha256:").to_ascii_lowercase();
        let is_only_spelling = format!("sha256:{bare}").parse::<Digest>().is_ok();
        let hint = if is_only_spelling {
            format!("write {bare}")
        } else {
            "copy it again from where it is published".into()
        };
        report.error_with_hint(path, "this is not 64 lower-case hex digits", hint);
    }
    parsed.ok()
}

/// Reads an address without ever repeating it: it may hold a password.
pub(super) fn web_address(text: &str, path: &Path, report: &mut Report<'_>) -> Option<Url> {
    let hint = "log in with `docker login` or a credential helper; seedkit reads its configuration";
    open_address(text, hint, path, report)
}

/// Reads an address without ever repeating it; `hint` says what to do instead of writing a password into it.
pub(super) fn open_address(text: &str, hint: &str, path: &Path, report: &mut Report<'_>) -> Option<Url> {
    let complaint = match Url::parse(text) {
        Err(error) => format!("this is not a web address: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "this is neither https:// nor http://".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            report.error_with_hint(path, "there is a user name or a password in this address", hint);
            return None;
        }
        Ok(url) if url.fragment().is_some() => "there is a `#` in this address".to_owned(),
        Ok(url) => return Some(url),
    };
    report.error(path, complaint);
    None
}

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
                match suggest::nearest(name, known.iter().map(|node| node.as_str())) {
                    Some(nearest) => {
                        report.error_with_hint(&path, message, format!("did you mean `{nearest}`?"))
                    }
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
