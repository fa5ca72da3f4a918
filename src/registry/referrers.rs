//! What is attached to a manifest, as a registry knows it (OCI distribution specification, "Listing Referrers").
//!
//! A registry that has no list of its own is asked for the one that clients keep under a tag ("Referrers Tag Schema").

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use super::Registry;
use super::body::{Body, Stopped, until_whole};
use super::client::{MANIFESTS, invalid, while_doing};
use super::request::Request;
use super::transport::Answer;
use crate::digest::Digest;
use crate::oci::attached::list_tag;
use crate::oci::{
    AttachmentSource, ImageSource, Kind, MANIFEST_LIMIT, Manifest, Reference, SourceError, media_type,
};
use crate::store::Descriptor;

const REFERRERS: &str = "referrers";
/// The most pages that a list may have.
const MOST_PAGES: usize = 100;

impl AttachmentSource for Registry {
    fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Descriptor>, SourceError> {
        let doing = |error| while_doing(&format!("cannot look for `{}:{tag}`", reference.name()), error);
        let repository = self.endpoint.repository(reference.repository());
        let answer = self.ask(Method::HEAD, &repository, MANIFESTS, tag).map_err(doing)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let named = format!("{}:{tag}", reference.name()).parse::<Reference>();
        let named = named.map_err(|error| invalid(error.to_string()))?;
        self.resolve(&named).map(Some)
    }

    fn referrers(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        let repository = self.endpoint.repository(reference.repository());
        let what = || format!("cannot list what is attached to `{}@{subject}`", reference.name());
        match until_whole(self.transport.patience(), || self.listed(&repository, subject)) {
            Ok(Some(referrers)) => Ok(referrers),
            Ok(None) => self.listed_by_tag(reference, subject),
            Err(error) => Err(error),
        }
        .map_err(|error| while_doing(&what(), error))
    }
}

impl Registry {
    /// Returns the registry's own list; `None` if it keeps none.
    fn listed(&self, repository: &str, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Stopped> {
        let first = self.ask(Method::GET, repository, REFERRERS, &subject.to_string())?;
        match first.status() {
            StatusCode::OK => {}
            // Registries that know no such request say so in all of these ways.
            StatusCode::NOT_FOUND
            | StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE => {
                first.drain();
                return Ok(None);
            }
            _ => return Err(self.refused(repository, first).into()),
        }
        // A page that was not meant for a client of this kind.
        if first.media_type().as_deref() != Some(media_type::OCI_INDEX) {
            first.drain();
            return Ok(None);
        }
        let mut url = self.endpoint.api(repository, REFERRERS, &subject.to_string());
        let (mut answer, mut listed) = (first, Vec::new());
        for _ in 0..MOST_PAGES {
            let next = next_page(&answer, &url);
            let origin = answer.origin.clone();
            let bytes = Body::new(answer, MANIFEST_LIMIT).read_whole()?;
            listed.extend(children(&bytes, &origin)?);
            let Some(page) = next else { return Ok(Some(listed)) };
            if page.origin() != url.origin() {
                return Err(invalid(format!("the answer to {origin} goes on at another server")).into());
            }
            answer = self.authorized(repository, Request::new(Method::GET, page.clone()))?;
            if answer.status() != StatusCode::OK {
                return Err(self.refused(repository, answer).into());
            }
            url = page;
        }
        Err(invalid(format!("the list at {} has more than {MOST_PAGES} pages", answer.origin)).into())
    }

    fn listed_by_tag(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        let tag = list_tag(subject);
        let Some(descriptor) = self.tagged(reference, &tag)? else { return Ok(Vec::new()) };
        let bytes = self.manifest(reference, &descriptor)?;
        children(&bytes, &format!("the tag `{tag}`"))
    }
}

/// Returns the manifests that an index lists.
fn children(bytes: &[u8], origin: &str) -> Result<Vec<Descriptor>, SourceError> {
    let not_a_list = || invalid(format!("the answer to {origin} is not a list of manifests"));
    let index = Manifest::parse(bytes, None).map_err(|error| not_a_list().caused_by(error))?;
    match index.kind {
        Kind::Index => Ok(index.children.into_iter().map(|child| child.descriptor).collect()),
        Kind::Image | Kind::Artifact => Err(not_a_list()),
    }
}

/// Returns where a list goes on: `Link: <…>; rel="next"`.
fn next_page(answer: &Answer, asked: &Url) -> Option<Url> {
    let link =
        answer.headers("link").find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    let (target, _) = link.trim().strip_prefix('<')?.split_once('>')?;
    asked.join(target).ok()
}

impl Registry {
    /// Has what is attached to `subject` listed: a registry that has no list of its own gets one under a tag (OCI
    /// distribution specification, "Referrers Tag Schema").
    pub fn list_referrers(
        &self,
        repository: &str,
        subject: &Digest,
        entries: &[Value],
    ) -> Result<(), SourceError> {
        let full = self.endpoint.repository(repository);
        let answer = self.ask(Method::GET, &full, "referrers", &subject.to_string())?;
        match answer.status() {
            StatusCode::OK => return Ok(()),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => answer.drain(),
            _ => return Err(self.refused(&full, answer)),
        }
        let tag = list_tag(subject);
        let known = until_whole(self.transport.patience(), || {
            let answer = self.ask(Method::GET, &full, MANIFESTS, &tag)?;
            match answer.status() {
                StatusCode::OK => Body::new(answer, MANIFEST_LIMIT).read_whole(),
                StatusCode::NOT_FOUND => Ok(Vec::new()),
                _ => Err(self.refused(&full, answer).into()),
            }
        })?;
        let known: Value = serde_json::from_slice(&known).unwrap_or_default();
        let mut listed = known["manifests"].as_array().cloned().unwrap_or_default();
        let before = listed.len();
        for entry in entries {
            if listed.iter().all(|known| known["digest"] != entry["digest"]) {
                listed.push(entry.clone());
            }
        }
        if listed.len() == before {
            return Ok(());
        }
        let media_type = media_type::OCI_INDEX;
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": listed });
        let bytes = serde_json::to_vec(&index).expect("a JSON value always becomes a text");
        let (digest, size) = (Digest::sha256(&bytes), bytes.len() as u64);
        let index = Descriptor { media_type: media_type.to_owned(), digest, size };
        self.push_manifest(repository, &tag, &index, bytes)
    }
}
