//! Rules that refer to each other: every file of `tests/collections` is a case to add to without
//! writing Rust.
//!
//! The first YAML document says what is expected of the documents that follow: `expected` is a list with
//! one item each, a map of `plan` (in one line, as plans print themselves; absent for none) and `findings`
//! (codes). A comment `# file` as the first line of a document starts a new file.

use tercel_sigma::correlation::{Entry, Resolution, Target, resolve};
use tercel_sigma::yaml::{Kind, Limits, Node, read};
use tercel_sigma::{Document, parse, print};

fn texts(node: Option<&Node>) -> Vec<String> {
    match node.map(|n| &n.kind) {
        Some(Kind::Seq(items)) => items.iter().filter_map(Node::scalar_text).collect(),
        _ => Vec::new(),
    }
}

fn run(name: &str, whole: &str) {
    let (head, rest) = whole.split_once("\n---\n").unwrap_or_else(|| panic!("{name}: no `---`"));
    let (documents, found) = read(head, Limits::default());
    assert!(!found.has_errors(), "{name}: {found:?}");
    let head = documents[0].root.as_ref().unwrap_or_else(|| panic!("{name}: empty"));
    let Some(Kind::Seq(expected)) = head.get("expected").map(|n| &n.kind) else {
        panic!("{name}: no `expected`")
    };
    let files: Vec<_> = rest.split("---\n# file\n").map(parse).collect();
    let documents: Vec<(usize, &Document)> =
        files.iter().enumerate().flat_map(|(i, (f, _))| f.documents.iter().map(move |d| (i, d))).collect();
    let entries: Vec<Entry<'_>> =
        documents.iter().map(|(file, d)| Entry { document: Some(d), file: *file }).collect();
    let resolved = resolve(&entries);
    assert_eq!(resolved.len(), expected.len(), "{name}: one item of `expected` for each document");
    for (i, (r, wanted)) in resolved.iter().zip(expected).enumerate() {
        check(&format!("{name}, document {}", i + 1), r, wanted, documents.len());
        // What is broken has said so when it was parsed, and has no plan.
        assert!(!documents[i].1.broken() || r.plan.is_none(), "{name}, document {}", i + 1);
    }
    for (file, found) in &files {
        if !found.has_errors() {
            assert_eq!(parse(&print(file)).0, *file, "{name}: does not print back:\n{}", print(file));
        }
    }
}

fn check(name: &str, r: &Resolution, wanted: &Node, documents: usize) {
    let plan = r.plan.as_ref().map(|p| {
        let generate = if p.generate { ", generate" } else { "" };
        format!("{p}{generate}")
    });
    assert_eq!(plan, wanted.get("plan").and_then(Node::scalar_text), "{name}: {:?}", r.found);
    let codes: Vec<String> = r.found.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, texts(wanted.get("findings")), "{name}: {:?}", r.found);
    assert!(r.found.iter().all(|d| d.span.is_some()), "{name}: a finding without a place");
    assert!(r.plan.is_none() || !r.found.has_errors(), "{name}");
    if let Some(p) = &r.plan {
        let targets = p.rules.iter().all(|r| match r.target {
            Target::Rule(i) => i < documents,
            Target::Own => true,
        });
        assert!(targets && !p.rules.is_empty() && p.timespan > 0, "{name}");
        let keys = p.group_by.iter().chain(&p.fields);
        assert!(keys.into_iter().all(|k| k.fields.len() == p.rules.len()), "{name}");
    }
}

#[test]
fn collections() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections");
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    names.sort();
    assert!(names.len() >= 5, "where are the cases?");
    for path in names {
        let text = std::fs::read_to_string(&path).expect("a case");
        run(&path.file_name().expect("a name").to_string_lossy(), &text);
    }
}
