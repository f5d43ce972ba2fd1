//! Windows event logs, chunk by chunk, from a stream.
//!
//! A log is a header of 4 KiB and chunks of 64 KiB, each complete in itself. What is broken costs at most
//! its chunk: the file header's counts are not believed, and every chunk is tried.
//!
//! Records are read by a straight walk (`walk.rs`) that makes no text; a sink by layouts that asks for one gets
//! it from the same instances (`render.rs`). What is not understood, and everything for another sink that wants
//! the text of every event, goes through the full parser of the `evtx` crate and the recognition of its JSON.
//! Both give the same events and the same texts.

mod binxml;
mod frame;
mod plan;
mod render;
mod values;
mod walk;

#[cfg(test)]
pub(crate) mod build;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};

use super::Run;
use crate::gist::{FixedText, TextParts};
use crate::json::scan_object;
use crate::layout::{EventText, LaidOut};
use crate::problem::{Place, ProblemKind, Problems};
use crate::shape::{Origin, Shape};
use crate::value::{Field, RawValue, recycle};
use frame::{Frame, Frames, Next};
use values::Arena;
use walk::Located;
pub(crate) use walk::Walker;

const HEADER: usize = 4096;
const CHUNK: usize = 65536;
/// Room for the rendered values of one record. A record that needs more goes through the full parser.
const ROOM: usize = 256 << 10;

/// Reads a log. The number of a record is its event record id.
pub(crate) fn read(run: &mut Run<'_, '_>, mut source: Box<dyn Read + '_>) -> io::Result<()> {
    let Some(declared) = header(run, &mut *source)? else { return Ok(()) };
    chunks(run, &mut *source, 0..u64::MAX, declared)
}

/// Reads some of the chunks of a log, by their numbers. The range of its last part has no end.
pub(crate) fn read_part(run: &mut Run<'_, '_>, file: &mut File, numbers: Range<u64>) -> io::Result<()> {
    let Some(declared) = header(run, file)? else { return Ok(()) };
    file.seek(SeekFrom::Start(HEADER as u64 + numbers.start * CHUNK as u64))?;
    chunks(run, file, numbers, declared)
}

/// The parts in which a log of this size is read, of about so many bytes each: ranges of chunks.
pub(crate) fn parts(size: u64, bytes: u64) -> Vec<Range<u64>> {
    let step = (bytes / CHUNK as u64).max(1);
    let n = size.saturating_sub(HEADER as u64).div_ceil(CHUNK as u64).div_ceil(step).max(1);
    // The file may have grown since.
    (0..n).map(|k| k * step..if k + 1 == n { u64::MAX } else { (k + 1) * step }).collect()
}

/// How many bytes of a file of this size such a part is.
pub(crate) fn bytes_of(numbers: &Range<u64>, size: u64) -> u64 {
    let place =
        |n: u64| if n == 0 { 0 } else { n.saturating_mul(CHUNK as u64).saturating_add(HEADER as u64) };
    place(numbers.end).min(size).saturating_sub(place(numbers.start))
}

/// How many chunks there are, according to the log; only used to notice that some are missing. `None`: it
/// ends before it says so.
fn header(run: &mut Run<'_, '_>, source: &mut dyn Read) -> io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    let got = fill(source, &mut header)?;
    if got < HEADER {
        run.problems.add(ProblemKind::BrokenOff, None, || "the event log ends inside its header".into());
        return Ok(None);
    }
    Ok(Some(u64::from(u16::from_le_bytes([header[42], header[43]]))))
}

