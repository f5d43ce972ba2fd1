//! Reads real captures that are not part of the repository and compares with their indexes.

use crate::common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::{Counter, read_paths, shared};
use serde_json::Value;
use tercel_telemetry::{Inputs, ReadOptions};

fn index(name: &str) -> Option<(PathBuf, Vec<Value>)> {
    let root = shared("telemetry")?;
    let text = std::fs::read_to_string(root.join(name)).ok()?;
    Some((root, text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()))
}

#[test]
fn event_logs_have_the_records_of_their_index() {
    let Some((root, lines)) = index("evtx_index.jsonl") else {
        return eprintln!("skipped: event logs, because ../shared/telemetry is absent");
    };
    for line in &lines {
        let path = root.join(line["path"].as_str().unwrap());
        let (stats, counter) = read_paths(&[path.to_str().unwrap()]);
        assert_eq!(stats.problems, [], "{}", path.display());
        assert_eq!(stats.events, line["records"].as_u64().unwrap(), "{}", path.display());
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for (key, n) in line["by_provider_event"].as_object().unwrap() {
            expected.insert(key.clone(), n.as_u64().unwrap());
        }
        assert_eq!(counter.by_provider_event, expected, "{}", path.display());
    }
    assert_eq!(lines.len(), 146);
}

#[test]
fn captures_have_the_events_of_their_index() {
    let Some((root, lines)) = index("mordor_index.jsonl") else {
        return eprintln!("skipped: captures, because ../shared/telemetry is absent");
    };
    for line in &lines {
        let path = root.join(line["file"].as_str().unwrap());
        let (stats, counter) = read_paths(&[path.to_str().unwrap()]);
        assert_eq!(stats.problems, [], "{}", path.display());
        assert_eq!(stats.events, line["events"].as_u64().unwrap(), "{}", path.display());
        let n =
            |table: &str, id: i64| counter.by_table_event.get(&(table.to_owned(), id)).copied().unwrap_or(0);
        for (key, table, id) in [
            ("sysmon_3", "Sysmon", 3),
            ("sysmon_1", "Sysmon", 1),
            ("sysmon_22", "Sysmon", 22),
            ("security_5156", "SecurityEvent", 5156),
            ("security_4688", "SecurityEvent", 4688),
        ] {
            assert_eq!(n(table, id), line[key].as_u64().unwrap(), "{key} in {}", path.display());
        }
    }
    assert_eq!(lines.len(), 20);
}

#[test]
fn rows_of_cloud_tables_and_zeek() {
    let Some(root) = shared("telemetry") else {
        return eprintln!("skipped: tables, because ../shared/telemetry is absent");
    };
    let read = |path: &str| -> BTreeMap<String, u64> {
        let (stats, counter): (_, Counter) = read_paths(&[root.join(path).to_str().unwrap()]);
        assert_eq!(stats.problems, [], "{path}");
        // What was pushed is what was counted.
        let mut pushed: BTreeMap<String, u64> = BTreeMap::new();
        for ((table, _), n) in &counter.by_table_event {
            *pushed.entry(table.clone()).or_default() += n;
        }
        let counted: BTreeMap<String, u64> = stats.tables.iter().map(|(t, n)| (t.to_string(), *n)).collect();
        assert_eq!(pushed, counted, "{path}");
        counted
    };
    let is = |path: &str, expected: &[(&str, u64)]| {
        let expected: BTreeMap<String, u64> = expected.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect();
        assert_eq!(read(path), expected, "{path}");
    };
    is(
        "sentinel/sysmon_log4shell_cve2021_44228_java_serialized_object.jsonl",
        &[("WindowsEvent", 487), ("Sysmon", 487)],
    );
    is(
        "sentinel/securityauditing_log4shell_cve2021_44228_java_serialized_object.jsonl",
        &[("SecurityEvent", 39)],
    );
    is(
        "sentinel/syslog_sysmon_log4shell_cve2021_44228_jndi_reference.jsonl",
        &[("Syslog", 93), ("Sysmon", 93)],
    );
    is(
        "sentinel/syslog_auoms_auditd_log4shell_cve2021_44228_jndi_reference.jsonl",
        &[("LinuxAudit", 50), ("Syslog", 50)],
    );
    is(
        "sentinel/vminsights_vmconnection_log4shell_cve2021_44228_jndi_reference.jsonl",
        &[("VMConnection", 5)],
    );
    is("sentinel/OfficeActivityEvents.jsonl", &[("OfficeActivity", 1)]);
    is("sentinel/AADAuditEvents.jsonl", &[("AuditLogs", 4)]);
    for file in ["portal_export.jsonl", "portal_export.csv", "streaming_api.jsonl", "sentinel_table.jsonl"] {
        is(&format!("mde_shapes/{file}"), &[("DeviceNetworkEvents", 12)]);
    }
    let windows = read("sentinel/WindowsEvents.jsonl");
    assert_eq!(windows.get("Sysmon"), windows.get("Sysmon").filter(|n| **n > 0));
    let zeek = read("zeek");
    assert_eq!(zeek.keys().collect::<Vec<_>>(), ["ZeekConn", "ZeekDns", "ZeekHttp", "ZeekSsl"]);
}

#[test]
fn regression_events_as_json_and_as_event_log_are_the_same() {
    let Some(root) = shared("conformance/sigma/data") else {
        return eprintln!("skipped: regression events, because ../shared/conformance is absent");
    };
    let inputs = Inputs::open(&[root.to_str().unwrap().to_owned()], &ReadOptions::default());
    let mut names: Vec<&str> =
        inputs.files().iter().map(|f| &*f.name).filter(|n| n.ends_with(".evtx")).collect();
    names.sort_unstable();
    assert!(names.len() > 100);
    for evtx in names {
        let json = evtx.replace(".evtx", ".json");
        if !std::path::Path::new(&json).exists() {
            continue;
        }
        let (a, from_log) = read_paths(&[evtx]);
        let (b, from_json) = read_paths(&[&json]);
        assert_eq!((a.problems, b.problems), (vec![], vec![]), "{evtx}");
        assert_eq!(a.events, b.events, "{evtx}");
        assert_eq!(from_log.by_table_event, from_json.by_table_event, "{evtx}");
    }
}
