//! The one place where requests leave the program.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{self, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::echo::Echo;
use super::endpoint::shown;
use super::fault::{Fault, quoted};
use super::pace::Pace;
use super::part::{Given, Part};
use super::proxies::proxied;
use super::request::Request;
use super::retry::{Attempts, Failure, Patience, Place, retry_after};
use super::upload::Upload;
use super::watch::Watch;
use super::{ClientOptions, redirect, tls};
use crate::oci::{SourceError, SourceErrorKind};

const MOST_REDIRECTS: usize = 10;
/// The bytes a second that an upload must go on with at least, all in all: a line of 256 kbit/s that eight share. That
/// nothing is taken at all is noticed sooner, by the kernel.
const SLOWEST_UPLOAD: u64 = 4 * 1024;
/// What is read of an answer that nobody wants, so that its connection can be used again.
const WORTH_DRAINING: u64 = 64 * 1024;

/// The head of an answer, its body still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    /// What was asked, and where a redirect led, for people.
    pub(super) origin: String,
    /// What hides the logins that were sent in what it says.
    pub(super) echo: Echo,
    /// Whether the answer comes from another server than the one asked.
    pub(super) is_from_elsewhere: bool,
    /// The host it comes from.
    host: String,
    /// How often it was asked for, as an error says it.
    attempts: String,
    watch: Watch,
    place: Option<Place>,
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

    /// Returns what it gives of a part.
    pub(super) fn given(&self, part: &Part) -> Given {
        part.judge(self.status().as_u16(), self.header("content-range"))
    }

    /// Returns a strong entity tag; a weak one (`W/"…"`) does not say that bytes are the same.
    pub(super) fn strong_entity_tag(&self) -> Option<String> {
        let tag = self.header("etag")?;
        let is_strong = tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"');
        (is_strong && tag.len() <= 1024).then(|| tag.to_owned())
    }

    /// Returns what follows the origin in an error: how often it was asked for, if more than once.
    pub(super) fn attempts(&self) -> &str {
        &self.attempts
    }

    /// Returns the failure that the status is, if asking again may help.
    fn failure(&self) -> Option<Failure> {
        let wanted = self.header("retry-after");
        let wait = wanted.and_then(|wanted| retry_after(wanted, self.header("date")));
        Failure::of_status(self.status().as_u16(), wait)
    }

    /// Gives the place at the host back while the answer waits for another request's.
    pub(super) fn step_aside(&mut self) {
        self.place = None;
    }

    /// Returns the body.
    pub(super) fn into_content(self) -> Content {
        let Self { response, host, watch, place, .. } = self;
        Content { response, host, watch, _place: place }
    }

    /// Reads what is left, if it is little, so that the connection can be used again.
    pub(super) fn drain(self) {
        drain(self.response, self.watch);
    }
}

/// The body of an answer; its request counts among the host's until it is dropped.
#[derive(Debug)]
pub(super) struct Content {
    response: Response,
    /// The host it comes from.
    pub(super) host: String,
    watch: Watch,
    _place: Option<Place>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.read(&mut self.response, buffer)
    }
}

fn drain(response: Response, watch: Watch) {
    let content = Content { response, host: String::new(), watch, _place: None };
    // If this fails, the connection is closed instead.
    let _no_matter = io::copy(&mut content.take(WORTH_DRAINING), &mut io::sink());
}

/// Connections that share trusted authorities and proxies. They are kept open between requests.
#[derive(Debug)]
pub(super) struct Transport {
    client: blocking::Client,
    read_timeout: Duration,
    least_pace: Pace,
    patience: Arc<Patience>,
    echo: Echo,
}

/// Why no answer came.
struct Unanswered {
    host: String,
    /// Why another attempt may help, if one may.
    failure: Option<Failure>,
    error: SourceError,
}

impl From<SourceError> for Unanswered {
    fn from(error: SourceError) -> Self {
        Self { host: String::new(), failure: None, error }
    }
}

