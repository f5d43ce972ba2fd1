//! What lint proves about the rules in `proofs`. Each file says in comments what is expected, in order:
//! `# expect: CODE LINE`, and behind bars what the message or the proof must contain. Nothing else may be said.

use std::fs;
use std::path::Path;
use std::time::Duration;
use tercel_catalog::{CompileOptions, Detection, Language, LintOptions, lint, lint_all, pair_findings};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_verify::Budget;

fn options() -> LintOptions {
    let budget = Budget { time: Duration::from_secs(20), ..Budget::default() };
    // What rules say about themselves is not the point here.
    let style = ["missing-id", "missing-level", "missing-title"].map(String::from).to_vec();
    LintOptions { allow: style, prove: Some(budget), ..LintOptions::default() }
}

#[test]
fn every_kind_of_finding() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proofs");
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<(String, Vec<String>)> = text
            .lines()
            .filter_map(|l| l.strip_prefix("# expect: "))
            .map(|l| {
                let mut parts = l.split(" | ").map(str::to_string);
                (parts.next().unwrap(), parts.collect())
            })
            .collect();
        let mut d = Detection::of_query(Language::Sigma, text, "rule.yml");
        let found = lint(&mut d, &catalog, &options());
        let mut got: Vec<String> =
            found.iter().map(|f| format!("{} {}", f.diagnostic.code, f.line)).collect();
        let mut want: Vec<String> = expected.iter().map(|e| e.0.clone()).collect();
        got.sort();
        want.sort();
        let said: Vec<String> = found
            .iter()
            .map(|f| format!("{}; {}", f.diagnostic.message, f.diagnostic.meaning.as_deref().unwrap_or("")))
            .collect();
        let missing: Vec<&String> = expected
            .iter()
            .flat_map(|e| &e.1)
            .filter(|w| !said.iter().any(|s| s.contains(w.as_str())))
            .collect();
        if got != want || !missing.is_empty() {
            wrong.push(format!(
                "{}:\n  found {got:?}\n  want {want:?}\n  not said: {missing:?}\n  said: {said:#?}",
                path.display()
            ));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 13, "{count} files");
}

fn rule(id: u32, source: &str, item: &str) -> Detection {
    let text = format!(
        "title: Rule {id}\nid: 00000000-0000-4000-8000-{id:012}\nlevel: low\nlogsource:\n{source}\ndetection:\n  s:\n    {item}\n  condition: s\n"
    );
    Detection::of_query(Language::Sigma, text, &format!("{id}.yml"))
}

#[test]
fn rules_of_a_set() {
    let windows = "  category: process_creation\n  product: windows";
    let linux = "  category: process_creation\n  product: linux";
    let any = "  category: process_creation";
    let mut all = vec![
        rule(1, windows, "Image|endswith: ['\\a.exe', '\\b.exe']"),
        rule(2, windows, "Image|endswith: ['\\B.EXE', '\\A.EXE']"),
        rule(3, windows, "{Image|endswith: '\\a.exe', CommandLine|contains: x}"),
        rule(4, linux, "Image|endswith: ['\\a.exe', '\\b.exe']"),
        rule(5, any, "Image|endswith: 'exe'"),
        rule(6, windows, "Image|endswith: '\\c.com'"),
    ];
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let found: Vec<(usize, &str, String)> = pair_findings(&mut all, &catalog, &options())
        .into_iter()
        .map(|(i, f)| (i + 1, f.diagnostic.code, f.diagnostic.message))
        .collect();
    let has = |i: usize, code: &str, other: &str| {
        assert!(
            found.iter().any(|f| f.0 == i && f.1 == code && f.2.contains(&format!("`Rule {other}`"))),
            "{i} {code} {other}: {found:#?}"
        );
    };
    has(2, "equal-rules", "1");
    has(3, "contained-rule", "1");
    has(3, "contained-rule", "2");
    // A rule without a product is about all of them.
    for inside in [1, 2, 3, 4] {
        has(inside, "contained-rule", "5");
    }
    // Twins of different products are not equal.
    assert_eq!(found.len(), 7, "{found:#?}");
}

/// Log sources inside each other, some of which have many rules and some one: every pair that can have events
/// in common is compared, and once, wherever it is. Many at a time say what each says by itself.
#[test]
fn every_pair_once() {
    let sources = [
        ("  product: windows", 1),
        ("  category: process_creation", 3),
        ("  category: process_creation\n  product: windows", 2),
        ("  category: process_creation\n  product: linux", 4),
        ("  product: linux", 5),
        ("  category: file_event\n  product: windows", 1),
    ];
    let items = sources.iter().flat_map(|(source, n)| std::iter::repeat_n(*source, *n));
    let mut all: Vec<Detection> =
        (1..).zip(items.clone()).map(|(id, s)| rule(id, s, "Image|endswith: '\\a.exe'")).collect();
    let mut alone = all.clone();
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let found = lint_all(&mut all, &catalog, &options(), true);
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (i, f) in &found {
        if matches!(f.diagnostic.code, "equal-rules" | "contained-rule") {
            let name = f.diagnostic.message.split("`Rule ").nth(1).and_then(|t| t.split('`').next()).unwrap();
            let other: usize = name.parse::<usize>().unwrap() - 1;
            pairs.push((*i.min(&other), *i.max(&other)));
        }
    }
    pairs.sort_unstable();
    // One log source is inside another when it says all that the other says.
    let says = |a: &str, b: &str| b.lines().all(|l| a.lines().any(|m| m == l));
    let of: Vec<&str> = items.collect();
    let mut wanted = Vec::new();
    for (i, a) in of.iter().enumerate() {
        let later = of.iter().enumerate().skip(i + 1).filter(|(_, b)| says(a, b) || says(b, a));
        wanted.extend(later.map(|(j, _)| (i, j)));
    }
    assert_eq!(pairs, wanted);
    let mut one_by_one = Vec::new();
    for (i, d) in alone.iter_mut().enumerate() {
        one_by_one.extend(lint(d, &catalog, &options()).into_iter().map(|f| (i, f)));
    }
    one_by_one.extend(pair_findings(&mut alone, &catalog, &options()));
    one_by_one.sort_by_key(|(i, f)| (*i, f.line, f.column));
    assert_eq!(found, one_by_one);
}

#[test]
fn what_runs_forgets_its_source() {
    let windows = "  category: process_creation\n  product: windows";
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut runs = rule(1, windows, "Image|endswith: '\\a.exe'");
    let mut fails = rule(2, windows, "Image|re: '(a'");
    for d in [&mut runs, &mut fails] {
        d.forget_words();
        d.compile(&catalog, CompileOptions::default());
        d.forget_source();
    }
    assert!(runs.rel.is_some() && runs.text.is_empty(), "{runs:?}");
    assert_eq!((runs.title.as_str(), runs.diagnostics.len()), ("Rule 1", 0));
    // What is wrong with a rule is shown in its text.
    let place = fails.first_error().and_then(|e| e.span).map(|s| fails.text[s.range()].to_string());
    assert_eq!(place.as_deref(), Some("'(a'"));
}
