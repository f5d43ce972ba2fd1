//! What cannot be explained, and what is large.

use tercel_ir::{Column, Expr, ExprKind, Rel, RelKind, Schema, Span, Type, Value};
use tercel_rules::explain::{Event, Style, explain, outline};

fn scan(table: &str) -> Rel {
    let schema = Schema::new(vec![Column::new("a", Type::String)]);
    Rel { kind: RelKind::Scan { table: table.into() }, schema, span: Span::default() }
}

fn contains(needle: &str) -> Expr {
    let s = Span::default();
    Expr::known("contains", vec![Expr::column("a", Type::String, s), Expr::literal(Value::str(needle), s)], s)
}

fn why(rel: &Rel) -> String {
    let row = |_: &str| Value::Null;
    explain(rel, "", &Event { table: "T", row: &row }).unwrap_err().to_string()
}

#[test]
fn what_no_single_event_decides_is_refused() {
    assert!(why(&scan("T").limit(3, Span::default())).contains("a limit"));
    assert!(why(&scan("T").aggregate(vec![], vec![], Span::default())).contains("an aggregation"));
    let asks = Expr {
        kind: ExprKind::InRelation {
            value: Box::new(Expr::column("a", Type::String, Span::default())),
            relation: std::sync::Arc::new(scan("U")),
            ignore_case: false,
        },
        ty: Type::Bool,
        span: Span::default(),
    };
    let rel = scan("T").filter(asks, Span::default());
    assert!(why(&rel).contains("those of U"));
    // Its outline says so.
    assert!(outline(&rel, "").unwrap().render(Style::Ascii).contains("a is among values found in U"));
    // Whatever the events are that another table needs, this one can be explained.
    let both = Rel::union(vec![rel, scan("V")], Span::default());
    let row = |_: &str| Value::Null;
    assert!(explain(&both, "", &Event { table: "V", row: &row }).unwrap().hit);
}

#[test]
fn depth_is_bounded() {
    let mut e = contains("x");
    for _ in 0..5_000 {
        e = Expr::not(e, Span::default());
    }
    assert!(why(&scan("T").filter(e, Span::default())).contains("400 levels"));
    let mut r = scan("T");
    for _ in 0..5_000 {
        r = r.filter(contains("x"), Span::default());
    }
    assert!(why(&r).contains("400 levels"));
    assert!(outline(&r, "").is_err());
    let many = Rel::union(vec![scan("T"); 1_500], Span::default());
    assert!(why(&many).contains("1000 relations"));
}

/// Tens of thousands of values over a long one; columns that double at every step.
#[test]
fn size_is_no_harm() {
    let needles: Vec<Expr> = (0..20_000).map(|i| contains(&format!("needle{i}"))).collect();
    let rel = scan("T").filter(Expr::or(needles, Span::default()), Span::default());
    let text = format!("{} needle19999", "x".repeat(2_000));
    let row = |_: &str| Value::str(text.as_str());
    let e = explain(&rel, "", &Event { table: "T", row: &row }).unwrap();
    assert!(e.hit);
    assert_eq!(e.ways[0].matched.len(), 1);
    let said = e.render(Style::Ascii);
    assert!(said.len() < 5_000, "{said}");
    // The value is shown around what was found.
    assert!(said.contains("needle19999\""), "{said}");

    let s = Span::default();
    let mut r = scan("T");
    for _ in 0..60 {
        let a = || Expr::column("a", Type::String, s);
        let both = Expr::known("indexof", vec![a(), a()], s);
        r = r.extend(vec![("a".into(), Expr::known("tostring", vec![both], s))], s);
    }
    let row = |_: &str| Value::str("q");
    let e = explain(&r.filter(contains("0"), s), "", &Event { table: "T", row: &row }).unwrap();
    assert!(e.hit);
}
