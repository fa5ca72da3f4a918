//! The other direction: blobs into a registry (OCI distribution specification, "Push").
//!
//! A blob is asked for, then mounted from another repository if it is in one, then uploaded: in one request, or in
//! chunks if it is large. A chunk that breaks off goes on where the registry says it ended.
//!
//! # Why
//! Chunks get smaller with each failure. On a bad line less is sent again; and a proxy that takes no large requests (413)
//! often says so only by closing the connection, while most of the chunk is still to be sent.

use std::fs::File;
use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};

use super::Registry;
use super::client::{BLOBS, invalid, while_doing};
use super::fault::Fault;
use super::redirect::may_lead_to;
use super::request::Request;
use super::retry::Failure;
use super::transport::{Answer, host_of};
use super::upload::{Sent, Upload};
use crate::digest::Digest;
use crate::oci::{SourceError, SourceErrorKind};
use crate::store::{Descriptor, Note};

const BINARY: &str = "application/octet-stream";
/// No chunk is made smaller than this.
const SMALLEST_CHUNK: u64 = 128 * 1024;

/// How a blob came into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The registry had it in another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A blob to push.
#[derive(Debug)]
pub struct BlobUpload<'a> {
    /// What it is.
    pub blob: &'a Descriptor,
    /// Its bytes, from the beginning of the file.
    pub file: File,
    /// A repository that has it already.
    pub mount_from: Option<&'a str>,
    /// The most bytes of one request, if the registry does not want more.
    pub chunk: u64,
    /// Where an upload in chunks is noted that does not end, so that the next run goes on with it.
    pub note: Option<Note>,
}

/// An upload that a registry has begun.
struct Session {
    /// Where the next bytes go; credentials may be in its query.
    url: Url,
    /// How many bytes arrived.
    offset: u64,
}

