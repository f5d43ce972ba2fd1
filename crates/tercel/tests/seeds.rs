//! The published detections beside this repository, word for word, over the telemetry there: every wanted
//! row and no other.

use crate::common;
use common::{Ran, shared, tercel};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

const SIGMA_000: &str = "3b5ba899-9842-4bc2-acc2-12308498bf42";
const SIGMA_003: &str = "7b434893-c57d-4f41-908d-6a17bf1ae98f";
const KQL_001: &str = "001_commonly_used_port.defender";
const SUMO_002: &str = "002_commonly_used_port";

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if path.extension().is_some_and(|e| e == "zst") {
        let mut out = String::new();
        zstd::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut out).unwrap();
        return out;
    }
    String::from_utf8(bytes).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    text(path).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn hunt(data: &Path, rules: &[&Path], more: &[&str]) -> Ran {
    let mut args = vec!["hunt".to_string(), data.display().to_string(), "--format".into(), "jsonl".into()];
    args.extend(rules.iter().flat_map(|r| ["-r".to_string(), r.display().to_string()]));
    args.extend(more.iter().map(|s| s.to_string()));
    tercel(&args).code(0)
}

/// Records of the hits of one rule, sorted.
fn records(hits: &[Value], rule: &str) -> Vec<i64> {
    let mut out: Vec<i64> =
        hits.iter().filter(|h| h["rule"] == rule).map(|h| h["record"].as_i64().unwrap()).collect();
    out.sort_unstable();
    out
}

/// Checks the eight texts over one fleet (`truth.jsonl` beside both shapes). The truth names rows of the
/// fleet; a row's number is the Sysmon RecordNumber and the Defender ReportId, while `record` counts the
/// lines of one file.
fn fleet(folder: &Path, suffix: &str, end: &str) {
    let Some(seeds) = shared("seeds") else { return };
    let truth = lines(&folder.join("truth.jsonl"));
    let mde = lines(&folder.join(format!("mde.jsonl{suffix}")));
    for (shape, number) in [("sysmon", "RecordNumber"), ("mde", "ReportId")] {
        let data = folder.join(format!("{shape}.jsonl{suffix}"));
        let rows: Vec<i64> = lines(&data).iter().map(|r| r[number].as_i64().unwrap()).collect();
        let r = hunt(&data, &[&seeds], &["--now", end]);
        let hits = r.lines();
        for (name, rule) in [("000", SIGMA_000), ("001", KQL_001), ("002", SUMO_002), ("003", SIGMA_003)] {
            let mut want: Vec<i64> = truth
                .iter()
                .filter(|t| t["kind"] == "event" && t["rule"] == name && t["want"] == true)
                // Only 001 looks back a day.
                .filter(|t| t["in_24h"] != false)
                .map(|t| t["row"].as_i64().unwrap())
                .collect();
            want.sort_unstable();
            let mut got: Vec<i64> = records(&hits, rule).iter().map(|n| rows[*n as usize]).collect();
            got.sort_unstable();
            assert!(!want.is_empty());
            assert_eq!(got, want, "{shape}: rule {name}");
        }
        for dialect in ["defender", "sentinel"] {
            groups(&hits, &format!("004_rare_outgoing_ipv4.{dialect}"), &truth, &mde, shape == "sysmon");
        }
        // The published conversions can never fire, and the footer says why.
        for name in ["000_office_uncommon_ports.asim", "003_suspicious_location.asim"] {
            assert!(records(&hits, name).is_empty());
            let line = r.err.lines().find(|l| l.contains(name) && l.contains("never fire"));
            assert!(line.is_some_and(|l| l.contains("NetworkDirection")), "{}", r.err);
        }
        if shape == "sysmon" {
            // What Sysmon does not record, the footer names.
            let gaps: Vec<&str> = r.err.lines().skip_while(|l| !l.starts_with("not filled")).collect();
            assert!(gaps.join("\n").contains("InitiatingProcessCommandLine"), "{}", r.err);
        }
    }
}

