//! What is asked of a server.

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};
use reqwest::{Method, Url};

use super::endpoint::shown;
use super::part::Part;
use super::upload::{Sent, Upload};
use crate::secrets::SecretText;

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
    /// Whether another place is asked if this one cannot be: an outage then is not waited out.
    pub(super) has_others: bool,
}

impl Request {
    /// Returns a request without credentials.
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            accept: None,
            part: None,
            authorization: None,
            form: None,
            upload: None,
            has_others: false,
        }
    }

    /// Returns whether sending it twice is like sending it once.
    ///
    /// A part of an upload is not: whoever uploads asks first how much of it arrived.
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self.upload, Some(Upload { content: Sent::Part(..), .. }))
    }

    /// Returns `METHOD url`, without secrets.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, shown(&self.url))
    }

    /// Returns the headers that it is sent with.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let accept = self.accept.as_ref().and_then(|accept| HeaderValue::from_str(accept).ok());
        let form = self.form.is_some().then(|| HeaderValue::from_static("application/x-www-form-urlencoded"));
        let text = |text: &String| HeaderValue::from_str(text).ok();
        let (kind, range) = self
            .upload
            .as_ref()
            .map_or((None, None), |upload| (text(&upload.media_type), upload.range.as_ref().and_then(text)));
        for (name, value) in [
            (ACCEPT, accept),
            (AUTHORIZATION, self.authorization.clone()),
            (RANGE, self.part.as_ref().map(Part::range).as_ref().and_then(text)),
            (IF_RANGE, self.part.as_ref().and_then(Part::validator).and_then(text)),
            (CONTENT_TYPE, form.or(kind)),
            (CONTENT_RANGE, range),
        ] {
            value.map(|value| headers.insert(name, value));
        }
        headers
    }
}
