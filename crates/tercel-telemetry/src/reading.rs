//! Reading all files: work on several threads, delivery in order on one.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use tercel_ir::Name;
use tercel_schema::Schemas;

use crate::batch::BatchBuilder;
use crate::demand::{Demand, ReadStats, TableBatch};
use crate::event::{EventSink, RawEvent};
use crate::input::{Format, InputFile, Inputs};
use crate::problem::{ProblemKind, Problems};
use crate::progress::Progress;
use crate::read::{Run, parquet};
use crate::shape::Recogniser;

/// Small files are read together up to this many bytes, so that their rows share batches.
pub(crate) const UNIT_BYTES: u64 = 8 << 20;
/// Finished batches that a file may have waiting for their turn.
const WAITING: usize = 16;

impl Inputs {
    /// Reads everything and delivers the demanded columns. Batches come in the order of the files and
    /// of the records in them, all on the calling thread; `Break` ends the reading.
    pub fn read(
        &self,
        schemas: &Schemas,
        demand: &Demand,
        deliver: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
        progress: &Progress,
    ) -> ReadStats {
        let mut stats = ReadStats { problems: self.problems.clone(), ..ReadStats::default() };
        let before = progress.bytes();
        let units = self.units();
        if self.options.threads <= 1 {
            let mut recogniser = Recogniser::new(schemas, self.options.time_field.as_deref());
            for unit in units {
                let (s, flow) = self.unit(unit, &mut recogniser, demand, deliver, progress);
                stats.add(s);
                if flow.is_break() {
                    break;
                }
            }
        } else {
            self.read_parallel(schemas, demand, deliver, progress, units, &mut stats);
        }
        stats.bytes = progress.bytes() - before;
        stats
    }

