//! Hostile texts: deep, long, broken. One clear error, no panic, no blow-up.

use crate::common;

use std::time::{Duration, Instant};

use tercel_sumo::{Options, Profile, lint, parse, print};

/// Everything that can be done with a text.
fn all(text: &str) -> (Vec<&'static str>, bool) {
    let started = Instant::now();
    let (tree, diags) = parse(text);
    let _ = print(&tree);
    let _ = lint(&tree, &Options::default());
    let out = common::lowered(text, &common::Records::new(&[]), Profile::Intent);
    // Generous: a debug build on a busy machine. Quadratic behaviour takes minutes.
    assert!(started.elapsed() < Duration::from_secs(60), "too slow: {:?}", started.elapsed());
    (diags.iter().map(|d| d.code).collect(), out.rel.is_some())
}

#[test]
fn deep_nesting_is_one_error() {
    let n = 10_000;
    for text in [
        format!("* | where {}1{}", "(".repeat(n), ")".repeat(n)),
        format!("{}a{}", "(".repeat(n), ")".repeat(n)),
        format!("* | where {}x", "!".repeat(n)),
        format!("* | where {}x", "not ".repeat(n)),
        format!("{} x", "NOT ".repeat(n)),
        format!("* | {}1 as x", "-".repeat(n)),
        format!("* | {}1{} as x", "if(a,1,".repeat(n), ")".repeat(n)),
        format!("* | {}1 as x", "a ? 1 : ".repeat(n)),
        format!("* | x{} as y", " + 1".repeat(n)),
        format!("{}x{}", "[subquery: ".repeat(n), " | compose a]".repeat(n)),
        format!("* | {}x{}", "join (".repeat(n), ")".repeat(n)),
        format!("* | where {}", "[subquery: a | where ".repeat(n)),
    ] {
        let (codes, _) = all(&text);
        let deep = codes.iter().filter(|c| **c == "nesting-too-deep").count();
        assert_eq!(deep, 1, "{:?} for {}…", codes, &text[..40]);
    }
}

#[test]
fn long_chains_are_fine() {
    let chain = |what: &str, between: &str| vec![what; 50_000].join(between);
    for text in [
        format!("* | where {}", chain("a = \"x\"", " or ")),
        format!("* | where {}", chain("a = \"x\"", " and ")),
        chain("foo", " OR "),
        chain("foo", " "),
        format!("* | where a in ({})", chain("\"x\"", ", ")),
        format!("* | fields {}", chain("a", ", ")),
    ] {
        let (codes, ran) = all(&text);
        assert!(codes.is_empty(), "{codes:?}");
        assert!(ran, "{}…", &text[..40]);
    }
}

#[test]
fn many_operators_are_refused_not_run() {
    let (codes, ran) = all(&format!("*{}", " | a as b".repeat(20_000)));
    assert!(codes.is_empty() && !ran);
}

#[test]
fn many_errors_end() {
    for piece in [
        "| x ",
        "| where ",
        "| parse \"a\" ",
        "| \" ",
        "| eval x = matches(a, \"b\") ",
        "/* ",
        "| ( ",
        "\\\"\n",
        "{{",
        "'",
    ] {
        all(&piece.repeat(20_000));
    }
}

#[test]
fn odd_texts() {
    for text in [
        "",
        " ",
        "|",
        "||",
        "*",
        "\u{feff}*",
        "\0",
        "é",
        "// only a comment",
        "/* open",
        "* |",
        "* | |",
        "a=",
        "a= | count",
    ] {
        all(text);
    }
    assert_eq!(all("").0, ["empty-query"]);
}
