//! Casts. A cast that fails gives null, never an error.

use super::{Function, function, text, to_bool, to_datetime, to_dynamic, to_long, to_real, to_string};
use crate::time;
use crate::types::Type;
use crate::value::Value;

fn long(v: &Value) -> Option<i64> {
    match v {
        Value::Real(r) if r.is_finite() && r.abs() < 9.2e18 => Some(*r as i64),
        Value::Real(_) => None,
        Value::DateTime(n) | Value::TimeSpan(n) => Some(*n),
        Value::Str(_) | Value::Dynamic(serde_json::Value::String(_)) => {
            let s = v.text();
            let s = s.trim();
            match s.strip_prefix("0x").or_else(|| s.strip_prefix("0X")) {
                Some(h) => i64::from_str_radix(h, 16).ok(),
                None => s.parse().ok(),
            }
        }
        Value::Dynamic(serde_json::Value::Number(n)) => n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)),
        v => v.as_i64(),
    }
}

fn int_type(_: &[Type]) -> Result<Type, String> {
    Ok(Type::Int)
}
fn timespan_type(_: &[Type]) -> Result<Type, String> {
    Ok(Type::TimeSpan)
}
fn guid_type(_: &[Type]) -> Result<Type, String> {
    Ok(Type::Guid)
}

fn real(v: &Value) -> Option<f64> {
    match v {
        Value::Str(_) | Value::Dynamic(serde_json::Value::String(_)) => v.text().trim().parse().ok(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        v => v.as_f64(),
    }
}

fn boolean(v: &Value) -> Option<bool> {
    match v {
        Value::Str(_) | Value::Dynamic(serde_json::Value::String(_)) => {
            match v.text().trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            }
        }
        Value::Real(r) => Some(*r != 0.0),
        v => v.as_i64().map(|n| n != 0).or(v.as_bool()),
    }
}

fn guid(s: &str) -> Option<String> {
    let s = s.trim().trim_start_matches('{').trim_end_matches('}');
    let hex: String = s.chars().filter(|c| *c != '-').collect();
    (hex.len() == 32 && hex.bytes().all(|c| c.is_ascii_hexdigit())).then(|| {
        let h = hex.to_ascii_lowercase();
        format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
    })
}

/// Text as JSON; text that is not JSON is itself a dynamic string; "" is null.
fn parse_json(v: &Value) -> Value {
    match v {
        Value::Dynamic(_) | Value::Null => v.clone(),
        Value::Str(s) if s.trim().is_empty() => Value::Null,
        Value::Str(s) => Value::Dynamic(serde_json::from_str(s).unwrap_or_else(|_| s.clone().into())),
        v => Value::Dynamic(v.to_json()),
    }
}

fn or_null<T>(v: Option<T>, f: fn(T) -> Value) -> Value {
    v.map_or(Value::Null, f)
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!(
        "tostring",
        (1, 1),
        to_string,
        kql["tostring"],
        sumo["tostring"],
        |a, _| Value::Str(a[0].to_text()),
        "As text; \"\" for null."
    ),
    function!("text_or_null", (1, 1), to_string, kql [], sumo [], |a, _| if a[0].is_null() { Value::Null } else { Value::Str(a[0].to_text()) }, "As text; null stays null."),
    function!(
        "tolong",
        (1, 1),
        to_long,
        kql["tolong"],
        sumo["tolong"],
        |a, _| or_null(long(&a[0]), Value::Long),
        "As a 64-bit integer; hexadecimal text with 0x is read."
    ),
    function!("toint", (1, 1), int_type, kql ["toint"], sumo ["toint", "int"], |a, _| or_null(long(&a[0]).filter(|n| i32::try_from(*n).is_ok()), Value::Long), "As a 32-bit integer."),
    function!("todouble", (1, 1), to_real, kql ["todouble", "toreal"], sumo ["num", "number", "double"], |a, _| or_null(real(&a[0]), Value::Real), "As a floating-point number."),
    function!("tobool", (1, 1), to_bool, kql ["tobool", "toboolean"], sumo [], |a, _| or_null(boolean(&a[0]), Value::Bool), "true, false, 1, 0 or a number as a boolean."),
    function!("todatetime", (1, 1), to_datetime, kql ["todatetime"], sumo [], |a, _| match &a[0] {
        Value::DateTime(t) => Value::DateTime(*t),
        v => or_null(time::parse_datetime(&v.text()), Value::DateTime),
    }, "Text as a point in time (ISO 8601)."),
    function!("totimespan", (1, 1), timespan_type, kql ["totimespan", "totime"], sumo [], |a, _| match &a[0] {
        Value::TimeSpan(t) => Value::TimeSpan(*t),
        v => or_null(time::parse_timespan(&v.text()), Value::TimeSpan),
    }, "Text as a span of time."),
    function!("toguid", (1, 1), guid_type, kql ["toguid"], sumo [], |a, _| or_null(guid(&text(a, 0)), Value::Str), "Text as a GUID, lower case, without braces."),
    function!("parse_json", (1, 1), to_dynamic, kql ["parse_json", "todynamic", "toobject"], sumo [], |a, _| parse_json(&a[0]), "Text as JSON; other text becomes a dynamic string."),
    function!("dynamic_to_json", (1, 1), to_string, kql ["dynamic_to_json"], sumo [], |a, _| if a[0].is_null() { Value::str("") } else { Value::Str(a[0].to_json().to_string()) }, "A value as JSON text."),
    function!("gettype", (1, 1), to_string, kql ["gettype"], sumo [], |a, _| Value::str(match &a[0] {
        Value::Null | Value::Dynamic(serde_json::Value::Null) => "null",
        Value::Dynamic(serde_json::Value::Array(_)) => "array",
        Value::Dynamic(serde_json::Value::Object(_)) => "dictionary",
        Value::Dynamic(serde_json::Value::String(_)) => "string",
        Value::Dynamic(serde_json::Value::Bool(_)) => "bool",
        Value::Dynamic(serde_json::Value::Number(n)) if n.is_f64() => "double",
        Value::Dynamic(serde_json::Value::Number(_)) => "long",
        v => v.ty().as_str(),
    }), "The name of the value's type."),
];
