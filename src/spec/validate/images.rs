//! Images and where they are pulled from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as Folder;

use super::sources::web_address;
use super::{file_path, optional_path};
use url::Url;

use crate::net::RegistryHost;
use crate::oci::Reference;
use crate::spec::model::{ImageListFile, Images, Origin, Source, SourcePlace};
use crate::spec::raw::{RawImageList, RawImages, RawMirror, RawSource};
use crate::spec::report::Report;
use crate::text::Path;

pub(super) fn images(raw: Option<RawImages>, folder: &Folder, report: &mut Report<'_>) -> Images {
    let RawImages { k3s, lists, inline, signatures } = raw.unwrap_or_default();
    let path = Path::root().key("images");
    let lists = lists.unwrap_or_default().into_iter().enumerate();
    let lists = lists.filter_map(|(index, raw)| list(raw, folder, &path.key("lists").index(index), report));
    let lists = lists.collect();
    let inline = self::inline(inline.unwrap_or_default(), &path.key("inline"), report);
    let k3s = k3s.unwrap_or(true);
    if !k3s {
        let message = "the images that k3s itself needs are left out";
        report.warning(&path.key("k3s"), message, "that is right only if a list or k3s.airgap brings them");
    }
    // What is attached changes more often than the image, and is then removed where it comes from: a lock that nobody
    // asked to hold it would stop working for it.
    Images { k3s, lists, inline, signatures: signatures.unwrap_or(false) }
}

fn list(raw: RawImageList, folder: &Folder, path: &Path, report: &mut Report<'_>) -> Option<ImageListFile> {
    let RawImageList { path: file, groups } = raw;
    let groups = groups.unwrap_or_default();
    for (index, group) in groups.iter().enumerate() {
        if group.trim().is_empty() || group.starts_with('#') {
            let hint = "write the heading without `##`, such as k8s-images";
            report.error_with_hint(
                &path.key("groups").index(index),
                format!("`{group}` is not the name of a group"),
                hint,
            );
        }
    }
    let file = optional_path(file, folder, &path.key("path"), report)?;
    Some(ImageListFile { path: file, groups })
}

fn inline(texts: Vec<String>, path: &Path, report: &mut Report<'_>) -> Vec<Reference> {
    let mut images: Vec<Reference> = Vec::new();
    let mut seen: BTreeSet<Reference> = BTreeSet::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        let Some(reference) = report.parse::<Reference>(&path, Some(text)) else { continue };
        if !Reference::text_says_version(text) {
            let message = format!("`{text}` has no tag and means `{reference}`");
            report.warning(&path, message, "name the tag; latest is another image each week");
        }
        if seen.insert(reference.clone()) {
            images.push(reference);
        } else {
            report.warning(&path, format!("`{reference}` is in the list twice"), "remove one of the two");
        }
    }
    images
}

pub(super) fn sources(
    raw: BTreeMap<String, RawSource>,
    folder: &Folder,
    report: &mut Report<'_>,
) -> BTreeMap<RegistryHost, Source> {
    let mut sources = BTreeMap::new();
    for (name, raw) in raw {
        let path = Path::root().key("sources").key(&name);
        let host = super::registry::host(&path, &name, report);
        let Some(host) = host else { continue };
        let Some(source) = source(raw, &host, folder, &path, report) else { continue };
        if sources.insert(host.clone(), source).is_some() {
            report.error(
                &path,
                format!("`{name}` is another spelling of `{host}`, which has a source already"),
            );
        }
    }
    sources
}

fn source(
    raw: RawSource,
    host: &RegistryHost,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Source> {
    let RawSource { from, plain_http, ca_file, mirrors } = raw;
    let mut places = Vec::new();
    for (index, raw) in mirrors.unwrap_or_default().into_iter().enumerate() {
        let path = path.key("mirrors").index(index);
        let RawMirror { from, plain_http, ca_file } = raw;
        // That it must be there is said already.
        let Some(from) = from else { continue };
        places.extend(self::place((Some(from), plain_http, ca_file), host, folder, &path, report));
    }
    places.push(self::place((from, plain_http, ca_file), host, folder, path, report)?);
    for (index, place) in places.iter().enumerate() {
        if places[..index].iter().any(|before| before.from == place.from) {
            report.warning(path, "one place is named twice", "remove one of the two");
        }
    }
    Some(Source { places })
}

/// What is written of a place: `from`, `plainHttp`, `caFile`.
type Written = (Option<String>, Option<bool>, Option<String>);

fn place(
    (from, plain_http, ca_file): Written,
    host: &RegistryHost,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<SourcePlace> {
    let plain_http = plain_http.unwrap_or(false);
    let place = path.key("from");
    let from = match from {
        Some(text) => origin(&text, folder, &place, report)?,
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
            report.error_with_hint(&place, message, "write https://, or add plainHttp: true");
        }
        Origin::Registry(url) if url.scheme() == "https" && plain_http => {
            let message = "plainHttp is true, yet the address is https://";
            report.warning(&path.key("plainHttp"), message, "remove plainHttp, or write http://");
        }
        Origin::Registry(_) => {}
        Origin::Layout(_) | Origin::LayoutArchive(_) | Origin::DockerArchive(_) => {
            if plain_http || ca_file.is_some() {
                report.warning(path, "plainHttp and caFile mean nothing for a file", "remove them");
            }
        }
    }
    let ca_file = optional_path(ca_file, folder, &path.key("caFile"), report);
    Some(SourcePlace { from, ca_file })
}

fn origin(text: &str, folder: &Folder, path: &Path, report: &mut Report<'_>) -> Option<Origin> {
    if text.contains("://") {
        return web_address(text, path, report).map(Origin::Registry);
    }
    match text.split_once(':') {
        Some(("oci", rest)) => file_path(rest, folder, path, report).map(Origin::Layout),
        Some(("oci-archive", rest)) => file_path(rest, folder, path, report).map(Origin::LayoutArchive),
        Some(("docker-archive", rest)) => file_path(rest, folder, path, report).map(Origin::DockerArchive),
        Some(_) | None => {
            let hint = "write https://host, oci:FOLDER, oci-archive:FILE or docker-archive:FILE";
            report.error_with_hint(path, format!("`{text}` does not say what kind of place it is"), hint);
            None
        }
    }
}
