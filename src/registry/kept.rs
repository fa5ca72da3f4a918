//! Manifests into a registry, and whether it keeps them.
//!
//! # Why
//! A registry, or a proxy before it, may answer that it has stored a manifest and have none, or another one. The nodes
//! would be the first to notice, where nobody can push any more: so it is asked what it has.

use reqwest::{Method, StatusCode};

use super::Registry;
use super::body::{Body, until_whole};
use super::client::MANIFESTS;
use super::request::Request;
use super::transport::Answer;
use super::upload::{Sent, Upload};
use crate::digest::{Digest, Hasher};
use crate::oci::{MANIFEST_LIMIT, SourceError, SourceErrorKind};
use crate::store::Descriptor;

impl Registry {
    /// Returns the digest of the manifest that a tag or digest stands for; `None` if there is none.
    pub fn manifest_digest(&self, repository: &str, name: &str) -> Result<Option<Digest>, SourceError> {
        let repository = self.endpoint.repository(repository);
        let answer = self.ask(Method::HEAD, &repository, MANIFESTS, name)?;
        match answer.status() {
            StatusCode::OK => Ok(digest_of(&answer)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused(&repository, answer)),
        }
    }

    /// Stores a manifest under a tag or its digest, and makes sure that the registry has it then.
    pub fn push_manifest(
        &self,
        repository: &str,
        name: &str,
        manifest: &Descriptor,
        bytes: Vec<u8>,
    ) -> Result<(), SourceError> {
        let repository = self.endpoint.repository(repository);
        let url = self.endpoint.api(&repository, MANIFESTS, name);
        let media_type = manifest.media_type.clone();
        let upload = Upload { content: Sent::Bytes(bytes), media_type, range: None };
        let request = Request { upload: Some(upload), ..Request::new(Method::PUT, url) };
        let answer = self.authorized(&repository, request)?;
        if answer.status() != StatusCode::CREATED {
            return Err(self.refused(&repository, answer));
        }
        let origin = answer.origin.clone();
        let kept = match digest_of(&answer) {
            Some(stored) if stored != manifest.digest => Some(stored),
            Some(_) | None => {
                answer.drain();
                self.kept(&repository, name, manifest)?
            }
        };
        let message = format!("{origin} is answered with 201 Created");
        let unkept = |why| Err(SourceError::new(SourceErrorKind::Invalid, message).caused_by(why));
        match kept {
            Some(stored) if stored == manifest.digest => Ok(()),
            Some(stored) => unkept(Unkept::Other { stored, sent: manifest.digest }),
            None => unkept(Unkept::Nothing(manifest.digest)),
        }
    }

    /// Asks what a name stands for that was just given to a manifest; `None` if there is nothing.
    ///
    /// Headers will do where they say it; else what comes is hashed.
    fn kept(
        &self,
        repository: &str,
        name: &str,
        manifest: &Descriptor,
    ) -> Result<Option<Digest>, SourceError> {
        let answer = self.ask(Method::HEAD, repository, MANIFESTS, name)?;
        let said = Some(&answer).filter(|answer| answer.status() == StatusCode::OK).and_then(digest_of);
        if said.is_some() {
            return Ok(said);
        }
        answer.drain();
        until_whole(self.transport.patience(), || {
            let answer = self.ask(Method::GET, repository, MANIFESTS, name)?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(self.refused(repository, answer).into()),
            }
            let mut hasher = Hasher::new(manifest.digest.algorithm());
            hasher.update(&Body::new(answer, MANIFEST_LIMIT).read_whole()?);
            Ok(Some(hasher.finish()))
        })
    }
}

/// What a registry has of a manifest that it says it took.
#[derive(Debug, thiserror::Error)]
enum Unkept {
    /// Nothing.
    #[error("the registry keeps nothing of {0}: it is not there when it is asked for")]
    Nothing(Digest),
    /// Something else.
    #[error("the registry keeps {stored} in the place of {sent}: it changes manifests")]
    Other {
        /// What it has.
        stored: Digest,
        /// What it was sent.
        sent: Digest,
    },
}

/// Returns the digest that an answer names.
fn digest_of(answer: &Answer) -> Option<Digest> {
    answer.header("docker-content-digest")?.parse().ok()
}
