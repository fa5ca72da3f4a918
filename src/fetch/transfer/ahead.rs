//! A large blob that one worker streams while others, who have nothing else to do, fetch parts ahead of it.
//!
//! One connection over a long way is slow, whatever the line can carry. So idle workers fetch closed ranges ahead of
//! the one who streams, into files of their own; when it gets there it reads the file instead of the network. The blob is
//! still hashed once, from its first byte to its last. However the run ends, the next one goes on with all that came: the
//! beginning, and each part.
//!
//! # Why
//! Nobody helps while whole blobs are waiting: many blobs at once use the line just as well, without more requests.
//! Whoever helps stays within a window, so that the disk holds little twice.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::digest::PIECE;
use crate::oci::{ImageSource, Reference, SourceError};
use crate::store::{Descriptor, DiskStore, Part};

/// From this size on others help.
pub(super) const LARGE: u64 = 64 * 1024 * 1024;
/// What a helper fetches at once.
const LENGTH: u64 = 16 * 1024 * 1024;
/// How far ahead of the one who streams others fetch.
const WINDOW: u64 = 16 * LENGTH;

/// A part ahead.
enum Further {
    /// Somebody fetches it.
    Coming,
    /// So much of it is there, and nobody fetches the rest.
    Kept(Part),
}

#[derive(Default)]
struct State {
    /// Where the one who streams is.
    position: u64,
    /// Where its connection ends.
    end: u64,
    parts: BTreeMap<u64, Further>,
    /// Whether the one who streams began.
    has_begun: bool,
    /// Nobody helps any more: it is over, or the source knows no parts.
    is_closed: bool,
    /// Nothing of the parts is of use, also of those that somebody still fetches.
    is_discarded: bool,
    was_helped: bool,
    /// How many bytes of parts earlier runs left.
    kept: u64,
}

impl State {
    /// Ends all help; what is there of the parts goes, or stays for the next run.
    fn close(&mut self, is_discarded: bool) {
        self.is_closed = true;
        self.is_discarded |= is_discarded;
        for part in std::mem::take(&mut self.parts).into_values() {
            match part {
                Further::Kept(part) if self.is_discarded => part.remove(),
                Further::Kept(_) | Further::Coming => {}
            }
        }
    }
}

/// A part that a helper is to fetch, and what is there of it.
pub(super) struct Taken {
    start: u64,
    begun: Option<Part>,
}

/// What help there was.
pub(super) struct Help {
    /// Whether there was any, now or in earlier runs.
    pub(super) is_any: bool,
    /// How many of the bytes earlier runs left.
    pub(super) kept: u64,
}

/// A large blob under way.
pub(super) struct Ahead {
    pub(super) descriptor: Descriptor,
    /// The image that it is fetched for.
    pub(super) image: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Ahead {
    pub(super) fn new(descriptor: Descriptor, image: usize) -> Self {
        Self { descriptor, image, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the lock")
    }

    /// Begins to stream at `position`, with the parts that earlier runs left.
    ///
    /// Who begins a second time found out that what came is wrong: nothing of it is used again.
    fn begin(&self, position: u64, store: &DiskStore) {
        let mut state = self.lock();
        state.position = position;
        if std::mem::replace(&mut state.has_begun, true) {
            state.close(true);
            state.kept = 0;
            return;
        }
        // Without them everything comes by the network.
        for part in store.parts(&self.descriptor.digest).unwrap_or_default() {
            let is_of_use = part.start() % LENGTH == 0
                && part.end() > position.max(part.start())
                && part.end() <= self.end_of(part.start());
            if !is_of_use {
                part.remove();
                continue;
            }
            state.kept += part.end() - part.start().max(position);
            state.was_helped = true;
            state.parts.insert(part.start(), Further::Kept(part));
        }
    }

    /// Returns where the part ends that begins at `start`.
    fn end_of(&self, start: u64) -> u64 {
        self.descriptor.size.min(start.saturating_add(LENGTH))
    }

    /// Takes the next part within the window that nobody has, or that nobody fetches the rest of.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        // The next boundary may be near: the one who streams goes on to the one behind it.
        let first = state.position.next_multiple_of(LENGTH) + LENGTH;
        let last = self.descriptor.size.min(state.position.saturating_add(WINDOW));
        let mut starts = (first..last).step_by(usize::try_from(LENGTH).unwrap_or(usize::MAX));
        let start = starts.find(|start| match state.parts.get(start) {
            None => true,
            Some(Further::Coming) => false,
            Some(Further::Kept(part)) => part.end() < self.end_of(*start),
        })?;
        state.was_helped = true;
        let begun = match state.parts.insert(start, Further::Coming) {
            Some(Further::Kept(part)) => Some(part),
            Some(Further::Coming) | None => None,
        };
        Some(Taken { start, begun })
    }

    /// Fetches a part that was taken, or what is missing of it.
    pub(super) fn help(
        &self,
        Taken { start, begun }: Taken,
        (source, reference): (&dyn ImageSource, &Reference),
        store: &DiskStore,
    ) {
        let mut part = begun.or_else(|| store.part(&self.descriptor.digest, start).ok());
        let is_whole = part.as_mut().is_some_and(|part| self.fetch(part, source, reference));
        let mut state = self.lock();
        // Who cannot help once is not asked again: the one who streams meets the same trouble, and tells it.
        state.is_closed |= !is_whole;
        state.parts.remove(&start);
        match part {
            Some(part) if state.is_discarded || part.end() == start => part.remove(),
            Some(part) => drop(state.parts.insert(start, Further::Kept(part))),
            None => {}
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Fetches what is missing of a part; tells whether it is whole then.
    fn fetch(&self, part: &mut Part, source: &dyn ImageSource, reference: &Reference) -> bool {
        let end = self.end_of(part.start());
        let missing = part.end()..end;
        if missing.is_empty() {
            return true;
        }
        let Ok(opened) = source.blob_part(reference, &self.descriptor, missing.clone()) else { return false };
        if opened.is_of_whole {
            return false;
        }
        let mut reader = opened.reader.take(missing.end - missing.start);
        let mut buffer = vec![0; PIECE];
        while part.end() < end && !self.lock().is_closed {
            let came = match reader.read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => part.append(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) => Err(error),
            };
            if came.is_err() {
                return false;
            }
        }
        part.end() == end
    }

    /// Ends all help; what is there of the parts goes, or stays for the next run.
    pub(super) fn close(&self, is_discarded: bool) -> Help {
        let mut state = self.lock();
        state.close(is_discarded);
        Help { is_any: state.was_helped, kept: state.kept }
    }
}

/// Where the bytes at the moment come from.
enum Current {
    Nothing,
    Network(Box<dyn Read + Send>),
    Kept(Part),
}

/// Reads a large blob: what others fetched ahead from its files, the rest from the source.
pub(super) struct Stitched<'a> {
    ahead: Arc<Ahead>,
    source: &'a dyn ImageSource,
    reference: &'a Reference,
    /// Is called whenever others can fetch more.
    moved: &'a (dyn Fn() + Sync),
    current: Current,
}

impl<'a> Stitched<'a> {
    /// Begins at an offset, with what is kept or else comes from the source.
    pub(super) fn open(
        ahead: &Arc<Ahead>,
        from: u64,
        (source, reference): (&'a dyn ImageSource, &'a Reference),
        store: &DiskStore,
        moved: &'a (dyn Fn() + Sync),
    ) -> Result<Self, SourceError> {
        let ahead = Arc::clone(ahead);
        ahead.begin(from, store);
        let mut stitched = Self { ahead, source, reference, moved, current: Current::Nothing };
        stitched.next()?;
        Ok(stitched)
    }

