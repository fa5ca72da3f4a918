//! A client's patience that costs no time: waits are written down instead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use seedkit::progress::{Event, Reporter};
use seedkit::registry::{ClientOptions, Clock, RetryPolicy};

/// A clock that only waiting moves, and that writes down for how long.
#[derive(Debug, Default)]
pub(crate) struct StillClock(Mutex<Vec<Duration>>);

impl Clock for StillClock {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().iter().sum()
    }

    fn wait(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

impl StillClock {
    /// Returns all waits so far.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

/// Writes down what is told.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Event>>);

impl Reporter for Heard {
    fn report(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Heard {
    /// Returns all that was told so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

/// What a test hears of a client's patience.
pub(crate) struct Patience {
    /// Its clock.
    pub(crate) clock: Arc<StillClock>,
    /// Its events.
    pub(crate) heard: Arc<Heard>,
}

/// How long a client waits for a server that is silent on purpose: short for the test, long for a machine that is busy.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// Returns options with the usual policy, and what can be heard of it. No time passes while a test waits.
pub(crate) fn options() -> (ClientOptions, Patience) {
    let patience = Patience { clock: Arc::default(), heard: Arc::default() };
    let (clock, reporter) = (patience.clock.clone(), patience.heard.clone());
    let retry = RetryPolicy { clock, reporter, ..RetryPolicy::default() };
    (ClientOptions { retry, ..ClientOptions::default() }, patience)
}
