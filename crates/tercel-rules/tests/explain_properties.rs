//! Drawn rules and events: an explanation says what the dumb reading says, and its way to a hit is one.

use proptest::prelude::*;
use std::collections::BTreeMap;
use tercel_ir::function::Context;
use tercel_ir::{Column, Expr, Name, Rel, RelKind, Schema, Span, Type, Value};
use tercel_rules::explain::{Condition, ConditionKind, Event, Explanation, Style, explain, outline};

const TEXTS: [&str; 3] = ["a", "b", "c"];

fn schema() -> Schema {
    let mut columns: Vec<Column> = TEXTS.iter().map(|n| Column::new(*n, Type::String)).collect();
    columns.push(Column::new("n", Type::Long));
    Schema::new(columns)
}

fn span() -> impl Strategy<Value = Span> {
    (0usize..40, 0usize..10).prop_map(|(at, len)| Span::new(at, at + len))
}

fn test() -> impl Strategy<Value = Expr> {
    let column = prop::sample::select(TEXTS.to_vec());
    let needle = prop::sample::select(vec!["x", "yy", "X.z", ""]);
    let predicate = prop::sample::select(vec![
        "eq",
        "eq_ci",
        "ne",
        "contains",
        "contains_cs",
        "startswith",
        "endswith",
        "has",
        "matches_glob_ci",
    ]);
    let text = (predicate, column.clone(), needle.clone(), span()).prop_map(|(f, c, n, s)| {
        Expr::known(f, vec![Expr::column(c, Type::String, s), Expr::literal(Value::str(n), s)], s)
    });
    let number =
        (prop::sample::select(vec!["eq", "ne", "lt", "le", "gt", "ge"]), -2i64..3, span(), any::<bool>())
            .prop_map(|(f, n, s, guarded)| {
                let column = || Expr::column("n", Type::Long, s);
                let compare = Expr::known(f, vec![column(), Expr::literal(Value::Long(n), s)], s);
                match guarded {
                    true => Expr::and(vec![Expr::known("isnotnull", vec![column()], s), compare], s),
                    false => compare,
                }
            });
    let presence =
        (prop::sample::select(vec!["isempty", "isnotempty", "isnull", "isnotnull"]), column, span())
            .prop_map(|(f, c, s)| Expr::known(f, vec![Expr::column(c, Type::String, s)], s));
    let fixed = prop_oneof![
        any::<bool>().prop_map(|b| Expr::boolean(b, Span::default())),
        Just(Expr::null(Type::Bool, Span::default())),
    ];
    prop_oneof![6 => text, 3 => number, 1 => presence, 1 => fixed]
}

fn predicate() -> impl Strategy<Value = Expr> {
    test().prop_recursive(4, 24, 4, |e| {
        let list = || prop::collection::vec(e.clone(), 0..4);
        prop_oneof![
            (list(), span()).prop_map(|(v, s)| Expr::and(v, s)),
            (list(), span()).prop_map(|(v, s)| Expr::or(v, s)),
            (e.clone(), span()).prop_map(|(e, s)| Expr::not(e, s)),
        ]
    })
}

/// A relation over the table `T`, perhaps beside another one, in a view or not, with columns made anew.
fn relation() -> impl Strategy<Value = Rel> {
    let scan = |table: &str| Rel {
        kind: RelKind::Scan { table: table.into() },
        schema: schema(),
        span: Span::default(),
    };
    let made = || {
        prop_oneof![
            Just(vec![]),
            prop::sample::select(TEXTS.to_vec()).prop_map(|from| {
                let s = Span::default();
                let made = Expr::known(
                    "strcat",
                    vec![Expr::column(from, Type::String, s), Expr::literal(Value::str("yy"), s)],
                    s,
                );
                vec![(Name::from("b"), made)]
            }),
            Just(vec![(Name::from("c"), Expr::literal(Value::str("x"), Span::default()))]),
            Just(vec![
                (Name::from("a"), Expr::column("b", Type::String, Span::default())),
                (Name::from("b"), Expr::column("a", Type::String, Span::default())),
            ]),
        ]
    };
    let one = || {
        (prop::option::of(predicate()), made(), predicate(), any::<bool>(), any::<bool>()).prop_map(
            move |(source, made, rule, view, other)| {
                let mut r = scan(if other { "U" } else { "T" });
                if let Some(p) = source {
                    r = r.filter(p, Span::default());
                }
                if !made.is_empty() {
                    r = r.extend(made, Span::default());
                }
                if view {
                    let schema = r.schema.clone();
                    let kind = RelKind::View { name: "v".into(), body: std::sync::Arc::new(r) };
                    r = Rel { kind, schema, span: Span::default() };
                }
                r.filter(rule, Span::default())
            },
        )
    };
    prop_oneof![
        one(),
        (prop::collection::vec(one(), 1..4), predicate()).prop_map(|(inputs, p)| Rel::union(
            inputs,
            Span::default()
        )
        .filter(p, Span::default())),
    ]
}

