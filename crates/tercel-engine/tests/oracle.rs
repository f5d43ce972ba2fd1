//! Random relations over random data: the engine must give what the dumb interpreter gives.

use crate::common;

use common::{Data, key};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_engine::{HuntPlan, MemorySource, Options, SessionOptions, hunt, query_rows};
use tercel_ir::function::{aggregate_by_name, all};
use tercel_ir::rel::Aggregation;
use tercel_ir::{Column, Expr, ExprKind, JoinKind, Name, Rel, RelKind, Schema, SortKey, Span, Type, Value};

const S: Span = Span { start: 0, end: 0 };

/// A small generator of numbers: one seed makes one case, so a failure is one number to repeat.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
    }
    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.roll(items.len())]
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }
}

const TYPES: &[Type] =
    &[Type::Bool, Type::Long, Type::Real, Type::DateTime, Type::TimeSpan, Type::String, Type::Dynamic];
const TEXTS: &[&str] =
    &["", "a", "A", "b", "a b", "cmd.exe", "C:\\x\\CMD.EXE", "\u{212A}", "é", "10.0.0.1", "[1,2]", "7"];

fn value(d: &mut Dice, ty: Type) -> Value {
    if d.one_in(5) {
        return Value::Null;
    }
    match ty {
        Type::Bool => Value::Bool(d.one_in(2)),
        Type::Int | Type::Long => Value::Long(d.roll(6) as i64 - 2),
        Type::Real | Type::Decimal => Value::Real(*d.pick(&[0.0, 1.0, 1.5, -2.5, 1e10])),
        Type::DateTime => Value::DateTime(638_000_000_000_000_000 + d.roll(4) as i64 * 864_000_000_000),
        Type::TimeSpan => Value::TimeSpan(d.roll(5) as i64 * 36_000_000_000 - 36_000_000_000),
        Type::String | Type::Guid => Value::str(*d.pick(TEXTS)),
        Type::Dynamic => Value::Dynamic(match d.roll(6) {
            0 => serde_json::json!(d.roll(3)),
            1 => serde_json::json!(*d.pick(TEXTS)),
            2 => serde_json::json!([]),
            3 => serde_json::json!([1, "a", null]),
            4 => serde_json::json!({"a": 1, "b": "x"}),
            _ => serde_json::json!([*d.pick(TEXTS)]),
        }),
    }
}

fn data(d: &mut Dice) -> Data {
    let column = |n: &str, t| (Name::from(n), t);
    let t = vec![
        column("a", Type::String),
        column("b c", Type::Long),
        column("r", Type::Real),
        column("T$", Type::DateTime),
        column("dyn", Type::Dynamic),
        column("flag", Type::Bool),
        column("hidden.one", Type::String),
    ];
    let u = vec![column("a", Type::String), column("n", Type::Long), column("span", Type::TimeSpan)];
    let mut tables = BTreeMap::new();
    for (name, columns) in [("T", t), ("U", u)] {
        let rows = (0..d.roll(9)).map(|_| columns.iter().map(|(_, t)| value(d, *t)).collect()).collect();
        tables.insert(name.to_string(), (columns, rows));
    }
    Data { tables }
}

fn scan(d: &mut Dice, data: &Data) -> Rel {
    let name = *d.pick(&["T", "U"]);
    let columns: Vec<Column> = data.tables[name]
        .0
        .iter()
        .filter(|(n, _)| &**n != "hidden.one")
        .map(|(n, t)| Column::new(n.clone(), *t))
        .collect();
    Rel {
        kind: RelKind::Scan { table: name.into() },
        schema: Schema { columns: columns.into(), open: name == "T" },
        span: S,
    }
}

