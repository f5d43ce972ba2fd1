//! Proofs on the command line: what lint finds in the published detections beside this repository, and how
//! the rules of a set relate.

use crate::common;
use common::{shared, tercel};
use serde_json::Value;
use std::fs;

/// What a text of the seeds must be told: its file, a code, the line (0: any), what the message or the
/// explanation holds.
const SEEDS: [(&str, &str, u64, &str); 16] = [
    // The field was renamed and its values were not.
    ("000_office_uncommon_ports.asim.kql", "never-fires", 2, "NetworkDirection holds only Inbound, Outbound"),
    ("003_suspicious_location.asim.kql", "never-fires", 2, "NetworkDirection holds only Inbound, Outbound"),
    // Numbers as texts.
    ("000_office_uncommon_ports.asim.kql", "type-mismatch", 2, "integer column compared with strings"),
    // Allowed and listed.
    ("001_commonly_used_port.defender.kql", "shadowed-item", 27, "`msiexec.exe`"),
    // An allow list that only ever keeps one name out.
    (
        "001_commonly_used_port.defender.kql",
        "item-never-matters",
        16,
        "19 of 20 items of this list change nothing",
    ),
    // A column that the table does not have.
    ("001_commonly_used_port.defender.kql", "unknown-column", 39, "AccountName"),
    // Forms that the service does not know.
    ("002_commonly_used_port.sumo", "sumo-nonstandard-eval", 11, "`eval` is not an operator"),
    ("002_commonly_used_port.sumo", "sumo-nonstandard-matches-call", 11, "is not a function of Sumo Logic"),
    // The split at the first separator, and the list that is dead because of it.
    ("002_commonly_used_port.sumo", "sumo-anchor-path-basename", 3, "not at the last"),
    ("002_commonly_used_port.sumo", "sumo-dead-filter", 6, "excludes nothing"),
    ("002_commonly_used_port.sumo", "sumo-case-sensitive-in", 6, "heeds the case"),
    ("002_commonly_used_port.sumo", "sumo-unanchored-exe-regex", 11, "this also matches"),
    ("002_commonly_used_port.sumo", "sumo-numeric-in-on-text", 5, "never equals a number"),
    ("002_commonly_used_port.sumo", "sumo-unreachable-label", 17, "never the result"),
    ("002_commonly_used_port.sumo", "sumo-hand-made-private-range", 18, "listed by hand"),
    ("002_commonly_used_port.sumo", "sumo-no-direction-test", 2, "both directions"),
];

#[test]
fn defects_of_the_seeds() {
    let Some(seeds) = shared("seeds") else { return };
    for (file, code, line, words) in SEEDS {
        let path = seeds.join(file).display().to_string();
        let r = tercel(&["lint", &path, "--budget", "20", "--format", "json"]);
        let found = r.json();
        let said = |f: &Value| format!("{} {}", f["message"], f["meaning"]);
        assert!(
            found.as_array().unwrap().iter().any(|f| {
                f["code"] == code && (line == 0 || f["line"] == line) && said(f).contains(words)
            }),
            "{file}: {code} {line} {words}: {found:#}"
        );
    }
    // The sources of the conversions are sound.
    for file in ["000_office_uncommon_ports.sigma.yml", "003_suspicious_location.sigma.yml"] {
        let path = seeds.join(file).display().to_string();
        assert_eq!(
            tercel(&["lint", &path, "--format", "json"]).code(0).json(),
            serde_json::json!([]),
            "{file}"
        );
    }
}

