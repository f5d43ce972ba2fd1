//! The documented examples that can be lowered give the documented rows. The engine has its own run of
//! these; here the point is the front end, so whatever it refuses by name is only counted.

use crate::support;

use std::collections::BTreeMap;
use std::path::Path;
use tercel_ir::{Severity, Value};

fn cell(v: &Value) -> String {
    match v {
        Value::Null | Value::Dynamic(serde_json::Value::Null) => String::new(),
        Value::Bool(b) => b.to_string(),
        v => v.to_text(),
    }
}

fn same_cell(got: &Value, want: &str) -> bool {
    let text = cell(got);
    let want = want.trim();
    if text.trim() == want
        || text.eq_ignore_ascii_case(want)
        || (text.is_empty() && matches!(want, "null" | "(null)"))
    {
        return true;
    }
    match got {
        Value::Real(x) => want.parse::<f64>().is_ok_and(|y| (x - y).abs() <= 1e-6 * x.abs().max(y.abs())),
        Value::Long(x) => want.replace(',', "").parse::<f64>().is_ok_and(|y| *x as f64 == y),
        Value::Bool(b) => want == if *b { "1" } else { "0" },
        Value::DateTime(t) => tercel_ir::time::parse_datetime(want) == Some(*t),
        Value::Dynamic(j) => serde_json::from_str::<serde_json::Value>(want).is_ok_and(|w| w == *j),
        _ => false,
    }
}

#[test]
fn documented_examples() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/kql");
    if !dir.is_dir() {
        println!("skipped: no ../shared beside the repository, because the examples are not part of it");
        return;
    }
    let verbose = std::env::var_os("TERCEL_VERBOSE").is_some();
    let (mut total, mut refused, mut right, mut wrong) = (0, 0, 0, Vec::new());
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for file in ["kql_docs_dev.jsonl", "kql_semantics_dev.jsonl", "kusto_loco_dev.jsonl"] {
        for line in std::fs::read_to_string(dir.join(file)).expect("a readable file").lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let flag = |name: &str| case[name].as_bool().unwrap_or(false);
            if flag("nondeterministic") || flag("partial") || flag("suspect") {
                continue;
            }
            total += 1;
            let (rel, found) = support::lower(case["query"].as_str().unwrap_or_default());
            let Some(rel) = rel else {
                refused += 1;
                let first = found
                    .iter()
                    .find(|d| d.severity == Severity::Error)
                    .expect("an error when nothing comes out");
                if verbose {
                    println!("refused {}: {}", case["id"], first.message);
                }
                *reasons.entry(format!("{} {}", first.code, first.message)).or_default() += 1;
                continue;
            };
            let table = support::run(&rel);
            let columns: Vec<&str> =
                case["columns"].as_array().expect("columns").iter().filter_map(|c| c.as_str()).collect();
            let want: Vec<Vec<String>> = case["rows"]
                .as_array()
                .expect("rows")
                .iter()
                .map(|r| {
                    r.as_array()
                        .expect("a row")
                        .iter()
                        .map(|c| c.as_str().unwrap_or_default().to_string())
                        .collect()
                })
                .collect();
            let ok_columns = table.columns == columns;
            // Without an order in the query, rows are compared as a multiset.
            let fits = |g: &Vec<Value>, w: &Vec<String>| {
                g.len() == w.len() && g.iter().zip(w).all(|(g, w)| same_cell(g, w))
            };
            let mut left: Vec<&Vec<String>> = want.iter().collect();
            let ok_rows = table.rows.len() == want.len()
                && table.rows.iter().enumerate().all(|(i, g)| {
                    if flag("ordered") {
                        return fits(g, &want[i]);
                    }
                    let Some(at) = left.iter().position(|w| fits(g, w)) else { return false };
                    left.remove(at);
                    true
                });
            if ok_columns && ok_rows {
                right += 1;
            } else {
                wrong.push(case["id"].to_string());
                if verbose {
                    let rows: Vec<Vec<String>> =
                        table.rows.iter().take(4).map(|r| r.iter().map(cell).collect()).collect();
                    println!(
                        "wrong {}\n{}\n   got {:?} {rows:?}\n  want {columns:?} {:?}",
                        case["id"],
                        case["query"].as_str().unwrap_or_default(),
                        table.columns,
                        want.iter().take(4).collect::<Vec<_>>()
                    );
                }
            }
        }
    }
    println!("{total} examples: {right} right, {} different, {refused} refused by name", wrong.len());
    // What differs today: functions whose meaning lies with the registry, and slips of the pages.
    assert!(right >= 290 && wrong.len() <= 40, "{right} right, different: {}", wrong.join(" "));
    if verbose {
        let mut list: Vec<_> = reasons.into_iter().collect();
        list.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        for (reason, n) in list.iter().take(60) {
            println!("{n:4} {reason}");
        }
    }
}
