//! The one time a build knows.
//!
//! Every date that seedkit writes (volume descriptors, tar members, certificate validity, templates) comes
//! from an [`Epoch`]; nothing below `cli` reads a clock. The variable `SOURCE_DATE_EPOCH` sets it, the lock
//! records it. See <https://reproducible-builds.org/specs/source-date-epoch/>.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Seconds since 1970-01-01T00:00:00Z, between 1980 and 2100 so that every format can hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, derive_more::Into)]
#[serde(into = "u64", try_from = "u64")]
pub struct Epoch(u64);

/// Says why a number is not a usable epoch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a usable epoch: expected seconds since 1970 between 315532800 (1980) and 4102444800 (2100)"
)]
pub struct InvalidEpoch(String);

impl Epoch {
    const EARLIEST: u64 = 315_532_800;
    const LATEST: u64 = 4_102_444_800;

    /// Returns the seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// Returns the same instant as a civil date in UTC.
    pub fn date_time(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.0).expect("an epoch is at most 4102444800");
        OffsetDateTime::from_unix_timestamp(seconds).expect("an epoch lies between 1980 and 2100")
    }
}

impl TryFrom<u64> for Epoch {
    type Error = InvalidEpoch;

    fn try_from(seconds: u64) -> Result<Self, InvalidEpoch> {
        if (Self::EARLIEST..=Self::LATEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(InvalidEpoch(seconds.to_string()))
        }
    }
}

impl FromStr for Epoch {
    type Err = InvalidEpoch;

    fn from_str(text: &str) -> Result<Self, InvalidEpoch> {
        let seconds: u64 = text.trim().parse().map_err(|_| InvalidEpoch(text.to_owned()))?;
        Self::try_from(seconds)
    }
}

impl fmt::Display for Epoch {
    /// Writes the instant as RFC 3339, in UTC.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        formatter.write_str(&self.date_time().format(&format).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_prints_as_rfc_3339() {
        assert_eq!("1763683200".parse::<Epoch>().unwrap().to_string(), "2025-11-21T00:00:00Z");
    }

    #[test]
    fn epochs_that_some_format_cannot_hold_are_refused() {
        for text in ["0", "-1", "315532799", "4102444801", "now", ""] {
            assert!(text.parse::<Epoch>().is_err(), "{text}");
        }
    }
}
