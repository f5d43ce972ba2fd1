//! Queries with inline data and the rows that they must give: `tests/cases/*.json`, an array of
//! `{name, query, rows, ordered?}`. A query is KQL; without `ordered` the order of rows does not count.

use std::path::Path;
use tercel_engine::{MemorySource, Now, Options, query_rows};
use tercel_ir::Severity;
use tercel_schema::{SchemaCatalog, Schemas};

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let catalog = SchemaCatalog::new(Schemas::builtin(), vec![]);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder is there").map(|f| f.expect("a file").path()).collect();
    files.sort();
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("an array of cases");
        for case in cases {
            let name = case["name"].as_str().expect("a name");
            if let Err(e) = run(&case, &catalog) {
                failures.push(format!("{}: {name}: {e}", file.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn run(case: &serde_json::Value, catalog: &SchemaCatalog) -> Result<(), String> {
    let (ast, found) = tercel_kql::parse(case["query"].as_str().ok_or("no query")?);
    if let Some(d) = found.iter().find(|d| d.severity == Severity::Error) {
        return Err(d.message.clone());
    }
    let (rel, found) = tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default());
    let rel = rel.ok_or_else(|| found.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; "))?;
    let options = Options { now: Now::At(638_000_000_000_000_000), ..Options::default() };
    let (outcome, rows) = query_rows(&rel, &MemorySource::new(), &options).map_err(|e| e.to_string())?;
    let mut got: Vec<String> = rows
        .iter()
        .map(|r| {
            let object: serde_json::Map<String, serde_json::Value> =
                outcome.columns.iter().zip(r).map(|(c, v)| (c.name.to_string(), v.to_json())).collect();
            serde_json::Value::from(object).to_string()
        })
        .collect();
    let mut want: Vec<String> =
        case["rows"].as_array().ok_or("no rows")?.iter().map(ToString::to_string).collect();
    if case["ordered"] != true {
        got.sort();
        want.sort();
    }
    if got == want {
        Ok(())
    } else {
        Err(format!("\n  wanted {}\n  got    {}", want.join(" "), got.join(" ")))
    }
}
