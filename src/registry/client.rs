//! Registries as sources of images, and files from other servers.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Method, StatusCode};

use super::ClientOptions;
use super::body::{Body, Stopped, until_whole};
use super::challenge::Challenge;
use super::continued::Continued;
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::part::{Given, Part};
use super::rate_limit::RateLimit;
use super::refusal::{refused, web_page};
use super::request::Request;
use super::retry::Patience;
use super::token::{Access, Authorizer, Renewed};
use super::transport::{Answer, Transport, host_of};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::oci::{
    BlobPart, ImageSource, MANIFEST_LIMIT, Manifest, Reference, SourceError, SourceErrorKind, media_type,
};
use crate::store::{Descriptor, Mismatch, Opened, VerifyReader};

/// What all registries and file servers share. Make one for a run; it may be used from many threads.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    credentials: Arc<Credentials>,
    /// Connections by the authorities they trust besides the usual ones.
    transports: Mutex<BTreeMap<Option<PathBuf>, Arc<Transport>>>,
    patience: Arc<Patience>,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    /// If a proxy's URL or the bundle of authorities cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, SourceError> {
        let credentials = Arc::new(Credentials::new(options.credential_files.clone()));
        let patience = Arc::new(Patience::new(options.retry.clone()));
        let client = Self { options, credentials, transports: Mutex::default(), patience };
        client.transport(None)?;
        Ok(client)
    }

    /// Returns one registry. Use one for all its images: it remembers tokens.
    ///
    /// # Errors
    /// If the endpoint's CA file cannot be used.
    pub fn registry(&self, endpoint: Endpoint) -> Result<Registry, SourceError> {
        self.registry_for(endpoint, Access::Pull)
    }

    /// Returns one registry to push to.
    ///
    /// # Errors
    /// If the endpoint's CA file cannot be used.
    pub fn registry_to_push(&self, endpoint: Endpoint) -> Result<Registry, SourceError> {
        self.registry_for(endpoint, Access::Push)
    }

    fn registry_for(&self, endpoint: Endpoint, access: Access) -> Result<Registry, SourceError> {
        let transport = self.transport(endpoint.ca_file().map(Into::into))?;
        let credentials = Arc::clone(&self.credentials);
        let authorizer = Authorizer::new(Arc::clone(&transport), credentials, endpoint.clone(), access);
        Ok(Registry { endpoint, transport, authorizer: Arc::new(authorizer), rate_limit: Arc::default() })
    }

    pub(super) fn transport(&self, ca_file: Option<PathBuf>) -> Result<Arc<Transport>, SourceError> {
        let mut transports = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = transports.get(&ca_file) {
            return Ok(Arc::clone(transport));
        }
        let transport =
            Arc::new(Transport::new(&self.options, ca_file.as_deref(), Arc::clone(&self.patience))?);
        transports.insert(ca_file, Arc::clone(&transport));
        Ok(transport)
    }
}

/// One registry; its clones share tokens and connections.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(super) endpoint: Endpoint,
    pub(super) transport: Arc<Transport>,
    authorizer: Arc<Authorizer>,
    /// What the registry last said of it.
    rate_limit: Arc<Mutex<Option<RateLimit>>>,
}

