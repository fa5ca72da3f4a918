//! From a request to an answer: the registry's endpoints (OCI distribution specification, "API").

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, LINK, WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::access::{Entry, Log};
use super::body::{AnswerBody, FilePart, Payload};
use super::catalog::{Catalog, Content, Referrer};
use super::passwords::Passwords;
use super::range::{Extent, entity_tag, extent};
use super::refusal::Refusal;
use super::route::{Name, Page, Route, Target};
use crate::digest::Digest;
use crate::oci::inventory::Inventory;
use crate::oci::media_type;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("docker-distribution-api-version"), HeaderValue::from_static("registry/2.0"));
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

/// What is served, and to whom.
#[derive(Debug)]
pub struct Site {
    /// The layout.
    pub inventory: Arc<Inventory>,
    /// What it holds, by name.
    pub catalog: Catalog,
    /// Who may read it; `None` for everybody.
    pub passwords: Option<Passwords>,
}

/// An answer before it is known whether its body is wanted.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    payload: Payload,
    /// What `Content-Length` says, where nothing is sent of it.
    length: u64,
}

impl Answer {
    fn new(status: StatusCode, payload: Payload) -> Self {
        Self { status, headers: HeaderMap::new(), length: payload.length(), payload }
    }

    fn text(status: StatusCode, content_type: &str, text: impl Into<Vec<u8>>) -> Self {
        Self::new(status, Payload::Text(text.into().into())).with(CONTENT_TYPE, content_type)
    }

    fn json(value: &Value) -> Self {
        let text = serde_json::to_vec(value).expect("a JSON value always becomes a text");
        Self::text(StatusCode::OK, JSON, text)
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        // Values come from the layout, whose names may hold anything: such a header is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let answer = Self::text(refusal.status, JSON, refusal.json());
        match refusal.status {
            StatusCode::METHOD_NOT_ALLOWED => answer.with(ALLOW, "GET, HEAD"),
            StatusCode::UNAUTHORIZED => {
                answer.with(WWW_AUTHENTICATE, "Basic realm=\"seedkit\", charset=\"UTF-8\"")
            }
            _ => answer,
        }
    }
}

