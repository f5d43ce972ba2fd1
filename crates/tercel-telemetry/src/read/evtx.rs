//! Windows event logs, chunk by chunk, from a stream.
//!
//! A log is a header of 4 KiB and chunks of 64 KiB, each complete in itself. What is broken costs at most
//! its chunk: the file header's counts are not believed, and every chunk is tried.

use std::io::{self, Read};
use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};

use super::Run;
use crate::json::scan_object;
use crate::problem::{Place, ProblemKind};
use crate::value::recycle;

const HEADER: usize = 4096;
const CHUNK: usize = 65536;

/// Reads a log. The number of a record is its event record id.
pub(crate) fn read(run: &mut Run<'_, '_>, mut source: Box<dyn Read + '_>) -> io::Result<()> {
    let mut header = vec![0; HEADER];
    let got = fill(&mut *source, &mut header)?;
    if got < HEADER {
        run.problems.add(ProblemKind::BrokenOff, None, || "the event log ends inside its header".into());
        return Ok(());
    }
    let settings = Arc::new(ParserSettings::new().indent(false));
    let mut pool = Vec::new();
    let mut number: u64 = 0;
    // Chunks that the header says are there; only used to notice that some are missing.
    let declared = u64::from(u16::from_le_bytes([header[42], header[43]]));
    loop {
        let mut data = vec![0; CHUNK];
        let got = fill(&mut *source, &mut data)?;
        if got == 0 {
            break;
        }
        let place = Place::Chunk(number);
        let cut = got < CHUNK;
        if cut {
            // The rest is zeros: records in the part that is there are still found.
            run.problems
                .add(ProblemKind::BrokenOff, Some(place), || "the event log ends inside a chunk".into());
        }
        if !data.starts_with(b"ElfChnk\0") {
            // Logs are allocated ahead; unused chunks are zeros.
            if data.iter().any(|b| *b != 0) {
                run.bad(place, || "not a chunk of an event log".into());
            }
        } else {
            let flow;
            (flow, pool) = chunk(run, data, number, cut, &settings, pool)?;
            if flow.is_break() {
                return Ok(());
            }
        }
        number += 1;
    }
    if number < declared && declared < u64::from(u16::MAX) {
        run.problems.add(ProblemKind::BrokenOff, Some(Place::Chunk(number)), || {
            format!("the event log ends after {number} of its {declared} chunks")
        });
    }
    Ok(())
}

type Pool = Vec<crate::value::Field<'static>>;

/// One chunk.
fn chunk(
    run: &mut Run<'_, '_>,
    data: Vec<u8>,
    number: u64,
    cut: bool,
    settings: &Arc<ParserSettings>,
    mut pool: Pool,
) -> io::Result<(std::ops::ControlFlow<()>, Pool)> {
    use std::ops::ControlFlow::Continue;
    let place = Place::Chunk(number);
    let mut data = match EvtxChunkData::new(data, false) {
        Ok(d) => d,
        Err(e) => {
            run.bad(place, || format!("a damaged chunk: {e}"));
            return Ok((Continue(()), pool));
        }
    };
    let mut chunk = match data.parse(settings.clone()) {
        Ok(c) => c,
        Err(e) => {
            run.bad(place, || format!("a damaged chunk: {e}"));
            return Ok((Continue(()), pool));
        }
    };
    let mut errors = 0u32;
    for record in chunk.iter() {
        let rendered = record.and_then(|r| {
            let id = r.event_record_id;
            r.into_json().map(|s| (id, s.data))
        });
        match rendered {
            Ok((id, text)) => {
                let mut fields = recycle(pool);
                let flow = match scan_object(&text, 0, &mut fields) {
                    Ok(_) => {
                        run.record(written_id(&text).unwrap_or(id.cast_signed()), Some(&text), &mut fields)
                    }
                    Err(e) => {
                        run.bad(Place::Record(id), || e.message(&text));
                        Continue(())
                    }
                };
                pool = recycle(fields);
                if flow.is_break() {
                    return Ok((flow, pool));
                }
            }
            Err(e) => {
                // In a chunk that was cut off, what lies beyond the cut is no news.
                if !cut || errors > 0 {
                    run.bad(place, || format!("a record that cannot be read: {e}"));
                }
                errors += 1;
                // No chunk holds more records than this; an iterator that goes on is lost.
                if errors > 4096 {
                    break;
                }
            }
        }
    }
    Ok((Continue(()), pool))
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
