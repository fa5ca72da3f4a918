//! Gzip on several threads: one member, made of blocks that are compressed independently.
//!
//! ```text
//! file    = header[10] block* end crc32[4] size[4]
//! header  = 1f 8b 08 00, time 0, flags 0, system 255 (unknown)
//! block   = deflate of 1 MiB of input, ended by a sync flush: on a byte, and not the last
//! end     = 03 00, an empty last block
//! ```
//!
//! A block cannot refer to the one before it; on 1 MiB that costs less than one percent. The blocks'
//! checksums are combined, so that no thread reads the whole input.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flate2::{Compress, Crc, FlushCompress};

/// How much input makes a block.
pub(super) const BLOCK: usize = 1 << 20;
const LEVEL: u32 = 6;
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
const EMPTY_LAST_BLOCK: [u8; 2] = [3, 0];

/// Compresses what is written to it, a block ahead of each thread.
pub(super) struct GzipWriter<W> {
    output: W,
    block: Vec<u8>,
    jobs: Sender<Job>,
    /// The blocks at work, in their order; at most twice as many as threads, which bounds the memory.
    pending: VecDeque<Receiver<Block>>,
    limit: usize,
    checksum: Crc,
}

/// Work for one thread, and where to put the result.
struct Job {
    input: Vec<u8>,
    reply: Sender<Block>,
}

/// A block of input, compressed.
struct Block {
    compressed: io::Result<Vec<u8>>,
    checksum: Crc,
}

impl<W: Write> GzipWriter<W> {
    /// Writes the header and starts the threads.
    pub(super) fn new(mut output: W, workers: NonZero<usize>) -> io::Result<Self> {
        output.write_all(&HEADER)?;
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..workers.get() {
            let queue = Arc::clone(&queue);
            // The threads end when the writer, and with it the sender of jobs, is dropped.
            thread::Builder::new().name(format!("gzip-{number}")).spawn(move || work(&queue))?;
        }
        let limit = workers.get() * 2;
        let block = Vec::with_capacity(BLOCK);
        Ok(Self { output, block, jobs, pending: VecDeque::new(), limit, checksum: Crc::new() })
    }

    /// Compresses what is left and returns the output.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() {
            self.dispatch()?;
        }
        while !self.pending.is_empty() {
            self.write_oldest()?;
        }
        self.output.write_all(&EMPTY_LAST_BLOCK)?;
        self.output.write_all(&self.checksum.sum().to_le_bytes())?;
        self.output.write_all(&self.checksum.amount().to_le_bytes())?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn dispatch(&mut self) -> io::Result<()> {
        if self.pending.len() == self.limit {
            self.write_oldest()?;
        }
        let (reply, result) = mpsc::channel();
        let input = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        self.jobs.send(Job { input, reply }).map_err(|_| thread_died())?;
        self.pending.push_back(result);
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.pending.pop_front() else { return Ok(()) };
        let Block { compressed, checksum } = oldest.recv().map_err(|_| thread_died())?;
        self.output.write_all(&compressed?)?;
        self.checksum.combine(&checksum);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.dispatch()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn thread_died() -> io::Error {
    io::Error::other("a thread that compressed has died")
}

/// Compresses blocks until there are no more.
fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { input, reply }) = next else { return };
        let mut checksum = Crc::new();
        checksum.update(&input);
        // A writer that was dropped waits for no reply.
        let _ = reply.send(Block { compressed: compress(&input), checksum });
    }
}

/// Returns `input` as deflate blocks that end on a byte and are not the last.
fn compress(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut deflate = Compress::new(flate2::Compression::new(LEVEL), false);
    let mut output = Vec::with_capacity(input.len() / 2);
    loop {
        output.reserve(64 << 10);
        let consumed = usize::try_from(deflate.total_in()).expect("a block is 1 MiB");
        deflate.compress_vec(&input[consumed..], &mut output, FlushCompress::Sync)?;
        // Room left over means that the flush is complete (zlib's manual, `deflate`).
        if output.len() < output.capacity() {
            return Ok(output);
        }
    }
}
