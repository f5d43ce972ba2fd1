//! Windows event logs, chunk by chunk, from a stream.
//!
//! A log is a header of 4 KiB and chunks of 64 KiB, each complete in itself. What is broken costs at most
//! its chunk: the file header's counts are not believed, and every chunk is tried.
//!
//! Records are read by a straight walk (`walk.rs`) that makes no text. What it does not understand, and
//! everything for a sink that wants the text of events, goes through the full parser of the `evtx` crate
//! and the recognition of its JSON. Both give the same events.

mod binxml;
mod frame;
mod plan;
mod values;
mod walk;

#[cfg(test)]
mod build;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};
use tercel_ir::Name;

use super::Run;
use crate::json::scan_object;
use crate::layout::{EventText, LaidOut};
use crate::problem::{Place, ProblemKind, Problems};
use crate::shape::{Origin, Recogniser, Shape};
use crate::value::{Field, RawValue, recycle};
use frame::{Frame, Frames, Next};
use values::Arena;
pub(crate) use walk::Walker;

const HEADER: usize = 4096;
const CHUNK: usize = 65536;
/// Room for the rendered values of one record. A record that needs more goes through the full parser.
const ROOM: usize = 256 << 10;

/// Reads a log. The number of a record is its event record id.
pub(crate) fn read(run: &mut Run<'_, '_>, source: Box<dyn Read + '_>) -> io::Result<()> {
    let mut walker = run.recogniser.take_walker();
    let mut out = Events { run, room: Vec::new(), fields: Vec::new(), pool: Vec::new() };
    let outcome = chunks(&mut out, &mut walker, source);
    out.run.recogniser.put_walker(walker);
    outcome
}

/// What [`feed`] pushes into: a sink by layouts, and a way for records that must be recognised as JSON.
pub(crate) trait Feed {
    /// As [`crate::LayoutSink::layout`]; called once for each layout as long as the walker lives.
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize>;
    /// As [`crate::LayoutSink::event`].
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()>;
    /// A record that was not walked: its JSON, of which `fields` are the fields, to be recognised and laid
    /// out like a line of JSON (the recogniser counts it).
    fn json<'a>(
        &mut self,
        recogniser: &mut Recogniser<'_>,
        record: i64,
        text: &'a str,
        fields: &mut Vec<Field<'a>>,
    ) -> ControlFlow<()>;
    /// Called now and then; `Break` ends the reading.
    fn tell(&mut self, recogniser: &Recogniser<'_>) -> ControlFlow<()>;
}

/// Reads a log into a sink by layouts.
///
/// `walker` belongs to the sink: it remembers the numbers that the sink gave to layouts, over all files.
/// Events are counted by the recogniser, those of layouts that the sink does not want as well; problems are
/// reported as when reading otherwise. Broken-off streams are the caller's to report.
///
/// # Errors
/// The source cannot be read further; what came before was delivered.
#[allow(dead_code)] // Its caller is the feeding of rule sets.
pub(crate) fn feed(
    recogniser: &mut Recogniser<'_>,
    problems: &mut Problems,
    walker: &mut Walker,
    out: &mut dyn Feed,
    source: Box<dyn Read + '_>,
) -> io::Result<()> {
    let mut out = Layouts {
        recogniser,
        problems,
        feed: out,
        room: Vec::new(),
        values: Vec::new(),
        pool: Vec::new(),
        seen: 0,
    };
    chunks(&mut out, walker, source)
}

/// Where records go.
trait Records {
    /// Whether records may be walked at all.
    fn walks(&self) -> bool;
    /// Walks one. `None`: it is left to the full parser.
    fn walk(&mut self, walker: &mut Walker, chunk: &[u8], frame: &Frame) -> Option<ControlFlow<()>>;
    /// Takes one as JSON.
    fn json(&mut self, id: u64, text: &str) -> ControlFlow<()>;
    fn problems(&mut self) -> &mut Problems;
}