/// Reads chunks of these numbers; `source` begins with the first of them.
fn chunks(
    run: &mut Run<'_, '_>,
    source: &mut dyn Read,
    numbers: Range<u64>,
    declared: u64,
) -> io::Result<()> {
    let mut walker = run.recogniser.take_walker();
    let walks = !run.wants_text || run.sink.by_layout().is_some();
    let mut buffers = std::mem::take(&mut walker.buffers);
    let room = std::mem::take(&mut buffers.room);
    let mut out = Events { run, walks, room, fields: Vec::new(), values: Vec::new() };
    let outcome = chunks_into(&mut out, &mut walker, &mut buffers.chunk, source, numbers, declared);
    buffers.room = out.room;
    walker.buffers = buffers;
    out.run.recogniser.put_walker(walker);
    outcome
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

fn chunks_into(
    out: &mut dyn Records,
    walker: &mut Walker,
    data: &mut Vec<u8>,
    source: &mut dyn Read,
    numbers: Range<u64>,
    declared: u64,
) -> io::Result<()> {
    let settings = settings();
    let mut number = numbers.start;
    data.resize(CHUNK, 0);
    while number < numbers.end {
        let got = fill(source, data)?;
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
            if !is_blank(data) {
                bad(out, place, || "not a chunk of an event log".into());
            }
        } else if chunk(out, walker, data, number, cut, &settings).is_break() {
            return Ok(());
        }
        number += 1;
    }
    if numbers.end == u64::MAX && number < declared && declared < u64::from(u16::MAX) {
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

/// Records as events of a sink: by layout, if it is such a sink.
struct Events<'r, 'x, 's> {
    run: &'r mut Run<'x, 's>,
    walks: bool,
    room: Vec<u8>,
    fields: Vec<Field<'static>>,
    values: Vec<RawValue<'static>>,
}

/// A record's JSON.
struct RecordText<'t> {
    walker: &'t Walker,
    located: &'t Located,
    chunk: &'t [u8],
    frame: &'t Frame,
}

impl TextParts for RecordText<'_> {
    fn fixed(&self, each: &mut dyn FnMut(&FixedText)) {
        self.walker.with_record(self.located, self.chunk, |r| r.fixed(each));
    }
    fn own(&self, out: &mut Vec<u8>) -> bool {
        self.walker.with_record(self.located, self.chunk, |r| r.own(out)).unwrap_or(false)
    }
    fn render(&self, out: &mut String) {
        if self.walker.render(self.located, self.chunk, out).is_none() {
            text_of(self.chunk, self.frame, &settings(), out);
        }
    }
}

impl Records for Events<'_, '_, '_> {
    fn walks(&self) -> bool {
        self.walks
    }

    fn walk(&mut self, walker: &mut Walker, chunk: &[u8], frame: &Frame) -> Option<ControlFlow<()>> {
        let run = &mut *self.run;
        let located = walker.locate(chunk, frame.xml.start, frame.xml.end, run.recogniser)?;
        let layout = &mut walker.layouts[located.layout];
        let wanted = match run.sink.by_layout() {
            Some(sink) => {
                if layout.generation != Some(sink.generation()) {
                    layout.number = sink.layout(&layout.table, layout.distinct_names());
                    // Announcing may begin a new one.
                    layout.generation = Some(sink.generation());
                }
                layout.number.is_some()
            }
            None => run.sink.wants(&layout.table),
        };
        if !wanted {
            run.recogniser.count_rows(&layout.table, Shape::EventLog, 1);
            return Some(run.step());
        }
        let layout = &walker.layouts[located.layout];
        if self.room.is_empty() {
            self.room.resize(ROOM, 0);
        }
        let mut arena = Arena::new(&mut self.room);
        let mut values = recycle_values(std::mem::take(&mut self.values));
        let found = walker.fill(&located, chunk, &mut arena, &mut values);
        let mut fields = recycle(std::mem::take(&mut self.fields));
        let flow = found.map(|found| {
            run.recogniser.count_rows(&layout.table, Shape::EventLog, 1);
            run.step()?;
            let record = found.record.unwrap_or(frame.id.cast_signed());
            if let Some(sink) = run.sink.by_layout() {
                let times = layout.times(found.time, &values);
                layout.keep_distinct(&mut values);
                let text = RecordText { walker, located: &located, chunk, frame };
                let event = LaidOut { values: &values, times, record, text: EventText::Parts(&text) };
                return layout.number.map_or(ControlFlow::Continue(()), |n| sink.event(n, &event));
            }
            fields.extend(layout.names.iter().zip(&values).map(|(n, v)| Field::new(&**n, *v)));
            let (source, stem) = (run.source.clone(), run.stem.clone());
            let origin = Origin { source: &source, stem: &stem, record, text: None };
            run.recogniser.push_windows(&origin, &layout.table, &fields, Some(found.time), run.sink)
        });
        self.values = recycle_values(values);
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

/// Whether all bytes are 0.
fn is_blank(data: &[u8]) -> bool {
    // In blocks that are looked at whole: logs allocated ahead are mostly such chunks.
    data.chunks(256).all(|block| block.iter().fold(0, |any, b| any | b) == 0)
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
