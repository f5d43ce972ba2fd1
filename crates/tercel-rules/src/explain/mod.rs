//! Why a rule matches an event, or does not: condition by condition, on which value, and what is nearest to
//! a hit.
//!
//! It works on the intermediate representation, so on rules of all languages alike, as long as a single
//! event decides. Truth comes from the row-at-a-time meaning of expressions, the one that every faster
//! form is held to, so an explanation cannot disagree with it.
//!
//! **What matched** is a least set of tests that by themselves make the rule true: of alternatives that
//! hold the one that needs the fewest tests (the first of equals), of conjunctions all parts.
//!
//! **The nearest way to a hit** is a least set of tests that would have to come out otherwise. It counts
//! tests, not the pain of changing a value, and takes each for itself: two tests of one value may exclude
//! each other. Tests of values that no event of the table has (a column that a view fills with a constant)
//! cannot change, and where the rule needs them to, there is no way.
//!
//! ```
//! use tercel_ir::Value;
//! use tercel_rules::explain::{Event, Style, explain};
//!
//! # let catalog = tercel_schema::SchemaCatalog::new(tercel_schema::Schemas::builtin(), Vec::new());
//! let text = "Sysmon | where EventID == 1 and CommandLine contains ' -enc '";
//! let (ast, _) = tercel_kql::parse(text);
//! let (rel, _) = tercel_kql::lower(&ast, &catalog, &tercel_kql::Options::default());
//!
//! let row = |column: &str| match column {
//!     "EventID" => Value::Long(1),
//!     "CommandLine" => Value::str("powershell -File a.ps1"),
//!     _ => Value::Null,
//! };
//! let e = explain(&rel.unwrap(), text, &Event { table: "Sysmon", row: &row }).unwrap();
//! assert!(!e.hit);
//! assert!(e.render(Style::Ascii).contains(
//!     "nearest way to a hit: 1 condition\n  \
//!      CommandLine would have to contain \" -enc \" (line 1); it is \"powershell -File a.ps1\""
//! ));
//! ```

mod condition;
mod outline;
mod path;
mod render;
mod words;

use condition::Branch;
use serde::Serialize;
use tercel_ir::{Rel, Span, Value};

pub use outline::{Outline, Source, outline};
pub use render::Style;

/// Why a rule cannot be explained by one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoExplanation(pub String);

impl std::fmt::Display for NoExplanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NoExplanation {}

/// An event: a row of a table.
#[derive(Clone, Copy)]
pub struct Event<'e> {
    /// The table.
    pub table: &'e str,
    /// The values of the table's columns; null where there is none.
    pub row: &'e dyn Fn(&str) -> Value,
}

/// What came of a rule and an event.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Whether the rule matches the event.
    pub hit: bool,
    /// The event's table.
    pub table: String,
    /// The tables that the rule reads.
    pub reads: Vec<String>,
    /// How the rule reads the event's table, each way for itself; none if it does not.
    pub ways: Vec<Way>,
    /// The way that tells most: the first that hits, else the one with the fewest changes to a hit.
    pub best: Option<usize>,
}

/// One way in which a rule reads a table.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// Views on the way, the outermost first.
    pub views: Vec<String>,
    /// Whether it gives a hit.
    pub hit: bool,
    /// Whether the conditions of the views hold, so that the rule itself is asked.
    pub source_holds: bool,
    /// The conditions of the views: whether the event is of the log source at all.
    pub source: Vec<Condition>,
    /// The conditions of the rule.
    pub rule: Vec<Condition>,
    /// For a hit: tests that by themselves make it one.
    pub matched: Vec<Change>,
    /// For a miss: tests that would have to come out otherwise. None: no event of the table can.
    pub repair: Option<Vec<Change>>,
    /// Where none can: tests of values that no event of the table has, which would have to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<Change>,
}

/// A condition and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// What it is.
    pub kind: ConditionKind,
    /// Whether it holds; neither with a value that is not there.
    pub holds: Option<bool>,
    /// Bytes of the rule's text that it comes from; none for conditions of views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The test in words, for a test.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// For a test: it is asked to fail. `holds` and the words are those of its failing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
    /// The number of the test, for a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<usize>,
    /// What a test looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Looked>,
    /// Its parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Condition>,
}

/// The forms of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConditionKind {
    /// All parts.
    All,
    /// Any part.
    Any,
    /// Not its part.
    Not,
    /// A test of values.
    Test,
}

/// A place in the text of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// From this byte.
    pub start: u32,
    /// Up to this byte.
    pub end: u32,
    /// The line, from 1.
    pub line: usize,
}

/// A value that a test looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Looked {
    /// The column, as the rule calls it.
    pub column: String,
    /// The table's columns that it is made of, where that is not itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The value in short.
    pub value: String,
}

/// A test that matters for the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The number of the test.
    pub test: usize,
    /// What holds, or what would have to.
    pub words: String,
    /// Whether the test holds, or would have to.
    pub wanted: bool,
    /// What the test looked at.
    pub values: Vec<Looked>,
    /// Where the test stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// A value of a column of the table with which the test would come out so, where one can be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
}

/// A value that would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// The table's column.
    pub column: String,
    /// Its value.
    #[serde(serialize_with = "as_json")]
    pub value: Value,
}

fn as_json<S: serde::Serializer>(v: &Value, s: S) -> Result<S::Ok, S::Error> {
    v.to_json().serialize(s)
}

/// Explains a rule and an event. `text` is the rule's text, to which the spans of `rel` belong (outside of
/// views).
///
/// # Errors
/// Why no single event decides the rule.
pub fn explain(rel: &Rel, text: &str, event: &Event<'_>) -> Result<Explanation, NoExplanation> {
    // All ways, so that a rule which cannot be explained is refused whatever the event.
    let all = path::paths(rel, None)?;
    let mut reads: Vec<String> = Vec::new();
    for p in &all {
        if !reads.iter().any(|t| t == p.table) {
            reads.push(p.table.to_string());
        }
    }
    let lines = Lines::new(text);
    let mut ways = Vec::new();
    for p in all.iter().filter(|p| p.table == event.table) {
        ways.push(Branch::new(p, Some(event.row), &lines)?.way(p));
    }
    let cost = |w: &Way| w.repair.as_ref().map_or(usize::MAX, Vec::len);
    let best = ways.iter().position(|w| w.hit).or_else(|| {
        let least = ways.iter().map(cost).min()?;
        ways.iter().position(|w| cost(w) == least)
    });
    Ok(Explanation { hit: ways.iter().any(|w| w.hit), table: event.table.into(), reads, ways, best })
}

/// Where the lines of a text begin.
struct Lines {
    starts: Vec<u32>,
    len: usize,
}

impl Lines {
    fn new(text: &str) -> Lines {
        let after = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1);
        Lines { starts: std::iter::once(0).chain(after).collect(), len: text.len() }
    }
    fn place(&self, span: Span) -> Option<Place> {
        // What has no place of its own has the empty span; what lies outside is of another text.
        if span.end as usize > self.len || span == Span::default() {
            return None;
        }
        let line = self.starts.partition_point(|s| *s <= span.start);
        Some(Place { start: span.start, end: span.end, line })
    }
}
