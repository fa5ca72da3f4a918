//! Files from servers that are no registries: whole, or what is missing of them.

use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};

use super::body::Body;
use super::client::{Client, invalid};
use super::continued::{Continued, Voucher};
use super::endpoint::{PlainHttp, parse_url, shown};
use super::part::{Given, Part};
use super::refusal::refused;
use super::request::Request;
use super::transport::{Answer, Transport, host_of};
use crate::oci::SourceError;
use crate::store::{Kept, Opened};

impl Client {
    /// Opens a file on a server; no credentials are sent. `limit` is in bytes.
    ///
    /// # Errors
    /// If the URL is not one that may be asked, if the server does not give the file, or announces more bytes
    /// than the limit.
    pub fn fetch_file(&self, url: &str, limit: u64, plain_http: PlainHttp) -> Result<Opened, SourceError> {
        self.fetch_rest(url, limit, plain_http, &Kept::default())
    }

    /// Opens what is missing of a file as [`Client::fetch_file`] does, or the whole where it is not the same any more
    /// or where the server knows no parts.
    ///
    /// More bytes than the limit, which is one for the whole file, are an error of the reader of kind
    /// [`InvalidData`](std::io::ErrorKind::InvalidData).
    ///
    /// # Errors
    /// Those of [`Client::fetch_file`].
    pub fn fetch_rest(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
        kept: &Kept,
    ) -> Result<Opened, SourceError> {
        let url = parse_url(url, plain_http)
            .map_err(|(url, reason)| invalid(format!("`{url}` cannot be downloaded: {reason}")))?;
        let transport = self.transport(None)?;
        let file = File { transport: Arc::clone(&transport), url, limit };
        let opened = file.ask_rest(kept)?;
        let (from, length, entity_tag) = (opened.from, opened.length, opened.entity_tag.clone());
        if from == kept.length && length == Some(from) && from > 0 {
            return Ok(opened);
        }
        // Who keeps a part without a tag has a digest of the whole.
        let voucher = if entity_tag.is_some() || from > 0 { Voucher::Other } else { Voucher::Nobody };
        let (origin, host) = (shown(&file.url), host_of(&file.url));
        let known = Kept { length: 0, total: length, entity_tag: entity_tag.clone() };
        let reopen = Box::new(move |from| file.reopen(from, &known, voucher));
        let opened = Opened { origin: origin.clone(), ..opened };
        let reader = Continued::new(opened, host, transport.patience(), reopen).vouched_by(voucher);
        Ok(Opened { from, length, entity_tag, origin, reader: Box::new(reader) })
    }
}

/// A file, and how it is asked for.
struct File {
    transport: Arc<Transport>,
    url: Url,
    limit: u64,
}

impl File {
    /// Opens the rest of a file that broke off; `known` is what is known of the whole.
    fn reopen(&self, position: u64, known: &Kept, voucher: Voucher) -> Result<Opened, SourceError> {
        let length = if voucher == Voucher::Nobody { 0 } else { position };
        let opened = self.ask_rest(&Kept { length, ..known.clone() })?;
        if opened.from == 0 && known.entity_tag != opened.entity_tag {
            return Err(invalid(format!("the answer to {} changed while it was read", opened.origin)));
        }
        Ok(opened)
    }

    /// Asks for what is missing, and for the whole where that gives nothing of use.
    fn ask_rest(&self, kept: &Kept) -> Result<Opened, SourceError> {
        let Kept { length: from, total: kept_total, entity_tag } = kept.clone();
        let nothing = |length| {
            let entity_tag = entity_tag.clone();
            Ok(Opened { length, entity_tag, ..Opened::at(from, Box::new(std::io::empty()) as _) })
        };
        if from > 0 && kept_total == Some(from) {
            return nothing(kept_total);
        }
        let mut request = Request::new(Method::GET, self.url.clone());
        if from > 0 && kept_total.is_none_or(|total| from < total) {
            let part = kept_total.map_or_else(|| Part::from(from..), |total| Part::of(from..total, total));
            let part = part.if_still(entity_tag.clone());
            request.part = Some(part.clone());
            let answer = self.transport.send(&request)?;
            match answer.given(&part) {
                Given::Part { total, .. } => return self.open(answer, from, total.or(kept_total)),
                Given::Whole => return self.open_whole(answer),
                // The last run fetched it to its end, and was stopped before it could know.
                Given::NoSuchBytes { total } if total == Some(from) => {
                    answer.drain();
                    return nothing(total);
                }
                Given::NoSuchBytes { .. } | Given::Other => answer.drain(),
                Given::Refusal => return Err(refused(answer, None)),
            }
            request.part = None;
        }
        let answer = self.transport.send(&request)?;
        if answer.status() != StatusCode::OK {
            return Err(refused(answer, None));
        }
        self.open_whole(answer)
    }

    fn open_whole(&self, answer: Answer) -> Result<Opened, SourceError> {
        let length = answer.announced_length();
        self.open(answer, 0, length)
    }

    fn open(&self, answer: Answer, from: u64, length: Option<u64>) -> Result<Opened, SourceError> {
        let (origin, limit) = (answer.origin.clone(), self.limit);
        if let Some(length) = length.filter(|length| *length > limit) {
            return Err(invalid(format!(
                "the answer to {origin} is {length} bytes long, more than the {limit} that are allowed"
            )));
        }
        let entity_tag = answer.strong_entity_tag();
        let reader = Box::new(Body::new(answer, limit.saturating_sub(from)));
        Ok(Opened { from, length, entity_tag, origin, reader })
    }
}
