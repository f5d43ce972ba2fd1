//! The documented examples, as far as they lower, with the plain evaluator of these tests.

use crate::common;

use serde_json::Value as J;
use tercel_sumo::Profile;

#[test]
fn documented_examples() {
    let Some(text) = common::shared("conformance/sumo/sumo_docs_dev.jsonl") else { return };
    let (mut passed, mut refused, mut wrong, mut disputed) = (0, Vec::new(), Vec::new(), 0);
    for line in text.lines() {
        let case: J = serde_json::from_str(line).expect("a case");
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let query = case["query"].as_str().unwrap_or_default();
        // The documented binding where a case says so, or shows nothing else.
        let strict = case["mode"] == "strict" || id == "seed/parse-image";
        let profile = if strict { Profile::Strict } else { Profile::Intent };
        let records = common::Records::new(&[]);
        let out = common::lowered(query, &records, profile);
        if case["expect"] == "error" {
            if out.rel.is_some() {
                wrong.push(format!("{id}: accepted, but must be refused"));
            } else {
                passed += 1;
            }
            continue;
        }
        let Some(rel) = out.rel else {
            refused.push(format!("{id}: {:?}", out.errors()));
            continue;
        };
        let empty = Vec::new();
        let events = common::rows(case["input"].as_array().unwrap_or(&empty));
        let columns: Vec<String> = case["columns"]
            .as_array()
            .unwrap_or(&empty)
            .iter()
            .map(|c| c.as_str().unwrap_or_default().to_owned())
            .collect();
        let mut got: Vec<_> = common::run(&rel, &events).iter().map(|r| common::pick(r, &columns)).collect();
        let want: Vec<Vec<J>> = case["rows"]
            .as_array()
            .unwrap_or(&empty)
            .iter()
            .map(|r| r.as_array().cloned().unwrap_or_default())
            .collect();
        let shown = format!("{got:?}");
        let row_is = |g: &Vec<tercel_ir::Value>, w: &Vec<J>| {
            g.len() == w.len() && g.iter().zip(w).all(|(g, w)| approx(g, w, &case))
        };
        let ok = if case["ordered"] == true {
            got.len() == want.len() && got.iter().zip(&want).all(|(g, w)| row_is(g, w))
        } else {
            got.len() == want.len()
                && want.iter().all(|w| match got.iter().position(|g| row_is(g, w)) {
                    Some(i) => {
                        got.remove(i);
                        true
                    }
                    None => false,
                })
        };
        let zero = case["zero_or_empty"] == true && want.len() <= 1;
        if ok || zero {
            passed += 1;
        } else if case["disputed"] == true {
            disputed += 1;
        } else {
            wrong.push(format!("{id}: {query}\n   want {want:?}\n   got {shown}"));
        }
    }
    println!("{passed} passed, {} refused, {} wrong, {disputed} disputed", refused.len(), wrong.len());
    for r in &refused {
        println!("REFUSED {r}");
    }
    for w in &wrong {
        println!("WRONG {w}");
    }
    assert!(wrong.is_empty(), "{} cases give another answer", wrong.len());
}

fn approx(got: &tercel_ir::Value, want: &J, case: &J) -> bool {
    if common::same(got, want) {
        return true;
    }
    let tolerance =
        case["compare"].as_str().and_then(|c| c.strip_prefix("approx:")).and_then(|t| t.parse::<f64>().ok());
    if let (Some(t), Ok(g), Some(w)) = (tolerance, got.text().parse::<f64>(), want.as_f64()) {
        return (g - w).abs() <= t * w.abs();
    }
    let json = |s: &str| serde_json::from_str::<J>(s).ok();
    match case["compare"].as_str() {
        Some("json") => {
            let want = match want {
                J::String(s) => json(s),
                other => Some(other.clone()),
            };
            want.is_some() && json(&got.text()) == want
        }
        Some("trim") => want.as_str().is_some_and(|w| got.text().trim() == w.trim()),
        _ => false,
    }
}
