//! Two rules, Sigma or KQL, with a line `%%` between them: the prover answers within its budget and without a panic, and its
//! events do what it says of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tercel_fuzz::world::{finds, rules};
use tercel_verify::{Budget, Relation, compare, dead_sites};

fuzz_target!(|text: &str| {
    let (a, b) = text.split_once("\n%%\n").unwrap_or((text, text));
    let budget = Budget { time: Duration::from_millis(200), ..Budget::default() };
    let (first, second) = (rules(a), rules(b));
    for x in &first {
        let _ = dead_sites(x, &budget);
        for y in &second {
            let found = compare(x, y, &budget);
            let reason = found.reason.clone().unwrap_or_default();
            assert!(!reason.contains("internal"), "{reason}");
            if a == b && first.len() == 1 {
                assert!(
                    matches!(found.relation, Relation::Equal | Relation::Unknown),
                    "{:?}",
                    found.relation
                );
            }
            for w in found.witnesses.iter().filter(|w| w.event.assumptions.is_empty()) {
                for (rule, claimed) in [(x, w.first), (y, w.second)] {
                    if let Some(is) = finds(rule, w.event.values.iter()) {
                        assert_eq!(is, claimed, "{:?}", w.event);
                    }
                }
            }
        }
    }
});
