//! Parquet files.
//!
//! A file whose rows are all of one table (its metadata says so in `tercel.table`, or its columns or
//! statistics do) is read by columns, and only the demanded ones. Any other is read row by row and
//! recognised like records of every other format.

use std::cell::Cell;
use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use datafusion::parquet::file::statistics::Statistics;
use tercel_ir::{Name, Type};
use tercel_schema::hidden;

use super::arrow::{Column, json_object};
use super::rows::Rows;
use crate::batch::{BatchBuilder, ColumnBuilder};
use crate::demand::{Demand, MistypedExample, TableBatch, TableDemand};
use crate::event::EventSink;
use crate::input::{InputFile, error_text};
use crate::options::ReadOptions;
use crate::progress::Progress;
use crate::shape::{Recogniser, Shape, time_names};
use crate::value::{Field, RawValue};

/// What the text of an event from Parquet begins with; file and row follow.
pub(crate) const LOCATOR: &str = "@parquet:";
/// The key of the file metadata that names the table.
pub(crate) const TABLE_KEY: &str = "tercel.table";
/// Rows read at a time when they are looked at one by one.
const ROWS: usize = 4096;

type Builder = ParquetRecordBatchReaderBuilder<File>;

/// Calls into the Parquet library, which panics on some damaged files instead of returning an error.
/// What `f` used must not be used again after an error.
fn guarded<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    // The panic becomes an error; its message on standard error would only be noise. Panics anywhere
    // else go the way they went before.
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result.unwrap_or_else(|_| Err("the Parquet file is damaged".into()))
}

fn open(file: &InputFile) -> Result<Builder, String> {
    let f = File::open(&file.path).map_err(|e| error_text(&e))?;
    guarded(|| {
        let plain = ArrowReaderMetadata::load(&f, ArrowReaderOptions::new())
            .map_err(|e| format!("not a readable Parquet file: {e}"))?;
        let viewed = ArrowReaderOptions::new().with_schema(as_views(plain.schema()));
        // A file that does not like that is read in the types it names.
        let metadata = ArrowReaderMetadata::try_new(plain.metadata().clone(), viewed).unwrap_or(plain);
        Ok(Builder::new_with_metadata(f, metadata))
    })
}

