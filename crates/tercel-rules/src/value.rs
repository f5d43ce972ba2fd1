//! Raw values: as typed values, and as the keys of caches.

use crate::eval::canonical;
use tercel_ir::{Type, Value};
use tercel_telemetry::{RawValue, typing};

/// The value that a column of type `ty` holds: exactly what the batch readers would put there. What does
/// not fit the type is null.
pub(crate) fn typed(raw: &RawValue<'_>, ty: Type, buffer: &mut String) -> Value {
    let v = match ty {
        Type::Bool => typing::bool(raw).ok().flatten().map(Value::Bool),
        Type::Int | Type::Long => typing::long(raw).ok().flatten().map(Value::Long),
        Type::Real | Type::Decimal => typing::real(raw).ok().flatten().map(Value::Real),
        Type::DateTime => typing::datetime(raw).ok().flatten().map(Value::DateTime),
        Type::TimeSpan => typing::timespan(raw).ok().flatten().map(Value::TimeSpan),
        Type::String | Type::Guid => typing::string(raw, buffer).map(Value::str),
        Type::Dynamic => typing::dynamic(raw, buffer).map(|t| match serde_json::from_str(t) {
            Ok(j) => Value::Dynamic(j),
            Err(_) => Value::Dynamic(serde_json::Value::String(t.to_owned())),
        }),
    };
    canonical(v.unwrap_or_default(), ty)
}

/// Calls `f` with the kind and the bytes of a raw value: two values with the same kind and bytes have the
/// same meaning for every type. Kinds are not 0.
#[inline(always)]
pub(crate) fn with_key<R>(raw: &RawValue<'_>, f: impl FnOnce(u8, &[u8]) -> R) -> R {
    match *raw {
        RawValue::Null => f(1, &[]),
        RawValue::Bool(b) => f(2, &[u8::from(b)]),
        RawValue::Number(s) => f(3, s.as_bytes()),
        RawValue::Str { body, escaped: false } => f(4, body.as_bytes()),
        RawValue::Str { body, escaped: true } => f(5, body.as_bytes()),
        RawValue::Text(s) => f(6, s.as_bytes()),
        RawValue::Json(s) => f(7, s.as_bytes()),
        RawValue::Long(n) => f(8, &n.to_le_bytes()),
        RawValue::Real(r) => f(9, &r.to_le_bytes()),
        RawValue::Time(t) => f(10, &t.to_le_bytes()),
        RawValue::Utf16(b) => f(11, b),
    }
}

/// Appends a raw value to a key of several.
pub(crate) fn push_key(raw: &RawValue<'_>, out: &mut Vec<u8>) {
    with_key(raw, |kind, bytes| {
        out.push(kind);
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(bytes);
    });
}
