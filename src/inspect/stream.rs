//! Readers of what may be of any size.

use std::io::{self, Read};

use crate::progress::{Event, Reporter};

/// Tells a reporter how far the reading is.
pub(super) struct Reported<'a, R> {
    pub(super) inner: R,
    pub(super) reporter: &'a dyn Reporter,
}

impl<R: Read> Read for Reported<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.reporter.report(Event::Advanced(read as u64));
        Ok(read)
    }
}

/// Reads a text of at most `limit` bytes; `None` if it has more, or is not UTF-8.
pub(super) fn read_text(input: impl Read, limit: u64) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Ok(None) } else { Ok(String::from_utf8(bytes).ok()) }
}
