//! Behaviour as data: every file of `tests/cases` is an array of cases.
//!
//! A case has a `query` and any of
//! - `input` (events: objects, or lines of text) with `columns` and `rows`: the result, in order if `ordered`;
//!   `types` gives columns of the table another type than text; `profile` is `intent` (default) or `strict`;
//! - `codes`: codes of everything said while reading and lowering, sorted, each once;
//! - `errors`: the same, only errors; the query must be refused;
//! - `lint`: codes of what the linter finds, sorted, each once;
//! - `printed`: how the query prints.
//!
//! `why` says what a case is about.

use crate::common;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as J;
use tercel_ir::{Severity, Type};
use tercel_sumo::{Options, Profile, lint, parse, print};

fn list(j: &J) -> Vec<String> {
    j.as_array()
        .map(|a| a.iter().map(|x| x.as_str().unwrap_or_default().to_owned()).collect())
        .unwrap_or_default()
}

fn codes<'a>(d: impl Iterator<Item = &'a tercel_ir::Diagnostic>) -> Vec<String> {
    d.map(|d| d.code.to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What is wrong with a case; nothing if all is well.
fn run(case: &J) -> Vec<String> {
    let mut wrong = Vec::new();
    let query = case["query"].as_str().unwrap_or_default();
    let profile = if case["profile"] == "strict" { Profile::Strict } else { Profile::Intent };
    let types: Vec<(String, Type)> = case["types"]
        .as_object()
        .map(|m| m.iter().filter_map(|(k, v)| Some((k.clone(), Type::parse(v.as_str()?)?))).collect())
        .unwrap_or_default();
    let types: Vec<(&str, Type)> = types.iter().map(|(k, t)| (k.as_str(), *t)).collect();
    let out = common::lowered(query, &common::Records::new(&types), profile);
    let expect = |what: &str, got: Vec<String>, want: &J| -> Option<String> {
        (!want.is_null() && got != list(want)).then(|| format!("{what}: want {want}, got {got:?}"))
    };
    wrong.extend(expect("codes", codes(out.diagnostics.iter()), &case["codes"]));
    let errors = codes(out.diagnostics.iter().filter(|d| d.severity == Severity::Error));
    if case["errors"].is_null() {
        if !errors.is_empty() && (case["input"].is_array() || case["codes"].is_null()) {
            wrong.push(format!("refused: {:?}", out.errors()));
        }
    } else {
        wrong.extend(expect("errors", errors, &case["errors"]));
    }
    let (tree, _) = parse(query);
    wrong.extend(expect("lint", codes(lint(&tree, &Options { profile }).iter()), &case["lint"]));
    if let Some(want) = case["printed"].as_str()
        && print(&tree) != want
    {
        wrong.push(format!("printed as\n{}", print(&tree)));
    }
    if let (Some(input), Some(rel)) = (case["input"].as_array(), &out.rel) {
        let columns = list(&case["columns"]);
        let got = common::run(rel, &common::rows(input));
        let mut got: Vec<_> = got.iter().map(|r| common::pick(r, &columns)).collect();
        let shown = format!("{got:?}");
        let empty = Vec::new();
        let want = case["rows"].as_array().unwrap_or(&empty);
        let is = |g: &Vec<tercel_ir::Value>, w: &J| {
            let w = w.as_array().cloned().unwrap_or_default();
            g.len() == w.len() && g.iter().zip(&w).all(|(g, w)| common::same(g, w))
        };
        let ok = got.len() == want.len()
            && if case["ordered"] == true {
                got.iter().zip(want).all(|(g, w)| is(g, w))
            } else {
                want.iter().all(|w| got.iter().position(|g| is(g, w)).map(|i| got.remove(i)).is_some())
            };
        if !ok {
            wrong.push(format!("rows: want {want:?}, got {shown}"));
        }
    }
    wrong
}

#[test]
fn all_cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir(&dir).expect("the cases").flatten().map(|f| f.path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file of cases");
        let cases: Vec<J> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for case in &cases {
            count += 1;
            for w in run(case) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                wrong.push(format!("{name}: {}\n   {w}", case["query"]));
            }
        }
    }
    println!("{count} cases");
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
