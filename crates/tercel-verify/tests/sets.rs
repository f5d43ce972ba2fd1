//! Relations of a set agree with those of its pairs taken singly, and with events.

use crate::support;

use std::time::Duration;
use support::{Events, Random, fires, formulas};
use tercel_verify::{BranchFormula, Budget, Relation, compare_formulas, inclusions, overlaps};

const RULES: [&str; 14] = [
    "Cmd contains 'abc'",
    "Cmd contains 'b'",
    "Cmd contains 'ABC' and Port == 80",
    "Cmd has 'abc'",
    "Port in (80, 443)",
    "Port == 443 and Flag",
    "Image endswith '\\\\cmd.exe' or Image endswith '\\\\sh.exe'",
    "Image endswith '\\\\CMD.EXE'",
    "Cmd matches regex '^a+$'",
    "Cmd matches regex '^a{3}$'",
    "isempty(Cmd)",
    "Port > 5 and Port < 4",
    "U | where Cmd contains 'abc'",
    "union (T | where Cmd contains 'abc'), (U | where Port == 80)",
];

fn budget() -> Budget {
    Budget { time: Duration::from_secs(20), ..Budget::default() }
}

fn set() -> Vec<Vec<BranchFormula>> {
    RULES.iter().map(|r| formulas(r)).collect()
}

#[test]
fn as_one_by_one() {
    let rules = set();
    let found = overlaps(&rules, |_, _| true, &budget());
    assert_eq!(found.len(), RULES.len() * (RULES.len() - 1) / 2);
    let mut r = Random(5);
    for p in found {
        let (a, b) = (&rules[p.first], &rules[p.second]);
        let single = compare_formulas(a, b, &budget());
        let names = (RULES[p.first], RULES[p.second]);
        assert_eq!(p.comparison.relation, single.relation, "{names:?}");
        for w in &p.comparison.witnesses {
            let row: support::Row = w.event.values.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
            // Of several tables only those branches that read the event's own.
            let on = |l: &[BranchFormula]| {
                l.iter().filter(|f| f.table == w.event.table).cloned().collect::<Vec<_>>()
            };
            assert_eq!((fires(&on(a), &row), fires(&on(b), &row)), (w.first, w.second), "{names:?} {row:?}");
        }
        if p.comparison.relation == Relation::Equal {
            let events = Events::of(&[a, b]);
            for _ in 0..300 {
                let e = events.event(&mut r);
                assert_eq!(fires(a, &e), fires(b, &e), "{names:?} {e:?}");
            }
        }
    }
}

#[test]
fn inclusions_are_those_of_all_pairs() {
    let rules = set();
    let wanted = |r: Relation| matches!(r, Relation::Equal | Relation::Subset | Relation::Superset);
    // What can never fire is part of everything, which is said of it alone.
    let never = |i: usize| RULES[i].contains("Port > 5");
    let all: Vec<(usize, usize, Relation)> = overlaps(&rules, |i, j| !never(i) && !never(j), &budget())
        .into_iter()
        .filter(|p| wanted(p.comparison.relation))
        .map(|p| (p.first, p.second, p.comparison.relation))
        .collect();
    let found: Vec<(usize, usize, Relation)> = inclusions(&rules, |_, _| true, &budget())
        .into_iter()
        .map(|p| (p.first, p.second, p.comparison.relation))
        .collect();
    assert_eq!(found, all);
    assert!(found.len() >= 6, "{found:?}");
    // And an event shows what the greater one has more.
    for p in inclusions(&rules, |_, _| true, &budget()) {
        if p.comparison.relation != Relation::Equal {
            let w = &p.comparison.witnesses[0];
            assert_eq!(w.second, p.comparison.relation == Relation::Subset, "{p:?}");
            assert_ne!(w.first, w.second);
        }
    }
}
