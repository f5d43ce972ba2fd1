//! A small catalog, and the dumbest possible evaluator of relations: what lowering means can then be
//! tested here, without the engine.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::cmp::Ordering;
use std::collections::HashMap;
use tercel_ir::catalog::LogSource;
use tercel_ir::function::Context;
use tercel_ir::{
    Catalog, Column, Diagnostic, Diagnostics, Expr, ExprKind, JoinKind, Param, Rel, RelKind, Schema, Span,
    StoredFunction, Type, Value,
};

/// Tables of a few columns, one of them open, and a stored function.
pub struct Tables {
    functions: Vec<StoredFunction>,
}

impl Tables {
    pub fn new() -> Tables {
        let text = |name: &str| Param { name: name.into(), ty: Type::String, default: Some(Value::str("")) };
        let list = |name: &str| Param {
            name: name.into(),
            ty: Type::Dynamic,
            default: Some(Value::Dynamic(serde_json::json!([]))),
        };
        Tables {
            functions: vec![
                StoredFunction {
                    name: "_Im_Traffic".into(),
                    params: vec![
                        Param { name: "starttime".into(), ty: Type::DateTime, default: Some(Value::Null) },
                        list("hosts"),
                        text("result"),
                    ],
                    body: "Traffic
                        | where isnull(starttime) or TimeGenerated >= starttime
                        | where array_length(hosts) == 0 or Host has_any (hosts)
                        | where result == '' or Result == result
                        | project TimeGenerated, Host, Port"
                        .into(),
                },
                // The name of the function means the native table inside.
                StoredFunction {
                    name: "Wrapped".into(),
                    params: vec![Param { name: "p".into(), ty: Type::Long, default: None }],
                    body: "Wrapped | where Port == p".into(),
                },
                StoredFunction { name: "Broken".into(), params: vec![], body: "Traffic | where (".into() },
                StoredFunction { name: "Loop".into(), params: vec![], body: "Loop2()".into() },
                StoredFunction { name: "Loop2".into(), params: vec![], body: "Loop()".into() },
            ],
        }
    }
}

pub const TRAFFIC: &[(&str, Type)] = &[
    ("TimeGenerated", Type::DateTime),
    ("Host", Type::String),
    ("Port", Type::Int),
    ("Result", Type::String),
    ("InitiatingProcessAccountName", Type::String),
    ("AdditionalFields", Type::Dynamic),
];

impl Catalog for Tables {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        let (columns, open): (&[(&str, Type)], bool) = match name {
            "Traffic" | "Wrapped" => (TRAFFIC, false),
            "Open" => {
                (&[("TimeGenerated", Type::DateTime), ("EventID", Type::Int), ("Image", Type::String)], true)
            }
            "Other" => (&[("Host", Type::String), ("Port", Type::String)], false),
            "Gone" => return Some(Err(Diagnostic::error("no-data", "Gone has no data"))),
            _ => return None,
        };
        let columns = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
        let schema = Schema { columns, open };
        Some(Ok(Rel { kind: RelKind::Scan { table: name.into() }, schema, span: Span::default() }))
    }
    fn function(&self, name: &str) -> Option<&StoredFunction> {
        self.functions.iter().find(|f| f.name == name)
    }
    fn names(&self) -> Vec<String> {
        let tables = ["Traffic", "Open", "Other"].map(String::from);
        tables.into_iter().chain(self.functions.iter().map(|f| f.name.clone())).collect()
    }
    fn log_source(&self, _: LogSource<'_>) -> Result<Rel, Diagnostic> {
        Err(Diagnostic::error("no-log-source", "none here"))
    }
}

/// 2024-01-10, the present time of the tests.
pub fn now() -> i64 {
    tercel_ir::time::parse_datetime("2024-01-10").expect("a date")
}

/// Rows of the table `Traffic`.
fn traffic() -> Vec<Vec<Value>> {
    let at = |d: &str| Value::DateTime(tercel_ir::time::parse_datetime(d).expect("a date"));
    let row = |d: &str, host: Value, port: i64, result: &str, user: &str, extra: serde_json::Value| {
        vec![at(d), host, Value::Long(port), Value::str(result), Value::str(user), Value::Dynamic(extra)]
    };
    vec![
        row(
            "2024-01-09T10:00",
            Value::str("web.example.com"),
            443,
            "Success",
            "ann",
            serde_json::json!({"a": {"b": [1, 2]}}),
        ),
        row(
            "2024-01-09T11:00",
            Value::str("db.example.com"),
            5432,
            "Failure",
            "bob",
            serde_json::json!({"a": 5}),
        ),
        row("2024-01-01T00:00", Value::str("web.example.com"), 80, "Success", "ann", serde_json::json!({})),
        row("2024-01-09T12:00", Value::Null, 53, "Success", "", serde_json::json!(null)),
    ]
}

pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

