//! Rows to files and terminals. Standard output is data: everything here writes rows and nothing else.

mod delimited;
mod json;
mod markdown;
mod parquet;
mod table;

use crate::failure::Failure;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tercel_ir::{Type, Value};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Columns for people.
    Table,
    /// One array of objects.
    Json,
    /// One object a line.
    #[value(alias = "ndjson")]
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
    /// An Apache Parquet file.
    Parquet,
    /// A Markdown table.
    Markdown,
}

impl Format {
    /// By the suffix of a file name.
    fn of_path(path: &Path) -> Option<Format> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match suffix.as_str() {
            "txt" => Format::Table,
            "json" => Format::Json,
            "jsonl" | "ndjson" => Format::Jsonl,
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "parquet" => Format::Parquet,
            "md" | "markdown" => Format::Markdown,
            _ => return None,
        })
    }
}

/// A column of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub ty: Type,
}

impl Column {
    pub fn new(name: impl Into<String>, ty: Type) -> Column {
        Column { name: name.into(), ty }
    }
    /// Columns of text.
    pub fn text<const N: usize>(names: [&str; N]) -> Vec<Column> {
        names.map(|n| Column::new(n, Type::String)).to_vec()
    }
}

/// One value of the output.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Value(Value),
    /// A JSON value as its source wrote it: passed through, so that no digit and no order is lost.
    Json(Arc<str>),
}

impl Cell {
    pub const NULL: Cell = Cell::Value(Value::Null);

    pub fn text(s: impl Into<String>) -> Cell {
        Cell::Value(Value::Str(s.into()))
    }
    /// Text, or null.
    pub fn maybe(s: Option<impl Into<String>>) -> Cell {
        s.map_or(Cell::NULL, Cell::text)
    }
    pub fn number(n: impl TryInto<i64>) -> Cell {
        Cell::Value(Value::Long(n.try_into().unwrap_or(i64::MAX)))
    }
    /// A list of texts.
    pub fn list(items: &[String]) -> Cell {
        Cell::Value(Value::Dynamic(items.iter().map(|s| serde_json::Value::from(s.as_str())).collect()))
    }
    /// Bytes that it takes, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Cell::Json(j) => j.len(),
            Cell::Value(Value::Str(s)) => s.len(),
            Cell::Value(Value::Dynamic(j)) => json_weight(j),
            Cell::Value(_) => 16,
        }
    }
    fn is_empty(&self) -> bool {
        match self {
            Cell::Value(Value::Null) => true,
            Cell::Value(Value::Str(s)) => s.is_empty(),
            Cell::Json(j) => &**j == "null",
            Cell::Value(_) => false,
        }
    }
    /// For people and for delimited files: null is empty, a list of texts is joined for people only.
    fn to_text(&self) -> String {
        match self {
            Cell::Value(Value::Bool(b)) => b.to_string(),
            Cell::Value(v) => v.to_text(),
            Cell::Json(j) => match serde_json::from_str::<String>(j) {
                Ok(text) => text,
                Err(_) if &**j == "null" => String::new(),
                Err(_) => json::one_line(j).into_owned(),
            },
        }
    }
}

fn json_weight(j: &serde_json::Value) -> usize {
    use serde_json::Value as J;
    match j {
        J::String(s) => s.len() + 32,
        J::Array(a) => a.iter().map(json_weight).sum::<usize>() + 32,
        J::Object(o) => o.iter().map(|(k, v)| k.len() + json_weight(v)).sum::<usize>() + 64,
        J::Null | J::Bool(_) | J::Number(_) => 32,
    }
}

/// Receives rows and writes them in one format.
pub trait Rows {
    /// One row, a cell for each column.
    ///
    /// # Errors
    /// When the output does not take it.
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()>;
    /// Writes what is left.
    ///
    /// # Errors
    /// When the output does not take it.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Where output goes and how, as the options say.
#[derive(Clone, Debug)]
pub struct Target {
    pub format: Format,
    path: Option<PathBuf>,
    force: bool,
    /// Width of the terminal, when it is one.
    width: Option<u16>,
    color: bool,
}

impl Target {
    /// From the options. The format is the one named, else the one of the file's suffix, else a table
    /// on a terminal and JSON Lines elsewhere.
    ///
    /// # Errors
    /// When the file's suffix says nothing, or Parquet would go to a terminal.
    pub fn new(
        format: Option<Format>,
        path: Option<&Path>,
        force: bool,
        color: bool,
    ) -> Result<Target, Failure> {
        let terminal = path.is_none() && io::stdout().is_terminal();
        let format = match (format, path) {
            (Some(f), _) => f,
            (None, Some(p)) => Format::of_path(p).ok_or_else(|| {
                Failure::new(format!("`{}` does not say which format to write", p.display()))
                    .help("use a suffix of .json .jsonl .csv .tsv .parquet .md .txt, or --format")
            })?,
            (None, None) if terminal => Format::Table,
            (None, None) => Format::Jsonl,
        };
        if terminal && format == Format::Parquet {
            return Err(Failure::new("Parquet is not for a terminal").help("write it to a file with -o FILE"));
        }
        let width = terminal.then(|| comfy_table::Table::new().width().unwrap_or(100));
        Ok(Target { format, path: path.map(Path::to_path_buf), force, width, color: color && terminal })
    }

    /// Opens the output for rows of these columns.
    ///
    /// # Errors
    /// When the file exists and may not be replaced, or cannot be made.
    pub fn rows(&self, columns: Vec<Column>) -> Result<Box<dyn Rows>, Failure> {
        let out = self.open()?;
        Ok(match self.format {
            Format::Json => Box::new(json::Json::new(out, columns, true)),
            Format::Jsonl => Box::new(json::Json::new(out, columns, false)),
            Format::Csv => Box::new(delimited::Delimited::new(out, columns, b',')),
            Format::Tsv => Box::new(delimited::Delimited::new(out, columns, b'\t')),
            Format::Markdown => Box::new(markdown::Markdown::new(out, columns)),
            Format::Parquet => Box::new(parquet::Parquet::new(out, columns).map_err(Failure::from)?),
            Format::Table => Box::new(table::Table::new(out, columns, self.width, self.color)),
        })
    }

    /// Opens the output for text.
    ///
    /// # Errors
    /// When the file exists and may not be replaced, or cannot be made.
    pub fn open(&self) -> Result<Box<dyn Write + Send>, Failure> {
        let Some(path) = &self.path else {
            return Ok(Box::new(BufWriter::with_capacity(1 << 16, io::stdout())));
        };
        let mut options = OpenOptions::new();
        options.write(true);
        if self.force {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        match options.open(path) {
            Ok(f) => Ok(Box::new(BufWriter::with_capacity(1 << 16, f))),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::new(format!("`{}` exists already", path.display())).help("--force replaces it"))
            }
            Err(e) => Err(Failure::new(format!("cannot write `{}`: {e}", path.display()))),
        }
    }
}

/// Text from events, for a terminal: control characters are shown, not obeyed.
pub fn visible(s: &str) -> std::borrow::Cow<'_, str> {
    if !s.chars().any(is_unprintable) {
        return s.into();
    }
    let mut out = String::with_capacity(s.len() + 8);
    for c in s.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unprintable(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.into()
}

/// Control characters and those that reorder text.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