impl Registry {
    /// Returns where the registry is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns what the registry last said of how much may still be pulled.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_rate_limit(&self, answer: &Answer) {
        let stated = RateLimit::of(answer.header("ratelimit-limit"), answer.header("ratelimit-remaining"));
        if stated.is_some() && !answer.is_from_elsewhere {
            *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = stated;
        }
    }

    /// Asks for a manifest or blob, with a token or password where the registry wants one.
    pub(super) fn ask(
        &self,
        method: Method,
        repository: &str,
        kind: &str,
        name: &str,
    ) -> Result<Answer, SourceError> {
        let url = self.endpoint.api(repository, kind, name);
        let mut request = Request::new(method, url);
        request.accept = (kind == MANIFESTS).then(|| media_type::MANIFESTS.join(", "));
        let answer = self.authorized(repository, request)?;
        self.note_rate_limit(&answer);
        Ok(answer)
    }

    /// Sends a request that concerns a repository, with a token or password where the registry wants one.
    pub(super) fn authorized(&self, repository: &str, mut request: Request) -> Result<Answer, SourceError> {
        request.has_others = self.endpoint.has_others();
        let mut grant = self.authorizer.current(repository)?;
        let mut is_last = false;
        loop {
            request.authorization = grant.as_ref().map(|grant| grant.header.clone());
            let mut answer = self.transport.send(&request)?;
            // What another server wants after a redirect is not answered: our credentials are not for it.
            if is_last || answer.status() != StatusCode::UNAUTHORIZED || answer.is_from_elsewhere {
                return Ok(answer);
            }
            let challenge = Challenge::best(answer.headers("www-authenticate"));
            let Some(challenge) = challenge else { return Ok(answer) };
            // The token server may be the same host, with room for one request alone.
            answer.step_aside();
            let renewed = self.authorizer.renew(repository, grant.as_ref(), &challenge)?;
            let Some(Renewed { grant: newer, is_of_now }) = renewed else { return Ok(answer) };
            answer.drain();
            // What another thread was given may have ended since; what was given just now is the last word.
            (grant, is_last) = (Some(newer), is_of_now);
        }
    }

    /// Asks for a part of a blob, and tells what the answer gives.
    fn ask_part(
        &self,
        repository: &str,
        descriptor: &Descriptor,
        part: &Range<u64>,
    ) -> Result<(Given, Answer), SourceError> {
        let url = self.endpoint.api(repository, BLOBS, &descriptor.digest.to_string());
        let wanted = Part::of(part.clone(), descriptor.size);
        let mut request = Request::new(Method::GET, url);
        request.part = Some(wanted.clone());
        let answer = self.authorized(repository, request)?;
        Ok((answer.given(&wanted), answer))
    }

    /// Opens a part of a blob; where the registry cannot begin there, the whole, past what lies before.
    fn open_part(
        &self,
        repository: &str,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        if part == (0..descriptor.size) {
            return Ok(whole_from(self.open(repository, BLOBS, descriptor)?, 0));
        }
        let (given, answer) = self.ask_part(repository, descriptor, &part)?;
        let whole = match given {
            Given::Part { bytes, .. } => {
                let length = bytes.end - bytes.start;
                let origin = shown(&answer);
                return Ok(BlobPart::exact(Body::new(answer, u64::MAX).take(length), origin));
            }
            Given::Whole => check_length(answer, descriptor)?,
            Given::NoSuchBytes { .. } | Given::Other => {
                answer.drain();
                self.open(repository, BLOBS, descriptor)?
            }
            Given::Refusal => return Err(of_content(self.refused(repository, answer))),
        };
        Ok(whole_from(whole, part.start))
    }

    /// Asks as [`Self::ask`] does; an answer other than 200 is an error.
    fn get(&self, repository: &str, kind: &str, name: &str) -> Result<Answer, SourceError> {
        let answer = self.ask(Method::GET, repository, kind, name)?;
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(self.refused(repository, answer)) }
    }

    pub(super) fn refused(&self, repository: &str, answer: Answer) -> SourceError {
        // Which credentials were used matters where there may be others: they decide what may be read, and how much.
        // None went along to another server.
        let matters = [401, 403, 429].contains(&answer.status().as_u16()) && !answer.is_from_elsewhere;
        let note = matters.then(|| self.authorizer.note(repository));
        refused(answer, note.as_deref())
    }

    /// Learns from headers alone what a name stands for; `None` if they do not say it.
    fn head(&self, repository: &str, reference: &Reference) -> Result<Option<Descriptor>, SourceError> {
        let answer = self.ask(Method::HEAD, repository, MANIFESTS, &name(reference))?;
        match answer.status() {
            StatusCode::OK => {}
            // Some servers know no HEAD, and only an answer to GET has words about what is wrong.
            StatusCode::NOT_FOUND
            | StatusCode::FORBIDDEN
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::BAD_REQUEST => return Ok(None),
            _ => return Err(self.refused(repository, answer)),
        }
        let digest = answer.header("docker-content-digest").and_then(|digest| digest.parse::<Digest>().ok());
        let is_wanted = |digest: &Digest| reference.digest().is_none_or(|wanted| wanted == digest);
        let media_type = answer.media_type().filter(|kind| media_type::MANIFESTS.contains(&kind.as_str()));
        let parts = (digest.filter(is_wanted), media_type, answer.announced_length());
        let (Some(digest), Some(media_type), Some(size)) = parts else { return Ok(None) };
        check_limit(&answer, size)?;
        Ok(Some(Descriptor { media_type, digest, size }))
    }

    /// Learns what a name stands for by fetching it.
    fn fetch_and_hash(&self, repository: &str, reference: &Reference) -> Result<Descriptor, Stopped> {
        let answer = check_manifest(self.get(repository, MANIFESTS, &name(reference))?)?;
        let (origin, served_as) = (answer.origin.clone(), answer.media_type());
        let announced =
            answer.header("docker-content-digest").and_then(|digest| digest.parse::<Digest>().ok());
        let bytes = Body::new(answer, MANIFEST_LIMIT).read_whole()?;
        let wanted = reference.digest().or(announced.as_ref());
        let mut hasher = Hasher::new(wanted.map_or(Algorithm::Sha256, |digest| digest.algorithm()));
        hasher.update(&bytes);
        let digest = hasher.finish();
        if let Some(wanted) = wanted.filter(|wanted| **wanted != digest) {
            let mismatch = Mismatch::WrongContent { expected: *wanted, actual: digest };
            return Err(Stopped::wrong(&origin, mismatch));
        }
        let manifest = Manifest::parse(&bytes, served_as.as_deref()).map_err(|error| {
            let is_unsupported = error.is_unsupported();
            let kind = if is_unsupported { SourceErrorKind::Unsupported } else { SourceErrorKind::Invalid };
            SourceError::new(kind, format!("the answer to {origin} is not a manifest")).caused_by(error)
        })?;
        Ok(Descriptor { media_type: manifest.media_type, digest, size: bytes.len() as u64 })
    }

    fn open(&self, repository: &str, kind: &str, descriptor: &Descriptor) -> Result<Answer, SourceError> {
        let answer = self.get(repository, kind, &descriptor.digest.to_string()).map_err(of_content)?;
        check_length(answer, descriptor)
    }

    fn read_manifest(&self, repository: &str, descriptor: &Descriptor) -> Result<Vec<u8>, Stopped> {
        if descriptor.size > MANIFEST_LIMIT {
            return Err(too_large(&format!("`{}`", descriptor.digest), descriptor.size).into());
        }
        let answer = check_manifest(self.open(repository, MANIFESTS, descriptor)?)?;
        let origin = answer.origin.clone();
        let body = Body::new(answer, MANIFEST_LIMIT);
        let mut verified = VerifyReader::new(body, descriptor.digest, descriptor.size);
        let mut bytes = Vec::new();
        match verified.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(match error.downcast::<Mismatch>() {
                Ok(mismatch) => Stopped::wrong(&origin, mismatch),
                Err(error) => error.into(),
            }),
        }
    }
}

