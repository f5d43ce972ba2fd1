//! What the engine asks of whoever holds the events.

use crate::EngineError;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::ops::ControlFlow;
use tercel_ir::{Name, Type};

/// Columns that every scan has beside those of its table; the user does not see them.
pub mod hidden {
    use tercel_ir::Type;
    pub use tercel_schema::hidden::{ALL, EVENT, RECORD, SOURCE, TIME};

    /// The type of a hidden column.
    pub fn type_of(name: &str) -> Option<Type> {
        ALL.iter().find(|(n, _)| *n == name).map(|(_, t)| *t)
    }
}

/// What is wanted of one table. Hidden columns are named like the others.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDemand {
    pub table: Name,
    pub columns: Vec<(Name, Type)>,
}

/// What is wanted of one pass over the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    pub tables: Vec<TableDemand>,
    /// About how many rows a batch should have.
    pub batch_rows: usize,
}

/// Rows of one table, columns in the order of the demand.
#[derive(Clone, Debug)]
pub struct TableBatch {
    pub table: Name,
    pub batch: RecordBatch,
}

/// Where events come from. A pass may be asked for more than once, and several may run at the same time.
pub trait DataSource: Sync {
    /// Whether the data has, or may have, rows of the table. A plan over an absent table is answered
    /// without reading.
    fn has_table(&self, table: &str) -> bool;

    /// Reads everything once. `each` gets the batches; when it breaks, reading ends early.
    ///
    /// # Errors
    /// When nothing can be read at all. Trouble with single files or records is the source's to report.
    fn read(
        &self,
        demand: &Demand,
        each: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError>;

    /// The newest event time in the data, for `now()`.
    fn newest_time(&self) -> Option<i64>;
}

/// Batches held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    tables: Vec<MemoryTable>,
    newest: Option<i64>,
}

#[derive(Clone, Debug)]
struct MemoryTable {
    name: Name,
    types: Vec<(Name, Type)>,
    batches: Vec<RecordBatch>,
}

impl MemorySource {
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// Adds a table. Hidden columns may be among its columns; those that are not read as null.
    pub fn add(&mut self, name: impl Into<Name>, types: Vec<(Name, Type)>, batches: Vec<RecordBatch>) {
        self.tables.push(MemoryTable { name: name.into(), types, batches });
    }

    /// Adds a table of rows, in batches of at most `batch_rows`.
    ///
    /// # Errors
    /// When a row has another number of values than there are columns.
    pub fn add_rows(
        &mut self,
        name: impl Into<Name>,
        types: Vec<(Name, Type)>,
        rows: &[Vec<tercel_ir::Value>],
        batch_rows: usize,
    ) -> Result<(), EngineError> {
        if rows.iter().any(|r| r.len() != types.len()) {
            return Err(EngineError::internal(
                "a row has another number of values than its table has columns",
            ));
        }
        let batches =
            rows.chunks(batch_rows.max(1)).map(|c| batch_of(&types, c)).collect::<Result<_, _>>()?;
        self.add(name, types, batches);
        Ok(())
    }

    /// Sets what `newest_time` says.
    pub fn set_newest_time(&mut self, ticks: i64) {
        self.newest = Some(ticks);
    }
}

/// Rows as a batch.
pub(crate) fn batch_of(
    types: &[(Name, Type)],
    rows: &[Vec<tercel_ir::Value>],
) -> Result<RecordBatch, EngineError> {
    let schema: SchemaRef = crate::values::arrow_schema(types.iter().map(|(n, t)| (&**n, *t)));
    let columns = types
        .iter()
        .enumerate()
        .map(|(c, (_, ty))| {
            crate::values::array_of(*ty, rows.iter().map(|r| r.get(c).cloned().unwrap_or_default()))
        })
        .collect();
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|e| EngineError::internal(e.to_string()))
}

impl DataSource for MemorySource {
    fn has_table(&self, table: &str) -> bool {
        self.tables.iter().any(|t| &*t.name == table)
    }

    fn read(
        &self,
        demand: &Demand,
        each: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        for table in &self.tables {
            let Some(want) = demand.tables.iter().find(|d| d.table == table.name) else { continue };
            let schema = crate::values::arrow_schema(want.columns.iter().map(|(n, t)| (&**n, *t)));
            for batch in &table.batches {
                let mut columns = Vec::with_capacity(want.columns.len());
                for (name, ty) in &want.columns {
                    columns.push(match table.types.iter().position(|(n, _)| n == name) {
                        Some(i) => crate::kernels::coerce_array(batch.column(i), table.types[i].1, *ty)?,
                        None => datafusion::arrow::array::new_null_array(
                            &crate::values::arrow_type(*ty),
                            batch.num_rows(),
                        ),
                    });
                }
                let options = datafusion::arrow::array::RecordBatchOptions::new()
                    .with_row_count(Some(batch.num_rows()));
                let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
                    .map_err(|e| EngineError::internal(e.to_string()))?;
                if each(TableBatch { table: table.name.clone(), batch }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn newest_time(&self) -> Option<i64> {
        self.newest
    }
}
