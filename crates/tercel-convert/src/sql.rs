//! SQL: how predicates are written in its dialects, and read back.
//!
//! A column of SQL is null where an event lacks the field, and a test of a null is null, which loses the row
//! under `NOT` too. What is written here keeps the rows: a negated test says that the column may be null, unless
//! something beside it says that it is not. What was written is read again with SQL's own rules
//! (see [`read`]), so that a proof is about the text and not about what it was meant to be.

mod address;
mod layout;
mod pattern;
mod print;
mod read;

pub(crate) use layout::{clause, list};
pub(crate) use print::Printer;
pub(crate) use read::read;

use std::str::FromStr;
use tercel_ir::Diagnostic;

/// Whose SQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// DuckDB.
    #[default]
    DuckDb,
    /// ClickHouse.
    ClickHouse,
    /// Spark and Databricks.
    Spark,
    /// DataFusion, which `tercel query --lang sql` speaks.
    DataFusion,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 4] = [Dialect::DuckDb, Dialect::ClickHouse, Dialect::Spark, Dialect::DataFusion];

    /// The name used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::DuckDb => "duckdb",
            Dialect::ClickHouse => "clickhouse",
            Dialect::Spark => "spark",
            Dialect::DataFusion => "datafusion",
        }
    }

    /// Whether a backslash escapes in string literals.
    fn escapes(self) -> bool {
        matches!(self, Dialect::ClickHouse | Dialect::Spark)
    }

    fn quote(self) -> char {
        if self.escapes() { '`' } else { '"' }
    }

    /// A text as a literal.
    pub(crate) fn text(self, s: &str) -> String {
        let mut out = String::with_capacity(s.len() + 2);
        out.push('\'');
        for c in s.chars() {
            match c {
                '\'' if self.escapes() => out.push_str("\\'"),
                '\'' => out.push_str("''"),
                '\\' if self.escapes() => out.push_str("\\\\"),
                c => out.push(c),
            }
        }
        out.push('\'');
        out
    }

    /// A name, in quotes where it needs them.
    pub(crate) fn name(self, n: &str) -> String {
        let plain = n.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain && !RESERVED.contains(&n.to_ascii_lowercase().as_str()) {
            return n.to_string();
        }
        let q = self.quote();
        let mut out = String::from(q);
        for c in n.chars() {
            // ClickHouse escapes with a backslash, the others by writing it twice.
            if c == q || c == '\\' && self == Dialect::ClickHouse {
                out.push(if self == Dialect::ClickHouse { '\\' } else { q });
            }
            out.push(c);
        }
        out.push(q);
        out
    }
}

impl FromStr for Dialect {
    type Err = Diagnostic;
    fn from_str(s: &str) -> Result<Dialect, Diagnostic> {
        Dialect::ALL.into_iter().find(|d| d.as_str().eq_ignore_ascii_case(s)).ok_or_else(|| {
            Diagnostic::error("unknown-dialect", format!("there is no SQL dialect `{s}`"))
                .help("one of duckdb, clickhouse, spark, datafusion")
        })
    }
}

/// Words that one of the dialects reserves and that a column may be called.
const RESERVED: &[&str] = &[
    "all",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "between",
    "both",
    "by",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_user",
    "default",
    "delete",
    "desc",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "false",
    "fetch",
    "filter",
    "for",
    "foreign",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "placing",
    "pivot",
    "primary",
    "qualify",
    "references",
    "returning",
    "right",
    "rlike",
    "select",
    "session_user",
    "set",
    "some",
    "sort",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "unpivot",
    "update",
    "user",
    "using",
    "values",
    "variadic",
    "view",
    "when",
    "where",
    "window",
    "with",
];

/// What an assumption about a dialect is called in the result.
pub(crate) const INET: &str = "DuckDB's extension inet is there";
/// Java's expressions differ from Rust's in what no pattern here is seen to use.
pub(crate) const JAVA: &str =
    "Spark's regular expressions, which are Java's, mean the same as those of the original";
/// What a folding of letters leaves open.
pub(crate) const LETTERS: &str = "letters beyond ASCII fold alike in both";
