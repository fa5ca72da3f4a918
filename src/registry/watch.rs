//! Bodies that come, but so slowly that they are as good as none.
//!
//! Silence is found out by the timeout of a single read; a server that sends a byte now and then is never silent. So
//! what comes is counted over a longer time, as `curl --speed-limit --speed-time` does.
//!
//! # Why
//! Only the time of reading counts: the disk, or a worker that waits for another one, is not the server's fault. What
//! came too slowly is still passed on; the error follows at the next read, and the content goes on behind it.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::fault::Fault;
use super::pace::Pace;

/// Watches over the pace of one body.
#[derive(Debug)]
pub(super) struct Watch {
    least: Pace,
    clock: Arc<dyn Clock>,
    /// What came since the last judgement, and how long it was waited for.
    came: u64,
    waited: Duration,
    is_too_slow: bool,
}

impl Watch {
    /// Returns a watch over a body that begins.
    pub(super) fn new(least: Pace, clock: Arc<dyn Clock>) -> Self {
        Self { least, clock, came: 0, waited: Duration::ZERO, is_too_slow: false }
    }

    /// Reads on in the body, if it was not too slow.
    pub(super) fn read(&mut self, body: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_too_slow {
            return Err(io::Error::other(Fault::TooSlow(self.least)));
        }
        let began = self.clock.now();
        let read = body.read(buffer)?;
        self.note(read as u64, self.clock.now().saturating_sub(began));
        Ok(read)
    }

    fn note(&mut self, came: u64, waited: Duration) {
        self.came += came;
        self.waited += waited;
        if self.waited >= self.least.within {
            self.is_too_slow = self.came < self.least.bytes;
            (self.came, self.waited) = (0, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::clock::MonotonicClock;
    use super::*;

    /// Returns whether a body is too slow of which `bytes` come every so many seconds, for ten minutes.
    fn is_too_slow(bytes: u64, seconds: u64) -> bool {
        let mut watch = Watch::new(Pace::default(), Arc::new(MonotonicClock::default()));
        let judge = |_| {
            watch.note(bytes, Duration::from_secs(seconds));
            watch.is_too_slow
        };
        (0..600 / seconds).map(judge).collect::<BTreeSet<_>>().contains(&true)
    }

    #[test]
    fn a_drip_is_too_slow_and_the_slowest_line_that_anybody_has_is_not() {
        for (bytes, seconds) in [(1, 1), (1, 59), (19, 1), (1100, 60)] {
            assert!(is_too_slow(bytes, seconds), "{bytes} bytes each {seconds} s");
        }
        // A share of a modem's line, and one packet now and then.
        for (bytes, seconds) in [(34, 1), (1448, 59), (1448, 60), (1448, 42)] {
            assert!(!is_too_slow(bytes, seconds), "{bytes} bytes each {seconds} s");
        }
    }
}
