//! The public regression events of Sigma's rules: every rule meets the events that come with it, through
//! the readers, the log sources and the views, as an event log and as JSON, alone and with all others.

use crate::support;

use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use support::{Hits, World, by_engine, by_program, compile, dumb, rules, shared};
use tercel_ir::Rel;

struct Test {
    rule: String,
    id: String,
    /// The event log, and the same events as JSON.
    data: [PathBuf; 2],
    least: usize,
}

/// The tests that upstream runs, and their rules in the same order.
fn tests() -> Option<Vec<Test>> {
    let folder = shared("conformance/sigma")?;
    let list = std::fs::read_to_string(folder.join("regression_dev.jsonl")).expect("the list");
    let text = |j: &Json, k: &str| j[k].as_str().unwrap_or_else(|| panic!("{k} is text")).to_string();
    let tests = list.lines().map(|l| serde_json::from_str::<Json>(l).expect("a line of JSON"));
    let active = tests.filter(|t| t["disabled_upstream"] != true);
    Some(
        active
            .map(|t| Test {
                rule: text(&t, "rule_path"),
                id: text(&t, "rule_id"),
                data: [folder.join(text(&t, "data")), folder.join(text(&t, "json"))],
                least: t["expected_min_matches"].as_u64().unwrap_or(1) as usize,
            })
            .collect(),
    )
}

/// All rules over all data of one form, by rule and file.
fn all_hits(tests: &[Test], form: usize, run: fn(&[(usize, Rel)], &World) -> Hits) -> Hits {
    let folder = shared("conformance/sigma/rules").expect("it was there");
    let mut loaded = rules(&[folder]);
    let files: Vec<PathBuf> = tests.iter().map(|t| t.data[form].clone()).collect();
    let world = World::open(&files, 2);
    compile(&mut loaded.detections, &world);
    let mut rels = Vec::new();
    let mut out = Vec::new();
    for (i, t) in tests.iter().enumerate() {
        let d = loaded.detections.iter().find(|d| d.id == t.id).unwrap_or_else(|| panic!("no rule {}", t.id));
        match &d.rel {
            Some(rel) => rels.push((i, rel.clone())),
            None => out.push(format!("{}: {:?}", t.rule, d.first_error())),
        }
    }
    assert!(out.is_empty(), "rules that do not compile:\n{}", out.join("\n"));
    run(&rels, &world)
}

/// Runs all rules over all events of one form and holds every test to its own rule. Gives the hits.
fn check(form: usize, run: fn(&[(usize, Rel)], &World) -> Hits) -> Hits {
    let Some(tests) = tests() else { return Hits::new() };
    assert_eq!(tests.len(), 109);
    let hits = all_hits(&tests, form, run);
    let mut failed = Vec::new();
    let mut cross: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (i, t) in tests.iter().enumerate() {
        let file = t.data[form].to_str().expect("UTF-8");
        let own: usize = hits.iter().filter(|((r, f, _), _)| *r == i && f == file).map(|(_, n)| n).sum();
        if own < t.least {
            failed.push(format!("{}: {own} of {}", t.rule, t.least));
        }
        for (r, _, _) in hits.keys().filter(|(r, f, _)| *r != i && f == file) {
            cross.entry(&tests[*r].rule).or_default().insert(&t.rule);
        }
    }
    println!("{} of {} pass; {} hits", tests.len() - failed.len(), tests.len(), hits.values().sum::<usize>());
    println!("{} rules hit events of other rules:", cross.len());
    for (rule, others) in &cross {
        println!(
            "  {} also has the events of {}",
            name(rule),
            others.iter().map(|o| name(o)).collect::<Vec<_>>().join(", ")
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    hits
}

/// The last part of a path, without its ending.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".yml")
}

fn engine(rels: &[(usize, Rel)], world: &World) -> Hits {
    let (hits, failed) = by_engine(rels, world);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    hits
}

fn event_by_event(rels: &[(usize, Rel)], world: &World) -> Hits {
    dumb::by_dumb(rels, world, 1).0
}

fn program(rels: &[(usize, Rel)], world: &World) -> Hits {
    let (hits, left) = by_program(rels, world);
    assert!(left.is_empty(), "{left:?}");
    hits
}

/// Hits without the names of the files, which differ between the forms.
fn places(hits: &Hits) -> BTreeMap<(usize, String), usize> {
    let mut out = BTreeMap::new();
    for ((rule, file, _), n) in hits {
        let stem = std::path::Path::new(file).file_stem().and_then(|s| s.to_str()).expect("a name");
        *out.entry((*rule, stem.to_string())).or_default() += n;
    }
    out
}

#[test]
fn regression_events_event_by_event() {
    let logs = check(0, event_by_event);
    let json = check(1, event_by_event);
    assert_eq!(places(&logs), places(&json), "the event logs and their JSON");
}

#[test]
fn regression_events_by_the_program() {
    for form in [0, 1] {
        assert_eq!(check(form, program), check(form, event_by_event), "the program, and event by event");
    }
}

#[test]
fn regression_events_by_the_engine() {
    let logs = check(0, engine);
    assert_eq!(logs, check(0, event_by_event), "the engine, and event by event");
}

#[test]
fn each_regression_rule_alone() {
    let Some(tests) = tests() else { return };
    let folder = shared("conformance/sigma/rules").expect("it was there");
    let loaded = rules(&[folder]);
    let mut failed = Vec::new();
    for t in &tests {
        for data in &t.data {
            let world = World::open(std::slice::from_ref(data), 1);
            let mut own: Vec<_> = loaded.detections.iter().filter(|d| d.id == t.id).cloned().collect();
            compile(&mut own, &world);
            let rels: Vec<(usize, Rel)> = own.iter().filter_map(|d| Some((0, d.rel.clone()?))).collect();
            let n: usize = program(&rels, &world).values().sum();
            assert_eq!(n, event_by_event(&rels, &world).values().sum::<usize>(), "{}", t.rule);
            if n < t.least {
                failed.push(format!("{} on {}: {n} of {}", t.rule, data.display(), t.least));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
