//! A dumb interpreter of relations: nested loops over rows of values, straight from the meaning of each
//! operator. The engine is held to it.

use std::collections::BTreeMap;
use tercel_engine::canonical;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, JoinKind, Name, Rel, RelKind, Type, Value};

pub type Row = BTreeMap<Name, Value>;

/// Columns and rows; there may be columns that the table's scan does not declare.
pub type Table = (Vec<(Name, Type)>, Vec<Vec<Value>>);

/// Tables by name.
pub struct Data {
    pub tables: BTreeMap<String, Table>,
}

/// The values of the relation's columns, row by row.
pub fn run(rel: &Rel, data: &Data) -> Vec<Vec<Value>> {
    rows(rel, data)
        .into_iter()
        .map(|r| rel.schema.columns.iter().map(|c| canonical(get(&r, &c.name), c.ty)).collect())
        .collect()
}

fn get(row: &Row, name: &str) -> Value {
    row.get(name).cloned().unwrap_or_default()
}

/// The value of an expression, brought to its type at every step.
pub fn eval(e: &Expr, row: &Row, data: &Data) -> Value {
    let truth = |e: &Expr| canonical(eval(e, row, data), Type::Bool);
    let v = match &e.kind {
        ExprKind::Literal(v) => v.clone(),
        ExprKind::Column(n) => get(row, n),
        ExprKind::And(items) => {
            let v: Vec<Value> = items.iter().map(truth).collect();
            if v.contains(&Value::Bool(false)) {
                Value::Bool(false)
            } else if v.contains(&Value::Null) {
                Value::Null
            } else {
                Value::Bool(true)
            }
        }
        ExprKind::Or(items) => {
            let v: Vec<Value> = items.iter().map(truth).collect();
            if v.contains(&Value::Bool(true)) {
                Value::Bool(true)
            } else if v.contains(&Value::Null) {
                Value::Null
            } else {
                Value::Bool(false)
            }
        }
        ExprKind::Not(e) => match truth(e) {
            Value::Bool(b) => Value::Bool(!b),
            _ => Value::Null,
        },
        ExprKind::Call(f, args) => {
            let args: Vec<Value> = args.iter().map(|a| eval(a, row, data)).collect();
            (f.eval)(&args, &Context::default())
        }
        ExprKind::Case { branches, otherwise } => {
            let hit = branches.iter().find(|(c, _)| truth(c) == Value::Bool(true));
            eval(hit.map_or(otherwise, |(_, t)| t), row, data)
        }
        ExprKind::Scalar(r) => {
            run(r, data).into_iter().next().and_then(|r| r.into_iter().next()).unwrap_or_default()
        }
        ExprKind::InRelation { value, relation, ignore_case } => {
            let v = eval(value, row, data);
            let name = if *ignore_case { "in_ci" } else { "in" };
            let f = tercel_ir::function::by_name(name).expect("a function of the registry");
            let hit = !v.is_null()
                && run(relation, data).into_iter().any(|r| {
                    !r[0].is_null()
                        && (f.eval)(&[v.clone(), r[0].clone()], &Context::default()) == Value::Bool(true)
                });
            Value::Bool(hit)
        }
    };
    canonical(v, e.ty)
}

/// Order of two values of one type, nulls apart; NaN above all numbers, as Arrow sorts.
pub fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Long(a), Value::Long(b))
        | (Value::DateTime(a), Value::DateTime(b))
        | (Value::TimeSpan(a), Value::TimeSpan(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Dynamic(a), Value::Dynamic(b)) => a.to_string().cmp(&b.to_string()),
        _ => std::cmp::Ordering::Equal,
    }
}

/// A value as text under which equal keys are the same, null included.
pub fn key(v: &Value) -> String {
    format!("{v:?}")
}

