//! JSON lines, in blocks of whole lines.

use std::io::{self, Read};
use std::ops::ControlFlow;

use super::adapter::Layouts;
use crate::input::InputFile;
use crate::layout::LayoutSink;
use crate::options::ReadOptions;
use crate::problem::{Place, ProblemKind, Problems};
use crate::progress::Progress;
use crate::read::{Run, broken_off, json};
use crate::shape::Recogniser;
use crate::value::Field;

/// What is read at a time, at least.
const STEP: usize = 256 << 10;

/// Bytes behind the data that may be looked at, so that wide loads need no care near the end.
pub(super) const PAD: usize = 64;

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
#[derive(Default)]
pub(super) struct Lines {
    buf: Vec<u8>,
    /// What of it is not worked on yet.
    start: usize,
    end: usize,
    /// Where in the source the window begins.
    base: u64,
    eof: bool,
    error: Option<io::Error>,
    pool: Vec<Field<'static>>,
}

impl Lines {
    /// Begins a new source.
    pub fn open(&mut self) {
        (self.start, self.end, self.base, self.eof, self.error) = (0, 0, 0, false, None);
    }

    /// Where in the source the next byte of the window is.
    fn at(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Reads until the window holds `goal` bytes or the source ends. `false`: there is nothing new.
    pub fn fill(&mut self, source: &mut dyn Read, goal: usize) -> bool {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        if self.buf.len() < goal + PAD {
            self.buf.resize(goal + PAD, 0);
        }
        let had = self.end;
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
        self.end > had
    }

    /// How many newlines there are among the first bytes of the window.
    pub fn newlines(&self, within: usize) -> u64 {
        let to = self.end.min(self.start.saturating_add(within));
        memchr::memchr_iter(b'\n', &self.buf[self.start..to]).count() as u64
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
        while self.at() < until {
            // Whole lines; at the very end what is left is one, too.
            let whole = if self.eof {
                self.end
            } else {
                memchr::memrchr(b'\n', &self.buf[self.start..self.end])
                    .map_or(self.start, |i| self.start + i + 1)
            };
            let stop = usize::try_from(until.saturating_sub(self.base)).unwrap_or(usize::MAX);
            while self.start < whole.min(stop) {
                let flow = self.line(cx, whole, number);
                number += 1;
                if flow.is_break() {
                    cx.progress.add_events(cx.recogniser.events() - told);
                    return number;
                }
            }
            cx.progress.add_events(cx.recogniser.events() - told);
            told = cx.recogniser.events();
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

    /// One line, of those that end before `whole`.
    fn line<S: LayoutSink>(
        &mut self,
        cx: &mut Context<'_, '_, S>,
        whole: usize,
        number: u64,
    ) -> ControlFlow<()> {
        let at = self.start;
        let (end, next) = match memchr::memchr(b'\n', &self.buf[at..whole]) {
            Some(i) => (at + i, at + i + 1),
            None => (whole, whole),
        };
        self.start = next;
        if end - at > cx.options.max_record {
            too_long(cx, number);
            return ControlFlow::Continue(());
        }
        let mut run = Run::new(
            cx.recogniser,
            cx.layouts,
            cx.problems,
            cx.options,
            None,
            cx.file.name.clone(),
            cx.file.stem.clone(),
        );
        let pool = std::mem::take(&mut self.pool);
        let (flow, pool) = json::line(&mut run, &self.buf[at..end], number, next == end, pool);
        self.pool = pool;
        flow
    }
}

fn too_long<S>(cx: &mut Context<'_, '_, S>, number: u64) {
    let limit = cx.options.max_record;
    cx.problems.add(ProblemKind::TooLong, Some(Place::Line(number + 1)), || {
        format!("a record longer than the limit of {limit} bytes was skipped")
    });
}
