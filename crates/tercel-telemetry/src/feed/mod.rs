//! Every event of every input, by layout, into one sink a thread: the reading for rule sets.
//!
//! Files are cut into units of work: small files together, large files of JSON lines into parts that begin
//! and end with a line, large event logs into parts of whole chunks. Units are worked on by several threads; what the sinks hand over for each is
//! delivered in order.

mod adapter;
mod fast;
mod lines;
mod order;
mod simd;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};

use tercel_schema::Schemas;

use crate::demand::ReadStats;
use crate::input::{Compression, Format, InputFile, Inputs, Limits, error_text, open_source, text_source};
use crate::layout::LayoutSink;
use crate::options::ReadOptions;
use crate::problem::{Problem, ProblemKind, Problems};
use crate::progress::Progress;
use crate::read::{Run, broken_off, evtx, parquet};
use crate::reading::UNIT_BYTES;
use crate::shape::Recogniser;
use adapter::Layouts;
use lines::{Context, Lines};
use order::Starts;
use walk::Way;

/// What is read and worked on at a time, of a large file.
const PART_BYTES: u64 = 4 << 20;

/// What one thread works on at a time.
#[derive(Clone, Debug)]
enum Unit {
    /// Whole files.
    Files(Range<usize>),
    /// The lines of a file that begin in this range of bytes. `index`: which part it is.
    Part { file: usize, index: usize, bytes: Range<u64> },
    /// Chunks of an event log, by their numbers.
    Chunks { file: usize, index: usize, numbers: Range<u64> },
}

/// What came of a unit.
struct Done<O> {
    out: O,
    stats: ReadStats,
    /// The sink wants no more.
    broke: bool,
}

impl Inputs {
    /// Pushes every event into sinks made by `make`, one for each thread. What the sinks hand over after
    /// each unit of work is delivered on the calling thread, in the order of the files and of the records
    /// in them; `Break` from `deliver` or from a sink ends the reading. Gives back the sinks.
    ///
    /// Rows in the statistics are those pushed, and the times are theirs.
    pub fn feed<S: LayoutSink + Send>(
        &self,
        schemas: &Schemas,
        make: &(dyn Fn() -> S + Sync),
        deliver: &mut dyn FnMut(S::Out) -> ControlFlow<()>,
        progress: &Progress,
    ) -> (Vec<S>, ReadStats) {
        let way = Way::all().pop().unwrap_or(Way::Portable);
        self.feed_in_parts(schemas, make, deliver, progress, PART_BYTES, way)
    }

    /// [`Inputs::feed`], with parts of about so many bytes, walking in this way.
    fn feed_in_parts<S: LayoutSink + Send>(
        &self,
        schemas: &Schemas,
        make: &(dyn Fn() -> S + Sync),
        deliver: &mut dyn FnMut(S::Out) -> ControlFlow<()>,
        progress: &Progress,
        part: u64,
        way: Way,
    ) -> (Vec<S>, ReadStats) {
        let mut stats = ReadStats { problems: self.problems.clone(), ..ReadStats::default() };
        let before = progress.bytes();
        let units = self.feed_units(part.max(1));
        let starts = Starts::new();
        let stop = AtomicBool::new(false);
        let threads = self.options.threads.clamp(1, units.len().max(1));
        let worker = || Worker {
            inputs: self,
            options: &self.options,
            progress,
            starts: &starts,
            stop: &stop,
            alone: threads == 1,
            recogniser: Recogniser::new(schemas, self.options.time_field.as_deref()),
            layouts: Layouts::new(make(), &stop),
            lines: Lines::new(way),
        };
        // Takes what came of a unit.
        let mut last_file = None;
        let mut accept = |unit: &Unit, done: Done<S::Out>| {
            let mut s = done.stats;
            if let Unit::Part { file, .. } | Unit::Chunks { file, .. } = unit {
                if last_file == Some(*file) {
                    merge_problems(&mut stats.problems, std::mem::take(&mut s.problems));
                }
                last_file = Some(*file);
            }
            stats.add(s);
            let flow = deliver(done.out);
            if done.broke { ControlFlow::Break(()) } else { flow }
        };
        let sinks = if threads == 1 {
            let mut worker = worker();
            for unit in &units {
                if accept(unit, worker.unit(unit)).is_break() || progress.is_cancelled() {
                    break;
                }
            }
            vec![worker.layouts.sink]
        } else {
            order::in_order(
                units.len(),
                threads,
                &stop,
                &|desk| {
                    let mut worker = worker();
                    while let Some(i) = desk.next() {
                        desk.done(i, worker.unit(&units[i]));
                    }
                    worker.layouts.sink
                },
                &mut |i, done| accept(&units[i], done),
            )
        };
        stats.bytes = progress.bytes() - before;
        (sinks, stats)
    }