fn rows(rel: &Rel, data: &Data) -> Vec<Row> {
    match &rel.kind {
        RelKind::Scan { table } => {
            let (columns, rows) = &data.tables[&**table];
            let named =
                |r: &Vec<Value>| columns.iter().zip(r).map(|((n, _), v)| (n.clone(), v.clone())).collect();
            rows.iter().map(named).collect()
        }
        RelKind::View { body, .. } => rows(body, data),
        RelKind::Values { rows } => rows
            .iter()
            .map(|r| {
                rel.schema
                    .columns
                    .iter()
                    .zip(r)
                    .map(|(c, v)| (c.name.clone(), canonical(v.clone(), c.ty)))
                    .collect()
            })
            .collect(),
        RelKind::Filter { input, predicate } => {
            let mut out = rows(input, data);
            out.retain(|r| eval(predicate, r, data) == Value::Bool(true));
            out
        }
        RelKind::Extend { input, columns } => rows(input, data)
            .into_iter()
            .map(|r| {
                let new: Vec<(Name, Value)> =
                    columns.iter().map(|(n, e)| (n.clone(), eval(e, &r, data))).collect();
                let mut r = r;
                r.extend(new);
                r
            })
            .collect(),
        RelKind::Project { input, columns } => rows(input, data)
            .into_iter()
            .map(|r| columns.iter().map(|(n, e)| (n.clone(), eval(e, &r, data))).collect())
            .collect(),
        RelKind::Aggregate { input, keys, aggregations } => {
            let mut groups: Vec<(Vec<Value>, Vec<Row>)> = Vec::new();
            if keys.is_empty() {
                groups.push((vec![], vec![]));
            }
            for r in rows(input, data) {
                let k: Vec<Value> = keys.iter().map(|(_, e)| eval(e, &r, data)).collect();
                let text: Vec<String> = k.iter().map(key).collect();
                match groups.iter_mut().find(|(g, _)| g.iter().map(key).collect::<Vec<_>>() == text) {
                    Some((_, rows)) => rows.push(r),
                    None => groups.push((k, vec![r])),
                }
            }
            groups
                .into_iter()
                .map(|(k, rows)| {
                    let mut out: Row = keys.iter().map(|(n, _)| n.clone()).zip(k).collect();
                    for (n, a) in aggregations {
                        let types: Vec<Type> = a.args.iter().map(|e| e.ty).collect();
                        let mut acc = (a.function.new)(&types);
                        for r in &rows {
                            if a.filter.as_ref().is_none_or(|f| eval(f, r, data) == Value::Bool(true)) {
                                acc.update(&a.args.iter().map(|e| eval(e, r, data)).collect::<Vec<_>>());
                            }
                        }
                        out.insert(n.clone(), canonical(acc.finish(), a.ty));
                    }
                    out
                })
                .collect()
        }
        RelKind::Join { left, right, kind, on, condition } => {
            join(rel, left, right, *kind, on, condition.as_ref(), data)
        }
        RelKind::Union { inputs, tag } => {
            let mut out = Vec::new();
            for (k, i) in inputs.iter().enumerate() {
                for mut r in rows(i, data) {
                    if !i.schema.open {
                        r.retain(|n, _| i.schema.get(n).is_some());
                    }
                    if let Some((name, labels)) = tag {
                        r.insert(name.clone(), Value::str(labels[k].as_str()));
                    }
                    out.push(r);
                }
            }
            out
        }
        RelKind::Sort { input, keys } => {
            let mut out = rows(input, data);
            out.sort_by(|a, b| {
                for k in keys {
                    let (x, y) = (eval(&k.expr, a, data), eval(&k.expr, b, data));
                    let o = match (x.is_null(), y.is_null()) {
                        (true, true) => std::cmp::Ordering::Equal,
                        (true, false) if k.nulls_first => std::cmp::Ordering::Less,
                        (true, false) => std::cmp::Ordering::Greater,
                        (false, true) if k.nulls_first => std::cmp::Ordering::Greater,
                        (false, true) => std::cmp::Ordering::Less,
                        (false, false) if k.descending => order(&y, &x),
                        (false, false) => order(&x, &y),
                    };
                    if o.is_ne() {
                        return o;
                    }
                }
                std::cmp::Ordering::Equal
            });
            out
        }
        RelKind::Limit { input, skip, count } => {
            rows(input, data).into_iter().skip(*skip as usize).take(*count as usize).collect()
        }
        RelKind::Unnest { input, columns, index } => {
            let mut out = Vec::new();
            for r in rows(input, data) {
                let lists: Vec<Option<Vec<Value>>> = columns.iter().map(|c| elements(&get(&r, c))).collect();
                let n = lists.iter().map(|l| l.as_ref().map_or(1, Vec::len)).max().unwrap_or(0);
                for i in 0..n {
                    let mut row = r.clone();
                    for (c, l) in columns.iter().zip(&lists) {
                        let v = l.as_ref().and_then(|l| l.get(i).cloned()).unwrap_or_default();
                        let ty = rel.schema.get(c).map_or(Type::Dynamic, |c| c.ty);
                        row.insert(c.clone(), canonical(v, ty));
                    }
                    if let Some(name) = index {
                        row.insert(name.clone(), Value::Long(i as i64));
                    }
                    out.push(row);
                }
            }
            out
        }
    }
}