impl Registry {
    /// Returns whether a repository has a blob.
    pub fn has_blob(&self, repository: &str, blob: &Descriptor) -> Result<bool, SourceError> {
        let repository = self.endpoint.repository(repository);
        let answer = self.ask(Method::HEAD, &repository, BLOBS, &blob.digest.to_string())?;
        match answer.status() {
            StatusCode::OK => Ok(answer.announced_length().is_none_or(|length| length == blob.size)),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(&repository, answer)),
        }
    }

    /// Brings a blob into a repository that does not have it; `sent` is told the bytes of each request.
    pub fn push_blob(
        &self,
        repository: &str,
        upload: BlobUpload<'_>,
        sent: &dyn Fn(u64),
    ) -> Result<Arrival, SourceError> {
        let digest = &upload.blob.digest;
        let repository = self.endpoint.repository(repository);
        let mount_from = upload.mount_from.map(|name| self.endpoint.repository(name));
        let begun = match self.noted(&repository, &upload) {
            Some(session) => Ok(Some(session)),
            None => self.begin(&repository, digest, mount_from.as_deref()),
        };
        let result = match begun {
            Ok(None) => return Ok(Arrival::Mounted),
            Ok(Some(session)) => self.upload(&repository, session, upload, sent),
            Err(error) => Err(error),
        };
        let arrived = result.map_err(|error| while_doing(&format!("cannot push {digest}"), error));
        arrived.map(|()| Arrival::Uploaded)
    }

    /// Returns the upload that an earlier run has noted, if the registry still knows it.
    fn noted(&self, repository: &str, upload: &BlobUpload<'_>) -> Option<Session> {
        let url: Url = upload.note.as_ref()?.text().parse().ok()?;
        may_lead_to(self.endpoint.base(), &url).ok()?;
        let noted = Session { url, offset: 0 };
        self.known(repository, &noted, upload.blob).ok()?
    }

    /// Begins an upload; `None` if the blob was mounted instead.
    fn begin(
        &self,
        repository: &str,
        digest: &Digest,
        mount_from: Option<&str>,
    ) -> Result<Option<Session>, SourceError> {
        let mut url = self.endpoint.api(repository, BLOBS, "uploads/");
        if let Some(from) = mount_from {
            url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
        }
        let answer = self.authorized(repository, Request::new(Method::POST, url.clone()))?;
        match answer.status() {
            StatusCode::CREATED if mount_from.is_some() => Ok(None),
            StatusCode::ACCEPTED => self.session(&answer, &url, 0).map(Some),
            _ => Err(self.refused(repository, answer)),
        }
    }

    fn session(&self, answer: &Answer, asked: &Url, offset: u64) -> Result<Session, SourceError> {
        let location = answer.header("location").and_then(|location| asked.join(location).ok());
        let url = location.filter(|url| ["http", "https"].contains(&url.scheme()));
        let url = url.ok_or_else(|| invalid(format!("{} names no place to upload to", answer.origin)))?;
        if asked.scheme() == "https" && url.scheme() != "https" {
            return Err(invalid(format!("{} wants the upload in plain http", answer.origin)));
        }
        may_lead_to(asked, &url)
            .map_err(|reason| invalid(format!("{} wants the upload at {reason}", answer.origin)))?;
        Ok(Session { url, offset })
    }

    /// Sends a request of an upload; credentials stay with the registry's own origin.
    fn send_part(&self, repository: &str, request: Request) -> Result<Answer, SourceError> {
        if request.url.origin() == self.endpoint.base().origin() {
            self.authorized(repository, request)
        } else {
            self.transport.send(&request)
        }
    }

    fn upload(
        &self,
        repository: &str,
        mut session: Session,
        upload: BlobUpload<'_>,
        sent: &dyn Fn(u64),
    ) -> Result<(), SourceError> {
        let BlobUpload { blob, file, mount_from: _, mut chunk, note } = upload;
        // Where nothing can be noted, or a login came back in the address, the next run begins anew.
        let is_noted = |text: &&str| self.transport.echo().clean(text) == **text;
        let write = |text: &str| {
            drop(note.as_ref().zip(Some(text).filter(is_noted)).map(|(note, text)| note.write(text)))
        };
        let file = Arc::new(file);
        let mut attempts = self.transport.patience().attempts();
        let (mut reported, mut is_broken) = (0, false);
        let mut is_noted = session.offset > 0;
        loop {
            let is_chunked = blob.size > chunk;
            let step = if is_broken {
                self.resume(repository, &session, blob, is_chunked).map(Some)
            } else if is_chunked && session.offset < blob.size {
                let length = chunk.min(blob.size - session.offset);
                self.send_chunk(repository, &session, &file, length).map(Some)
            } else {
                self.finish(repository, &session, &file, blob).map(|()| None)
            };
            match step {
                Ok(Some(next)) => (session, is_broken) = (next, false),
                Ok(None) => {
                    write("");
                    sent(blob.size - reported);
                    return Ok(());
                }
                // What an earlier run has noted is of no use after all.
                Err(_) if is_noted => session = self.begin_anew(repository, blob)?,
                // What is asked when an upload broke off was asked again already.
                Err(error) if is_broken => return Err(error),
                Err(error) => {
                    let host = host_of(&session.url);
                    let wait = broken_off(&error).and_then(|failure| attempts.next(&host, &failure));
                    let Some(wait) = wait else { return Err(error) };
                    attempts.wait(wait);
                    is_broken = true;
                    chunk = (chunk / 4).max(SMALLEST_CHUNK).min(chunk);
                }
            }
            is_noted = false;
            if session.offset > reported {
                write(session.url.as_str());
                sent(session.offset - reported);
                reported = session.offset;
                attempts.progressed();
            }
        }
    }

    /// Sends the next bytes of a large blob.
    fn send_chunk(
        &self,
        repository: &str,
        session: &Session,
        file: &Arc<File>,
        length: u64,
    ) -> Result<Session, SourceError> {
        let Session { url, offset } = session;
        let upload = Upload {
            content: Sent::Part(Arc::clone(file), *offset, length),
            media_type: BINARY.to_owned(),
            range: Some(format!("{offset}-{}", offset + length - 1)),
        };
        let request = Request { upload: Some(upload), ..Request::new(Method::PATCH, url.clone()) };
        let answer = self.send_part(repository, request)?;
        if ![StatusCode::ACCEPTED, StatusCode::NO_CONTENT, StatusCode::CREATED].contains(&answer.status()) {
            return Err(self.not_taken(repository, answer));
        }
        let arrived = arrived(&answer).unwrap_or(offset + length);
        if arrived <= *offset || arrived > offset + length {
            return Err(invalid(format!("{} says that {arrived} bytes arrived", answer.origin)));
        }
        self.session(&answer, url, arrived)
    }

    /// Ends an upload: with all its bytes, or without any if they were sent in chunks.
    fn finish(
        &self,
        repository: &str,
        session: &Session,
        file: &Arc<File>,
        blob: &Descriptor,
    ) -> Result<(), SourceError> {
        let Session { url, offset } = session;
        let mut url = url.clone();
        url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let upload = Upload {
            content: Sent::Part(Arc::clone(file), *offset, blob.size - offset),
            media_type: BINARY.to_owned(),
            range: None,
        };
        let request = Request { upload: Some(upload), ..Request::new(Method::PUT, url) };
        let answer = self.send_part(repository, request)?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::ACCEPTED => Ok(()),
            _ => Err(self.not_taken(repository, answer)),
        }
    }

    /// Returns the error that an answer to a part of an upload is: too much at once may be taken in smaller parts.
    fn not_taken(&self, repository: &str, answer: Answer) -> SourceError {
        let is_too_much = answer.status() == StatusCode::PAYLOAD_TOO_LARGE;
        let error = self.refused(repository, answer);
        let kind = if is_too_much { SourceErrorKind::Connection } else { error.kind };
        SourceError { kind, ..error }
    }

    /// Asks where an upload that broke off goes on; one that the registry no longer knows is begun anew.
    fn resume(
        &self,
        repository: &str,
        session: &Session,
        blob: &Descriptor,
        is_chunked: bool,
    ) -> Result<Session, SourceError> {
        let known = if is_chunked { self.known(repository, session, blob)? } else { None };
        known.map_or_else(|| self.begin_anew(repository, blob), Ok)
    }

    fn begin_anew(&self, repository: &str, blob: &Descriptor) -> Result<Session, SourceError> {
        let begun = self.begin(repository, &blob.digest, None)?;
        begun.ok_or_else(|| invalid(format!("{} is mounted without being asked", blob.digest)))
    }

    /// Asks how far an upload is; `None` if the registry does not know it.
    fn known(
        &self,
        repository: &str,
        session: &Session,
        blob: &Descriptor,
    ) -> Result<Option<Session>, SourceError> {
        let answer = self.send_part(repository, Request::new(Method::GET, session.url.clone()))?;
        let status = answer.status();
        match arrived(&answer).filter(|offset| status.is_success() && *offset <= blob.size) {
            Some(offset) if answer.header("location").is_some() => {
                self.session(&answer, &session.url, offset).map(Some)
            }
            Some(offset) => Ok(Some(Session { url: session.url.clone(), offset })),
            None if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(self.refused(repository, answer))
            }
            None => Ok(None),
        }
    }
}

