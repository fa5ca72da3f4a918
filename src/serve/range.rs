//! Parts of a content, and contents that the client has already (RFC 9110, sections 13 and 14).

use std::ops::Range;

use hyper::HeaderMap;
use hyper::header::{HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE};

use crate::digest::Digest;

/// How much of a content is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    Part(Range<u64>),
    /// The part that is asked for lies behind the end.
    Outside,
    /// The client has it.
    Nothing,
}

/// Returns the entity tag of a content, which never changes.
pub(super) fn entity_tag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Decides how much of a content of `size` bytes is sent; `HEAD` knows no parts.
pub(super) fn extent(headers: &HeaderMap, digest: &Digest, size: u64, is_head: bool) -> Extent {
    let tag = entity_tag(digest);
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let is_known = |value: &HeaderValue| {
        let text = text(value);
        let mut tags = text.split(',').map(|one| one.trim().trim_start_matches("W/").to_owned());
        tags.any(|one| one == "*" || one == tag)
    };
    if headers.get_all(IF_NONE_MATCH).iter().any(is_known) {
        return Extent::Nothing;
    }
    // A date in If-Range never fits: no time of change is told.
    let is_same = headers.get(IF_RANGE).is_none_or(|value| text(value) == tag);
    let mut ranges = headers.get_all(RANGE).iter();
    match (ranges.next(), ranges.next()) {
        (Some(value), None) if is_same && !is_head => parse(&text(value), size),
        _ => Extent::Whole,
    }
}

/// Reads a `Range`; what is malformed, or asks for several parts, gets the whole, as the RFC allows.
fn parse(text: &str, size: u64) -> Extent {
    let Some(range) = text.trim().strip_prefix("bytes=") else { return Extent::Whole };
    let Some((first, last)) = range.split_once('-') else { return Extent::Whole };
    let number = |text: &str| -> Option<u64> {
        // Larger than any file is as good as the end.
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Extent::Whole,
    };
    if range.is_empty() { Extent::Outside } else { Extent::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::sha256(b"")
    }

    fn of(headers: &[(hyper::header::HeaderName, &str)], is_head: bool) -> Extent {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        extent(&map, &digest(), 10, is_head)
    }

    #[test]
    fn ranges_are_cut_at_the_end() {
        for (range, expected) in [
            ("bytes=0-0", Extent::Part(0..1)),
            ("bytes=2-5", Extent::Part(2..6)),
            ("bytes=2-", Extent::Part(2..10)),
            ("bytes=-3", Extent::Part(7..10)),
            ("bytes=-30", Extent::Part(0..10)),
            ("bytes=9-99999999999999999999999", Extent::Part(9..10)),
            ("bytes=10-", Extent::Outside),
            ("bytes=10-20", Extent::Outside),
            ("bytes=-0", Extent::Outside),
            ("bytes=18446744073709551615-", Extent::Outside),
            ("bytes=5-2", Extent::Whole),
            ("bytes=-", Extent::Whole),
            ("bytes=a-b", Extent::Whole),
            ("bytes=+1-2", Extent::Whole),
            ("bytes=0-1,3-4", Extent::Whole),
            ("items=0-1", Extent::Whole),
            ("", Extent::Whole),
        ] {
            assert_eq!(of(&[(RANGE, range)], false), expected, "{range}");
            assert_eq!(of(&[(RANGE, range)], true), Extent::Whole, "HEAD, {range}");
        }
    }

    #[test]
    fn a_part_is_sent_only_of_the_content_that_was_begun() {
        let tag = entity_tag(&digest());
        let part = (RANGE, "bytes=1-2");
        assert_eq!(of(&[part.clone(), (IF_RANGE, &tag)], false), Extent::Part(1..3));
        for other in ["\"sha256:0\"", &format!("W/{tag}"), "Sat, 21 Nov 2026 00:00:00 GMT"] {
            assert_eq!(of(&[part.clone(), (IF_RANGE, other)], false), Extent::Whole, "{other}");
        }
        assert_eq!(of(&[part.clone(), (RANGE, "bytes=4-5")], false), Extent::Whole);
    }

    #[test]
    fn what_the_client_has_is_not_sent() {
        let tag = entity_tag(&digest());
        for known in [tag.as_str(), "*", &format!("W/{tag}"), &format!("\"other\", {tag}")] {
            assert_eq!(
                of(&[(IF_NONE_MATCH, known), (RANGE, "bytes=1-2")], false),
                Extent::Nothing,
                "{known}"
            );
            assert_eq!(of(&[(IF_NONE_MATCH, known)], true), Extent::Nothing, "{known}");
        }
        assert_eq!(of(&[(IF_NONE_MATCH, "\"other\"")], false), Extent::Whole);
    }

    #[test]
    fn nothing_of_an_empty_content_is_a_part() {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-"))]);
        assert_eq!(extent(&headers, &digest(), 0, false), Extent::Outside);
    }
}
