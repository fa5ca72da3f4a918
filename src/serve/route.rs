//! What a request asks for, judged by its method, path and query alone.

use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::digest::Digest;

/// The most characters that the name of a repository may have, as registries limit it.
const LONGEST_NAME: usize = 255;

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Is there a registry?
    Base,
    /// Does the server live?
    Health,
    /// The names of all repositories.
    Catalog(Page),
    /// The tags of a repository.
    Tags(String, Page),
    /// A manifest.
    Manifest(String, Name),
    /// A blob.
    Blob(String, Digest),
    /// What is attached to a manifest, of all artifact types or of one.
    Referrers(String, Digest, Option<String>),
}

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Tag(String),
    Digest(Digest),
}

/// The part of a list that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Page {
    /// The most things to list.
    pub(super) limit: Option<usize>,
    /// What the part before ended with.
    pub(super) last: Option<String>,
}

/// A request's target, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) route: Route,
    /// The registry that the client stands before, as containerd tells mirrors.
    pub(super) namespace: Option<String>,
}

/// The parameters of a query that mean anything here.
#[derive(Debug, Default)]
struct Query {
    namespace: Option<String>,
    limit: Option<String>,
    last: Option<String>,
    artifact_type: Option<String>,
}

impl Query {
    /// Of a parameter that is there twice, the first counts. `+` is not a space: media types have it.
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for part in text.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "ns" => &mut query.namespace,
                "n" => &mut query.limit,
                "last" => &mut query.last,
                "artifactType" => &mut query.artifact_type,
                _ => continue,
            };
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            if place.is_none() && !value.is_empty() {
                *place = Some(value);
            }
        }
        query
    }
}

impl Target {
    /// Reads the target of a request that may only read.
    pub(super) fn parse(path: &str, query: &str) -> Result<Self, Refusal> {
        let Ok(path) = percent_decode_str(path).decode_utf8() else { return Err(Refusal::not_found()) };
        let Query { namespace, limit, last, artifact_type } = Query::parse(query);
        let page = || -> Result<Page, Refusal> {
            let limit = limit.as_deref().map(|text| text.parse().map_err(|_| Refusal::page_invalid(text)));
            Ok(Page { limit: limit.transpose()?, last: last.clone() })
        };
        let rest = match path.as_ref() {
            "/healthz" => return Ok(Self { route: Route::Health, namespace }),
            "/v2" | "/v2/" => return Ok(Self { route: Route::Base, namespace }),
            path => path.strip_prefix("/v2/").ok_or_else(Refusal::not_found)?,
        };
        let split = |kind: &str| rest.rsplit_once(kind).filter(|(_, last)| !last.contains('/'));
        let route = if rest == "_catalog" {
            Route::Catalog(page()?)
        } else if let Some(name) = rest.strip_suffix("/tags/list") {
            Route::Tags(repository(name)?, page()?)
        } else if let Some((name, text)) = split("/manifests/") {
            Route::Manifest(repository(name)?, Name::parse(text)?)
        } else if let Some((name, text)) = split("/referrers/") {
            Route::Referrers(repository(name)?, digest(text)?, artifact_type)
        } else if rest.contains("/blobs/uploads") {
            return Err(Refusal::read_only());
        } else if let Some((name, text)) = split("/blobs/") {
            Route::Blob(repository(name)?, digest(text)?)
        } else {
            return Err(Refusal::not_found());
        };
        Ok(Self { route, namespace })
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, Refusal> {
        // No tag has a colon.
        if text.contains(':') { digest(text).map(Self::Digest) } else { Ok(Self::Tag(text.to_owned())) }
    }
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|_| Refusal::digest_invalid(text))
}

