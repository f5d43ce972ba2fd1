//! What a correlator refuses, and what it survives.

use tercel_ir::Value;
use tercel_rules::correlate::{
    Comparison, Correlator, Full, Hit, Key, Kind, Lateness, Limits, Outcome, Plan, RuleExpr, RuleRef, Target,
    Trigger, UNBOUNDED,
};

fn plan(kind: Kind, rules: &[usize], timespan: i64, comparison: Comparison, y: f64) -> Plan {
    let key = |name: &str| Key { name: name.into(), fields: vec![name.into(); rules.len()] };
    Plan {
        kind,
        rules: rules.iter().map(|r| RuleRef { name: format!("r{r}"), target: Target::Rule(*r) }).collect(),
        group_by: vec![key("user")],
        timespan,
        condition: Trigger::Compare(vec![(comparison, y)]),
        fields: match kind {
            Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => vec![],
            _ => vec![key("n")],
        },
        generate: false,
    }
}

fn count(rules: &[usize]) -> Plan {
    plan(Kind::EventCount, rules, 10, Comparison::Gte, 2.0)
}

fn push(c: &mut Correlator, rule: usize, time: i64, reference: u64, user: &str) -> Result<(), Full> {
    c.push(&Hit { rule, time: Some(time), reference }, &|f| match f {
        "n" => Value::Long(reference as i64 % 1000),
        _ => Value::str(user),
    })
}

fn fires(c: &mut Correlator) -> Vec<(usize, i64, u64)> {
    c.finish();
    c.take()
        .into_iter()
        .filter_map(|o| match o {
            Outcome::Fire(f) => Some((f.rule, f.time, f.hits)),
            Outcome::End { .. } => None,
        })
        .collect()
}

#[test]
fn plans_that_cannot_run_are_named_and_the_others_run() {
    let mut deep = RuleExpr::Rule(0);
    for _ in 0..1000 {
        deep = RuleExpr::Not(Box::new(deep));
    }
    let expression = |kind, rules: usize, e| Plan {
        condition: Trigger::Expression(e),
        ..plan(kind, &(0..rules).collect::<Vec<_>>(), 10, Comparison::Gte, 1.0)
    };
    let any_two = |rules: usize| RuleExpr::AtLeast(rules as u32 / 2, (0..rules).collect());
    let plans = vec![
        (100, count(&[0])),
        (101, count(&[101])),
        (102, count(&[103])),
        (103, count(&[102])),
        (104, count(&[103, 0])),
        (105, count(&[])),
        (106, plan(Kind::EventCount, &[0], 0, Comparison::Gte, 1.0)),
        (107, count(&[0, 0])),
        (108, plan(Kind::Percentile(100.5), &[0], 10, Comparison::Gte, 1.0)),
        (109, plan(Kind::EventCount, &[0], 10, Comparison::Gte, f64::NAN)),
        (110, Plan { condition: Trigger::Compare(vec![]), ..count(&[0]) }),
        (111, expression(Kind::Temporal, 1, deep)),
        (112, expression(Kind::EventCount, 1, RuleExpr::Rule(0))),
        (113, expression(Kind::Temporal, 1, RuleExpr::Rule(1))),
        (114, expression(Kind::TemporalOrdered, 17, RuleExpr::Rule(0))),
        (115, expression(Kind::TemporalOrdered, 16, any_two(16))),
        (116, Plan { fields: vec![], ..plan(Kind::Sum, &[0], 10, Comparison::Gte, 1.0) }),
        (117, Plan { group_by: vec![Key { name: "user".into(), fields: vec![] }], ..count(&[0]) }),
        (118, count(&[106])),
        (119, plan(Kind::TemporalOrdered, &(0..65).collect::<Vec<_>>(), 10, Comparison::Gte, 2.0)),
    ];
    let (mut c, refused) = Correlator::new(plans, Limits::default());
    let mut rules: Vec<usize> = refused.iter().map(|r| r.rule).collect();
    rules.sort_unstable();
    assert_eq!(rules, (101..=119).collect::<Vec<_>>(), "{refused:?}");
    let why = |rule| &refused.iter().find(|r| r.rule == rule).unwrap().why;
    assert!(why(101).contains("its own firings"), "{}", why(101));
    assert!(why(102).contains("its own firings"), "{}", why(102));
    assert!(why(107).contains("`r0` twice"), "{}", why(107));
    assert!(why(118).contains("`r106`, which cannot run"), "{}", why(118));
    push(&mut c, 0, 1, 1, "a").unwrap();
    push(&mut c, 0, 2, 2, "a").unwrap();
    assert_eq!(fires(&mut c), [(100, 2, 2)]);
}

