//! Time zones, by the names that all systems have files for.
//!
//! cloud-init leaves a node whose zone it does not find in UTC, and says so in a log: a name that is none is refused.

use std::str::FromStr;

use super::list;
use crate::net::Invalid;

/// The names, sorted, with where and when they were read in comments before them.
const NAMES: &str = include_str!("time-zones.txt");

/// A name of the IANA time zone database, such as `Asia/Seoul`.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub struct TimeZone(&'static str);

impl TimeZone {
    /// What nodes have unless they are told.
    pub const UTC: Self = Self("UTC");

    /// Returns all names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        list::entries(NAMES)
    }
}

impl FromStr for TimeZone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let zone = Self::names().find(|name| *name == text);
        zone.map(Self).ok_or_else(|| Invalid::new(text, "a time zone that every system has"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_one_that_there_is() {
        for name in ["UTC", "Asia/Seoul", "Etc/GMT+9", "America/Argentina/Buenos_Aires"] {
            assert_eq!(name.parse::<TimeZone>().unwrap().to_string(), name);
        }
        for name in ["", "Asia/Seol", "asia/seoul", "US/Pacific", "+9", "Asia", "../etc/passwd", "# x"] {
            assert!(name.parse::<TimeZone>().is_err(), "{name:?}");
        }
        assert_eq!("UTC".parse(), Ok(TimeZone::UTC));
        assert!(TimeZone::names().collect::<Vec<_>>().is_sorted());
    }
}