impl ImageSource for Registry {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        let repository = self.endpoint.repository(reference.repository());
        self.head(&repository, reference)
            .and_then(|found| match found {
                Some(found) => Ok(found),
                None => {
                    until_whole(self.transport.patience(), || self.fetch_and_hash(&repository, reference))
                }
            })
            .map_err(|error| while_doing(&format!("cannot resolve `{reference}`"), error))
    }

    fn manifest(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let repository = self.endpoint.repository(reference.repository());
        until_whole(self.transport.patience(), || self.read_manifest(&repository, descriptor))
            .map_err(|error| while_doing(&format!("cannot get a manifest of `{reference}`"), error))
    }

    fn is_remote(&self, _reference: &Reference) -> bool {
        true
    }

    fn blob_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        let repository = self.endpoint.repository(reference.repository());
        let BlobPart { reader, is_of_whole, origin } = self
            .open_part(&repository, descriptor, part.clone())
            .map_err(|error| while_doing(&format!("cannot get a blob of `{reference}`"), error))?;
        let (registry, descriptor, end) = (self.clone(), descriptor.clone(), part.end);
        let reopen =
            move |from| Ok(Opened::at(from, registry.open_part(&repository, &descriptor, from..end)?.reader));
        let opened = Opened { length: Some(end), origin: origin.clone(), ..Opened::at(part.start, reader) };
        let (host, patience) = (host_of(self.endpoint.base()), self.transport.patience());
        let reader = Box::new(Continued::new(opened, host, patience, Box::new(reopen)));
        Ok(BlobPart { reader, is_of_whole, origin })
    }
}

