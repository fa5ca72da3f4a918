//! Where files come from, and how they are known.

use std::path::Path as Folder;

use url::Url;

use super::file_path;

use crate::digest::Digest;
use crate::spec::model::{Checksum, FileSource, Place};
use crate::spec::raw::{RawChecksums, RawFileSource};
use crate::spec::report::Report;
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
