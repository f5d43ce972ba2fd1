//! How much of the published queries parses, and whether every tree survives being printed.
//!
//! The queries are not part of this repository; without them beside it the test says so and passes.

use std::path::PathBuf;

use tercel_sumo::{parse, print};

/// Queries that the service would refuse, too, by id, with the reason. Reviewed one by one.
const REJECTED: &[(&str, &str)] = &[
    ("rjury:caf91dfa9470", "a last stage that is only a field's name"),
    ("rjury:781ba5dbf29d", "a slip: `> 0.and x`"),
    ("rjury:c3fce55d3eae", "a slip: a blank inside the name `destinationhost`"),
    ("rjury:3118edade8b4", "the same slip"),
    ("rjury:d6dbd468d5ef", "the same slip"),
    ("rjury:b1e46d03bebb", "the same slip"),
    ("rjury:475eeb896aff", "a slip: blanks inside `threat.src_ip`"),
    ("content:7da2bbce6455", "two searches with prose between them"),
    ("content:d20dfa0e1c59", "two searches with prose between them"),
    ("content:06dcb998d696", "two searches with prose between them"),
    ("content:139703660733", "two searches with prose between them"),
    ("content:cac92b1e856e", "two searches with prose between them"),
    ("content:f3bdb0bdd2c0", "an anchor pattern with two `*` and one name"),
    ("content:58ab102fed0f", "an anchor pattern with two `*` and one name"),
    ("content:4d08a92e58c6", "ends in `count by`"),
    ("partner:1d5f5a3a2d6d", "`&&` left as the escape `\\u0026` by its container"),
];

fn shared(path: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(e) => {
            println!("skipped: {path} because {e}");
            None
        }
    }
}

/// Replaces `{{param}}` and `${param}` by a word, as a dashboard does.
fn substituted(query: &str) -> String {
    let mut out = String::new();
    let mut rest = query;
    while let Some(at) = rest.find("{{") {
        out.push_str(&rest[..at]);
        match rest[at..].find("}}") {
            Some(end) => {
                out.push('x');
                rest = &rest[at + end + 2..];
            }
            None => {
                out.push_str(&rest[at..]);
                rest = "";
            }
        }
    }
    out.push_str(rest);
    out
}

#[test]
fn published_queries_parse() {
    let Some(text) = shared("corpora/sumo/sumo_queries_dev.jsonl") else { return };
    let (mut total, mut failed, mut failed_substituted) = (0, 0, 0);
    let mut unlisted = Vec::new();
    let mut listed_but_fine = Vec::new();
    let mut reprinted = Vec::new();
    for line in text.lines() {
        let v: serde_json::Value = serde_json::from_str(line).expect("a line of the corpus");
        let id = v["id"].as_str().unwrap_or_default();
        let query = v["query"].as_str().unwrap_or_default();
        total += 1;
        let (tree, diags) = parse(query);
        let rejected = REJECTED.iter().any(|(r, _)| *r == id);
        if diags.has_errors() {
            failed += 1;
            if !rejected {
                let d = diags.iter().find(|d| d.severity == tercel_ir::Severity::Error).expect("an error");
                let at = d.span.map_or(0, |s| s.start as usize);
                let from = query[..at].char_indices().rev().nth(60).map_or(0, |(i, _)| i);
                let to = query[at..].char_indices().nth(60).map_or(query.len(), |(i, _)| at + i);
                unlisted.push(format!("{id}: {} ⟦{}▶{}⟧", d.message, &query[from..at], &query[at..to]));
            }
        } else {
            if rejected {
                listed_but_fine.push(id.to_owned());
            }
            let printed = print(&tree);
            let (again, d2) = parse(&printed);
            if d2.has_errors() || again != tree {
                reprinted.push(format!("{id}: {:?}\n{printed}", d2.iter().next().map(|d| &d.message)));
            }
        }
        if parse(&substituted(query)).1.has_errors() {
            failed_substituted += 1;
        }
    }
    println!(
        "{total} queries, {failed} rejected ({:.2} % parse), {failed_substituted} with parameters substituted",
        100.0 * f64::from(total - failed) / f64::from(total)
    );
    for u in &unlisted {
        println!("REJECTED {}", u.replace('\n', "⏎"));
    }
    for r in reprinted.iter().take(10) {
        println!("PRINTED DIFFERENTLY {r}");
    }
    assert!(unlisted.is_empty(), "{} queries are rejected and not on the list", unlisted.len());
    assert!(listed_but_fine.is_empty(), "on the list, but they parse: {listed_but_fine:?}");
    assert!(reprinted.is_empty(), "{} trees do not survive printing", reprinted.len());
    assert!(f64::from(failed) <= f64::from(total) * 0.01);
}

#[test]
fn documented_queries_parse() {
    let Some(text) = shared("conformance/sumo/sumo_docs_dev.jsonl") else { return };
    let mut wrong = Vec::new();
    for line in text.lines() {
        let v: serde_json::Value = serde_json::from_str(line).expect("a case");
        let query = v["query"].as_str().unwrap_or_default();
        if v["expect"] == "error" {
            continue;
        }
        let (tree, diags) = parse(query);
        if diags.has_errors() {
            wrong.push(format!("{}: {:?}", v["id"], diags.iter().next().map(|d| &d.message)));
            continue;
        }
        let printed = print(&tree);
        if parse(&printed).0 != tree {
            wrong.push(format!("{}: printed as {printed}", v["id"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
