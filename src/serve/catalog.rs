//! What a layout holds, by the names that clients ask with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::refusal::Refusal;
use super::repository_name::RepositoryName;
use crate::digest::Digest;
use crate::oci::DOCKER_HUB;

/// The other names of Docker Hub that a client may give as the registry it stands before.
const HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// What a repository holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Repository {
    /// The images by tag.
    pub(super) tags: BTreeMap<String, Digest>,
    /// Everything below them, and what is attached to it.
    pub(super) contents: BTreeSet<Digest>,
}

/// One content: a file of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// The length in bytes.
    pub(super) size: u64,
    /// The media type of a manifest; blobs have none.
    pub(super) manifest_type: Option<String>,
}

/// A manifest that is attached to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Referrer {
    pub(super) digest: Digest,
    pub(super) artifact_type: Option<String>,
    /// How lists describe it.
    pub(super) entry: Value,
}

/// All repositories of a layout, in memory; contents stay where they are.
///
/// # Why
/// One layout holds images of several registries, and clients ask one host for them. A client that stands before a
/// registry says so (`?ns=docker.io`), and gets that registry's images. Else the path decides; where two registries
/// have one path and tag, nothing is guessed: the full name (`docker.io/lab/hello`) is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    pub(super) repositories: BTreeMap<RepositoryName, Repository>,
    pub(super) contents: BTreeMap<Digest, Content>,
    /// What is attached to a manifest, by that manifest.
    pub(super) referrers: BTreeMap<Digest, Vec<Referrer>>,
    /// How many names the layout has for images, attached ones left out.
    pub(super) images: usize,
}

/// The repositories that a client's name can mean.
type Candidates<'a> = Vec<(&'a RepositoryName, &'a Repository)>;

impl Catalog {
    /// Returns the number of images, each name counted.
    pub fn image_count(&self) -> usize {
        self.images
    }

    /// Returns the bytes of all contents.
    pub fn total_size(&self) -> u64 {
        self.contents.values().map(|content| content.size).sum()
    }

    /// Returns the repositories that `path` means before the registry `namespace`.
    pub(super) fn repositories(
        &self,
        path: &str,
        namespace: Option<&str>,
    ) -> Result<Candidates<'_>, Refusal> {
        let exact = |registry: Option<&str>, path: &str| {
            let name = RepositoryName { path: path.to_owned(), registry: registry.map(str::to_owned) };
            self.repositories.get_key_value(&name)
        };
        let mut found: Candidates<'_> = match namespace {
            Some(namespace) => {
                exact(Some(unaliased(namespace)), path).or_else(|| exact(None, path)).into_iter().collect()
            }
            None => self.of_path(path),
        };
        if found.is_empty() {
            let (registry, rest) = path.split_once('/').unwrap_or_default();
            found.extend(exact(Some(unaliased(registry)), rest));
        }
        if found.is_empty() { Err(Refusal::name_unknown(path, namespace)) } else { Ok(found) }
    }

    fn of_path(&self, path: &str) -> Candidates<'_> {
        let first = RepositoryName { path: path.to_owned(), registry: None };
        self.repositories.range(first..).take_while(|(name, _)| name.path == path).collect()
    }

    /// Returns the manifest that `tag` stands for in one of `candidates`.
    pub(super) fn tagged<'a>(candidates: &Candidates<'a>, tag: &str) -> Result<&'a Digest, Refusal> {
        let tagged = |(name, repository): &(&'a RepositoryName, &'a Repository)| {
            repository.tags.get(tag).map(|digest| (*name, digest))
        };
        let mut found: Vec<(&RepositoryName, &Digest)> = candidates.iter().filter_map(tagged).collect();
        // What was named for this registry is meant first.
        if found.iter().any(|(name, _)| name.registry.is_none()) {
            found.retain(|(name, _)| name.registry.is_none());
        }
        match found.as_slice() {
            [] => Err(Refusal::manifest_unknown(tag)),
            [(_, digest), others @ ..] if others.iter().all(|(_, other)| other == digest) => Ok(digest),
            _ => Err(Refusal::ambiguous(found.iter().map(|(name, _)| *name), tag)),
        }
    }

    /// Returns a content that one of `candidates` holds.
    pub(super) fn content(&self, candidates: &Candidates<'_>, digest: &Digest) -> Option<&Content> {
        let is_held = candidates.iter().any(|(_, repository)| repository.contents.contains(digest));
        self.contents.get(digest).filter(|_| is_held)
    }

    /// Returns the tags of all `candidates`, sorted.
    pub(super) fn tags<'a>(candidates: &Candidates<'a>) -> BTreeSet<&'a str> {
        candidates.iter().flat_map(|(_, repository)| repository.tags.keys()).map(String::as_str).collect()
    }

    /// Returns the names under which every repository can be asked for, sorted: short where that is clear.
    pub(super) fn names(&self, namespace: Option<&str>) -> BTreeSet<String> {
        let namespace = namespace.map(unaliased);
        let name = |name: &RepositoryName| match namespace {
            Some(_) => name.path.clone(),
            None if self.of_path(&name.path).len() == 1 => name.path.clone(),
            None => name.to_string(),
        };
        let is_asked_for =
            |name: &&RepositoryName| namespace.is_none() || name.registry.as_deref() == namespace;
        self.repositories.keys().filter(is_asked_for).map(name).collect()
    }
}

