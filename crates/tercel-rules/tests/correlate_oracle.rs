//! The streaming correlator against the dumb reading, over drawn plans and hits.

use proptest::prelude::*;
use std::collections::BTreeMap;
use tercel_ir::Value;
use tercel_rules::correlate::oracle::{self, Event, Firing};
use tercel_rules::correlate::{
    Comparison, Correlator, Fire, Hit, Key, Kind, Lateness, Limits, Outcome, Plan, RuleExpr, RuleRef, Target,
    Trigger, UNBOUNDED,
};

/// Base rules are 0..3; correlations stand behind them.
const BASES: usize = 3;

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::EventCount),
        Just(Kind::ValueCount),
        Just(Kind::Temporal),
        Just(Kind::TemporalOrdered),
        Just(Kind::TemporalOrdered),
        Just(Kind::Sum),
        Just(Kind::Avg),
        Just(Kind::Min),
        Just(Kind::Max),
        (0u32..=20).prop_map(|p| Kind::Percentile(f64::from(p) * 5.0)),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    use Comparison::{Eq, Gt, Gte, Lt, Lte, Neq};
    prop::sample::select(vec![Gte, Gte, Gte, Gt, Lt, Lte, Eq, Neq])
}

fn expression(rules: usize) -> impl Strategy<Value = RuleExpr> {
    let leaf = prop_oneof![
        (0..rules).prop_map(RuleExpr::Rule),
        (1u32..3, prop::collection::btree_set(0..rules, 1..=rules))
            .prop_map(|(n, of)| RuleExpr::AtLeast(n, of.into_iter().collect())),
    ];
    leaf.prop_recursive(2, 6, 3, |e| {
        prop_oneof![
            prop::collection::vec(e.clone(), 1..3).prop_map(RuleExpr::And),
            prop::collection::vec(e.clone(), 1..3).prop_map(RuleExpr::Or),
            e.prop_map(|e| RuleExpr::Not(Box::new(e))),
        ]
    })
}

