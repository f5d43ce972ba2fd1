//! No text, however odd, makes loading, compiling or linting fall over.

use proptest::prelude::*;
use std::sync::LazyLock;
use tercel_catalog::{CompileOptions, Detection, Language, LintOptions, Role, lint};
use tercel_schema::{SchemaCatalog, Schemas};

static CATALOG: LazyLock<SchemaCatalog> =
    LazyLock::new(|| SchemaCatalog::new(Schemas::builtin(), Vec::new()));

/// Pieces of the three languages, put together without sense.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "title: a\n",
        "id: b\n",
        "level: high\n",
        "logsource:\n  category: network_connection\n  product: windows\n",
        "detection:\n  s:\n    Image|endswith: '\\x.exe'\n",
        "  condition: s\n",
        "condition: 1 of them",
        "---\n",
        "- ",
        "? [",
        "DeviceNetworkEvents\n",
        "Sysmon ",
        "| where ",
        "| extend x = ",
        "| summarize count() by ",
        "| project ",
        "RemotePort",
        "EventID == 3",
        " in~ (\"a\", 1)",
        "let f = (a:int) {",
        "}",
        "; ",
        "_sourceCategory=windows/sysmon ",
        "| parse \"*:*\" as a, b ",
        "| count by Image",
        "matches /x/",
        "// title: t\n",
        "/* level: low */ ",
        "// tags: attack.t1071\n//  - x\n",
        "(",
        ")",
        "'",
        "\"",
        "\u{feff}",
        "é",
        "\u{202e}",
        "\n",
        "\t",
        "0x",
        "-1",
        "1d",
        " and ",
        " or ",
        "not ",
        "|",
        "%",
        "\\",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|v| v.concat())
}

fn languages() -> impl Strategy<Value = Language> {
    prop::sample::select(vec![Language::Sigma, Language::Kql, Language::Sumo])
}

/// What every finding must be: a place within the text, from where it starts to where it ends.
fn check(language: Language, text: &str, strict: bool) {
    let mut d = Detection::of_query(language, text.to_string(), "text");
    let found = lint(
        &mut d,
        &*CATALOG,
        &LintOptions {
            prove: Some(tercel_verify::Budget::default()),
            compile: CompileOptions { strict, ..CompileOptions::default() },
            ..LintOptions::default()
        },
    );
    let runs = d.rel.is_some() || d.correlation.is_some();
    assert_eq!(runs, !d.has_errors() && d.role() != Role::Filter, "{:?}", d.diagnostics);
    for f in found {
        assert!(f.line >= 1 && f.column >= 1 && (f.end_line, f.end_column) >= (f.line, f.column), "{f:?}");
        assert!(f.diagnostic.span.is_none_or(|s| s.end as usize <= text.len()), "{f:?}");
        assert!(!f.diagnostic.message.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_rules(language in languages(), text in pieces(), strict in any::<bool>()) {
        check(language, &text, strict);
    }

    #[test]
    fn any_text(language in languages(), text in "\\PC{0,120}") {
        check(language, &text, false);
    }

    #[test]
    fn guessing_the_language(text in pieces()) {
        check(Language::of_text(&text), &text, false);
    }
}