type Row = BTreeMap<String, Value>;

fn event() -> impl Strategy<Value = Row> {
    let text =
        || prop::sample::select(vec![None, Some(""), Some("x"), Some("ayyb"), Some("x.Z"), Some("q X.z")]);
    (text(), text(), text(), prop::option::of(-3i64..4)).prop_map(|(a, b, c, n)| {
        let mut row = Row::new();
        for (name, v) in TEXTS.iter().zip([a, b, c]) {
            row.extend(v.map(|v| (name.to_string(), Value::str(v))));
        }
        row.extend(n.map(|n| ("n".to_string(), Value::Long(n))));
        row
    })
}

/// The rows that a relation makes of one event: what each operator means, one after the other.
fn rows(rel: &Rel, table: &str, event: &Row) -> Vec<Row> {
    let get = |row: &Row, name: &str| row.get(name).cloned().unwrap_or_default();
    match &rel.kind {
        RelKind::Scan { table: t } if **t == *table => vec![event.clone()],
        RelKind::Scan { .. } => vec![],
        RelKind::View { body, .. } => rows(body, table, event),
        RelKind::Union { inputs, .. } => inputs.iter().flat_map(|i| rows(i, table, event)).collect(),
        RelKind::Filter { input, predicate } => {
            let mut out = rows(input, table, event);
            out.retain(|r| predicate.eval(&|n| get(r, n), &Context::default()).as_bool() == Some(true));
            out
        }
        RelKind::Extend { input, columns } => {
            let mut out = rows(input, table, event);
            for r in &mut out {
                let old = r.clone();
                for (name, e) in columns {
                    r.insert(name.to_string(), e.eval(&|n| get(&old, n), &Context::default()));
                }
            }
            out
        }
        other => panic!("not drawn: {other:?}"),
    }
}

fn explained(rel: &Rel, event: &Row) -> Explanation {
    let text = " \n".repeat(25);
    let row = |n: &str| event.get(n).cloned().unwrap_or_default();
    explain(rel, &text, &Event { table: "T", row: &row }).unwrap()
}

/// The truth of every test by its number.
fn tests(c: &[Condition], out: &mut BTreeMap<usize, Option<bool>>) {
    for c in c {
        match c.kind {
            ConditionKind::Test => {
                let holds = if c.negated { c.holds.map(|b| !b) } else { c.holds };
                out.insert(c.test.unwrap(), holds);
            }
            _ => tests(&c.parts, out),
        }
    }
}

/// What follows for the whole from the tests alone.
fn follows(c: &Condition, of: &dyn Fn(usize) -> Option<bool>) -> Option<bool> {
    let parts = || c.parts.iter().map(|p| follows(p, of));
    match c.kind {
        ConditionKind::Test if c.negated => of(c.test.unwrap()).map(|b| !b),
        ConditionKind::Test => of(c.test.unwrap()),
        ConditionKind::Not => parts().next().unwrap().map(|b| !b),
        ConditionKind::All if parts().any(|p| p == Some(false)) => Some(false),
        ConditionKind::All => parts().collect::<Option<Vec<bool>>>().map(|_| true),
        ConditionKind::Any if parts().any(|p| p == Some(true)) => Some(true),
        ConditionKind::Any => parts().collect::<Option<Vec<bool>>>().map(|_| false),
    }
}