/// Returns the name of a registry in references.
fn unaliased(registry: &str) -> &str {
    if HUB_ALIASES.contains(&registry) { DOCKER_HUB } else { registry }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    /// Each name with the text that its image consists of.
    fn catalog(names: &[(Option<&str>, &str, &str, &str)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (registry, path, tag, text) in names {
            let name = RepositoryName { path: (*path).to_owned(), registry: registry.map(str::to_owned) };
            let repository = catalog.repositories.entry(name).or_default();
            repository.tags.insert((*tag).to_owned(), digest(text));
            repository.contents.insert(digest(text));
            catalog.contents.insert(digest(text), Content { size: 1, manifest_type: None });
        }
        catalog
    }

    fn lab() -> Catalog {
        catalog(&[
            (Some("docker.io"), "lab/hello", "1.0", "hub"),
            (Some("quay.io"), "lab/hello", "1.0", "quay"),
            (Some("quay.io"), "lab/hello", "2.0", "newer"),
            (Some("docker.io"), "library/busybox", "1", "same"),
            (Some("quay.io"), "library/busybox", "1", "same"),
            (None, "mirror/pause", "3.6", "own"),
            (Some("docker.io"), "mirror/pause", "3.6", "not own"),
        ])
    }

    fn resolve(path: &str, namespace: Option<&str>, tag: &str) -> Result<Digest, String> {
        let catalog = lab();
        let candidates = catalog.repositories(path, namespace).map_err(|refusal| refusal.message)?;
        Catalog::tagged(&candidates, tag).cloned().map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_client_that_names_its_registry_gets_the_image_of_that_registry() {
        for (namespace, text) in [
            ("docker.io", "hub"),
            ("index.docker.io", "hub"),
            ("registry-1.docker.io", "hub"),
            ("quay.io", "quay"),
        ] {
            assert_eq!(resolve("lab/hello", Some(namespace), "1.0"), Ok(digest(text)), "{namespace}");
        }
        let error = resolve("lab/hello", Some("gcr.io"), "1.0").unwrap_err();
        assert_eq!(error, "there is no repository `lab/hello` of `gcr.io` here");
    }

    #[test]
    fn without_a_registry_what_is_clear_is_found_and_what_is_not_is_refused_by_name() {
        assert_eq!(resolve("lab/hello", None, "2.0"), Ok(digest("newer")));
        assert_eq!(resolve("library/busybox", None, "1"), Ok(digest("same")));
        assert_eq!(
            resolve("lab/hello", None, "1.0").unwrap_err(),
            "the tag `1.0` is in `docker.io/lab/hello` and `quay.io/lab/hello`: ask for one of these names, \
             or with `?ns=docker.io`"
        );
        for (name, text) in [("docker.io/lab/hello", "hub"), ("quay.io/lab/hello", "quay")] {
            assert_eq!(resolve(name, None, "1.0"), Ok(digest(text)));
            // A mirror whose paths are rewritten to begin with the registry's name.
            assert_eq!(resolve(name, Some("docker.io"), "1.0"), Ok(digest(text)));
        }
    }

    #[test]
    fn a_name_that_was_chosen_for_this_registry_comes_first() {
        assert_eq!(resolve("mirror/pause", None, "3.6"), Ok(digest("own")));
        assert_eq!(resolve("mirror/pause", Some("docker.io"), "3.6"), Ok(digest("not own")));
        assert_eq!(resolve("mirror/pause", Some("quay.io"), "3.6"), Ok(digest("own")));
    }

    #[test]
    fn names_that_do_not_exist_are_told_apart_from_tags_that_do_not() {
        assert_eq!(resolve("lab", None, "1").unwrap_err(), "there is no repository `lab` here");
        assert_eq!(resolve("", None, "1").unwrap_err(), "there is no repository `` here");
        assert_eq!(
            resolve("lab/hello", None, "3").unwrap_err(),
            "there is no manifest `3` in this repository"
        );
    }

    #[test]
    fn every_name_that_is_listed_can_be_asked_for() {
        let catalog = lab();
        let names = catalog.names(None);
        let expected = [
            "docker.io/lab/hello",
            "docker.io/library/busybox",
            "docker.io/mirror/pause",
            "mirror/pause",
            "quay.io/lab/hello",
            "quay.io/library/busybox",
        ];
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        for name in names {
            for tag in Catalog::tags(&catalog.repositories(&name, None).unwrap()) {
                resolve(&name, None, tag).unwrap();
            }
        }
        let of_quay: Vec<String> = catalog.names(Some("quay.io")).into_iter().collect();
        assert_eq!(of_quay, ["lab/hello", "library/busybox"]);
    }

    #[test]
    fn a_content_is_had_only_from_a_repository_that_holds_it() {
        let catalog = lab();
        let held = |name: &str, text: &str| {
            catalog.content(&catalog.repositories(name, None).unwrap(), &digest(text)).is_some()
        };
        assert!(held("lab/hello", "hub") && held("lab/hello", "quay"));
        assert!(held("docker.io/lab/hello", "hub") && !held("docker.io/lab/hello", "quay"));
        assert!(!held("lab/hello", "nothing"));
    }
}
