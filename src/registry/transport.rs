//! The one place where requests leave the program.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{self, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, IF_RANGE, LOCATION, RANGE,
};
use reqwest::{Method, NoProxy, Proxy, StatusCode, Url};

use super::endpoint::shown;
use super::fault::Fault;
use super::part::Part;
use super::{ClientOptions, Proxies, tls};
use crate::oci::{SourceError, SourceErrorKind};
use crate::secrets::SecretText;

const MOST_REDIRECTS: usize = 10;
/// The bytes a second that an upload must go on with at least.
const SLOWEST_UPLOAD: u64 = 64 * 1024;
/// What is read of an answer that nobody wants, so that its connection can be used again.
const WORTH_DRAINING: u64 = 64 * 1024;

/// A request; its credentials are for the origin of its URL only.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The method.
    pub(super) method: Method,
    /// The URL.
    pub(super) url: Url,
    /// The media types that are understood, if that matters.
    pub(super) accept: Option<String>,
    /// The part that is wanted, if it is not the whole.
    pub(super) part: Option<Part>,
    /// The credentials, marked as sensitive.
    pub(super) authorization: Option<HeaderValue>,
    /// A form to send. Redirects are not followed with it: it holds credentials.
    pub(super) form: Option<SecretText>,
    /// A content to send.
    pub(super) upload: Option<Upload>,
}

/// A content to send; it can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// What is sent.
    pub(super) content: Content,
    /// The `Content-Type`.
    pub(super) media_type: String,
    /// The `Content-Range` of a part.
    pub(super) range: Option<String>,
}

/// Where the bytes of an [`Upload`] are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, from an offset on, so many bytes.
    Part(Arc<File>, u64, u64),
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(_, _, length) => *length,
        }
    }

    fn body(&self) -> blocking::Body {
        match self {
            Self::Bytes(bytes) => bytes.clone().into(),
            Self::Part(file, offset, length) => {
                let part = FilePart { file: Arc::clone(file), offset: *offset, end: offset + length };
                blocking::Body::sized(part, *length)
            }
        }
    }
}

/// Reads a part of a file without moving anybody's position.
struct FilePart {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for FilePart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Request {
    /// Returns a request without credentials.
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, accept: None, part: None, authorization: None, form: None, upload: None }
    }

    /// Returns `METHOD url`, without secrets.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, shown(&self.url))
    }
}

/// The head of an answer, its body still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    /// What was asked, and where a redirect led, for people.
    pub(super) origin: String,
    /// Whether the answer comes from another server than the one asked.
    pub(super) is_from_elsewhere: bool,
}

impl Answer {
    /// Returns the status.
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns a header that is readable text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// Returns all headers of a name that are readable text.
    pub(super) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.response.headers().get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// Returns the length that the header announces; an answer to HEAD has one without a body.
    pub(super) fn announced_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Returns the media type, without parameters, in lower case.
    pub(super) fn media_type(&self) -> Option<String> {
        let full = self.header("content-type")?;
        Some(full.split(';').next().unwrap_or(full).trim().to_ascii_lowercase())
    }

    /// Returns the body.
    pub(super) fn into_body(self) -> Response {
        self.response
    }

    /// Reads what is left, if it is little, so that the connection can be used again.
    pub(super) fn drain(self) {
        drain(self.response);
    }
}

fn drain(response: Response) {
    // If this fails, the connection is closed instead.
    let _no_matter = io::copy(&mut response.take(WORTH_DRAINING), &mut io::sink());
}

/// Connections that share trusted authorities and proxies. They are kept open between requests.
#[derive(Debug)]
pub(super) struct Transport {
    client: blocking::Client,
    read_timeout: Duration,
}

