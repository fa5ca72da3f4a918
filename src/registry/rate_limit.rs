//! How much a registry still lets somebody pull, as Docker Hub says it with each answer about a manifest.
//!
//! `ratelimit-limit: 100;w=21600` are a hundred pulls in six hours, `ratelimit-remaining: 76;w=21600` what is left of
//! them. Asking for a manifest by HEAD costs none; getting one, of an index or of each child, costs one.

use std::time::Duration;

/// What a registry said of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many pulls there are in the window, if it says so.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: u64,
    /// How long the window is, if it says so.
    pub window: Option<Duration>,
}

impl RateLimit {
    /// Reads the headers of an answer; `None` if nothing is limited, or nothing said.
    pub(super) fn of(limit: Option<&str>, remaining: Option<&str>) -> Option<Self> {
        let (remaining, window) = parse(remaining?)?;
        let limit = limit.and_then(parse);
        let window = window.or(limit.and_then(|(_, window)| window));
        Some(Self { limit: limit.map(|(limit, _)| limit), remaining, window })
    }
}

/// Parses `76;w=21600`.
fn parse(text: &str) -> Option<(u64, Option<Duration>)> {
    let (number, parameters) = text.split_once(';').unwrap_or((text, ""));
    let window = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("w="));
    let window = window.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    Some((number.trim().parse().ok()?, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_docker_hub_writes_them_and_what_is_none_is_passed_over() {
        let limit = |limit, remaining| RateLimit::of(limit, remaining);
        let hub = RateLimit { limit: Some(100), remaining: 76, window: Some(Duration::from_secs(21600)) };
        assert_eq!(limit(Some("100;w=21600"), Some("76;w=21600")), Some(hub));
        assert_eq!(limit(Some("100;w=21600"), Some("76")), Some(hub));
        assert_eq!(limit(None, Some(" 5 ")), Some(RateLimit { limit: None, remaining: 5, window: None }));
        for (one, other) in [(None, None), (Some("100"), None), (None, Some("many")), (None, Some("-1;w=5"))]
        {
            assert_eq!(limit(one, other), None);
        }
    }
}