/// One plan of rule `rule`, which may correlate any rule before it.
fn plan(rule: usize) -> impl Strategy<Value = Plan> {
    let field = prop::sample::select(vec!["user", "host", "n", "g"]);
    (
        kind(),
        prop::collection::btree_set(0..rule, 1..=3usize.min(rule)),
        prop::collection::vec(field.clone(), 0..=2),
        prop_oneof![Just(1i64), Just(3), Just(7), Just(30), Just(UNBOUNDED)],
        prop::collection::vec((comparison(), -2i32..8), 1..=2),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_flat_map(|(kind, rules, group, timespan, compare, aliased, expressed)| {
            let rules: Vec<RuleRef> = rules
                .into_iter()
                .map(|r| RuleRef { name: format!("r{r}"), target: Target::Rule(r) })
                .collect();
            let mut seen = std::collections::BTreeSet::new();
            let group_by: Vec<Key> = group
                .into_iter()
                .filter(|f| seen.insert(*f))
                .enumerate()
                .map(|(i, f)| Key {
                    name: if aliased && i == 0 { "g".into() } else { f.to_string() },
                    // An alias stands for another field in the hits of every second rule.
                    fields: (0..rules.len())
                        .map(|r| if aliased && i == 0 && r % 2 == 1 { "other" } else { f }.to_string())
                        .collect(),
                })
                .collect();
            let fields = match kind {
                Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => vec![],
                _ => vec![Key { name: "n".into(), fields: vec!["n".into(); rules.len()] }],
            };
            let trigger = Trigger::Compare(compare.into_iter().map(|(c, y)| (c, f64::from(y))).collect());
            let trigger = if kind.is_temporal() && expressed {
                expression(rules.len()).prop_map(Trigger::Expression).boxed()
            } else {
                Just(trigger).boxed()
            };
            trigger.prop_map(move |condition| Plan {
                kind,
                rules: rules.clone(),
                group_by: group_by.clone(),
                timespan,
                condition,
                fields: fields.clone(),
                generate: false,
            })
        })
}

fn plans() -> impl Strategy<Value = Vec<(usize, Plan)>> {
    (plan(BASES), plan(BASES + 1), plan(BASES + 2), 1usize..=3).prop_map(|(a, b, c, n)| {
        [a, b, c].into_iter().enumerate().map(|(i, p)| (BASES + i, p)).take(n).collect()
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let text = || prop::option::weighted(0.9, prop::sample::select(vec!["a", "b", "A", ""]));
    let value = prop_oneof![
        8 => (-3i32..6).prop_map(|n| Value::Real(f64::from(n) / 2.0)),
        2 => (0i64..4).prop_map(Value::Long),
        1 => Just(Value::str("2")),
        1 => Just(Value::str("many")),
        1 => Just(Value::Null),
    ];
    let one = (prop::collection::btree_set(0..BASES, 1..=2), 0i64..40, text(), text(), text(), value);
    prop::collection::vec(one, 0..40).prop_map(|list| {
        let mut out = Vec::new();
        for (reference, (rules, time, user, host, other, n)) in list.into_iter().enumerate() {
            let mut fields = BTreeMap::new();
            for (name, v) in [("user", user), ("host", host), ("other", other)] {
                fields.extend(v.map(|v| (name.to_string(), Value::str(v))));
            }
            fields.insert("n".into(), n);
            for rule in rules {
                out.push(Event { rule, time, reference: reference as u64, fields: fields.clone() });
            }
        }
        out
    })
}

fn push(c: &mut Correlator, e: &Event) {
    let hit = Hit { rule: e.rule, time: Some(e.time), reference: e.reference };
    c.push(&hit, &|f| e.fields.get(f).cloned().unwrap_or_default()).unwrap();
}

fn run(plans: &[(usize, Plan)], events: &[Event], lateness: Lateness) -> (Vec<Outcome>, Correlator) {
    let (mut c, refused) = Correlator::new(plans.to_vec(), Limits { lateness, ..Limits::default() });
    assert_eq!(refused, []);
    let mut out = Vec::new();
    for e in events {
        push(&mut c, e);
        out.extend(c.take());
    }
    c.finish();
    out.extend(c.take());
    (out, c)
}

fn fires(outcomes: &[Outcome]) -> Vec<Fire> {
    outcomes
        .iter()
        .filter_map(|o| match o {
            Outcome::Fire(f) => Some(f.clone()),
            Outcome::End { .. } => None,
        })
        .collect()
}

/// What the two readings must agree in, in one order.
fn comparable(plans: &[(usize, Plan)], fires: Vec<Firing>) -> Vec<Firing> {
    let mut out: Vec<Firing> = fires
        .into_iter()
        .map(|mut f| {
            let plan = &plans.iter().find(|p| p.0 == f.rule).unwrap().1;
            if matches!(plan.condition, Trigger::Expression(_)) {
                f.value = None;
            }
            // Windows without a limit are judged when all is over, which the oracle has no time for.
            if plan.timespan == UNBOUNDED && plan.waits() {
                f.time = 0;
            }
            f
        })
        .collect();
    out.sort_by(|a, b| (a.rule, &a.key, a.first, a.time).cmp(&(b.rule, &b.key, b.first, b.time)));
    out
}

fn firing(f: &Fire) -> Firing {
    Firing {
        rule: f.rule,
        time: f.time,
        key: f.key.clone(),
        value: Some(f.value),
        first: f.first,
        last: f.last,
        hits: f.hits as usize,
        more: 0,
    }
}

/// Firings with what followed of their runs.
fn firings(outcomes: &[Outcome]) -> Vec<Firing> {
    let mut out: Vec<Firing> = fires(outcomes).iter().map(firing).collect();
    for o in outcomes {
        if let Outcome::End { fire, hits, .. } = o {
            out[*fire as usize].more = *hits as usize;
        }
    }
    out
}

/// A plan whose firings come when all is over gives hits at a time that the oracle does not know.
fn timed(plans: &[(usize, Plan)]) -> bool {
    plans.iter().all(|(rule, p)| {
        !(p.timespan == UNBOUNDED && p.waits())
            || plans.iter().all(|(_, q)| q.rules.iter().all(|r| r.target != Target::Rule(*rule)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_dumb_reading(plans in plans(), events in events()) {
        prop_assume!(timed(&plans));
        let (outcomes, c) = run(&plans, &events, Lateness::Sort);
        let got = fires(&outcomes);
        let want = comparable(&plans, oracle::firings(&plans, &events));
        prop_assert_eq!(comparable(&plans, firings(&outcomes)), want);
        prop_assert_eq!(c.stats().late, 0);
        // Contributions are hits of the window, and all of them where they are few.
        for f in &got {
            prop_assert_eq!(f.contributions.len() as u64, f.hits.min(100));
            prop_assert_eq!(f.contributions[0].time, f.first);
            prop_assert!(f.contributions.iter().all(|c| c.time >= f.first && c.time <= f.last));
        }
        prop_assert!(got.windows(2).all(|w| w[0].time <= w[1].time && w[0].id + 1 == w[1].id));
    }

    /// Hits that are no later than the tolerance give the same, as they come.
    #[test]
    fn a_stream_within_its_tolerance_gives_the_same(plans in plans(), events in events(), tolerance in 0i64..10, seed in any::<u64>()) {
        let mut events = events;
        // Moves every hit by up to half the tolerance either way.
        let half = tolerance / 2 + 1;
        let shift = |e: &Event| e.time + (e.reference.wrapping_mul(seed | 1) >> 33) as i64 % half;
        events.sort_by_key(shift);
        let (sorted, _) = run(&plans, &events, Lateness::Sort);
        let (streamed, c) = run(&plans, &events, Lateness::Within(tolerance));
        prop_assert_eq!(c.stats().late, 0);
        prop_assert_eq!(streamed, sorted);
    }

    /// What is late is counted, and the rest is as if it had not been there.
    #[test]
    fn late_hits_are_counted_and_left_out(plans in plans(), events in events(), tolerance in 0i64..6) {
        let (streamed, c) = run(&plans, &events, Lateness::Within(tolerance));
        let (mut newest, mut kept, mut late) = (i64::MIN, Vec::new(), 0);
        for e in &events {
            if !c.takes(e.rule) {
                continue;
            }
            if newest.saturating_sub(tolerance) > e.time {
                late += 1;
            } else {
                newest = newest.max(e.time);
                kept.push(e.clone());
            }
        }
        prop_assert_eq!(c.stats().late, late);
        prop_assert_eq!(c.stats().late_by_rule.values().sum::<u64>(), late);
        prop_assert_eq!(streamed, run(&plans, &kept, Lateness::Sort).0);
    }

    /// The order of arrival makes no difference.
    #[test]
    fn any_order_gives_the_same(plans in plans(), events in events(), seed in any::<u64>()) {
        let mut other = events.clone();
        other.sort_by_key(|e| (e.reference * 4 + e.rule as u64).wrapping_mul(seed | 1));
        prop_assert_eq!(run(&plans, &events, Lateness::Sort).0, run(&plans, &other, Lateness::Sort).0);
    }

    /// Every hit of a run is told about: by its firing, or by its end.
    #[test]
    fn nothing_is_left_when_all_is_over(plans in plans(), events in events()) {
        let (outcomes, c) = run(&plans, &events, Lateness::Sort);
        let fired = fires(&outcomes);
        for o in &outcomes {
            if let Outcome::End { fire, last, hits } = o {
                let f = &fired[*fire as usize];
                prop_assert!(*hits > 0 && *last >= f.last);
            }
        }
        let counts = c.counts();
        prop_assert_eq!(counts.iter().map(|c| c.1.fires).sum::<u64>() as usize, fired.len());
        prop_assert!(counts.iter().all(|c| c.1.refused == 0));
    }
}
