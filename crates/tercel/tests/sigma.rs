//! What only Sigma has, as whole processes: correlations, filters, placeholders, pipelines; and `explain`.

use crate::common;
use common::{folder, path, tercel};
use serde_json::{Value, json};

const START: &str = "title: A shell starts
id: aaaaaaaa-0000-4000-8000-000000000001
name: shell
status: test
level: low
logsource: {category: process_creation, product: windows}
detection:
  shell: {Image|endswith: ['\\cmd.exe', '\\powershell.exe']}
  condition: shell
";

fn started(at: &str, host: &str, image: &str, user: &str) -> String {
    let event = json!({
        "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "SourceName": "Microsoft-Windows-Sysmon",
        "Hostname": host, "@timestamp": format!("2024-05-01T10:{at}Z"), "UtcTime": format!("2024-05-01 10:{at}.000"),
        "Image": image, "User": user, "CommandLine": format!("{image} /c dir"), "ParentImage": "C:\\Windows\\explorer.exe",
    });
    event.to_string() + "\n"
}

fn correlation(body: &str) -> String {
    format!(
        "{START}---\ntitle: Shells in a row\nid: bbbbbbbb-0000-4000-8000-000000000001\nlevel: high\ncorrelation:\n{body}"
    )
}

#[test]
fn a_count_fires_once_a_run_and_names_its_events() {
    // Out of order, two hosts, one event without a user's name.
    let cmd = r"C:\Windows\System32\cmd.exe";
    let events = [
        started("04:00", "A", cmd, "x"),
        started("00:00", "A", cmd, "x"),
        started("02:00", "A", cmd, "x"),
        started("03:00", "B", cmd, "x"),
        started("05:00", "B", cmd, "x"),
        started("06:00", "A", r"C:\Windows\notepad.exe", "x"),
        started("04:30", "A", cmd, "x"),
    ]
    .concat();
    let rules = correlation(
        "  type: event_count\n  rules: shell\n  group-by: Computer\n  timespan: 5m\n  condition: {gte: 3}\n",
    );
    let dir = folder(&[("r.yml", &rules), ("e.jsonl", &events)]);
    let (data, rule) = (path(&dir, "e.jsonl"), path(&dir, "r.yml"));
    let r = tercel(&["hunt", &data, "-r", &rule, "--format", "jsonl"]).code(0);
    let hits = r.lines();
    assert_eq!(hits.len(), 1, "{}", r.out);
    let h = &hits[0];
    assert_eq!((&h["level"], &h["time"]), (&json!("high"), &json!("2024-05-01T10:04:00.0000000Z")));
    let e = &h["event"];
    assert_eq!(
        (&e["correlation"], &e["Computer"], &e["value"], &e["hits"]),
        (&json!("event_count"), &json!("A"), &json!(3), &json!(3))
    );
    assert_eq!((&e["until"], &e["more_hits"]), (&json!("2024-05-01T10:04:30.0000000Z"), &json!(1)));
    let records: Vec<&Value> = e["events"].as_array().unwrap().iter().map(|x| &x["record"]).collect();
    assert_eq!(records, [1, 2, 0]);
    assert!(e["events"][0]["source"].as_str() == Some(&data), "{e}");

    // The rule itself reports only when it is asked to.
    let all = rules.replace("  timespan: 5m\n", "  timespan: 5m\n  generate: true\n");
    let dir = folder(&[("r.yml", &all), ("e.jsonl", &events)]);
    let r =
        tercel(&["hunt", &path(&dir, "e.jsonl"), "-r", &path(&dir, "r.yml"), "--format", "jsonl"]).code(0);
    assert_eq!(r.lines().len(), 1 + 6, "{}", r.out);
}

