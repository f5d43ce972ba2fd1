//! Comma-separated values with a header line (RFC 4180, any of four delimiters).

use std::borrow::Cow;
use std::io;

use super::Run;
use super::buffer::Buffer;
use crate::problem::Place;
use crate::value::{Field, RawValue, object_text};

/// One record: the ranges of its cells, and their texts where quotes had to be taken out.
#[derive(Default)]
struct Row {
    /// Start and end in the record; `true`: in `unquoted`.
    cells: Vec<(usize, usize, bool)>,
    unquoted: Vec<u8>,
}

/// Splits the record at the start of `data`. Returns its length with the line end; `None`: it is not
/// complete.
fn split(data: &[u8], delimiter: u8, at_end: bool, row: &mut Row) -> Option<usize> {
    row.cells.clear();
    row.unquoted.clear();
    let mut p = 0;
    loop {
        // At the start of a cell.
        if data.get(p) == Some(&b'"') {
            let mut start = p + 1;
            let from = row.unquoted.len();
            loop {
                let i = memchr::memchr(b'"', &data[start..])?;
                row.unquoted.extend_from_slice(&data[start..start + i]);
                start += i + 1;
                match data.get(start) {
                    Some(b'"') => {
                        row.unquoted.push(b'"');
                        start += 1;
                    }
                    // The quote may be half of a pair.
                    None if !at_end => return None,
                    _ => break,
                }
            }
            // What follows the closing quote, wrong as it is, belongs to the cell.
            let end = cell_end(data, start, delimiter, at_end)?;
            let tail = data[start..end].strip_suffix(b"\r").unwrap_or(&data[start..end]);
            row.unquoted.extend_from_slice(tail);
            row.cells.push((from, row.unquoted.len(), true));
            p = end;
        } else {
            let end = cell_end(data, p, delimiter, at_end)?;
            let last = data.get(end) != Some(&delimiter);
            let text =
                if last { data[p..end].strip_suffix(b"\r").unwrap_or(&data[p..end]) } else { &data[p..end] };
            row.cells.push((p, p + text.len(), false));
            p = end;
        }
        match data.get(p) {
            Some(b'\n') => return Some(p + 1),
            Some(_) => p += 1,
            None => return Some(p),
        }
    }
}

fn cell_end(data: &[u8], from: usize, delimiter: u8, at_end: bool) -> Option<usize> {
    match memchr::memchr2(delimiter, b'\n', &data[from..]) {
        Some(i) => Some(from + i),
        None if at_end => Some(data.len()),
        None => None,
    }
}

/// The delimiter, if the text is CSV with a header. `named`: its name says it is.
pub(crate) fn sniff(head: &[u8], named: bool) -> Option<u8> {
    let mut best: Option<(usize, u8)> = None;
    for delimiter in [b',', b'\t', b';', b'|'] {
        let mut row = Row::default();
        let Some(first) = split(head, delimiter, true, &mut row) else { continue };
        let names: Vec<String> = header(head, &row);
        let n = names.len();
        // Prose has a blank behind its commas.
        let prose = row.cells.iter().any(|&(a, b, quoted)| !quoted && head[a..b].starts_with(b" "));
        let plausible = n >= 2 && (named || !prose) && names.iter().all(|n| is_name(n)) && {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.windows(2).all(|w| w[0] != w[1])
        };
        if !plausible {
            continue;
        }
        // A text can begin with a list of words; a table goes on as it began.
        let goes_on = split(&head[first..], delimiter, true, &mut row).is_some() && row.cells.len() == n;
        if (named || n >= 3 && goes_on) && best.is_none_or(|(b, _)| n > b) {
            best = Some((n, delimiter));
        }
    }
    // A single column is CSV only if the file says so.
    best.map(|(_, d)| d).or((named && head.iter().take(4096).any(|b| *b == b'\n')).then_some(b','))
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '@' | '$'))
        && text.len() <= 128
        && chars.all(|c| {
            c.is_alphanumeric()
                || matches!(c, '_' | '.' | '-' | ' ' | '[' | ']' | '(' | ')' | '/' | '@' | ':')
        })
}

