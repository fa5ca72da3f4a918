//! Tarballs: whole, of one version with the executable, and named so that somebody can ask for what is in them.

use std::collections::BTreeMap;

use super::needed::{full_name, is_for};
use super::{content, images_of, tarballs};
use crate::artifact::Finding;
use crate::artifact::{self, ArtifactList};
use crate::bill;
use crate::check::kit::{Kit, Node};
use crate::check::verdict::Verdict;
use crate::cluster::executable::Kind;
use crate::inspect::{Form, Image};

const EXECUTABLE: &str = "/usr/local/bin/k3s";
/// What only k3s unpacks.
const OPAQUE: [&str; 4] = [".tar.lz4", ".tar.bz2", ".tbz", ".tar.xz"];
/// The sums by which the node itself will judge its payload.
const SUMS: &str = "payload/SHA256SUMS";

/// SK0303
pub(super) fn tarballs_are_whole(kit: &Kit, verdict: &mut Verdict) {
    let is_payload = |path: &String| path.starts_with("payload/");
    if kit.is_alone() && kit.nodes.iter().any(|node| !node.disc.files.keys().any(is_payload)) {
        verdict.not_applicable("the disc has no payload");
        return;
    }
    for node in &kit.nodes {
        sums(node, verdict);
        for (_, file) in tarballs(node) {
            let Some(archive) = &file.archive else { continue };
            match archive.problem() {
                // k3s can read them, and nothing here can.
                Some(_) if OPAQUE.iter().any(|suffix| file.place.ends_with(suffix)) => {
                    verdict.warning(&node.seed, &file.place, "seedkit cannot look into this kind of archive");
                }
                Some(problem) => verdict.fault(&node.seed, &file.place, problem),
                None => {}
            }
            for finding in archive.findings().iter().filter(|finding| matches!(finding, Finding::Bad { .. }))
            {
                verdict.fault(&node.seed, &file.place, finding.to_string());
            }
        }
    }
    for (path, archive) in &kit.archives {
        for finding in archive.findings().iter().filter(|finding| matches!(finding, Finding::Bad { .. })) {
            verdict.fault(path, "", finding.to_string());
        }
    }
}

/// Compares the payload with its sums.
fn sums(node: &Node, verdict: &mut Verdict) {
    let Some(text) = node.disc.text(SUMS) else {
        verdict.fault(&node.seed, SUMS, "it is not there");
        return;
    };
    let listed = match ArtifactList::parse_sums(&text.text()) {
        Ok(listed) => listed,
        Err(error) => return verdict.fault(&node.seed, SUMS, error.to_string()),
    };
    let found: BTreeMap<&str, _> = node
        .disc
        .files
        .iter()
        .filter_map(|(path, file)| Some((path.strip_prefix("payload/")?, &file.digest)))
        .collect();
    for (path, expected) in &listed {
        match found.get(path.as_str()) {
            Some(actual) if *actual == expected => {}
            Some(actual) => {
                let what = format!("it hashes to {actual}, and {SUMS} says {expected}");
                verdict.fault(&node.seed, format!("payload/{path}"), what);
            }
            None => verdict.fault(
                &node.seed,
                format!("payload/{path}"),
                format!("{SUMS} lists it, and it is not there"),
            ),
        }
    }
    let unlisted = found.keys().filter(|path| **path != artifact::SUMS && !listed.contains_key(**path));
    for path in unlisted {
        verdict.fault(&node.seed, format!("payload/{path}"), format!("{SUMS} does not list it"));
    }
}

/// SK0304
pub(super) fn one_version(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        let place = format!("payload/root{EXECUTABLE}");
        let platform = node.platform.as_deref().unwrap_or_default();
        let architecture = platform.split('/').nth(1);
        if let Some(executable) = node.files.get(EXECUTABLE).and_then(|file| file.executable.as_ref()) {
            let versions = &executable.versions;
            if !versions.is_empty() && !versions.contains(kit.k3s()) {
                let named: Vec<&str> = versions.iter().map(String::as_str).collect();
                let what = format!("it is k3s {}, and the kit is for {}", named.join(", "), kit.k3s());
                verdict.fault(&node.seed, &place, what);
            }
            match &executable.kind {
                Kind::Elf(machine) if architecture.is_some() && machine.architecture() != architecture => {
                    verdict.fault(
                        &node.seed,
                        &place,
                        format!("it is for {machine}, and the node is {platform}"),
                    );
                }
                Kind::Other(start) => {
                    verdict.fault(&node.seed, &place, format!("it is not an executable: `{start}`"))
                }
                Kind::Elf(_) | Kind::Script => {}
            }
        } else {
            verdict.fault(&node.seed, &place, "there is no k3s executable in the seed");
        }
        let images = images_of(kit, node).unwrap_or_default();
        if !platform.is_empty() && !images.is_empty() && !images.iter().any(|image| is_for(image, platform)) {
            let what = format!("none of {} images is for {platform}", images.len());
            verdict.fault(&node.seed, super::FOLDER, what);
        }
    }
}

/// SK0310
pub(super) fn names(kit: &Kit, verdict: &mut Verdict) {
    let own = kit.archives.iter().map(|(path, archive)| (path.as_str(), "", archive));
    let of_nodes = kit.nodes.iter().flat_map(|node| {
        let odd = tarballs(node).filter(|(_, file)| file.archive.is_some());
        odd.filter_map(|(_, file)| Some((node.seed.as_str(), file.place.as_str(), content(kit, file)?)))
    });
    for (artifact, place, archive) in own.chain(of_nodes) {
        let Some(images) = archive.images() else { continue };
        // What is damaged has no names to speak of.
        if archive.findings().iter().any(|finding| matches!(finding, Finding::Bad { .. })) {
            continue;
        }
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
            verdict.fault(artifact, place, what);
        }
        for finding in archive.findings() {
            match finding {
                Finding::Bad { .. } | Finding::Extra { .. } => {}
                Finding::Missing { .. } | Finding::Wrong { .. } => {
                    verdict.fault(artifact, place, finding.to_string())
                }
            }
        }
    }
}

/// SK0314
pub(super) fn images_are_whole(kit: &Kit, verdict: &mut Verdict) {
    for image in kit.images().iter().filter(|image| image.is_incomplete) {
        let what = "a layer of it is in no registry: it is in no tarball, and whoever runs it has to have that layer";
        verdict.fault(bill::FILE_NAME, image.reference.to_string(), what);
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
