//! A bounded read buffer over a file, unpacking gzip on the way.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::{CaptureError, MOST_RECORD};

/// Read at once: large enough that system calls don't count, small enough for the second-level cache.
const CHUNK: usize = 256 << 10;

/// Bytes of a capture, looked at in place.
pub(super) struct Source<R> {
    input: Input<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the unpacked file of `buffer[start]`.
    offset: u64,
    ended: bool,
    /// The packing ended in the middle.
    broken: bool,
}

enum Input<R> {
    Plain(Counted<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Counted<R>>>>),
}

/// Counts what was read from the file itself.
struct Counted<R> {
    inner: R,
    count: u64,
    /// Bytes that were looked at to tell gzip from plain.
    head: Vec<u8>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            let taken = self.head.len().min(buffer.len());
            buffer[..taken].copy_from_slice(&self.head[..taken]);
            self.head.drain(..taken);
            return Ok(taken);
        }
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

impl<R: Read> Source<R> {
    pub(super) fn new(mut input: R) -> io::Result<Source<R>> {
        let mut head = Vec::new();
        input.by_ref().take(2).read_to_end(&mut head)?;
        let gzip = head == [0x1f, 0x8b];
        let counted = Counted { count: head.len() as u64, inner: input, head };
        let input = if gzip {
            // The decoder's output is bounded by this buffer, however much the file unpacks to.
            #[expect(clippy::disallowed_methods, reason = "streamed through a fixed buffer, nothing is held")]
            Input::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, counted))))
        } else {
            Input::Plain(counted)
        };
        Ok(Source { input, buffer: vec![0; CHUNK], start: 0, end: 0, offset: 0, ended: false, broken: false })
    }

    /// Bytes read from the file so far.
    pub(super) fn read_so_far(&self) -> u64 {
        match &self.input {
            Input::Plain(counted) => counted.count,
            Input::Gzip(decoder) => {
                let reader = decoder.get_ref();
                reader.get_ref().count - reader.buffer().len() as u64
            }
        }
    }

    /// Offset of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is left in the buffer.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Makes sure of `wanted` bytes in the buffer; false at the end of the file.
    #[inline]
    pub(super) fn fill(&mut self, wanted: usize) -> Result<bool, CaptureError> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        self.refill(wanted)
    }

    #[cold]
    fn refill(&mut self, wanted: usize) -> Result<bool, CaptureError> {
        debug_assert!(wanted <= MOST_RECORD + 64);
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.max(CHUNK), 0);
        }
        while self.end < wanted && !self.ended {
            let read = match &mut self.input {
                Input::Plain(input) => input.read(&mut self.buffer[self.end..]),
                Input::Gzip(input) => input.read(&mut self.buffer[self.end..]),
            };
            match read {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a broken archive still gave is worth reading.
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) => {
                    self.ended = true;
                    self.broken = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.end >= wanted)
    }

    /// The next `N` bytes, not taken.
    pub(super) fn peek<const N: usize>(&mut self) -> Result<Option<[u8; N]>, CaptureError> {
        if !self.fill(N)? {
            return Ok(None);
        }
        Ok(self.rest().first_chunk().copied())
    }

    /// Takes `count` bytes that [`fill`](Source::fill) has made sure of.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start = (from + count).min(self.end);
        self.offset += (self.start - from) as u64;
        &self.buffer[from..self.start]
    }

    /// Leaves out `count` bytes, however many they are; false when the file ends first.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<bool, CaptureError> {
        while count > 0 {
            if !self.fill(1)? {
                return Ok(false);
            }
            let now = count.min((self.end - self.start) as u64);
            self.take(now as usize);
            count -= now;
        }
        Ok(true)
    }

    /// Whether nothing is left; an error when the file ended before its packing did.
    pub(super) fn at_end(&mut self) -> Result<bool, CaptureError> {
        if self.fill(1)? {
            return Ok(false);
        }
        if self.broken { Err(CaptureError::Truncated { at: self.offset }) } else { Ok(true) }
    }
}