/// The names of a header row. The portals write the time zone into them.
fn header(data: &[u8], row: &Row) -> Vec<String> {
    row.cells
        .iter()
        .map(|&(a, b, q)| {
            let bytes = if q { &row.unquoted[a..b] } else { &data[a..b] };
            let text = String::from_utf8_lossy(bytes);
            let text = text.trim();
            text.strip_suffix(" [UTC]").unwrap_or(text).to_owned()
        })
        .collect()
}

/// Reads CSV. The number of a record counts records behind the header from 0.
pub(crate) fn read(run: &mut Run<'_, '_>, buffer: &mut Buffer<'_>, delimiter: u8) -> io::Result<()> {
    let limit = run.options.max_record;
    let mut names: Option<Vec<String>> = None;
    let mut row = Row::default();
    let mut number: i64 = 0;
    let mut line: u64 = 1;
    loop {
        if buffer.data().is_empty() && !buffer.more() {
            return buffer.finish();
        }
        let place = Place::Line(line);
        let len = loop {
            match split(buffer.data(), delimiter, buffer.at_end(), &mut row) {
                Some(n) if n <= limit => break Some(n),
                Some(_) => {
                    run.too_long(place);
                    break None;
                }
                None if buffer.data().len() > limit => {
                    run.too_long(place);
                    break None;
                }
                None if buffer.more() => {}
                None if buffer.at_end() && split(buffer.data(), delimiter, true, &mut row).is_some() => {}
                None => {
                    run.bad(place, || "a quoted cell is never closed".into());
                    break None;
                }
            }
        };
        let Some(len) = len else {
            // Perhaps only this line is broken.
            line += 1;
            if buffer.skip_line(0) {
                continue;
            }
            return buffer.finish();
        };
        let data = &buffer.data()[..len];
        let lines = memchr::memchr_iter(b'\n', data).count() as u64;
        let blank = matches!(row.cells[..], [(a, b, false)] if data[a..b].trim_ascii().is_empty());
        match &names {
            _ if blank => {}
            None => names = Some(header(data, &row)),
            Some(names) if row.cells.len() > names.len() => {
                let (got, want) = (row.cells.len(), names.len());
                run.bad(place, || format!("{got} cells where the header names {want}"));
                number += 1;
            }
            Some(names) => {
                let text = |bytes| String::from_utf8_lossy(bytes);
                let cells: Vec<Cow<'_, str>> = row
                    .cells
                    .iter()
                    .map(|&(a, b, q)| text(if q { &row.unquoted[a..b] } else { &data[a..b] }))
                    .collect();
                if cells.iter().any(|c| matches!(c, Cow::Owned(_))) {
                    run.invalid_utf8(place);
                }
                let mut fields: Vec<Field<'_>> = names
                    .iter()
                    .zip(&cells)
                    .map(|(n, c)| Field::new(n.as_str(), RawValue::Text(c)))
                    .collect();
                let mut json = String::new();
                if run.wants_text {
                    object_text(&fields, &mut json);
                }
                if run.record(number, Some(&json), &mut fields).is_break() {
                    return Ok(());
                }
                number += 1;
            }
        }
        line += lines;
        buffer.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        let mut row = Row::default();
        while !rest.is_empty() {
            let Some(n) = split(rest, b',', true, &mut row) else { break };
            out.push(
                row.cells
                    .iter()
                    .map(|&(a, b, q)| {
                        String::from_utf8_lossy(if q { &row.unquoted[a..b] } else { &rest[a..b] })
                            .into_owned()
                    })
                    .collect(),
            );
            rest = &rest[n..];
        }
        out
    }

    #[test]
    fn quotes() {
        assert_eq!(
            rows("a,\"b,\"\"c\"\"\r\nd\",\r\n1,2,3"),
            [vec!["a", "b,\"c\"\r\nd", ""], vec!["1", "2", "3"]]
        );
        assert_eq!(rows("5\" disk,x\n\"a\"b,c"), [vec!["5\" disk", "x"], vec!["ab", "c"]]);
        assert_eq!(rows("\"never"), Vec::<Vec<String>>::new());
        assert_eq!(rows("a,"), [vec!["a", ""]]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_csv_crate(cells in prop::collection::vec(prop::collection::vec("[a-c,\"\r\n\u{e9} ]{0,6}", 2..5), 1..5)) {
            let mut w = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for r in &cells {
                w.write_record(r).unwrap();
            }
            let text = String::from_utf8(w.into_inner().unwrap()).unwrap();
            prop_assert_eq!(rows(&text), cells);
        }
    }
}
