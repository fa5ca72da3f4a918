//! Versions, ordered exactly as dpkg orders them.
//!
//! ```text
//! version  = [epoch ":"] upstream ["-" revision]
//! ```
//!
//! See Debian policy, section 5.6.12. A run of digits is compared as text without leading zeros, so that no
//! length overflows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::name::excerpt;

/// Longer versions do not exist: the file name of a package holds one.
const LONGEST: usize = 200;

/// A version of a package, printed as it was written.
///
/// Versions that dpkg takes for equal are equal, however they are written: `1.0`, `0:1.0` and `1.00-0`.
#[derive(Clone, derive_more::Display, derive_more::Debug)]
#[display("{text}")]
#[debug("Version({text})")]
pub struct Version<'text> {
    text: Cow<'text, str>,
    epoch: u32,
    /// Where the upstream version starts, after the epoch's colon. A byte: there are many versions in memory.
    upstream: u8,
    /// Where the upstream version ends: at the revision's hyphen, or at the end.
    upstream_end: u8,
}

/// Says why a text is not a version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a version: {reason}")]
pub struct InvalidVersion {
    text: String,
    reason: &'static str,
}

impl<'text> Version<'text> {
    /// Reads a version; blanks around it do not count.
    pub fn parse(text: &'text str) -> Result<Self, InvalidVersion> {
        let text = text.trim_ascii();
        if text.len() > LONGEST {
            return Err(invalid(text, "it is too long"));
        }
        let (epoch, upstream) = split_epoch(text)?;
        let rest = &text[upstream..];
        let upstream_end = upstream + rest.rfind('-').unwrap_or(rest.len());
        let byte = |index: usize| u8::try_from(index).expect("a version is at most 200 bytes long");
        let (upstream, upstream_end) = (byte(upstream), byte(upstream_end));
        let version = Self { text: Cow::Borrowed(text), epoch, upstream, upstream_end };
        match version.fault() {
            Some(reason) => Err(invalid(text, reason)),
            None => Ok(version),
        }
    }

    /// Returns the version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the epoch; 0 if there is none.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Returns the upstream version.
    pub fn upstream(&self) -> &str {
        &self.text[usize::from(self.upstream)..usize::from(self.upstream_end)]
    }

    /// Returns the Debian revision; empty if there is none, which sorts as `0` does.
    pub fn revision(&self) -> &str {
        self.text[usize::from(self.upstream_end)..].strip_prefix('-').unwrap_or_default()
    }

    /// Returns the version with a text of its own.
    pub fn into_owned(self) -> Version<'static> {
        let Self { text, epoch, upstream, upstream_end } = self;
        Version { text: Cow::Owned(text.into_owned()), epoch, upstream, upstream_end }
    }

    fn fault(&self) -> Option<&'static str> {
        let (upstream, revision) = (self.upstream(), self.revision());
        let is_odd = |byte: u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'+' | b'~');
        if upstream.is_empty() {
            Some("the upstream version is empty")
        } else if self.text.ends_with('-') {
            Some("the revision is empty")
        } else if upstream.bytes().any(|byte| is_odd(byte) && byte != b'-' && byte != b':') {
            Some("the upstream version has other characters than letters, digits and `.+-:~`")
        } else if revision.bytes().any(is_odd) {
            Some("the revision has other characters than letters, digits and `.+~`")
        } else {
            None
        }
    }

    fn parts(&self) -> (u32, &[u8], &[u8]) {
        (self.epoch, self.upstream().as_bytes(), self.revision().as_bytes())
    }
}

fn invalid(text: &str, reason: &'static str) -> InvalidVersion {
    InvalidVersion { text: excerpt(text), reason }
}

/// Returns the epoch, and where what follows it starts.
fn split_epoch(text: &str) -> Result<(u32, usize), InvalidVersion> {
    let Some((epoch, _)) = text.split_once(':') else { return Ok((0, 0)) };
    let is_number = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
    // dpkg's own limit is that of a C int.
    let number = epoch.parse::<i32>().ok().filter(|_| is_number);
    let number = number.ok_or_else(|| invalid(text, "the epoch is not a number below 2147483648"))?;
    Ok((number.unsigned_abs(), epoch.len() + 1))
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((epoch, upstream, revision), (other_epoch, other_upstream, other_revision)) =
            (self.parts(), other.parts());
        epoch
            .cmp(&other_epoch)
            .then_with(|| compare(upstream, other_upstream))
            .then_with(|| compare(revision, other_revision))
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version<'_> {}

impl Hash for Version<'_> {
    /// Equal versions have equal hashes: what is hashed is what [`Ord`] compares.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (epoch, upstream, revision) = self.parts();
        epoch.hash(state);
        hash_part(upstream, state);
        hash_part(revision, state);
    }
}

