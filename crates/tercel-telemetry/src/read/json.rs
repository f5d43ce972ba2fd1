//! NDJSON, JSON arrays, and JSON objects one after another.

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;

use super::Run;
use super::buffer::{Buffer, Line, next_line};
use crate::json::{ScanError, object_end, scan_object, skip_space};
use crate::problem::{Place, ProblemKind};
use crate::value::{Field, recycle};

/// One object a line. The number of a record is that of its line, from 0.
pub(crate) fn read_lines(run: &mut Run<'_, '_>, buffer: &mut Buffer<'_>) -> io::Result<()> {
    let limit = run.options.max_record;
    let mut pool = Vec::new();
    let mut line_number: u64 = 0;
    loop {
        match next_line(buffer, limit) {
            Line::End => break,
            Line::TooLong => {
                run.too_long(Place::Line(line_number + 1));
                if !buffer.skip_line(0) {
                    break;
                }
            }
            Line::Whole(len, with_end) => {
                let last = len == with_end;
                let (flow, p) = line(run, &buffer.data()[..len], line_number, last, pool);
                pool = p;
                if flow.is_break() {
                    return Ok(());
                }
                buffer.consume(with_end);
            }
        }
        line_number += 1;
    }
    buffer.finish()
}

/// One line; mostly one object. Gives the allocation of the fields back.
#[inline]
pub(crate) fn line(
    run: &mut Run<'_, '_>,
    bytes: &[u8],
    number: u64,
    last: bool,
    pool: Vec<Field<'static>>,
) -> (ControlFlow<()>, Vec<Field<'static>>) {
    let place = Place::Line(number + 1);
    let text = match std::str::from_utf8(bytes) {
        Ok(t) => Cow::Borrowed(t),
        Err(_) => {
            run.invalid_utf8(place);
            Cow::Owned(String::from_utf8_lossy(bytes).into_owned())
        }
    };
    let text: &str = &text;
    let b = text.as_bytes();
    let mut at = skip_space(b, 0);
    let mut fields = recycle(pool);
    let mut flow = ControlFlow::Continue(());
    while at < b.len() {
        match b[at] {
            b'{' => {
                fields.clear();
                match scan_object(text, at, &mut fields) {
                    Ok(end) => {
                        flow = run.record(number as i64, Some(&text[at..end]), &mut fields);
                        if flow.is_break() {
                            break;
                        }
                        at = end;
                    }
                    Err(e) => {
                        let in_file = last && e == ScanError::Incomplete;
                        run.bad(place, || {
                            if in_file { "the file ends inside a record".into() } else { e.message(text) }
                        });
                        break;
                    }
                }
            }
            // Between the lines of an array.
            b',' | b'[' | b']' => at += 1,
            _ => {
                run.bad(place, || "not a JSON object".into());
                break;
            }
        }
        at = skip_space(b, at);
    }
    (flow, recycle(fields))
}

/// Objects in an array or one after another, over as many lines as they like. The number of a record
/// is its own, from 0.
pub(crate) fn read_values(run: &mut Run<'_, '_>, buffer: &mut Buffer<'_>) -> io::Result<()> {
    let limit = run.options.max_record;
    let mut pool = Vec::new();
    let mut number: i64 = 0;
    let mut lines: u64 = 1;
    // White space between the last newline and where we are.
    let mut indent = 0usize;
    'records: loop {
        // To the next object.
        let start = loop {
            let data = buffer.data();
            let mut i = 0;
            let found = loop {
                match data.get(i) {
                    Some(b'\n') => {
                        lines += 1;
                        indent = 0;
                    }
                    Some(b' ' | b'\t' | b'\r') => indent += 1,
                    Some(b',' | b'[' | b']') => {}
                    other => break other.copied(),
                }
                i += 1;
            };
            buffer.consume(i);
            match found {
                Some(c) => break c,
                None if !buffer.more() => break 'records,
                None => {}
            }
        };
        let place = Place::Line(lines);
        let end = loop {
            match object_end(buffer.data(), 0) {
                Err(ScanError::Incomplete) if buffer.data().len() > limit => {
                    run.too_long(place);
                    break None;
                }
                Err(ScanError::Incomplete) if buffer.more() => {}
                Err(ScanError::Incomplete) => {
                    run.bad(place, || "the file ends inside a record".into());
                    break 'records;
                }
                Ok(n) if n > limit => {
                    run.too_long(place);
                    break None;
                }
                Ok(n) => break Some(n),
                Err(e) => {
                    run.bad(place, || if start == b'{' { e.message("") } else { "not a JSON object".into() });
                    break None;
                }
            }
        };
        match end {
            Some(n) => {
                let bytes = &buffer.data()[..n];
                let flow;
                (flow, pool) = value(run, bytes, number, place, pool);
                if flow.is_break() {
                    return Ok(());
                }
                lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
                buffer.consume(n);
            }
            None => {
                if !resync(buffer, indent, &mut lines) {
                    run.problems.add(ProblemKind::BrokenOff, Some(place), || {
                        "after an error no further record was found; the rest of the file was not read".into()
                    });
                    break;
                }
            }
        }
        number += 1;
    }
    buffer.finish()
}

fn value(
    run: &mut Run<'_, '_>,
    bytes: &[u8],
    number: i64,
    place: Place,
    pool: Vec<Field<'static>>,
) -> (ControlFlow<()>, Vec<Field<'static>>) {
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, Cow::Owned(_)) {
        run.invalid_utf8(place);
    }
    let mut fields = recycle(pool);
    let flow = match scan_object(&text, 0, &mut fields) {
        Ok(_) => run.record(number, Some(&text), &mut fields),
        Err(e) => {
            run.bad(place, || e.message(&text));
            ControlFlow::Continue(())
        }
    };
    (flow, recycle(fields))
}

/// After an error: to the next line that begins with `{`, indented no deeper than the broken record was.
fn resync(buffer: &mut Buffer<'_>, indent: usize, lines: &mut u64) -> bool {
    while buffer.skip_line(0) {
        *lines += 1;
        // The beginning of the line must be in sight.
        while buffer.data().len() <= indent && buffer.more() {}
        let data = buffer.data();
        let space = data.iter().take(indent + 1).take_while(|c| matches!(c, b' ' | b'\t')).count();
        if data.get(space) == Some(&b'{') {
            return true;
        }
    }
    false
}