/// Rule 004: groups, their device counts, ports and hashes.
fn groups(hits: &[Value], rule: &str, truth: &[Value], mde: &[Value], sysmon: bool) {
    let got: BTreeMap<String, &Value> = hits
        .iter()
        .filter(|h| h["rule"] == rule)
        .map(|h| (h["event"]["InitiatingProcessFileName"].as_str().unwrap().to_string(), &h["event"]))
        .collect();
    let want: BTreeMap<&str, &Value> = truth
        .iter()
        .filter(|t| t["kind"] == "group" && t["want"] == true)
        .map(|t| (t["process"].as_str().unwrap(), t))
        .collect();
    // Defender knows the address that was asked for (RemoteUrl) of some connections, and the rule leaves
    // those out. Sysmon does not record it, so there these programs are rare ones too.
    let named: BTreeSet<String> = mde
        .iter()
        .filter(|r| r["RemoteUrl"] != "")
        .map(|r| r["InitiatingProcessFileName"].as_str().unwrap().to_lowercase())
        .collect();
    for (name, event) in &got {
        let Some(t) = want.get(name.as_str()) else {
            assert!(sysmon && named.contains(name), "{rule}: {name} is no rare program");
            continue;
        };
        assert_eq!(event["DeviceCount"], t["device_count"], "{rule}: {name}");
        let set =
            |v: &Value| -> BTreeSet<String> { v.as_array().unwrap().iter().map(Value::to_string).collect() };
        assert_eq!(set(&event["Ports"]), set(&t["ports"]), "{rule}: {name}");
        if !sysmon {
            assert_eq!(set(&event["Hashes"]), set(&t["hashes"]), "{rule}: {name}");
        }
    }
    let missing: Vec<&&str> = want.keys().filter(|n| !got.contains_key(**n)).collect();
    assert!(missing.is_empty() && !want.is_empty(), "{rule}: missing {missing:?}");
}

#[test]
fn the_small_fleet() {
    let Some(folder) = shared("telemetry/synth_small") else { return };
    fleet(&folder, ".zst", "2026-06-30T00:00:00Z");
}

#[test]
fn a_fleet_of_another_seed() {
    let Some(tool) = shared("tools/synth_telemetry.py") else { return };
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("python3")
        .arg(&tool)
        .args(["--events", "6000", "--devices", "90", "--seed", "77", "--out"])
        .arg(dir.path())
        .output();
    match made {
        Ok(o) if o.status.success() => fleet(dir.path(), "", "2026-06-30T00:00:00Z"),
        Ok(o) => panic!("{}", String::from_utf8_lossy(&o.stderr)),
        Err(_) => println!("skipped: needs python3 to make a fleet"),
    }
}

/// The rows of a truth line for a key.
fn truth_of(t: &Value, key: &str) -> Vec<i64> {
    let mut out: Vec<i64> = t["hits"][key]
        .as_array()
        .map(|a| a.iter().map(|n| n.as_i64().unwrap()).collect())
        .unwrap_or_default();
    out.sort_unstable();
    out
}

