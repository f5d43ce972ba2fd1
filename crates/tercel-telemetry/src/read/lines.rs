//! Formats of one line a record: Zeek's TSV and plain text.

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;

use super::Run;
use super::buffer::{Buffer, Line, next_line};
use crate::problem::Place;
use crate::value::{Field, RawValue, object_text, push_json_string};

/// Calls `f` with every line as text, without its line end, and its number from 0.
fn each_line(
    run: &mut Run<'_, '_>,
    buffer: &mut Buffer<'_>,
    mut f: impl FnMut(&mut Run<'_, '_>, &str, u64) -> ControlFlow<()>,
) -> io::Result<()> {
    let limit = run.options.max_record;
    let mut number = 0;
    loop {
        match next_line(buffer, limit) {
            Line::End => return buffer.finish(),
            Line::TooLong => {
                run.too_long(Place::Line(number + 1));
                if !buffer.skip_line(0) {
                    return buffer.finish();
                }
            }
            Line::Whole(len, with_end) => {
                let bytes = &buffer.data()[..len];
                let text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes));
                if matches!(text, Cow::Owned(_)) {
                    run.invalid_utf8(Place::Line(number + 1));
                }
                if f(run, &text, number).is_break() {
                    return Ok(());
                }
                buffer.consume(with_end);
            }
        }
        number += 1;
    }
}

/// Lines as records of the one field `_raw`. Empty lines are none. The number of a record is that of
/// its line, from 0.
pub(crate) fn read_text(run: &mut Run<'_, '_>, buffer: &mut Buffer<'_>) -> io::Result<()> {
    each_line(run, buffer, |run, line, number| {
        if line.trim().is_empty() {
            return ControlFlow::Continue(());
        }
        let mut fields = vec![Field::new("_raw", RawValue::Text(line))];
        let mut text = String::new();
        if run.wants_text {
            object_text(&fields, &mut text);
        }
        run.record(number as i64, Some(&text), &mut fields)
    })
}

/// Lines of syslog and of `audit.log`: see [`crate::shape::linux`].
pub(crate) fn read_linux(run: &mut Run<'_, '_>, buffer: &mut Buffer<'_>) -> io::Result<()> {
    each_line(run, buffer, |run, line, number| {
        if line.trim().is_empty() {
            return ControlFlow::Continue(());
        }
        run.linux_line(number as i64, line)
    })
}

/// How Zeek writes the values of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
    /// Sets and vectors; whether of numbers.
    List(bool),
}

impl Kind {
    fn of(name: &str) -> Kind {
        let number = |n: &str| matches!(n, "time" | "interval" | "count" | "int" | "port" | "double");
        match name {
            "bool" => Kind::Bool,
            n if number(n) => Kind::Number,
            n => match n.strip_prefix("set[").or_else(|| n.strip_prefix("vector[")) {
                Some(inner) => Kind::List(number(inner.trim_end_matches(']'))),
                None => Kind::Text,
            },
        }
    }
}

struct Header {
    separator: char,
    set_separator: String,
    empty: String,
    unset: String,
    path: String,
    names: Vec<String>,
    kinds: Vec<Kind>,
}

impl Header {
    /// Takes a line that begins with `#`.
    fn directive(&mut self, line: &str) {
        if let Some(code) = line.strip_prefix("#separator ") {
            // Always written as `\x09`.
            let byte = code.trim().strip_prefix("\\x").and_then(|h| u8::from_str_radix(h, 16).ok());
            self.separator = byte.filter(u8::is_ascii).map_or('\t', char::from);
            return;
        }
        let mut parts = line.split(self.separator);
        match parts.next() {
            Some("#set_separator") => self.set_separator = parts.next().unwrap_or(",").to_owned(),
            Some("#empty_field") => self.empty = parts.next().unwrap_or("(empty)").to_owned(),
            Some("#unset_field") => self.unset = parts.next().unwrap_or("-").to_owned(),
            Some("#path") => self.path = parts.next().unwrap_or_default().to_owned(),
            Some("#fields") => {
                self.names = parts.map(|n| n.replace('.', "_")).collect();
                self.kinds.clear();
            }
            Some("#types") => self.kinds = parts.map(Kind::of).collect(),
            // #open, #close, comments.
            _ => {}
        }
    }
}

