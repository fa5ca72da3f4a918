//! Where files come from, and how they are known.

use url::Url;

use crate::digest::Digest;
use crate::net::{LOGIN, LOGIN_HINT};
use crate::spec::model::{Checksum, FileSource, Place};
use crate::spec::raw::{RawChecksums, RawFileSource};
use crate::spec::report::At;

pub(super) fn file_source(raw: RawFileSource, at: &At<'_>) -> Option<FileSource> {
    let RawFileSource { path, url, sha256, checksums } = raw;
    let place = self::place(path, url, at);
    let is_vouched_for = sha256.is_some() || checksums.is_some() || at.is_refused();
    let checksum = match (sha256, checksums) {
        (Some(_), Some(_)) => at.refuse_with_hint("there are both sha256 and checksums", "keep one of them"),
        (Some(hex), None) => sha256_digest(&hex, &at.key("sha256")).map(Checksum::Sha256),
        (None, Some(raw)) => checksum_list(raw, place.as_ref(), &at.key("checksums")),
        (None, None) => None,
    };
    let place = place?;
    match (&place, &checksum) {
        (Place::Url(_), _) if !is_vouched_for => {
            let message = "nothing says what this download must contain";
            at.error_with_hint(message, "add sha256, or checksums with the publisher's list");
        }
        (Place::Url(url), Some(Checksum::List { .. })) if url.scheme() == "http" => {
            at.key("url").error_with_hint("`http://` needs the digest itself", "write https://, or sha256");
        }
        (Place::Url(_) | Place::Path(_), _) => {}
    }
    Some(FileSource { place, checksum })
}

fn place(path: Option<String>, url: Option<String>, at: &At<'_>) -> Option<Place> {
    match (path, url) {
        (Some(path), None) => at.key("path").file(&path).map(Place::Path),
        (None, Some(url)) => web_address(&url, &at.key("url")).map(Place::Url),
        (None, None) if at.is_refused() => None,
        (None, None) | (Some(_), Some(_)) => {
            let hint = "path is a file of yours, url is downloaded";
            at.refuse_with_hint("exactly one of path and url is needed", hint)
        }
    }
}

fn checksum_list(raw: RawChecksums, place: Option<&Place>, at: &At<'_>) -> Option<Checksum> {
    let RawChecksums { path, url } = raw;
    let list = self::place(path, url, at)?;
    if let Place::Url(url) = &list
        && url.scheme() != "https"
    {
        let message = "a list of checksums is only worth something over https";
        at.key("url").error_with_hint(message, "write https://");
    }
    let name = match place? {
        Place::Path(file) => file.file_name().and_then(|name| name.to_str()).map(str::to_owned),
        Place::Url(url) => url.path_segments().and_then(|mut parts| parts.next_back()).map(str::to_owned),
    };
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Some(Checksum::List { place: list, name }),
        None => at.refuse("the file has no name to look for in the list"),
    }
}

fn sha256_digest(hex: &str, at: &At<'_>) -> Option<Digest> {
    let parsed = format!("sha256:{hex}").parse();
    if parsed.is_err() {
        let bare = hex.trim().trim_start_matches("sha256:").to_ascii_lowercase();
        let is_only_spelling = format!("sha256:{bare}").parse::<Digest>().is_ok();
        let hint = if is_only_spelling {
            format!("write {bare}")
        } else {
            "copy it again from where it is published".into()
        };
        at.error_with_hint("this is not 64 lower-case hex digits", hint);
    }
    parsed.ok()
}

/// Reads an address without ever repeating it: it may hold a password.
pub(super) fn web_address(text: &str, at: &At<'_>) -> Option<Url> {
    open_address(text, LOGIN_HINT, at)
}

/// Reads an address without ever repeating it; `hint` says what to do instead of writing a password into it.
pub(super) fn open_address(text: &str, hint: &str, at: &At<'_>) -> Option<Url> {
    match Url::parse(text) {
        Err(error) => at.refuse(format!("this is not a web address: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            at.refuse("this is neither https:// nor http://")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => at.refuse_with_hint(LOGIN, hint),
        Ok(url) if url.fragment().is_some() => at.refuse("there is a `#` in this address"),
        Ok(url) => Some(url),
    }
}