/// Pairs of the seeds: how they relate, and what the events that show it hold.
#[test]
fn pairs_of_the_seeds() {
    let Some(seeds) = shared("seeds") else { return };
    for name in ["000_office_uncommon_ports", "003_suspicious_location"] {
        let of = |end: &str| seeds.join(format!("{name}.{end}")).display().to_string();
        let r = tercel(&["verify", &of("sigma.yml"), &of("asim.kql"), "--budget", "20", "--format", "json"])
            .code(1);
        let found = r.json();
        // The conversion is inside the rule because it never fires at all.
        assert_eq!(found["relation"], "superset", "{found:#}");
        assert!(found["reason"].as_str().unwrap().contains("the second can never fire"), "{found:#}");
        let shown = found["witnesses"].as_array().unwrap();
        assert!(
            !shown.is_empty() && shown.iter().all(|w| w["fires"] == serde_json::json!(["a"])),
            "{found:#}"
        );
    }
    // "The same detection for two platforms": each restricted to a program that only one of them knows.
    let folder = tempfile::tempdir().unwrap();
    let kql = fs::read_to_string(seeds.join("001_commonly_used_port.defender.kql")).unwrap();
    let only = |program: &str| {
        let filter = format!("| where InitiatingProcessFileName =~ \"{program}\"\n| extend IsInternal");
        let path = folder.path().join(format!("{program}.kql"));
        assert!(kql.contains("| extend IsInternal"), "the text has changed");
        fs::write(&path, kql.replacen("| extend IsInternal", &filter, 1)).unwrap();
        path.display().to_string()
    };
    let never = |path: &str| {
        let r = tercel(&["verify", path, path, "--budget", "20", "--format", "json"]);
        r.json()["reason"].as_str().is_some_and(|w| w.contains("can ever fire"))
    };
    // 001 finds these two, and not what is allowed, nor what no list names.
    assert!(!never(&only("replace.exe")) && !never(&only("infdefaultinstall.exe")));
    assert!(never(&only("msiexec.exe")) && never(&only("nslookup.exe")));
}

fn rule(name: &str, source: &str, test: &str) -> String {
    format!(
        "title: {name}\nid: {name}\nlevel: low\nlogsource:\n{source}\ndetection:\n  s:\n    {test}\n  condition: s\n"
    )
}

#[test]
fn rules_of_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let windows = "  category: network_connection\n  product: windows";
    let linux = "  category: network_connection\n  product: linux";
    for (name, source, test) in [
        ("ports", windows, "DestinationPort: [4444, 5555]"),
        ("same", windows, "DestinationPort: ['5555', '4444']"),
        ("one", windows, "{DestinationPort: 4444, Initiated: 'true'}"),
        ("other", windows, "DestinationPort: 6666"),
        ("twin", linux, "DestinationPort: [4444, 5555]"),
    ] {
        fs::write(folder.path().join(format!("{name}.yml")), rule(name, source, test)).unwrap();
    }
    let path = folder.path().display().to_string();
    let r = tercel(&["rules", "overlap", &path, "--budget", "20", "--format", "json"]).code(0);
    let shown: Vec<(String, String, String)> = r
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            let text = |k: &str| p[k].as_str().unwrap().to_string();
            (text("relation"), text("first"), text("second"))
        })
        .collect();
    let pair = |r: &str, a: &str, b: &str| (r.to_string(), a.to_string(), b.to_string());
    assert_eq!(
        shown,
        [pair("subset", "one", "ports"), pair("subset", "one", "same"), pair("equal", "ports", "same")],
        "{}",
        r.out
    );
    assert!(r.err.contains("5 rules, 10 pairs: 1 equal, 2 contained, 0 overlap, 7 disjoint"), "{}", r.err);
    // All pairs, each with its events; those of other log sources say so.
    let all = tercel(&["rules", "overlap", &path, "--all", "--format", "json"]).code(0).json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 10);
    for p in all {
        match p["relation"].as_str().unwrap() {
            "disjoint" if p["first"] == "twin" || p["second"] == "twin" => {
                assert_eq!(p["reason"], "of different log sources");
            }
            "disjoint" => assert_eq!(p["witnesses"].as_array().unwrap().len(), 2, "{p}"),
            "subset" => assert_eq!(p["witnesses"].as_array().unwrap().len(), 2, "{p}"),
            _ => {}
        }
    }
    // For people, A is what is inside.
    let text = tercel(&["rules", "overlap", &path, "--format", "table"]).code(0).out;
    assert!(text.contains("contained: all that A finds, B finds too\n  A: one (one, "), "{text}");
    // And lint says it of each.
    let found = tercel(&["lint", &path, "--budget", "20", "--format", "json"]).code(0).json();
    let codes: Vec<&str> = found.as_array().unwrap().iter().filter_map(|f| f["code"].as_str()).collect();
    assert_eq!(codes.iter().filter(|c| **c == "equal-rules").count(), 1, "{found:#}");
    assert_eq!(codes.iter().filter(|c| **c == "contained-rule").count(), 2, "{found:#}");
    let none = tercel(&["lint", &path, "--no-pairs", "--format", "json"]).code(0).json();
    assert!(none.as_array().unwrap().iter().all(|f| f["code"] != "equal-rules"), "{none:#}");
}