impl Site {
    /// Answers one request.
    pub(super) async fn answer(
        &self,
        request: &Request<Incoming>,
        client: SocketAddr,
        log: Log,
    ) -> Response<AnswerBody> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let mut entry = Entry::new(log, client, method, uri, headers);
        let Answer { status, headers, payload, length } = match self.decide(request).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.into(),
        };
        let payload = if method == Method::HEAD { Payload::Nothing } else { payload };
        entry.answered(status, payload.length());
        let mut response = Response::new(AnswerBody::new(payload, entry));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().insert(API_VERSION.0, API_VERSION.1);
        if status != StatusCode::NOT_MODIFIED {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }

    async fn decide(&self, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        let (uri, headers) = (request.uri(), request.headers());
        let is_head = request.method() == Method::HEAD;
        let is_reading = is_head || request.method() == Method::GET;
        let target = if is_reading {
            Target::parse(uri.path(), uri.query().unwrap_or_default())
        } else {
            Err(Refusal::read_only())
        };
        let is_health = target.as_ref().is_ok_and(|target| target.route == Route::Health);
        if let Some(passwords) = self.passwords.as_ref().filter(|_| !is_health)
            && !passwords.accept(headers.get(AUTHORIZATION)).await
        {
            return Err(Refusal::unauthorized());
        }
        let Target { route, namespace } = target?;
        let namespace = namespace.as_deref();
        match route {
            Route::Health => Ok(Answer::text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")),
            Route::Base => Ok(Answer::json(&json!({}))),
            Route::Catalog(page) => {
                let names = self.catalog.names(namespace);
                let names = names.iter().map(String::as_str);
                Ok(list("repositories", json!({}), names, (&page, uri.path(), namespace)))
            }
            Route::Tags(name, page) => {
                let candidates = self.catalog.repositories(&name, namespace)?;
                let tags = Catalog::tags(&candidates).into_iter();
                Ok(list("tags", json!({ "name": name }), tags, (&page, uri.path(), namespace)))
            }
            Route::Manifest(name, reference) => {
                self.manifest((&name, namespace), reference, headers, is_head).await
            }
            Route::Blob(name, digest) => {
                let candidates = self.catalog.repositories(&name, namespace)?;
                let found = self.catalog.content(&candidates, &digest);
                let content = found.ok_or_else(|| Refusal::blob_unknown(&digest))?;
                self.content(&digest, content.size, BINARY, extent(headers, &digest, content.size, is_head))
                    .await
            }
            Route::Referrers(name, digest, artifact_type) => {
                self.referrers((&name, namespace), &digest, artifact_type.as_deref())
            }
        }
    }

    async fn manifest(
        &self,
        (name, namespace): (&str, Option<&str>),
        reference: Name,
        headers: &HeaderMap,
        is_head: bool,
    ) -> Result<Answer, Refusal> {
        let candidates = self.catalog.repositories(name, namespace)?;
        let digest = match reference {
            Name::Digest(digest) => digest,
            Name::Tag(tag) => *Catalog::tagged(&candidates, &tag)?,
        };
        match self.catalog.content(&candidates, &digest) {
            Some(Content { size, manifest_type: Some(manifest_type) }) => {
                let extent = extent(headers, &digest, *size, is_head);
                self.content(&digest, *size, manifest_type, extent).await
            }
            Some(Content { manifest_type: None, .. }) | None => {
                Err(Refusal::manifest_unknown(&digest.to_string()))
            }
        }
    }

    async fn content(
        &self,
        digest: &Digest,
        size: u64,
        content_type: &str,
        extent: Extent,
    ) -> Result<Answer, Refusal> {
        let described = |answer: Answer| {
            let text = digest.to_string();
            answer.with(CONTENT_DIGEST, &text).with(ETAG, &entity_tag(digest)).with(ACCEPT_RANGES, "bytes")
        };
        let (status, range) = match extent {
            Extent::Whole => (StatusCode::OK, 0..size),
            Extent::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Extent::Nothing => {
                return Ok(described(Answer::new(StatusCode::NOT_MODIFIED, Payload::Nothing)));
            }
            Extent::Outside => {
                let answer = Answer::new(StatusCode::RANGE_NOT_SATISFIABLE, Payload::Nothing);
                return Ok(described(answer).with(CONTENT_RANGE, &format!("bytes */{size}")));
            }
        };
        let file = self.open(digest, size).await.ok_or_else(|| Refusal::gone(digest))?;
        let content_range = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
        let payload = Payload::File(FilePart::new(file, range.start, range.end));
        let answer = described(Answer::new(status, payload)).with(CONTENT_TYPE, content_type);
        match status {
            StatusCode::PARTIAL_CONTENT => Ok(answer.with(CONTENT_RANGE, &content_range)),
            _ => Ok(answer),
        }
    }

    /// Opens a content that was whole when the layout was read; `None` if it no longer is.
    async fn open(&self, digest: &Digest, size: u64) -> Option<std::fs::File> {
        let (inventory, digest) = (Arc::clone(&self.inventory), *digest);
        let open = move || {
            let file = inventory.file(&digest).ok()?;
            file.metadata().is_ok_and(|metadata| metadata.len() == size).then_some(file)
        };
        tokio::task::spawn_blocking(open).await.ok()?
    }

    fn referrers(
        &self,
        (name, namespace): (&str, Option<&str>),
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let candidates = self.catalog.repositories(name, namespace)?;
        let attached = self.catalog.referrers.get(subject).map(Vec::as_slice).unwrap_or_default();
        let is_wanted = |referrer: &&Referrer| {
            artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
        };
        let is_held = |referrer: &&Referrer| self.catalog.content(&candidates, &referrer.digest).is_some();
        let listed = attached.iter().filter(is_wanted).filter(is_held);
        let manifests: Vec<&Value> = listed.map(|referrer| &referrer.entry).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
        let answer = Answer::json(&index).with(CONTENT_TYPE, media_type::OCI_INDEX);
        match artifact_type {
            Some(_) => Ok(answer.with(FILTERS_APPLIED, "artifactType")),
            None => Ok(answer),
        }
    }
}

/// Lists one page of sorted `names` under `key`, with a link to the next (OCI distribution specification,
/// "Listing Tags").
fn list<'a>(
    key: &str,
    mut value: Value,
    names: impl Iterator<Item = &'a str>,
    (page, path, namespace): (&Page, &str, Option<&str>),
) -> Answer {
    let Page { limit, last } = page;
    let mut rest = names.filter(|name| last.as_deref().is_none_or(|last| *name > last)).peekable();
    let listed: Vec<&str> = rest.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    value[key] = json!(listed);
    let answer = Answer::json(&value);
    match (limit, listed.last(), rest.peek()) {
        (Some(limit), Some(last), Some(_)) => {
            let namespace = namespace.map(|namespace| format!("&ns={namespace}")).unwrap_or_default();
            answer.with(LINK, &format!("<{path}?n={limit}&last={last}{namespace}>; rel=\"next\""))
        }
        _ => answer,
    }
}
