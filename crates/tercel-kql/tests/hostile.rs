//! Texts made to break a parser: an error, never a crash, never minutes.

use crate::support;

use tercel_ir::Severity;

/// Parses, prints, lowers and drops; the codes of the errors.
fn survive(text: &str) -> Vec<&'static str> {
    let (ast, found) = tercel_kql::parse(text);
    let printed = tercel_kql::print(&ast);
    let (lowered, more) = tercel_kql::lower(&ast, &support::Tables::new(), &tercel_kql::Options::default());
    let _ = tercel_kql::lint(&ast);
    drop((printed, lowered));
    found.iter().chain(more.iter()).filter(|d| d.severity == Severity::Error).map(|d| d.code).collect()
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = 10_000;
    for text in [
        format!("print x = {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("print x = {}", "(".repeat(deep)),
        format!("print x = {}1{}", "not(".repeat(deep), ")".repeat(deep)),
        format!("print x = {}1", "f(".repeat(deep)),
        format!("print x = dynamic({}{})", "[".repeat(deep), "]".repeat(deep)),
        format!("print x = dynamic({}", "{'a':".repeat(deep)),
        format!("{}T{}", "union (".repeat(deep), ")".repeat(deep)),
        "T | join (".repeat(deep),
        format!("let f = () {{ {} }}; f()", "let g = () {".repeat(deep)),
        format!("print x = {}1{}", "a[".repeat(deep), "]".repeat(deep)),
        format!("T | where x in ({}", "T | where x in (".repeat(deep)),
        format!("T | {}", "fork (".repeat(deep)),
        format!("T | {}", "facet by a with (".repeat(deep)),
        format!("T | where {}x", "1 + (2 * (a has (".repeat(deep)),
    ] {
        let codes = survive(&text);
        assert!(codes.contains(&"nesting-too-deep"), "{}…: {codes:?}", &text[..40]);
    }
}

#[test]
fn nesting_that_people_write_is_none() {
    let nested = format!("print x = {}1{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(survive(&nested), Vec::<&str>::new());
    let mut iffs = String::from("1");
    for i in 0..80 {
        iffs = format!("iff(now() > ago({i}d), {i}, {iffs})");
    }
    assert_eq!(survive(&format!("print x = {iffs}")), Vec::<&str>::new());
}

#[test]
fn long_chains_do_not_nest() {
    let n = 100_000;
    for text in [
        format!("Traffic | where {}true", "Host == 'a' or ".repeat(n)),
        format!("Traffic | where {}true", "Host == 'a' and ".repeat(n)),
        format!("Traffic | where Port in ({}1)", "1,".repeat(n)),
        format!("print x = strcat({}'a')", "'a',".repeat(n)),
        format!("print x = dynamic([{}1])", "1,".repeat(n)),
        format!("print x = {}", "'a' ".repeat(n)),
        format!("datatable(a:long)[{}]", "1,".repeat(n)),
        format!("{}print 1", "let a = 1;".repeat(2_000)),
        "\n// comment".repeat(n),
        ";".repeat(n),
    ] {
        let codes = survive(&text);
        assert!(codes.iter().all(|c| *c == "no-query"), "{}…: {codes:?}", &text[..30]);
    }
    // Sums and pipelines do nest once lowered; beyond a limit that is an error of its own.
    for text in [
        format!("print x = {}1", "1 + ".repeat(n)),
        format!("Traffic | where Port > {}1", "Port - ".repeat(n)),
        format!("Traffic {}", "| where Port > 1 ".repeat(n)),
        format!("Traffic | extend a = AdditionalFields{}", ".b".repeat(n)),
        format!("print x = 1 {}", "| extend x = x + 1".repeat(n)),
        format!("print x = now(){}", " - 1d".repeat(n)),
        format!("print a {}", "has a ".repeat(n)),
        format!("print {}1", "-".repeat(n)),
    ] {
        let codes = survive(&text);
        assert!(
            codes.iter().all(|c| matches!(*c, "nesting-too-deep" | "syntax" | "unknown-name")),
            "{codes:?}"
        );
    }
}

#[test]
fn doubling_is_bounded() {
    let mut tables = String::from("let t0 = Traffic;");
    let mut values = String::from("let v0 = now();");
    let mut texts = String::from("let s0 = 'abcdefgh';");
    let mut functions = String::from("let f0 = (x:long) { x };");
    for i in 0..60 {
        let n = i + 1;
        tables += &format!("let t{n} = union t{i}, t{i};");
        values += &format!("let v{n} = iff(v{i} > v{i}, v{i}, v{i});");
        texts += &format!("let s{n} = strcat(s{i}, s{i});");
        functions += &format!("let f{n} = (x:long) {{ f{i}(x) + f{i}(x) }};");
    }
    assert!(survive(&format!("{tables} t60")).contains(&"query-too-large"));
    assert!(!survive(&format!("{values} print v60")).is_empty());
    let mut lets = String::from("let g0 = () { Traffic };");
    for i in 0..40 {
        lets += &format!("let g{} = () {{ let a = g{i}(); let b = g{i}(); let c = g{i}(); a }};", i + 1);
    }
    assert!(!survive(&format!("{lets} g40()")).is_empty());
    // Constant text stops being folded; nothing grows.
    survive(&format!("{texts} print strlen(s60)"));
    assert!(!survive(&format!("{functions} print f60(toscalar(Traffic | count))")).is_empty());
    assert!(
        survive("Loop").contains(&"unknown-function") || survive("Loop").contains(&"bad-stored-function")
    );
}

#[test]
fn broken_texts() {
    for text in [
        "",
        ";",
        "|",
        "| |",
        "T |",
        "T | where",
        "T | where x ==",
        "let",
        "let x",
        "let x =",
        "let x = ;",
        "T | where \"abc",
        "T | where 'abc\\",
        "T | where x == @\"a",
        "```",
        "h```",
        "~~~",
        "~",
        "`",
        "\0",
        "\u{feff}T",
        "\u{201c}T\u{201d}",
        "T | where x == 99999999999999999999999",
        "T | where x == 0x",
        "T | where x == 1e",
        "T | where x == 1.",
        "T | where x == 1..",
        "datetime(",
        "datetime(now())",
        "print datetime(xyz)",
        "print dynamic({)",
        "print dynamic()",
        "print [",
        "print ['",
        "print ['a",
        "print ['a'",
        "print $left",
        "print a.",
        "print a..b",
        "print a[",
        "T | evaluate",
        "T | evaluate f",
        "T | scan with (",
        "T | graph-match (",
        "T | make-graph a -",
        "T | parse x with",
        "T | render",
        "T | partition by",
        "T | top-nested 1 of a by b, x",
        "declare pattern",
        "declare query_parameters(",
        "restrict access",
        "alias database",
        "set",
        "let f = (a:",
        "let f = (a:int = ) { a }; f()",
        "let f = () {",
        "let f = (){}; f()",
        "}",
        ")",
        "]",
        "({[",
        "print ())",
        "T | project-",
        "T | -project",
        "print 1 !",
        "print 1 !foo 2",
        "print 1 ! in (2)",
        "union",
        "union *",
        "search",
        "find",
    ] {
        survive(text);
    }
}

#[test]
fn several_errors_in_one_go() {
    let text = "let a = ;\nTraffic\n| where Port ==\n| extend x = (1 + ), y = 2\n| projct Host\n| summarize count() by\n";
    let (ast, found) = tercel_kql::parse(text);
    assert!(found.len() >= 4, "{found:#?}");
    // What could be read is there.
    assert_eq!(ast.statements.len(), 2);
    let help: Vec<_> = found.iter().filter_map(|d| d.help.as_deref()).collect();
    assert!(help.iter().any(|h| h.contains("`project`")), "{help:?}");
}
