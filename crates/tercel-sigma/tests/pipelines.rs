//! Processing pipelines on rules. Every file of `tests/pipelines` is a pipeline, a rule and what becomes of
//! the rule, with `---` between them; instead of a rule at the end, `error: WORDS` says that the rule is
//! refused with these words. Every file of `tests/pipelines_refused` is a pipeline that is refused; a comment
//! `#! WORDS` at the end of a line says what is said about that line.

use tercel_sigma::pipeline::{Pipelines, parse as parse_pipeline};
use tercel_sigma::{Document, parse, print};

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|p| {
            let name = p.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&p).expect("a case"))
        })
        .collect()
}

fn rule(name: &str, text: &str) -> Document {
    let (mut file, found) = parse(text);
    assert!(!found.has_errors() && file.documents.len() == 1, "{name}: {found:?}");
    file.documents.remove(0)
}

fn check(name: &str, text: &str) {
    let parts: Vec<&str> = text.split("\n---\n").collect();
    let [pipeline, before, after] = parts.as_slice() else { panic!("{name}: three parts") };
    let (pipeline, found) = parse_pipeline("case", pipeline);
    let Some(pipeline) = pipeline else { panic!("{name}: {found:?}") };
    assert!(found.is_empty(), "{name}: {found:?}");
    let pipelines = Pipelines::new(vec![pipeline]);
    let (got, found) = pipelines.apply(rule(name, before));
    if let Some(words) = after.trim().strip_prefix("error: ") {
        assert!(got.broken(), "{name}: must not run");
        assert!(found.iter().any(|d| d.message.contains(words)), "{name}: {found:?}");
        return;
    }
    assert!(found.is_empty() && !got.broken(), "{name}: {found:?}");
    let wanted = rule(name, after);
    let text = |d: &Document| print(&tercel_sigma::File { documents: vec![d.clone()] });
    assert_eq!(text(&got), text(&wanted), "{name}");
    assert_eq!(got, wanted, "{name}");
}

#[test]
fn pipelines() {
    let all = files("pipelines");
    assert!(all.len() >= 10, "where are the cases?");
    for (name, text) in all {
        check(&name, &text);
    }
}

#[test]
fn refused() {
    for (name, text) in files("pipelines_refused") {
        let (pipeline, found) = parse_pipeline(&name, &text);
        assert!(pipeline.is_none(), "{name}: must be refused");
        let mut left: Vec<(usize, String)> = found
            .iter()
            .map(|d| {
                let at = d.span.unwrap_or_default().start as usize;
                (text[..at].matches('\n').count() + 1, d.message.clone())
            })
            .collect();
        for (n, line) in text.lines().enumerate() {
            let Some((_, words)) = line.split_once("#! ") else { continue };
            let at = left.iter().position(|(l, m)| *l == n + 1 && m.contains(words.trim()));
            let Some(at) = at else { panic!("{name}:{}: nothing says {words:?}: {left:?}", n + 1) };
            left.remove(at);
        }
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

#[test]
fn priorities_and_variables() {
    let read = |text: &str| parse_pipeline("p", text).0.expect("a pipeline");
    let suffix = |priority: i64, suffix: &str| {
        read(&format!(
            "priority: {priority}\ntransformations:\n  - {{type: field_name_suffix, suffix: {suffix}}}\n"
        ))
    };
    let text = "title: T\nlogsource: {category: c}\ndetection: {s: {F: x}, condition: s}\n";
    let (got, _) = Pipelines::new(vec![suffix(20, "_c"), suffix(10, "_a"), suffix(10, "_b")])
        .apply(rule("priorities", text));
    assert!(print(&tercel_sigma::File { documents: vec![got] }).contains("F_a_b_c:"));
    assert!(Pipelines::new(Vec::new()).is_empty());
}