/// The schema with all text as views: values of a dictionary then are shared by all rows that have them,
/// and nothing is copied.
fn as_views(schema: &Schema) -> SchemaRef {
    let view = |f: &FieldRef| -> FieldRef {
        let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match f.data_type() {
            t if text(t) => Arc::new(f.as_ref().clone().with_data_type(DataType::Utf8View)),
            DataType::Dictionary(_, t) if text(t) => {
                Arc::new(f.as_ref().clone().with_data_type(DataType::Utf8View))
            }
            _ => f.clone(),
        }
    };
    Arc::new(Schema::new_with_metadata(
        schema.fields().iter().map(view).collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// Batches until the first error.
struct Batches(Option<ParquetRecordBatchReader>);

impl Iterator for Batches {
    type Item = Result<RecordBatch, String>;
    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.0.as_mut()?;
        match guarded(|| reader.next().transpose().map_err(|e| e.to_string())) {
            Ok(batch) => batch.map(Ok),
            Err(e) => {
                self.0 = None;
                Some(Err(e))
            }
        }
    }
}

fn names(builder: &Builder) -> Vec<String> {
    builder.schema().fields().iter().map(|f| f.name().clone()).collect()
}

/// The table that the file itself names.
fn named_table(builder: &Builder) -> Option<Name> {
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let named = metadata.into_iter().flatten().find(|kv| kv.key == TABLE_KEY);
    named.and_then(|kv| kv.value.as_deref()).map(Name::from)
}

/// The table of all rows of the file; `None`: they must be looked at one by one.
fn table(builder: &Builder, file: &InputFile, recogniser: &mut Recogniser<'_>) -> Option<(Name, Shape)> {
    if let Some(name) = named_table(builder) {
        return Some((name, Shape::Other));
    }
    let names = names(builder);
    // A value that is the same in every row is known without reading; of the others only that they
    // are there.
    let constants: Vec<Option<String>> = (0..names.len()).map(|i| constant(builder, i)).collect();
    let fields: Vec<Field<'_>> = names
        .iter()
        .zip(&constants)
        .map(|(n, c)| Field::new(n.as_str(), RawValue::Text(c.as_deref().unwrap_or("\u{0}"))))
        .collect();
    recogniser.table_of_columns(&fields, &file.stem)
}

/// The text that a root column has in every row, by the statistics.
fn constant(builder: &Builder, root: usize) -> Option<String> {
    let schema = builder.parquet_schema();
    let leaf = (0..schema.num_columns()).find(|c| schema.get_column_root_idx(*c) == root)?;
    let mut value: Option<Vec<u8>> = None;
    for group in builder.metadata().row_groups() {
        let Some(Statistics::ByteArray(s)) = group.column(leaf).statistics() else { return None };
        // Bounds may be cut, and nulls are not in them.
        if !s.min_is_exact() || !s.max_is_exact() || s.null_count_opt() != Some(0) {
            return None;
        }
        let (min, max) = (s.min_opt()?.data(), s.max_opt()?.data());
        if min != max || value.as_deref().is_some_and(|v| v != min) {
            return None;
        }
        value = Some(min.to_vec());
    }
    String::from_utf8(value?).ok()
}

/// Other names under which flat Windows events give the native columns.
fn aliases(name: &str) -> &'static [&'static str] {
    match name {
        "Computer" => &["ComputerName", "Hostname", "HostName", "computer_name"],
        "Provider" => &["ProviderName", "SourceName", "Provider_Name"],
        "Channel" => &["LogName"],
        "EventRecordID" => &["RecordNumber", "RecordId"],
        "EventID" => &["EventCode"],
        "SystemProcessId" => &["ExecutionProcessID"],
        "ExecutionProcessID" => &["SystemProcessId"],
        "SystemThreadId" => &["ThreadID"],
        "ThreadID" => &["SystemThreadId"],
        "SystemUserId" => &["UserID"],
        "UserID" => &["SystemUserId"],
        "Opcode" => &["OpcodeValue"],
        "Timestamp" => &["TimeGenerated"],
        _ => &[],
    }
}

/// The root column for a name.
fn root(names: &[String], wanted: &str) -> Option<usize> {
    // NXLog's `Opcode` is a word; the number stands elsewhere.
    if wanted == "Opcode"
        && let Some(i) = names.iter().position(|n| n == "OpcodeValue")
    {
        return Some(i);
    }
    let exact = |w: &str| names.iter().position(|n| n == w);
    exact(wanted)
        .or_else(|| aliases(wanted).iter().find_map(|a| exact(a)))
        .or_else(|| names.iter().position(|n| n.contains('.') && n.replace('.', "_") == wanted))
}

/// Where the time of a row stands, best first.
fn time_roots(
    names: &[String],
    table: &str,
    schemas: &tercel_schema::Schemas,
    time_field: Option<&str>,
) -> Vec<usize> {
    // As for every other carrier: the record's time before Sysmon's own.
    let first: &[&str] =
        if table == "Sysmon" { &["@timestamp", "TimeCreated", "SystemTime", "TimeGenerated"] } else { &[] };
    let own = schemas.table(table).map(|t| t.time.to_string());
    let wanted = time_field
        .map(str::to_owned)
        .into_iter()
        .chain(first.iter().map(|n| (*n).to_owned()))
        .chain(own)
        .chain(time_names().map(str::to_owned));
    let mut roots = Vec::new();
    for root in wanted.filter_map(|n| names.iter().position(|m| *m == n)) {
        if !roots.contains(&root) && roots.len() < 3 {
            roots.push(root);
        }
    }
    roots
}

fn batches(builder: Builder, roots: &[usize], rows: usize) -> Result<Batches, String> {
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
    guarded(|| builder.with_projection(mask).with_batch_size(rows).build().map_err(|e| e.to_string()))
        .map(|r| Batches(Some(r)))
}

/// Reads a file; `index` is its place among the inputs.
pub(crate) fn read(
    file: &InputFile,
    index: usize,
    recogniser: &mut Recogniser<'_>,
    sink: &mut BatchBuilder<'_>,
    demand: &Demand,
    options: &ReadOptions,
    progress: &Progress,
) -> Result<(), String> {
    let builder = open(file)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let Some((table, shape)) = table(&builder, file, recogniser) else {
        return by_rows(builder, file, Some((index, progress)), recogniser, sink);
    };
    recogniser.count_rows(&table, shape, rows);
    let Some(wanted) = demand.tables.iter().find(|t| t.table == table) else {
        progress.add_bytes(file.size);
        progress.add_events(rows);
        return Ok(());
    };
    let names = names(&builder);
    let times = time_roots(&names, &table, recogniser.schemas(), options.time_field.as_deref());
    let columns: Vec<Option<usize>> = wanted.columns.iter().map(|(n, _)| root(&names, n)).collect();
    let mut roots: Vec<usize> = columns.iter().flatten().chain(&times).copied().collect();
    roots.sort_unstable();
    roots.dedup();
    let mut done = 0usize;
    let mut told = 0;
    for batch in batches(builder, &roots, demand.batch_rows.clamp(1, 1 << 16))? {
        let batch = batch.map_err(|e| format!("reading stopped at row {done}: {e}"))?;
        let out = convert(&batch, &roots, &columns, &times, wanted, file, index, done, sink)?;
        done += batch.num_rows();
        progress.add_events(batch.num_rows() as u64);
        let share = file.size * (done as u64) / rows.max(1);
        progress.add_bytes(share.saturating_sub(told));
        told = told.max(share);
        if sink.pass_on(out).is_break() || progress.is_cancelled() {
            return Ok(());
        }
    }
    progress.add_bytes(file.size.saturating_sub(told));
    Ok(())
}

/// One batch, in the types and the order of the demand.
#[allow(clippy::too_many_arguments)]
fn convert(
    batch: &RecordBatch,
    roots: &[usize],
    columns: &[Option<usize>],
    times: &[usize],
    wanted: &TableDemand,
    file: &InputFile,
    index: usize,
    first_row: usize,
    sink: &mut BatchBuilder<'_>,
) -> Result<TableBatch, String> {
    let rows = batch.num_rows();
    let array = |r: usize| roots.iter().position(|x| *x == r).map(|i| batch.column(i));
    let mut scratch = String::new();
    let time = {
        let candidates: Vec<Column> = times.iter().filter_map(|r| array(*r)).map(Column::of).collect();
        let value =
            |row| candidates.iter().find_map(|c| crate::typing::datetime(&c.value(row)).ok().flatten());
        let time: Int64Array = (0..rows).map(value).collect();
        for t in time.iter().flatten() {
            sink.stats.saw_time(t);
        }
        Arc::new(time) as ArrayRef
    };
    let mut out: Vec<ArrayRef> = Vec::with_capacity(wanted.columns.len() + 4);
    for ((name, ty), root) in wanted.columns.iter().zip(columns) {
        if &**name == "TimeGenerated" {
            out.push(time.clone());
            continue;
        }
        let column = root.and_then(array).map_or(Column::Null, Column::of);
        if let Some(ready) = column.as_type(*ty) {
            out.push(ready);
            continue;
        }
        let mut builder = ColumnBuilder::new(*ty);
        for row in 0..rows {
            let value = column.value(row);
            if value != RawValue::Null && builder.set(row, &value, &mut scratch).is_err() {
                sink.stats.mistyped += 1;
                sink.stats.mistyped_example.get_or_insert_with(|| {
                    let mut text = String::new();
                    crate::value::push_json_value(&value, &mut text);
                    MistypedExample {
                        table: wanted.table.clone(),
                        column: name.clone(),
                        ty: *ty,
                        value: text.chars().take(80).collect(),
                        file: file.name.clone(),
                        record: (first_row + row) as i64,
                    }
                });
                builder.pad(row + 1);
            }
        }
        out.push(builder.finish(rows));
    }
    for (name, _) in wanted.hidden.names() {
        out.push(match name {
            hidden::TIME => time.clone(),
            hidden::RECORD => Arc::new((first_row as i64..(first_row + rows) as i64).collect::<Int64Array>()),
            _ => {
                let mut b = StringViewBuilder::new();
                for row in first_row..first_row + rows {
                    if name == hidden::SOURCE {
                        b.append_value(&file.name);
                    } else {
                        b.append_value(format!("{LOCATOR}{index}:{row}"));
                    }
                }
                Arc::new(b.finish())
            }
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(wanted.schema()), out, &options)
        .map_err(|e| e.to_string())?;
    Ok(TableBatch { table: wanted.table.clone(), batch })
}

/// Row by row through the recogniser. `place`: where the file stands among the inputs, and whom to tell.
fn by_rows(
    builder: Builder,
    file: &InputFile,
    place: Option<(usize, &Progress)>,
    recogniser: &mut Recogniser<'_>,
    sink: &mut dyn EventSink,
) -> Result<(), String> {
    all_rows(builder, file, place, &mut |rows, batch, done| rows.push(batch, done, recogniser, sink))
}

/// Hands all rows to `push`, batch by batch, with how many came before.
fn all_rows(
    builder: Builder,
    file: &InputFile,
    place: Option<(usize, &Progress)>,
    push: &mut dyn FnMut(&mut Rows<'_>, &RecordBatch, usize) -> ControlFlow<()>,
) -> Result<(), String> {
    let names = names(&builder);
    let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let all: Vec<usize> = (0..names.len()).collect();
    let mut done = 0usize;
    let mut told = 0;
    let locator = place.map(|(index, _)| format!("{LOCATOR}{index}:"));
    let mut rows = Rows::new(&names, &file.name, &file.stem, locator);
    for batch in batches(builder, &all, ROWS)? {
        let batch = batch.map_err(|e| format!("reading stopped at row {done}: {e}"))?;
        if push(&mut rows, &batch, done).is_break() {
            return Ok(());
        }
        done += batch.num_rows();
        if let Some((_, progress)) = place {
            progress.add_events(batch.num_rows() as u64);
            let share = file.size * (done as u64) / total.max(1);
            progress.add_bytes(share.saturating_sub(told));
            told = told.max(share);
            if progress.is_cancelled() {
                return Ok(());
            }
        }
    }
    if let Some((_, progress)) = place {
        progress.add_bytes(file.size.saturating_sub(told));
    }
    Ok(())
}

/// Pushes every row, whatever its table.
pub(crate) fn feed(
    file: &InputFile,
    index: usize,
    recogniser: &mut Recogniser<'_>,
    sink: &mut dyn EventSink,
    progress: &Progress,
) -> Result<(), String> {
    let builder = open(file)?;
    match named_table(&builder) {
        Some(table) => {
            let names = names(&builder);
            let times = time_roots(&names, &table, recogniser.schemas(), recogniser.time_field());
            all_rows(builder, file, Some((index, progress)), &mut |rows, batch, done| {
                rows.push_table(batch, done, &table, &times, recogniser, sink)
            })
        }
        None => by_rows(builder, file, Some((index, progress)), recogniser, sink),
    }
}

/// Shows the sink the first rows; of a file of one table, as rows of that table.
pub(crate) fn survey(
    file: &InputFile,
    recogniser: &mut Recogniser<'_>,
    sink: &mut dyn EventSink,
) -> Result<(), String> {
    let builder = open(file)?;
    match table(&builder, file, recogniser) {
        None => by_rows(builder, file, None, recogniser, sink),
        Some((table, shape)) => {
            let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
            recogniser.count_rows(&table, shape, rows);
            let names = names(&builder);
            let all: Vec<usize> = (0..names.len()).collect();
            for batch in batches(builder, &all, ROWS)?.take(1) {
                let batch = batch.map_err(|e| e.to_string())?;
                let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
                for row in 0..batch.num_rows() {
                    let fields: Vec<Field<'_>> = names
                        .iter()
                        .zip(&columns)
                        .map(|(n, c)| Field::new(n.as_str(), c.value(row)))
                        .collect();
                    let event = crate::event::RawEvent {
                        table: &table,
                        fields: &fields,
                        times: [RawValue::Null; 2],
                        source: &file.name,
                        record: row as i64,
                        text: None,
                    };
                    if sink.event(&event).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        }
    }
}

/// The newest time in the file.
pub(crate) fn newest_time(
    file: &InputFile,
    recogniser: &mut Recogniser<'_>,
    options: &ReadOptions,
) -> Result<Option<i64>, String> {
    let builder = open(file)?;
    let Some((table, _)) = table(&builder, file, recogniser) else {
        let mut sink = crate::reading::Newest(None);
        by_rows(builder, file, None, recogniser, &mut sink)?;
        return Ok(sink.0);
    };
    let times = time_roots(&names(&builder), &table, recogniser.schemas(), options.time_field.as_deref());
    if times.is_empty() {
        return Ok(None);
    }
    let mut newest = None;
    for batch in batches(builder, &times, ROWS)? {
        let batch = batch.map_err(|e| e.to_string())?;
        // Projected columns come in the order of the file.
        let mut order = times.clone();
        order.sort_unstable();
        let columns: Vec<Column> = times
            .iter()
            .filter_map(|t| order.iter().position(|o| o == t))
            .map(|i| Column::of(batch.column(i)))
            .collect();
        for row in 0..batch.num_rows() {
            newest = newest
                .max(columns.iter().find_map(|c| crate::typing::datetime(&c.value(row)).ok().flatten()));
        }
    }
    Ok(newest)
}

/// One row as a JSON object.
pub(crate) fn row_text(file: &InputFile, row: usize) -> Result<String, String> {
    let builder = open(file)?;
    let names = names(&builder);
    let reader = guarded(|| {
        builder.with_offset(row).with_limit(1).with_batch_size(1).build().map_err(|e| e.to_string())
    })?;
    let batch = Batches(Some(reader)).next().ok_or_else(|| format!("there is no row {row}"))??;
    if batch.num_rows() == 0 {
        return Err(format!("there is no row {row}"));
    }
    Ok(json_object(&names, batch.columns(), 0))
}

/// Used by the type of a column only.
impl Column {
    /// The column as it is, if that is what the type wants.
    fn as_type(&self, ty: Type) -> Option<ArrayRef> {
        match (self, ty) {
            (Column::Long(a), Type::Int | Type::Long) | (Column::Time(a), Type::DateTime) => {
                Some(Arc::new(a.clone()))
            }
            (Column::Bool(a), Type::Bool) => Some(Arc::new(a.clone())),
            (Column::Real(a), Type::Real | Type::Decimal) => Some(Arc::new(a.clone())),
            (Column::Text(a), Type::String | Type::Guid)
            | (Column::Json(a), Type::String | Type::Dynamic) => Some(Arc::new(a.clone())),
            _ => None,
        }
    }
}
