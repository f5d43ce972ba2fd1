//! What the tests share: a catalogue of one table, and a row-at-a-time evaluator of relations. It is slow
//! and plain on purpose: it says what the lowered relation means, independently of the engine.

use std::cmp::Ordering;
use std::path::PathBuf;

use serde_json::Value as J;
use tercel_ir::catalog::LogSource;
use tercel_ir::function::Context;
use tercel_ir::{
    Catalog, Column, Diagnostic, Diagnostics, Expr, Rel, RelKind, Schema, Severity, Span, StoredFunction,
    Type, Value,
};
use tercel_sumo::{Options, Profile, lower, parse};

/// One row, by column.
pub type Row = Vec<(String, Value)>;

/// `sumo/records` with these columns, and open.
pub struct Records(pub Vec<Column>);

impl Records {
    /// Metadata, and the given types for some fields.
    pub fn new(types: &[(&str, Type)]) -> Records {
        let mut columns = vec![
            Column::new("_messageTime", Type::DateTime),
            Column::new("_raw", Type::String),
            Column::new("_sourceCategory", Type::String),
            Column::new("_sourceHost", Type::String),
            Column::new("_sourceName", Type::String),
            Column::new("_size", Type::Long),
        ];
        columns.extend(types.iter().map(|(n, t)| Column::new(*n, *t)));
        Records(columns)
    }
}

impl Catalog for Records {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        (name == tercel_sumo::RECORDS).then(|| {
            Ok(Rel {
                kind: RelKind::Scan { table: "records".into() },
                schema: Schema { columns: self.0.clone().into(), open: true },
                span: Span::default(),
            })
        })
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec![tercel_sumo::RECORDS.into()]
    }
    fn log_source(&self, _: LogSource<'_>) -> Result<Rel, Diagnostic> {
        Err(Diagnostic::error("no-source", "there are no log sources here"))
    }
}

/// Events from JSON: objects, or lines of text.
pub fn rows(input: &[J]) -> Vec<Row> {
    input
        .iter()
        .map(|j| match j {
            J::String(line) => vec![("_raw".into(), Value::str(line.clone()))],
            J::Object(m) => m.iter().map(|(k, v)| (k.clone(), value(k, v))).collect(),
            other => vec![("_raw".into(), Value::str(other.to_string()))],
        })
        .collect()
}

fn value(name: &str, j: &J) -> Value {
    match j {
        J::Null => Value::Null,
        J::Number(n) if name.eq_ignore_ascii_case("_messagetime") => {
            Value::DateTime(tercel_ir::time::from_unix_micros(n.as_i64().unwrap_or(0) * 1000))
        }
        J::Bool(b) => Value::Bool(*b),
        J::Number(n) => n.as_i64().map_or_else(|| Value::Real(n.as_f64().unwrap_or(f64::NAN)), Value::Long),
        J::String(s) => Value::Str(s.clone()),
        other => Value::Dynamic(other.clone()),
    }
}

fn get(row: &Row, name: &str) -> Value {
    row.iter()
        .find(|(n, _)| n == name)
        .or_else(|| row.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)))
        .map_or(Value::Null, |(_, v)| v.clone())
}

fn eval(e: &Expr, row: &Row) -> Value {
    /// A column of the data has the type that the expression says.
    fn typed(e: &Expr, row: &Row) -> Expr {
        let mut e = e.clone();
        if let tercel_ir::ExprKind::Column(n) = &e.kind {
            let v = get(row, n).coerce(e.ty);
            let ty = e.ty;
            e = Expr::literal(v, e.span);
            e.ty = ty;
        }
        for c in e.children_mut() {
            *c = typed(c, row);
        }
        e
    }
    typed(e, row).eval(&|_| Value::Null, &Context::default())
}

