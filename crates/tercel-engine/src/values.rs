//! Values of the intermediate representation in Arrow arrays, and back.
//!
//! One physical type a logical type, everywhere (scans, intermediate results, results): `Bool` →
//! Boolean, `Int`/`Long` → Int64, `Real`/`Decimal` → Float64, `DateTime`/`TimeSpan` → Int64 ticks,
//! `String`/`Guid` → Utf8View, `Dynamic` → Utf8View holding JSON text.

use crate::EngineError;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Float64Array, Float64Builder, Int64Array,
    Int64Builder, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema as ArrowSchema, SchemaRef,
};
use datafusion::common::ScalarValue;
use std::sync::Arc;
use tercel_ir::{Column, Type, Value};

/// The Arrow type that columns of a type travel as.
pub fn arrow_type(ty: Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int | Type::Long | Type::DateTime | Type::TimeSpan => DataType::Int64,
        Type::Real | Type::Decimal => DataType::Float64,
        Type::String | Type::Guid | Type::Dynamic => DataType::Utf8View,
    }
}

/// The Arrow schema of columns; every field may be null.
pub fn arrow_schema<'a>(columns: impl IntoIterator<Item = (&'a str, Type)>) -> SchemaRef {
    let fields: Vec<Field> = columns.into_iter().map(|(n, t)| Field::new(n, arrow_type(t), true)).collect();
    Arc::new(ArrowSchema::new(fields))
}

/// Whether two types have the same values in the same arrays, so that no conversion is needed.
pub(crate) fn same_form(a: Type, b: Type) -> bool {
    fn class(t: Type) -> u8 {
        match t {
            Type::Bool => 0,
            Type::Int | Type::Long => 1,
            Type::Real | Type::Decimal => 2,
            Type::DateTime => 3,
            Type::TimeSpan => 4,
            Type::String | Type::Guid => 5,
            Type::Dynamic => 6,
        }
    }
    class(a) == class(b)
}

/// The value as it reads back from a column of type `ty`: brought to the type where it can be, JSON's
/// null as null.
pub fn canonical(value: Value, ty: Type) -> Value {
    match value {
        Value::Dynamic(serde_json::Value::Null) => Value::Null,
        v => v.coerce(ty),
    }
}

/// A column of an Arrow array, read as values of one type.
pub(crate) enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array, fn(i64) -> Value),
    Real(&'a Float64Array),
    Text(&'a StringViewArray),
    Json(&'a StringViewArray),
}

impl<'a> Cells<'a> {
    /// # Errors
    /// When the array's type is not the one that `ty` travels as: a fault of the plan, not of the data.
    pub(crate) fn new(array: &'a dyn Array, ty: Type) -> Result<Cells<'a>, EngineError> {
        let wrong =
            || EngineError::internal(format!("a column of type {ty} arrived as {}", array.data_type()));
        Ok(match ty {
            Type::Bool => Cells::Bool(array.as_boolean_opt().ok_or_else(wrong)?),
            Type::Int | Type::Long => {
                Cells::Int(array.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?, Value::Long)
            }
            Type::DateTime => {
                Cells::Int(array.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?, Value::DateTime)
            }
            Type::TimeSpan => {
                Cells::Int(array.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?, Value::TimeSpan)
            }
            Type::Real | Type::Decimal => {
                Cells::Real(array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?)
            }
            Type::String | Type::Guid => Cells::Text(array.as_string_view_opt().ok_or_else(wrong)?),
            Type::Dynamic => Cells::Json(array.as_string_view_opt().ok_or_else(wrong)?),
        })
    }

    /// The value in row `i`.
    pub(crate) fn get(&self, i: usize) -> Value {
        match self {
            Cells::Bool(a) if a.is_valid(i) => Value::Bool(a.value(i)),
            Cells::Int(a, wrap) if a.is_valid(i) => wrap(a.value(i)),
            Cells::Real(a) if a.is_valid(i) => Value::Real(a.value(i)),
            Cells::Text(a) if a.is_valid(i) => Value::Str(a.value(i).to_owned()),
            Cells::Json(a) if a.is_valid(i) => json_value(a.value(i)),
            _ => Value::Null,
        }
    }
}

/// The dynamic value behind JSON text. Text that is no JSON (deeper than the parser allows, for
/// example) stays a dynamic string, so that nothing is lost.
pub(crate) fn json_value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Null) => Value::Null,
        Ok(j) => Value::Dynamic(j),
        Err(_) => Value::Dynamic(serde_json::Value::String(text.to_owned())),
    }
}

/// Collects values into an array of the type that `ty` travels as.
pub(crate) enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Real(Float64Builder),
    Text(StringViewBuilder),
    Json(StringViewBuilder),
}

impl Builder {
    pub(crate) fn new(ty: Type, capacity: usize) -> Builder {
        match ty {
            Type::Bool => Builder::Bool(BooleanBuilder::with_capacity(capacity)),
            Type::Int | Type::Long | Type::DateTime | Type::TimeSpan => {
                Builder::Int(Int64Builder::with_capacity(capacity))
            }
            Type::Real | Type::Decimal => Builder::Real(Float64Builder::with_capacity(capacity)),
            Type::String | Type::Guid => Builder::Text(StringViewBuilder::with_capacity(capacity)),
            Type::Dynamic => Builder::Json(StringViewBuilder::with_capacity(capacity)),
        }
    }

