//! For which registries the cluster's own one stands in, and under which names it is asked for their images.
//!
//! In k3s' `registries.yaml` a mirror may rewrite the names of repositories, by Go regular expressions, and never
//! tags. The places that image lists give to images become such rewrites: one for each repository, anchored at both
//! ends, so that no two match one name. (k3s keeps them in a map; their order is chance.)
//!
//! # Why
//! *No mirror of itself*: k3s takes the registry's own certificate from `configs`, asks it anyway, and passes over an
//! endpoint that is the default one; a rewrite would not be heeded there.

use std::collections::{BTreeMap, BTreeSet};

use crate::k3s::Mirror;
use crate::oci::Reference;

/// The port of `https`, which an address need not name.
const DEFAULT_PORT: &str = ":443";

/// An image, and the place `repository:tag` that a list gives it in the cluster's registry.
#[derive(Debug, Clone, Copy)]
pub struct PlacedImage<'a> {
    /// The image.
    pub reference: &'a Reference,
    /// Its place, if it is another one than its own repository and tag.
    pub destination: Option<&'a str>,
}

/// What nodes are told, and what they cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirrors {
    /// In the order of their hosts.
    pub mirrors: Vec<Mirror>,
    /// Images that nodes would look for elsewhere than where their list puts them, each with that place.
    pub misplaced: Vec<(Reference, String)>,
    /// Hosts of images that are none of the mirrors'.
    pub left_out: BTreeSet<String>,
}

/// Returns what `registries.yaml` says: `hosts` are the registries to stand in for, by default those of all images.
///
/// `address` is the cluster's own registry, `host[:port]`.
pub fn plan(images: &[PlacedImage<'_>], hosts: Option<BTreeSet<String>>, address: &str) -> Mirrors {
    let used: BTreeSet<String> = images.iter().map(|image| image.reference.registry().to_owned()).collect();
    let hosts = hosts.unwrap_or_else(|| used.clone());
    let mut planned = Mirrors::default();
    for host in &hosts {
        let images = images.iter().filter(|image| image.reference.registry() == host);
        if is_same(host, address) {
            planned.misplaced.extend(images.filter_map(misplaced));
            continue;
        }
        let rewrites = rewrites(images, &mut planned.misplaced);
        planned.mirrors.push(Mirror { host: host.clone(), rewrites });
    }
    planned.left_out = if hosts.contains("*") {
        BTreeSet::new()
    } else {
        used.into_iter().filter(|host| !hosts.contains(host) && !is_same(host, address)).collect()
    };
    // Where another mirror stands in for them, or none, nobody rewrites.
    let others = images.iter().filter(|image| !hosts.contains(image.reference.registry()));
    planned.misplaced.extend(others.filter_map(misplaced));
    planned.misplaced.sort();
    planned
}

fn misplaced(image: &PlacedImage<'_>) -> Option<(Reference, String)> {
    Some((image.reference.clone(), image.destination?.to_owned()))
}

/// Returns the rewrites for the images of one registry; what none can express is added to `misplaced`.
fn rewrites<'a>(
    images: impl Iterator<Item = &'a PlacedImage<'a>>,
    misplaced: &mut Vec<(Reference, String)>,
) -> BTreeMap<String, String> {
    let mut repositories: BTreeMap<&str, Vec<&PlacedImage<'_>>> = BTreeMap::new();
    for image in images {
        repositories.entry(image.reference.repository()).or_default().push(image);
    }
    let mut rewrites = BTreeMap::new();
    for (repository, images) in repositories {
        let places: BTreeSet<&str> = images.iter().map(|image| place_of(image).0).collect();
        // With several places for one repository, the first one that is not its own wins nothing: none is rewritten.
        let place = match places.first() {
            Some(place) if places.len() == 1 => *place,
            Some(_) | None => repository,
        };
        if place != repository {
            rewrites.insert(pattern(repository), place.to_owned());
        }
        let is_elsewhere = |image: &&&PlacedImage<'_>| place_of(image) != (place, tag_of(image));
        misplaced.extend(images.iter().filter(is_elsewhere).filter_map(|image| self::misplaced(image)));
    }
    rewrites
}

/// Returns repository and tag of the place where a list puts an image.
fn place_of<'a>(image: &'a PlacedImage<'a>) -> (&'a str, String) {
    match image.destination.and_then(|place| place.rsplit_once(':')) {
        Some((repository, tag)) => (repository, tag.to_owned()),
        None => (image.reference.repository(), tag_of(image)),
    }
}

/// Returns the tag under which nodes know an image.
fn tag_of(image: &PlacedImage<'_>) -> String {
    let name = image.reference.tagged_name();
    name.rsplit_once(':').map_or_else(String::new, |(_, tag)| tag.to_owned())
}

/// Returns a regular expression that matches this repository and no other.
fn pattern(repository: &str) -> String {
    let is_plain =
        |character: &char| character.is_ascii_alphanumeric() || matches!(character, '/' | '-' | '_');
    let escaped = repository
        .chars()
        .map(|character| if is_plain(&character) { character.to_string() } else { format!("\\{character}") });
    format!("^{}$", escaped.collect::<String>())
}