fn elements(v: &Value) -> Option<Vec<Value>> {
    match v {
        Value::Null => None,
        Value::Dynamic(serde_json::Value::Array(items)) => {
            Some(items.iter().map(|i| canonical(Value::Dynamic(i.clone()), Type::Dynamic)).collect())
        }
        Value::Dynamic(serde_json::Value::Object(m)) => {
            Some(m.iter().map(|(k, v)| Value::Dynamic(serde_json::json!({k: v}))).collect())
        }
        v => Some(vec![v.clone()]),
    }
}

fn join(
    rel: &Rel,
    left: &Rel,
    right: &Rel,
    kind: JoinKind,
    on: &[(Expr, Expr)],
    condition: Option<&Expr>,
    data: &Data,
) -> Vec<Row> {
    let (mut ls, rs) = (rows(left, data), rows(right, data));
    let lkey = |r: &Row| on.iter().map(|(e, _)| key(&eval(e, r, data))).collect::<Vec<_>>();
    let rkey = |r: &Row| on.iter().map(|(_, e)| key(&eval(e, r, data))).collect::<Vec<_>>();
    if kind == JoinKind::InnerUnique {
        let mut seen = std::collections::HashSet::new();
        ls.retain(|r| seen.insert(lkey(r)));
    }
    let matches = |l: &Row, r: &Row| {
        lkey(l) == rkey(r)
            && condition.is_none_or(|c| {
                let mut both = r.clone();
                both.extend(l.clone());
                eval(c, &both, data) == Value::Bool(true)
            })
    };
    match kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => {
            let want = kind == JoinKind::LeftSemi;
            ls.retain(|l| rs.iter().any(|r| matches(l, r)) == want);
            return ls;
        }
        JoinKind::RightSemi | JoinKind::RightAnti => {
            let want = kind == JoinKind::RightSemi;
            return rs.into_iter().filter(|r| ls.iter().any(|l| matches(l, r)) == want).collect();
        }
        _ => {}
    }
    let width = left.schema.columns.len();
    let combine = |l: Option<&Row>, r: Option<&Row>| -> Row {
        rel.schema
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let v = if i < width {
                    l.map(|l| get(l, &left.schema.columns[i].name))
                } else {
                    r.map(|r| get(r, &right.schema.columns[i - width].name))
                };
                (c.name.clone(), v.unwrap_or_default())
            })
            .collect()
    };
    let mut out = Vec::new();
    let mut right_used = vec![false; rs.len()];
    for l in &ls {
        let mut any = false;
        for (i, r) in rs.iter().enumerate() {
            if matches(l, r) {
                any = true;
                right_used[i] = true;
                out.push(combine(Some(l), Some(r)));
            }
        }
        if !any && matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
            out.push(combine(Some(l), None));
        }
    }
    if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
        for (r, _) in rs.iter().zip(&right_used).filter(|(_, used)| !**used) {
            out.push(combine(None, Some(r)));
        }
    }
    out
}
