//! How slow an answer may be.

use std::time::Duration;

/// How many bytes of an answer must come within which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many bytes at least.
    pub bytes: u64,
    /// Within this time of waiting for them.
    pub within: Duration,
}

impl Default for Pace {
    /// 1200 bytes a minute: less than one full packet. A modem of 9600 bit/s brings 1100 bytes a second, which are 34
    /// for each of the 32 requests that a host may have at once.
    fn default() -> Self {
        Self { bytes: 1200, within: Duration::from_secs(60) }
    }
}