pub(super) const MANIFESTS: &str = "manifests";
pub(super) const BLOBS: &str = "blobs";

fn name(reference: &Reference) -> String {
    let tag = || reference.tag().unwrap_or("latest").to_owned();
    reference.digest().map_or_else(tag, Digest::to_string)
}

pub(super) fn while_doing(what: &str, error: SourceError) -> SourceError {
    SourceError { message: format!("{what}: {}", error.message), ..error }
}

pub(super) fn invalid(message: String) -> SourceError {
    SourceError::new(SourceErrorKind::Invalid, message)
}

/// Something refers to what was asked for by its digest: if it is not there, no name is wrong.
fn of_content(error: SourceError) -> SourceError {
    let kind = if error.kind.is_lack() { SourceErrorKind::ContentNotFound } else { error.kind };
    SourceError { kind, ..error }
}

/// Returns what an answer is called in errors.
fn shown(answer: &Answer) -> String {
    format!("the answer to {}", answer.origin)
}

fn whole_from(answer: Answer, start: u64) -> BlobPart {
    let origin = shown(&answer);
    BlobPart::of_whole(Body::new(answer, u64::MAX), start, origin)
}

fn check_length(answer: Answer, descriptor: &Descriptor) -> Result<Answer, SourceError> {
    if let Some(length) = answer.announced_length().filter(|length| *length != descriptor.size) {
        let (origin, size) = (answer.origin.clone(), descriptor.size);
        let page = if is_web_page(&answer) { format!(": it is {}", web_page(answer)) } else { String::new() };
        return Err(invalid(format!(
            "the answer to {origin} is {length} bytes long instead of {size}{page}"
        )));
    }
    Ok(answer)
}

fn is_web_page(answer: &Answer) -> bool {
    answer.media_type().as_deref() == Some("text/html")
}

fn check_manifest(answer: Answer) -> Result<Answer, SourceError> {
    if is_web_page(&answer) {
        let origin = answer.origin.clone();
        let page = web_page(answer);
        return Err(invalid(format!("the answer to {origin} is {page} instead of a manifest")));
    }
    answer.announced_length().map_or(Ok(()), |size| check_limit(&answer, size))?;
    Ok(answer)
}

fn check_limit(answer: &Answer, size: u64) -> Result<(), SourceError> {
    if size > MANIFEST_LIMIT {
        Err(too_large(&format!("the answer to {}", answer.origin), size))
    } else {
        Ok(())
    }
}

fn too_large(what: &str, size: u64) -> SourceError {
    let message = format!("{what} is {size} bytes long; a manifest has at most {MANIFEST_LIMIT}");
    SourceError::new(SourceErrorKind::Unsupported, message)
}
