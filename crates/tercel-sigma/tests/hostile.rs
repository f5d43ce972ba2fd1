//! Inputs that want to hurt: an error, in bounded time and memory, and the other documents run.

use crate::common;

use tercel_sigma::correlation::{Entry, resolve};
use tercel_sigma::{Options, lower_document, parse};

fn codes(text: &str) -> Vec<&'static str> {
    parse(text).1.iter().map(|d| d.code).collect()
}

fn rule(detection: &str) -> String {
    format!("title: t\nlogsource: {{category: c}}\ndetection:\n{detection}\n")
}

#[test]
fn not_yaml() {
    assert_eq!(codes(""), ["empty-file"]);
    assert_eq!(codes("# only a comment\n---\n"), ["empty-file"]);
    assert_eq!(codes("just text"), ["not-a-rule"]);
    assert_eq!(codes("- a\n- b"), ["not-a-rule"]);
    assert_eq!(codes("title: 'open\n"), ["yaml-syntax"]);
    assert_eq!(codes("title: \"C:\\Windows\"\n"), ["yaml-syntax"]);
    assert_eq!(codes("title: x\0\n"), ["yaml-syntax"]);
    assert_eq!(codes("title: x\n\tlevel: low\n"), ["yaml-tab"]);
    assert_eq!(codes("title: *nobody\n"), ["yaml-syntax"]);
    assert_eq!(codes("title: !odd x\n")[0], "yaml-tag");
    assert_eq!(codes("title: x\n? {a: b}\n: c\n")[0], "yaml-key");
}

#[test]
fn byte_order_mark_and_line_ends() {
    let text = rule("    a:\n        F: x\n    condition: a").replace('\n', "\r\n");
    let (file, found) = parse(&format!("\u{feff}{text}"));
    assert!(found.is_empty(), "{found:?}");
    let span = file.documents[0].meta().title.as_ref().expect("a title").span;
    assert_eq!(&format!("\u{feff}{text}")[span.range()], "t");
}

#[test]
fn places_are_bytes() {
    let text = format!("description: 'üñ → 𝄞'\n{}", rule("    a:\n        F: 'é'\n    condition: a and ö"));
    let (_, found) = parse(&text);
    let at = found.iter().find(|d| d.code == "missing-search").and_then(|d| d.span).expect("a place");
    assert_eq!(&text[at.range()], "ö");
}

#[test]
fn a_broken_document_leaves_the_others() {
    let good = rule("    a:\n        F: x\n    condition: a");
    let text = format!("{good}---\ntitle: 'open\n---\n{good}---\nx: [\n---\n{good}");
    let (file, found) = parse(&text);
    assert_eq!(file.documents.len(), 3);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["yaml-syntax", "yaml-syntax"]);
    assert!(file.documents.iter().all(|d| !d.broken()));
}

#[test]
fn duplicate_keys_break_the_rule() {
    let text = rule("    a:\n        F: x\n        F: y\n    condition: a");
    let (file, found) = parse(&text);
    let d = found.iter().next().expect("a finding");
    assert_eq!((d.code, d.related.len()), ("duplicate-key", 1));
    let (rel, found) = lower_document(&file.documents[0], &common::World::open(), &Options::default());
    assert!(rel.is_none());
    assert_eq!(found.iter().next().map(|d| d.code), Some("broken-rule"));
}

#[test]
fn aliases_do_what_they_should() {
    let text = rule(
        "    a: &a\n        F: x\n    b:\n        <<: *a\n        G: y\n    c: *a\n    condition: a or b or c",
    );
    let (file, found) = parse(&text);
    assert!(found.is_empty(), "{found:?}");
    let (rel, _) = lower_document(&file.documents[0], &common::World::open(), &Options::default());
    assert!(rel.is_some());
}

#[test]
fn alias_bombs() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{list}]\n"));
    }
    assert_eq!(codes(&bomb), ["yaml-alias-limit"]);
    // A tower: every anchor one level higher than the one before.
    let mut tower = String::from("a0: &a0 [x]\n");
    for i in 1..200 {
        tower.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    assert_eq!(codes(&tower), ["nesting-too-deep"]);
    assert_eq!(codes("a: &a [*a]\n"), ["yaml-alias"]);
}

