//! What is large, deep or odd: bounded, and right or refused.

use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Column, Expr, Name, Rel, RelKind, Schema, Span, Type, Value};
use tercel_rules::{Limits, Matcher, NotHere, Out, RuleSet, Want};
use tercel_telemetry::{EventText, LaidOut, LayoutSink, RawValue};

const S: Span = Span { start: 0, end: 0 };

fn scan() -> Rel {
    let schema = Schema {
        columns: vec![Column::new("A", Type::String), Column::new("EventID", Type::Int)].into(),
        open: true,
    };
    Rel { kind: RelKind::Scan { table: "Sysmon".into() }, schema, span: S }
}

fn a() -> Expr {
    Expr::column("A", Type::String, S)
}

fn text(s: &str) -> Expr {
    Expr::literal(Value::str(s), S)
}

fn is(f: &str, s: &str) -> Expr {
    Expr::known(f, vec![a(), text(s)], S)
}

fn compile(rules: &[Rel]) -> (Arc<RuleSet>, Vec<(usize, NotHere)>) {
    let plans: Vec<(usize, &Rel, Want)> =
        rules.iter().enumerate().map(|(i, r)| (i, r, Want::EVENT)).collect();
    let (set, not_here) = RuleSet::compile(&plans, &Context::default(), Limits::default());
    (Arc::new(set), not_here)
}

/// Events with these values of `A`.
fn meet(m: &mut Matcher, values: &[&str]) -> Out {
    let layout = m.layout(&"Sysmon".into(), &["A".into()]).expect("a rule reads it");
    for (i, v) in values.iter().enumerate() {
        let values = [RawValue::Text(v)];
        let event = LaidOut {
            values: &values,
            times: [RawValue::Null; 2],
            record: i as i64,
            text: EventText::Written("{}"),
        };
        assert!(m.event(layout, &event).is_continue());
    }
    m.take()
}

#[test]
fn a_hundred_thousand_values() {
    let mut args = vec![a()];
    args.extend((0..100_000).map(|i| text(&format!("value-{i}"))));
    let list = scan().filter(Expr::known("in_ci", args, S), S);
    let any = (0..20_000).map(|i| is("contains", &format!("<{i}>"))).collect();
    let (set, not_here) = compile(&[list, scan().filter(Expr::or(any, S), S)]);
    assert!(not_here.is_empty());
    // One test each, whatever the length of the list.
    assert_eq!(set.size().parts, 2);
    let mut m = Matcher::new(set);
    let out = meet(&mut m, &["VALUE-99999", "value-100000", "a <19999> b", "a <20000>", "value-0"]);
    let hits: Vec<(usize, i64)> = out.hits.iter().map(|h| (h.rule, h.record)).collect();
    assert_eq!(hits, [(0, 0), (1, 2), (0, 4)]);
    assert_eq!(out.counts, [2, 1]);
}

#[test]
fn nested_too_deep_is_refused_and_the_others_run() {
    let mut e = is("contains", "x");
    for i in 0..5_000 {
        // Alternating, so that nothing is flattened away.
        e = if i % 2 == 0 {
            Expr::and(vec![e, is("contains", "y")], S)
        } else {
            Expr::or(vec![e, is("contains", "z")], S)
        };
    }
    let mut deep = scan();
    for _ in 0..5_000 {
        deep = deep.filter(is("contains", "x"), S);
    }
    let rules = [scan().filter(e, S), deep, scan().filter(is("contains", "x"), S)];
    let (set, not_here) = compile(&rules);
    assert_eq!(not_here.iter().map(|n| n.0).collect::<Vec<_>>(), [0, 1]);
    assert!(not_here.iter().all(|n| n.1.reason.contains("levels deep")), "{not_here:?}");
    assert_eq!(set.ids().collect::<Vec<_>>(), [2]);
    assert_eq!(meet(&mut Matcher::new(set), &["x", "y"]).hits.len(), 1);
    // Relations are dropped level by level; that is not what is tested here.
    rules.into_iter().for_each(std::mem::forget);
}

#[test]
fn columns_that_double_do_not_explode() {
    let mut rel = scan();
    for _ in 0..64 {
        rel = rel.extend(vec![("A".into(), Expr::known("strcat", vec![a(), a()], S))], S);
    }
    let (set, not_here) = compile(&[rel.filter(is("contains", "x"), S)]);
    assert!(set.is_empty());
    assert!(not_here[0].1.reason.contains("unfolds"), "{not_here:?}");
}