/// Checks the name of a repository; a colon is allowed, because names may begin with a registry's.
fn repository(name: &str) -> Result<String, Refusal> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-:".contains(&byte);
    let is_component = |part: &str| {
        !part.is_empty()
            && part.bytes().all(is_plain)
            && part.starts_with(|first: char| first.is_alphanumeric())
    };
    if name.len() > LONGEST_NAME || !name.split('/').all(is_component) {
        return Err(Refusal::name_invalid(name));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn route(path: &str, query: &str) -> Result<Route, &'static str> {
        Target::parse(path, query).map(|target| target.route).map_err(|refusal| refusal.code)
    }

    #[test]
    fn requests_of_clients_are_understood() {
        let name = || "lab/hello".to_owned();
        let digest: Digest = DIGEST.parse().unwrap();
        let encoded = DIGEST.replace(':', "%3A");
        let page = Page { limit: Some(2), last: Some("a/b".to_owned()) };
        for (path, query, expected) in [
            ("/v2/", "", Route::Base),
            ("/v2", "ns=docker.io", Route::Base),
            ("/healthz", "", Route::Health),
            ("/v2/_catalog", "n=2&last=a/b", Route::Catalog(page.clone())),
            ("/v2/lab/hello/tags/list", "last=a%2Fb&n=2", Route::Tags(name(), page)),
            ("/v2/lab/hello/manifests/1.0", "", Route::Manifest(name(), Name::Tag("1.0".to_owned()))),
            (
                &format!("/v2/lab/hello/manifests/{encoded}"),
                "",
                Route::Manifest(name(), Name::Digest(digest)),
            ),
            (&format!("/v2/lab/hello/blobs/{DIGEST}"), "", Route::Blob(name(), digest)),
            (
                &format!("/v2/lab/hello/referrers/{DIGEST}"),
                "artifactType=application/spdx+json",
                Route::Referrers(name(), digest, Some("application/spdx+json".to_owned())),
            ),
            // Words of the grammar are names too.
            (
                &format!("/v2/a/blobs/manifests/blobs/{DIGEST}"),
                "",
                Route::Blob("a/blobs/manifests".to_owned(), digest),
            ),
        ] {
            assert_eq!(route(path, query), Ok(expected), "{path}?{query}");
        }
    }

    #[test]
    fn the_registry_that_a_mirror_stands_for_is_the_first_that_is_named() {
        let target = Target::parse("/v2/a/tags/list", "x=y&ns=quay.io%3A443&ns=docker.io").unwrap();
        assert_eq!(target.namespace.as_deref(), Some("quay.io:443"));
        assert_eq!(Target::parse("/v2/", "ns=").unwrap().namespace, None);
    }

    #[test]
    fn what_is_no_request_to_a_registry_is_refused_with_a_code_of_the_specification() {
        let long = format!("/v2/{}/tags/list", "a".repeat(256));
        let deep = format!("/v2/{}a/tags/list", "a/".repeat(60_000));
        for (path, code) in [
            ("/", "UNSUPPORTED"),
            ("/v1/_ping", "UNSUPPORTED"),
            ("/v2/%ff", "UNSUPPORTED"),
            ("/v2/a/b", "UNSUPPORTED"),
            ("/v2/a/blobs/uploads/", "UNSUPPORTED"),
            ("/v2/a/blobs/uploads/1", "UNSUPPORTED"),
            ("/v2/../../etc/passwd", "UNSUPPORTED"),
            ("/v2/../tags/list", "NAME_INVALID"),
            ("/v2/a/%2e%2e/manifests/1", "NAME_INVALID"),
            ("/v2/a//manifests/1", "NAME_INVALID"),
            ("/v2//manifests/1", "NAME_INVALID"),
            ("/v2/A/manifests/1", "NAME_INVALID"),
            ("/v2/a%00/manifests/1", "NAME_INVALID"),
            ("/v2/-a/manifests/1", "NAME_INVALID"),
            (&long, "NAME_INVALID"),
            (&deep, "NAME_INVALID"),
            ("/v2/a/manifests/sha256:1", "DIGEST_INVALID"),
            ("/v2/a/blobs/..%2f..%2fetc", "UNSUPPORTED"),
            ("/v2/a/blobs/latest", "DIGEST_INVALID"),
            ("/v2/a/referrers/latest", "DIGEST_INVALID"),
        ] {
            assert_eq!(route(path, ""), Err(code), "{path}");
        }
        for number in ["-1", "x", "1.5", "99999999999999999999999"] {
            let query = format!("n={number}");
            assert_eq!(route("/v2/_catalog", &query), Err("PAGINATION_NUMBER_INVALID"), "{number}");
        }
    }
}
