//! Everything published as KQL that lies beside the repository must parse, and print to a text that
//! parses to the same tree.

use std::path::{Path, PathBuf};
use tercel_ir::Severity;

/// Texts of the corpora that are not KQL as they stand, by their id there, and why.
const NOT_KQL: &[(&str, &str)] = &[
    ("wilcoxon-test-fl-2", "ends with a stray `-->` of an HTML comment"),
    ("ai-chat-completion-prompt-plugin-4", "a string is not closed"),
    ("find-operator-7", "a wildcard behind a string: `\"C*\".*`"),
    ("r-plugin-3", "a string lacks its opening quote"),
    ("restrict-statement-5.2", "a parenthesis too many"),
    ("toscalar-function-3", "a fragment that begins with `|`"),
    ("common-tasks-microsoft-sentinel-20", "a placeholder, `<join type>`"),
    ("kusto-loco-EndToEndTests-Join_RightAntiJoin1", "a placeholder, `{kind}`"),
    ("72875ec1ada7b7ab", "values left blank: `let x = ;`"),
    ("eaf8112d60a563f9", "values left blank: `let x = ;`"),
    ("73ec4c5536021be2", "a value left blank: `dynamic()`"),
    ("ba403bcfea93aba0", "placeholders, `<<<…>>>`"),
    ("0516c32009620386", "begins with a bare URL"),
    ("f9b30a503f207bb7", "a placeholder, `...`"),
    ("a8acc0673c3105b7", "a placeholder, `...`"),
    ("5790388bf79c52b5", "a placeholder, `...`"),
    ("42a8ec2fabdb7325", "a fragment that begins with `|`"),
    ("02f8f30559acb50e", "a passage pasted twice, into itself"),
    ("0e67580f34acdd27", "several queries without `;` between them"),
    ("40279f8043006186", "several queries without `;` between them"),
    ("7a4c143bfaef92a8", "several queries without `;` between them"),
    ("c2c0dea49f6b404e", "several queries without `;` between them"),
    ("aaade77451f0f6b2", "several queries without `;` between them"),
];

fn shared() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if dir.join("corpora/kql").is_dir() && dir.join("conformance/kql").is_dir() {
        return Some(dir);
    }
    println!("skipped: no ../shared beside the repository, because the corpora are not part of it");
    None
}

struct Text {
    id: String,
    file: String,
    query: String,
}

fn texts(shared: &Path) -> Vec<Text> {
    let mut out = Vec::new();
    for dir in ["conformance/kql", "corpora/kql"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(shared.join(dir))
            .expect("a readable folder")
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
            .collect();
        files.sort();
        for file in files {
            for line in std::fs::read_to_string(&file).expect("a readable file").lines() {
                let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
                out.push(Text {
                    id: json["id"].as_str().unwrap_or_default().to_string(),
                    file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                    query: json["query"].as_str().unwrap_or_default().to_string(),
                });
            }
        }
    }
    out
}

fn errors(text: &str, found: &tercel_ir::Diagnostics) -> Vec<String> {
    found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .map(|d| {
            let at = d.span.map_or(0, |s| s.start as usize);
            let (line, column) = tercel_ir::span::line_column(text, at);
            format!(
                "{line}:{column}: {} ({}) | {}",
                d.message,
                d.code,
                text.lines().nth(line - 1).unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn every_text_that_is_kql_parses() {
    let Some(shared) = shared() else { return };
    let texts = texts(&shared);
    let (mut bad, mut rejected) = (Vec::new(), 0);
    for t in &texts {
        let (_, found) = tercel_kql::parse(&t.query);
        let listed = NOT_KQL.iter().any(|(id, _)| *id == t.id);
        match (found.has_errors(), listed) {
            (true, false) => {
                bad.push(format!("{} {}\n    {}", t.file, t.id, errors(&t.query, &found).join("\n    ")));
            }
            (false, true) => bad.push(format!("{} is listed as not KQL, but parses", t.id)),
            (true, true) => rejected += 1,
            (false, false) => {}
        }
    }
    println!(
        "{} texts, {} parse, {rejected} rejected as listed",
        texts.len(),
        texts.len() - rejected - bad.len()
    );
    assert!(bad.is_empty(), "{} unexpected:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn what_is_printed_parses_to_the_same_tree() {
    let Some(shared) = shared() else { return };
    let (mut bad, mut count) = (Vec::new(), 0);
    for t in texts(&shared) {
        let (ast, found) = tercel_kql::parse(&t.query);
        if found.has_errors() {
            continue;
        }
        count += 1;
        let printed = tercel_kql::print(&ast);
        let (again, found) = tercel_kql::parse(&printed);
        if found.has_errors() {
            bad.push(format!("{} {}\n    {}", t.file, t.id, errors(&printed, &found).join("\n    ")));
        } else if again != ast {
            bad.push(format!("{} {}: a different tree from\n{printed}", t.file, t.id));
        }
    }
    println!("{count} texts printed and read again");
    assert!(bad.is_empty(), "{} differ:\n{}", bad.len(), bad.join("\n"));
}

/// Every capitalised name is a table that may have any column.
struct Anything;

impl tercel_ir::Catalog for Anything {
    fn relation(&self, name: &str) -> Option<Result<tercel_ir::Rel, tercel_ir::Diagnostic>> {
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        let columns = vec![tercel_ir::Column::new("TimeGenerated", tercel_ir::Type::DateTime)];
        let schema = tercel_ir::Schema { columns: columns.into(), open: true };
        let kind = tercel_ir::RelKind::Scan { table: name.into() };
        Some(Ok(tercel_ir::Rel { kind, schema, span: tercel_ir::Span::default() }))
    }
    fn function(&self, _: &str) -> Option<&tercel_ir::StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn log_source(
        &self,
        _: tercel_ir::catalog::LogSource<'_>,
    ) -> Result<tercel_ir::Rel, tercel_ir::Diagnostic> {
        Err(tercel_ir::Diagnostic::error("no-log-source", "none here"))
    }
}

#[test]
fn what_does_not_lower_is_refused_by_name() {
    let Some(shared) = shared() else { return };
    let (mut whole, mut refused) = (0, std::collections::BTreeMap::<String, usize>::new());
    for t in texts(&shared).iter().filter(|t| t.file.contains("__")) {
        let (ast, found) = tercel_kql::parse(&t.query);
        if found.has_errors() {
            continue;
        }
        let _ = tercel_kql::lint(&ast);
        let (rel, found) = tercel_kql::lower(&ast, &Anything, &tercel_kql::Options::default());
        match rel {
            Some(_) => whole += 1,
            None => {
                let first = found.iter().find(|d| d.severity == Severity::Error).expect("an error says why");
                assert!(!first.message.is_empty());
                *refused.entry(format!("{}: {}", first.code, first.message)).or_default() += 1;
            }
        }
    }
    println!("{whole} of the community's queries lower, {} are refused", refused.values().sum::<usize>());
    let mut list: Vec<_> = refused.into_iter().collect();
    list.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for (why, n) in list.iter().take(40) {
        println!("{n:5} {why}");
    }
}