fn expr(d: &mut Dice, from: &Schema, ty: Type, depth: usize, data: &Data) -> Expr {
    let columns: Vec<&Column> = from.columns.iter().filter(|c| c.ty == ty).collect();
    if ty == Type::String && from.open && d.one_in(8) {
        return Expr::column("hidden.one", Type::String, S);
    }
    if depth == 0 || d.one_in(4) {
        if !columns.is_empty() && !d.one_in(4) {
            let c = *d.pick(&columns);
            return Expr::column(c.name.clone(), c.ty, S);
        }
        let v = value(d, ty);
        return Expr { kind: ExprKind::Literal(v), ty, span: S };
    }
    if ty == Type::Bool && d.one_in(2) {
        let items = (0..d.roll(4)).map(|_| expr(d, from, Type::Bool, depth - 1, data)).collect();
        return match d.roll(4) {
            0 => Expr::and(items, S),
            1 => Expr::or(items, S),
            2 => Expr::not(expr(d, from, Type::Bool, depth - 1, data), S),
            _ => {
                let relation = Arc::new(relation(d, depth.min(1), data));
                let Some(first) = relation.schema.columns.first() else { return Expr::boolean(true, S) };
                let ignore_case = first.ty == Type::String && d.one_in(2);
                let value = Box::new(expr(d, from, first.ty, depth - 1, data));
                Expr { kind: ExprKind::InRelation { value, relation, ignore_case }, ty: Type::Bool, span: S }
            }
        };
    }
    if d.one_in(6) {
        let branches = (0..1 + d.roll(2))
            .map(|_| (expr(d, from, Type::Bool, depth - 1, data), expr(d, from, ty, depth - 1, data)))
            .collect();
        let otherwise = Box::new(expr(d, from, ty, depth - 1, data));
        return Expr { kind: ExprKind::Case { branches, otherwise }, ty, span: S };
    }
    // Any function that gives the type.
    for _ in 0..30 {
        let f = *d.pick(all());
        if matches!(f.name, "now" | "geo_info_from_ip_address") {
            continue;
        }
        let n = f.arity.0 + d.roll(f.arity.1.min(f.arity.0 + 2) - f.arity.0 + 1);
        let types: Vec<Type> = (0..n).map(|_| *d.pick(TYPES)).collect();
        if f.result_type(&types) == Ok(ty) {
            let args = types.iter().map(|t| expr(d, from, *t, depth - 1, data)).collect();
            return Expr { kind: ExprKind::Call(f, args), ty, span: S };
        }
    }
    Expr::null(ty, S)
}

fn keys(d: &mut Dice, from: &Schema, data: &Data) -> Vec<(Name, Expr)> {
    // Reals are left out: which of 0.0 and -0.0 a key is, is nobody's business.
    let types = [Type::String, Type::Long, Type::Bool, Type::DateTime];
    (0..d.roll(3))
        .map(|i| {
            let ty = *d.pick(&types);
            (Name::from(format!("k{i}")), expr(d, from, ty, 1, data))
        })
        .collect()
}

/// A sort by all columns, so that the order is one.
fn total(rel: Rel, d: &mut Dice) -> Rel {
    let keys = rel
        .schema
        .columns
        .iter()
        .map(|c| SortKey {
            expr: Expr::column(c.name.clone(), c.ty, S),
            descending: d.one_in(2),
            nulls_first: d.one_in(2),
        })
        .collect();
    rel.sort(keys, S)
}

fn aggregate(d: &mut Dice, input: Rel, data: &Data) -> Rel {
    let keys = keys(d, &input.schema, data);
    // The answers of the order-sensitive ones depend on the order of rows: they need a sort below.
    let sorted = d.one_in(2);
    let mut names = vec!["count", "count_values", "sum", "avg", "min", "max", "dcount", "values"];
    if sorted {
        names.extend(["make_list", "make_set", "first", "last", "take_any", "arg_max", "arg_min"]);
    }
    let input = if sorted { total(input, d) } else { input };
    let mut list = Vec::new();
    for i in 0..d.roll(4) {
        let f = aggregate_by_name(d.pick::<&str>(&names)).expect("it exists");
        for _ in 0..10 {
            let types: Vec<Type> =
                (0..f.arity.0.max(d.roll(f.arity.1 + 1))).map(|_| *d.pick(TYPES)).collect();
            // The second argument of sets and counts is a literal number, that of `arg_max` any column.
            let types: Vec<Type> = types
                .into_iter()
                .enumerate()
                .map(|(n, t)| if n == 1 && !f.name.starts_with("arg") { Type::Long } else { t })
                .collect();
            let Ok(ty) = f.result_type(&types) else { continue };
            // Dynamics may be incomparable; then the first one counts.
            if !sorted && matches!(f.name, "min" | "max") && types[0] == Type::Dynamic {
                continue;
            }
            let args = types
                .iter()
                .enumerate()
                .map(|(n, t)| match n {
                    1 if !f.name.starts_with("arg") => Expr::literal(Value::Long(3), S),
                    _ => expr(d, &input.schema, *t, 1, data),
                })
                .collect();
            let filter = d.one_in(3).then(|| expr(d, &input.schema, Type::Bool, 1, data));
            list.push((Name::from(format!("g{i}")), Aggregation { function: f, args, filter, ty }));
            break;
        }
    }
    input.aggregate(keys, list, S)
}

