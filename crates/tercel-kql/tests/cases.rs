//! Runs the files in `cases/`: a query, then either the rows it gives or the findings it makes.
//!
//! ```text
//! == what this shows
//! print x = 1
//! --
//! x
//! 1
//! ```
//!
//! Below `--` stand the names of the columns and the rows, cells separated by ` | ` (an empty cell is
//! null or empty text); or lines `error: code` and `warning: code`, optionally with a part of the message
//! in quotes. A case may have both: findings first.

use crate::support;

use std::path::Path;
use tercel_ir::{Severity, Value};

fn cell(v: &Value) -> String {
    match v {
        Value::Bool(b) => b.to_string(),
        v => v.to_text().replace('\n', "\\n"),
    }
}

fn check(query: &str, want: &str) -> Result<(), String> {
    let (ast, _) = tercel_kql::parse(query);
    let (rel, mut found) = support::lower(query);
    found.extend(tercel_kql::lint(&ast));
    let mut lines = want.lines().peekable();
    let mut expected = Vec::new();
    while let Some(l) =
        lines.peek().filter(|l| ["error:", "warning:", "note:"].iter().any(|p| l.starts_with(p)))
    {
        expected.push(l.to_string());
        lines.next();
    }
    for e in &expected {
        let (severity, rest) = e.split_once(": ").expect("just seen");
        let (code, part) = rest.split_once(' ').unwrap_or((rest, ""));
        let part = part.trim().trim_matches('"');
        let hit = found.iter().any(|d| {
            let all = format!(
                "{} {} {}",
                d.message,
                d.label.as_deref().unwrap_or(""),
                d.help.as_deref().unwrap_or("")
            );
            d.code == code && d.severity.as_str() == severity && all.contains(part)
        });
        if !hit {
            return Err(format!("no `{e}` among {found:#?}"));
        }
    }
    let wants_error = expected.iter().any(|e| e.starts_with("error"));
    if wants_error != rel.is_none() {
        return Err(format!("lowered: {}; {found:#?}", rel.is_some()));
    }
    let unexpected: Vec<_> = found
        .iter()
        .filter(|d| {
            d.severity > Severity::Note && !expected.iter().any(|e| e.contains(&format!(": {}", d.code)))
        })
        .collect();
    if !unexpected.is_empty() {
        return Err(format!("unexpected: {unexpected:#?}"));
    }
    let Some(rel) = rel else { return Ok(()) };
    let table = support::run(&rel);
    let mut got = vec![table.columns.join(" | ")];
    got.extend(table.rows.iter().map(|r| r.iter().map(cell).collect::<Vec<_>>().join(" | ")));
    let got: Vec<String> = got.iter().map(|l| l.trim_end().to_string()).collect();
    let rows: Vec<String> = lines.map(|l| l.trim_end().to_string()).collect();
    if rows.is_empty() || got == rows {
        Ok(())
    } else {
        Err(format!("got\n{}\nwant\n{}", got.join("\n"), rows.join("\n")))
    }
}

#[test]
fn cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("the cases").filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    let (mut count, mut bad) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        for case in format!("\n{text}").split("\n== ").skip(1) {
            let (title, body) = case.split_once('\n').expect("a title");
            let (query, want) = body.split_once("\n--\n").unwrap_or_else(|| panic!("{title}: no `--`"));
            count += 1;
            if let Err(why) = check(query, want.trim_end()) {
                bad.push(format!(
                    "{}: {title}\n{query}\n{why}\n",
                    file.file_name().unwrap_or_default().to_string_lossy()
                ));
            }
        }
    }
    println!("{count} cases");
    assert!(count > 60, "only {count} cases found");
    assert!(bad.is_empty(), "{} of {count} fail:\n{}", bad.len(), bad.join("\n"));
}