impl Transport {
    /// Makes a transport that trusts `ca_file` besides what the options say.
    pub(super) fn new(
        options: &ClientOptions,
        ca_file: Option<&Path>,
        patience: Arc<Patience>,
    ) -> Result<Self, SourceError> {
        let ClientOptions {
            user_agent,
            ca_bundle,
            credential_files: _,
            proxies,
            connect_timeout,
            read_timeout,
            least_pace,
            retry: _,
            echo,
        } = options;
        let builder = blocking::Client::builder()
            .user_agent(user_agent)
            .tls_backend_preconfigured(tls::configuration(ca_bundle.as_deref(), ca_file)?)
            // Several connections in HTTP/1.1 are measurably faster for blobs than one in HTTP/2.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            // The policy here is the only one.
            .retry(reqwest::retry::never())
            .connect_timeout(*connect_timeout)
            // For the blocking client this is the time until the head, and between two pieces of the body.
            .timeout(*read_timeout)
            // What is sent and neither acknowledged nor taken for so long ends the connection.
            .tcp_user_timeout(*read_timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .no_proxy();
        let builder = proxied(builder, proxies, echo)?;
        let client = builder.build().map_err(|error| {
            SourceError::new(SourceErrorKind::Connection, "cannot prepare connections")
                .caused_by(error.without_url())
        })?;
        let (read_timeout, least_pace, echo) = (*read_timeout, *least_pace, echo.clone());
        Ok(Self { client, read_timeout, least_pace, patience, echo })
    }

    /// Returns what hides the logins that were sent.
    pub(super) fn echo(&self) -> &Echo {
        &self.echo
    }

    /// Returns what is known of all hosts.
    pub(super) fn patience(&self) -> &Arc<Patience> {
        &self.patience
    }

    /// Sends a request, again where that may help, and follows redirects. Every request of the program passes here.
    ///
    /// Credentials stay with the origin they are for: whoever leaves it, even to come back, goes on without.
    ///
    /// # Errors
    /// If no answer comes at all. An answer of any status is an answer, also that of the last attempt.
    pub(super) fn send(&self, request: &Request) -> Result<Answer, SourceError> {
        self.echo.remember(request);
        let mut attempts = self.patience.attempts().with_others(request.has_others);
        loop {
            let answered = self.follow(request, &attempts);
            let (host, failure) = match &answered {
                Ok(answer) => (&answer.host, answer.failure()),
                Err(unanswered) => (&unanswered.host, unanswered.failure.clone()),
            };
            let wait = match &failure {
                None => None,
                Some(failure) if request.is_repeatable() => attempts.next(host, failure),
                Some(failure) => {
                    self.patience.note(host, failure);
                    None
                }
            };
            match (answered, wait) {
                (Ok(answer), Some(_)) => answer.drain(),
                (Err(_), Some(_)) => {}
                (Ok(answer), None) => {
                    if failure.is_none() {
                        attempts.succeeded(&answer.host);
                    }
                    // An answer to HEAD is over with its head.
                    let place = answer.place.filter(|_| request.method != Method::HEAD);
                    return Ok(Answer { attempts: attempts.shown(), place, ..answer });
                }
                (Err(Unanswered { error, .. }), None) => {
                    let message = self.echo.clean(&error.message) + &attempts.shown();
                    return Err(SourceError { message, ..error });
                }
            }
            attempts.wait(wait.unwrap_or_default());
        }
    }

    /// Sends a request once, and once more for each redirect.
    fn follow(&self, request: &Request, attempts: &Attempts) -> Result<Answer, Unanswered> {
        let mut url = request.url.clone();
        let mut headers = request.headers();
        for _ in 0..=MOST_REDIRECTS {
            let host = host_of(&url);
            let place = attempts.enter(&host).map_err(|wait| left_alone(request, &host, wait))?;
            let response = self.send_once(request, &url, &headers)?;
            let watch = Watch::new(self.least_pace, self.patience.clock());
            let is_elsewhere = url.origin() != request.url.origin();
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            // A form holds credentials.
            let status = response.status().as_u16();
            let is_followed = redirect::is_one(status) && request.form.is_none();
            let next = is_followed.then(|| redirect::target(&url, location)).transpose();
            let next = next.map_err(|reason| invalid(request, &format!("is redirected{reason}")))?;
            let Some(next) = next else {
                let mut origin = request.shown();
                if is_elsewhere {
                    origin = format!("{origin} (redirected to {})", shown(&url));
                }
                // Nobody asked for it: a proxy that packs what passes gives other bytes than those of a digest.
                if let Some(encoding) = response.headers().get(CONTENT_ENCODING) {
                    let encoding = self.echo.clean(&String::from_utf8_lossy(encoding.as_bytes()));
                    origin = format!("{origin} (Content-Encoding: {})", quoted(&encoding, 40));
                }
                return Ok(Answer {
                    response,
                    origin: self.echo.clean(&origin),
                    echo: self.echo.clone(),
                    is_from_elsewhere: is_elsewhere,
                    host,
                    attempts: String::new(),
                    watch,
                    place: Some(place),
                });
            };
            drain(response, watch);
            if next.origin() != url.origin() {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(invalid(request, &format!("is redirected more than {MOST_REDIRECTS} times")).into())
    }

    fn send_once(&self, request: &Request, url: &Url, headers: &HeaderMap) -> Result<Response, Unanswered> {
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
            let fault = Fault::of(&error).cleaned(&self.echo);
            let failure = fault.is_passing().then(|| Failure::Unanswered(fault.clone()));
            let error = SourceError::new(SourceErrorKind::Connection, message).caused_by(fault);
            Unanswered { host: host_of(url), failure, error }
        })
    }
}

/// Returns the host of a URL, with its port if that is not the usual one.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn left_alone(request: &Request, host: &str, wait: Duration) -> SourceError {
    let message = format!(
        "{} is not sent: `{host}` wants no request for another {} s",
        request.shown(),
        wait.as_secs_f64().ceil()
    );
    SourceError::new(SourceErrorKind::RateLimited, message)
}

fn invalid(request: &Request, what: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Invalid, format!("{} {what}", request.shown()))
}
