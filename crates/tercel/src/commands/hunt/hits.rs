//! Hits on their way out: in the order of the rules, as long as they fit in memory.

use super::summary;
use crate::data::Data;
use crate::failure::Failure;
use crate::output::{Cell, Column, Format, Rows, Target};
use std::ops::ControlFlow;
use tercel_catalog::{Detection, Language};
use tercel_engine::Provenance;
use tercel_ir::{Type, Value};

/// Hits and bytes of text that are held back for the sake of order; beyond that they go out as they come.
const HELD: usize = 50_000;
const HELD_BYTES: usize = 32 << 20;

/// A row as an object, keys in column order.
pub type Row = serde_json::Map<String, serde_json::Value>;

/// Receives hits.
pub struct Hits<'a> {
    out: Box<dyn Rows>,
    detections: &'a [Detection],
    data: &'a Data,
    table: bool,
    limit: Option<u64>,
    counted: Counted,
    held: Vec<(usize, Vec<Cell>)>,
    bytes: usize,
    /// Order was given up.
    streaming: bool,
    failed: Option<Failure>,
}

/// How many there were.
#[derive(Debug, Default)]
pub struct Counted {
    /// By number of the detection.
    pub by_rule: Vec<u64>,
    /// Not written, because of `--limit-hits`.
    pub unwritten: u64,
}

impl<'a> Hits<'a> {
    /// # Errors
    /// When the output cannot be opened.
    pub fn new(
        target: &Target,
        detections: &'a [Detection],
        data: &'a Data,
        limit: Option<u64>,
    ) -> Result<Hits<'a>, Failure> {
        let table = target.format == Format::Table;
        let text = |n: &str| Column::new(n, Type::String);
        let columns = if table {
            vec![
                Column::new("time", Type::String),
                text("level"),
                text("language"),
                text("rule"),
                text("source"),
                Column::new("record", Type::Long),
                text("event"),
            ]
        } else {
            vec![
                text("rule"),
                text("title"),
                text("level"),
                text("language"),
                Column::new("time", Type::DateTime),
                text("source"),
                Column::new("record", Type::Long),
                Column::new("event", Type::Dynamic),
            ]
        };
        Ok(Hits {
            out: target.rows(columns)?,
            detections,
            data,
            table,
            limit,
            counted: Counted { by_rule: vec![0; detections.len()], unwritten: 0 },
            held: Vec::new(),
            bytes: 0,
            streaming: false,
            failed: None,
        })
    }

    /// One hit of a detection: where its event came from, if it stands for one, and the row that a query
    /// gives. All are counted, also those that are not written.
    pub fn take(&mut self, rule: usize, from: Option<Provenance>, row: &dyn Fn() -> Row) -> ControlFlow<()> {
        if self.failed.is_some() {
            return ControlFlow::Break(());
        }
        let Some(d) = self.detections.get(rule) else { return ControlFlow::Continue(()) };
        self.counted.by_rule[rule] += 1;
        if self.limit.is_some_and(|l| self.counted.by_rule[rule] > l) {
            self.counted.unwritten += 1;
            return ControlFlow::Continue(());
        }
        let event = self.event(d, row, from.as_ref());
        let cells = if self.table { summary::row(d, from.as_ref(), &event) } else { full(d, from, event) };
        let done = if self.streaming { self.out.row(cells) } else { self.hold(rule, cells) };
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                self.failed = Some(e.into());
                ControlFlow::Break(())
            }
        }
    }

    /// The event of a hit: for a Sigma rule what its source wrote, for a query the row that it gives.
    fn event(&self, d: &Detection, row: &dyn Fn() -> Row, from: Option<&Provenance>) -> Cell {
        if d.language == Language::Sigma
            && let Some(text) = from.and_then(|p| p.event.as_ref())
        {
            return match tercel_telemetry::resolve_event(&self.data.inputs, text) {
                Ok(json) => Cell::Json(json),
                Err(why) => Cell::Value(Value::Dynamic(serde_json::json!({ "error": why }))),
            };
        }
        Cell::Value(Value::Dynamic(serde_json::Value::Object(row())))
    }

    fn hold(&mut self, rule: usize, cells: Vec<Cell>) -> std::io::Result<()> {
        self.bytes += cells.iter().map(Cell::weight).sum::<usize>();
        self.held.push((rule, cells));
        if self.held.len() < HELD && self.bytes < HELD_BYTES {
            return Ok(());
        }
        self.streaming = true;
        self.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut held = std::mem::take(&mut self.held);
        // Rules run side by side; in the order of the rules, two runs print the same. Rows of one rule keep
        // the order that it gives them.
        held.sort_by_key(|(rule, _)| *rule);
        held.into_iter().try_for_each(|(_, cells)| self.out.row(cells))
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// When the output did not take something.
    pub fn finish(mut self) -> Result<Counted, Failure> {
        if let Some(f) = self.failed {
            return Err(f);
        }
        self.flush()?;
        self.out.finish()?;
        Ok(self.counted)
    }
}

fn full(d: &Detection, from: Option<Provenance>, event: Cell) -> Vec<Cell> {
    let (time, source, record) = from.map_or((None, None, None), |p| (p.time, p.source, p.record));
    vec![
        Cell::text(&d.id),
        Cell::text(&d.title),
        Cell::text(d.level.as_str()),
        Cell::text(d.language.as_str()),
        Cell::Value(time.map_or(Value::Null, Value::DateTime)),
        Cell::maybe(source),
        Cell::Value(record.map_or(Value::Null, Value::Long)),
        event,
    ]
}
