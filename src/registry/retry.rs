//! When something is asked for again, and how long is waited before: one policy for every server.
//!
//! What passes by itself is asked for again: timeouts, resets, refused connections, a name server that is silent, 408,
//! 425, 429, 5xx, and bodies that end early. A 401 (beyond one new token), 403 and 404 never are, nor what only a person
//! can mend: certificates, protocols, passwords of proxies, names that nobody has. An outage, of the line or of a host
//! that answered before, does not count as attempts: it is waited out until the deadline.
//!
//! Waits double, with jitter; a server's own `Retry-After` wins. They are shared: while a host wants fewer requests, or is
//! away, nobody asks it for anything. How many requests a host has at once is bounded, and halved when it answers 429.
//!
//! # Why
//! A `Retry-After` that is a date is compared with the `Date` of the same answer: so this machine's clock, which may be
//! wrong, is not asked. A server that stalls is one that sends nothing for
//! [`read_timeout`](super::ClientOptions::read_timeout), or less than [`least_pace`](super::ClientOptions::least_pace);
//! the time counted here begins with the first failure, so that large bodies may take as long as they need.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use super::clock::{Clock, MonotonicClock};
use super::fault::Fault;
use crate::progress::{Event, Reporter, Silent};

/// How much patience a client has, and who hears of it.
#[derive(Clone)]
pub struct RetryPolicy {
    /// How often something is asked for in all, as long as nothing of it comes; at least once. With one attempt
    /// nothing is waited out either.
    pub attempts: u32,
    /// The wait after the first failure, of which jitter takes up to a half; twice as long after each further one.
    pub first_wait: Duration,
    /// The longest wait that is chosen here; a server may ask for a longer one.
    pub longest_wait: Duration,
    /// How long something is asked for after it first failed, waits included. A wait that would end later is not begun.
    pub deadline: Duration,
    /// How many requests a host may have at once.
    pub requests_per_host: usize,
    /// What the jitter is computed from.
    pub seed: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who hears of each [`Event::Retrying`].
    pub reporter: Arc<dyn Reporter>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            deadline: Duration::from_secs(600),
            requests_per_host: 32,
            seed: 0,
            clock: Arc::new(MonotonicClock::default()),
            reporter: Arc::new(Silent),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, first_wait, longest_wait, deadline, requests_per_host, .. } = self;
        formatter
            .debug_struct("RetryPolicy")
            .field("attempts", attempts)
            .field("first_wait", first_wait)
            .field("longest_wait", longest_wait)
            .field("deadline", deadline)
            .field("requests_per_host", requests_per_host)
            .finish_non_exhaustive()
    }
}

/// Why an attempt failed, where another one may not.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub(super) enum Failure {
    /// The server answered that it cannot now.
    #[display("{status}")]
    Answered {
        /// The status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No answer came.
    Unanswered(Fault),
    /// The answer broke off. The server may have others that do not, so the first time nobody waits.
    BrokenOff(Fault),
}

impl Failure {
    /// Returns the failure that a status is; `None` if asking again would not change it.
    pub(super) fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        let is_passing = matches!(status, 408 | 425 | 429 | 500..=599) && !matches!(status, 501 | 505 | 511);
        is_passing.then_some(Self::Answered { status, retry_after })
    }

    /// Returns whether the host is not to be asked for other things either.
    fn is_of_the_host(&self) -> bool {
        match self {
            // A 500 may be about this one thing; the others are about the server or what stands before it.
            Self::Answered { status, retry_after } => *status != 500 || retry_after.is_some(),
            Self::Unanswered(_) => true,
            Self::BrokenOff(_) => false,
        }
    }

    fn is_rate_limit(&self) -> bool {
        matches!(self, Self::Answered { status: 429, .. })
    }
}

/// Returns how long a server wants to be left alone (RFC 9110, "Retry-After"): seconds, or a date.
///
/// A date says something only together with the `Date` of the same answer.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value.trim()).ok()?;
    let now = httpdate::parse_http_date(date?.trim()).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// What a client knows of all hosts: whom to leave alone, and how busy each is.
#[derive(Debug)]
pub(super) struct Patience {
    policy: RetryPolicy,
    jitter: Mutex<fastrand::Rng>,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
}

#[derive(Debug)]
struct Host {
    state: Mutex<HostState>,
    left: Condvar,
}

#[derive(Debug)]
struct HostState {
    paused_until: Duration,
    /// Whether it ever answered in this run: then it is there, and what ends is an outage.
    has_answered: bool,
    /// The threads whose requests run, each as often as it has some.
    running: Vec<ThreadId>,
    limit: usize,
}

/// A request's place among those that a host may have at once; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    host: Arc<Host>,
    thread: ThreadId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let running = &mut lock(&self.host.state).running;
        if let Some(index) = running.iter().position(|thread| *thread == self.thread) {
            running.swap_remove(index);
        }
        self.host.left.notify_one();
    }
}

impl Patience {
    /// Returns the patience of a new client.
    pub(super) fn new(policy: RetryPolicy) -> Self {
        let jitter = Mutex::new(fastrand::Rng::with_seed(policy.seed));
        Self { policy, jitter, hosts: Mutex::default() }
    }

    /// Returns the time of the policy's clock.
    pub(super) fn now(&self) -> Duration {
        self.policy.clock.now()
    }

