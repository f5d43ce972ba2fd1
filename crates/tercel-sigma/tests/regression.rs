//! The public regression events: every rule matches the events that come with it. Here without log
//! sources, on the JSON form, by the row-at-a-time meaning of expressions; the engine has the same test
//! through its readers and views.

use crate::common;

use serde_json::Value as Json;
use std::collections::HashMap;
use tercel_ir::function::Context;
use tercel_ir::{Column, RelKind, Schema, Type, Value};
use tercel_sigma::{Options, lower_document, parse};

/// The fields of an event as the `evtx` crate writes it, by the names that rules use.
fn fields(event: &Json) -> HashMap<String, String> {
    let text = |v: &Json| match v {
        Json::String(s) => s.clone(),
        Json::Null => String::new(),
        v => v.to_string(),
    };
    let mut out = HashMap::new();
    let event = &event["Event"];
    for section in ["EventData", "UserData"] {
        let mut todo: Vec<&Json> = vec![&event[section]];
        while let Some(v) = todo.pop() {
            for (k, v) in v.as_object().into_iter().flatten() {
                match v {
                    Json::Object(_) => todo.push(v),
                    v => {
                        out.insert(k.clone(), text(v));
                    }
                }
            }
        }
    }
    let system = &event["System"];
    for name in ["EventID", "Channel", "Computer", "Level"] {
        let v = system[name].get("#text").unwrap_or(&system[name]);
        out.insert(name.to_string(), text(v));
    }
    out.insert("Provider_Name".into(), text(&system["Provider"]["#attributes"]["Name"]));
    // Process creations of the Security channel, under the names of the category.
    if out.get("EventID").is_some_and(|e| e == "4688") {
        for (from, to) in [("NewProcessName", "Image"), ("ParentProcessName", "ParentImage")] {
            if let Some(v) = out.get(from).cloned() {
                out.insert(to.into(), v);
            }
        }
    }
    out
}

#[test]
fn rules_match_their_events() {
    let Some(folder) = common::shared("conformance/sigma") else {
        println!(
            "skipped: the regression events are not beside the repository, because they are not ours to ship"
        );
        return;
    };
    let list = std::fs::read_to_string(folder.join("regression_dev.jsonl")).expect("the list");
    let (mut passed, mut failed) = (0, Vec::new());
    for line in list.lines() {
        let test: Json = serde_json::from_str(line).expect("a line of JSON");
        if test["disabled_upstream"] == true {
            continue;
        }
        let at = |key: &str| folder.join(test[key].as_str().unwrap_or_default());
        let (rule, data) =
            (folder.join("rules").join(test["rule_path"].as_str().unwrap_or_default()), at("json"));
        let rule = if rule.exists() { rule } else { at("rule_path") };
        let (Ok(rule), Ok(data)) = (std::fs::read_to_string(&rule), std::fs::read_to_string(&data)) else {
            panic!("{}: cannot be read", test["rule_path"]);
        };
        let (file, _) = parse(&rule);
        let events: Vec<Json> =
            serde_json::Deserializer::from_str(&data).into_iter().collect::<Result<_, _>>().expect("events");
        let events: Vec<_> = events.into_iter().map(|e| (fields(&e), e)).collect();
        // As a survey of the data would have it: open, with the columns that occur.
        let mut names: Vec<&String> = events.iter().flat_map(|e| e.0.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let columns = names.into_iter().map(|n| Column::new(n.as_str(), Type::String)).collect();
        let world = common::World(Schema { columns, open: true });
        let (rel, found) = lower_document(&file.documents[0], &world, &Options::default());
        let Some(rel) = rel else { panic!("{}: {found:?}", test["rule_path"]) };
        let RelKind::Filter { predicate, .. } = &rel.kind else { panic!("no filter") };
        let mut hits = 0;
        for (map, event) in &events {
            let row = |name: &str| match map.get(name) {
                Some(v) => Value::Str(v.clone()),
                None if name == "$event" => Value::Str(event.to_string()),
                None => Value::Null,
            };
            hits += usize::from(predicate.eval(&row, &Context::default()) == Value::Bool(true));
        }
        let wanted = test["expected_min_matches"].as_u64().unwrap_or(1) as usize;
        if hits >= wanted {
            passed += 1;
        } else {
            failed.push(format!("{}: {hits} of {wanted}", test["rule_path"]));
        }
    }
    println!("{passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
