//! An Apache Parquet file.

use super::{Cell, Column, Rows};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::Arc;
use tercel_ir::{Type, Value, time};

/// Rows that are turned into columns at a time.
const BATCH: usize = 8_192;

pub(super) struct Parquet {
    out: ArrowWriter<Box<dyn Write + Send>>,
    schema: Arc<Schema>,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Parquet {
    pub(super) fn new(out: Box<dyn Write + Send>, columns: Vec<Column>) -> io::Result<Parquet> {
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.name, data_type(c.ty), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let zstd = ZstdLevel::try_new(3).map_err(io::Error::other)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(zstd)).build();
        let out = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(io::Error::other)?;
        Ok(Parquet { out, schema, columns, rows: Vec::new() })
    }

    fn flush_rows(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() || self.columns.is_empty() {
            return Ok(());
        }
        let arrays: Vec<ArrayRef> =
            self.columns.iter().enumerate().map(|(i, c)| array(c.ty, rows.iter().map(|r| &r[i]))).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(io::Error::other)?;
        self.out.write(&batch).map_err(io::Error::other)
    }
}

impl Rows for Parquet {
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        self.rows.push(cells);
        if self.rows.len() >= BATCH { self.flush_rows() } else { Ok(()) }
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush_rows()?;
        self.out.finish().map_err(io::Error::other)?;
        self.out.inner_mut().flush()
    }
}

fn data_type(ty: Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int | Type::Long => DataType::Int64,
        Type::Real | Type::Decimal => DataType::Float64,
        Type::DateTime => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::TimeSpan => DataType::Duration(TimeUnit::Microsecond),
        Type::Guid | Type::String | Type::Dynamic => DataType::Utf8,
    }
}

fn array<'a>(ty: Type, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    let values = cells.map(|c| match c {
        Cell::Value(v) => v.clone().coerce(ty),
        Cell::Json(_) => Value::Str(c.to_text()),
    });
    match ty {
        Type::Bool => Arc::new(values.map(|v| v.as_bool()).collect::<BooleanArray>()),
        Type::Int | Type::Long => Arc::new(values.map(|v| v.as_i64()).collect::<Int64Array>()),
        Type::Real | Type::Decimal => Arc::new(values.map(|v| v.as_f64()).collect::<Float64Array>()),
        Type::DateTime => Arc::new(
            values
                .map(|v| v.as_i64().map(time::to_unix_micros))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Type::TimeSpan => Arc::new(
            values
                .map(|v| v.as_i64().map(|t| t / time::TICKS_PER_MICRO))
                .collect::<DurationMicrosecondArray>(),
        ),
        Type::Guid | Type::String | Type::Dynamic => {
            let text = |v: Value| if v.is_null() { None } else { Some(v.to_text()) };
            Arc::new(values.map(text).collect::<StringArray>())
        }
    }
}
