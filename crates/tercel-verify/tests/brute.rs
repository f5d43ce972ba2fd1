//! Random conditions and mutations of them against all events of a small world. Whatever the prover says
//! must be true of every one of these events; every witness is evaluated once more.

use crate::support;

use proptest::prelude::*;
use std::sync::LazyLock;
use support::{Random, columns, mutate};
use tercel_ir::function::Context;
use tercel_ir::{Expr, Rel, RelKind, Schema, Span, Type, Value};
use tercel_verify::{Budget, Comparison, Relation, compare};

fn scan() -> Rel {
    Rel { kind: RelKind::Scan { table: "T".into() }, schema: Schema::new(columns()), span: Span::default() }
}
fn col(name: &str, ty: Type) -> Expr {
    Expr::column(name, ty, Span::default())
}
fn lit(v: Value) -> Expr {
    Expr::literal(v, Span::default())
}
fn call(f: &str, args: Vec<Expr>) -> Expr {
    Expr::known(f, args, Span::default())
}

const LETTERS: [char; 5] = ['a', 'B', 'b', ' ', '\\'];

/// All texts of up to three letters, and null.
static TEXTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut out = vec![Value::Null];
    let mut last = vec![String::new()];
    for _ in 0..=3 {
        out.extend(last.iter().map(|s| Value::str(s.as_str())));
        last = last.iter().flat_map(|s| LETTERS.iter().map(move |c| format!("{s}{c}"))).collect();
    }
    out
});

fn needle(r: &mut Random) -> String {
    (0..r.below(3)).map(|_| *r.pick(&LETTERS)).collect()
}

fn text(r: &mut Random) -> Expr {
    let c = col("Cmd", Type::String);
    match r.below(12) {
        5 => call("strcat", vec![c.clone(), lit(Value::str("b")), call("toupper", vec![c])]),
        6 => call("strcat", vec![lit(Value::str("a")), c.clone(), c]),
        7 => {
            let f = *r.pick(&["tostring", "text_or_null"]);
            call(f, vec![col("Port", Type::Int)])
        }
        0 => call("tolower", vec![c]),
        1 => call("basename", vec![c]),
        2 => call("toupper", vec![c]),
        3 => call("strcat", vec![lit(Value::str("a")), c]),
        4 => Expr::iff(leaf_on_port(r), c, lit(Value::str("ab")), Span::default()),
        _ => c,
    }
}

fn leaf_on_port(r: &mut Random) -> Expr {
    let port = col("Port", Type::Int);
    let n = |r: &mut Random| lit(Value::Long(r.below(4) as i64));
    match r.below(8) {
        0 => call("isnull", vec![port]),
        1 => {
            let items = (0..1 + r.below(3)).map(|_| n(r));
            call("in", std::iter::once(port).chain(items).collect())
        }
        _ => {
            let op = *r.pick(&["eq", "ne", "lt", "le", "gt", "ge"]);
            call(op, vec![port, n(r)])
        }
    }
}

fn leaf(r: &mut Random) -> Expr {
    if r.below(4) == 0 {
        return leaf_on_port(r);
    }
    let subject = text(r);
    match r.below(16) {
        0 => call("isempty", vec![subject]),
        1 => call("isnotnull", vec![col("Cmd", Type::String)]),
        2 | 3 => {
            let f = *r.pick(&["in", "in_ci", "has_any"]);
            let items = (0..1 + r.below(4)).map(|_| lit(Value::str(needle(r))));
            call(f, std::iter::once(subject).chain(items.collect::<Vec<_>>()).collect())
        }
        4 => {
            let patterns = [
                "^a+$",
                "a|b",
                "(?i)ab",
                "^[ab]*$",
                "b.",
                "^(a|ab)(b|)$",
                r"\\",
                "^.$",
                "(?s)^.b",
                "^a.*b$",
                "[^a]",
                "^(?:a{2}|b)$",
            ];
            call("matches_regex", vec![subject, lit(Value::str(*r.pick(&patterns)))])
        }
        5 => {
            let globs = ["a*", "*b*", "?b", "*", "a?*", "*\\\\b"];
            let f = *r.pick(&["matches_glob", "matches_glob_ci"]);
            call(f, vec![subject, lit(Value::str(*r.pick(&globs)))])
        }
        6 => call("eq", vec![call("strlen", vec![subject]), lit(Value::Long(r.below(4) as i64))]),
        _ => {
            let f = *r.pick(&[
                "eq",
                "ne",
                "eq_ci",
                "contains",
                "contains_cs",
                "startswith",
                "startswith_cs",
                "endswith",
                "endswith_cs",
                "has",
                "has_cs",
                "hasprefix",
                "hassuffix",
            ]);
            call(f, vec![subject, lit(Value::str(needle(r)))])
        }
    }
}

