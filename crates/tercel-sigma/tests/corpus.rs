//! Every public rule parses, and comes back from the printer as the same rule.

use crate::common;

use std::collections::BTreeMap;
use tercel_ir::Severity;
use tercel_sigma::{parse, print};

/// What the parser has to say about the corpus, by reason. The counts are part of the test: a change of
/// them is a change of behaviour that somebody should look at.
#[test]
fn all_public_rules_parse_and_print_back() {
    let files = common::corpus();
    if files.is_empty() {
        return;
    }
    let mut reasons: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    let (mut failed, mut rules, mut documents) = (Vec::new(), 0, 0);
    let start = std::time::Instant::now();
    for (name, text) in &files {
        let (file, found) = parse(text);
        rules += file.rules().count();
        documents += file.documents.len();
        for d in found.iter() {
            let entry = reasons.entry((d.severity.as_str().to_string(), d.code.to_string())).or_default();
            entry.0 += 1;
            entry.1 = format!("{name}: {}", d.message);
            if d.severity == Severity::Error {
                failed.push(format!("{name}: {}: {}", d.code, d.message));
            }
        }
    }
    let elapsed = start.elapsed();
    for ((severity, code), (count, example)) in &reasons {
        println!("{count:6} {severity} {code}, e.g. {example}");
    }
    println!("{} files, {documents} documents, {rules} rules parsed in {elapsed:?}", files.len());
    assert_eq!(files.len(), 4039, "the corpus has changed");
    assert!(failed.is_empty(), "{} errors:\n{}", failed.len(), failed.join("\n"));

    for (name, text) in &files {
        let (file, _) = parse(text);
        let printed = print(&file);
        let (again, found) = parse(&printed);
        assert!(!found.has_errors(), "{name}: printed text does not parse: {found:?}\n{printed}");
        assert_eq!(again, file, "{name}: not the same rule\n{printed}");
        assert_eq!(print(&again), printed, "{name}: printing twice differs");
    }
}

/// What lowering has to say about the corpus where every field is there and text: errors are refusals
/// that no log source can heal.
#[test]
fn public_rules_lower_but_for_named_reasons() {
    let world = common::World::open();
    let mut options = tercel_sigma::Options::default();
    let mut reasons: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    let (mut lowered, mut refused, mut placeholders) = (0, 0, 0);
    let start = std::time::Instant::now();
    for (name, text) in common::corpus() {
        let (file, _) = parse(&text);
        for d in &file.documents {
            options.placeholders.clear();
            let (mut rel, mut found) = tercel_sigma::lower_document(d, &world, &options);
            // A placeholder is for the user to fill in; with any value the rule must lower.
            for _ in 0..8 {
                let missing: Vec<String> = found
                    .iter()
                    .filter(|d| d.code == "missing-placeholder")
                    .filter_map(|d| d.message.split('%').nth(1).map(str::to_string))
                    .collect();
                if missing.is_empty() {
                    break;
                }
                placeholders += 1;
                options.placeholders.extend(missing.into_iter().map(|m| (m, vec!["10.0.0.1".to_string()])));
                (rel, found) = tercel_sigma::lower_document(d, &world, &options);
            }
            assert_eq!(rel.is_none(), found.has_errors(), "{name}: no relation without an error: {found:?}");
            if rel.is_some() {
                lowered += 1
            } else {
                refused += 1
            }
            for d in found.iter() {
                let entry = reasons.entry((d.severity.as_str().to_string(), d.code.to_string())).or_default();
                entry.0 += 1;
                entry.1 = format!("{name}: {}", d.message);
                if d.severity == Severity::Error {
                    println!("{name}: {}: {}", d.code, d.message);
                    let known =
                        matches!(d.code, "unsupported-construct" | "unsupported-regex" | "invalid-condition");
                    assert!(known, "{name}: {}: {}", d.code, d.message);
                }
            }
        }
    }
    for ((severity, code), (count, example)) in &reasons {
        println!("{count:6} {severity} {code}, e.g. {example}");
    }
    println!(
        "{lowered} lowered ({placeholders} with placeholders), {refused} refused in {:?}",
        start.elapsed()
    );
}

/// Lint has little to say about rules that other people's linters have seen.
#[test]
fn lint_of_public_rules() {
    let mut reasons: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    for (name, text) in common::corpus() {
        let (file, _) = parse(&text);
        for d in tercel_sigma::lint(&file, &text).iter() {
            let entry = reasons.entry((d.severity.as_str().to_string(), d.code.to_string())).or_default();
            entry.0 += 1;
            entry.1 = format!("{name}: {}", d.message);
            assert!(d.span.is_some(), "{name}: {}: no place", d.message);
        }
    }
    for ((severity, code), (count, example)) in &reasons {
        println!("{count:6} {severity} {code}, e.g. {example}");
    }
}
