//! Explanations of rules and events: every `tests/explain/NAME.toml` is a case, `NAME.txt` what is said.
//!
//! A case has the `language` and text of a `rule`, and a `table` with an `event` (its columns); without
//! these the rule is described. To write what is said anew after a change, remove the `.txt`, run the test
//! (which fails, and writes it), and read it.

use std::path::Path;
use tercel_ir::{Rel, Value};
use tercel_rules::explain::{Event, Style, explain, outline};
use tercel_schema::{SchemaCatalog, Schemas};

fn relation(language: &str, text: &str) -> Rel {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let (rel, found) = match language {
        "sigma" => {
            let (file, found) = tercel_sigma::parse(text);
            assert!(!found.has_errors(), "{found:?}");
            tercel_sigma::lower_document(&file.documents[0], &catalog, &Default::default())
        }
        "kql" => {
            let (ast, found) = tercel_kql::parse(text);
            assert!(!found.has_errors(), "{found:?}");
            tercel_kql::lower(&ast, &catalog, &Default::default())
        }
        "sumo" => {
            let (query, found) = tercel_sumo::parse(text);
            assert!(!found.has_errors(), "{found:?}");
            tercel_sumo::lower(&query, &catalog, &Default::default())
        }
        other => panic!("no language {other}"),
    };
    rel.unwrap_or_else(|| panic!("{found:?}"))
}

fn value(v: &toml::Value) -> Value {
    match v {
        toml::Value::String(s) => Value::str(s.as_str()),
        toml::Value::Integer(n) => Value::Long(*n),
        toml::Value::Float(r) => Value::Real(*r),
        toml::Value::Boolean(b) => Value::Bool(*b),
        other => panic!("a column does not hold {other}"),
    }
}

fn said(case: &toml::Table) -> String {
    let text = case["rule"].as_str().unwrap();
    let rel = relation(case["language"].as_str().unwrap(), text);
    let Some(event) = case.get("event").and_then(|e| e.as_table()) else {
        let o = outline(&rel, text).unwrap();
        let ascii = o.render(Style::Ascii);
        assert!(ascii.is_ascii() || !text.is_ascii(), "{ascii}");
        assert!(serde_json::to_value(&o).unwrap()["sources"].is_array());
        return o.render(Style::Unicode);
    };
    let row = |name: &str| event.get(name).map_or(Value::Null, value);
    let e = explain(&rel, text, &Event { table: case["table"].as_str().unwrap(), row: &row }).unwrap();
    let ascii = e.render(Style::Ascii);
    assert!(ascii.is_ascii(), "{ascii}");
    assert_eq!(ascii.lines().count(), e.render(Style::Unicode).lines().count());
    // Every test of the least sets stands where it says.
    for c in e.ways.iter().flat_map(|w| w.matched.iter().chain(w.repair.iter().flatten())) {
        if let Some(p) = c.place {
            let before = &text[..p.start as usize];
            assert_eq!(before.matches('\n').count() + 1, p.line);
        }
    }
    let json = serde_json::to_value(&e).unwrap();
    assert_eq!(json["hit"], e.hit);
    e.render(Style::Unicode)
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain");
    let mut cases: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    cases.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    cases.sort();
    assert!(cases.len() >= 12);
    let mut wrong = Vec::new();
    for path in cases {
        let case: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let (got, file) = (said(&case), path.with_extension("txt"));
        match std::fs::read_to_string(&file) {
            Ok(want) if want == got => {}
            Ok(want) => wrong.push(format!("{}\nwant:\n{want}\ngot:\n{got}", path.display())),
            Err(_) => {
                std::fs::write(&file, &got).unwrap();
                wrong.push(format!("{} is new; read it:\n{got}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