fn condition(r: &mut Random, depth: usize) -> Expr {
    let some = |r: &mut Random| (0..1 + r.below(3)).map(|_| condition(r, depth - 1)).collect::<Vec<_>>();
    match if depth == 0 { 9 } else { r.below(8) } {
        0 | 1 => Expr::and(some(r), Span::default()),
        2 | 3 => Expr::or(some(r), Span::default()),
        4 => Expr::not(condition(r, depth - 1), Span::default()),
        _ => leaf(r),
    }
}

fn holds(e: &Expr, cmd: &Value, port: &Value) -> bool {
    let row = |n: &str| match n {
        "Cmd" => cmd.clone(),
        "Port" => port.clone(),
        _ => Value::Null,
    };
    e.eval(&row, &Context::default()).as_bool() == Some(true)
}

/// What the small world says: only the first, only the second, both.
fn brute(a: &Expr, b: &Expr) -> [Option<(Value, Value)>; 3] {
    let mut found = [None, None, None];
    for port in [Value::Null, Value::Long(0), Value::Long(1), Value::Long(2), Value::Long(3), Value::Long(9)]
    {
        for cmd in TEXTS.iter() {
            let i = match (holds(a, cmd, &port), holds(b, cmd, &port)) {
                (true, false) => 0,
                (false, true) => 1,
                (true, true) => 2,
                _ => continue,
            };
            found[i].get_or_insert((cmd.clone(), port.clone()));
        }
    }
    found
}

fn check(a: &Expr, b: &Expr) -> Result<Relation, TestCaseError> {
    let rel = |e: &Expr| scan().filter(e.clone(), Span::default());
    let budget = Budget { time: std::time::Duration::from_secs(20), ..Budget::default() };
    let c: Comparison = compare(&rel(a), &rel(b), &budget);
    let [only_a, only_b, both] = brute(a, b);
    let claims = match c.relation {
        Relation::Equal => [only_a, only_b, None],
        Relation::Subset => [only_a, None, None],
        Relation::Superset => [None, only_b, None],
        Relation::Disjoint => [None, None, both],
        Relation::Overlap | Relation::Unknown => [None, None, None],
    };
    for refuting in claims.into_iter().flatten() {
        prop_assert!(false, "{:?} refuted by {refuting:?}\n{a:?}\n{b:?}", c.relation);
    }
    for w in &c.witnesses {
        let get = |n: &str| w.event.values.get(n).cloned().unwrap_or_default();
        prop_assert_eq!(holds(a, &get("Cmd"), &get("Port")), w.first);
        prop_assert_eq!(holds(b, &get("Cmd"), &get("Port")), w.second);
    }
    if let Some(r) = &c.reason {
        prop_assert!(!r.contains("internal error"), "{r}\n{a:?}\n{b:?}");
    }
    Ok(c.relation)
}

fn cases(env: &str, usual: u32) -> u32 {
    std::env::var(env).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases("TERCEL_PROVER_CASES", 60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_conditions(seed in any::<u64>()) {
        let mut r = Random(seed);
        let (a, b) = (condition(&mut r, 3), condition(&mut r, 3));
        check(&a, &b)?;
    }

    #[test]
    fn mutations(seed in any::<u64>()) {
        let mut r = Random(seed);
        let a = condition(&mut r, 3);
        let mut b = a.clone();
        for _ in 0..1 + r.below(2) {
            mutate(&mut b, &mut r);
        }
        check(&a, &b)?;
    }
}

/// The prover must not be sound by saying nothing.
#[test]
fn few_are_unknown() {
    let mut r = Random(7);
    let mut unknown = 0;
    let n = 120;
    for _ in 0..n {
        let a = condition(&mut r, 2);
        let mut b = a.clone();
        mutate(&mut b, &mut r);
        let found = check(&a, &b).unwrap_or_else(|e| panic!("{e}"));
        if found == Relation::Unknown {
            unknown += 1;
        }
    }
    assert!(unknown * 12 <= n, "{unknown} of {n} unknown");
}

/// A null has the text "", or none at all: equality and its opposite decide about both.
#[test]
fn numbers_as_texts() {
    let at = Span::default();
    let port = || Expr::column("Port", tercel_ir::Type::Int, at);
    let mut all = vec![Expr::known("isnull", vec![port()], at), Expr::boolean(true, at)];
    for read in ["tostring", "text_or_null"] {
        for text in ["", "9"] {
            for test in ["eq", "ne", "eq_ci"] {
                let e = Expr::known(
                    test,
                    vec![Expr::known(read, vec![port()], at), Expr::literal(Value::str(text), at)],
                    at,
                );
                all.push(Expr::not(e.clone(), at));
                all.push(e);
            }
        }
    }
    for (i, a) in all.iter().enumerate() {
        for b in &all[i..] {
            check(a, b).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}