fn set(row: &mut Row, name: &str, v: Value) {
    match row.iter_mut().find(|(n, _)| n == name) {
        Some(x) => x.1 = v,
        None => row.push((name.into(), v)),
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => x.cmp(y),
        (Value::DateTime(x), Value::DateTime(y)) => x.cmp(y),
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// The rows of a relation over these events.
pub fn run(rel: &Rel, events: &[Row]) -> Vec<Row> {
    match &rel.kind {
        RelKind::Scan { .. } => events.to_vec(),
        RelKind::View { body, .. } => run(body, events),
        RelKind::Filter { input, predicate } => run(input, events)
            .into_iter()
            .filter(|r| {
                let v = eval(predicate, r);
                assert!(!v.is_null(), "a condition gave null for {r:?}: {predicate:?}");
                v == Value::Bool(true)
            })
            .collect(),
        RelKind::Extend { input, columns } => run(input, events)
            .into_iter()
            .map(|r| {
                let mut out = r.clone();
                for (n, e) in columns {
                    set(&mut out, n, eval(e, &r));
                }
                out
            })
            .collect(),
        RelKind::Project { input, columns } => run(input, events)
            .into_iter()
            .map(|r| columns.iter().map(|(n, e)| (n.to_string(), eval(e, &r))).collect())
            .collect(),
        RelKind::Limit { input, skip, count } => {
            run(input, events).into_iter().skip(*skip as usize).take(*count as usize).collect()
        }
        RelKind::Sort { input, keys } => {
            let mut rows = run(input, events);
            rows.sort_by(|a, b| {
                for k in keys {
                    let (x, y) = (eval(&k.expr, a), eval(&k.expr, b));
                    let o = match (x.is_null(), y.is_null()) {
                        (true, true) => Ordering::Equal,
                        (true, false) => Ordering::Greater,
                        (false, true) => Ordering::Less,
                        _ if k.descending => order(&y, &x),
                        _ => order(&x, &y),
                    };
                    if o != Ordering::Equal {
                        return o;
                    }
                }
                Ordering::Equal
            });
            rows
        }
        RelKind::Unnest { input, columns, .. } => {
            let mut out = Vec::new();
            for r in run(input, events) {
                let list = match get(&r, &columns[0]) {
                    Value::Dynamic(J::Array(a)) => a,
                    Value::Null => vec![J::Null],
                    v => panic!("cannot unnest {v:?}"),
                };
                for item in list {
                    let mut row = r.clone();
                    let v = if item.is_null() { Value::Null } else { Value::Dynamic(item) };
                    set(&mut row, &columns[0], v);
                    out.push(row);
                }
            }
            out
        }
        RelKind::Aggregate { input, keys, aggregations } => {
            type Group = (Vec<Value>, Vec<Box<dyn tercel_ir::function::Accumulator>>);
            let mut groups: Vec<Group> = Vec::new();
            let fresh = || -> Vec<Box<dyn tercel_ir::function::Accumulator>> {
                aggregations
                    .iter()
                    .map(|(_, a)| (a.function.new)(&a.args.iter().map(|x| x.ty).collect::<Vec<_>>()))
                    .collect()
            };
            if keys.is_empty() {
                groups.push((vec![], fresh()));
            }
            for r in run(input, events) {
                let key: Vec<Value> = keys.iter().map(|(_, e)| eval(e, &r)).collect();
                let i = groups.iter().position(|g| g.0 == key).unwrap_or_else(|| {
                    groups.push((key, fresh()));
                    groups.len() - 1
                });
                for (acc, (_, a)) in groups[i].1.iter_mut().zip(aggregations) {
                    acc.update(&a.args.iter().map(|x| eval(x, &r)).collect::<Vec<_>>());
                }
            }
            groups
                .into_iter()
                .map(|(key, accs)| {
                    let mut row: Row = keys.iter().map(|k| k.0.to_string()).zip(key).collect();
                    for (mut acc, (n, _)) in accs.into_iter().zip(aggregations) {
                        row.push((n.to_string(), acc.finish()));
                    }
                    row
                })
                .collect()
        }
        other => panic!("the test evaluator has no {other:?}"),
    }
}

/// What became of a query.
pub struct Outcome {
    pub rel: Option<Rel>,
    pub diagnostics: Diagnostics,
}

impl Outcome {
    pub fn errors(&self) -> Vec<String> {
        self.diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| format!("{}: {}", d.code, d.message))
            .collect()
    }
}

/// Parses and lowers.
pub fn lowered(query: &str, catalog: &dyn Catalog, profile: Profile) -> Outcome {
    let (tree, mut diagnostics) = parse(query);
    if diagnostics.has_errors() {
        return Outcome { rel: None, diagnostics };
    }
    let (rel, more) = lower(&tree, catalog, &Options { profile });
    diagnostics.extend(more);
    Outcome { rel, diagnostics }
}

/// A file of the materials beside the repository; says so when it is not there.
pub fn shared(path: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(e) => {
            println!("skipped: {path} because {e}");
            None
        }
    }
}

/// Equal as the conformance cases mean it: as numbers where both are, else as text; null only to null.
pub fn same(got: &Value, want: &J) -> bool {
    if got.is_null() || want.is_null() {
        return got.is_null() && want.is_null();
    }
    if let J::Bool(b) = want {
        return got.as_bool() == Some(*b) || got.text().eq_ignore_ascii_case(&b.to_string());
    }
    let number = |s: &str| s.trim().parse::<f64>().ok();
    let want = match want {
        J::String(s) => s.clone(),
        other => other.to_string(),
    };
    let got = match got {
        // Sumo Logic shows times as milliseconds.
        Value::DateTime(t) => (tercel_ir::time::to_unix_micros(*t) / 1000).to_string(),
        v => v.text().into_owned(),
    };
    match (number(&got), number(&want)) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => got == want,
    }
}

/// Picks columns of a result row, names in any case.
pub fn pick(row: &Row, columns: &[String]) -> Vec<Value> {
    columns.iter().map(|c| get(row, c)).collect()
}