#[test]
fn depth() {
    for text in [
        format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("a: {}", "{b: ".repeat(10_000)),
        format!("a:\n{}x", "- ".repeat(10_000)),
        (0..5_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect(),
    ] {
        let c = codes(&text);
        assert!(c == ["nesting-too-deep"] || c == ["yaml-syntax"], "{c:?}");
    }
    let deep =
        rule(&format!("    a:\n        F: x\n    condition: {}a{}", "(".repeat(1_000), ")".repeat(1_000)));
    assert_eq!(codes(&deep), ["nesting-too-deep"]);
}

#[test]
fn long_lists_are_fine() {
    let values: String = (0..100_000).map(|i| format!("            - 'value number {i}'\n")).collect();
    let (file, found) = parse(&rule(&format!("    a:\n        F|contains:\n{values}    condition: a")));
    assert!(found.is_empty());
    let (rel, found) = lower_document(&file.documents[0], &common::World::open(), &Options::default());
    assert!(rel.is_some(), "{found:?}");
}

#[test]
fn many_findings_are_counted() {
    let text = rule(&format!(
        "    a:\n{}    condition: a",
        (0..5_000).map(|i| format!("        F{i}|nope: x\n")).collect::<String>()
    ));
    let (file, found) = parse(&text);
    assert_eq!(found.iter().last().map(|d| d.code), Some("too-many-findings"));
    assert!(found.len() < 1_000);
    assert!(file.documents[0].broken());
}

#[test]
fn values_that_multiply() {
    // 625 texts times three offsets times many values.
    let values: String = (0..20_000).map(|i| format!("            - '-a{i} -b -c -d'\n")).collect();
    let (file, _) =
        parse(&rule(&format!("    a:\n        F|windash|base64offset|contains:\n{values}    condition: a")));
    let (rel, found) = lower_document(&file.documents[0], &common::World::open(), &Options::default());
    assert!(rel.is_none());
    assert_eq!(found.iter().next().map(|d| d.code), Some("rule-too-large"));
    // A condition that names a large search again and again.
    let list: String = (0..10_000).map(|i| format!("            - '*x{i}y*'\n")).collect();
    let again = vec!["a"; 2_000].join(" or ");
    let (file, _) = parse(&rule(&format!("    a:\n        F:\n{list}    condition: {again}")));
    let (rel, found) = lower_document(&file.documents[0], &common::World::open(), &Options::default());
    assert!(rel.is_none());
    assert_eq!(found.iter().next().map(|d| d.code), Some("rule-too-large"));
}

#[test]
fn collections_that_multiply() {
    let global = format!("action: global\ndescription: '{}'\n", "x".repeat(1 << 20));
    let text = format!("{global}{}", "---\ntitle: t\n".repeat(500));
    assert!(codes(&text).contains(&"collection-too-large"));
}

#[test]
fn large_regexes() {
    let (file, found) = parse(&rule("    a:\n        F|re: '(\\w{500}){500}'\n    condition: a"));
    assert!(found.is_empty());
    let (rel, found) = lower_document(&file.documents[0], &common::World::open(), &Options::default());
    assert!(rel.is_none());
    assert_eq!(found.iter().next().map(|d| d.code), Some("invalid-regex"));
}

#[test]
fn many_searches_and_long_conditions() {
    let searches: String = (0..20_000).map(|i| format!("    s{i}:\n        F: x\n")).collect();
    assert_eq!(codes(&rule(&format!("{searches}    condition: 1 of s*"))), ["rule-too-large"]);
    let condition = vec!["1 of s*"; 16_000].join(" or ");
    assert_eq!(
        codes(&rule(&format!("    s:\n        F: x\n    condition: {condition}"))),
        ["rule-too-large"]
    );
    let condition = (0..9_000).map(|i| format!("nobody{i}")).collect::<Vec<_>>().join(" or ");
    let found = codes(&rule(&format!("    s:\n        F: x\n    condition: {condition}")));
    assert_eq!(found.last(), Some(&"too-many-findings"));
}

/// The codes of what resolving has to say, document by document.
fn resolved(text: &str) -> Vec<Vec<&'static str>> {
    let (file, _) = parse(text);
    let entries: Vec<Entry<'_>> =
        file.documents.iter().map(|d| Entry { document: Some(d), file: 0 }).collect();
    resolve(&entries)
        .into_iter()
        .map(|r| {
            assert_eq!(r.plan.is_none(), r.found.has_errors() || r.found.is_empty(), "{:?}", r.found);
            r.found.iter().map(|d| d.code).collect()
        })
        .collect()
}

fn correlation(name: &str, rules: &str) -> String {
    format!(
        "title: {name}\nname: {name}\ncorrelation:\n    type: temporal\n    rules: [{rules}]\n    timespan: 1h\n"
    )
}

