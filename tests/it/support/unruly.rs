//! A server of our own that misbehaves on command: a registry, or a place of files.
//!
//! It keeps account of every byte that it sends, so that a test can say which were sent twice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::hostile::{Answer, Body, Hostile, Meter, Request};
use super::images::{Content, Image};

/// Returns a layer of exactly that many bytes, which nothing compresses (SplitMix64).
pub(crate) fn noise(size: usize) -> Content {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut state = size as u64;
    while bytes.len() < size {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 27)).to_le_bytes());
    }
    bytes.truncate(size);
    Content::new("application/vnd.oci.image.layer.v1.tar", bytes)
}

/// What it does instead of its duty, once.
#[derive(Debug, Clone)]
pub(crate) enum Whim {
    /// Sends so many bytes of what it announced, and closes the connection.
    Cut(usize),
    /// Sends so many bytes of what it announced, and then nothing.
    Stall(usize),
    /// Sends so many bytes in chunks, and ends as if these were all.
    Short(usize),
    /// Sends one byte after the other.
    Drip,
    /// Sends pieces of so many bytes, each when it is told to.
    Drops(usize, Meter),
    /// Sends other bytes.
    Wrong,
    /// Announces another length.
    Length(u64),
    /// Sends the whole where a part is asked for.
    Whole,
    /// Says that a part begins so many bytes later than it does.
    Shifted(usize),
    /// Says this.
    Says(Answer),
}

/// Sends so many bytes of a content, waits until a program has kept them all, and kills it.
pub(crate) struct Trap {
    limit: usize,
    /// The program, and the file in which it keeps what came.
    victim: Mutex<Option<(Pid, PathBuf)>>,
    is_set: Condvar,
}

impl Trap {
    /// Sets one that lets so many bytes pass, thousands of them.
    pub(crate) fn after(limit: usize) -> Arc<Self> {
        assert_eq!(limit % 1000, 0);
        Arc::new(Self { limit, victim: Mutex::default(), is_set: Condvar::new() })
    }

    /// Says whom it is for.
    pub(crate) fn set(&self, victim: &Child, kept: PathBuf) {
        *self.victim.lock().unwrap() = Some((Pid::from_child(victim), kept));
        self.is_set.notify_all();
    }

    /// Returns the whim of the request that springs it.
    pub(crate) fn whim(self: &Arc<Self>) -> Whim {
        let (trap, sent) = (Arc::clone(self), AtomicUsize::new(0));
        let meter = move |bytes: u64| {
            let before = sent.fetch_add(usize::try_from(bytes).unwrap(), Ordering::SeqCst);
            let passes = before < trap.limit;
            if !passes {
                trap.spring();
            }
            Ok(passes)
        };
        Whim::Drops(1000, Meter(Arc::new(meter)))
    }

    fn spring(&self) {
        let victim = self.is_set.wait_while(self.victim.lock().unwrap(), |victim| victim.is_none()).unwrap();
        let (program, kept) = victim.clone().unwrap();
        let has_all = || fs::metadata(&kept).is_ok_and(|found| found.len() >= self.limit as u64);
        // The program may end by itself, with an error that the test will show.
        while !has_all() && test_kill_process(program).is_ok() {
            std::thread::yield_now();
        }
        let _gone = kill_process(program, Signal::KILL);
    }
}

/// One request, as a whim may depend on it.
pub(crate) struct Ask<'a> {
    /// The last part of the path: a digest, a tag, a file's name.
    pub(crate) name: &'a str,
    /// How often the name was asked for before.
    pub(crate) number: usize,
    /// The request.
    pub(crate) request: &'a Request,
}

/// A running server.
pub(crate) struct Unruly {
    server: Hostile,
    sent: Arc<Mutex<BTreeMap<String, Vec<Range<usize>>>>>,
}

impl Unruly {
    /// Starts a registry that has one image, under every name, as its tag `1`.
    pub(crate) fn registry(
        image: &Image,
        whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static,
    ) -> Self {
        Self::start(image.by_name(), None, whim)
    }

    /// Starts a server of files, by the last parts of their paths.
    pub(crate) fn files(
        files: &[(&str, &[u8])],
        entity_tag: Option<&'static str>,
        whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static,
    ) -> Self {
        let content = |bytes: &[u8]| Content::new("application/octet-stream", bytes.to_vec());
        let contents = files.iter().map(|(name, bytes)| ((*name).to_owned(), content(bytes)));
        Self::start(contents.collect(), entity_tag, whim)
    }

    fn start(
        contents: BTreeMap<String, Content>,
        entity_tag: Option<&'static str>,
        whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static,
    ) -> Self {
        let sent = Arc::new(Mutex::new(BTreeMap::<String, Vec<Range<usize>>>::new()));
        let (account, asked) = (Arc::clone(&sent), Mutex::new(BTreeMap::<String, usize>::new()));
        let server = Hostile::start(move |request| {
            let path = request.target.split('?').next().unwrap();
            let name = path.rsplit('/').next().unwrap();
            let number = {
                let mut asked = asked.lock().unwrap();
                let count = asked.entry(name.to_owned()).or_default();
                *count += 1;
                *count - 1
            };
            let whim = whim(&Ask { name, number, request });
            if let Some(Whim::Says(answer)) = whim {
                return answer;
            }
            let Some(content) = contents.get(name) else {
                return Answer::new(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}"#);
            };
            let (answer, part) = answer(content, entity_tag, request, whim);
            if request.method == "GET" {
                account.lock().unwrap().entry(name.to_owned()).or_default().push(part);
            }
            answer
        });
        Self { server, sent }
    }