#[test]
fn two_plans_of_one_rule() {
    let (c, refused) = Correlator::new(vec![(9, count(&[0])), (9, count(&[1]))], Limits::default());
    assert_eq!(refused.len(), 1);
    assert!(c.takes(0) && !c.takes(1));
}

#[test]
fn a_long_chain_of_correlations() {
    const LONG: usize = 3000;
    // Each is a correlation of the one before; given in an order that is no help.
    let mut plans: Vec<(usize, Plan)> =
        (1..=LONG).map(|i| (i, plan(Kind::EventCount, &[i - 1], 10, Comparison::Gte, 1.0))).collect();
    plans.reverse();
    plans.swap(0, LONG / 2);
    let (mut c, refused) = Correlator::new(plans, Limits::default());
    assert_eq!(refused, []);
    push(&mut c, 0, 5, 0, "a").unwrap();
    let fired = fires(&mut c);
    assert_eq!(fired.len(), LONG);
    assert!(fired.iter().zip(1..).all(|(f, i)| *f == (i, 5, 1)));
    // Only the last is a finding by itself.
    assert_eq!((0..=LONG).filter(|r| !c.silent(*r)).collect::<Vec<_>>(), [LONG]);
}

#[test]
fn memory_for_hits_that_wait_is_bounded() {
    let limits = Limits { memory: 100_000, ..Limits::default() };
    let (mut c, _) = Correlator::new(vec![(9, count(&[0]))], limits);
    let mut refused = 0;
    for i in 0..10_000 {
        if push(&mut c, 0, i, i as u64, &format!("user{i}")).is_err() {
            refused += 1;
        }
        assert!(c.stats().bytes < 101_000);
    }
    assert!(refused > 5_000, "{refused}");
    assert_eq!(c.stats().refused, refused);
    assert_eq!(c.stats().hits, 10_000);
    let e = push(&mut c, 0, 0, 0, "a").unwrap_err();
    assert!(e.to_string().contains("more than the 0 MiB allowed"), "{e}");
    // What was taken is evaluated all the same.
    assert_eq!(fires(&mut c), []);
    assert_eq!(c.counts()[0].1.hits + refused, 10_000);
}

#[test]
fn a_flood_of_groups_is_refused_and_over_when_it_is_over() {
    let limits = Limits { memory: 100_000, lateness: Lateness::Within(0), ..Limits::default() };
    let (mut c, _) =
        Correlator::new(vec![(9, plan(Kind::EventCount, &[0], 1_000_000, Comparison::Gte, 2.0))], limits);
    for i in 0..10_000u64 {
        let _ = push(&mut c, 0, i as i64, i, &format!("user{i}"));
        assert!(c.stats().bytes < 102_000, "{}", c.stats().bytes);
    }
    let s = c.stats();
    assert!(s.refused > 5_000 && s.groups > 100, "{s:?}");
    // Long after the flood there is room again.
    push(&mut c, 0, 3_000_000, 1, "a").unwrap();
    push(&mut c, 0, 3_000_001, 2, "a").unwrap();
    assert_eq!(fires(&mut c), [(9, 3_000_001, 2)]);
}