fn join(d: &mut Dice, depth: usize, data: &Data) -> Rel {
    let (left, right) = (relation(d, depth - 1, data), relation(d, depth - 1, data));
    let kinds = [
        JoinKind::Inner,
        JoinKind::LeftOuter,
        JoinKind::RightOuter,
        JoinKind::FullOuter,
        JoinKind::LeftSemi,
        JoinKind::LeftAnti,
        JoinKind::RightSemi,
        JoinKind::RightAnti,
    ];
    let kind = *d.pick(&kinds);
    let rename = |rel: Rel, prefix: &str| {
        let columns = rel
            .schema
            .columns
            .iter()
            .map(|c| (Name::from(format!("{prefix}{}", c.name)), Expr::column(c.name.clone(), c.ty, S)))
            .collect();
        rel.project(columns, S)
    };
    let (left, right) = (rename(left, "x"), rename(right, "y"));
    let on: Vec<(Expr, Expr)> = (0..d.roll(3))
        .map(|_| {
            let ty = *d.pick(&[Type::String, Type::Long, Type::DateTime, Type::Bool]);
            (expr(d, &left.schema, ty, 1, data), expr(d, &right.schema, ty, 1, data))
        })
        .collect();
    let columns: Vec<Column> = match kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => left.schema.columns.to_vec(),
        JoinKind::RightSemi | JoinKind::RightAnti => right.schema.columns.to_vec(),
        _ => left.schema.columns.iter().chain(&right.schema.columns).cloned().collect(),
    };
    let both = Schema::new(left.schema.columns.iter().chain(&right.schema.columns).cloned().collect());
    let condition = d.one_in(3).then(|| expr(d, &both, Type::Bool, 2, data));
    let kind = RelKind::Join { left: Box::new(left), right: Box::new(right), kind, on, condition };
    Rel { kind, schema: Schema::new(columns), span: S }
}

fn relation(d: &mut Dice, depth: usize, data: &Data) -> Rel {
    if depth == 0 {
        if d.one_in(6) {
            let columns = vec![Column::new("a", Type::String), Column::new("n", Type::Long)];
            let rows = (0..d.roll(4)).map(|_| vec![value(d, Type::String), value(d, Type::Long)]).collect();
            return Rel { kind: RelKind::Values { rows }, schema: Schema::new(columns), span: S };
        }
        return scan(d, data);
    }
    match d.roll(10) {
        0 | 1 => {
            let i = relation(d, depth - 1, data);
            let p = expr(d, &i.schema, Type::Bool, 3, data);
            i.filter(p, S)
        }
        2 => {
            let i = relation(d, depth - 1, data);
            let columns = (0..1 + d.roll(3))
                .map(|k| {
                    let ty = *d.pick(TYPES);
                    let name = if k == 0 && !i.schema.columns.is_empty() {
                        d.pick(&i.schema.columns).name.clone()
                    } else {
                        Name::from(format!("new {k}"))
                    };
                    (name, expr(d, &i.schema, ty, 3, data))
                })
                .collect();
            i.extend(columns, S)
        }
        3 => {
            let i = relation(d, depth - 1, data);
            let columns = (0..d.roll(4))
                .map(|k| {
                    let ty = *d.pick(TYPES);
                    (Name::from(format!("p{k}")), expr(d, &i.schema, ty, 2, data))
                })
                .collect();
            i.project(columns, S)
        }
        4 => {
            let i = relation(d, depth - 1, data);
            aggregate(d, i, data)
        }
        5 => join(d, depth, data),
        6 => {
            // Inputs may not give one name two types.
            let inputs: Vec<Rel> = (0..1 + d.roll(3)).map(|_| relation(d, depth - 1, data)).collect();
            let mut types: BTreeMap<Name, Type> = BTreeMap::new();
            let fit = inputs
                .iter()
                .flat_map(|i| &i.schema.columns)
                .all(|c| *types.entry(c.name.clone()).or_insert(c.ty) == c.ty);
            if !fit {
                return inputs.into_iter().next().expect("at least one");
            }
            let labels: Vec<String> = (0..inputs.len()).map(|i| format!("t{i}")).collect();
            let mut u = Rel::union(inputs, S);
            if d.one_in(3)
                && let RelKind::Union { tag, .. } = &mut u.kind
            {
                *tag = Some(("$table".into(), labels));
                u.schema.columns.retain(|c| &*c.name != "$table");
                u.schema.columns.insert(0, Column::new("$table", Type::String));
            }
            u
        }
        7 => {
            let i = relation(d, depth - 1, data);
            total(i, d)
        }
        8 => {
            let i = relation(d, depth - 1, data);
            let skip = d.roll(3) as u64;
            let i = total(i, d);
            Rel {
                schema: i.schema.clone(),
                kind: RelKind::Limit { input: Box::new(i), skip, count: d.roll(4) as u64 },
                span: S,
            }
        }
        _ => {
            let i = relation(d, depth - 1, data);
            let columns: Vec<Name> = i
                .schema
                .columns
                .iter()
                .filter(|c| c.ty == Type::Dynamic)
                .map(|c| c.name.clone())
                .take(2)
                .collect();
            let mut schema = i.schema.clone();
            let index = d.one_in(2).then(|| Name::from("place"));
            if let Some(n) = &index {
                schema.columns.retain(|c| c.name != *n);
                schema.columns.push(Column::new(n.clone(), Type::Long));
            }
            if columns.is_empty() {
                return i;
            }
            Rel { kind: RelKind::Unnest { input: Box::new(i), columns, index }, schema, span: S }
        }
    }
}