    fn read_parallel(
        &self,
        schemas: &Schemas,
        demand: &Demand,
        deliver: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
        progress: &Progress,
        units: Vec<Range<usize>>,
        stats: &mut ReadStats,
    ) {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let results: Mutex<Vec<Option<ReadStats>>> = Mutex::new((0..units.len()).map(|_| None).collect());
        let (senders, receivers): (Vec<_>, Vec<_>) =
            units.iter().map(|_| mpsc::sync_channel::<TableBatch>(WAITING)).unzip();
        let senders: Vec<Mutex<Option<mpsc::SyncSender<TableBatch>>>> =
            senders.into_iter().map(|s| Mutex::new(Some(s))).collect();
        let lock_failed = "another thread of the reading failed";
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.min(units.len()) {
                scope.spawn(|| {
                    let mut recogniser = Recogniser::new(schemas, self.options.time_field.as_deref());
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(unit) = units.get(i) else { break };
                        // Taken out of its place, so that it is dropped, and the channel closed, at the end.
                        let sender = senders[i].lock().expect(lock_failed).take();
                        if stop.load(Ordering::Relaxed) {
                            continue;
                        }
                        let mut send = |batch| match &sender {
                            Some(s) if !stop.load(Ordering::Relaxed) && s.send(batch).is_ok() => {
                                ControlFlow::Continue(())
                            }
                            _ => ControlFlow::Break(()),
                        };
                        let (s, _) = self.unit(unit.clone(), &mut recogniser, demand, &mut send, progress);
                        results.lock().expect(lock_failed)[i] = Some(s);
                    }
                });
            }
            for receiver in receivers {
                // A receiver that is dropped makes its sender stop.
                for batch in &receiver {
                    if deliver(batch).is_break() {
                        stop.store(true, Ordering::Relaxed);
                        break;
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for s in results.into_inner().expect(lock_failed).into_iter().flatten() {
            stats.add(s);
        }
    }

    /// Files in groups that are read by one thread each.
    fn units(&self) -> Vec<Range<usize>> {
        let mut units: Vec<Range<usize>> = Vec::new();
        let mut bytes = 0;
        for (i, f) in self.files.iter().enumerate() {
            match units.last_mut() {
                Some(last) if bytes + f.size <= UNIT_BYTES => {
                    last.end = i + 1;
                    bytes += f.size;
                }
                _ => {
                    units.push(i..i + 1);
                    bytes = f.size;
                }
            }
        }
        units
    }

    fn unit(
        &self,
        files: Range<usize>,
        recogniser: &mut Recogniser<'_>,
        demand: &Demand,
        deliver: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
        progress: &Progress,
    ) -> (ReadStats, ControlFlow<()>) {
        let mut stats = ReadStats::default();
        let mut flow = ControlFlow::Continue(());
        let mut watched = |batch| {
            flow = deliver(batch);
            flow
        };
        let mut sink = BatchBuilder::new(demand, &mut watched);
        for (i, file) in self.files[files.clone()].iter().enumerate() {
            if progress.is_cancelled() {
                break;
            }
            let mut problems = Problems::new(file.name.clone());
            let before = recogniser.events();
            if file.format == Format::Parquet {
                if let Err(e) = parquet::read(
                    file,
                    files.start + i,
                    recogniser,
                    &mut sink,
                    demand,
                    &self.options,
                    progress,
                ) {
                    problems.add(ProblemKind::BrokenOff, None, || e);
                }
            } else {
                self.run(file, recogniser, &mut sink, &mut problems, Some(progress)).file(file);
            }
            stats.files += 1;
            stats.events += recogniser.events() - before;
            for (table, _, n) in recogniser.take_counts() {
                *stats.tables.entry(table).or_default() += n;
            }
            stats.unparsed += problems.lost_records();
            stats.problems.extend(problems.into_vec());
        }
        let _ = sink.flush();
        stats.add(sink.stats);
        (stats, flow)
    }

    pub(crate) fn run<'x, 's>(
        &'x self,
        file: &InputFile,
        recogniser: &'x mut Recogniser<'s>,
        sink: &'x mut dyn EventSink,
        problems: &'x mut Problems,
        progress: Option<&'x Progress>,
    ) -> Run<'x, 's> {
        Run::new(recogniser, sink, problems, &self.options, progress, file.name.clone(), file.stem.clone())
    }

    /// The time of the newest event of all, for queries that count from now. Reads everything once, but
    /// decodes nothing but times.
    pub fn newest_time(&self, schemas: &Schemas) -> Option<i64> {
        let next = AtomicUsize::new(0);
        let newest: Mutex<Option<i64>> = Mutex::new(None);
        let lock_failed = "another thread of the reading failed";
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.clamp(1, self.files.len().max(1)) {
                scope.spawn(|| {
                    let mut recogniser = Recogniser::new(schemas, self.options.time_field.as_deref());
                    let mut sink = Newest(None);
                    while let Some(file) = self.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if file.format == Format::Parquet {
                            // A file that cannot be read is reported when it is read.
                            let t = parquet::newest_time(file, &mut recogniser, &self.options)
                                .unwrap_or_default();
                            sink.0 = sink.0.max(t);
                        } else {
                            let mut problems = Problems::new(file.name.clone());
                            self.run(file, &mut recogniser, &mut sink, &mut problems, None).file(file);
                        }
                    }
                    let mut newest = newest.lock().expect(lock_failed);
                    *newest = (*newest).max(sink.0);
                });
            }
        });
        newest.into_inner().expect(lock_failed)
    }
}

/// Remembers the newest time.
pub(crate) struct Newest(pub Option<i64>);

impl EventSink for Newest {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        self.0 = self.0.max(event.time());
        ControlFlow::Continue(())
    }
}

/// The whole event for a value of the hidden column `$event`: JSON text as it is, or the row that a
/// locator into a Parquet file names.
///
/// # Errors
/// In words, if the locator's file cannot be read (any more) or has no such row.
pub fn resolve_event(inputs: &Inputs, event: &Arc<str>) -> Result<Arc<str>, String> {
    match event.strip_prefix(parquet::LOCATOR) {
        None => Ok(event.clone()),
        Some(rest) => {
            let bad = || format!("`{event}` does not name a row");
            let (file, row) = rest.split_once(':').ok_or_else(bad)?;
            let file: usize = file.parse().map_err(|_| bad())?;
            let row: usize = row.parse().map_err(|_| bad())?;
            let file = inputs.files.get(file).filter(|f| f.format == Format::Parquet).ok_or_else(bad)?;
            parquet::row_text(file, row).map(Into::into)
        }
    }
}
