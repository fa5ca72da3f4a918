//! What nodes need, against what their tarballs have.

use std::collections::BTreeSet;

use itertools::Itertools as _;

use super::{images_of, names_of, tarballs};
use crate::check::kit::{EXECUTABLE, Kit, MANIFESTS, Node, Text};
use crate::check::verdict::Found;
use crate::cluster::executable::Pause;
use crate::imagelist::builtin_k3s;
use crate::oci::Reference;

/// What k3s' own components need, beside what all clusters need: a part of the image's name, by component.
const COMPONENTS: [(&str, &[&str]); 5] = [
    ("traefik", &["mirrored-library-traefik", "klipper-helm"]),
    ("servicelb", &["klipper-lb"]),
    ("local-storage", &["local-path-provisioner", "mirrored-library-busybox"]),
    ("metrics-server", &["mirrored-metrics-server"]),
    ("coredns", &["mirrored-coredns-coredns"]),
];
/// The image that every pod begins with.
const PAUSE: &str = "/mirrored-pause:";
/// Where the node is told what it must have.
const LIST: &str = "/var/lib/seedkit/images.txt";

/// SK0301
pub(in crate::check) fn pause_image(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let Some(images) = images_of(kit, node) else { return };
    let wanted = wanted_pause(node);
    if wanted.is_empty() || images.is_empty() {
        return;
    }
    let is_wanted = |name: &String| wanted.iter().flatten().any(|one| one == name);
    let platform = node.platform.as_deref().unwrap_or_default();
    match images.iter().find(|image| image.names.iter().any(is_wanted)) {
        None => {
            let names = wanted.iter().filter_map(|readings| readings.first()).join("` or `");
            let has = images.iter().flat_map(|image| &image.names);
            let has = has.filter(|name| name.contains(PAUSE)).join(", ");
            let has = if has.is_empty() { "no pause image" } else { &has };
            let what = format!("k3s starts every pod with `{names}`; the seed has {has}");
            found.fault(format!("payload/root{EXECUTABLE}"), what);
        }
        Some(image) if !platform.is_empty() && !is_for(image, platform) => {
            let what = format!("`{}` is not there for {platform}", image.names.join(", "));
            found.fault("pause image", what);
        }
        Some(_) => {}
    }
}

/// Returns whether an image is there for a platform; one that says none may be for all.
pub(super) fn is_for(image: &crate::inspect::Image, platform: &str) -> bool {
    let known: Vec<&str> = image.platforms.iter().filter_map(|one| one.platform.as_deref()).collect();
    known.is_empty() || known.contains(&platform)
}

/// Returns the names that the pause image may have: one list of readings for each that is named.
fn wanted_pause(node: &Node) -> Vec<Vec<String>> {
    if let Some(name) = node.setting_text("pause-image") {
        return vec![vec![full_name(&name)]];
    }
    let executable = node.files.get(EXECUTABLE).and_then(|file| file.executable.as_ref());
    let readings = |pause: &Pause| pause.readings().into_iter().map(Pause::image).collect();
    executable.iter().flat_map(|executable| executable.pauses.iter()).map(readings).collect()
}

/// Returns the name as containerd has it.
pub(super) fn full_name(text: &str) -> String {
    text.parse::<Reference>().map_or_else(|_| text.to_owned(), |reference| reference.tagged_name())
}

/// SK0302
pub(in crate::check) fn all_images(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    if tarballs(node).next().is_none() {
        return found.fault(super::FOLDER, "there is no image tarball in the seed");
    }
    let Some(present) = names_of(kit, node) else { return };
    let mut wanted = listed(node);
    wanted.extend(release_needs(kit, node));
    // Whether the pause image is the right one is a row of its own.
    let missing: Vec<&String> =
        wanted.iter().filter(|name| !name.contains(PAUSE) && !present.contains(*name)).collect();
    if let Some(first) = missing.first() {
        let (missing, wanted) = (missing.len(), wanted.len());
        let what = format!("{missing} of {wanted} images are not in its tarballs, such as `{first}`");
        found.fault(super::FOLDER, what);
    }
}

fn listed(node: &Node) -> BTreeSet<String> {
    let text = node.text(LIST).map(Text::text).unwrap_or_default();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Returns what the release needs for the components that are not disabled; nothing for a release of unknown needs.
fn release_needs(kit: &Kit, node: &Node) -> Vec<String> {
    let disabled: BTreeSet<String> = kit.servers().flat_map(disabled).collect();
    let is_needed = |line: &&str| {
        let users: Vec<&str> = COMPONENTS
            .iter()
            .filter(|(_, parts)| parts.iter().any(|part| line.contains(part)))
            .map(|(component, _)| *component)
            .collect();
        users.is_empty() || users.iter().any(|component| !disabled.contains(*component))
    };
    // Without servers nothing says what is disabled, and with `system-default-registry` names differ.
    let renames = node.setting("system-default-registry").is_some();
    let list = builtin_k3s(kit.k3s()).filter(|_| !renames && kit.servers().next().is_some());
    let lines = list.into_iter().flat_map(str::lines).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).filter(is_needed).map(full_name).collect()
}

/// Returns the components that a server does not deploy.
pub(in crate::check) fn disabled(node: &Node) -> Vec<String> {
    let all = node.setting_texts("disable");
    all.iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// SK0311
pub(in crate::check) fn manifests(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    if !node.is_server() {
        return;
    }
    let mirrored: BTreeSet<String> = kit
        .images()
        .iter()
        .flat_map(|image| [Some(image.reference.to_string()), image.destination.clone()])
        .flatten()
        .map(|name| full_name(&name))
        .collect();
    let present = names_of(kit, node).unwrap_or_default();
    for (_, file) in node.below(MANIFESTS) {
        for (number, line) in file.content().unwrap_or_default().lines().enumerate() {
            let Some(name) = named_image(line) else { continue };
            let full = full_name(&name);
            let is_known = present.contains(&full)
                || mirrored.iter().any(|known| *known == full || full.ends_with(&format!("/{known}")));
            if !is_known {
                let place = format!("{}: line {}", file.place, number + 1);
                found.fault(place, format!("`{name}` is not in the kit"));
            }
        }
    }
}

/// Returns the image that a line of a manifest names.
fn named_image(line: &str) -> Option<String> {
    let line = line.trim_start().trim_start_matches("- ");
    let value = line.strip_prefix("image:")?.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (!value.is_empty() && !value.starts_with(['{', '$', '&', '*'])).then(|| value.to_owned())
}
