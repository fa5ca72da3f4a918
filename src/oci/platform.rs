//! Platforms: `os/architecture[/variant]`.

use std::fmt;
use std::str::FromStr;

use serde_with::{DeserializeFromStr, SerializeDisplay};

/// An operating system and architecture, in Go's names (OCI image index, "platform").
///
/// Variants that mean nothing are dropped when parsing, so that comparing is plain equality: `arm64/v8` is
/// `arm64`, `arm` is `arm/v7`, `amd64/v1` is `amd64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Says why a text is not a platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a platform: expected os/architecture or os/architecture/variant, such as linux/amd64")]
pub struct InvalidPlatform(String);

impl Platform {
    /// Returns the platform with the given parts, normalised; `None` if a part has a character names never have.
    pub fn from_parts(os: &str, architecture: &str, variant: Option<&str>) -> Option<Self> {
        let is_name = |part: &str| {
            !part.is_empty()
                && part.len() <= 32
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let variant = variant.filter(|variant| !variant.is_empty());
        if !is_name(os) || !is_name(architecture) || !variant.is_none_or(is_name) {
            return None;
        }
        let variant = match (architecture, variant) {
            ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
            ("arm", None) => Some("v7"),
            (_, variant) => variant,
        };
        Some(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }

    /// Returns the operating system, such as `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns the architecture, such as `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns the variant, if it means something, such as `v7`.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns the platform with `-` between its parts, for file names.
    pub fn dashed(&self) -> String {
        self.to_string().replace('/', "-")
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let parsed = match parts.as_slice() {
            [os, architecture] => Self::from_parts(os, architecture, None),
            [os, architecture, variant] if !variant.is_empty() => {
                Self::from_parts(os, architecture, Some(variant))
            }
            _ => None,
        };
        parsed.ok_or_else(|| InvalidPlatform(text.chars().take(100).collect()))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(formatter, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_that_mean_nothing_compare_equal() {
        for (one, other) in [("linux/arm64/v8", "linux/arm64"), ("linux/arm", "linux/arm/v7")] {
            assert_eq!(one.parse::<Platform>().unwrap(), other.parse().unwrap());
        }
        assert_ne!("linux/arm/v6".parse::<Platform>().unwrap(), "linux/arm".parse().unwrap());
    }

    #[test]
    fn texts_that_are_no_platforms_are_refused() {
        for text in
            ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd64/", "li nux/amd64", "linux/amd 64"]
        {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
    }
}
