//! Columns of any Arrow type as raw values.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringViewArray, StringViewBuilder,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use tercel_ir::time;

use crate::value::{RawValue, push_json_string, push_json_value};

/// Deepest nesting of types that is rendered.
const MAX_DEPTH: usize = 24;

/// A column in one of the forms that raw values have.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Null,
    Bool(BooleanArray),
    Long(Int64Array),
    Real(Float64Array),
    /// Ticks.
    Time(Int64Array),
    Text(StringViewArray),
    Json(StringViewArray),
}

impl Column {
    /// Converts any array.
    pub fn of(array: &ArrayRef) -> Column {
        let to = |ty: &DataType| cast(array, ty).ok();
        let converted = match array.data_type() {
            DataType::Null => Some(Column::Null),
            DataType::Boolean => array.as_boolean_opt().cloned().map(Column::Bool),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => {
                to(&DataType::Int64).and_then(|a| a.as_primitive_opt().cloned()).map(Column::Long)
            }
            // Large ones do not fit; their text does.
            DataType::UInt64 => match to(&DataType::Int64) {
                Some(a) if a.null_count() == array.null_count() => {
                    a.as_primitive_opt().cloned().map(Column::Long)
                }
                _ => None,
            },
            DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => {
                to(&DataType::Float64).and_then(|a| a.as_primitive_opt().cloned()).map(Column::Real)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                to(&DataType::Utf8View).and_then(|a| a.as_string_view_opt().cloned()).map(Column::Text)
            }
            DataType::Dictionary(_, value) => to(value).map(|a| Column::of(&a)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                let ns = to(&DataType::Timestamp(TimeUnit::Nanosecond, None));
                ns.and_then(|a| {
                    a.as_any()
                        .downcast_ref::<TimestampNanosecondArray>()
                        .map(|a| ticks(a.iter(), |n| n.div_euclid(100)))
                })
                .map(Column::Time)
            }
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                // Zones only say how to print a point in time.
                let plain = match array.data_type() {
                    DataType::Timestamp(unit, Some(_)) => to(&DataType::Timestamp(*unit, None)),
                    _ => Some(array.clone()),
                };
                let us = plain.and_then(|a| cast(&a, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok());
                us.and_then(|a| {
                    a.as_any()
                        .downcast_ref::<TimestampMicrosecondArray>()
                        .map(|a| ticks(a.iter(), |n| n.saturating_mul(10)))
                })
                .map(Column::Time)
            }
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..) => Some(Column::Json(texts(array, |row, out| json(array, row, 0, out)))),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => to(&DataType::Binary).map(|a| {
                let bytes = a.as_binary_opt::<i32>().cloned();
                Column::Text(texts(array, |row, out| {
                    if let Some(b) = &bytes {
                        out.push_str(&String::from_utf8_lossy(b.value(row)));
                    }
                }))
            }),
            _ => None,
        };
        // Whatever else there is has a printed form.
        converted.unwrap_or_else(|| {
            let options = FormatOptions::new();
            match ArrayFormatter::try_new(array, &options) {
                Ok(f) => Column::Text(texts(array, |row, out| {
                    if let Ok(t) = f.value(row).try_to_string() {
                        out.push_str(&t);
                    }
                })),
                Err(_) => Column::Null,
            }
        })
    }

    /// Which rows have a value; `None`: no row, `Some(None)`: all rows.
    pub fn nulls(&self) -> Option<Option<&NullBuffer>> {
        Some(match self {
            Column::Null => return None,
            Column::Bool(a) => a.nulls(),
            Column::Long(a) | Column::Time(a) => a.nulls(),
            Column::Real(a) => a.nulls(),
            Column::Text(a) | Column::Json(a) => a.nulls(),
        })
    }

    /// The value of a row.
    #[inline]
    pub fn value(&self, row: usize) -> RawValue<'_> {
        match self {
            Column::Bool(a) if a.is_valid(row) => RawValue::Bool(a.value(row)),
            Column::Long(a) if a.is_valid(row) => RawValue::Long(a.value(row)),
            Column::Real(a) if a.is_valid(row) => RawValue::Real(a.value(row)),
            Column::Time(a) if a.is_valid(row) => RawValue::Time(a.value(row)),
            Column::Text(a) if a.is_valid(row) => RawValue::Text(a.value(row)),
            Column::Json(a) if a.is_valid(row) => RawValue::Json(a.value(row)),
            _ => RawValue::Null,
        }
    }
}

fn ticks(values: impl Iterator<Item = Option<i64>>, to_ticks: impl Fn(i64) -> i64) -> Int64Array {
    values.map(|v| v.map(|n| to_ticks(n).saturating_add(time::UNIX_EPOCH).clamp(0, time::MAX))).collect()
}

fn texts(array: &ArrayRef, mut f: impl FnMut(usize, &mut String)) -> StringViewArray {
    let mut b = StringViewBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            b.append_null();
        } else {
            text.clear();
            f(row, &mut text);
            b.append_value(&text);
        }
    }
    b.finish()
}

/// One value of any type as JSON. Recursion follows the type, whose depth is bounded here.
fn json(array: &ArrayRef, row: usize, depth: usize, out: &mut String) {
    if array.is_null(row) || depth > MAX_DEPTH {
        out.push_str("null");
        return;
    }
    let list = |values: &ArrayRef, out: &mut String| {
        out.push('[');
        for i in 0..values.len() {
            if i > 0 {
                out.push(',');
            }
            json(values, i, depth + 1, out);
        }
        out.push(']');
    };
    match array.data_type() {
        DataType::List(_) => list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row), out),
        DataType::Struct(fields) => {
            let s = array.as_struct();
            out.push('{');
            for (i, f) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push_json_string(f.name(), out);
                out.push(':');
                json(s.column(i), row, depth + 1, out);
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                let one = Column::of(&keys.slice(i, 1));
                let mut text = String::new();
                push_json_string(crate::typing::string(&one.value(0), &mut text).unwrap_or_default(), out);
                out.push(':');
                json(values, i, depth + 1, out);
            }
            out.push('}');
        }
        _ => push_json_value(&Column::of(&array.slice(row, 1)).value(0), out),
    }
}

/// A row as a JSON object; nulls are left out.
pub(crate) fn json_object(names: &[String], columns: &[ArrayRef], row: usize) -> String {
    let columns: Vec<Column> = columns.iter().map(Column::of).collect();
    let mut out = String::new();
    push_json_row(names, &columns, row, &mut out);
    out
}

/// Appends a row as one JSON object; values that are null are left out.
pub(crate) fn push_json_row(names: &[String], columns: &[Column], row: usize, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (name, column) in names.iter().zip(columns) {
        let value = column.value(row);
        if value == RawValue::Null {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        push_json_string(name, out);
        out.push(':');
        push_json_value(&value, out);
    }
    out.push('}');
}
