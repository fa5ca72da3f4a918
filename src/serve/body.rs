//! What an answer carries: nothing, a short text, or a part of a file with a fixed buffer.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use super::access::Entry;

/// What is read of a file at once: the most that one answer keeps in memory beside TLS's own records.
const BUFFER: usize = 128 * 1024;

/// The content of an answer.
#[derive(Debug)]
pub(super) enum Payload {
    /// Nothing; an answer to `HEAD` has a length all the same.
    Nothing,
    /// A text.
    Text(Bytes),
    /// A part of a file.
    File(FilePart),
}

impl Payload {
    /// Returns the bytes that are still to come.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Text(text) => text.len() as u64,
            Self::File(part) => part.end - part.offset,
        }
    }
}

/// A part of a file, read as fast as the client takes it.
#[derive(Debug)]
pub(super) struct FilePart {
    file: Arc<File>,
    offset: u64,
    end: u64,
    /// Whether the file system knows reads that do not wait.
    may_not_wait: bool,
    waiting: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FilePart {
    /// Reads `file` from `offset` to `end`, which is not behind its own end.
    pub(super) fn new(file: File, offset: u64, end: u64) -> Self {
        // Only advice: it is read from the beginning to the end.
        let _advice_only = rustix::fs::fadvise(&file, offset, None, rustix::fs::Advice::Sequential);
        Self { file: Arc::new(file), offset, end, may_not_wait: true, waiting: None }
    }

    fn next_length(&self) -> usize {
        usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(BUFFER)
    }

    /// Reads what the page cache has; `None` if the disk must be waited for.
    fn read_cached(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; self.next_length()];
        let parts = &mut [IoSliceMut::new(&mut buffer)];
        match rustix::io::preadv2(&self.file, parts, self.offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => {
                buffer.truncate(read);
                Ok(Some(buffer))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.may_not_wait = false;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads on a thread that may wait for the disk.
    fn read_elsewhere(&self) -> JoinHandle<io::Result<Vec<u8>>> {
        let (file, offset, length) = (Arc::clone(&self.file), self.offset, self.next_length());
        tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; length];
            let read = file.read_at(&mut buffer, offset)?;
            buffer.truncate(read);
            Ok(buffer)
        })
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.waiting.is_none()
            && self.may_not_wait
            && let Some(bytes) = self.read_cached()?
        {
            return Poll::Ready(self.advance(bytes));
        }
        if self.waiting.is_none() {
            self.waiting = Some(self.read_elsewhere());
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        let result = ready!(Pin::new(waiting).poll(context));
        self.waiting = None;
        Poll::Ready(self.advance(result.map_err(io::Error::other)??))
    }

    fn advance(&mut self, bytes: Vec<u8>) -> io::Result<Bytes> {
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        self.offset += bytes.len() as u64;
        Ok(bytes.into())
    }
}

/// The body of an answer; when it is dropped, the access log gets its line.
#[derive(Debug)]
pub(super) struct AnswerBody {
    payload: Payload,
    entry: Entry,
}

impl AnswerBody {
    pub(super) fn new(payload: Payload, entry: Entry) -> Self {
        Self { payload, entry }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { payload, entry } = &mut *self;
        if payload.length() == 0 {
            return Poll::Ready(None);
        }
        let read = match payload {
            Payload::Nothing => return Poll::Ready(None),
            Payload::Text(text) => Ok(std::mem::take(text)),
            Payload::File(part) => ready!(part.poll_read(context)),
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                entry.failed(&error);
                return Poll::Ready(Some(Err(error)));
            }
        };
        entry.sent += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.payload.length())
    }
}
