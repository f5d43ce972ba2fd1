//! For any text: no panic, and what parses prints to what parses to the same.

use crate::common;

use proptest::prelude::*;
use tercel_sumo::{Options, Profile, lint, parse, print};

fn check(text: &str) -> Result<(), TestCaseError> {
    let (tree, diags) = parse(text);
    for d in diags.iter() {
        if let Some(s) = d.span {
            prop_assert!(
                text.get(s.range()).is_some(),
                "a place outside of the text, or inside a character: {d:?}"
            );
        }
    }
    let printed = print(&tree);
    if !diags.has_errors() {
        let (again, d2) = parse(&printed);
        prop_assert!(!d2.has_errors(), "printed text does not parse: {:?}\n{}\n{}", d2, text, printed);
        prop_assert_eq!(&again, &tree, "{}\n{}", text, &printed);
    }
    for d in lint(&tree, &Options::default()).iter() {
        if let Some(s) = d.span {
            prop_assert!(text.get(s.range()).is_some(), "{d:?}");
        }
    }
    for profile in [Profile::Intent, Profile::Strict] {
        let out = common::lowered(text, &common::Records::new(&[]), profile);
        prop_assert!(out.rel.is_some() != out.diagnostics.has_errors());
        if let Some(rel) = out.rel {
            // Conditions are never null, whatever the row; the evaluator asserts it.
            let rows = [
                vec![],
                vec![
                    ("_raw".to_owned(), tercel_ir::Value::str("a b=1 {\"x\":{\"y\":2}}")),
                    ("a".to_owned(), tercel_ir::Value::str("1")),
                ],
            ];
            common::run(&rel, &rows);
        }
    }
    Ok(())
}

/// Pieces of the language, so that random texts get somewhere.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        " ",
        " ",
        "\n",
        "|",
        "| ",
        "| where ",
        "| parse ",
        "| parse regex ",
        "| json ",
        "| count",
        "| sum(a)",
        " by ",
        " as ",
        "x",
        "a",
        "_raw",
        "_sourceCategory",
        "%\"odd name\"",
        "\"*=*\"",
        "\"a*b\"",
        "\"(?<x>a)\"",
        "\"b\"",
        "\"x.y\"",
        "1",
        "5m",
        "2Gi",
        "=",
        "!=",
        "<",
        ">=",
        "(",
        ")",
        "[",
        "]",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "?",
        ":",
        "!",
        " and ",
        " or ",
        " not ",
        " in ",
        " matches ",
        "/re/",
        " contains ",
        "if(",
        "isNull(",
        "toLowerCase(",
        "concat(",
        "matches(",
        "| eval x = ",
        "| fields ",
        "- ",
        "| sort by ",
        " desc",
        "| limit 3",
        "| top 3 ",
        "| timeslice 1m",
        "| transpose row a column b",
        "nodrop",
        " multi",
        "field=a ",
        "{{p}}",
        "'",
        "\"",
        "\\",
        "//c\n",
        "/*c*/",
        "[subquery: ",
        "compose ",
        "| join (",
        " on ",
        "| lookup a from ",
        "path://t",
        "é",
        "NOT ",
        "OR ",
        "AND ",
        "| filter a in (",
        "| fillmissing timeslice",
        "| outlier a window=5",
        "| compare timeshift 1d",
        "| total a",
        "| csv a extract 1 as b",
        "| split a delim=':' extract 1 as b",
        "| keyvalue \"k\"",
        "| min(a, b) as c",
        "null",
        "true",
        "$$src",
        "| save /x/y",
        "| transactionize a (merge b takeLast)",
        "| logreduce(a) by b",
        "| dedup 2 by a",
        "| topk(1, a)",
        "| withtime a",
        "| most_recent(a_withtime) as m",
        "| if(a = \"1\", 1, 0) as f",
        "| num(a)",
        "| json auto",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in ".{0,80}") {
        check(&text)?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn pieces_of_the_language(pieces in prop::collection::vec(piece(), 0..24)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn pieces_behind_a_scope(pieces in prop::collection::vec(piece(), 0..14)) {
        check(&format!("* {}", pieces.concat()))?;
    }
}
