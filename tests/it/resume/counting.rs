//! A registry that counts the bytes it sends of each blob, and does something when it has sent so many.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::hostile::{Answer, Body, Hostile, Meter, Request};
use crate::support::images::{Content, Image};

/// What the registry knows of ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    /// They are answered with 206.
    Known,
    /// They are answered with the whole.
    Ignored,
    /// They are answered with 416.
    Refused,
    /// They are answered with another range.
    Wrong,
}

/// What happens when so many bytes of blobs have been sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    /// The client gets a signal, and no byte more.
    Signal(Signal),
    /// No byte more is sent.
    Stall,
    /// No byte more is sent, and every connection is closed.
    HangUp,
}

#[derive(Default)]
struct State {
    sent: BTreeMap<String, u64>,
    /// The digest and the first byte of each blob that was asked for.
    asked: Vec<(String, u64)>,
    total: u64,
    limit: Option<(u64, Then)>,
    /// No blob gets more than a MiB until this many parts were asked for.
    gate: usize,
    client: Option<Pid>,
    is_reached: bool,
    /// Connections before this one are of clients that are gone: what is still answered to them does not count.
    first_connection: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A running registry of one image, `app:1`.
pub(super) struct Counting {
    server: Hostile,
    shared: Arc<Shared>,
}

impl Counting {
    /// Serves an image.
    pub(super) fn start(image: &Image, ranges: Ranges) -> Self {
        let contents = image.by_name();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let counting = Arc::clone(&shared);
        let server = Hostile::start(move |request: &Request| {
            let Some(content) = contents.get(request.target.rsplit('/').next().unwrap()) else {
                return Answer::new(404, "");
            };
            if !request.target.contains("/blobs/") {
                return Answer::new(200, content.bytes.clone())
                    .header("Content-Type", &content.descriptor.media_type)
                    .header("Docker-Content-Digest", &content.descriptor.digest.to_string());
            }
            counting.answer(request, content, ranges)
        });
        Self { server, shared }
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Forgets what was counted, and has something done after `limit` bytes of blobs.
    pub(super) fn begin(&self, limit: Option<(u64, Then)>) {
        *self.shared.state.lock().unwrap() = State { limit, ..self.nothing_yet() };
    }

    /// Forgets what was counted; no blob gets more than a MiB until `parts` parts were asked for.
    pub(super) fn begin_gated(&self, parts: usize) {
        *self.shared.state.lock().unwrap() = State { gate: parts, ..self.nothing_yet() };
    }

    fn nothing_yet(&self) -> State {
        State { first_connection: self.server.connections(), ..State::default() }
    }

    /// Says who the client is that gets the signal.
    pub(super) fn set_client(&self, client: Pid) {
        self.shared.state.lock().unwrap().client = Some(client);
        self.shared.changed.notify_all();
    }

    /// Waits until the limit is reached.
    pub(super) fn wait_for_limit(&self) {
        let state = self.shared.state.lock().unwrap();
        drop(self.shared.changed.wait_while(state, |state| !state.is_reached).unwrap());
    }

    /// Returns how many bytes were sent of each blob.
    pub(super) fn sent(&self) -> BTreeMap<String, u64> {
        self.shared.state.lock().unwrap().sent.clone()
    }

    /// Returns the digest and the first byte of each blob that was asked for.
    pub(super) fn asked(&self) -> Vec<(String, u64)> {
        self.shared.state.lock().unwrap().asked.clone()
    }
}

impl Shared {
    fn answer(self: &Arc<Self>, request: &Request, content: &Content, ranges: Ranges) -> Answer {
        let (bytes, digest) = (&content.bytes, content.descriptor.digest.to_string());
        let connection = request.connection;
        if connection < self.state.lock().unwrap().first_connection {
            return Answer::hang_up();
        }
        let meter = self.meter(&digest, connection);
        let wanted = request.header("range").and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
        });
        let note = |from: usize| {
            self.state.lock().unwrap().asked.push((digest, from as u64));
            self.changed.notify_all();
        };
        match (wanted, ranges) {
            (None, _) | (Some(_), Ranges::Ignored) => {
                note(0);
                Answer::with_body(Body::Metered(bytes.clone(), meter))
            }
            (Some(_), Ranges::Refused) => Answer::new(416, ""),
            (Some((first, last)), Ranges::Known | Ranges::Wrong) => {
                let first = if ranges == Ranges::Wrong { first - 1 } else { first };
                note(first);
                let range = format!("bytes {first}-{last}/{}", bytes.len());
                Answer::with_body(Body::Metered(bytes[first..=last].to_vec(), meter))
                    .status(206)
                    .header("Content-Range", &range)
            }
        }
    }

    fn meter(self: &Arc<Self>, digest: &str, connection: usize) -> Meter {
        let (shared, digest) = (Arc::clone(self), digest.to_owned());
        Meter(Arc::new(move |bytes| shared.count(&digest, connection, bytes)))
    }

    fn count(&self, digest: &str, connection: usize, bytes: u64) -> std::io::Result<bool> {
        let mut state = self.state.lock().unwrap();
        if connection < state.first_connection {
            return Ok(false);
        }
        if state.sent.get(digest).is_some_and(|sent| *sent > 1024 * 1024) {
            state = self.changed.wait_while(state, |state| state.asked.len() < state.gate).unwrap();
        }
        let Some((_, then)) = state.limit.filter(|(limit, _)| state.total + bytes > *limit) else {
            state.total += bytes;
            *state.sent.entry(digest.to_owned()).or_default() += bytes;
            return Ok(true);
        };
        if !state.is_reached {
            if let Then::Signal(signal) = then {
                state = self.changed.wait_while(state, |state| state.client.is_none()).unwrap();
                // The client may have ended by itself, with an error that the test will show.
                let _gone = kill_process(state.client.expect("waited for"), signal);
            }
            state.is_reached = true;
            self.changed.notify_all();
        }
        match then {
            Then::Signal(_) | Then::Stall => Ok(false),
            Then::HangUp => Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
    }
}