#[test]
fn operators_over_many_events_are_refused() {
    let (set, not_here) =
        compile(&[scan().limit(3, S), scan().sort(vec![], S), scan().aggregate(vec![], vec![], S)]);
    assert!(set.is_empty());
    assert_eq!(not_here.len(), 3);
    assert!(Matcher::new(set).layout(&"Sysmon".into(), &[]).is_none());
}

#[test]
fn regexes_too_large_never_match() {
    let rules = [
        scan().filter(is("matches_regex", "(?:a{1000}){1000}"), S),
        scan().filter(is("matches_regex", "a{3}"), S),
    ];
    let (set, not_here) = compile(&rules);
    assert!(not_here.is_empty());
    let out = meet(&mut Matcher::new(set), &["aaaa", &"a".repeat(5000)]);
    assert_eq!(out.counts, [0, 2]);
}

#[test]
fn memory_does_not_grow_with_the_events() {
    let rules: Vec<Rel> = (0..50).map(|i| scan().filter(is("contains", &format!("{i}")), S)).collect();
    let limits = Limits { cache_bytes: 16 << 10, memo_numbers: 4_000, classes: 500, ..Limits::default() };
    let plans: Vec<(usize, &Rel, Want)> =
        rules.iter().enumerate().map(|(i, r)| (i, r, Want::PLACE)).collect();
    let (set, _) = RuleSet::compile(&plans, &Context::default(), limits);
    let mut m = Matcher::new(Arc::new(set));
    let mut most = Vec::new();
    for round in 0u64..6 {
        let values: Vec<String> = (0..20_000u64)
            .map(|i| format!("v {:x}", (round * 20_000 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect();
        let out = meet(&mut m, &values.iter().map(String::as_str).collect::<Vec<_>>());
        let want: u64 =
            values.iter().map(|v| (0..50).filter(|i| v.contains(&i.to_string())).count() as u64).sum();
        assert_eq!(out.counts.iter().sum::<u64>(), want);
        most.push(m.statistics().bytes);
    }
    let s = m.statistics();
    assert!(s.resets > 0, "{s:?}");
    assert!(most.iter().all(|b| *b < 2_000_000), "{most:?}");
}

#[test]
fn what_is_wanted_is_what_comes() {
    let rel = scan()
        .filter(is("endswith", ".EXE"), S)
        .project(vec![("B".into(), a()), ("T".into(), Expr::column("$time", Type::DateTime, S))], S);
    let set = RuleSet::compile(
        &[(7, &rel, Want::ROW), (9, &rel, Want::EVENT), (8, &rel, Want::PLACE)],
        &Context::default(),
        Limits::default(),
    )
    .0;
    let mut m = Matcher::new(Arc::new(set));
    let source: Name = "file.json".into();
    m.source(&source);
    // The first field of a name counts; a layout without it fires nothing.
    let layout = m.layout(&"Sysmon".into(), &["A".into(), "A".into()]).expect("a layout");
    let lazy = |out: &mut String| out.push_str("{\"lazy\":1}");
    let event = LaidOut {
        values: &[RawValue::Text("x.exe"), RawValue::Text("y")],
        times: [RawValue::Null, RawValue::Time(5)],
        record: 4,
        text: EventText::Lazy(&lazy),
    };
    assert!(m.event(layout, &event).is_continue());
    let out = m.take();
    assert_eq!(out.hits.iter().map(|h| h.rule).collect::<Vec<_>>(), [7, 9, 8]);
    assert!(out.hits.iter().all(|h| h.record == 4 && h.time == Some(5) && h.source == source));
    assert_eq!(out.hits[0].row, Some(vec![Value::str("x.exe"), Value::DateTime(5)]));
    assert_eq!(out.hits[1].text.as_deref(), Some("{\"lazy\":1}"));
    assert_eq!((&out.hits[2].text, &out.hits[2].row), (&None, &None));
    assert!(m.take().hits.is_empty());
    let other = m.layout(&"Sysmon".into(), &["B".into()]).expect("a layout");
    assert!(m.event(other, &LaidOut { values: &[RawValue::Text("x.exe")], ..event }).is_continue());
    assert!(m.take().hits.is_empty());
    assert_eq!(m.layout(&"Other".into(), &["A".into()]), None);
}
