//! The sink that builds Arrow batches of the demanded columns.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions,
    StringViewBuilder,
};
use datafusion::arrow::datatypes::SchemaRef;
use tercel_ir::{Name, Type};

use crate::demand::{Demand, MistypedExample, ReadStats, TableBatch, TableDemand};
use crate::event::{EventSink, RawEvent};
use crate::typing::{self, Mistyped};
use crate::value::{RawValue, push_json_value};

/// Builds one column. Rows that are not appended are null.
pub(crate) struct ColumnBuilder {
    ty: Type,
    kind: Kind,
    len: usize,
}

enum Kind {
    Bool(BooleanBuilder),
    /// Everything that is 64 bits.
    Long(Int64Builder),
    Real(Float64Builder),
    Text(StringViewBuilder),
}

impl ColumnBuilder {
    pub fn new(ty: Type) -> ColumnBuilder {
        let kind = match ty {
            Type::Bool => Kind::Bool(BooleanBuilder::new()),
            Type::Int | Type::Long | Type::DateTime | Type::TimeSpan => Kind::Long(Int64Builder::new()),
            Type::Real | Type::Decimal => Kind::Real(Float64Builder::new()),
            Type::String | Type::Guid | Type::Dynamic => Kind::Text(StringViewBuilder::new()),
        };
        ColumnBuilder { ty, kind, len: 0 }
    }

    /// Fills up with nulls to `rows`.
    pub fn pad(&mut self, rows: usize) {
        let n = rows.saturating_sub(self.len);
        if n > 0 {
            match &mut self.kind {
                Kind::Bool(b) => b.append_nulls(n),
                Kind::Long(b) => b.append_nulls(n),
                Kind::Real(b) => b.append_nulls(n),
                Kind::Text(b) => (0..n).for_each(|_| b.append_null()),
            }
            self.len = rows;
        }
    }

    /// Sets `row`, if it has no value yet. Returns the bytes of text taken.
    #[inline]
    pub fn set(&mut self, row: usize, value: &RawValue<'_>, scratch: &mut String) -> Result<usize, Mistyped> {
        if self.len > row {
            return Ok(0);
        }
        self.pad(row);
        let mut bytes = 0;
        match &mut self.kind {
            Kind::Bool(b) => b.append_option(typing::bool(value)?),
            Kind::Long(b) => b.append_option(match self.ty {
                Type::DateTime => typing::datetime(value)?,
                Type::TimeSpan => typing::timespan(value)?,
                _ => typing::long(value)?,
            }),
            Kind::Real(b) => b.append_option(typing::real(value)?),
            Kind::Text(b) => {
                let text = if self.ty == Type::Dynamic {
                    typing::dynamic(value, scratch)
                } else {
                    typing::string(value, scratch)
                };
                bytes = text.map_or(0, str::len);
                b.append_option(text);
            }
        }
        self.len = row + 1;
        Ok(bytes)
    }

    pub fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        self.len = 0;
        match &mut self.kind {
            Kind::Bool(b) => Arc::new(b.finish()),
            Kind::Long(b) => Arc::new(b.finish()),
            Kind::Real(b) => Arc::new(b.finish()),
            Kind::Text(b) => Arc::new(b.finish()),
        }
    }
}

/// Hashes the short names of columns: eight bytes at a time, one multiplication each.
#[derive(Default, Clone, Copy)]
pub(crate) struct NameHasher(u64);

impl std::hash::Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        // The table looks at the top bits and at the bottom ones.
        self.0 ^= self.0 >> 32;
    }
    fn write_u8(&mut self, _: u8) {}
}

type ByName<V> = HashMap<Name, V, std::hash::BuildHasherDefault<NameHasher>>;

/// Builds the batches of one table.
struct TableBuilder {
    table: Name,
    schema: SchemaRef,
    /// Columns that are read from fields, by name.
    by_name: ByName<usize>,
    columns: Vec<ColumnBuilder>,
    names: Vec<Name>,
    /// Which column the field at a position had last time: events of one type have their fields in one
    /// order, so this is mostly right and saves the look-up.
    order: Vec<(Box<str>, Option<usize>)>,
    /// Columns filled with the time of the event.
    times: Vec<usize>,
    source: Option<usize>,
    record: Option<usize>,
    event: Option<usize>,
    rows: usize,
    bytes: usize,
}

impl TableBuilder {
    fn new(demand: &TableDemand) -> TableBuilder {
        let mut t = TableBuilder {
            table: demand.table.clone(),
            schema: Arc::new(demand.schema()),
            by_name: ByName::default(),
            columns: Vec::new(),
            names: Vec::new(),
            order: Vec::new(),
            times: Vec::new(),
            source: None,
            record: None,
            event: None,
            rows: 0,
            bytes: 0,
        };
        for (i, (name, ty)) in demand.columns.iter().enumerate() {
            t.columns.push(ColumnBuilder::new(*ty));
            t.names.push(name.clone());
            if &**name == "TimeGenerated" {
                t.times.push(i);
            } else {
                t.by_name.insert(name.clone(), i);
            }
        }
        for (name, ty) in demand.hidden.names() {
            let i = t.columns.len();
            match name {
                tercel_schema::hidden::TIME => t.times.push(i),
                tercel_schema::hidden::SOURCE => t.source = Some(i),
                tercel_schema::hidden::RECORD => t.record = Some(i),
                _ => t.event = Some(i),
            }
            t.columns.push(ColumnBuilder::new(ty));
            t.names.push(name.into());
        }
        t
    }

