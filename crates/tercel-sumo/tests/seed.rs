//! The published detection that this front end must run as its author meant, on our own events.

use crate::common;

use serde_json::json;
use tercel_ir::{Type, Value};
use tercel_sumo::{Options, Profile, lint, parse};

fn codes(d: &tercel_ir::Diagnostics) -> Vec<&'static str> {
    let mut c: Vec<_> = d.iter().map(|d| d.code).collect();
    c.sort_unstable();
    c
}

#[test]
fn findings() {
    let Some(query) = common::shared("seeds/002_commonly_used_port.sumo") else { return };
    let (tree, d) = parse(&query);
    assert!(!d.has_errors());
    let found = lint(&tree, &Options::default());
    for f in found.iter() {
        let s = f.span.expect("a place");
        println!(
            "{}: {}\n   at {}\n   {:?}\n   {:?}",
            f.code,
            f.message,
            &query[s.range()],
            f.meaning,
            f.help
        );
        assert!(f.meaning.is_some() && f.help.is_some());
    }
    assert_eq!(
        codes(&found),
        [
            "sumo-anchor-path-basename",
            "sumo-boolean-as-string",
            "sumo-case-sensitive-in",
            "sumo-dead-filter",
            "sumo-hand-made-private-range",
            "sumo-no-direction-test",
            "sumo-nonstandard-eval",
            "sumo-nonstandard-eval",
            "sumo-nonstandard-eval",
            "sumo-nonstandard-eval",
            "sumo-nonstandard-eval",
            "sumo-nonstandard-matches-call",
            "sumo-nonstandard-matches-call",
            "sumo-nonstandard-matches-call",
            "sumo-nonstandard-matches-call",
            "sumo-numeric-in-on-text",
            "sumo-unanchored-exe-regex",
            "sumo-unanchored-exe-regex",
            "sumo-unanchored-exe-regex",
            "sumo-unreachable-label",
        ]
    );
    let example = found.iter().find(|f| f.code == "sumo-unanchored-exe-regex").expect("the finding");
    assert!(example.message.contains("dsregcmd.exe"), "{}", example.message);
}

#[test]
fn strict_refuses_what_sumo_lacks() {
    let Some(query) = common::shared("seeds/002_commonly_used_port.sumo") else { return };
    let out = common::lowered(&query, &common::Records::new(&[]), Profile::Strict);
    assert!(out.rel.is_none());
    let errors = out.errors();
    assert!(errors.iter().any(|e| e.starts_with("sumo-nonstandard-eval")), "{errors:?}");
}

#[test]
fn rows_as_its_author_meant() {
    let Some(query) = common::shared("seeds/002_commonly_used_port.sumo") else { return };
    // Typed as the tables type them, where the query writes texts.
    let records = common::Records::new(&[
        ("EventID", Type::Int),
        ("DestinationPort", Type::Int),
        ("Image", Type::String),
        ("Computer", Type::String),
    ]);
    let event = |image: Option<&str>, port: i64, ip: &str, id: i64| {
        let mut e = json!({
            "_messagetime": 1_600_000_000_000_i64 + id, "_sourceCategory": "Windows/Sysmon", "EventID": 3, "Computer": format!("h{id}"),
            "DestinationPort": port, "DestinationIp": ip,
        });
        if let Some(i) = image {
            e["Image"] = i.into();
        }
        e
    };
    let input = vec![
        event(Some(r"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.exe"), 443, "203.0.113.9", 1),
        event(Some(r"C:\Windows\System32\svchost.exe"), 443, "203.0.113.9", 2),
        event(Some(r"C:\Windows\System32\rundll32.exe"), 8443, "203.0.113.9", 3),
        event(Some(r"C:\Windows\hh.exe"), 80, "10.1.2.3", 4),
        event(Some("notepad.exe"), 53, "203.0.113.9", 5),
        // Without process context there is nothing to find, and nothing to fail on.
        event(None, 443, "203.0.113.9", 6),
        event(Some(r"C:\Windows\System32\dsregcmd.exe"), 443, "203.0.113.9", 7),
    ];
    let out = common::lowered(&query, &records, Profile::Intent);
    let rel = out.rel.unwrap_or_else(|| panic!("{:?}", out.diagnostics));
    let columns: Vec<String> = rel.schema.names().map(str::to_owned).collect();
    assert_eq!(
        columns,
        [
            "_messageTime",
            "Computer",
            "User",
            "process_name",
            "CommandLine",
            "ParentImage",
            "DestinationIp",
            "DestinationPort",
            "IsInternal",
            "SuspicionLabel"
        ]
    );
    let rows = common::run(&rel, &common::rows(&input));
    let want = ["Computer", "process_name", "CommandLine", "IsInternal", "SuspicionLabel"].map(str::to_owned);
    let got: Vec<Vec<Value>> = rows.iter().map(|r| common::pick(r, &want)).collect();
    let s = |x: &str| Value::str(x);
    assert_eq!(
        got,
        [
            [s("h7"), s("dsregcmd.exe"), Value::Null, s("false"), s("ScriptInterpreter")],
            [s("h5"), s("notepad.exe"), Value::Null, s("false"), s("UnusualSystemProcess")],
            [s("h4"), s("hh.exe"), Value::Null, s("true"), s("LOLBin")],
            [s("h1"), s("PowerShell.exe"), Value::Null, s("false"), s("ScriptInterpreter")],
        ]
    );
}
