//! Pages that must not fall behind the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, suffix: &str, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, suffix, out);
        } else if entry.to_string_lossy().ends_with(suffix) {
            out.push(entry);
        }
    }
}

fn in_backticks(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|l| l.split('`').skip(1).step_by(2)).collect()
}

/// The codes in calls such as `Diagnostic::error("code", …)` outside of tests.
fn codes(source: &str) -> BTreeSet<&str> {
    const CALLS: [&str; 7] = [
        "Diagnostic::error(",
        "Diagnostic::warning(",
        "Diagnostic::note(",
        "Diagnostic::new(",
        "self.error(",
        "self.warn(",
        "cx.error(",
    ];
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut out = BTreeSet::new();
    for call in CALLS {
        for (at, _) in source.match_indices(call) {
            // The code is the first or second argument; what stands before it is a name.
            let arguments = source[at + call.len()..].trim_start();
            let before = arguments.find('"').map_or("", |q| &arguments[..q]);
            let is_name =
                |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | ',' | '&' | ' ' | '\n');
            if !before.chars().all(is_name) || before.matches(',').count() > 1 {
                continue;
            }
            let Some(code) = arguments[before.len()..].split('"').nth(1) else { continue };
            if code.contains('-')
                && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            {
                out.insert(code);
            }
        }
    }
    out
}

#[test]
fn every_finding_is_on_its_page() {
    let page = fs::read_to_string(repository().join("docs/lints.md")).unwrap();
    let listed = in_backticks(&page);
    let mut sources = Vec::new();
    files(&repository().join("crates"), ".rs", &mut sources);
    let mut missing = Vec::new();
    let mut all = String::new();
    for path in sources.iter().filter(|p| p.components().any(|c| c.as_os_str() == "src")) {
        let source = fs::read_to_string(path).unwrap();
        for code in codes(&source).into_iter().filter(|c| !listed.contains(c)) {
            missing.push(format!("`{code}` ({})", path.display()));
        }
        all.push_str(&source);
    }
    assert!(missing.is_empty(), "docs/lints.md lacks:\n{}", missing.join("\n"));
    let gone: Vec<&str> = page
        .lines()
        .filter(|l| l.starts_with("| `"))
        .filter_map(|l| l.split(" | ").next())
        .flat_map(in_backticks)
        .filter(|code| !all.contains(&format!("\"{code}\"")))
        .collect();
    assert!(gone.is_empty(), "docs/lints.md lists what no source says: {gone:?}");
}

#[test]
fn every_view_is_on_its_page() {
    let page = fs::read_to_string(repository().join("docs/views.md")).unwrap();
    let listed = in_backticks(&page);
    let mut views = Vec::new();
    files(&repository().join("crates/tercel-schema/views"), ".kql", &mut views);
    for path in views {
        let text = fs::read_to_string(&path).unwrap();
        let name = text.lines().find_map(|l| l.strip_prefix("// view ").or(l.strip_prefix("// function ")));
        if let Some(name) = name.map(str::trim) {
            assert!(listed.contains(name), "docs/views.md lacks `{name}` ({})", path.display());
        }
    }
}

#[test]
fn every_function_is_on_its_page() {
    let page = fs::read_to_string(repository().join("docs/languages.md")).unwrap();
    let (_, kql) = page.split_once("## KQL").unwrap();
    let (kql, sumo) = kql.split_once("## Sumo Logic").unwrap();
    let (kql, sumo) = (in_backticks(kql), in_backticks(sumo));
    let is_word = |n: &&str| n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    for f in tercel_ir::function::all() {
        for name in f.kql.iter().copied().filter(is_word) {
            assert!(kql.contains(name), "docs/languages.md: KQL lacks `{name}`");
        }
        for name in f.sumo.iter().copied().filter(is_word) {
            assert!(sumo.contains(name), "docs/languages.md: Sumo Logic lacks `{name}`");
        }
    }
}
