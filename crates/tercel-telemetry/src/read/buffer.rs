//! A window onto a stream that grows only as far as one record needs.

use std::io::{self, Read};

/// What is read at a time, at least.
const STEP: usize = 256 << 10;

/// Bytes of a stream, from the first one not consumed.
pub(crate) struct Buffer<'r> {
    source: Box<dyn Read + 'r>,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
    /// An error of the source, reported once what came before it is consumed.
    error: Option<io::Error>,
}

impl<'r> Buffer<'r> {
    pub fn new(source: Box<dyn Read + 'r>) -> Buffer<'r> {
        Buffer { source, buf: Vec::new(), start: 0, end: 0, eof: false, error: None }
    }

    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
    }

    /// Whether the source has ended (or failed): [`Buffer::data`] is all there is.
    pub fn at_end(&self) -> bool {
        self.eof
    }

    /// Reads more: at least doubles what is there, so that looking at it again each time costs no more
    /// than twice its length in all. `false` at the end.
    pub fn more(&mut self) -> bool {
        if self.eof {
            return false;
        }
        let have = self.end - self.start;
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = have;
        }
        let goal = (have * 2).max(STEP);
        if self.buf.len() < goal {
            self.buf.resize(goal, 0);
        }
        while self.end < goal {
            match self.source.read(&mut self.buf[self.end..]) {
                Ok(0) => {
                    self.eof = true;
                    break;
                }
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.error = Some(e);
                    self.eof = true;
                    break;
                }
            }
        }
        self.end > have
    }

    /// The error at which the source ended, if it did.
    pub fn finish(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Passes over everything up to and including the next newline that is not in the first `seen`
    /// bytes. Memory stays bounded. `false` if there is none.
    pub fn skip_line(&mut self, seen: usize) -> bool {
        self.consume(seen);
        loop {
            if let Some(i) = memchr::memchr(b'\n', self.data()) {
                self.consume(i + 1);
                return true;
            }
            let n = self.data().len();
            self.consume(n);
            if !self.more() {
                return false;
            }
        }
    }
}

/// What [`next_line`] found.
pub(crate) enum Line {
    /// Length without the newline, and with it.
    Whole(usize, usize),
    TooLong,
    End,
}

/// Finds the next line in the buffer; it is not consumed.
pub(crate) fn next_line(buffer: &mut Buffer<'_>, limit: usize) -> Line {
    let mut searched = 0;
    loop {
        let data = buffer.data();
        match memchr::memchr(b'\n', &data[searched..]) {
            Some(i) => {
                let n = searched + i;
                return if n > limit { Line::TooLong } else { Line::Whole(n, n + 1) };
            }
            None if data.len() > limit => return Line::TooLong,
            None => {
                searched = data.len();
                if !buffer.more() {
                    return if searched == 0 { Line::End } else { Line::Whole(searched, searched) };
                }
            }
        }
    }
}