#[test]
fn broken_correlations_are_named_and_the_rest_runs() {
    let rules =
        correlation("  type: event_count\n  rules: [shell, nobody]\n  timespan: 5m\n  condition: {gte: 1}\n")
            .replace("level: low", "level: low\nauthor: x");
    let alone = START.replace("name: shell", "name: other").replace("000000000001", "000000000009");
    let event = started("00:00", "A", r"C:\Windows\System32\cmd.exe", "x");
    let dir = folder(&[("r.yml", &rules), ("s.yml", &alone), ("e.jsonl", &event)]);
    let r = tercel(&[
        "hunt",
        &path(&dir, "e.jsonl"),
        "-r",
        &path(&dir, "r.yml"),
        &path(&dir, "s.yml"),
        "--format",
        "jsonl",
    ]);
    assert!(r.err.contains("nobody"), "{}", r.err);
    assert!(
        r.lines().iter().any(|h| h["rule"] == "aaaaaaaa-0000-4000-8000-000000000009"),
        "{}{}",
        r.out,
        r.err
    );
}

#[test]
fn placeholders_come_from_files_and_the_configuration() {
    let rule = START.replace("Image|endswith: ['\\cmd.exe', '\\powershell.exe']", "User|expand: '%admins%'");
    let events =
        [started("00:00", "A", "C:\\a.exe", "root"), started("01:00", "A", "C:\\a.exe", "guest")].concat();
    let dir = folder(&[
        ("r.yml", &rule),
        ("e.jsonl", &events),
        ("admins.txt", "# ours\nroot\nboss*\n"),
        ("tercel.toml", "[placeholders]\nadmins = \"admins.txt\"\n"),
    ]);
    let (data, rule) = (path(&dir, "e.jsonl"), path(&dir, "r.yml"));
    let bare = tercel(&["hunt", &data, "-r", &rule, "--format", "jsonl"]);
    assert!(bare.out.is_empty() && bare.err.contains("%admins%"), "{}", bare.err);
    let given = format!("admins={}", path(&dir, "admins.txt"));
    let config = path(&dir, "tercel.toml");
    for more in [["--placeholder", given.as_str()], ["--config", config.as_str()]] {
        let args = [&["hunt", &data, "-r", &rule, "--format", "jsonl"][..], &more[..]].concat();
        let r = tercel(&args).code(0);
        assert_eq!(r.lines().iter().map(|h| &h["record"]).collect::<Vec<_>>(), [0], "{}", r.err);
    }
}

#[test]
fn pipelines_change_rules_and_half_of_one_is_refused() {
    let rule = START.replace("Image|endswith", "image_path|endswith");
    let event = started("00:00", "A", r"C:\Windows\System32\cmd.exe", "x");
    let pipeline = "name: ours\npriority: 10\ntransformations:\n  - id: names\n    type: field_name_mapping\n    mapping: {image_path: Image}\n";
    let broken = pipeline.replace("field_name_mapping", "no_such_thing");
    let dir = folder(&[("r.yml", &rule), ("e.jsonl", &event), ("p.yml", pipeline), ("b.yml", &broken)]);
    let (data, rule) = (path(&dir, "e.jsonl"), path(&dir, "r.yml"));
    let hunt =
        |p: &str| tercel(&["hunt", &data, "-r", &rule, "--pipeline", &path(&dir, p), "--format", "jsonl"]);
    assert_eq!(hunt("p.yml").code(0).lines().len(), 1);
    let r = hunt("b.yml").code(2);
    assert!(r.err.contains("no_such_thing") && r.err.contains("b.yml:5"), "{}", r.err);
}

