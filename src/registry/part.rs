//! Parts of contents: `Range`, `If-Range`, and whether what comes is the part that was asked for.
//!
//! A range has an end wherever the end is known: some registries answer 416 to one without (`bytes=5-`). Nobody
//! is asked beforehand whether they know ranges: most who do know them do not say so. What an answer gives is
//! judged by its own `Content-Range` (RFC 9110, section 14.4), never by what was asked.
//!
//! # Why
//! `If-Range` is for names whose content may change, and only with a strong entity tag. Blobs are asked for by
//! digest: their content cannot change, and the servers behind one name often have different tags for it.

use std::ops::{Range, RangeFrom};

/// A part of a content that is asked for; at least one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The first byte.
    start: u64,
    /// One more than the last byte; `None` to the end, wherever it is.
    end: Option<u64>,
    /// The length that the whole must have; another one means another content.
    total: Option<u64>,
    /// The entity tag that the content must still have.
    validator: Option<String>,
}

/// What an answer to a request for a [`Part`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// Bytes from the first one wanted on; the answer's length is theirs. `total` is that of the whole, if it is said.
    Part {
        /// The bytes of the whole that come.
        bytes: Range<u64>,
        /// The length of the whole.
        total: Option<u64>,
    },
    /// The whole from its first byte: the server does not know ranges, or the content is not the one it was.
    Whole,
    /// There are no such bytes (416); `total` is the length of the whole, if it is said.
    NoSuchBytes {
        /// The length of the whole.
        total: Option<u64>,
    },
    /// Other bytes than those wanted, or several parts at once: nothing that can be used.
    Other,
    /// No content: an error of another kind, for the caller to judge by its status.
    Refusal,
}

impl Part {
    /// Wants these bytes, at least one, of a whole that has `total`.
    pub(super) fn of(bytes: Range<u64>, total: u64) -> Self {
        Self { start: bytes.start, end: Some(bytes.end), total: Some(total), validator: None }
    }

    /// Wants everything from a byte on.
    pub(super) fn from(bytes: RangeFrom<u64>) -> Self {
        Self { start: bytes.start, end: None, total: None, validator: None }
    }

    /// Wants them only if the content still has this strong entity tag, else the whole.
    pub(super) fn if_still(self, entity_tag: Option<String>) -> Self {
        Self { validator: entity_tag, ..self }
    }

    /// Returns the value of `Range`.
    pub(super) fn range(&self) -> String {
        match self.end {
            Some(end) => format!("bytes={}-{}", self.start, end.saturating_sub(1)),
            None => format!("bytes={}-", self.start),
        }
    }

    /// Returns the value of `If-Range`.
    pub(super) fn validator(&self) -> Option<&String> {
        self.validator.as_ref()
    }

    /// Judges what an answer gives, by its status and its `Content-Range`.
    pub(super) fn judge(&self, status: u16, content_range: Option<&str>) -> Given {
        let (bytes, total) = content_range.and_then(parse).unwrap_or_default();
        match (status, bytes) {
            (200, _) => Given::Whole,
            (416, _) => Given::NoSuchBytes { total },
            (206, Some(bytes)) if self.begins_like(&bytes, total) => Given::Part { bytes, total },
            (206, _) => Given::Other,
            _ => Given::Refusal,
        }
    }

    /// A server may give less than what was asked for, but not more, and not from elsewhere.
    fn begins_like(&self, bytes: &Range<u64>, total: Option<u64>) -> bool {
        let ends_within = self.end.is_none_or(|end| bytes.end <= end);
        let is_of_that =
            total.is_none_or(|said| bytes.end <= said && self.total.is_none_or(|total| total == said));
        bytes.start == self.start && ends_within && is_of_that
    }
}

/// Reads `bytes 5-9/100`, `bytes 5-9/*` and `bytes */100`.
fn parse(value: &str) -> Option<(Option<Range<u64>>, Option<u64>)> {
    let (bytes, total) = value.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    if bytes == "*" {
        return Some((None, total));
    }
    let (first, last) = bytes.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((Some(first..last.checked_add(1)?), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_closed_where_the_end_is_known() {
        assert_eq!(Part::of(5..10, 100).range(), "bytes=5-9");
        assert_eq!(Part::from(5..).range(), "bytes=5-");
    }

    #[test]
    fn an_answer_is_judged_by_its_own_range() {
        let part = |bytes, total| Given::Part { bytes, total };
        for (status, content_range, expected) in [
            (206, Some("bytes 5-9/100"), part(5..10, Some(100))),
            (206, Some("bytes 5-9/*"), part(5..10, None)),
            (206, Some("bytes 5-6/100"), part(5..7, Some(100))),
            (206, Some("bytes 0-9/100"), Given::Other),
            (206, Some("bytes 5-10/100"), Given::Other),
            (206, Some("bytes 5-9/7"), Given::Other),
            (206, Some("bytes 5-9/101"), Given::Other),
            (206, Some("bytes 9-5/100"), Given::Other),
            (206, Some("bytes */100"), Given::Other),
            (206, Some("bytes 5-18446744073709551615/*"), Given::Other),
            (206, Some("items 5-9/100"), Given::Other),
            (206, None, Given::Other),
            (200, None, Given::Whole),
            (200, Some("bytes 5-9/100"), Given::Whole),
            (416, Some("bytes */5"), Given::NoSuchBytes { total: Some(5) }),
            (416, None, Given::NoSuchBytes { total: None }),
            (404, None, Given::Refusal),
            (503, Some("bytes 5-9/100"), Given::Refusal),
        ] {
            assert_eq!(
                Part::of(5..10, 100).judge(status, content_range),
                expected,
                "{status} {content_range:?}"
            );
        }
        assert_eq!(Part::from(5..).judge(206, Some("bytes 5-99/100")), part(5..100, Some(100)));
    }
}