/// All chunks of a log.
fn chunks(out: &mut dyn Records, walker: &mut Walker, mut source: Box<dyn Read + '_>) -> io::Result<()> {
    let mut header = vec![0; HEADER];
    let got = fill(&mut *source, &mut header)?;
    if got < HEADER {
        out.problems().add(ProblemKind::BrokenOff, None, || "the event log ends inside its header".into());
        return Ok(());
    }
    let settings = settings();
    let mut number: u64 = 0;
    // Chunks that the header says are there; only used to notice that some are missing.
    let declared = u64::from(u16::from_le_bytes([header[42], header[43]]));
    let mut data = vec![0; CHUNK];
    loop {
        let got = fill(&mut *source, &mut data)?;
        if got == 0 {
            break;
        }
        let place = Place::Chunk(number);
        let cut = got < CHUNK;
        if cut {
            // The rest is zeros: records in the part that is there are still found.
            data[got..].fill(0);
            out.problems()
                .add(ProblemKind::BrokenOff, Some(place), || "the event log ends inside a chunk".into());
        }
        if !data.starts_with(b"ElfChnk\0") {
            // Logs are allocated ahead; unused chunks are zeros.
            if data.iter().any(|b| *b != 0) {
                bad(out, place, || "not a chunk of an event log".into());
            }
        } else if chunk(out, walker, &data, number, cut, &settings).is_break() {
            return Ok(());
        }
        number += 1;
    }
    if number < declared && declared < u64::from(u16::MAX) {
        out.problems().add(ProblemKind::BrokenOff, Some(Place::Chunk(number)), || {
            format!("the event log ends after {number} of its {declared} chunks")
        });
    }
    Ok(())
}

fn settings() -> Arc<ParserSettings> {
    Arc::new(ParserSettings::new().indent(false))
}

fn bad(out: &mut dyn Records, place: Place, message: impl FnOnce() -> String) {
    out.problems().add(ProblemKind::BadRecord, Some(place), message);
}

/// How far the walk of a chunk came.
enum Stop {
    End,
    /// At a record that is left to the full parser.
    Record,
    /// Where no record could be found.
    Damaged,
}

/// Walks on; `index` counts the records.
fn walk_on(
    out: &mut dyn Records,
    walker: &mut Walker,
    data: &[u8],
    frames: &mut Frames<'_>,
    index: &mut usize,
) -> ControlFlow<(), Stop> {
    loop {
        match frames.next() {
            Next::End => return ControlFlow::Continue(Stop::End),
            Next::Damaged => return ControlFlow::Continue(Stop::Damaged),
            Next::Record(frame) => match out.walk(walker, data, &frame) {
                Some(flow) => flow?,
                None => return ControlFlow::Continue(Stop::Record),
            },
        }
        *index += 1;
    }
}

/// One chunk.
fn chunk(
    out: &mut dyn Records,
    walker: &mut Walker,
    data: &[u8],
    number: u64,
    cut: bool,
    settings: &Arc<ParserSettings>,
) -> ControlFlow<()> {
    use ControlFlow::Continue;
    let place = Place::Chunk(number);
    let mut index = 0;
    let mut frames = if out.walks() && !cut { Frames::new(data) } else { None };
    let mut stop = Stop::Damaged;
    if let Some(frames) = &mut frames {
        walker.next_chunk();
        stop = walk_on(out, walker, data, frames, &mut index)?;
    }
    if matches!(stop, Stop::End) {
        return Continue(());
    }
    let mut full = match EvtxChunkData::new(data.to_vec(), false) {
        Ok(d) => d,
        Err(e) => {
            bad(out, place, || format!("a damaged chunk: {e}"));
            return Continue(());
        }
    };
    let mut full = match full.parse(settings.clone()) {
        Ok(c) => c,
        Err(e) => {
            bad(out, place, || format!("a damaged chunk: {e}"));
            return Continue(());
        }
    };
    let mut errors = 0u32;
    // It finds the same records; those that were walked are passed over.
    let mut records = full.iter();
    let mut passed = 0;
    loop {
        while passed < index {
            if records.next().is_none() {
                return Continue(());
            }
            passed += 1;
        }
        let Some(record) = records.next() else { return Continue(()) };
        passed += 1;
        let rendered = record.and_then(|r| {
            let id = r.event_record_id;
            r.into_json().map(|s| (id, s.data))
        });
        match rendered {
            Ok((id, text)) => out.json(id, &text)?,
            Err(e) => {
                // In a chunk that was cut off, what lies beyond the cut is no news.
                if !cut || errors > 0 {
                    bad(out, place, || format!("a record that cannot be read: {e}"));
                }
                errors += 1;
                // No chunk holds more records than this; an iterator that goes on is lost.
                if errors > 4096 {
                    return Continue(());
                }
            }
        }
        index = passed;
        if let (Stop::Record, Some(frames)) = (&stop, &mut frames) {
            stop = walk_on(out, walker, data, frames, &mut index)?;
            if matches!(stop, Stop::End) {
                return Continue(());
            }
        }
    }
}