#[test]
fn correlations_of_nothing_and_of_themselves() {
    assert_eq!(resolved(&correlation("a", "b")), [["missing-reference"]]);
    assert_eq!(resolved(&correlation("a", "a")), [["self-reference"]]);
    // A ring of ten thousand, and a chain as long that stands on nothing.
    let ring: Vec<String> =
        (0..10_000).map(|i| correlation(&format!("c{i}"), &format!("c{}", (i + 1) % 10_000))).collect();
    let found = resolved(&ring.join("---\n"));
    assert!(found.iter().all(|f| f == &["reference-cycle"] || f == &["broken-reference"]));
    assert_eq!(found.iter().filter(|f| **f == ["reference-cycle"]).count(), 1);
    let chain: Vec<String> =
        (0..10_000).map(|i| correlation(&format!("c{i}"), &format!("c{}", i + 1))).collect();
    let found = resolved(&chain.join("---\n"));
    assert_eq!(found.last(), Some(&vec!["missing-reference"]));
    assert!(found[..9_999].iter().all(|f| f == &["broken-reference"]));
}

#[test]
fn correlations_on_correlations_have_a_limit() {
    let base = "title: base\nname: base\nlogsource: {category: c}\ndetection: {s: {F: x}, condition: s}\n";
    let mut all = vec![base.to_string(), correlation("c0", "base")];
    all.extend((1..100).map(|i| correlation(&format!("c{i}"), &format!("c{}", i - 1))));
    let (file, found) = parse(&all.join("---\n"));
    assert!(found.is_empty(), "{found:?}");
    let entries: Vec<Entry<'_>> =
        file.documents.iter().map(|d| Entry { document: Some(d), file: 0 }).collect();
    let plans: Vec<bool> = resolve(&entries).iter().map(|r| r.plan.is_some()).collect();
    assert_eq!(plans.iter().filter(|p| **p).count(), 32);
    assert!(plans[1..33].iter().all(|p| *p), "the first of the chain run");
}

#[test]
fn correlations_with_much_of_everything() {
    let rules: Vec<String> = (0..2_000).map(|i| format!("r{i}")).collect();
    let text: Vec<String> = rules
        .iter()
        .map(|r| format!("title: {r}\nname: {r}\nlogsource: {{category: c}}\ndetection: {{s: {{F: x}}, condition: s}}\n"))
        .collect();
    let many = format!(
        "{}    group-by: [{}]\n    condition: {}\n",
        correlation("many", &rules.join(", ")),
        (0..200).map(|i| format!("f{i}")).collect::<Vec<_>>().join(", "),
        rules.join(" or ")
    );
    let (file, found) = parse(&format!("{many}---\n{}", text.join("---\n")));
    assert!(found.is_empty(), "{found:?}");
    let entries: Vec<Entry<'_>> =
        file.documents.iter().map(|d| Entry { document: Some(d), file: 0 }).collect();
    let out = resolve(&entries);
    let plan = out[0].plan.as_ref().expect("a plan");
    assert_eq!((plan.rules.len(), plan.group_by.len()), (2_000, 200));
    // Far too deep an expression is refused when it is parsed.
    let deep = format!("{}    condition: {}a\n", correlation("deep", "a"), "not ".repeat(1_000));
    assert!(codes(&deep).contains(&"nesting-too-deep"));
}

#[test]
fn a_tab_or_a_mark_in_the_middle() {
    let text = rule("    a:\n        F: \"x\ty\"\n    condition: a");
    assert!(codes(&text).is_empty(), "tabs inside values are text");
    let two = format!(
        "{}---\n\u{feff}{}",
        rule("    a: {F: x}\n    condition: a"),
        rule("    a: {F: x}\n    condition: a")
    );
    let (file, _) = parse(&two);
    assert!(!file.documents.is_empty() && !file.documents[0].broken());
}

#[test]
fn pipelines_that_want_to_hurt() {
    use tercel_sigma::pipeline::parse as pipeline;
    let mut nested = String::from("transformations: [");
    nested.push_str(&"{type: nest, items: [".repeat(40));
    nested.push_str("{type: drop_detection_item}");
    nested.push_str(&"]}".repeat(40));
    nested.push(']');
    for text in
        ["", "x", "transformations: 5", "vars: [a]", &nested, "transformations: [{type: {}}]", "a: *b"]
    {
        let (p, found) = pipeline("p", text);
        assert!(p.is_none() && found.has_errors(), "{text}");
    }
}
