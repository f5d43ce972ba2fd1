//! Types of columns and expressions, and the values a column may hold.

use std::sync::Arc;

/// Kusto's scalar types, which cover the other two languages too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    Bool,
    /// 32 bits in Kusto; travels as 64.
    Int,
    Long,
    Real,
    Decimal,
    /// Ticks of 100 ns since 0001-01-01 UTC (see [`crate::time`]).
    DateTime,
    /// Ticks of 100 ns.
    TimeSpan,
    Guid,
    String,
    /// Any JSON value; travels as JSON text.
    Dynamic,
}

impl Type {
    /// Kusto's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Long => "long",
            Type::Real => "real",
            Type::Decimal => "decimal",
            Type::DateTime => "datetime",
            Type::TimeSpan => "timespan",
            Type::Guid => "guid",
            Type::String => "string",
            Type::Dynamic => "dynamic",
        }
    }
    /// From Kusto's name or one of its documented aliases.
    pub fn parse(name: &str) -> Option<Type> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bool" | "boolean" => Type::Bool,
            "int" | "int32" => Type::Int,
            "long" | "int64" => Type::Long,
            "real" | "double" => Type::Real,
            "decimal" => Type::Decimal,
            "datetime" | "date" => Type::DateTime,
            "timespan" | "time" => Type::TimeSpan,
            "guid" | "uuid" | "uniqueid" => Type::Guid,
            "string" => Type::String,
            "dynamic" | "object" => Type::Dynamic,
            _ => return None,
        })
    }
    pub fn is_integer(self) -> bool {
        matches!(self, Type::Int | Type::Long)
    }
    pub fn is_number(self) -> bool {
        matches!(self, Type::Int | Type::Long | Type::Real | Type::Decimal)
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a column can hold, beyond its type. The linter and the prover believe it; the engine does not
/// use it to drop rows.
#[derive(Clone, PartialEq, Debug)]
pub enum Domain {
    /// An enumeration. `closed` = no other value occurs (empty and null always may).
    Values { values: Arc<[String]>, closed: bool },
    /// Integers from..=to.
    Range { from: i64, to: i64 },
    /// A file name without directory (never contains `\` or `/`).
    FileName,
    /// A full path as the sensor writes it.
    Path,
    /// An IP address in text.
    Ip,
    /// Never anything but null: the source does not record it.
    Never,
}
