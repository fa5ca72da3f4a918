//! Where a registry is.

use std::path::{Path, PathBuf};

use reqwest::Url;

use crate::oci::DOCKER_HUB;

/// The host that serves Docker Hub.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Whether a server may be asked without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only `https` URLs are taken.
    Refused,
    /// `http` URLs are taken too: somebody said so.
    Allowed,
}

/// The place of a registry: the name it has in references, and the URL that is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    registry: String,
    base: Url,
    ca_file: Option<PathBuf>,
    /// Whether there are other places for the same images.
    has_others: bool,
}

/// Says why a registry cannot be at a place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{url}` cannot be where images of `{registry}` come from: {reason}")]
pub struct InvalidEndpoint {
    registry: String,
    url: String,
    reason: String,
}

impl InvalidEndpoint {
    /// Returns what may be shown of the URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns what is wrong with it.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl Endpoint {
    /// Returns where `registry` is by its name: at that host, over TLS.
    pub fn of(registry: &str) -> Result<Self, InvalidEndpoint> {
        let host = if registry == DOCKER_HUB { DOCKER_HUB_HOST } else { registry };
        Self::new(registry, &format!("https://{host}"), PlainHttp::Refused)
    }

    /// Returns an endpoint for `registry` at `base`: `https://host[:port][/prefix]`.
    ///
    /// A prefix goes before the repository, as mirrors of several registries want it: with
    /// `https://mirror.example/hub`, `library/alpine` is asked for as `/v2/hub/library/alpine`.
    ///
    /// # Errors
    /// If `base` is not such a URL, has a password or a query, or is `http` where that is refused.
    pub fn new(registry: &str, base: &str, plain_http: PlainHttp) -> Result<Self, InvalidEndpoint> {
        let invalid = |url: &str, reason: &str| InvalidEndpoint {
            registry: registry.to_owned(),
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        // No place of a registry has one anywhere: it is where a password ends, whatever is in it.
        if let Some((_, host)) = base.rsplit_once('@') {
            let shown: String = host.chars().take(200).flat_map(char::escape_debug).collect();
            let reason = "credentials belong into a Docker configuration: log in with `docker login HOST`";
            return Err(invalid(&format!("…@{shown}"), reason));
        }
        let base = parse_url(base, plain_http).map_err(|(shown, reason)| invalid(&shown, reason))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(invalid(&shown(&base), "it has a query or a fragment"));
        }
        Ok(Self { registry: registry.to_owned(), base, ca_file: None, has_others: false })
    }

    /// Returns the same with a PEM file of authorities that are trusted there, besides the system's.
    #[must_use]
    pub fn with_ca_file(self, ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, ..self }
    }

    /// Returns the same as one of several places for the same images: an outage of it is not waited out.
    #[must_use]
    pub fn among_others(self, has_others: bool) -> Self {
        Self { has_others, ..self }
    }

    pub(super) fn has_others(&self) -> bool {
        self.has_others
    }

    /// Returns the registry's name in references, such as `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the host that is asked: a name, or an address (IPv6 in brackets), without a port.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Returns the URL that is asked, for people.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Returns the name under which credentials for this place are kept: `host[:port]`, for Docker Hub its name.
    pub(super) fn authority(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None if [DOCKER_HUB_HOST, DOCKER_HUB, "index.docker.io"].contains(&host) => DOCKER_HUB.to_owned(),
            None => host.to_owned(),
        }
    }

    /// Returns the repository's name at this place, the prefix included.
    pub(super) fn repository(&self, repository: &str) -> String {
        match self.base.path().trim_matches('/') {
            "" => repository.to_owned(),
            prefix => format!("{prefix}/{repository}"),
        }
    }

    /// Returns a URL of the distribution API for a repository that [`Self::repository`] named.
    pub(super) fn api(&self, repository: &str, kind: &str, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{repository}/{kind}/{name}"));
        url
    }
}

/// Parses a URL of a server; an error holds what may be shown of it, and the reason.
pub(super) fn parse_url(text: &str, plain_http: PlainHttp) -> Result<Url, (String, &'static str)> {
    let url = Url::parse(text).map_err(|_| (before_secrets(text), "it is not a URL"))?;
    match (url.scheme(), plain_http) {
        ("https", _) | ("http", PlainHttp::Allowed) => Ok(url),
        ("http", PlainHttp::Refused) => Err((shown(&url), "plain http is not allowed for it")),
        // It may be `user:password@host`, whose user looks like a scheme.
        _ => Err((before_secrets(text), "only https and http are known")),
    }
}

/// Returns what may be shown of a URL: no credentials, no query (signed URLs have them there), no fragment.
pub(super) fn shown(url: &Url) -> String {
    let authority = url.host_str().unwrap_or_default();
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{authority}{port}{}", url.scheme(), url.path())
}

/// Returns what may be shown of a text that should have been a URL and is none.
fn before_secrets(text: &str) -> String {
    // A password may have a `?` or `#`: what is before the host goes first.
    let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let shown = shown.split(['?', '#']).next().unwrap_or_default();
    shown.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_at_its_name_unless_it_is_docker_hub() {
        let url = |registry| Endpoint::of(registry).unwrap().url().to_owned();
        assert_eq!(url("docker.io"), "https://registry-1.docker.io");
        assert_eq!(url("localhost:5000"), "https://localhost:5000");
        assert_eq!(url("quay.io"), "https://quay.io");
    }

    #[test]
    fn a_prefix_goes_before_the_repository() {
        let endpoint =
            Endpoint::new("docker.io", "https://mirror.example:8443/hub/", PlainHttp::Refused).unwrap();
        let repository = endpoint.repository("library/alpine");
        assert_eq!(
            endpoint.api(&repository, "manifests", "sha256:ab").as_str(),
            "https://mirror.example:8443/v2/hub/library/alpine/manifests/sha256:ab"
        );
        assert_eq!(endpoint.authority(), "mirror.example:8443");
        assert_eq!(Endpoint::of("docker.io").unwrap().authority(), "docker.io");
    }

    #[test]
    fn places_that_cannot_be_asked_are_refused_without_showing_a_password() {
        for (base, reason) in [
            ("http://registry.lan:5000", "plain http is not allowed"),
            ("https://user:hidden@registry.lan", "credentials belong"),
            ("https://registry.lan/?token=hidden", "query"),
            ("oci:hidden@folder", "credentials belong"),
            ("user:hidden@registry.lan", "credentials belong"),
            ("//user:hidden@registry.lan", "credentials belong"),
            ("https://user:hidden#x@registry.lan", "credentials belong"),
            ("https://user:12/hidden@registry.lan", "credentials belong"),
            ("https://registry.lan/user:hidden@x", "credentials belong"),
        ] {
            let error = Endpoint::new("docker.io", base, PlainHttp::Refused).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("`docker.io`"), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(Endpoint::new("docker.io", "http://registry.lan:5000", PlainHttp::Allowed).is_ok());
    }
}
