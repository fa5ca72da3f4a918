//! Images and where they are pulled from.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::sources::web_address;
use crate::net::RegistryHost;
use crate::oci::Reference;
use crate::spec::model::{ImageListFile, Images, Origin, Source, SourcePlace};
use crate::spec::raw::{RawImageList, RawImages, RawMirror, RawSource};
use crate::spec::report::At;

pub(super) fn images(raw: RawImages, at: &At<'_>) -> Images {
    let RawImages { k3s, lists, inline, signatures } = raw;
    let lists = lists.unwrap_or_default();
    let lists = at.key("lists").items(lists).filter_map(|(at, raw)| list(raw, &at)).collect();
    let inline = self::inline(inline.unwrap_or_default(), &at.key("inline"));
    let k3s = k3s.unwrap_or(true);
    if !k3s {
        let message = "the images that k3s itself needs are left out";
        at.key("k3s").warning(message, "that is right only if a list or k3s.airgap brings them");
    }
    // What is attached changes more often than the image, and is then removed where it comes from: a lock that nobody
    // asked to hold it would stop working for it.
    Images { k3s, lists, inline, signatures: signatures.unwrap_or(false) }
}

fn list(raw: RawImageList, at: &At<'_>) -> Option<ImageListFile> {
    let RawImageList { path, groups } = raw;
    let groups = groups.unwrap_or_default();
    for (at, group) in at.key("groups").items(&groups) {
        if group.trim().is_empty() || group.starts_with('#') {
            let hint = "write the heading without `##`, such as k8s-images";
            at.error_with_hint(format!("`{group}` is not the name of a group"), hint);
        }
    }
    Some(ImageListFile { path: at.key("path").file(&path?)?, groups })
}

fn inline(texts: Vec<String>, at: &At<'_>) -> Vec<Reference> {
    let mut images: Vec<Reference> = Vec::new();
    let mut seen: BTreeSet<Reference> = BTreeSet::new();
    for (at, text) in at.items(&texts) {
        let Some(reference) = at.parse::<Reference>(text) else { continue };
        if !Reference::text_says_version(text) {
            let message = format!("`{text}` has no tag and means `{reference}`");
            at.warning(message, "name the tag; latest is another image each week");
        }
        if seen.insert(reference.clone()) {
            images.push(reference);
        } else {
            at.warning(format!("`{reference}` is in the list twice"), "remove one of the two");
        }
    }
    images
}

pub(super) fn sources(raw: BTreeMap<String, RawSource>, at: &At<'_>) -> BTreeMap<RegistryHost, Source> {
    let mut sources = BTreeMap::new();
    for (name, raw) in raw {
        let at = at.key(&name);
        let Some(host) = super::registry::host(&name, &at) else { continue };
        let Some(source) = source(raw, &host, &at) else { continue };
        if sources.insert(host.clone(), source).is_some() {
            at.error(format!("`{name}` is another spelling of `{host}`, which has a source already"));
        }
    }
    sources
}

fn source(raw: RawSource, host: &RegistryHost, at: &At<'_>) -> Option<Source> {
    let RawSource { from, plain_http, ca_file, mirrors } = raw;
    let mut places = Vec::new();
    for (at, mirror) in at.key("mirrors").items(mirrors.unwrap_or_default()) {
        // That it must be there is said already.
        if mirror.from.is_some() {
            places.extend(place(mirror, host, &at));
        }
    }
    places.push(place(RawMirror { from, plain_http, ca_file }, host, at)?);
    for (index, place) in places.iter().enumerate() {
        if places[..index].iter().any(|before| before.from == place.from) {
            at.warning("one place is named twice", "remove one of the two");
        }
    }
    Some(Source { places })
}

/// Reads one place, which is the registry itself if it names none.
fn place(raw: RawMirror, host: &RegistryHost, at: &At<'_>) -> Option<SourcePlace> {
    let RawMirror { from, plain_http, ca_file } = raw;
    let plain_http = plain_http.unwrap_or(false);
    let from = match from {
        Some(text) => origin(&text, &at.key("from"))?,
        None => {
            let scheme = if plain_http { "http" } else { "https" };
            Origin::Registry(
                Url::parse(&format!("{scheme}://{host}")).expect("a registry's host makes a URL"),
            )
        }
    };
    match &from {
        Origin::Registry(url) if url.scheme() == "http" && !plain_http => {
            let message = "`http://` lets anybody on the way change the images";
            at.key("from").error_with_hint(message, "write https://, or add plainHttp: true");
        }
        Origin::Registry(url) if url.scheme() == "https" && plain_http => {
            let message = "plainHttp is true, yet the address is https://";
            at.key("plainHttp").warning(message, "remove plainHttp, or write http://");
        }
        Origin::Registry(_) => {}
        Origin::Layout(_) | Origin::LayoutArchive(_) | Origin::DockerArchive(_) => {
            if plain_http || ca_file.is_some() {
                at.warning("plainHttp and caFile mean nothing for a file", "remove them");
            }
        }
    }
    Some(SourcePlace { from, ca_file: ca_file.and_then(|file| at.key("caFile").file(&file)) })
}

fn origin(text: &str, at: &At<'_>) -> Option<Origin> {
    if text.contains("://") {
        let url = web_address(text, at)?;
        if url.query().is_some() {
            let hint = "write https://host[:port][/prefix]; a login goes to the Docker configuration";
            return at.refuse_with_hint("there is a `?` in this address", hint);
        }
        return Some(Origin::Registry(url));
    }
    match text.split_once(':') {
        Some(("oci", rest)) => at.file(rest).map(Origin::Layout),
        Some(("oci-archive", rest)) => at.file(rest).map(Origin::LayoutArchive),
        Some(("docker-archive", rest)) => at.file(rest).map(Origin::DockerArchive),
        Some(_) | None => {
            let text = at.without_login(text)?;
            let hint = "write https://host, oci:FOLDER, oci-archive:FILE or docker-archive:FILE";
            at.refuse_with_hint(format!("`{text}` does not say what kind of place it is"), hint)
        }
    }
}
