//! `tercel test`, as a whole process: tests that pass and fail, and tests that it makes.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testing")
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if !path.exists() {
        println!("skipped: {} is not beside the repository, because it is not ours to ship", path.display());
        return None;
    }
    Some(path)
}

fn tercel<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tercel")).args(args).output().unwrap()
}

fn out(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

fn said(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Copies a sample rule into a folder.
fn copied(folder: &Path, name: &str) -> String {
    let to = folder.join(name);
    fs::copy(samples().join(name), &to).unwrap();
    to.display().to_string()
}

#[test]
fn what_is_generated_passes() {
    let folder = tempfile::tempdir().unwrap();
    let rules = samples().display().to_string();
    let to = folder.path().display().to_string();
    let made = tercel(["test", rules.as_str(), "--generate", "-o", to.as_str()]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    assert!(said(&made).contains("never.kql: can never fire"), "{}", said(&made));
    assert!(said(&made).contains(" 0 wrong;"), "{}", said(&made));
    let again = tercel(["test", rules.as_str(), "--generate", "-o", to.as_str()]);
    assert_eq!(again.status.code(), Some(2), "nothing is overwritten unasked");

    // Hits and misses by rule.
    let mut by_rule: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for f in fs::read_dir(folder.path()).unwrap() {
        for l in lines(&fs::read_to_string(f.unwrap().path()).unwrap()) {
            let n = by_rule.entry(l["only"][0].as_str().unwrap().to_string()).or_default();
            if l["expect"] == "hit" { n.0 += 1 } else { n.1 += 1 }
        }
    }
    assert_eq!(by_rule.len(), 9, "{by_rule:?}");
    assert!(by_rule.values().all(|n| n.0 > 0 && n.1 > 0), "{by_rule:?}");

    let run = tercel(["test", rules.as_str(), "--fixtures", to.as_str(), "--format", "jsonl"]);
    assert_eq!(run.status.code(), Some(0), "{}\n{}", out(&run), said(&run));
    let results = lines(&out(&run));
    assert_eq!(results.len(), by_rule.values().map(|n| n.0 + n.1).sum::<usize>());
    assert!(results.iter().all(|r| r["result"] == "passed"));
}

#[test]
fn events_of_every_source_fire_when_they_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let rule = samples().join("download.yml").display().to_string();
    for source in ["sysmon", "security", "windows", "winlogbeat", "sentinel", "defender"] {
        for (only, fires) in [("hits", true), ("misses", false)] {
            let args = ["test", rule.as_str(), "--generate", "--source", source, "--only", only];
            let made = tercel(args.into_iter().chain(["--format", "ndjson"]));
            assert_eq!(made.status.code(), Some(0), "{source}: {}", said(&made));
            let events = lines(&out(&made));
            assert!(events.len() >= 2, "{source}: {}", said(&made));
            let data = folder.path().join(format!("{source}.{only}.ndjson"));
            fs::write(&data, out(&made)).unwrap();
            let data = data.display().to_string();
            let hunt = tercel(["hunt", data.as_str(), "-r", rule.as_str(), "--format", "jsonl"]);
            assert_eq!(hunt.status.code(), Some(0), "{}", said(&hunt));
            let hits = lines(&out(&hunt));
            assert_eq!(hits.len(), if fires { events.len() } else { 0 }, "{source}: {}", said(&hunt));
        }
    }
    // Each in its own words.
    let read = |s: &str| fs::read_to_string(folder.path().join(s)).unwrap();
    assert!(
        read("sysmon.hits.ndjson").contains("\"ParentImage\"")
            || read("sysmon.misses.ndjson").contains("\"ParentImage\"")
    );
    assert!(read("security.hits.ndjson").contains("\"NewProcessName\""));
    assert!(read("defender.hits.ndjson").contains("\"ProcessCommandLine\""));
    assert!(read("sentinel.hits.ndjson").contains("<Data Name="));
    assert!(read("winlogbeat.hits.ndjson").contains("\"event_data\""));
    let zeek = tercel(["test", rule.as_str(), "--generate", "--source", "zeek"]);
    assert_eq!(zeek.status.code(), Some(2));
    assert!(said(&zeek).contains("zeek writes none of them"), "{}", said(&zeek));
}

/// Events are such as the sensor would write, so that a conversion that is proved exact of such events finds
/// the same among them as the rule.
#[test]
fn what_is_generated_is_what_a_sensor_writes() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows");
    let beside = fs::read_to_string(rules.join("beside.txt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for source in ["sysmon", "defender"] {
        for entry in fs::read_dir(&rules).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "yml") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            let rule = path.display().to_string();
            let made = tercel(["test", rule.as_str(), "--generate", "--source", source]);
            assert_eq!(made.status.code(), Some(0), "{name}: {}", said(&made));
            let fixtures = lines(&out(&made));
            assert!(fixtures.len() >= 3, "{name}: {}", said(&made));
            let fields = |f: &Value| match &f["event"]["Event"]["EventData"] {
                Value::Null => f["event"].get("properties").unwrap_or(&f["event"]).clone(),
                data => data.clone(),
            };
            for f in &fixtures {
                let has = fields(f);
                for line in beside.lines().filter(|l| !l.starts_with('#')) {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    if words[..2] == [source, name] {
                        let there = words[2..].iter().filter(|w| has.get(**w).is_some()).count();
                        assert!(there == 0 || there == words.len() - 2, "{line}: {has}");
                        seen += there;
                    }
                }
                let path = |of: &str| has.get(of).and_then(Value::as_str);
                for of in ["", "InitiatingProcess"] {
                    if let Some(whole) = path(&format!("{of}FolderPath")) {
                        let last = path(&format!("{of}FileName")).unwrap();
                        assert_eq!(whole.rsplit('\\').next(), Some(last), "{has}");
                    }
                }
            }
            let events: Vec<String> = fixtures.iter().map(|f| format!("{}\n", f["event"])).collect();
            let data = folder.path().join(format!("{name}.{source}.ndjson")).display().to_string();
            fs::write(&data, events.concat()).unwrap();
            let hits = |rule: &str| -> Vec<i64> {
                let run = tercel(["hunt", data.as_str(), "-r", rule, "--format", "jsonl"]);
                assert_eq!(run.status.code(), Some(0), "{}", said(&run));
                lines(&out(&run)).iter().map(|h| h["record"].as_i64().unwrap()).collect()
            };
            let found = hits(&rule);
            let expected = fixtures.iter().filter(|f| f["expect"] == "hit").count();
            assert_eq!(found.len(), expected, "{name} {source}");
            for schema in ["defender", "asim"] {
                let args = ["convert", rule.as_str(), "--to", "kql", "--schema", schema, "--format", "jsonl"];
                let converted = lines(&out(&tercel(args))).remove(0);
                if converted["fidelity"] != "exact" {
                    continue;
                }
                let query = folder.path().join(format!("{name}.{schema}.kql"));
                fs::write(&query, converted["text"].as_str().unwrap()).unwrap();
                assert_eq!(hits(&query.display().to_string()), found, "{name}: {source} {schema}");
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn failures_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let rule = copied(folder.path(), "download.yml");
    let event = |image: &str, command: &str| {
        format!(
            r#"{{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Image":"{image}","CommandLine":"{command}"}}"#
        )
    };
    let tool = r"C:\\Windows\\certutil.exe";
    let fixtures = [
        format!(r#"{{"expect":"hit","why":"right","event":{}}}"#, event(tool, "a -urlcache b")),
        format!(r#"{{"expect":"hit","why":"no verb","event":{}}}"#, event(tool, "a -encode b")),
        format!(r#"{{"expect":"miss","why":"it is one","event":{}}}"#, event(tool, "a /verifyctl b")),
        format!(
            r#"{{"expect":"miss","only":["kql"],"why":"other kind","event":{}}}"#,
            event(tool, "a -urlcache b")
        ),
        format!(
            r#"{{"expect":"hit","why":"a group","events":[{0},{0}],"rows":[{{}},{{}}]}}"#,
            event(tool, "a -urlcache b")
        ),
    ];
    let file = folder.path().join("download.fixtures.jsonl");
    fs::write(&file, fixtures.join("\n")).unwrap();
    let junit = folder.path().join("results.xml").display().to_string();
    let run = tercel(["test", rule.as_str(), "--junit", junit.as_str()]);
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let text = out(&run);
    assert_eq!(text.lines().count(), 2, "{text}");
    let of = |n: &str| {
        text.lines().find(|l| l.contains(&format!(".jsonl:{n} "))).unwrap_or_else(|| panic!("{text}"))
    };
    assert!(of("2").contains("(no verb)") && of("2").contains("expected a hit"), "{text}");
    assert!(of("2").contains("-urlcache") && of("2").contains("-encode b"), "{text}");
    assert!(of("3").contains("expected none") && of("3").contains("it matches since"), "{text}");
    assert!(
        said(&run).contains("4 tests of 1 rule: 2 passed, 2 failed (1 rule); 0 rules without tests"),
        "{}",
        said(&run)
    );
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("tests=\"4\" failures=\"2\"") && xml.matches("<failure ").count() == 2, "{xml}");

    // What cannot be read as a fixture is no test that passed.
    fs::write(&file, "{\"expect\":\"hit\"}\n").unwrap();
    let run = tercel(["test", rule.as_str()]);
    assert_eq!(run.status.code(), Some(2));
    assert!(said(&run).contains("neither `event` nor `events`"), "{}", said(&run));
    fs::remove_file(&file).unwrap();
    let run = tercel(["test", rule.as_str(), "--explain-skips"]);
    assert_eq!(run.status.code(), Some(0));
    assert!(said(&run).contains("no tests: Certutil downloads a file"), "{}", said(&run));
}

#[test]
fn rules_of_the_pack_pass_their_tests() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../detections/exfiltration");
    let run = tercel(["test", &rules.display().to_string()]);
    assert_eq!((run.status.code(), out(&run)), (Some(0), String::new()), "{}", said(&run));
    assert!(said(&run).contains(" 0 failed; 0 rules without tests"), "{}", said(&run));
}

#[test]
fn public_regression_data_is_found_and_passes() {
    let Some(rules) = shared("conformance/sigma/rules") else { return };
    let run = tercel(["test", &rules.display().to_string()]);
    assert_eq!(run.status.code(), Some(0), "{}\n{}", out(&run), said(&run));
    // One upstream has switched off.
    assert!(
        said(&run).contains("109 tests of 109 rules: 109 passed, 0 failed; 1 rule without tests"),
        "{}",
        said(&run)
    );
}

#[test]
fn published_conversions_that_can_never_fire_are_told() {
    let Some(seeds) = shared("seeds") else { return };
    let seed = |name: &str| {
        let path = seeds.join(name).display().to_string();
        tercel(["test", path.as_str(), "--generate"])
    };
    for name in ["000_office_uncommon_ports.asim.kql", "003_suspicious_location.asim.kql"] {
        let made = seed(name);
        assert!(said(&made).contains("can never fire") && out(&made).is_empty(), "{name}: {}", said(&made));
    }
    for (name, hits) in
        [("000_office_uncommon_ports.sigma.yml", 5), ("001_commonly_used_port.defender.kql", 30)]
    {
        let made = seed(name);
        assert_eq!(made.status.code(), Some(0), "{name}: {}", said(&made));
        let n = lines(&out(&made)).iter().filter(|l| l["expect"] == "hit").count();
        assert!(n >= hits, "{name}: {n}");
    }
}

#[test]
fn hostile_rules_end_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let items: Vec<String> = (0..5000).map(|i| format!("'*a{i}*b?c{i}*'")).collect();
    let text = format!(
        "title: T\nid: 1b0c1e9e-8f35-4c58-9a51-0c44d1c2a111\nlogsource: {{category: process_creation, product: windows}}\n\
         detection:\n  a:\n    CommandLine: [{0}]\n  b:\n    CommandLine: [{0}]\n  c:\n    CommandLine|re: '(x+x+)+y(a|b|ab)*'\n\
         \x20 condition: a and c and not b\n",
        items.join(", ")
    );
    let rule = folder.path().join("hostile.yml");
    fs::write(&rule, text).unwrap();
    let rule = rule.display().to_string();
    let started = std::time::Instant::now();
    let made = tercel(["test", rule.as_str(), "--generate", "--budget", "0.2", "--limit", "5"]);
    assert!(matches!(made.status.code(), Some(0 | 2)), "{}", said(&made));
    assert!(started.elapsed() < std::time::Duration::from_secs(120), "{:?}", started.elapsed());
}