/// Returns how many bytes an upload has, from `Range: 0-last`.
fn arrived(answer: &Answer) -> Option<u64> {
    let range = answer.header("range")?;
    let last = range.trim_start_matches("bytes=").strip_prefix("0-")?.parse::<u64>().ok()?;
    // An upload that is empty says 0-0 too, or 0--1: a part has never one byte alone.
    Some(if last == 0 { 0 } else { last + 1 })
}

/// Returns the failure that an upload may go on after: the connection broke, or the server cannot at the moment.
fn broken_off(error: &SourceError) -> Option<Failure> {
    let status = match error.kind {
        SourceErrorKind::RateLimited => 429,
        SourceErrorKind::Connection => 503,
        SourceErrorKind::NotFound
        | SourceErrorKind::Denied
        | SourceErrorKind::Invalid
        | SourceErrorKind::Offline
        | SourceErrorKind::Local
        | SourceErrorKind::NotInLayout
        | SourceErrorKind::ContentNotFound
        | SourceErrorKind::RefusedElsewhere
        | SourceErrorKind::Unsupported
        | SourceErrorKind::Store => return None,
    };
    match error.cause.as_ref().and_then(|cause| cause.downcast_ref::<Fault>()) {
        Some(fault) => fault.is_passing().then(|| Failure::Unanswered(fault.clone())),
        None => Failure::of_status(status, None),
    }
}
