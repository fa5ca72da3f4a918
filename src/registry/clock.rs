//! The time that waits and slow answers are measured by.

use std::fmt;
use std::time::{Duration, Instant};

/// Where the time comes from, and where it goes.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns how long ago a moment was that is the same for all calls.
    fn now(&self) -> Duration;

    /// Waits.
    fn wait(&self, duration: Duration);
}

/// The time of this machine since the clock was made, whatever the date is set to.
#[derive(Debug)]
pub struct MonotonicClock(Instant);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