/// The JSON of one record, as the full parser writes it among the others of its chunk.
fn text_of(data: &[u8], frame: &Frame, settings: &Arc<ParserSettings>, out: &mut String) {
    let mut copy = data.to_vec();
    // The chunk's first record is made to reach up to this one, so that nothing between is parsed.
    let first = frame::CHUNK_HEADER;
    let skip = frame.at > first;
    if skip && let Some(size) = copy.get_mut(first + 4..first + 8) {
        size.copy_from_slice(&((frame.at - first) as u32).to_le_bytes());
    }
    let first_id = binxml::u64_at(&copy, first + 8).unwrap_or_default();
    let Ok(mut full) = EvtxChunkData::new(copy, false) else { return };
    if skip {
        // The walk ends at the last record, which the first one may claim to be.
        full.header.last_event_record_id = first_id.wrapping_add(1);
    }
    let Ok(mut full) = full.parse(settings.clone()) else { return };
    if let Some(Ok(record)) = full.iter().nth(usize::from(skip))
        && let Ok(json) = record.into_json()
    {
        out.push_str(&json.data);
    }
}

/// Records as events of a sink by fields.
struct Events<'r, 'x, 's> {
    run: &'r mut Run<'x, 's>,
    room: Vec<u8>,
    fields: Vec<Field<'static>>,
    pool: Vec<RawValue<'static>>,
}

impl Records for Events<'_, '_, '_> {
    fn walks(&self) -> bool {
        !self.run.wants_text
    }

    fn walk(&mut self, walker: &mut Walker, chunk: &[u8], frame: &Frame) -> Option<ControlFlow<()>> {
        let run = &mut *self.run;
        let located =
            walker.locate(chunk, frame.xml.start, frame.xml.end, run.recogniser, &mut |_, _| None)?;
        let layout = &walker.layouts[located.layout];
        if !run.sink.wants(&layout.table) {
            run.recogniser.count_rows(&layout.table, Shape::EventLog, 1);
            return Some(run.step());
        }
        if self.room.is_empty() {
            self.room.resize(ROOM, 0);
        }
        let mut arena = Arena::new(&mut self.room);
        let mut values = recycle_values(std::mem::take(&mut self.pool));
        let mut fields = recycle(std::mem::take(&mut self.fields));
        let found = walker.fill(&located, chunk, &mut arena, &mut values);
        let flow = found.map(|found| {
            run.recogniser.count_rows(&layout.table, Shape::EventLog, 1);
            fields.extend(layout.names.iter().zip(&values).map(|(n, v)| Field::new(&**n, *v)));
            let (source, stem) = (run.source.clone(), run.stem.clone());
            let record = found.record.unwrap_or(frame.id.cast_signed());
            let origin = Origin { source: &source, stem: &stem, record, text: None };
            run.step()?;
            run.recogniser.push_windows(&origin, &layout.table, &fields, Some(found.time), run.sink)
        });
        self.pool = recycle_values(values);
        self.fields = recycle(fields);
        flow
    }

    fn json(&mut self, id: u64, text: &str) -> ControlFlow<()> {
        let mut fields = recycle(std::mem::take(&mut self.fields));
        let flow = match scan_object(text, 0, &mut fields) {
            Ok(_) => self.run.record(written_id(text).unwrap_or(id.cast_signed()), Some(text), &mut fields),
            Err(e) => {
                self.run.bad(Place::Record(id), || e.message(text));
                ControlFlow::Continue(())
            }
        };
        self.fields = recycle(fields);
        flow
    }

    fn problems(&mut self) -> &mut Problems {
        self.run.problems
    }
}