/// Parses and lowers; the findings of both.
pub fn lower(query: &str) -> (Option<Rel>, Vec<Diagnostic>) {
    let (ast, mut found) = tercel_kql::parse(query);
    if found.has_errors() {
        return (None, found.into_vec());
    }
    let (rel, more): (Option<Rel>, Diagnostics) =
        tercel_kql::lower(&ast, &Tables::new(), &tercel_kql::Options::default());
    found.extend(more);
    (rel, found.into_vec())
}

/// Runs a relation.
pub fn run(rel: &Rel) -> Table {
    let mut rel = rel.clone();
    rel.fold_now(now());
    let columns = rel.schema.names().map(String::from).collect();
    Table { columns, rows: eval(&rel) }
}

type Row = Vec<Value>;

fn value(e: &Expr, schema: &Schema, row: &[Value]) -> Value {
    // Relations inside expressions first: the row-at-a-time meaning takes them as computed.
    let e = resolve(e, schema, row);
    let lookup = |name: &str| {
        schema.columns.iter().position(|c| &*c.name == name).map_or(Value::Null, |i| row[i].clone())
    };
    e.eval(&lookup, &Context::default())
}

fn resolve(e: &Expr, schema: &Schema, row: &[Value]) -> Expr {
    let mut e = e.clone();
    match &e.kind {
        ExprKind::Scalar(r) => {
            let v = eval(r).first().and_then(|r| r.first().cloned()).unwrap_or_default();
            e.kind = ExprKind::Literal(v);
        }
        ExprKind::InRelation { value: v, relation, ignore_case } => {
            let needle = value(v, schema, row);
            let hit = eval(relation).iter().any(|r| {
                if *ignore_case {
                    needle.text().to_lowercase() == r[0].text().to_lowercase()
                } else {
                    same(&needle, &r[0]) && !needle.is_null()
                }
            });
            e.kind = ExprKind::Literal(Value::Bool(hit));
        }
        _ => {
            for c in e.children_mut() {
                *c = resolve(c, schema, row);
            }
        }
    }
    e
}

fn is_true(e: &Expr, schema: &Schema, row: &[Value]) -> bool {
    value(e, schema, row).as_bool() == Some(true)
}

fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(x), Some(y)) if x == y)
}

fn order(a: &Value, b: &Value) -> Ordering {
    if let (Some(x), Some(y)) = (a.as_i64(), b.as_i64()) {
        return x.cmp(&y);
    }
    if let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) {
        return x.total_cmp(&y);
    }
    a.to_text().cmp(&b.to_text())
}

