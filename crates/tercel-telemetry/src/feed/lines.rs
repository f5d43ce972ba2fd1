//! JSON lines, in blocks of whole lines.

use std::io::{self, Read};
use std::ops::ControlFlow;

use super::adapter::{Layouts, recycle_values};
use super::fast::{Fast, Line, Outcome, ROOM};
use super::simd::REACH;
use super::walk::Way;
use crate::input::InputFile;
use crate::layout::LayoutSink;
use crate::options::ReadOptions;
use crate::problem::{Place, ProblemKind, Problems};
use crate::progress::Progress;
use crate::read::{Run, broken_off, json};
use crate::shape::Recogniser;
use crate::value::{Field, RawValue};

/// What is read at a time, at least.
pub(super) const STEP: usize = 256 << 10;

/// A page.
const ALIGN: usize = 4096;

/// What reading lines needs, besides the bytes.
pub(super) struct Context<'x, 's, S> {
    pub file: &'x InputFile,
    pub recogniser: &'x mut Recogniser<'s>,
    pub layouts: &'x mut Layouts<'s, S>,
    pub problems: &'x mut Problems,
    pub options: &'x ReadOptions,
    pub progress: &'x Progress,
}

/// A window onto a file of lines.
pub(super) struct Lines {
    buf: Vec<u8>,
    /// What of it is not worked on yet.
    start: usize,
    end: usize,
    /// Where in the source the buffer begins, wrapped around if that is before its beginning.
    base: u64,
    /// Where the source begins in its file.
    origin: u64,
    eof: bool,
    error: Option<io::Error>,
    pool: Vec<Field<'static>>,
    values: Vec<RawValue<'static>>,
    fast: Fast,
}

impl Lines {
    pub fn new(way: Way) -> Lines {
        Lines {
            buf: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            origin: 0,
            eof: false,
            error: None,
            pool: Vec::new(),
            values: Vec::new(),
            fast: Fast::new(way),
        }
    }

    /// Begins a new source, which begins at this place of its file.
    pub fn open(&mut self, origin: u64) {
        (self.start, self.end, self.base, self.eof, self.error) = (0, 0, 0, false, None);
        self.origin = origin;
    }

    /// Where in the source the next byte of the window is.
    fn at(&self) -> u64 {
        self.base.wrapping_add(self.start as u64)
    }