    /// Appends a value that is [`canonical`] for the builder's type; anything else becomes null.
    pub(crate) fn push(&mut self, value: Value) {
        match (self, value) {
            (Builder::Bool(b), Value::Bool(v)) => b.append_value(v),
            (Builder::Int(b), Value::Long(v) | Value::DateTime(v) | Value::TimeSpan(v)) => b.append_value(v),
            (Builder::Real(b), Value::Real(v)) => b.append_value(v),
            (Builder::Text(b), Value::Str(v)) => b.append_value(v),
            (Builder::Json(b), Value::Dynamic(v)) if !v.is_null() => b.append_value(v.to_string()),
            (Builder::Bool(b), _) => b.append_null(),
            (Builder::Int(b), _) => b.append_null(),
            (Builder::Real(b), _) => b.append_null(),
            (Builder::Text(b) | Builder::Json(b), _) => b.append_null(),
        }
    }

    pub(crate) fn finish(mut self) -> ArrayRef {
        match &mut self {
            Builder::Bool(b) => Arc::new(b.finish()),
            Builder::Int(b) => Arc::new(b.finish()),
            Builder::Real(b) => Arc::new(b.finish()),
            Builder::Text(b) | Builder::Json(b) => Arc::new(b.finish()),
        }
    }
}

/// Values as an array of the type that `ty` travels as, each brought to `ty` first.
pub fn array_of(ty: Type, values: impl IntoIterator<Item = Value>) -> ArrayRef {
    let values = values.into_iter();
    let mut b = Builder::new(ty, values.size_hint().0);
    values.for_each(|v| b.push(canonical(v, ty)));
    b.finish()
}

/// A value as a scalar of the type that `ty` travels as.
pub(crate) fn scalar_of(ty: Type, value: &Value) -> ScalarValue {
    let v = canonical(value.clone(), ty);
    match arrow_type(ty) {
        DataType::Boolean => ScalarValue::Boolean(v.as_bool()),
        DataType::Int64 => ScalarValue::Int64(v.as_i64()),
        DataType::Float64 => ScalarValue::Float64(v.as_f64()),
        _ => ScalarValue::Utf8View(match v {
            Value::Str(s) => Some(s),
            Value::Dynamic(j) => Some(j.to_string()),
            _ => None,
        }),
    }
}

/// Rows of a batch as values, column by column as `columns` says.
///
/// # Errors
/// When the batch does not have the columns that it should.
pub fn rows(
    batch: &datafusion::arrow::record_batch::RecordBatch,
    columns: &[Column],
) -> Result<Vec<Vec<Value>>, EngineError> {
    let cells = batch_cells(batch, columns)?;
    Ok((0..batch.num_rows()).map(|i| cells.iter().map(|c| c.get(i)).collect()).collect())
}

/// The cells of one row as an ordered JSON object, as output prints it.
///
/// # Errors
/// When the batch does not have the columns that it should.
pub fn json_rows(
    batch: &datafusion::arrow::record_batch::RecordBatch,
    columns: &[Column],
) -> Result<Vec<serde_json::Map<String, serde_json::Value>>, EngineError> {
    let cells = batch_cells(batch, columns)?;
    Ok((0..batch.num_rows())
        .map(|i| columns.iter().zip(&cells).map(|(c, v)| (c.name.to_string(), v.get(i).to_json())).collect())
        .collect())
}

pub(crate) fn batch_cells<'a>(
    batch: &'a datafusion::arrow::record_batch::RecordBatch,
    columns: &[Column],
) -> Result<Vec<Cells<'a>>, EngineError> {
    if batch.num_columns() < columns.len() {
        return Err(EngineError::internal(format!(
            "{} columns wanted, {} there",
            columns.len(),
            batch.num_columns()
        )));
    }
    columns.iter().enumerate().map(|(i, c)| Cells::new(batch.column(i).as_ref(), c.ty)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let cases = [
            (Type::Bool, Value::Bool(true)),
            (Type::Int, Value::Long(-5)),
            (Type::Long, Value::Long(i64::MIN)),
            (Type::Real, Value::Real(0.5)),
            (Type::DateTime, Value::DateTime(7)),
            (Type::TimeSpan, Value::TimeSpan(-7)),
            (Type::String, Value::str("a\u{0}é")),
            (Type::Dynamic, Value::Dynamic(serde_json::json!({"a": [1, null]}))),
        ];
        for (ty, v) in cases {
            let a = array_of(ty, [v.clone(), Value::Null]);
            assert_eq!(*a.data_type(), arrow_type(ty));
            let c = Cells::new(a.as_ref(), ty).expect("the type fits");
            assert_eq!(c.get(0), v);
            assert_eq!(c.get(1), Value::Null);
        }
        assert_eq!(json_value("not json"), Value::Dynamic("not json".into()));
    }
}
