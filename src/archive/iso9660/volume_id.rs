//! The name of a volume, by which a mounted image is found.

use std::str::FromStr;

/// A volume identifier: 1 to 16 ASCII letters, digits, `_` and `-`; sixteen is what Joliet has room for.
///
/// Lower case is stored as it is. ECMA-119 knows capitals only, but every reader takes both, and some look
/// for one of the two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct VolumeId(String);

/// Says why a text is not a [`VolumeId`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a volume identifier: expected 1 to 16 ASCII letters, digits, `_` and `-`")]
pub struct InvalidVolumeId(String);

impl VolumeId {
    /// Returns the identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeId {
    type Err = InvalidVolumeId;

    fn from_str(text: &str) -> Result<Self, InvalidVolumeId> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if (1..=16).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidVolumeId(text.chars().take(100).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_identifiers_are_short_and_plain() {
        for text in ["CIDATA", "cidata", "a-b_1", "0123456789abcdef"] {
            assert_eq!(text.parse::<VolumeId>().unwrap().as_str(), text);
        }
        for text in ["", "0123456789abcdefg", "CI DATA", "größe", "a/b", "a\n"] {
            assert!(text.parse::<VolumeId>().is_err(), "{text:?}");
        }
    }
}
