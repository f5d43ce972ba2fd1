//! A catalogue of which nothing is known but names: what a Sigma rule means wherever its events come from.

use tercel_ir::catalog::LogSource;
use tercel_ir::{Catalog, Column, Diagnostic, Expr, Rel, RelKind, Schema, Span, StoredFunction, Type, Value};

/// The table of all events.
const EVENTS: &str = "event";

/// Every log source is a part of one table with every field. That an event belongs to a log source is
/// a condition on three columns, `$category`, `$product` and `$service`; so rules of different log sources
/// are never found equal, and a rule without a product stands for all products.
///
/// What is proved of a rule over these events holds over any table and any view, provided that the types
/// of fields are the same: a table can only have fewer events.
#[derive(Clone, Debug, Default)]
pub struct Anything {
    columns: tercel_ir::Columns,
}

impl Anything {
    /// All fields are text.
    pub fn new() -> Anything {
        Anything::default()
    }

    /// Fields that a schema knows have its types, so that `EventID: 4104` compares numbers as it does
    /// when the rule runs; all others are text. Of times rules know only the text. Which values occur is
    /// not taken over: rules of several log sources are compared, and another may have others.
    pub fn typed(schema: &Schema) -> Anything {
        let text = |t: Type| if matches!(t, Type::DateTime | Type::TimeSpan) { Type::String } else { t };
        let known = schema.columns.iter().filter(|c| !c.name.starts_with('$'));
        Anything { columns: known.map(|c| Column::new(c.name.clone(), text(c.ty))).collect() }
    }
}

impl Catalog for Anything {
    fn relation(&self, _: &str) -> Option<Result<Rel, Diagnostic>> {
        None
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn log_source(&self, source: LogSource<'_>) -> Result<Rel, Diagnostic> {
        let at = Span::default();
        let schema = Schema { columns: self.columns.clone(), open: true };
        let scan = Rel { kind: RelKind::Scan { table: EVENTS.into() }, schema: schema.clone(), span: at };
        let labels =
            [("$category", source.category), ("$product", source.product), ("$service", source.service)];
        let is = |(name, value): (&str, Option<&str>)| {
            let value = Expr::literal(Value::str(value?.to_ascii_lowercase()), at);
            Some(Expr::known("eq", vec![Expr::column(name, Type::String, at), value], at))
        };
        let rows = scan.filter(Expr::and(labels.into_iter().filter_map(is).collect(), at), at);
        Ok(Rel { kind: RelKind::View { name: "log source".into(), body: rows.into() }, schema, span: at })
    }
}