/// Returns whether two registries are one; a port that is the default one need not be named.
fn is_same(one: &str, other: &str) -> bool {
    one.strip_suffix(DEFAULT_PORT).unwrap_or(one) == other.strip_suffix(DEFAULT_PORT).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans for images written as in a list: `image`, or `image destination`.
    fn planned(lines: &[&str], hosts: Option<&[&str]>) -> Mirrors {
        let images: Vec<(Reference, Option<&str>)> = lines
            .iter()
            .map(|line| {
                let (image, place) =
                    line.split_once(' ').map_or((*line, None), |(image, place)| (image, Some(place)));
                (image.parse().unwrap(), place)
            })
            .collect();
        let images: Vec<PlacedImage<'_>> = images
            .iter()
            .map(|(reference, destination)| PlacedImage { reference, destination: *destination })
            .collect();
        let hosts = hosts.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect());
        plan(&images, hosts, "192.168.6.1:5000")
    }

    /// Returns each mirror on a line, with its rewrites.
    fn listing(planned: &Mirrors) -> String {
        let line = |mirror: &Mirror| {
            let rewrites = mirror.rewrites.iter().map(|(from, to)| format!(" {from} -> {to}"));
            format!("{}{}\n", mirror.host, rewrites.collect::<String>())
        };
        planned.mirrors.iter().map(line).collect()
    }

    #[test]
    fn every_host_of_an_image_has_a_mirror() {
        let planned =
            planned(&["busybox:1", "quay.io/a/b:1", "registry.k8s.io/pause:3.10", "quay.io/a/c:1"], None);
        assert_eq!(listing(&planned), "docker.io\nquay.io\nregistry.k8s.io\n");
        assert_eq!((planned.misplaced.len(), planned.left_out.len()), (0, 0));
    }

    #[test]
    fn a_place_in_the_registry_becomes_a_rewrite_of_its_repository_alone() {
        let planned = planned(
            &[
                "rancher/mirrored-pause:3.6 mirror/pause:3.6",
                "quay.io/a.b/c_d-e:1 x:1",
                "quay.io/a/b:1",
                "quay.io/a/b:2",
            ],
            None,
        );
        let expected = "docker.io ^rancher/mirrored-pause$ -> mirror/pause\nquay.io ^a\\.b/c_d-e$ -> x\n";
        assert_eq!((listing(&planned).as_str(), planned.misplaced), (expected, Vec::new()));
    }

    #[test]
    fn places_that_no_rewrite_can_express_are_named() {
        for (lines, rewrites, misplaced) in [
            // Another tag.
            (&["a/b:1 a/b:2"][..], "docker.io\n", &["docker.io/a/b:1"][..]),
            (&["a/b:1 c/d:2"], "docker.io ^a/b$ -> c/d\n", &["docker.io/a/b:1"]),
            // One repository in two places.
            (&["a/b:1 c/d:1", "a/b:2"], "docker.io\n", &["docker.io/a/b:1"]),
            (&["a/b:1 c/d:1", "a/b:2 e/f:2"], "docker.io\n", &["docker.io/a/b:1", "docker.io/a/b:2"]),
            // The registry itself, whatever its port.
            (&["192.168.6.1:5000/a/b:1 c/d:1"], "", &["192.168.6.1:5000/a/b:1"]),
        ] {
            let planned = planned(lines, None);
            assert_eq!(listing(&planned), rewrites, "{lines:?}");
            let names: Vec<String> = planned.misplaced.iter().map(|(image, _)| image.to_string()).collect();
            assert_eq!(names, misplaced, "{lines:?}");
        }
    }

    #[test]
    fn an_image_known_by_digest_has_the_tag_that_nodes_know_it_by() {
        let image = format!("quay.io/a/b@sha256:{}", "0123456789abcdef".repeat(4));
        let planned = planned(&[&format!("{image} c/d:sha256-0123456789ab")], None);
        assert_eq!((listing(&planned).as_str(), planned.misplaced), ("quay.io ^a/b$ -> c/d\n", Vec::new()));
    }

    #[test]
    fn hosts_that_the_spec_leaves_out_are_named() {
        let lines = ["a/b:1", "quay.io/a/b:1 x/y:1", "192.168.6.1:5000/own:1"];
        let some = planned(&lines, Some(&["docker.io", "ghcr.io"]));
        assert_eq!(listing(&some), "docker.io\nghcr.io\n");
        assert_eq!(some.left_out.into_iter().collect::<Vec<_>>(), ["quay.io"]);
        assert_eq!(some.misplaced.len(), 1);
        let all = planned(&lines, Some(&["*", "docker.io"]));
        assert_eq!((listing(&all).as_str(), all.left_out.len()), ("*\ndocker.io\n", 0));
    }

    #[test]
    fn the_registry_is_no_mirror_of_itself() {
        assert_eq!(listing(&planned(&["192.168.6.1:5000/a/b:1", "c:1"], None)), "docker.io\n");
        assert!(is_same("registry.lan:443", "registry.lan") && !is_same("registry.lan:5000", "registry.lan"));
    }
}