    fn feed_units(&self, part: u64) -> Vec<Unit> {
        let mut units: Vec<Unit> = Vec::new();
        let mut bytes = 0;
        for (i, f) in self.files.iter().enumerate() {
            if f.size > part && f.format == Format::Evtx && f.compression == Compression::None {
                let parts = evtx::parts(f.size, part).into_iter().enumerate();
                units.extend(parts.map(|(index, numbers)| Unit::Chunks { file: i, index, numbers }));
                bytes = u64::MAX;
                continue;
            }
            if f.size > part && can_be_cut(f) {
                let parts = f.size.div_ceil(part);
                units.extend((0..parts).map(|k| Unit::Part {
                    file: i,
                    index: k as usize,
                    // The file may have grown since.
                    bytes: k * part..if k + 1 == parts { u64::MAX } else { (k + 1) * part },
                }));
                bytes = u64::MAX;
                continue;
            }
            match units.last_mut() {
                Some(Unit::Files(last)) if bytes.saturating_add(f.size) <= UNIT_BYTES => {
                    last.end = i + 1;
                    bytes += f.size;
                }
                _ => {
                    units.push(Unit::Files(i..i + 1));
                    bytes = f.size;
                }
            }
        }
        units
    }
}

/// Whether the lines of a file can be found from any place in it.
fn can_be_cut(file: &InputFile) -> bool {
    if file.format != Format::NdJson || file.compression != Compression::None {
        return false;
    }
    let mut head = [0; 2];
    let read = File::open(&file.path).and_then(|mut f| f.read_exact(&mut head));
    // UTF-16 is converted from its beginning on.
    read.is_ok() && head != [0xff, 0xfe] && head != [0xfe, 0xff]
}

/// Adds the problems of a later part of a file to those of its earlier parts: one of each kind.
fn merge_problems(all: &mut Vec<Problem>, more: Vec<Problem>) {
    for p in more {
        match all.iter_mut().rev().find(|q| q.file == p.file && q.kind == p.kind) {
            Some(q) => q.count += p.count,
            None => all.push(p),
        }
    }
}

/// What one thread has.
struct Worker<'w, S> {
    inputs: &'w Inputs,
    options: &'w ReadOptions,
    progress: &'w Progress,
    /// Line numbers at which the parts of a file begin.
    starts: &'w Starts,
    stop: &'w AtomicBool,
    /// No other thread works on this: parts come one after another.
    alone: bool,
    recogniser: Recogniser<'w>,
    layouts: Layouts<'w, S>,
    lines: Lines,
}

