//! Single values. The row-at-a-time meaning of every function is defined on these; the engine's
//! column kernels are held to it.

use crate::time;
use crate::types::Type;

/// One value of any type. `Null` belongs to every type.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    /// [`Type::Int`] and [`Type::Long`].
    Long(i64),
    Real(f64),
    /// Ticks since year 1.
    DateTime(i64),
    /// Ticks.
    TimeSpan(i64),
    /// [`Type::String`] and [`Type::Guid`].
    Str(String),
    Dynamic(serde_json::Value),
}

impl Value {
    pub fn str(s: impl Into<String>) -> Value {
        Value::Str(s.into())
    }
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
    /// The type that a literal of this value has; a null literal is dynamic.
    pub fn ty(&self) -> Type {
        match self {
            Value::Null | Value::Dynamic(_) => Type::Dynamic,
            Value::Bool(_) => Type::Bool,
            Value::Long(_) => Type::Long,
            Value::Real(_) => Type::Real,
            Value::DateTime(_) => Type::DateTime,
            Value::TimeSpan(_) => Type::TimeSpan,
            Value::Str(_) => Type::String,
        }
    }
    /// The text of a string value (also of a dynamic that holds a string); `""` for null.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Value::Null => "".into(),
            Value::Str(s) | Value::Dynamic(serde_json::Value::String(s)) => s.as_str().into(),
            other => other.to_text().into(),
        }
    }
    /// As Kusto's `tostring` writes it; null is empty.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null | Value::Dynamic(serde_json::Value::Null) => String::new(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Long(n) => n.to_string(),
            Value::Real(r) => real_text(*r),
            Value::DateTime(t) => time::format_datetime(*t),
            Value::TimeSpan(t) => time::format_timespan(*t),
            Value::Str(s) | Value::Dynamic(serde_json::Value::String(s)) => s.clone(),
            Value::Dynamic(j) => j.to_string(),
        }
    }
    /// As JSON for output: datetimes ISO 8601, timespans as Kusto prints them, non-finite reals as text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match self {
            Value::Null => J::Null,
            Value::Bool(b) => J::Bool(*b),
            Value::Long(n) => J::from(*n),
            Value::Real(r) => {
                serde_json::Number::from_f64(*r).map_or_else(|| J::String(real_text(*r)), J::Number)
            }
            Value::DateTime(t) => J::String(time::format_datetime(*t)),
            Value::TimeSpan(t) => J::String(time::format_timespan(*t)),
            Value::Str(s) => J::String(s.clone()),
            Value::Dynamic(j) => j.clone(),
        }
    }
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) | Value::Dynamic(serde_json::Value::Bool(b)) => Some(*b),
            Value::Long(n) => Some(*n != 0),
            _ => None,
        }
    }
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Long(n) | Value::DateTime(n) | Value::TimeSpan(n) => Some(*n),
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Dynamic(serde_json::Value::Number(n)) => n.as_i64(),
            _ => None,
        }
    }
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Real(r) => Some(*r),
            Value::Long(n) => Some(*n as f64),
            Value::Dynamic(serde_json::Value::Number(n)) => n.as_f64(),
            _ => None,
        }
    }
    /// Brings the value to `ty` without losing anything; null where that is impossible. This is what
    /// happens where a `dynamic` meets a typed place; explicit casts are functions.
    pub fn coerce(self, ty: Type) -> Value {
        match (ty, self) {
            (_, Value::Null) => Value::Null,
            (Type::Dynamic, v @ Value::Dynamic(_)) => v,
            (Type::Dynamic, v) => Value::Dynamic(v.to_json()),
            (Type::String | Type::Guid, v @ Value::Str(_)) => v,
            (Type::String | Type::Guid, v) => Value::Str(v.to_text()),
            (Type::Bool, v) => v.as_bool().map_or(Value::Null, Value::Bool),
            (Type::Int | Type::Long, v) => v.as_i64().map_or(Value::Null, Value::Long),
            (Type::Real | Type::Decimal, v) => v.as_f64().map_or(Value::Null, Value::Real),
            (Type::DateTime, v @ Value::DateTime(_)) => v,
            (Type::DateTime, v) => time::parse_datetime(&v.text()).map_or(Value::Null, Value::DateTime),
            (Type::TimeSpan, v @ Value::TimeSpan(_)) => v,
            (Type::TimeSpan, v) => time::parse_timespan(&v.text()).map_or(Value::Null, Value::TimeSpan),
        }
    }
}

fn real_text(r: f64) -> String {
    if r.is_nan() {
        "NaN".into()
    } else if r.is_infinite() {
        if r > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if r == r.trunc() && r.abs() < 1e15 {
        format!("{r:.1}")
    } else {
        r.to_string()
    }
}