#[test]
fn explain_says_what_matched_and_what_is_missing() {
    let events = [
        started("00:00", "A", r"C:\Windows\notepad.exe", "x"),
        started("01:00", "A", r"C:\Windows\System32\cmd.exe", "x"),
    ]
    .concat();
    let dir = folder(&[("r.yml", START), ("e.jsonl", &events)]);
    let (data, rule) = (path(&dir, "e.jsonl"), path(&dir, "r.yml"));
    let hit = tercel(&["explain", &rule, &data, "--format", "json"]).code(0);
    let v: Value = serde_json::from_str(&hit.out).unwrap();
    assert_eq!((&v["explanation"]["hit"], &v["event"]["record"]), (&json!(true), &json!(1)));

    let miss =
        tercel(&["explain", &rule, &data, "--record", "0", "--fail-on-miss", "--format", "table"]).code(1);
    assert!(miss.out.contains("no hit"), "{}", miss.out);
    assert!(miss.out.contains(r#"Image would have to end with "\cmd.exe""#), "{}", miss.out);

    // The event itself in the place of a file; the rule by its id.
    let event = events.lines().nth(1).unwrap();
    let given =
        tercel(&["explain", "aaaaaaaa-0000-4000-8000-000000000001", event, "-r", &rule, "--fail-on-miss"])
            .code(0);
    assert!(given.out.contains("the event given"), "{}", given.out);

    // Without an event: what it asks for.
    let outline = tercel(&["explain", &rule]).code(0);
    assert!(outline.out.contains("reads Sysmon") && outline.out.contains("line 8"), "{}", outline.out);
    tercel(&["explain", "no-such-rule"]).code(2);
    tercel(&["explain", &rule, &data, "--record", "77"]).code(2);
}

#[test]
fn log_sources_are_listed_with_their_homes() {
    let r = tercel(&["schema", "logsources", "--format", "jsonl"]).code(0);
    let all = r.lines();
    let of =
        |category: &str| all.iter().find(|l| l["category"] == category && l["product"] == "windows").unwrap();
    assert_eq!(of("process_creation")["view"], "sigma/windows/process_creation");
    assert!(all.iter().any(|l| l["view"].is_null() && l["about"] != ""), "{}", r.out);
}

#[test]
fn verify_tells_equal_from_wider_and_shows_the_event() {
    let sigma = START;
    let same = "Sysmon | where EventID == 1 and Provider != 'Linux-Sysmon' and (Image endswith @'\\cmd.exe' or Image endswith @'\\powershell.exe')";
    let a =
        "Sysmon | where EventID == 1 and (Image endswith @'\\cmd.exe' or Image endswith @'\\powershell.exe')";
    let b = "Sysmon | where EventID == 1 and Image endswith @'\\cmd.exe'";
    let dir = folder(&[("s.yml", sigma), ("same.kql", same), ("a.kql", a), ("a2.kql", a), ("b.kql", b)]);
    let of = |x: &str, y: &str| tercel(&["verify", &path(&dir, x), &path(&dir, y), "--format", "json"]);
    assert_eq!(of("a.kql", "a2.kql").code(0).json()["relation"], "equal");
    let r = of("b.kql", "a.kql").code(1).json();
    assert_eq!(r["relation"], "subset");
    let only: Vec<&Value> =
        r["witnesses"].as_array().unwrap().iter().filter(|w| w["fires"] == json!(["b"])).collect();
    assert_eq!(only.len(), 1, "{r}");
    let image = only[0]["event"]["Image"].as_str().unwrap().to_lowercase();
    assert!(image.ends_with(r"\powershell.exe"), "{r}");
    // What it shows behaves as it says.
    let mut event = only[0]["event"].clone();
    event["Channel"] = json!("Microsoft-Windows-Sysmon/Operational");
    event["SourceName"] = json!("Microsoft-Windows-Sysmon");
    for (file, fires) in [("a.kql", true), ("b.kql", false)] {
        let r = tercel(&["explain", &path(&dir, file), &event.to_string(), "--fail-on-miss"]);
        assert_eq!(r.code == 0, fires, "{}{}", r.out, r.err);
    }
    tercel(&["verify", &path(&dir, "a.kql"), &path(&dir, "missing.kql")]).code(2);
}

#[test]
fn convert_writes_the_other_language_and_says_how_it_relates() {
    let dir = folder(&[("s.yml", START)]);
    let rule = path(&dir, "s.yml");
    let r = tercel(&["convert", &rule, "--to", "kql", "--format", "json"]).code(0).json();
    let c = &r[0];
    assert_eq!(c["fidelity"], "exact", "{c}");
    let text = c["text"].as_str().unwrap();
    assert!(text.contains("\nDeviceProcessEvents\n") && text.contains("cmd.exe"), "{text}");
    // The text parses, and there and back is the same rule.
    common::with_input(&["lint", "--lang", "kql", "--syntax-only", "-"], text.as_bytes()).code(0);
    let back = tercel(&["convert", &rule, "--to", "sigma"]).code(0);
    assert!(back.out.contains("logsource:") && back.out.contains("process_creation"), "{}", back.out);
    tercel(&["convert", &rule, "--to", "klingon"]).code(2);
}