/// Fewest of the `free` tests to change, by trying all sets of up to `most`.
fn least(
    conditions: &[&Condition],
    truth: &BTreeMap<usize, Option<bool>>,
    free: &[usize],
    most: usize,
) -> Option<usize> {
    fn pick(
        from: &[usize],
        left: usize,
        chosen: &mut BTreeMap<usize, bool>,
        hit: &dyn Fn(&BTreeMap<usize, bool>) -> bool,
    ) -> bool {
        if left == 0 {
            return hit(chosen);
        }
        from.iter().enumerate().any(|(i, t)| {
            [true, false].into_iter().any(|b| {
                chosen.insert(*t, b);
                let found = pick(&from[i + 1..], left - 1, chosen, hit);
                chosen.remove(t);
                found
            })
        })
    }
    let hit = |changed: &BTreeMap<usize, bool>| {
        conditions
            .iter()
            .all(|c| follows(c, &|t| changed.get(&t).map_or(truth[&t], |b| Some(*b))) == Some(true))
    };
    (0..=most.min(free.len())).find(|n| pick(free, *n, &mut BTreeMap::new(), &hit))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn says_what_the_dumb_reading_says(rel in relation(), event in event()) {
        let e = explained(&rel, &event);
        prop_assert_eq!(e.hit, !rows(&rel, "T", &event).is_empty());
        for way in &e.ways {
            let conditions: Vec<&Condition> = way.source.iter().chain(&way.rule).collect();
            let (mut truth, all) = (BTreeMap::new(), conditions.iter().map(|c| (*c).clone()).collect::<Vec<_>>());
            tests(&all, &mut truth);
            // Every condition is what its tests make of it.
            for c in &conditions {
                prop_assert_eq!(follows(c, &|t| truth[&t]), c.holds);
            }
            if way.hit {
                // The tests named are enough, whatever the others are.
                let named = |t: usize| way.matched.iter().any(|c| c.test == t).then(|| truth[&t]).flatten();
                prop_assert!(conditions.iter().all(|c| follows(c, &named) == Some(true)));
                prop_assert!(way.matched.iter().all(|c| truth[&c.test] == Some(c.wanted)));
            } else if let Some(repair) = &way.repair {
                let changed = |t: usize| {
                    repair.iter().find(|c| c.test == t).map_or(truth[&t], |c| Some(c.wanted))
                };
                prop_assert!(conditions.iter().all(|c| follows(c, &changed) == Some(true)));
                prop_assert!(!repair.is_empty());
            } else {
                prop_assert!(!way.never.is_empty() || conditions.iter().any(|c| c.holds != Some(true)));
            }
        }
        // What is shown is there for every style, and every line stands for something.
        for style in [Style::Unicode, Style::Ascii] {
            prop_assert!(e.render(style).lines().all(|l| !l.trim().is_empty()));
        }
        outline(&rel, "").unwrap();
    }

    /// No smaller set of changes does, where no test is fixed.
    #[test]
    fn the_way_to_a_hit_is_the_shortest(p in predicate(), event in event()) {
        let scan = Rel { kind: RelKind::Scan { table: "T".into() }, schema: schema(), span: Span::default() };
        let e = explained(&scan.filter(p, Span::default()), &event);
        let way = &e.ways[0];
        let mut truth = BTreeMap::new();
        tests(&way.rule, &mut truth);
        if let Some(repair) = way.repair.as_ref().filter(|r| !way.hit && r.len() <= 3 && truth.len() <= 10) {
            let never: Vec<usize> = way.rule.iter().flat_map(fixed).collect();
            let free: Vec<usize> = truth.keys().copied().filter(|t| !never.contains(t)).collect();
            let conditions: Vec<&Condition> = way.rule.iter().collect();
            let least = least(&conditions, &truth, &free, repair.len());
            prop_assert_eq!(least, Some(repair.len()));
        }
    }

    /// With the values that it names, the event is a hit, as long as these values change nothing else.
    #[test]
    fn the_way_to_a_hit_leads_there(rel in relation(), event in event()) {
        let e = explained(&rel, &event);
        let Some(way) = e.best.map(|b| &e.ways[b]).filter(|w| !w.hit) else { return Ok(()) };
        let Some(repair) = &way.repair else { return Ok(()) };
        let mut changed = event.clone();
        for c in repair {
            let Some(x) = &c.example else { return Ok(()) };
            if changed.get(&x.column) != event.get(&x.column) {
                // Two changes of one value.
                return Ok(());
            }
            changed.insert(x.column.clone(), x.value.clone());
        }
        let index = e.best.unwrap();
        let after = &explained(&rel, &changed).ways[index];
        let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
        for (w, out) in [(way, &mut old), (after, &mut new)] {
            tests(&w.source, out);
            tests(&w.rule, out);
        }
        let as_wanted = repair.iter().all(|c| new[&c.test] == Some(c.wanted));
        let others = old.iter().all(|(t, v)| repair.iter().any(|c| c.test == *t) || new[t] == *v);
        if as_wanted && others {
            prop_assert!(after.hit);
            prop_assert!(!rows(&rel, "T", &changed).is_empty());
        }
        if let [only] = &repair[..] {
            prop_assert!(as_wanted, "{} with {:?}", only.words, only.example);
        }
    }
}

/// Tests of nothing but constants.
fn fixed(c: &Condition) -> Vec<usize> {
    match c.kind {
        ConditionKind::Test if c.values.is_empty() => c.test.into_iter().collect(),
        ConditionKind::Test => vec![],
        _ => c.parts.iter().flat_map(fixed).collect(),
    }
}
