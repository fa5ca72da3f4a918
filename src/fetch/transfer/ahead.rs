//! A large blob that one worker streams while others, who have nothing else to do, fetch parts ahead of it.
//!
//! One connection over a long way is slow, whatever the line can carry. So idle workers fetch closed ranges ahead of
//! the one who streams, into temporary files; when it gets there it reads the file instead of the network. The blob is
//! still hashed once, from its first byte to its last, and what is kept for the next run is still its beginning.
//!
//! # Why
//! Nobody helps while whole blobs are waiting: many blobs at once use the line just as well, without more requests.
//! Whoever helps stays within a window, so that the disk holds little twice.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::oci::{ImageSource, Reference, SourceError};
use crate::store::{Descriptor, DiskStore};

/// From this size on others help.
pub(super) const LARGE: u64 = 64 * 1024 * 1024;
/// What a helper fetches at once.
const PART: u64 = 16 * 1024 * 1024;
/// How far ahead of the one who streams others fetch.
const WINDOW: u64 = 16 * PART;

/// A part ahead.
enum Part {
    /// Somebody fetches it.
    Coming,
    /// It is there, all of it.
    There(tempfile::NamedTempFile),
}

#[derive(Default)]
struct State {
    /// Where the one who streams is.
    position: u64,
    /// Where its connection ends.
    end: u64,
    parts: BTreeMap<u64, Part>,
    /// Nobody helps any more: it is over, or the source knows no parts.
    is_closed: bool,
    was_helped: bool,
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

    /// Takes the next part that nobody has, within the window.
    pub(super) fn take(&self) -> Option<Range<u64>> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        // The next boundary may be near: the one who streams goes on to the one behind it.
        let first = state.position.next_multiple_of(PART) + PART;
        let last = self.descriptor.size.min(state.position.saturating_add(WINDOW));
        let mut starts = (first..last).step_by(usize::try_from(PART).unwrap_or(usize::MAX));
        let start = starts.find(|start| !state.parts.contains_key(start))?;
        state.parts.insert(start, Part::Coming);
        state.was_helped = true;
        Some(start..self.descriptor.size.min(start + PART))
    }

    /// Fetches a part that was taken.
    pub(super) fn help(
        &self,
        part: Range<u64>,
        (source, reference): (&dyn ImageSource, &Reference),
        store: &DiskStore,
    ) {
        let start = part.start;
        let fetched = self.fetch(part, (source, reference), store);
        let mut state = self.lock();
        // Who cannot help once is not asked again: the one who streams meets the same trouble, and tells it.
        state.is_closed |= fetched.is_none();
        match fetched {
            Some(file) => drop(state.parts.insert(start, Part::There(file))),
            None => drop(state.parts.remove(&start)),
        }
        drop(state);
        self.changed.notify_all();
    }

    fn fetch(
        &self,
        part: Range<u64>,
        (source, reference): (&dyn ImageSource, &Reference),
        store: &DiskStore,
    ) -> Option<tempfile::NamedTempFile> {
        let length = part.end - part.start;
        let opened = source.blob_part(reference, &self.descriptor, part).ok()?;
        if opened.is_of_whole {
            return None;
        }
        let mut file = store.scratch(&self.descriptor.digest).ok()?;
        let mut reader = opened.reader.take(length);
        let (mut buffer, mut written) = (vec![0; 256 * 1024], 0);
        while written < length && !self.lock().is_closed {
            match reader.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => {
                    file.write_all(&buffer[..read]).ok()?;
                    written += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        (written == length).then_some(file)
    }

    /// Ends all help; tells whether there was any.
    pub(super) fn close(&self) -> bool {
        let mut state = self.lock();
        state.is_closed = true;
        // Files that nobody will read.
        state.parts.clear();
        state.was_helped
    }
}

/// Where the bytes at the moment come from.
enum Current {
    Nothing,
    Network(Box<dyn Read + Send>),
    File(io::Take<std::fs::File>),
}

/// Reads a large blob: what others fetched ahead from its file, the rest from the source.
pub(super) struct Stitched<'a> {
    ahead: Arc<Ahead>,
    source: &'a dyn ImageSource,
    reference: &'a Reference,
    /// Is called whenever others can fetch more.
    moved: &'a (dyn Fn() + Sync),
    current: Current,
}

impl<'a> Stitched<'a> {
    /// Begins at an offset; the first bytes come from the source.
    pub(super) fn open(
        ahead: &Arc<Ahead>,
        from: u64,
        (source, reference): (&'a dyn ImageSource, &'a Reference),
        moved: &'a (dyn Fn() + Sync),
    ) -> Result<Self, SourceError> {
        let ahead = Arc::clone(ahead);
        ahead.lock().position = from;
        let mut stitched = Self { ahead, source, reference, moved, current: Current::Nothing };
        stitched.connect(from)?;
        Ok(stitched)
    }

    /// Opens the source up to the next part that somebody has; to the end, if nobody helps.
    fn connect(&mut self, position: u64) -> Result<(), SourceError> {
        let size = self.ahead.descriptor.size;
        let mut state = self.ahead.lock();
        let next = state.parts.range(position..).next().map(|(start, _)| *start);
        let soon = || (position + 1).next_multiple_of(PART).min(size);
        let end = next.unwrap_or_else(|| if state.was_helped && !state.is_closed { soon() } else { size });
        state.end = end;
        drop(state);
        let part = self.source.blob_part(self.reference, &self.ahead.descriptor, position..end)?;
        if part.is_of_whole && (position, end) != (0, size) {
            // It knows no parts: what comes is all that is left, by this one connection.
            let mut state = self.ahead.lock();
            state.is_closed = true;
            state.parts.clear();
            state.end = size;
        }
        self.current = Current::Network(part.reader);
        Ok(())
    }

    /// Finds out where the next bytes come from; `false` at the end.
    fn next(&mut self) -> io::Result<bool> {
        let ahead = Arc::clone(&self.ahead);
        let mut state = ahead.lock();
        let position = state.position;
        if position >= ahead.descriptor.size {
            return Ok(false);
        }
        while matches!(state.parts.get(&position), Some(Part::Coming)) {
            state = ahead.changed.wait(state).expect("nobody panics while holding the lock");
        }
        match state.parts.remove(&position) {
            Some(Part::There(file)) => {
                drop(state);
                self.current = Current::File(file.reopen()?.take(PART));
            }
            Some(Part::Coming) | None => {
                drop(state);
                self.connect(position).map_err(io::Error::other)?;
            }
        }
        (self.moved)();
        Ok(true)
    }

    /// Returns how many bytes may be read before somebody else's part begins.
    ///
    /// The connection stays open until it is known whether somebody has what comes next.
    fn room(&self) -> u64 {
        let mut state = self.ahead.lock();
        while state.position < state.end && matches!(state.parts.get(&state.position), Some(Part::Coming)) {
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
                Current::File(file) => file.read(buffer)?,
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
            self.current = Current::Nothing;
            if buffer.is_empty() || !self.next()? {
                return Ok(0);
            }
        }
    }
}
