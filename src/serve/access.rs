//! The access log: one line for each answer, when its last byte is handed over.
//!
//! Lines go through a bounded queue to a thread of their own: who reads the log slowly does not slow the
//! answers, but misses lines, and is told how many. No line holds a header that could hold a password.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use hyper::header::USER_AGENT;
use hyper::{HeaderMap, Method, StatusCode, Uri};

use super::refusal::shown;
use crate::progress::Event;

/// How many lines wait for a slow reader.
const QUEUE: usize = 4096;
/// What the log repeats of a path.
const LONGEST_PATH: usize = 400;

/// Where lines go; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Log {
    sender: SyncSender<Event>,
    counts: Arc<Counts>,
}

/// What happened, in numbers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl Log {
    /// Returns a log and the end at which its lines come out.
    pub(super) fn new() -> (Self, Receiver<Event>) {
        let (sender, receiver) = sync_channel(QUEUE);
        (Self { sender, counts: Arc::default() }, receiver)
    }

    /// Returns what was counted so far.
    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Takes a line, unless too many wait already.
    pub(super) fn note(&self, text: String) {
        self.send(Event::Note(text));
    }

    /// Takes a warning, unless too many lines wait already.
    pub(super) fn warn(&self, text: String) {
        self.send(Event::Warning(text));
    }

    fn send(&self, event: Event) {
        if self.sender.try_send(event).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The line of one request, written when this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    log: Log,
    client: SocketAddr,
    request: String,
    agent: String,
    status: StatusCode,
    /// What the answer announced.
    announced: u64,
    /// What was handed over to the connection.
    pub(super) sent: u64,
    began: Instant,
    problem: Option<String>,
}

impl Entry {
    /// Begins the line of a request.
    pub(super) fn new(log: Log, client: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        Self {
            log,
            client,
            request: format!("{} {}", shown(method.as_str()), target(uri)),
            agent: agent.map(|agent| shown(&agent)).unwrap_or_default(),
            status: StatusCode::OK,
            announced: 0,
            sent: 0,
            began: Instant::now(),
            problem: None,
        }
    }

    /// Notes what is answered; `announced` are the bytes of the body that will be sent.
    pub(super) fn answered(&mut self, status: StatusCode, announced: u64) {
        self.status = status;
        self.announced = announced;
    }

    /// Notes why the answer cannot be sent whole.
    pub(super) fn failed(&mut self, error: &std::io::Error) {
        self.problem = Some(error.to_string());
    }
}

/// Returns path and query as the log shows them; parameters that mean nothing here are left out.
fn target(uri: &Uri) -> String {
    let mut text: String = uri.path().chars().take(LONGEST_PATH).flat_map(char::escape_debug).collect();
    let known =
        |part: &&str| ["ns=", "n=", "last=", "artifactType="].iter().any(|name| part.starts_with(name));
    let parameters: Vec<String> =
        uri.query().unwrap_or_default().split('&').filter(known).map(shown).collect();
    if !parameters.is_empty() {
        text.push('?');
        text += &parameters.join("&");
    }
    text
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Self { log, client, request, agent, status, announced, sent, began, problem } = self;
        let milliseconds = began.elapsed().as_millis();
        log.counts.requests.fetch_add(1, Ordering::Relaxed);
        log.counts.bytes.fetch_add(*sent, Ordering::Relaxed);
        let length =
            if sent == announced { format!("{sent} bytes") } else { format!("{sent} of {announced} bytes") };
        let status = status.as_u16();
        let problem = problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        log.note(format!("{client} {request} {status}, {length}, {milliseconds} ms, \"{agent}\"{problem}"));
    }
}