/// Zeek's tab-separated logs. The number of a record counts records from 0, not lines.
pub(crate) fn read_zeek(run: &mut Run<'_, '_>, buffer: &mut Buffer<'_>) -> io::Result<()> {
    let mut header = Header {
        separator: '\t',
        set_separator: ",".into(),
        empty: "(empty)".into(),
        unset: "-".into(),
        path: String::new(),
        names: Vec::new(),
        kinds: Vec::new(),
    };
    let mut record = 0;
    each_line(run, buffer, |run, line, number| {
        if line.starts_with('#') {
            header.directive(line);
            return ControlFlow::Continue(());
        }
        if line.is_empty() {
            return ControlFlow::Continue(());
        }
        if line.split(header.separator).count() != header.names.len() {
            let expected = header.names.len();
            run.bad(Place::Line(number + 1), || {
                format!("a line without the {expected} columns that `#fields` names")
            });
            return ControlFlow::Continue(());
        }
        // Decoded values; made first, so that the fields can borrow them.
        let cells: Vec<Cell<'_>> = line
            .split(header.separator)
            .enumerate()
            .map(|(i, v)| cell(&header, header.kinds.get(i).copied().unwrap_or(Kind::Text), v))
            .collect();
        let mut fields: Vec<Field<'_>> =
            header.names.iter().zip(&cells).map(|(n, c)| Field::new(n.as_str(), c.value())).collect();
        let mut text = String::new();
        if run.wants_text {
            object_text(&fields, &mut text);
        }
        if !header.path.is_empty() {
            fields.push(Field::new("_path", RawValue::Text(&header.path)));
        }
        let flow = run.record(record, Some(&text), &mut fields);
        record += 1;
        flow
    })
}

enum Cell<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    List(String),
}

impl Cell<'_> {
    fn value(&self) -> RawValue<'_> {
        match self {
            Cell::Null => RawValue::Null,
            Cell::Bool(b) => RawValue::Bool(*b),
            Cell::Number(n) => RawValue::Number(n),
            Cell::Text(t) => RawValue::Text(t),
            Cell::List(j) => RawValue::Json(j),
        }
    }
}

fn cell<'a>(header: &Header, kind: Kind, text: &'a str) -> Cell<'a> {
    if text == header.unset {
        return Cell::Null;
    }
    let is_number =
        |t: &str| matches!(crate::json::scan_value(t, 0), Ok((RawValue::Number(_), n)) if n == t.len());
    match kind {
        Kind::Bool if text == "T" => Cell::Bool(true),
        Kind::Bool if text == "F" => Cell::Bool(false),
        Kind::Number if is_number(text) => Cell::Number(text),
        Kind::List(numbers) => {
            let mut out = String::from("[");
            if text != header.empty {
                for (i, part) in text.split(header.set_separator.as_str()).enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    if numbers && is_number(part) {
                        out.push_str(part);
                    } else {
                        push_json_string(&decode(part), &mut out);
                    }
                }
            }
            out.push(']');
            Cell::List(out)
        }
        _ if text == header.empty => Cell::Text(Cow::Borrowed("")),
        _ => Cell::Text(decode(text)),
    }
}

/// `\x09` becomes a tab. Bytes that are no UTF-8 together are left as written.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&c, tail)) = rest.split_first() {
        if c == b'\\'
            && tail.first() == Some(&b'x')
            && let Some(hex) = tail.get(1..3).and_then(|h| std::str::from_utf8(h).ok())
            && let Ok(byte) = u8::from_str_radix(hex, 16)
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
        {
            out.push(byte);
            rest = &tail[3..];
        } else {
            out.push(c);
            rest = tail;
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}
