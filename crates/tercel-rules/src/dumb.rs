//! The oracle: one rule, one event, straight from the relation. No caches, no sharing, no cleverness; the
//! fast program is held to it.

use crate::eval::{canonical, eval, truth};
use std::collections::HashMap;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, Type, Value};
use tercel_telemetry::{EventText, RawValue};

/// An event with all its parts.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub table: &'a str,
    /// Of a repeated name the first counts.
    pub fields: &'a [(Name, RawValue<'a>)],
    pub time: Option<i64>,
    pub source: &'a str,
    pub record: i64,
    pub text: EventText<'a>,
}

/// The value of a native column as a type.
fn native(event: &Event<'_>, name: &str, ty: Type) -> Value {
    let mut text = String::new();
    let raw = match name {
        "$time" | "TimeGenerated" => event.time.map_or(RawValue::Null, RawValue::Time),
        "$source" => RawValue::Text(event.source),
        "$record" => RawValue::Long(event.record),
        "$event" => {
            event.text.push(&mut text);
            RawValue::Text(&text)
        }
        _ => event.fields.iter().find(|(n, _)| **n == *name).map_or(RawValue::Null, |f| f.1),
    };
    crate::value::typed(&raw, ty, &mut String::new())
}

/// A row: what is known by name, and the event for what a table leaves open.
struct Row<'r> {
    known: HashMap<Name, Value>,
    /// The scan whose other columns shine through.
    open: Option<&'r Rel>,
}

impl Row<'_> {
    fn get(&self, event: &Event<'_>, name: &str, ty: Type) -> Value {
        if let Some(v) = self.known.get(name) {
            return canonical(v.clone(), ty);
        }
        let Some(scan) = self.open else { return Value::Null };
        let hidden = match name {
            "$time" => Some(Type::DateTime),
            "$record" => Some(Type::Long),
            "$source" | "$event" => Some(Type::String),
            _ => None,
        };
        match scan.schema.get(name).map(|c| c.ty).or(hidden) {
            Some(have) => canonical(native(event, name, have), ty),
            None if scan.schema.open => native(event, name, ty),
            None => Value::Null,
        }
    }

    fn eval(&self, event: &Event<'_>, e: &Expr, ctx: &Context) -> Value {
        // References carry their types: their values are looked up here, one by one.
        fn columns<'e>(e: &'e Expr, out: &mut Vec<(&'e Name, Type)>) {
            if let ExprKind::Column(n) = &e.kind {
                out.push((n, e.ty));
            }
            e.children().into_iter().for_each(|c| columns(c, out));
        }
        let mut all = Vec::new();
        columns(e, &mut all);
        let values: HashMap<&str, Value> =
            all.into_iter().map(|(n, t)| (&**n, self.get(event, n, t))).collect();
        eval(e, &|n| values.get(n).cloned().unwrap_or_default(), ctx)
    }
}

fn rows<'r>(rel: &'r Rel, event: &Event<'_>, ctx: &Context) -> Vec<Row<'r>> {
    match &rel.kind {
        RelKind::Scan { table } if **table == *event.table => {
            vec![Row { known: HashMap::new(), open: Some(rel) }]
        }
        RelKind::View { body, .. } => rows(body, event, ctx),
        RelKind::Filter { input, predicate } => {
            let mut all = rows(input, event, ctx);
            all.retain(|r| truth(r.eval(event, predicate, ctx)) == Some(true));
            all
        }
        RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
            let mut all = rows(input, event, ctx);
            for r in &mut all {
                let new: Vec<(Name, Value)> =
                    columns.iter().map(|(n, e)| (n.clone(), r.eval(event, e, ctx))).collect();
                if matches!(rel.kind, RelKind::Project { .. }) {
                    *r = Row { known: HashMap::new(), open: None };
                }
                r.known.extend(new);
            }
            all
        }
        RelKind::Union { inputs, tag } => {
            let mut all = Vec::new();
            for (i, input) in inputs.iter().enumerate() {
                for mut r in rows(input, event, ctx) {
                    if rel.schema.open && !input.schema.open {
                        let known = input.schema.columns.iter();
                        r.known = known.map(|c| (c.name.clone(), r.get(event, &c.name, c.ty))).collect();
                        r.open = None;
                    }
                    if let Some((name, labels)) = tag {
                        r.known.insert(name.clone(), labels.get(i).map_or(Value::Null, Value::str));
                    }
                    all.push(r);
                }
            }
            all
        }
        // Whatever no single event decides gives nothing here.
        _ => Vec::new(),
    }
}

/// The rows that an event gives a relation, each with the values of the relation's columns. Of relations that
/// the program does not run ([`NotHere`](crate::NotHere)) it means nothing.
pub fn rows_of(rel: &Rel, event: &Event<'_>, ctx: &Context) -> Vec<Vec<Value>> {
    let value = |r: &Row<'_>, c: &tercel_ir::Column| r.get(event, &c.name, c.ty);
    rows(rel, event, ctx).iter().map(|r| rel.schema.columns.iter().map(|c| value(r, c)).collect()).collect()
}