/// Records as events of a sink by layouts.
struct Layouts<'r, 's> {
    recogniser: &'r mut Recogniser<'s>,
    problems: &'r mut Problems,
    feed: &'r mut dyn Feed,
    room: Vec<u8>,
    values: Vec<RawValue<'static>>,
    pool: Vec<Field<'static>>,
    seen: u32,
}

impl Records for Layouts<'_, '_> {
    fn walks(&self) -> bool {
        true
    }

    fn walk(&mut self, walker: &mut Walker, chunk: &[u8], frame: &Frame) -> Option<ControlFlow<()>> {
        let feed = &mut *self.feed;
        let located =
            walker.locate(chunk, frame.xml.start, frame.xml.end, self.recogniser, &mut |t, n| {
                feed.layout(t, n)
            })?;
        let layout = &walker.layouts[located.layout];
        self.seen = self.seen.wrapping_add(1);
        let now_and_then = self.seen.is_multiple_of(1024);
        let mut flow = ControlFlow::Continue(());
        if let Some(number) = layout.number {
            if self.room.is_empty() {
                self.room.resize(ROOM, 0);
            }
            let mut arena = Arena::new(&mut self.room);
            let mut values = recycle_values(std::mem::take(&mut self.values));
            let found = walker.fill(&located, chunk, &mut arena, &mut values);
            let delivered = found.map(|found| {
                self.recogniser.count_rows(&layout.table, Shape::EventLog, 1);
                let get = |i: Option<usize>| i.and_then(|i| values.get(i)).copied();
                let utc = get(layout.utc).unwrap_or(RawValue::Null);
                let times = match get(layout.time) {
                    Some(chosen) => [chosen, found.time],
                    None => [found.time, utc],
                };
                let text = |out: &mut String| text_of(chunk, frame, &settings(), out);
                let event = LaidOut {
                    values: &values,
                    times,
                    record: found.record.unwrap_or(frame.id.cast_signed()),
                    text: EventText::Lazy(&text),
                };
                feed.event(number, &event)
            });
            self.values = recycle_values(values);
            flow = delivered?;
        } else {
            self.recogniser.count_rows(&layout.table, Shape::EventLog, 1);
        }
        if now_and_then && flow.is_continue() {
            flow = feed.tell(self.recogniser);
        }
        Some(flow)
    }

    fn json(&mut self, id: u64, text: &str) -> ControlFlow<()> {
        let mut fields = recycle(std::mem::take(&mut self.pool));
        let flow = match scan_object(text, 0, &mut fields) {
            Ok(_) => {
                let record = written_id(text).unwrap_or(id.cast_signed());
                self.feed.json(self.recogniser, record, text, &mut fields)
            }
            Err(e) => {
                self.problems.add(ProblemKind::BadRecord, Some(Place::Record(id)), || e.message(text));
                ControlFlow::Continue(())
            }
        };
        self.pool = recycle(fields);
        flow
    }

    fn problems(&mut self) -> &mut Problems {
        self.problems
    }
}

/// Empties a list and gives its allocation to values of another lifetime.
fn recycle_values<'b>(mut values: Vec<RawValue<'_>>) -> Vec<RawValue<'b>> {
    values.clear();
    // Collecting an empty iterator over the same layout keeps the allocation.
    values.into_iter().map(|_| RawValue::Null).collect()
}

/// The record number that the event itself carries (`System/EventRecordID`). In a log that was filtered
/// on export it differs from the record's number in the file, and it is the one that users know.
fn written_id(json: &str) -> Option<i64> {
    const KEY: &str = "\"EventRecordID\":";
    let rest = json[json.find(KEY)? + KEY.len()..].trim_start();
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// Reads until `buf` is full or the source ends.
fn fill(source: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match source.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(k) => n += k,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}
