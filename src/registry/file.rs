//! Files from servers that are no registries: whole, or what is missing of them.

use std::io::Read;
use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};

use super::body::Body;
use super::client::Client;
use super::continued::{Continued, Rest, Voucher};
use super::endpoint::{PlainHttp, parse_url, shown};
use super::part::{Given, Part};
use super::refusal::refused;
use super::transport::{Answer, Request, Transport, host_of};
use crate::oci::{SourceError, SourceErrorKind};

/// What is there already of a file that is to be downloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptPart {
    /// How many bytes, from the first one on.
    pub length: u64,
    /// How many the whole has, if that is known.
    pub total: Option<u64>,
    /// The strong entity tag of the content they are of. Without one nothing but a digest of the whole can say
    /// whether what is kept and what comes belong together.
    pub entity_tag: Option<String>,
}

/// A file that is being downloaded.
pub struct FetchedFile {
    /// Where in the file the content begins: after the kept part, or at 0 if that is of no use.
    pub from: u64,
    /// The length of the whole file in bytes, if the server says it.
    pub length: Option<u64>,
    /// The strong entity tag of the content, if the server says one.
    pub entity_tag: Option<String>,
    /// The content; more of it than the limit is an error of kind [`InvalidData`](std::io::ErrorKind::InvalidData).
    pub reader: Box<dyn Read + Send>,
}

impl Client {
    /// Opens a file on a server; no credentials are sent. `limit` is in bytes.
    ///
    /// # Errors
    /// If the URL is not one that may be asked, if the server does not give the file, or announces more bytes
    /// than the limit.
    pub fn fetch_file(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
    ) -> Result<FetchedFile, SourceError> {
        self.fetch_rest(url, limit, plain_http, &KeptPart::default())
    }

    /// Opens what is missing of a file as [`Client::fetch_file`] does, or the whole where it is not the same any more
    /// or where the server knows no parts.
    ///
    /// # Errors
    /// Those of [`Client::fetch_file`]; the limit is one for the whole file.
    pub fn fetch_rest(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
        kept: &KeptPart,
    ) -> Result<FetchedFile, SourceError> {
        let url = parse_url(url, plain_http).map_err(|(url, reason)| {
            SourceError::new(SourceErrorKind::Invalid, format!("`{url}` cannot be downloaded: {reason}"))
        })?;
        let transport = self.transport(None)?;
        let Positioned { answer, from, length } = ask_rest(&transport, url.clone(), kept)?;
        let Some(answer) = answer else {
            let entity_tag = kept.entity_tag.clone();
            return Ok(FetchedFile { from, length, entity_tag, reader: Box::new(std::io::empty()) });
        };
        if let Some(length) = length.filter(|length| *length > limit) {
            let message = format!(
                "the answer to {} is {length} bytes long, more than the {limit} that are allowed",
                answer.origin
            );
            return Err(SourceError::new(SourceErrorKind::Invalid, message));
        }
        let entity_tag = answer.strong_entity_tag();
        // Who keeps a part without a tag has a digest of the whole.
        let voucher = if entity_tag.is_some() || from > 0 { Voucher::Other } else { Voucher::Nobody };
        let origin = (shown(&url), host_of(&url));
        let body = Body::new(answer, limit.saturating_sub(from));
        let patience = Arc::clone(transport.patience());
        let rest = RestOfFile { transport, url, limit, length, entity_tag: entity_tag.clone(), voucher };
        let reopen = Box::new(move |from| rest.open(from));
        let reader = Continued::new(body, origin, (from, length), &patience, reopen).vouched_by(voucher);
        Ok(FetchedFile { from, length, entity_tag, reader: Box::new(reader) })
    }
}

/// How the rest of a file that broke off is asked for.
struct RestOfFile {
    transport: Arc<Transport>,
    url: Url,
    limit: u64,
    length: Option<u64>,
    entity_tag: Option<String>,
    voucher: Voucher,
}

impl RestOfFile {
    fn open(&self, position: u64) -> Result<Rest, SourceError> {
        let Self { transport, url, limit, length, entity_tag, voucher } = self;
        let kept = KeptPart {
            length: if *voucher == Voucher::Nobody { 0 } else { position },
            total: *length,
            entity_tag: entity_tag.clone(),
        };
        let Positioned { answer, from, .. } = ask_rest(transport, url.clone(), &kept)?;
        let Some(answer) = answer else {
            return Ok(Rest { reader: Box::new(std::io::empty()), from: position, is_none: true });
        };
        if from == 0 && *entity_tag != answer.strong_entity_tag() {
            let message = format!("the answer to {} changed while it was read", answer.origin);
            return Err(SourceError::new(SourceErrorKind::Invalid, message));
        }
        Ok(Rest { reader: Box::new(Body::new(answer, limit.saturating_sub(from))), from, is_none: false })
    }
}

/// An answer, and where in the file it begins.
struct Positioned {
    /// The answer; `None` if nothing is missing.
    answer: Option<Answer>,
    from: u64,
    /// The length of the whole file.
    length: Option<u64>,
}

/// Asks for what is missing of a file, and for the whole where that gives nothing of use.
fn ask_rest(transport: &Transport, url: Url, kept: &KeptPart) -> Result<Positioned, SourceError> {
    let KeptPart { length: from, total: kept_total, entity_tag } = kept.clone();
    let whole = |answer: Answer| {
        let length = answer.announced_length();
        Positioned { answer: Some(answer), from: 0, length }
    };
    if from > 0 && kept_total == Some(from) {
        return Ok(Positioned { answer: None, from, length: kept_total });
    }
    let mut request = Request::new(Method::GET, url);
    if from > 0 && kept_total.is_none_or(|total| from < total) {
        let part = kept_total.map_or_else(|| Part::from(from..), |total| Part::of(from..total, total));
        let part = part.if_still(entity_tag);
        request.part = Some(part.clone());
        let answer = transport.send(&request)?;
        match answer.given(&part) {
            Given::Part { total, .. } => {
                return Ok(Positioned { answer: Some(answer), from, length: total.or(kept_total) });
            }
            Given::Whole => return Ok(whole(answer)),
            // The last run fetched it to its end, and was stopped before it could know.
            Given::NoSuchBytes { total } if total == Some(from) => {
                answer.drain();
                return Ok(Positioned { answer: None, from, length: total });
            }
            Given::NoSuchBytes { .. } | Given::Other => answer.drain(),
            Given::Refusal => return Err(refused(answer, None)),
        }
        request.part = None;
    }
    let answer = transport.send(&request)?;
    if answer.status() != StatusCode::OK {
        return Err(refused(answer, None));
    }
    Ok(whole(answer))
}