/// Runs 000 to 003 over every real capture under `part`. The truth was computed without 001's window of a
/// day, which `ago(24h)` counts from the newest event: an early `--now` opens it, because the window has
/// no end.
fn captures(part: &str) {
    let (Some(seeds), Some(telemetry)) = (shared("seeds"), shared("telemetry")) else { return };
    let truth: Vec<Value> = lines(&telemetry.join("truth_real.jsonl"))
        .into_iter()
        .filter(|t| t["file"].as_str().is_some_and(|f| f.starts_with(part)))
        .collect();
    let files: Vec<String> =
        truth.iter().map(|t| telemetry.join(t["file"].as_str().unwrap()).display().to_string()).collect();
    let mut args = vec!["hunt".to_string()];
    args.extend(files.iter().cloned());
    args.extend(
        ["-r", seeds.to_str().unwrap(), "--now", "1990-01-01", "--format", "jsonl"].map(String::from),
    );
    let hits = tercel(&args).code(0).lines();
    let mut found = 0;
    for (t, file) in truth.iter().zip(&files) {
        let of_file: Vec<Value> =
            hits.iter().filter(|h| h["source"].as_str() == Some(file.as_str())).cloned().collect();
        for (key, rule) in [("000", SIGMA_000), ("001m", KQL_001), ("002", SUMO_002), ("003", SIGMA_003)] {
            let want = truth_of(t, key);
            assert_eq!(records(&of_file, rule), want, "{file}: {key}");
            found += want.len();
        }
    }
    assert!(files.len() > 10 && found > 10, "{} files, {found} hits", files.len());
}

#[test]
fn captures_as_json() {
    captures("mordor/");
}

#[test]
fn captures_as_event_logs() {
    captures("evtx/");
}

#[test]
fn connections_in_the_shapes_of_defender() {
    let (Some(seeds), Some(shapes)) = (shared("seeds"), shared("telemetry/mde_shapes")) else { return };
    // The same rows in four shapes give the same hits.
    let rule = seeds.join("001_commonly_used_port.defender.kql");
    let mut seen: Option<Vec<Value>> = None;
    for file in ["portal_export.jsonl", "portal_export.csv", "streaming_api.jsonl", "sentinel_table.jsonl"] {
        let events: Vec<Value> = hunt(&shapes.join(file), &[&rule], &[])
            .lines()
            .iter()
            .map(|h| {
                ["DeviceName", "InitiatingProcessFileName", "RemoteIP", "RemotePort"]
                    .iter()
                    .map(|c| h["event"][c].clone())
                    .collect()
            })
            .collect();
        assert!(!events.is_empty(), "{file}");
        match &seen {
            None => seen = Some(events),
            Some(first) => assert_eq!(&events, first, "{file}"),
        }
    }
}

#[test]
fn strict_refuses_the_forms_that_sumo_lacks() {
    let (Some(seeds), Some(fleet)) = (shared("seeds"), shared("telemetry/synth_small")) else { return };
    let args =
        ["hunt", &fleet.join("sysmon.jsonl.zst").display().to_string(), "--strict", "-r"].map(String::from);
    let run = |file: &str| tercel(&[&args[..], &[seeds.join(file).display().to_string()]].concat());
    let r = run("002_commonly_used_port.sumo").code(2);
    assert!(
        r.err.contains("error[sumo-nonstandard-eval]")
            && r.err.contains("error[sumo-nonstandard-matches-call]"),
        "{}",
        r.err
    );
    let r = run("001_commonly_used_port.defender.kql").code(2);
    assert!(r.err.contains("error[unknown-column]"), "{}", r.err);
}

#[test]
fn lint_of_the_published_texts() {
    let Some(seeds) = shared("seeds") else { return };
    let r = tercel(&["lint", &seeds.display().to_string(), "--format", "json"]).code(1);
    let found = r.json();
    for (file, code) in [
        ("000_office_uncommon_ports.asim.kql", "never-fires"),
        ("000_office_uncommon_ports.asim.kql", "type-mismatch"),
        ("003_suspicious_location.asim.kql", "never-fires"),
        ("001_commonly_used_port.defender.kql", "unknown-column"),
        ("002_commonly_used_port.sumo", "sumo-nonstandard-eval"),
        ("002_commonly_used_port.sumo", "sumo-nonstandard-matches-call"),
    ] {
        let hit = found
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["code"] == code && f["file"].as_str().unwrap().ends_with(file));
        let f = hit.unwrap_or_else(|| panic!("{file}: no {code}"));
        assert!(f["line"].as_u64() > Some(0) && f["help"].is_string() && f["meaning"].is_string(), "{f}");
    }
}
