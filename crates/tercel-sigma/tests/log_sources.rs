//! Public rules over the log sources that the product knows.

use crate::common;

use std::collections::BTreeMap;
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::{lower_document, parse};

/// Rules in force lower over the real views, unless their log source has no home or a placeholder waits
/// for its values. What else is found is printed, by reason.
#[test]
fn rules_in_force_lower_over_the_real_views() {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut reasons: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
    let (mut lowered, mut refused) = (0, 0);
    for (name, text) in common::corpus() {
        if !name.starts_with("rules") {
            continue;
        }
        for d in &parse(&text).0.documents {
            let (rel, found) = lower_document(d, &catalog, &Default::default());
            if rel.is_some() {
                lowered += 1
            } else {
                refused += 1
            }
            for d in found.iter() {
                let entry = reasons.entry(d.code).or_default();
                *entry = (entry.0 + 1, format!("{name}: {}", d.message));
                let known =
                    ["no-log-source", "missing-placeholder", "field-case", "type-mismatch", "unknown-field"];
                assert!(known.contains(&d.code), "{name}: {}: {}", d.code, d.message);
            }
        }
    }
    for (code, (count, example)) in &reasons {
        println!("{count:6} {code}, e.g. {example}");
    }
    println!("{lowered} lowered, {refused} refused");
}