    /// The column for the field at `position`.
    #[inline]
    fn column(&mut self, position: usize, name: &str) -> Option<usize> {
        match self.order.get(position) {
            Some((last, column)) if **last == *name => *column,
            known => {
                let column = self.by_name.get(name).copied();
                if known.is_some() {
                    self.order[position] = (name.into(), column);
                } else if position == self.order.len() && position < 512 {
                    self.order.push((name.into(), column));
                }
                column
            }
        }
    }

    fn append(
        &mut self,
        event: &RawEvent<'_>,
        time: Option<i64>,
        scratch: &mut String,
        stats: &mut ReadStats,
    ) {
        let row = self.rows;
        for (position, field) in event.fields.iter().enumerate() {
            let Some(c) = self.column(position, &field.name) else { continue };
            match self.columns[c].set(row, &field.value, scratch) {
                Ok(bytes) => self.bytes += bytes,
                Err(Mistyped) => {
                    stats.mistyped += 1;
                    if stats.mistyped_example.is_none() {
                        stats.mistyped_example = Some(self.example(c, event, &field.value));
                    }
                    // Null; a later field of that name must not take its place.
                    self.columns[c].pad(row + 1);
                }
            }
        }
        let mut put = |columns: &mut [ColumnBuilder], i: usize, v: RawValue<'_>| {
            self.bytes += columns[i].set(row, &v, scratch).unwrap_or(0);
        };
        if let Some(t) = time {
            for i in &self.times {
                put(&mut self.columns, *i, RawValue::Time(t));
            }
        }
        if let Some(i) = self.source {
            put(&mut self.columns, i, RawValue::Text(event.source));
        }
        if let Some(i) = self.record {
            put(&mut self.columns, i, RawValue::Long(event.record));
        }
        if let (Some(i), Some(t)) = (self.event, event.text) {
            put(&mut self.columns, i, RawValue::Text(t));
        }
        self.rows += 1;
    }

    #[cold]
    fn example(&self, column: usize, event: &RawEvent<'_>, value: &RawValue<'_>) -> MistypedExample {
        let mut text = String::new();
        push_json_value(value, &mut text);
        if let Some((at, _)) = text.char_indices().nth(80) {
            text.truncate(at);
            text.push('…');
        }
        MistypedExample {
            table: self.table.clone(),
            column: self.names[column].clone(),
            ty: self.columns[column].ty,
            value: text,
            file: event.source.clone(),
            record: event.record,
        }
    }

    fn finish(&mut self) -> Option<TableBatch> {
        if self.rows == 0 {
            return None;
        }
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let columns = self.columns.iter_mut().map(|c| c.finish(rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // Types and lengths are right by construction.
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).ok()?;
        Some(TableBatch { table: self.table.clone(), batch })
    }
}

/// Where finished batches go.
pub(crate) type Deliver<'d> = &'d mut dyn FnMut(TableBatch) -> ControlFlow<()>;

/// Builds batches of all demanded tables.
pub(crate) struct BatchBuilder<'d> {
    tables: Vec<TableBuilder>,
    /// The table of the last event.
    last: usize,
    batch_rows: usize,
    batch_bytes: usize,
    wants_text: bool,
    deliver: Deliver<'d>,
    scratch: String,
    /// Times, rows and mistyped values.
    pub stats: ReadStats,
}

impl<'d> BatchBuilder<'d> {
    pub fn new(demand: &Demand, deliver: Deliver<'d>) -> BatchBuilder<'d> {
        BatchBuilder {
            tables: demand.tables.iter().map(TableBuilder::new).collect(),
            last: 0,
            batch_rows: demand.batch_rows.max(1),
            batch_bytes: demand.batch_bytes.max(1),
            wants_text: demand.tables.iter().any(|t| t.hidden.event),
            deliver,
            scratch: String::new(),
            stats: ReadStats::default(),
        }
    }

    fn index(&mut self, table: &Name) -> Option<usize> {
        let is = |t: &TableBuilder| Arc::ptr_eq(&t.table, table) || t.table == *table;
        if !self.tables.get(self.last).is_some_and(is) {
            self.last = self.tables.iter().position(is)?;
        }
        Some(self.last)
    }

    /// Delivers what is left.
    pub fn flush(&mut self) -> ControlFlow<()> {
        for t in &mut self.tables {
            if let Some(batch) = t.finish() {
                (self.deliver)(batch)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Delivers a batch that was built elsewhere, behind the rows collected so far.
    pub fn pass_on(&mut self, batch: TableBatch) -> ControlFlow<()> {
        if let Some(i) = self.index(&batch.table)
            && let Some(before) = self.tables[i].finish()
        {
            (self.deliver)(before)?;
        }
        self.stats.rows += batch.batch.num_rows() as u64;
        (self.deliver)(batch)
    }
}

impl EventSink for BatchBuilder<'_> {
    fn wants(&mut self, table: &Name) -> bool {
        self.index(table).is_some()
    }

    fn wants_text(&self) -> bool {
        self.wants_text
    }

    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        let Some(i) = self.index(event.table) else { return ControlFlow::Continue(()) };
        let time = event.time();
        if let Some(t) = time {
            self.stats.saw_time(t);
        }
        self.stats.rows += 1;
        let t = &mut self.tables[i];
        t.append(event, time, &mut self.scratch, &mut self.stats);
        if (t.rows >= self.batch_rows || t.bytes >= self.batch_bytes)
            && let Some(batch) = t.finish()
        {
            return (self.deliver)(batch);
        }
        ControlFlow::Continue(())
    }
}