    /// Returns `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> &str {
        self.server.authority()
    }

    /// Returns the URL below which everything is.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Returns all requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Returns the ranges for which a name was asked by GET, in order; `whole` where there was none.
    pub(crate) fn asked(&self, name: &str) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        let of_name = requests.filter(|request| {
            request.method == "GET" && request.target.split('?').next().unwrap().ends_with(name)
        });
        of_name.map(|request| request.header("range").unwrap_or("whole").to_owned()).collect()
    }

    /// Returns how many bytes of a name were sent more than once.
    pub(crate) fn sent_twice(&self, name: &str) -> usize {
        let mut parts = self.sent.lock().unwrap().get(name).cloned().unwrap_or_default();
        parts.sort_by_key(|part| part.start);
        let (mut end, mut twice) = (0, 0);
        for part in parts {
            twice += part.end.min(end).saturating_sub(part.start);
            end = end.max(part.end);
        }
        twice
    }
}

/// Returns the answer, and which bytes are sent with it.
fn answer(
    content: &Content,
    entity_tag: Option<&str>,
    request: &Request,
    whim: Option<Whim>,
) -> (Answer, Range<usize>) {
    let whole = 0..content.bytes.len();
    let is_still = request.header("if-range").is_none_or(|tag| Some(tag) == entity_tag);
    let wanted = request.header("range").filter(|_| is_still).map(|range| parse(range, whole.end));
    if wanted.as_ref().is_some_and(|part| part.start >= whole.end) {
        let range = format!("bytes */{}", whole.end);
        return (Answer::new(416, "").header("Content-Range", &range), 0..0);
    }
    let (status, part) = match (wanted, &whim) {
        (Some(part), whim) if !matches!(whim, Some(Whim::Whole)) => (206, part),
        (Some(_) | None, _) => (200, whole.clone()),
    };
    let bytes = content.bytes[part.clone()].to_vec();
    let length = bytes.len() as u64;
    let first = |count: usize| (bytes[..count].to_vec(), part.start..part.start + count);
    let mut shift = 0;
    let (body, sent) = match whim {
        Some(Whim::Cut(count)) => (Body::Announced(first(count).0, length), first(count).1),
        Some(Whim::Stall(count)) => (Body::Stalling(first(count).0, length), first(count).1),
        Some(Whim::Short(count)) => (Body::Chunked(first(count).0), first(count).1),
        Some(Whim::Drip) => (Body::Slow(bytes, Duration::from_millis(1)), part.clone()),
        Some(Whim::Drops(size, meter)) => (Body::Drops(bytes, size, meter), part.clone()),
        Some(Whim::Wrong) => {
            (Body::Whole(bytes.iter().map(|byte| byte.wrapping_add(1)).collect()), part.clone())
        }
        Some(Whim::Length(length)) => (Body::Announced(bytes, length), part.clone()),
        Some(Whim::Shifted(by)) => {
            shift = by;
            (Body::Whole(bytes), part.clone())
        }
        Some(Whim::Whole | Whim::Says(_)) | None => (Body::Whole(bytes), part.clone()),
    };
    let mut answer = Answer::with_body(body)
        .status(status)
        .header("Content-Type", &content.descriptor.media_type)
        .header("Docker-Content-Digest", &content.descriptor.digest.to_string());
    if status == 206 {
        let range = format!("bytes {}-{}/{}", part.start + shift, part.end - 1, whole.end);
        answer = answer.header("Content-Range", &range);
    }
    let answer = entity_tag.into_iter().fold(answer, |answer, tag| answer.header("ETag", tag));
    (answer, sent)
}

fn parse(range: &str, length: usize) -> Range<usize> {
    let (first, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    let end = if last.is_empty() { length } else { last.parse::<usize>().unwrap() + 1 };
    first.parse().unwrap()..end
}

mod tests {
    use super::*;
    use crate::support::oracle;

    #[test]
    fn curl_gets_what_the_unruly_server_is_told_to_send() {
        let server = Unruly::files(&[("file", b"0123456789")], Some("\"tag\""), |ask| match ask.number {
            0 => Some(Whim::Cut(4)),
            1 => Some(Whim::Wrong),
            2 => Some(Whim::Whole),
            _ => None,
        });
        let url = server.url() + "/some/file?x=y";
        let curl = |arguments: &[&str]| {
            let output = oracle::command("curl").args(["-s", &url]).args(arguments).output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(curl(&[]), (Some(18), "0123".to_owned()), "curl says that the transfer was closed early");
        assert_eq!(curl(&[]), (Some(0), "123456789:".to_owned()));
        assert_eq!(curl(&["-H", "Range: bytes=4-"]), (Some(0), "0123456789".to_owned()));
        assert_eq!(curl(&["-r", "8-9", "-H", "If-Range: \"tag\""]), (Some(0), "89".to_owned()));
        assert_eq!(curl(&["-r", "8-9", "-H", "If-Range: \"old\""]), (Some(0), "0123456789".to_owned()));
        assert_eq!(server.asked("file"), ["whole", "whole", "bytes=4-", "bytes=8-9", "bytes=8-9"]);
        assert_eq!(server.sent_twice("file"), 4 + 10 + 2 + 10);
    }
}