    /// Opens the source up to the next part that somebody has; to the end, if nobody helps.
    fn connect(&mut self, position: u64) -> Result<(), SourceError> {
        let size = self.ahead.descriptor.size;
        let mut state = self.ahead.lock();
        let next = state.parts.range(position..).next().map(|(start, _)| *start);
        let soon = || (position + 1).next_multiple_of(LENGTH).min(size);
        let end = next.unwrap_or_else(|| if state.was_helped && !state.is_closed { soon() } else { size });
        state.end = end;
        drop(state);
        let part = self.source.blob_part(self.reference, &self.ahead.descriptor, position..end)?;
        if part.is_of_whole && (position, end) != (0, size) {
            // It knows no parts: what comes is all that is left, by this one connection.
            let mut state = self.ahead.lock();
            state.close(true);
            state.end = size;
        }
        self.current = Current::Network(part.reader);
        Ok(())
    }

    /// Finds out where the next bytes come from; `false` at the end.
    fn next(&mut self) -> Result<bool, SourceError> {
        let ahead = Arc::clone(&self.ahead);
        let mut state = ahead.lock();
        let position = state.position;
        if position >= ahead.descriptor.size {
            return Ok(false);
        }
        while matches!(state.parts.get(&position), Some(Further::Coming)) {
            state = ahead.changed.wait(state).expect("nobody panics while holding the lock");
        }
        let last = state.parts.range(..=position).next_back().map(|(start, _)| *start);
        let here = last.and_then(|start| state.parts.remove(&start));
        drop(state);
        match here {
            Some(Further::Kept(part)) if part.end() > position => self.current = Current::Kept(part),
            Some(Further::Kept(_) | Further::Coming) | None => self.connect(position)?,
        }
        (self.moved)();
        Ok(true)
    }

    /// Returns how many bytes may be read before somebody else's part begins.
    ///
    /// The connection stays open until it is known whether somebody has what comes next.
    fn room(&self) -> u64 {
        let mut state = self.ahead.lock();
        while state.position < state.end && matches!(state.parts.get(&state.position), Some(Further::Coming))
        {
            state = self.ahead.changed.wait(state).expect("nobody panics while holding the lock");
        }
        let next = state.parts.range(state.position..).next().map_or(u64::MAX, |(start, _)| *start);
        next.min(state.end).saturating_sub(state.position)
    }
}

impl Read for Stitched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.current {
                Current::Nothing => 0,
                Current::Kept(part) => part.read_at(buffer, self.ahead.lock().position)?,
                Current::Network(_) => {
                    let room = self.room();
                    let length = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                    let Current::Network(reader) = &mut self.current else { return Ok(0) };
                    match reader.read(&mut buffer[..length])? {
                        // Cut: what is there is kept, and the next run goes on.
                        0 if length > 0 => return Ok(0),
                        read => read,
                    }
                }
            };
            if read > 0 {
                self.ahead.lock().position += read as u64;
                return Ok(read);
            }
            if buffer.is_empty() {
                return Ok(0);
            }
            // Whoever reads on has put away what was read.
            if let Current::Kept(part) = std::mem::replace(&mut self.current, Current::Nothing) {
                part.remove();
            }
            if !self.next().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
    }
}