fn source(data: &Data) -> MemorySource {
    let mut s = MemorySource::new();
    for (name, (types, rows)) in &data.tables {
        s.add_rows(name.as_str(), types.clone(), rows, 3).expect("rows fit");
    }
    s
}

fn as_text(rows: &[Vec<Value>]) -> Vec<String> {
    rows.iter().map(|r| r.iter().map(key).collect::<Vec<_>>().join(" | ")).collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_gives_what_the_interpreter_gives(seed in 1u64.., depth in 0usize..4, partitions in 1usize..3) {
        let mut d = Dice(seed);
        let data = data(&mut d);
        let rel = relation(&mut d, depth, &data);
        let want = as_text(&common::run(&rel, &data));
        let options = Options {
            // More than one partition loses the order of rows, which order-sensitive aggregates see.
            session: SessionOptions { partitions: if has_sort(&rel) { 1 } else { partitions }, batch_rows: 4, memory: None },
            threads: 2,
            ..Options::default()
        };
        let (_, got) = query_rows(&rel, &source(&data), &options).map_err(|e| TestCaseError::fail(format!("{e}\n{rel:?}")))?;
        let got = as_text(&got);
        if matches!(rel.kind, RelKind::Sort { .. }) {
            prop_assert_eq!(&got, &want, "{:?}", rel);
        }
        prop_assert_eq!(sorted(got), sorted(want), "{:?}", rel);
    }

    /// Many plans in one pass give what each gives alone.
    #[test]
    fn a_hunt_gives_what_its_plans_give(seed in 1u64..) {
        let mut d = Dice(seed);
        let data = data(&mut d);
        let view = relation(&mut d, 1, &data);
        let plans: Vec<HuntPlan> = (0..5).map(|id| {
            let rel = if d.one_in(2) {
                let rel = Rel { schema: view.schema.clone(), kind: RelKind::View { name: "V".into(), body: std::sync::Arc::new(view.clone()) }, span: S };
                let p = expr(&mut d, &rel.schema, Type::Bool, 2, &data);
                rel.filter(p, S)
            } else {
                relation(&mut d, 2, &data)
            };
            HuntPlan { id, rel }
        }).collect();
        let mut got: Vec<Vec<Vec<Value>>> = vec![vec![]; plans.len()];
        let stats = hunt(plans.clone(), &source(&data), &Options { threads: 2, ..Options::default() }, &mut |hit| {
            got[hit.plan].push(hit.values());
            ControlFlow::Continue(())
        }).map_err(|e| TestCaseError::fail(e.to_string()))?;
        for (p, got) in plans.iter().zip(&got) {
            prop_assert!(stats.plans[p.id].error.is_none(), "{:?} {:?}", stats.plans[p.id].error, p.rel);
            let plan = || tercel_engine::explain(&p.rel, &source(&data), &Options::default());
            prop_assert_eq!(sorted(as_text(got)), sorted(as_text(&common::run(&p.rel, &data))), "{:?} {:?}", p.rel, plan());
        }
    }
}

fn has_sort(rel: &Rel) -> bool {
    fn expr(e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Scalar(r) | ExprKind::InRelation { relation: r, .. } if has_sort(r) => return true,
            _ => {}
        }
        e.children().into_iter().any(expr)
    }
    matches!(rel.kind, RelKind::Sort { .. })
        || rel.expressions().into_iter().any(expr)
        || rel.inputs().into_iter().any(has_sort)
}