fn eval(rel: &Rel) -> Vec<Row> {
    match &rel.kind {
        RelKind::Scan { table } => match &**table {
            "Traffic" | "Wrapped" => traffic(),
            _ => Vec::new(),
        },
        RelKind::View { body, .. } => eval(body),
        RelKind::Values { rows } => rows.clone(),
        RelKind::Filter { input, predicate } => {
            eval(input).into_iter().filter(|r| is_true(predicate, &input.schema, r)).collect()
        }
        RelKind::Extend { input, columns } => eval(input)
            .into_iter()
            .map(|r| {
                let mut out = r.clone();
                for (name, e) in columns {
                    let v = value(e, &input.schema, &r);
                    match input.schema.columns.iter().position(|c| c.name == *name) {
                        Some(i) => out[i] = v,
                        None => out.push(v),
                    }
                }
                out
            })
            .collect(),
        RelKind::Project { input, columns } => eval(input)
            .iter()
            .map(|r| columns.iter().map(|(_, e)| value(e, &input.schema, r)).collect())
            .collect(),
        RelKind::Aggregate { input, keys, aggregations } => {
            let rows = eval(input);
            let mut groups: Vec<(Row, Vec<Row>)> = Vec::new();
            if keys.is_empty() {
                groups.push((Vec::new(), Vec::new()));
            }
            for r in rows {
                let key: Row = keys.iter().map(|(_, e)| value(e, &input.schema, &r)).collect();
                match groups.iter_mut().find(|g| g.0 == key) {
                    Some(g) => g.1.push(r),
                    None => groups.push((key, vec![r])),
                }
            }
            groups
                .into_iter()
                .map(|(mut key, rows)| {
                    for (_, a) in aggregations {
                        let types: Vec<Type> = a.args.iter().map(|e| e.ty).collect();
                        let mut state = (a.function.new)(&types);
                        for r in &rows {
                            if a.filter.as_ref().is_none_or(|f| is_true(f, &input.schema, r)) {
                                let args: Row = a.args.iter().map(|e| value(e, &input.schema, r)).collect();
                                state.update(&args);
                            }
                        }
                        key.push(state.finish());
                    }
                    key
                })
                .collect()
        }
        RelKind::Join { left, right, kind, on, condition } => {
            join(left, right, *kind, on, condition.as_ref())
        }
        RelKind::Union { inputs, tag } => {
            let mut out = Vec::new();
            for (n, i) in inputs.iter().enumerate() {
                for r in eval(i) {
                    let row = rel.schema.columns.iter().map(|c| match tag {
                        Some((t, labels)) if c.name == *t => Value::str(labels[n].as_str()),
                        _ => i
                            .schema
                            .columns
                            .iter()
                            .position(|x| x.name == c.name)
                            .map_or(Value::Null, |p| r[p].clone()),
                    });
                    out.push(row.collect());
                }
            }
            out
        }
        RelKind::Sort { input, keys } => {
            let mut rows = eval(input);
            rows.sort_by(|a, b| {
                for k in keys {
                    let (x, y) = (value(&k.expr, &input.schema, a), value(&k.expr, &input.schema, b));
                    let o = match (x.is_null(), y.is_null()) {
                        (true, true) => Ordering::Equal,
                        (true, false) => {
                            if k.nulls_first {
                                Ordering::Less
                            } else {
                                Ordering::Greater
                            }
                        }
                        (false, true) => {
                            if k.nulls_first {
                                Ordering::Greater
                            } else {
                                Ordering::Less
                            }
                        }
                        _ => {
                            if k.descending {
                                order(&y, &x)
                            } else {
                                order(&x, &y)
                            }
                        }
                    };
                    if o != Ordering::Equal {
                        return o;
                    }
                }
                Ordering::Equal
            });
            rows
        }
        RelKind::Limit { input, skip, count } => {
            eval(input).into_iter().skip(*skip as usize).take(*count as usize).collect()
        }
        RelKind::Unnest { input, columns, index } => {
            let mut out = Vec::new();
            for r in eval(input) {
                let arrays: Vec<(usize, Option<Vec<Value>>)> = columns
                    .iter()
                    .filter_map(|c| {
                        let at = input.schema.columns.iter().position(|x| x.name == *c)?;
                        let items = match &r[at] {
                            Value::Dynamic(serde_json::Value::Array(a)) => {
                                Some(a.iter().cloned().map(dynamic).collect())
                            }
                            Value::Null => None,
                            other => Some(vec![other.clone()]),
                        };
                        Some((at, items))
                    })
                    .collect();
                let n = arrays.iter().map(|(_, a)| a.as_ref().map_or(1, Vec::len)).max().unwrap_or(0);
                for i in 0..n {
                    let mut row = r.clone();
                    for (at, items) in &arrays {
                        row[*at] = items.as_ref().and_then(|v| v.get(i).cloned()).unwrap_or_default();
                    }
                    if index.is_some() {
                        row.push(Value::Long(i as i64));
                    }
                    out.push(row);
                }
            }
            out
        }
    }
}

fn dynamic(j: serde_json::Value) -> Value {
    if j.is_null() { Value::Null } else { Value::Dynamic(j) }
}

fn join(left: &Rel, right: &Rel, kind: JoinKind, on: &[(Expr, Expr)], condition: Option<&Expr>) -> Vec<Row> {
    let (mut l, r) = (eval(left), eval(right));
    if kind == JoinKind::InnerUnique {
        let mut seen: HashMap<String, ()> = HashMap::new();
        l.retain(|row| {
            let key: Vec<String> =
                on.iter().map(|(e, _)| format!("{:?}", value(e, &left.schema, row))).collect();
            seen.insert(key.join("\u{1}"), ()).is_none()
        });
    }
    let both = Schema::new(left.schema.columns.iter().chain(&right.schema.columns).cloned().collect());
    let fits = |a: &Row, b: &Row| {
        on.iter().all(|(x, y)| {
            let (x, y) = (value(x, &left.schema, a), value(y, &right.schema, b));
            same(&x, &y)
        }) && condition.is_none_or(|c| is_true(c, &both, &[a.clone(), b.clone()].concat()))
    };
    let nulls = |s: &Schema| vec![Value::Null; s.columns.len()];
    let mut out = Vec::new();
    let mut matched = vec![false; r.len()];
    for a in &l {
        let mut any = false;
        for (i, b) in r.iter().enumerate() {
            if fits(a, b) {
                any = true;
                matched[i] = true;
                if !matches!(
                    kind,
                    JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::RightSemi | JoinKind::RightAnti
                ) {
                    out.push([a.clone(), b.clone()].concat());
                }
            }
        }
        match kind {
            JoinKind::LeftSemi if any => out.push(a.clone()),
            JoinKind::LeftAnti if !any => out.push(a.clone()),
            JoinKind::LeftOuter | JoinKind::FullOuter if !any => {
                out.push([a.clone(), nulls(&right.schema)].concat())
            }
            _ => {}
        }
    }
    for (i, b) in r.iter().enumerate() {
        match kind {
            JoinKind::RightSemi if matched[i] => out.push(b.clone()),
            JoinKind::RightAnti if !matched[i] => out.push(b.clone()),
            JoinKind::RightOuter | JoinKind::FullOuter if !matched[i] => {
                out.push([nulls(&left.schema), b.clone()].concat());
            }
            _ => {}
        }
    }
    out
}
