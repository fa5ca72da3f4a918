//! Image references: `registry/repository[:tag][@digest]`, always fully qualified.

mod grammar;

use std::fmt;
use std::str::FromStr;

use serde_with::{DeserializeFromStr, SerializeDisplay};

use self::grammar::{Parts, check_length};
use crate::digest::Digest;
use crate::net::{has_login, without_login};

/// The name of Docker Hub in references, whatever its registry's host is.
pub const DOCKER_HUB: &str = "docker.io";

/// A fully qualified image reference with a tag, a digest, or both.
///
/// `alpine` becomes `docker.io/library/alpine:latest`; all spellings of Docker Hub become `docker.io`. The
/// order is that of the printed form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Says why a text is not an image reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an image reference: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: String,
}

impl Reference {
    /// Returns the registry, `host[:port]`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository within its registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if the reference is pinned.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the same image pinned to `digest`, its tag kept.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Returns another content of the same repository: by its digest, and a tag if it has one.
    #[must_use]
    pub fn sibling(&self, tag: Option<&str>, digest: Digest) -> Self {
        Self { tag: tag.map(str::to_owned), digest: Some(digest), ..self.clone() }
    }

    /// Returns the name under which a container runtime finds the image: `registry/repository:tag`.
    ///
    /// An image known by digest only gets a tag made from it: k3s and the kubelet's importers refuse names
    /// without a tag.
    pub fn tagged_name(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.name()),
            (None, Some(digest)) => {
                format!("{}:{}-{}", self.name(), digest.algorithm().name(), digest.short())
            }
            (None, None) => self.name(),
        }
    }

    /// Returns whether the text itself names a tag or digest, instead of meaning `latest` silently.
    pub fn text_says_version(text: &str) -> bool {
        let last = text.rsplit('/').next().unwrap_or(text);
        last.contains(':') || last.contains('@')
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |reason: String| {
            let reason = if has_login(text) { "there is a login before its host".to_owned() } else { reason };
            InvalidReference { text: without_login(text).chars().take(300).collect(), reason }
        };
        let Parts { domain, path, tag, digest } = Parts::of(text).map_err(invalid)?;
        let digest = digest
            .map(|digest| digest.parse::<Digest>().map_err(|error| invalid(error.to_string())))
            .transpose()?;
        let registry = domain.unwrap_or(DOCKER_HUB).to_ascii_lowercase();
        let is_hub = ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&registry.as_str());
        let registry = if is_hub { DOCKER_HUB.to_owned() } else { registry };
        let is_official = is_hub && !path.contains('/');
        let repository = if is_official { format!("library/{path}") } else { path.to_owned() };
        check_length(&repository).map_err(invalid)?;
        // `name@digest` means no tag: what it is called is known, and `latest` would be a guess.
        let unnamed = digest.is_none().then_some("latest");
        let tag = tag.or(unnamed).map(str::to_owned);
        Ok(Self { registry, repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(formatter, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(formatter, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_fully_qualified() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, expected) in [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            ("rancher/mirrored-pause:3.6", "docker.io/rancher/mirrored-pause:3.6".to_owned()),
            ("index.docker.io/redis:7", "docker.io/library/redis:7".to_owned()),
            ("registry-1.docker.io/redis:7", "docker.io/library/redis:7".to_owned()),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c".to_owned()),
            ("Quay.IO/coreos/etcd:v3", "quay.io/coreos/etcd:v3".to_owned()),
            (&format!("a/b@{digest}"), format!("docker.io/a/b@{digest}")),
            (&format!("a/b:1@{digest}"), format!("docker.io/a/b:1@{digest}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn texts_that_are_no_references_are_refused() {
        for text in
            ["", "UPPER/case:1", "a b", "a:b:c", "a/b:v1+k3s1", "a@sha256:abc", "docker://a", "-a", "a/../b"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_repository_has_at_most_255_characters_with_what_is_added_to_it() {
        let parse = |text: String| text.parse::<Reference>().map(|reference| reference.to_string());
        let added = "library/".len();
        assert!(parse("a".repeat(255 - added)).is_ok_and(|text| parse(text.clone()) == Ok(text)));
        assert!(parse("a".repeat(256 - added)).is_err());
        assert!(parse(format!("quay.io/{}", "a".repeat(255))).is_ok());
        let error = parse(format!("quay.io/{}", "a".repeat(256))).unwrap_err();
        assert!(error.to_string().ends_with("the repository has more than 255 characters"), "{error}");
    }

    #[test]
    fn an_image_known_by_digest_only_gets_a_tag() {
        let text = format!("quay.io/a/b@sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(text.parse::<Reference>().unwrap().tagged_name(), "quay.io/a/b:sha256-0123456789ab");
    }
}