impl<S: LayoutSink> Worker<'_, S> {
    fn unit(&mut self, unit: &Unit) -> Done<S::Out> {
        let mut stats = ReadStats::default();
        let mut flow = ControlFlow::Continue(());
        match unit {
            Unit::Files(files) => {
                for i in files.clone() {
                    if self.progress.is_cancelled() || self.stop.load(Ordering::Relaxed) || flow.is_break() {
                        break;
                    }
                    flow = self.whole_file(i, &mut stats);
                    stats.files += 1;
                }
            }
            Unit::Part { file, index, bytes } => {
                if *index == 0 {
                    stats.files += 1;
                }
                flow = self.part(*file, *index, bytes.clone(), &mut stats);
            }
            Unit::Chunks { file, index, numbers } => {
                stats.files += u64::from(*index == 0);
                flow = self.chunks(*file, numbers.clone(), &mut stats);
            }
        }
        stats.rows = std::mem::take(&mut self.layouts.rows);
        if let Some((a, b)) = self.layouts.times.take() {
            stats.saw_time(a);
            stats.saw_time(b);
        }
        Done { out: self.layouts.sink.take(), stats, broke: flow.is_break() }
    }

    fn finish(&mut self, events_before: u64, problems: Problems, stats: &mut ReadStats) {
        stats.events += self.recogniser.events() - events_before;
        for (table, _, n) in self.recogniser.take_counts() {
            *stats.tables.entry(table).or_default() += n;
        }
        stats.unparsed += problems.lost_records();
        stats.problems.extend(problems.into_vec());
    }

    fn whole_file(&mut self, index: usize, stats: &mut ReadStats) -> ControlFlow<()> {
        let inputs = self.inputs;
        let file = &inputs.files[index];
        let mut problems = Problems::new(file.name.clone());
        let before = self.recogniser.events();
        self.layouts.begin(&file.name);
        match file.format {
            Format::Parquet => {
                let read = parquet::feed(file, index, &mut self.recogniser, &mut self.layouts, self.progress);
                if let Err(e) = read {
                    problems.add(ProblemKind::BrokenOff, None, || e);
                }
            }
            Format::NdJson => {
                let limits = Limits::of(self.options);
                let source = open_source(&file.path, file.compression, limits, Some(self.progress));
                match source {
                    Ok(source) => match text_source(source) {
                        Ok(mut source) => {
                            self.lines.open(0);
                            self.run_lines(file, &mut *source, &mut problems, 0, u64::MAX);
                        }
                        Err(e) => problems.add(ProblemKind::BrokenOff, None, || broken_off(&e)),
                    },
                    Err(e) => problems.add(ProblemKind::Unreadable, None, || error_text(&e)),
                }
            }
            _ => Run::new(
                &mut self.recogniser,
                &mut self.layouts,
                &mut problems,
                self.options,
                Some(self.progress),
                file.name.clone(),
                file.stem.clone(),
            )
            .file(file),
        }
        self.finish(before, problems, stats);
        self.layouts.flow()
    }

    fn chunks(&mut self, index: usize, numbers: Range<u64>, stats: &mut ReadStats) -> ControlFlow<()> {
        let inputs = self.inputs;
        let file = &inputs.files[index];
        let mut problems = Problems::new(file.name.clone());
        let before = self.recogniser.events();
        self.layouts.begin(&file.name);
        let bytes = evtx::bytes_of(&numbers, file.size);
        Run::new(
            &mut self.recogniser,
            &mut self.layouts,
            &mut problems,
            self.options,
            Some(self.progress),
            file.name.clone(),
            file.stem.clone(),
        )
        .event_log_part(file, numbers);
        self.progress.add_bytes(bytes);
        self.finish(before, problems, stats);
        self.layouts.flow()
    }

    fn run_lines(
        &mut self,
        file: &InputFile,
        source: &mut dyn Read,
        problems: &mut Problems,
        number: u64,
        until: u64,
    ) -> u64 {
        let mut cx = Context {
            file,
            recogniser: &mut self.recogniser,
            layouts: &mut self.layouts,
            problems,
            options: self.options,
            progress: self.progress,
        };
        self.lines.run(source, &mut cx, number, until)
    }

    /// The lines that begin in a range of bytes. Whether a line begins with the first of them is seen from
    /// the byte before, so that one is read, too.
    fn part(
        &mut self,
        index: usize,
        part: usize,
        bytes: Range<u64>,
        stats: &mut ReadStats,
    ) -> ControlFlow<()> {
        let inputs = self.inputs;
        let file = &inputs.files[index];
        let mut problems = Problems::new(file.name.clone());
        let before = self.recogniser.events();
        self.layouts.begin(&file.name);
        let from = bytes.start.saturating_sub(1);
        let last = bytes.end == u64::MAX;
        let until = if last { u64::MAX } else { bytes.end - from };
        let given_up = || self.stop.load(Ordering::Relaxed) || self.progress.is_cancelled();
        let source = File::open(&file.path).and_then(|mut f| f.seek(SeekFrom::Start(from)).map(|_| f));
        self.lines.open(from);
        match source {
            Ok(mut source) => {
                let mut number = None;
                if !self.alone && !last {
                    // Whoever has the next part waits for the number of its first line.
                    let len = usize::try_from(until).unwrap_or(usize::MAX);
                    let lines = self.lines.fill_counting(&mut source, len) + u64::from(part == 0);
                    number = self.starts.wait(index, part, &given_up);
                    if let Some(n) = number {
                        self.starts.publish(index, part + 1, n + lines);
                    }
                }
                let number = number.or_else(|| self.starts.wait(index, part, &given_up));
                if let Some(number) = number {
                    let begins = if part == 0 {
                        self.lines.fill(&mut source, lines::STEP);
                        self.lines.skip_mark();
                        true
                    } else {
                        self.lines.skip_line(&mut source, until)
                    };
                    let next = if begins {
                        self.run_lines(file, &mut source, &mut problems, number, until)
                    } else {
                        number
                    };
                    if self.alone {
                        self.starts.publish(index, part + 1, next);
                    }
                }
                self.progress.add_bytes(bytes.end.min(file.size) - bytes.start);
            }
            Err(e) => {
                // The parts behind it will fail as well, but must not wait.
                if let Some(n) = self.starts.wait(index, part, &given_up) {
                    self.starts.publish(index, part + 1, n);
                }
                problems.add(ProblemKind::Unreadable, None, || error_text(&e));
            }
        }
        self.finish(before, problems, stats);
        self.layouts.flow()
    }
}