    /// Returns the policy's clock.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.policy.clock)
    }

    /// Begins to ask for one thing.
    pub(super) fn attempts(self: &Arc<Self>) -> Attempts {
        Attempts { patience: Arc::clone(self), has_others: false, failed: 0, since: None }
    }

    /// Has a host left alone because of a request that is not sent again here.
    pub(super) fn note(&self, host: &str, failure: &Failure) {
        // Who wants no second attempts does not want to wait for others' either.
        if let Failure::Answered { retry_after: Some(wait), .. } = failure
            && self.policy.attempts > 1
        {
            self.pause(host, failure, *wait);
        }
    }

    /// Returns whether it is news that the host is to be left alone.
    fn pause(&self, name: &str, failure: &Failure, wait: Duration) -> bool {
        let now = self.now();
        let host = self.host(name);
        let mut state = lock(&host.state);
        let is_news = state.paused_until <= now;
        state.paused_until = state.paused_until.max(now.saturating_add(wait));
        if failure.is_rate_limit() && is_news {
            state.limit = (state.limit / 2).max(1);
        }
        is_news
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        let known = hosts.entry(name.to_owned());
        Arc::clone(known.or_insert_with(|| {
            let limit = self.policy.requests_per_host.max(1);
            let state =
                HostState { paused_until: Duration::ZERO, has_answered: false, running: Vec::new(), limit };
            Arc::new(Host { state: Mutex::new(state), left: Condvar::new() })
        }))
    }
}

/// The attempts at one thing.
#[derive(Debug)]
pub(super) struct Attempts {
    patience: Arc<Patience>,
    /// Whether another place is asked if this one cannot be.
    has_others: bool,
    failed: u32,
    /// When it first failed.
    since: Option<Duration>,
}

impl Attempts {
    /// Has an outage of the host not waited out if another place can be asked.
    pub(super) fn with_others(self, has_others: bool) -> Self {
        Self { has_others, ..self }
    }

    /// Waits until a host may be asked, and takes a place there; if that would be too late, returns how long it is.
    pub(super) fn enter(&self, name: &str) -> Result<Place, Duration> {
        let patience = &self.patience;
        let host = patience.host(name);
        let thread = std::thread::current().id();
        loop {
            let wait = {
                let mut state = lock(&host.state);
                // Who has a place already would wait for himself.
                while state.running.len() >= state.limit && !state.running.contains(&thread) {
                    state = host.left.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                let now = patience.now();
                if state.paused_until <= now {
                    state.running.push(thread);
                    break;
                }
                state.paused_until - now
            };
            if self.is_too_late(wait) {
                return Err(wait);
            }
            patience.policy.clock.wait(wait);
        }
        Ok(Place { host, thread })
    }

    /// Takes note of an answer that shows that the host is not in trouble.
    pub(super) fn succeeded(&self, name: &str) {
        let host = self.patience.host(name);
        let mut state = lock(&host.state);
        state.has_answered = true;
        if state.limit < self.patience.policy.requests_per_host {
            state.limit += 1;
            host.left.notify_one();
        }
    }

    /// Takes note of a failure; returns how long is to be waited before the next attempt, if there is one.
    pub(super) fn next(&mut self, host: &str, failure: &Failure) -> Option<Duration> {
        let policy = &self.patience.policy;
        self.failed += 1;
        self.since.get_or_insert(self.patience.now());
        let wait = self.wait_after(failure);
        let is_waited_out = self.is_outage(host, failure);
        let is_last = (self.failed >= policy.attempts && !is_waited_out) || self.is_too_late(wait);
        if is_last {
            self.patience.note(host, failure);
            return None;
        }
        let is_news = !failure.is_of_the_host() || self.patience.pause(host, failure, wait);
        if is_news {
            policy.reporter.report(Event::Retrying {
                host: host.to_owned(),
                reason: failure.to_string(),
                wait,
                attempt: self.failed + 1,
                attempts: (!is_waited_out).then_some(policy.attempts),
            });
        }
        Some(wait)
    }

    /// Returns whether a failure is one of the way to the host, which is waited out until the deadline.
    ///
    /// A host that refuses from the beginning may be a mistake in a spec, and one that others stand for need not be
    /// waited for: both are given up after a few attempts.
    fn is_outage(&self, host: &str, failure: &Failure) -> bool {
        let Failure::Unanswered(fault) = failure else { return false };
        let is_there = || lock(&self.patience.host(host).state).has_answered;
        let is_outage = fault.is_of_the_line() || (fault.is_passing() && is_there());
        is_outage && !self.has_others && self.patience.policy.attempts > 1
    }

    /// Waits.
    pub(super) fn wait(&self, duration: Duration) {
        if !duration.is_zero() {
            self.patience.policy.clock.wait(duration);
        }
    }

    /// Begins to count anew: some of it came.
    pub(super) fn progressed(&mut self) {
        (self.failed, self.since) = (0, None);
    }

    /// Returns how often it was asked for in vain, for an error: nothing if once.
    pub(super) fn shown(&self) -> String {
        if self.failed > 1 { format!(" ({} attempts)", self.failed) } else { String::new() }
    }

    fn wait_after(&self, failure: &Failure) -> Duration {
        let policy = &self.patience.policy;
        match failure {
            Failure::Answered { retry_after: Some(wait), .. } => return *wait,
            Failure::BrokenOff(_) if self.failed == 1 => return Duration::ZERO,
            Failure::Answered { .. } | Failure::Unanswered(_) | Failure::BrokenOff(_) => {}
        }
        let doubled = policy.first_wait.saturating_mul(2_u32.saturating_pow(self.failed - 1));
        doubled.min(policy.longest_wait).mul_f64(0.5 + lock(&self.patience.jitter).f64() / 2.0)
    }

    fn is_too_late(&self, wait: Duration) -> bool {
        let now = self.patience.now();
        let passed = now.saturating_sub(self.since.unwrap_or(now));
        passed.saturating_add(wait) > self.patience.policy.deadline
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
