//! What work says while it runs.
//!
//! Work below `cli` never prints: it tells a [`Reporter`], which cannot fail and must not block. Durations are
//! the reporter's business, because only `cli` knows a clock.

use std::sync::Arc;
use std::time::Duration;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step of this name, in the imperative (`mirror images`), began; steps do not nest.
    StepStarted(String),
    /// The current step has this much to do.
    Planned {
        /// Bytes that will be reported by [`Event::Advanced`].
        bytes: u64,
        /// Things that will be reported by [`Event::ItemFinished`].
        items: u64,
    },
    /// So many more of the current step's bytes are done.
    Advanced(u64),
    /// One thing of the current step, of this name, is done.
    ItemFinished(String),
    /// The current step ended well: what it achieved, in one line.
    StepFinished(String),
    /// A request failed in passing and is sent again.
    Retrying {
        /// The host, with its port if that is not the usual one.
        host: String,
        /// Why, in a few words: `429`.
        reason: String,
        /// How long is waited before.
        wait: Duration,
        /// The number of the attempt that follows.
        attempt: u32,
        /// How many there are in all, if nothing comes of any.
        attempts: Option<u32>,
    },
    /// Something the user may want to know, in one line.
    Note(String),
    /// Something the user should know, in one line.
    Warning(String),
}

/// Listens to work.
pub trait Reporter: Send + Sync {
    /// Takes note of an event.
    fn report(&self, event: Event);

    /// Says in one line what the user may want to know.
    fn note(&self, text: String) {
        self.report(Event::Note(text));
    }

    /// Says in one line what the user should know.
    fn warn(&self, text: String) {
        self.report(Event::Warning(text));
    }
}

impl<R: Reporter + ?Sized> Reporter for Arc<R> {
    fn report(&self, event: Event) {
        (**self).report(event);
    }
}

/// Listens, and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: Event) {}
}

/// A number of bytes as people read it: `1.5 MiB`; exact below 1 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return write!(formatter, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(formatter, "{value:.1} {}", UNITS[unit])
    }
}

/// Runs one step between its two events; a step that fails has no end.
pub fn step<T, E>(
    reporter: &dyn Reporter,
    name: &str,
    work: impl FnOnce() -> Result<(T, String), E>,
) -> Result<T, E> {
    reporter.report(Event::StepStarted(name.to_owned()));
    let (value, summary) = work()?;
    reporter.report(Event::StepFinished(summary));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_are_exact_when_few_and_short_when_many() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (600 * 1024 * 1024, "600.0 MiB"),
            (5 << 40, "5.0 TiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
