//! Tarballs: whole, of one version with the executable, and named so that somebody can ask for what is in them.

use std::collections::BTreeMap;

use itertools::Itertools as _;

use super::needed::{full_name, is_for};
use super::{images_of, tarballs};
use crate::artifact::Finding;
use crate::artifact::{self, ArtifactList};
use crate::bill;
use crate::check::kit::{Archive, EXECUTABLE, Kit, Node};
use crate::check::verdict::{Found, Verdict};
use crate::cluster::executable::Kind;
use crate::inspect::{Form, Image};

/// What only k3s unpacks.
const OPAQUE: [&str; 4] = [".tar.lz4", ".tar.bz2", ".tbz", ".tar.xz"];
/// The sums by which the node itself will judge its payload.
const SUMS: &str = "payload/SHA256SUMS";

/// SK0303
pub(in crate::check) fn archives_are_whole(kit: &Kit, verdict: &mut Verdict) {
    for (path, archive) in &kit.archives {
        for finding in archive.findings().iter().filter(is_bad) {
            verdict.of(path).fault("", finding.to_string());
        }
    }
}

/// SK0303
pub(in crate::check) fn tarballs_are_whole(_: &Kit, node: &Node, found: &mut Found<'_>) {
    sums(node, found);
    for (file, archive) in tarballs(node).filter_map(|(_, file)| Some((file, file.archive.as_ref()?))) {
        match archive.problem() {
            // k3s can read them, and nothing here can.
            Some(_) if OPAQUE.iter().any(|suffix| file.place.ends_with(suffix)) => {
                found.warning(&file.place, "seedkit cannot look into this kind of archive");
            }
            Some(problem) => found.fault(&file.place, problem),
            None => {}
        }
        for finding in archive.findings().iter().filter(is_bad) {
            found.fault(&file.place, finding.to_string());
        }
    }
}

/// Returns whether something is damaged, and not only named in an odd way.
fn is_bad(finding: &&Finding) -> bool {
    matches!(finding, Finding::Bad { .. })
}

/// Compares the payload with its sums.
fn sums(node: &Node, found: &mut Found<'_>) {
    let Some(text) = node.disc.text(SUMS) else { return found.fault(SUMS, "it is not there") };
    let listed = match ArtifactList::parse_sums(&text.text()) {
        Ok(listed) => listed,
        Err(error) => return found.fault(SUMS, error.to_string()),
    };
    let payload: BTreeMap<&str, _> = node
        .disc
        .files
        .iter()
        .filter_map(|(path, file)| Some((path.strip_prefix("payload/")?, &file.digest)))
        .collect();
    for (path, expected) in &listed {
        let place = format!("payload/{path}");
        match payload.get(path.as_str()) {
            Some(actual) if *actual == expected => {}
            Some(actual) => {
                found.fault(place, format!("it hashes to {actual}, and {SUMS} says {expected}"));
            }
            None => found.fault(place, format!("{SUMS} lists it, and it is not there")),
        }
    }
    for path in payload.keys().filter(|path| **path != artifact::SUMS && !listed.contains_key(**path)) {
        found.fault(format!("payload/{path}"), format!("{SUMS} does not list it"));
    }
}

/// SK0304
pub(in crate::check) fn one_version(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let place = format!("payload/root{EXECUTABLE}");
    let platform = node.platform.as_deref().unwrap_or_default();
    let architecture = platform.split('/').nth(1);
    if let Some(executable) = node.files.get(EXECUTABLE).and_then(|file| file.executable.as_ref()) {
        let versions = &executable.versions;
        if !versions.is_empty() && !versions.contains(kit.k3s()) {
            let named = versions.iter().join(", ");
            found.fault(&place, format!("it is k3s {named}, and the kit is for {}", kit.k3s()));
        }
        match &executable.kind {
            Kind::Elf(machine) if architecture.is_some() && machine.architecture() != architecture => {
                found.fault(&place, format!("it is for {machine}, and the node is {platform}"));
            }
            Kind::Other(start) => found.fault(&place, format!("it is not an executable: `{start}`")),
            Kind::Elf(_) | Kind::Script => {}
        }
    } else {
        found.fault(&place, "there is no k3s executable in the seed");
    }
    let images = images_of(kit, node).unwrap_or_default();
    if !platform.is_empty() && !images.is_empty() && !images.iter().any(|image| is_for(image, platform)) {
        found.fault(super::FOLDER, format!("none of {} images is for {platform}", images.len()));
    }
}

/// SK0310
pub(in crate::check) fn names(kit: &Kit, verdict: &mut Verdict) {
    for (path, archive) in &kit.archives {
        names_within("", archive, &mut verdict.of(path));
    }
}

/// SK0310
pub(in crate::check) fn names_on_nodes(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    for (_, file) in tarballs(node).filter(|(_, file)| file.archive.is_some()) {
        if let Some(archive) = kit.archive(file) {
            names_within(&file.place, archive, found);
        }
    }
}

/// What is damaged has no names to speak of.
fn names_within(place: &str, archive: &Archive, found: &mut Found<'_>) {
    let Some(images) = archive.images().filter(|_| !archive.findings().iter().any(|one| is_bad(&one))) else {
        return;
    };
    // In a folder a tag alone is a name: nothing imports it from there.
    for image in images.images.iter().filter(|_| images.form == Form::Archive) {
        let what = match image.names.iter().find(|name| !is_full(&as_imported(image, name))) {
            Some(name) => format!("`{name}` is not a full name with a tag"),
            None if image.names.is_empty() => match &image.digest {
                Some(digest) => format!("{digest} has no name"),
                None => "an image has no name".to_owned(),
            },
            None => continue,
        };
        found.fault(place, what);
    }
    for finding in archive.findings() {
        match finding {
            Finding::Bad { .. } | Finding::Extra { .. } => {}
            Finding::Missing { .. } | Finding::Wrong { .. } => found.fault(place, finding.to_string()),
        }
    }
}

/// SK0314
pub(in crate::check) fn images_are_whole(kit: &Kit, verdict: &mut Verdict) {
    for image in kit.images().iter().filter(|image| image.is_incomplete) {
        let what = "a layer of it is in no registry: it is in no tarball, and whoever runs it has to have that layer";
        verdict.of(bill::FILE_NAME).fault(image.reference.to_string(), what);
    }
}

/// Returns a name as containerd reads it: those of `docker save` stand for their whole names.
fn as_imported(image: &Image, name: &str) -> String {
    match image.digest {
        Some(_) => name.to_owned(),
        None => full_name(name),
    }
}

/// Returns whether a name begins with a registry and ends in a tag or digest.
fn is_full(name: &str) -> bool {
    let (registry, rest) = name.split_once('/').unwrap_or_default();
    let has_registry = registry.contains(['.', ':']) || registry == "localhost";
    has_registry && rest.contains(':')
}
