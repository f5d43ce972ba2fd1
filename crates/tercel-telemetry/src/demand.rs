//! What a reading is asked for, and what it gives.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use tercel_ir::{Name, Type};
use tercel_schema::hidden;

use crate::problem::Problem;

/// How a type travels in Arrow.
pub fn arrow_type(ty: Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int | Type::Long | Type::DateTime | Type::TimeSpan => DataType::Int64,
        Type::Real | Type::Decimal => DataType::Float64,
        Type::String | Type::Guid | Type::Dynamic => DataType::Utf8View,
    }
}

/// Which hidden columns a scan wants, in this order behind its columns.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct HiddenColumns {
    pub time: bool,
    pub source: bool,
    pub record: bool,
    pub event: bool,
}

impl HiddenColumns {
    /// The names of those wanted, with their types.
    pub fn names(self) -> impl Iterator<Item = (&'static str, Type)> {
        [
            (self.time, hidden::TIME, Type::DateTime),
            (self.source, hidden::SOURCE, Type::String),
            (self.record, hidden::RECORD, Type::Long),
            (self.event, hidden::EVENT, Type::String),
        ]
        .into_iter()
        .filter_map(|(on, name, ty)| on.then_some((name, ty)))
    }
}

/// The columns wanted of one table.
#[derive(Clone, Debug)]
pub struct TableDemand {
    pub table: Name,
    /// Names with the types they are to have; names nobody declared are looked for in the events.
    pub columns: Vec<(Name, Type)>,
    pub hidden: HiddenColumns,
}

impl TableDemand {
    /// The Arrow schema of this table's batches. Every column may hold nulls.
    pub fn schema(&self) -> Schema {
        let columns = self.columns.iter().map(|(n, t)| Field::new(&**n, arrow_type(*t), true));
        let hidden = self.hidden.names().map(|(n, t)| Field::new(n, arrow_type(t), true));
        Schema::new(columns.chain(hidden).collect::<Vec<_>>())
    }
}

/// Everything wanted of a reading.
#[derive(Clone, Debug)]
pub struct Demand {
    /// At most one entry a table.
    pub tables: Vec<TableDemand>,
    /// Rows a batch, at most.
    pub batch_rows: usize,
    /// Bytes of text a batch, roughly at most.
    pub batch_bytes: usize,
}

impl Demand {
    /// With batches of a size that suits the engine.
    pub fn new(tables: Vec<TableDemand>) -> Demand {
        Demand { tables, batch_rows: 8192, batch_bytes: 8 << 20 }
    }
}

/// Some rows of one table.
#[derive(Clone, Debug)]
pub struct TableBatch {
    pub table: Name,
    /// Columns as [`TableDemand::schema`] says.
    pub batch: RecordBatch,
}

/// A value that did not fit its column's type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MistypedExample {
    pub table: Name,
    pub column: Name,
    pub ty: Type,
    /// The value as JSON, cut after 80 characters.
    pub value: String,
    pub file: Name,
    pub record: i64,
}

/// What a reading saw.
#[derive(Clone, Debug, Default)]
pub struct ReadStats {
    /// Files read.
    pub files: u64,
    /// Events recognised, wanted or not. An event that is a row of two tables counts once.
    pub events: u64,
    /// Records that could not be read.
    pub unparsed: u64,
    /// One for each file and kind of trouble, in order of the files.
    pub problems: Vec<Problem>,
    /// Bytes taken from files.
    pub bytes: u64,
    /// Earliest and latest time among the rows delivered.
    pub min_time: Option<i64>,
    pub max_time: Option<i64>,
    /// Rows by table, delivered or not.
    pub tables: BTreeMap<Name, u64>,
    /// Values that did not fit their column's type and became null.
    pub mistyped: u64,
    pub mistyped_example: Option<MistypedExample>,
    /// Rows delivered.
    pub rows: u64,
}

impl ReadStats {
    /// The first problem that cost events, if any.
    pub fn first_problem(&self) -> Option<&Problem> {
        self.problems.iter().find(|p| p.kind.is_loss())
    }

    pub(crate) fn saw_time(&mut self, time: i64) {
        self.min_time = Some(self.min_time.map_or(time, |t| t.min(time)));
        self.max_time = Some(self.max_time.map_or(time, |t| t.max(time)));
    }

    pub(crate) fn add(&mut self, other: ReadStats) {
        self.files += other.files;
        self.events += other.events;
        self.unparsed += other.unparsed;
        self.problems.extend(other.problems);
        self.bytes += other.bytes;
        for t in [other.min_time, other.max_time].into_iter().flatten() {
            self.saw_time(t);
        }
        for (table, n) in other.tables {
            *self.tables.entry(table).or_default() += n;
        }
        self.mistyped += other.mistyped;
        if self.mistyped_example.is_none() {
            self.mistyped_example = other.mistyped_example;
        }
        self.rows += other.rows;
    }
}