/// Compares parts run by run: text, number, text, number, as dpkg's `verrevcmp` does.
fn compare(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, right_text) = (take_text(&mut left), take_text(&mut right));
        let (left_number, right_number) = (take_number(&mut left), take_number(&mut right));
        let order = compare_texts(left_text, right_text)
            .then_with(|| left_number.len().cmp(&right_number.len()))
            .then_with(|| left_number.cmp(right_number));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn compare_texts(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |text: &[u8], index: usize| text.get(index).copied().map_or(0, weight);
    let longest = left.len().max(right.len());
    (0..longest)
        .map(|index| weight(left, index).cmp(&weight(right, index)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Returns how a character sorts: `~` before the end of the text, which is 0, then letters, then the rest.
fn weight(byte: u8) -> i32 {
    match byte {
        b'~' => -1,
        byte if byte.is_ascii_alphabetic() => i32::from(byte),
        byte => i32::from(byte) + 256,
    }
}

/// Cuts the text before the next digit off.
fn take_text<'part>(part: &mut &'part [u8]) -> &'part [u8] {
    take_while(part, |byte| !byte.is_ascii_digit())
}

/// Cuts a run of digits off, and leading zeros from it.
fn take_number<'part>(part: &mut &'part [u8]) -> &'part [u8] {
    take_while(part, |byte| byte == b'0');
    take_while(part, |byte| byte.is_ascii_digit())
}

fn take_while<'part>(part: &mut &'part [u8], belongs: impl Fn(u8) -> bool) -> &'part [u8] {
    let end = part.iter().position(|byte| !belongs(*byte)).unwrap_or(part.len());
    let (taken, rest) = part.split_at(end);
    *part = rest;
    taken
}

fn hash_part<H: Hasher>(mut part: &[u8], state: &mut H) {
    while !part.is_empty() {
        let (text, number) = (take_text(&mut part), take_number(&mut part));
        // An absent run at the end equals the number zero.
        if !text.is_empty() || !number.is_empty() {
            (text, number).hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    fn version(text: &str) -> Version<'_> {
        Version::parse(text).unwrap()
    }

    fn hash(version: &Version<'_>) -> u64 {
        let mut state = DefaultHasher::new();
        version.hash(&mut state);
        state.finish()
    }

    #[test]
    fn versions_sort_as_policy_says() {
        let sorted = [
            "0~~",
            "0~",
            "0",
            "0-0.1",
            "0.1~rc1-1",
            "0.1",
            "0.1-1",
            "0.1a",
            "0.1a1",
            "0.1+b1",
            "0.1.0a",
            "0.2",
            "0.10",
            "99999999999999999999",
            "100000000000000000000",
            "1:0",
            "2147483647:0",
        ];
        for (index, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                assert_eq!(version(left).cmp(&version(right)), index.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn equal_versions_hash_equally_and_keep_their_spelling() {
        for [left, right] in [
            ["1.0", "0:1.0"],
            ["1.0", "1.00"],
            ["1.0a", "1.0a0"],
            ["1.", "1.0"],
            ["2.0~rc", "2.0~rc0-0"],
            ["1-0", "1"],
            ["0.0", "0."],
            ["00000000000000000000001", "1-000"],
        ] {
            assert_eq!(version(left), version(right), "{left} {right}");
            assert_eq!(hash(&version(left)), hash(&version(right)), "{left} {right}");
            assert_ne!(version(left).to_string(), version(right).to_string());
        }
    }

    #[test]
    fn the_parts_are_found() {
        let found = version(" 2:1.0:3-rc-4+b1 ").into_owned();
        assert_eq!((found.epoch(), found.upstream(), found.revision()), (2, "1.0:3-rc", "4+b1"));
        assert_eq!(found.as_str(), "2:1.0:3-rc-4+b1");
        assert_eq!((version("1.0").epoch(), version("1.0").revision()), (0, ""));
    }

    #[test]
    fn what_is_no_version_is_refused_with_the_reason() {
        let long = "1".repeat(201);
        for (text, reason) in [
            ("", "empty"),
            ("1:", "empty"),
            ("-1", "empty"),
            ("1-", "revision is empty"),
            (":1", "epoch"),
            ("a:1", "epoch"),
            ("+1:1", "epoch"),
            ("2147483648:1", "epoch"),
            ("1 2", "other characters"),
            ("1/../2", "other characters"),
            ("1_2", "other characters"),
            ("1-2:3", "epoch"),
            ("0:1-2:3", "revision has"),
            ("1é", "other characters"),
            (&long, "too long"),
        ] {
            let message = Version::parse(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}