    /// Reads until the window holds `goal` bytes or the source ends. `false`: there is nothing new.
    pub fn fill(&mut self, source: &mut dyn Read, goal: usize) -> bool {
        let have = self.end - self.start;
        if have >= goal {
            return false;
        }
        if self.buf.len() < goal + ALIGN + REACH {
            self.buf.resize(goal + ALIGN + REACH, 0);
        }
        // Copying from the page cache is slow on some processors if source and goal differ by little modulo
        // the size of a page. Files are cached in whole pages, so where the new bytes come from is known.
        let from = self.origin.wrapping_add(self.at()).wrapping_add(have as u64) as usize;
        let to = self.buf.as_ptr() as usize + have;
        let end = have + from.wrapping_add(ALIGN / 2).wrapping_sub(to) % ALIGN;
        self.base = self.at().wrapping_sub((end - have) as u64);
        if end - have != self.start {
            self.buf.copy_within(self.start..self.end, end - have);
        }
        (self.start, self.end) = (end - have, end);
        let goal = self.start + goal;
        while self.end < goal && !self.eof {
            match source.read(&mut self.buf[self.end..goal]) {
                Ok(0) => self.eof = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.error = Some(e);
                    self.eof = true;
                }
            }
        }
        self.end > end
    }

    /// Reads `len` bytes, or what there is of them, and returns how many newlines are among all but the last
    /// of them. They are counted piece by piece, while a piece is in the nearest cache.
    pub fn fill_counting(&mut self, source: &mut dyn Read, len: usize) -> u64 {
        self.buf.resize(self.buf.len().max(len + ALIGN + REACH), 0);
        let mut newlines = 0;
        let mut counted = 0;
        loop {
            let have = self.end - self.start;
            let more = self.fill(source, have.saturating_add(STEP).min(len));
            let to = (self.end - self.start).min(len - 1);
            let new = &self.buf[self.start + counted..self.start + to];
            newlines += memchr::memchr_iter(b'\n', new).count() as u64;
            counted = to;
            if !more {
                return newlines;
            }
        }
    }

    /// Takes a byte order mark off the beginning.
    pub fn skip_mark(&mut self) {
        if self.buf[self.start..self.end].starts_with(&[0xef, 0xbb, 0xbf]) {
            self.start += 3;
        }
    }

    /// Goes to behind the next newline. `false`: there is none before byte `until` of the source.
    pub fn skip_line(&mut self, source: &mut dyn Read, until: u64) -> bool {
        loop {
            if let Some(i) = memchr::memchr(b'\n', &self.buf[self.start..self.end]) {
                self.start += i + 1;
                return true;
            }
            self.start = self.end;
            if self.at() >= until || !self.fill(source, STEP) {
                return false;
            }
        }
    }

    /// Reads all lines that begin before byte `until` of the source. `number`: that of the first line.
    /// Returns the number of the line behind the last.
    pub fn run<S: LayoutSink>(
        &mut self,
        source: &mut dyn Read,
        cx: &mut Context<'_, '_, S>,
        mut number: u64,
        until: u64,
    ) -> u64 {
        let limit = cx.options.max_record;
        let mut told = cx.recogniser.events();
        self.fast.begin(&cx.file.stem);
        while self.at() < until {
            // Whole lines; at the very end what is left is one, too.
            let whole = if self.eof {
                self.end
            } else {
                memchr::memrchr(b'\n', &self.buf[self.start..self.end])
                    .map_or(self.start, |i| self.start + i + 1)
            };
            let ahead = usize::try_from(until.saturating_sub(self.at())).unwrap_or(usize::MAX);
            let stop = self.start.saturating_add(ahead);
            let flow = self.block(cx, whole, whole.min(stop), &mut number);
            self.fast.settle_counts(cx.recogniser);
            cx.progress.add_events(cx.recogniser.events() - told);
            told = cx.recogniser.events();
            if flow.is_break() {
                return number;
            }
            if self.eof || self.at() >= until || cx.progress.is_cancelled() {
                break;
            }
            let rest = self.end - self.start;
            if rest > limit {
                too_long(cx, number);
                number += 1;
                if !self.skip_line(source, until) {
                    break;
                }
            } else {
                // At least twice what is there, so that looking at it again costs no more than its length.
                self.fill(source, (rest * 2).max(STEP));
            }
        }
        if let Some(e) = self.error.take() {
            cx.problems.add(ProblemKind::BrokenOff, None, || broken_off(&e));
        }
        number
    }

    /// The lines that begin before `stop`, of those that end before `whole`.
    fn block<S: LayoutSink>(
        &mut self,
        cx: &mut Context<'_, '_, S>,
        whole: usize,
        stop: usize,
        number: &mut u64,
    ) -> ControlFlow<()> {
        let limit = cx.options.max_record;
        let buf = &self.buf[..];
        let mut values = recycle_values(std::mem::take(&mut self.values));
        values.resize(ROOM, RawValue::Null);
        let mut flow = ControlFlow::Continue(());
        let mut at = self.start;
        // The very last line may have no end; it is read in the ordinary way.
        let walkable = if whole > 0 && buf[whole - 1] == b'\n' { stop } else { 0 };
        while at < stop && flow.is_continue() {
            let fast = if at < walkable {
                let line = Line { buf, at, number: *number, limit };
                self.fast.line(&line, &mut values, cx.recogniser, cx.layouts)
            } else {
                Outcome::Ordinary
            };
            match fast {
                Outcome::Done(next, f) => {
                    at = next;
                    flow = f;
                }
                Outcome::Ordinary => {
                    let (end, next) = match memchr::memchr(b'\n', &buf[at..whole]) {
                        Some(i) => (at + i, at + i + 1),
                        None => (whole, whole),
                    };
                    flow = slow_line(cx, &buf[at..end], *number, next == end, &mut self.pool);
                    self.fast.learn(&buf[at..end], cx.recogniser);
                    at = next;
                }
            }
            *number += 1;
        }
        self.start = at;
        self.values = recycle_values(values);
        flow
    }
}

/// One line, in the ordinary way.
fn slow_line<S: LayoutSink>(
    cx: &mut Context<'_, '_, S>,
    line: &[u8],
    number: u64,
    last: bool,
    pool: &mut Vec<Field<'static>>,
) -> ControlFlow<()> {
    if line.len() > cx.options.max_record {
        too_long(cx, number);
        return ControlFlow::Continue(());
    }
    let (source, stem) = (cx.file.name.clone(), cx.file.stem.clone());
    let mut run = Run::new(cx.recogniser, cx.layouts, cx.problems, cx.options, None, source, stem);
    let flow;
    (flow, *pool) = json::line(&mut run, line, number, last, std::mem::take(pool));
    flow
}

fn too_long<S>(cx: &mut Context<'_, '_, S>, number: u64) {
    let limit = cx.options.max_record;
    cx.problems.add(ProblemKind::TooLong, Some(Place::Line(number + 1)), || {
        format!("a record longer than the limit of {limit} bytes was skipped")
    });
}