#[test]
fn firings_name_a_bounded_number_of_hits() {
    let limits = Limits { contributions: 3, ..Limits::default() };
    let (mut c, _) =
        Correlator::new(vec![(9, plan(Kind::EventCount, &[0], 100, Comparison::Gte, 50.0))], limits);
    for i in 0..60 {
        push(&mut c, 0, i, 1000 + i as u64, "a").unwrap();
    }
    c.finish();
    let out = c.take();
    let Outcome::Fire(f) = &out[0] else { panic!("{out:?}") };
    assert_eq!((f.hits, f.contributions.len()), (50, 3));
    assert_eq!(f.contributions.iter().map(|c| c.reference).collect::<Vec<_>>(), [1000, 1001, 1002]);
    assert_eq!(out[1], Outcome::End { fire: 0, last: 59, hits: 10 });
}

/// Were anything proportional to the hits in the window, this would take minutes.
#[test]
fn one_huge_group() {
    const MANY: u64 = 20_000;
    let kinds = [
        Kind::EventCount,
        Kind::ValueCount,
        Kind::Temporal,
        Kind::TemporalOrdered,
        Kind::Sum,
        Kind::Avg,
        Kind::Percentile(99.0),
        Kind::Min,
        Kind::Max,
    ];
    for lateness in [Lateness::Sort, Lateness::Within(50)] {
        let mut plans = Vec::new();
        for (i, k) in kinds.iter().enumerate() {
            plans.push((10 + i, plan(*k, &[0, 1], MANY as i64 / 2, Comparison::Gte, 1e15)));
            plans.push((50 + i, plan(*k, &[0, 1], UNBOUNDED, Comparison::Lt, -1e15)));
        }
        let (mut c, refused) = Correlator::new(plans, Limits { lateness, ..Limits::default() });
        assert_eq!(refused, []);
        for i in 0..MANY {
            push(&mut c, (i % 2) as usize, i as i64, i, "a").unwrap();
        }
        assert_eq!(fires(&mut c), []);
        assert!(c.counts().iter().all(|(_, n)| n.hits == MANY && n.refused == 0));
    }
}

#[test]
fn any_time_at_all() {
    for timespan in [1, i64::MAX - 1, UNBOUNDED] {
        for comparison in [Comparison::Gte, Comparison::Lt] {
            for lateness in [Lateness::Sort, Lateness::Within(0), Lateness::Within(i64::MAX)] {
                for kind in [Kind::EventCount, Kind::TemporalOrdered, Kind::Avg] {
                    let p = plan(kind, &[0, 1], timespan, comparison, 2.0);
                    let (mut c, _) = Correlator::new(vec![(9, p)], Limits { lateness, ..Limits::default() });
                    for (i, t) in
                        [0, i64::MIN, i64::MAX, -1, 1, i64::MAX, i64::MIN + 1].into_iter().enumerate()
                    {
                        push(&mut c, i % 2, t, i as u64, "a").unwrap();
                    }
                    c.advance(i64::MAX);
                    c.advance(i64::MIN);
                    let fired = fires(&mut c);
                    assert!(fired.len() <= 7, "{fired:?}");
                    let s = c.stats();
                    assert_eq!(s.late + c.counts()[0].1.hits, 7, "{lateness:?}");
                    // All is over: nothing more is taken in, and it is said.
                    push(&mut c, 0, 5, 99, "a").unwrap();
                    assert_eq!(c.stats().late, s.late + 1);
                }
            }
        }
    }
}

#[test]
fn what_is_asked_of_events() {
    let mut chained = count(&[9]);
    chained.group_by[0] = Key { name: "host".into(), fields: vec!["host".into()] };
    let sums = plan(Kind::Sum, &[0], 10, Comparison::Gte, 1.0);
    let plans = vec![(9, count(&[0])), (10, chained), (11, Plan { generate: true, ..sums })];
    let (c, _) = Correlator::new(plans, Limits::default());
    // The host is asked for because the chained correlation groups the firings by it.
    assert_eq!(c.wanted(0), ["user", "host", "n"]);
    assert!(c.wanted(1).is_empty() && c.takes(0) && !c.takes(9));
    // One correlation asks for its hits, so the rule reports them.
    assert!(!c.silent(0) && c.silent(9) && !c.silent(10));
}
