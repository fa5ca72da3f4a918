//! Answers that say no, as the OCI distribution specification words them ("Error Codes").

use hyper::StatusCode;
use serde_json::json;

use super::repository_name::RepositoryName;
use crate::digest::Digest;

/// What a message repeats of a name, at most.
const SHOWN: usize = 100;

/// Why a request is not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The specification's code.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is nothing here: a registry begins at /v2/")
    }

    pub(super) fn read_only() -> Self {
        let message = "this registry is read-only: it serves a kit, whose content is fixed";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "name and password are needed")
    }

    pub(super) fn name_invalid(name: &str) -> Self {
        let message = format!("`{}` is not a name of a repository", shown(name));
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
    }

    pub(super) fn name_unknown(name: &str, namespace: Option<&str>) -> Self {
        let of = namespace.map(|namespace| format!(" of `{}`", shown(namespace))).unwrap_or_default();
        let message = format!("there is no repository `{}`{of} here", shown(name));
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
    }

    pub(super) fn ambiguous<'a>(names: impl Iterator<Item = &'a RepositoryName>, tag: &str) -> Self {
        let names: Vec<&RepositoryName> = names.collect();
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let registry = names.iter().find_map(|name| name.registry.as_deref()).unwrap_or_default();
        let message = format!(
            "the tag `{tag}` is in {}: ask for one of these names, or with `?ns={registry}`",
            listed.join(" and ")
        );
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
    }

    pub(super) fn manifest_unknown(reference: &str) -> Self {
        let message = format!("there is no manifest `{}` in this repository", shown(reference));
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    pub(super) fn blob_unknown(digest: &Digest) -> Self {
        let message = format!(
            "there is no blob {digest} in this repository; those of platforms that the kit was not made for \
             are not in it"
        );
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", message)
    }

    pub(super) fn digest_invalid(text: &str) -> Self {
        let message = format!("`{}` is not a digest", shown(text));
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(super) fn page_invalid(text: &str) -> Self {
        let message = format!("`{}` is not a number of things to list", shown(text));
        Self::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message)
    }

    /// The content was there when the kit was opened.
    pub(super) fn gone(digest: &Digest) -> Self {
        let message = format!("{digest} cannot be read any more: the kit was changed, or its disk fails");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
    }

    /// Returns the body.
    pub(super) fn json(&self) -> Vec<u8> {
        let Self { status: _, code, message } = self;
        let body = json!({ "errors": [{ "code": code, "message": message, "detail": null }] });
        serde_json::to_vec(&body).expect("strings always become JSON")
    }
}

/// Returns a text of the client's as a message may repeat it: short, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
