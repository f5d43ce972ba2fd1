//! One open relation that every name and every log source stands for, and rules over it.

use tercel_ir::function::Context;
use tercel_ir::{Catalog, Column, Diagnostic, Name, Rel, RelKind, Schema, Span, StoredFunction, Type, Value};
use tercel_rules::{Limits, RuleSet, Want, dumb};
use tercel_telemetry::{EventText, RawValue};

/// The table of [`World`].
pub const TABLE: &str = "Events";

/// A catalog of one table with a column of every type; it is open.
pub struct World;

impl World {
    fn scan() -> Rel {
        let columns = [
            ("EventID", Type::Int),
            ("Image", Type::String),
            ("CommandLine", Type::String),
            ("Port", Type::Long),
            ("Ip", Type::String),
            ("Flag", Type::Bool),
            ("Share", Type::Real),
            ("Id", Type::Guid),
            ("TimeGenerated", Type::DateTime),
        ];
        let columns: Vec<Column> = columns.into_iter().map(|(n, t)| Column::new(n, t)).collect();
        let schema = Schema { columns: columns.into(), open: true };
        Rel { kind: RelKind::Scan { table: TABLE.into() }, schema, span: Span::default() }
    }
}

impl Catalog for World {
    fn relation(&self, _: &str) -> Option<Result<Rel, Diagnostic>> {
        Some(Ok(World::scan()))
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec![TABLE.into()]
    }
    fn log_source(&self, _: tercel_ir::catalog::LogSource<'_>) -> Result<Rel, Diagnostic> {
        Ok(World::scan())
    }
}

/// What the rules of a text mean, be they Sigma or KQL, as far as one event decides about it.
pub fn rules(text: &str) -> Vec<Rel> {
    let mut all = Vec::new();
    let (file, _) = tercel_sigma::parse(text);
    for d in &file.documents {
        all.extend(tercel_sigma::lower_document(d, &World, &tercel_sigma::Options::default()).0);
    }
    if all.is_empty() {
        let (query, found) = tercel_kql::parse(text);
        if !found.has_errors() {
            all.extend(tercel_kql::lower(&query, &World, &Default::default()).0);
        }
    }
    all.retain(|r| {
        RuleSet::compile(&[(0, r, Want::ROW)], &Context::default(), Limits::default()).1.is_empty()
    });
    all
}

/// A value as a reader would hand it over.
fn raw(value: &Value) -> Option<RawValue<'_>> {
    Some(match value {
        Value::Null => RawValue::Null,
        Value::Bool(b) => RawValue::Bool(*b),
        Value::Long(n) => RawValue::Long(*n),
        Value::Real(r) => RawValue::Real(*r),
        Value::Str(s) => RawValue::Text(s),
        Value::DateTime(t) => RawValue::Time(*t),
        _ => return None,
    })
}

/// Whether a rule finds an event with these values; `None` where they cannot be handed over.
pub fn finds<'v>(rule: &Rel, values: impl Iterator<Item = (&'v Name, &'v Value)>) -> Option<bool> {
    let mut fields = Vec::new();
    let mut time = None;
    for (name, value) in values {
        match (&**name, value) {
            ("TimeGenerated" | "$time", Value::DateTime(t)) => time = Some(*t),
            (n, _) if n.starts_with('$') => return None,
            _ => fields.push((name.clone(), raw(value)?)),
        }
    }
    let text = EventText::Written("{}");
    let event = dumb::Event { table: TABLE, fields: &fields, time, source: "", record: 0, text };
    Some(!dumb::rows_of(rule, &event, &Context::default()).is_empty())
}