#[test]
fn rules_of_two_languages() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("wide.kql", "DeviceNetworkEvents | where RemotePort in (4444, 5555)");
    write(
        "narrow.kql",
        "DeviceNetworkEvents | where RemotePort == 4444 and ActionType == 'ConnectionSuccess'",
    );
    write("group.kql", "DeviceNetworkEvents | summarize count() by RemotePort");
    let source = "  category: network_connection\n  product: windows";
    write("sigma.yml", &rule("sigma", source, "DestinationPort: 4444"));
    let path = folder.path().display().to_string();
    let r = tercel(&["rules", "overlap", &path, "--budget", "20", "--all", "--format", "json"]).code(0);
    let found = r.json();
    let relation = |a: &str, b: &str| {
        let all = found.as_array().unwrap();
        let p = all.iter().find(|p| p["first"] == a && p["second"] == b);
        p.map_or("none", |p| p["relation"].as_str().unwrap()).to_string()
    };
    assert_eq!(relation("narrow", "wide"), "subset", "{found:#}");
    assert_eq!(relation("sigma", "wide"), "overlap", "{found:#}");
    assert!(r.err.contains("not compared") && r.err.contains("groups events"), "{}", r.err);
}

/// Events that show a difference behave in the engine as the prover says.
#[test]
fn events_that_show_something_are_found_by_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pairs = [
        (
            "RemotePort in (80, 443) and InitiatingProcessFileName =~ 'cmd.exe'",
            "RemotePort == 443 and InitiatingProcessFileName startswith 'C'",
        ),
        ("RemoteUrl has 'example' or RemoteUrl endswith '.org'", "RemoteUrl contains 'EXAMPLE'"),
        ("RemoteUrl matches regex '^[a-c]{3}x?$'", "RemoteUrl startswith 'abc'"),
        ("RemoteIP startswith '10.' and not(RemotePort < 1024)", "ipv4_is_private(RemoteIP)"),
        ("isempty(RemoteUrl) and RemotePort > 9", "RemotePort > 10"),
        (
            "InitiatingProcessCommandLine contains '-enc' and InitiatingProcessCommandLine !contains 'update'",
            "InitiatingProcessCommandLine contains_cs '-ENC'",
        ),
    ];
    let mut shown = 0;
    for (a, b) in pairs {
        let a = write("a.kql", &format!("DeviceNetworkEvents | where {a}"));
        let b = write("b.kql", &format!("DeviceNetworkEvents | where {b}"));
        let found = tercel(&["verify", &a, &b, "--budget", "20", "--format", "json"]).json();
        let witnesses = found["witnesses"].as_array().unwrap().iter();
        for w in witnesses.filter(|w| w["table"] == "DeviceNetworkEvents") {
            let mut event = w["event"].clone();
            event["ReportId"] = 1.into();
            event["DeviceName"] = "host".into();
            if event.get("Timestamp").is_none() {
                event["Timestamp"] = "2024-05-01T12:00:00Z".into();
            }
            if event.get("ActionType").is_none() {
                event["ActionType"] = "ConnectionSuccess".into();
            }
            // What tells the shape of the rows, as the product exports them.
            let row =
                serde_json::json!({"category": "AdvancedHunting-DeviceNetworkEvents", "properties": event});
            let data = write("event.jsonl", &format!("{row}\n"));
            let r = tercel(&["hunt", &data, "-r", &a, "-r", &b, "--format", "jsonl"]).code(0);
            let hits: Vec<String> =
                r.lines().iter().map(|h| h["rule"].as_str().unwrap().to_string()).collect();
            let mut want: Vec<&str> =
                w["fires"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
            want.sort_unstable();
            let mut hits: Vec<&str> = hits.iter().map(String::as_str).collect();
            hits.sort_unstable();
            assert_eq!(hits, want, "{row}\n{found:#}\n{}", r.err);
            shown += 1;
        }
    }
    assert!(shown >= 8, "only {shown} events");
}
