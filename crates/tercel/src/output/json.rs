//! One array of objects, or one object a line.

use super::{Cell, Column, Rows};
use std::borrow::Cow;
use std::io::{self, Write};

pub(super) struct Json {
    out: Box<dyn Write + Send>,
    /// Each column's name as a JSON string.
    names: Vec<String>,
    array: bool,
    rows: u64,
}

impl Json {
    pub(super) fn new(out: Box<dyn Write + Send>, columns: Vec<Column>, array: bool) -> Json {
        let names = columns.iter().map(|c| serde_json::Value::from(c.name.as_str()).to_string()).collect();
        Json { out, names, array, rows: 0 }
    }
}

impl Rows for Json {
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        let out = &mut self.out;
        match (self.array, self.rows) {
            (true, 0) => out.write_all(b"[\n")?,
            (true, _) => out.write_all(b",\n")?,
            (false, _) => {}
        }
        out.write_all(b"{")?;
        for (i, (name, cell)) in self.names.iter().zip(&cells).enumerate() {
            if i > 0 {
                out.write_all(b",")?;
            }
            out.write_all(name.as_bytes())?;
            out.write_all(b":")?;
            match cell {
                Cell::Value(v) => serde_json::to_writer(&mut *out, &v.to_json())?,
                Cell::Json(j) => out.write_all(one_line(j).as_bytes())?,
            }
        }
        out.write_all(if self.array { b"}" } else { b"}\n" })?;
        self.rows += 1;
        Ok(())
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        match (self.array, self.rows) {
            (true, 0) => self.out.write_all(b"[]\n")?,
            (true, _) => self.out.write_all(b"\n]\n")?,
            (false, _) => {}
        }
        self.out.flush()
    }
}

/// JSON text without line breaks. They can stand only between tokens, so taking them out changes nothing.
pub(super) fn one_line(json: &str) -> Cow<'_, str> {
    // Hits carry whole events, thousands of bytes each.
    match memchr::memchr2(b'\n', b'\r', json.as_bytes()) {
        Some(_) => json.replace(['\n', '\r'], "").into(),
        None => json.into(),
    }
}