impl Transport {
    /// Makes a transport that trusts `ca_file` besides what the options say.
    pub(super) fn new(options: &ClientOptions, ca_file: Option<&Path>) -> Result<Self, SourceError> {
        let ClientOptions {
            user_agent,
            ca_bundle,
            credential_files: _,
            proxies,
            connect_timeout,
            read_timeout,
        } = options;
        let builder = blocking::Client::builder()
            .user_agent(user_agent)
            .tls_backend_preconfigured(tls::configuration(ca_bundle.as_deref(), ca_file)?)
            // Several connections in HTTP/1.1 are measurably faster for blobs than one in HTTP/2.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(*connect_timeout)
            // For the blocking client this is the time until the head, and between two pieces of the body.
            .timeout(*read_timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .no_proxy();
        let builder = proxied(builder, proxies)?;
        let client = builder.build().map_err(|error| {
            SourceError::new(SourceErrorKind::Connection, "cannot prepare connections")
                .caused_by(error.without_url())
        })?;
        Ok(Self { client, read_timeout: *read_timeout })
    }

    /// Sends a request and follows redirects. Every request of the program passes here.
    ///
    /// Credentials stay with the origin they are for: whoever leaves it, even to come back, goes on without.
    ///
    /// # Errors
    /// If no answer comes at all. An answer of any status is an answer.
    pub(super) fn send(&self, request: &Request) -> Result<Answer, SourceError> {
        let mut url = request.url.clone();
        let mut headers = headers(request);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send_once(request, &url, &headers)?;
            let is_elsewhere = url.origin() != request.url.origin();
            let Some(next) = redirection(request, &url, &response)? else {
                let mut origin = request.shown();
                if is_elsewhere {
                    origin = format!("{origin} (redirected to {})", url.host_str().unwrap_or_default());
                }
                return Ok(Answer { response, origin, is_from_elsewhere: is_elsewhere });
            };
            drain(response);
            if next.origin() != url.origin() {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(invalid(request, &format!("is redirected more than {MOST_REDIRECTS} times")))
    }

    fn send_once(&self, request: &Request, url: &Url, headers: &HeaderMap) -> Result<Response, SourceError> {
        let mut builder = self.client.request(request.method.clone(), url.clone()).headers(headers.clone());
        if let Some(form) = &request.form {
            builder = builder.body(form.expose().to_owned());
        }
        if let Some(Upload { content, .. }) = &request.upload {
            // The client's time runs until the answer begins, and so while the content is sent.
            let sending = Duration::from_secs(content.length() / SLOWEST_UPLOAD);
            builder = builder.timeout(self.read_timeout + sending).body(content.body());
        }
        builder.send().map_err(|error| {
            let mut message = format!("{} gets no answer", request.shown());
            if url.origin() != request.url.origin() {
                message = format!("{message} from {}", url.host_str().unwrap_or_default());
            }
            SourceError::new(SourceErrorKind::Connection, message).caused_by(Fault::of(&error))
        })
    }
}

fn headers(request: &Request) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = request.accept.as_ref().and_then(|accept| HeaderValue::from_str(accept).ok());
    let form = request.form.is_some().then(|| HeaderValue::from_static("application/x-www-form-urlencoded"));
    let text = |text: &String| HeaderValue::from_str(text).ok();
    let (kind, range) = request
        .upload
        .as_ref()
        .map_or((None, None), |upload| (text(&upload.media_type), upload.range.as_ref().and_then(text)));
    for (name, value) in [
        (ACCEPT, accept),
        (AUTHORIZATION, request.authorization.clone()),
        (RANGE, request.part.as_ref().map(Part::range).as_ref().and_then(text)),
        (IF_RANGE, request.part.as_ref().and_then(Part::validator).and_then(text)),
        (CONTENT_TYPE, form.or(kind)),
        (CONTENT_RANGE, range),
    ] {
        value.map(|value| headers.insert(name, value));
    }
    headers
}

/// Returns where an answer sends the client, if it does and it may.
fn redirection(request: &Request, url: &Url, response: &Response) -> Result<Option<Url>, SourceError> {
    if ![301, 302, 303, 307, 308].contains(&response.status().as_u16()) || request.form.is_some() {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(next) = location.and_then(|location| url.join(location).ok()) else {
        return Err(invalid(request, "is redirected, but not to a URL"));
    };
    match (url.scheme(), next.scheme()) {
        ("http", "http") | (_, "https") => Ok(Some(next)),
        ("https", "http") => Err(invalid(
            request,
            &format!("is redirected from https to plain http at {}", next.host_str().unwrap_or_default()),
        )),
        _ => Err(invalid(request, "is redirected to something other than http")),
    }
}

fn invalid(request: &Request, what: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Invalid, format!("{} {what}", request.shown()))
}

fn proxied(
    builder: blocking::ClientBuilder,
    proxies: &Proxies,
) -> Result<blocking::ClientBuilder, SourceError> {
    let Proxies { https, http, all, none } = proxies;
    let none = none.as_deref().and_then(NoProxy::from_string);
    type Make = fn(&str) -> reqwest::Result<Proxy>;
    // The special ones come first: reqwest takes the first that fits.
    let makers: [(&str, &Option<SecretText>, Make); 3] = [
        ("https", https, |url| Proxy::https(url)),
        ("http", http, |url| Proxy::http(url)),
        ("all", all, |url| Proxy::all(url)),
    ];
    let mut builder = builder;
    for (which, url, make) in makers {
        let Some(url) = url.as_ref().map(SecretText::expose_line).filter(|url| !url.is_empty()) else {
            continue;
        };
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let proxy = make(&with_scheme).map_err(|_| {
            // Neither the URL nor reqwest's error about it: both may hold the proxy's password.
            let message = format!("the proxy for {which} URLs is not given as a URL");
            SourceError::new(SourceErrorKind::Connection, message)
        })?;
        builder = builder.proxy(proxy.no_proxy(none.clone()));
    }
    Ok(builder)
}
