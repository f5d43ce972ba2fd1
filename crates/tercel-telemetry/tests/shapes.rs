//! The same event in all carriers gives the same row.

use crate::common;

use common::{data, rows};
use serde_json::{Value, json};
use tercel_ir::Type;
use tercel_schema::Schemas;
use tercel_telemetry::{Format, HiddenColumns, Inputs, ReadOptions, Shape};

const ALL: HiddenColumns = HiddenColumns { time: true, source: true, record: true, event: true };
const NONE: HiddenColumns = HiddenColumns { time: false, source: false, record: false, event: false };

/// The named columns with the types that the table declares.
fn typed<'a>(table: &str, names: &[&'a str]) -> Vec<(&'a str, Type)> {
    let schemas = Schemas::builtin();
    let t = schemas.table(table).unwrap();
    names.iter().map(|n| (*n, t.column(n).map_or(Type::String, |c| c.ty))).collect()
}

fn read(file: &str, table: &str, names: &[&str]) -> Vec<Value> {
    let (stats, rows) = rows(&[&data(file)], &ReadOptions::default(), table, &typed(table, names), NONE);
    assert_eq!(stats.problems, [], "{file}");
    assert_eq!(stats.mistyped, 0, "{file}: {:?}", stats.mistyped_example);
    rows
}

#[test]
fn one_connection_in_every_carrier() {
    let names = [
        "TimeGenerated",
        "EventID",
        "Computer",
        "RuleName",
        "UtcTime",
        "ProcessGuid",
        "ProcessId",
        "Image",
        "User",
        "Protocol",
        "Initiated",
        "SourceIsIpv6",
        "SourceIp",
        "SourceHostname",
        "SourcePort",
        "SourcePortName",
        "DestinationIsIpv6",
        "DestinationIp",
        "DestinationHostname",
        "DestinationPort",
        "DestinationPortName",
        "Level",
        "CommandLine",
    ];
    let mut expected = json!({
        "TimeGenerated": "2024-03-05T10:20:30.1230000Z", "EventID": 3, "Computer": "WS-07.lab.example", "RuleName": "-",
        "UtcTime": "2024-03-05T10:20:30.1230000Z", "ProcessGuid": "{A1B2C3D4-0001-65E6-0203-000000000400}", "ProcessId": 4312,
        "Image": "C:\\Program Files\\Example\\sync agent.exe", "User": "LAB\\mira", "Protocol": "tcp", "Initiated": true,
        "SourceIsIpv6": false, "SourceIp": "10.9.8.7", "SourceHostname": "ws-07.lab.example", "SourcePort": 50123,
        "SourcePortName": "-", "DestinationIsIpv6": false, "DestinationIp": "203.0.113.9",
        "DestinationHostname": "updates.example.net", "DestinationPort": 443, "DestinationPortName": "https", "Level": 4,
        "CommandLine": null,
    });
    let carriers = [
        ("eventlog.json", 1, Shape::EventLog),
        ("nxlog.jsonl", 1, Shape::FlatWindows),
        ("winlogbeat6.jsonl", 1, Shape::Winlogbeat6),
        ("winlogbeat7.jsonl", 1, Shape::Ecs),
        ("ecs_dotted.jsonl", 1, Shape::Ecs),
        ("sentinel_event.jsonl", 1, Shape::Sentinel),
        ("sentinel_windowsevent.jsonl", 2, Shape::Sentinel),
        ("sentinel_syslog.jsonl", 1, Shape::Sentinel),
    ];
    for (file, n, shape) in carriers {
        // NXLog gives the level only as a word of its own.
        // The time of an event is that of its record; here winlogbeat 7 has made Sysmon's own time of it.
        let ecs = shape == Shape::Ecs;
        expected["TimeGenerated"] =
            json!(if ecs { "2024-03-05T10:20:30.1230000Z" } else { "2024-03-05T10:20:31.5000000Z" });
        expected["Level"] = if file == "nxlog.jsonl" { Value::Null } else { json!(4) };
        assert_eq!(read(file, "Sysmon", &names), vec![expected.clone(); n], "{file}");
        let inputs = Inputs::open(&[data(file)], &ReadOptions::default());
        let survey = inputs.survey(&Schemas::builtin());
        assert_eq!(survey.files[0].shape, Some(shape), "{file}");
        assert!(survey.files[0].tables.iter().any(|t| &**t == "Sysmon"), "{file}");
        assert!(inputs.newest_time(&Schemas::builtin()).is_some());
    }
}

#[test]
fn record_columns_of_windows_events() {
    let names = [
        "Provider",
        "Channel",
        "EventRecordID",
        "Version",
        "SystemProcessId",
        "SystemThreadId",
        "SystemUserId",
    ];
    let expected = json!({
        "Provider": "Microsoft-Windows-Sysmon", "Channel": "Microsoft-Windows-Sysmon/Operational", "EventRecordID": 777,
        "Version": 5, "SystemProcessId": 2100, "SystemThreadId": 2101, "SystemUserId": "S-1-5-18",
    });
    for file in ["eventlog.json", "nxlog.jsonl", "winlogbeat6.jsonl", "winlogbeat7.jsonl"] {
        assert_eq!(read(file, "Sysmon", &names), vec![expected.clone()], "{file}");
    }
    assert_eq!(
        read("nxlog.jsonl", "Sysmon", &["Opcode", "Task", "Keywords"]),
        [json!({"Opcode": 0, "Task": 3, "Keywords": "-9223372036854775808"})]
    );
}

#[test]
fn rows_that_carry_an_event_are_rows_of_their_own_table_too() {
    let rows = read(
        "sentinel_windowsevent.jsonl",
        "WindowsEvent",
        &["EventID", "Channel", "EventData", "TimeGenerated"],
    );
    assert_eq!(rows.len(), 2);
    for r in rows {
        let data: Value = serde_json::from_str(r["EventData"].as_str().unwrap()).unwrap();
        assert_eq!(data["DestinationPort"], "443");
        assert_eq!(r["TimeGenerated"], "2024-03-05T10:20:31.5000000Z");
    }
    let r = &read("sentinel_event.jsonl", "Event", &["EventID", "Source", "EventData"])[0];
    assert!(r["EventData"].as_str().unwrap().starts_with("<DataItem"));
    assert_eq!(read("sentinel_syslog.jsonl", "Syslog", &["Facility", "Computer"])[0]["Facility"], "user");
    let (stats, _) =
        common::rows(&[&data("sentinel_windowsevent.jsonl")], &ReadOptions::default(), "Sysmon", &[], NONE);
    assert_eq!((stats.events, stats.rows), (2, 2));
}

#[test]
fn defender_through_every_door() {
    let names = [
        "Timestamp",
        "TimeGenerated",
        "ActionType",
        "RemoteIP",
        "RemotePort",
        "RemoteUrl",
        "LocalPort",
        "InitiatingProcessId",
        "InitiatingProcessCommandLine",
        "DeviceName",
    ];
    let expected = json!({
        "Timestamp": "2024-03-05T10:20:30.1230000Z", "TimeGenerated": "2024-03-05T10:20:30.1230000Z",
        "ActionType": "ConnectionSuccess", "RemoteIP": "203.0.113.9", "RemotePort": 443,
        "RemoteUrl": "https://updates.example.net/a,b", "LocalPort": 50123, "InitiatingProcessId": 4312,
        "InitiatingProcessCommandLine": "\"sync agent.exe\" --now", "DeviceName": "ws-07.lab.example",
    });
    for (file, n) in [
        ("defender_portal.json", 1),
        ("defender_array.json", 2),
        ("defender_stream.jsonl", 2),
        ("defender_sentinel.jsonl", 1),
        ("defender_portal.csv", 1),
    ] {
        assert_eq!(read(file, "DeviceNetworkEvents", &names), vec![expected.clone(); n], "{file}");
    }
    let r = read("defender_process.jsonl", "DeviceProcessEvents", &["ProcessCommandLine", "ProcessId"]);
    assert_eq!(r, [json!({"ProcessCommandLine": "a.exe", "ProcessId": 9})]);
}

#[test]
fn zeek_as_text_and_as_json() {
    let names = [
        "TimeGenerated",
        "ts",
        "id_orig_h",
        "id_orig_p",
        "id_resp_p",
        "service",
        "duration",
        "local_orig",
        "tunnel_parents",
    ];
    let expected = json!({
        "TimeGenerated": "2024-03-05T10:20:30.1230000Z", "ts": "2024-03-05T10:20:30.1230000Z", "id_orig_h": "10.9.8.7",
        "id_orig_p": 50123, "id_resp_p": 443, "service": null, "duration": 0.5, "local_orig": true,
        "tunnel_parents": "[\"a\",\"b\"]",
    });
    for file in ["zeek_conn.log", "zeek_conn.jsonl"] {
        assert_eq!(read(file, "ZeekConn", &names), vec![expected.clone()], "{file}");
    }
}

#[test]
fn security_events() {
    let rows = read(
        "security.jsonl",
        "SecurityEvent",
        &[
            "EventID",
            "ProcessID",
            "SourcePort",
            "DestPort",
            "Protocol",
            "Direction",
            "NewProcessId",
            "Computer",
        ],
    );
    assert_eq!(rows.len(), 3);
    for r in [&rows[0], &rows[2]] {
        assert_eq!(
            (&r["SourcePort"], &r["DestPort"], &r["Protocol"], &r["ProcessID"]),
            (&json!(50123), &json!(443), &json!(6), &json!(4312))
        );
        assert_eq!(r["Direction"], "%%14593");
    }
    assert_eq!(rows[1]["NewProcessId"], "0x10d8");
    // As a number where a number is asked for.
    let (_, rows) = common::rows(
        &[&data("security.jsonl")],
        &ReadOptions::default(),
        "SecurityEvent",
        &[("NewProcessId", Type::Long), ("CommandLine", Type::String)],
        NONE,
    );
    assert_eq!(rows[1], json!({"NewProcessId": 4312, "CommandLine": "-"}));
}

#[test]
fn other_windows_events() {
    let rows = read("windows_other.json", "WindowsEvents", &["EventID", "Channel", "Data", "TimeGenerated"]);
    assert_eq!(rows[0]["Channel"], "System");
    assert_eq!(rows[1]["EventID"], 15281);
    assert_eq!(rows[1]["Data"], "[\"a\",\"b\"]");
    let (_, rows) = common::rows(
        &[&data("windows_other.json")],
        &ReadOptions::default(),
        "WindowsEvents",
        &[("SubjectUserName", Type::String)],
        NONE,
    );
    assert_eq!(rows[0]["SubjectUserName"], "mira");
}

#[test]
fn unknown_records_become_a_table_of_the_file() {
    let schemas = Schemas::builtin();
    let survey = Inputs::open(&[data("app.ndjson")], &ReadOptions::default()).survey(&schemas);
    let t = &survey.tables[0];
    assert_eq!((&*t.name, t.open, &*t.time), ("app", true, "time"));
    let types: Vec<(&str, Type)> = t.columns.iter().map(|c| (&*c.name, c.ty)).collect();
    assert_eq!(
        types,
        [
            ("TimeGenerated", Type::DateTime),
            ("time", Type::DateTime),
            ("level", Type::String),
            ("n", Type::Real),
            ("ratio", Type::Real),
            ("ok", Type::Bool),
            ("ctx", Type::Dynamic),
            ("msg", Type::String),
            ("extra", Type::String)
        ]
    );
    let (_, rows) = rows(&[&data("app.ndjson")], &ReadOptions::default(), "app", &types, ALL);
    assert_eq!(rows[0]["ctx"], "{\"a\":[1]}");
    assert_eq!(rows[1]["n"], 2.5);
    assert_eq!(rows[1]["TimeGenerated"], "2024-03-05T10:20:32.0000000Z");
    assert_eq!(rows[1]["$record"], 1);
    assert!(rows[1]["$source"].as_str().unwrap().ends_with("app.ndjson"));
    let event: Value = serde_json::from_str(rows[1]["$event"].as_str().unwrap()).unwrap();
    assert_eq!(event["extra"], "é");

    let survey = Inputs::open(&[data("app.csv")], &ReadOptions::default()).survey(&schemas);
    assert_eq!(survey.files[0].format, Format::Csv { delimiter: b',' });
    let types: Vec<(&str, Type)> = survey.tables[0].columns.iter().map(|c| (&*c.name, c.ty)).collect();
    assert_eq!(
        types,
        [
            ("TimeGenerated", Type::DateTime),
            ("when", Type::DateTime),
            ("who", Type::String),
            ("count", Type::Long),
            ("zip", Type::String),
            ("flag", Type::Bool)
        ]
    );
}

#[test]
fn a_field_named_records_is_no_envelope_unless_it_holds_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.jsonl");
    std::fs::write(
        &path,
        "{\"records\":[1,2],\"a\":1}\n{\"records\":[],\"a\":2}\n{\"records\":[{\"a\":3},{\"a\":4}]}\n",
    )
    .unwrap();
    let (stats, got) =
        rows(&[path.to_str().unwrap()], &ReadOptions::default(), "app", &[("a", Type::Long)], NONE);
    assert_eq!(stats.events, 4);
    assert_eq!(got.iter().map(|r| r["a"].clone()).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn time_of_the_users_choice() {
    let options = ReadOptions { time_field: Some("UtcTime".into()), ..ReadOptions::default() };
    let (_, rows) =
        rows(&[&data("nxlog.jsonl")], &options, "Sysmon", &[("TimeGenerated", Type::DateTime)], NONE);
    assert_eq!(rows[0]["TimeGenerated"], "2024-03-05T10:20:30.1230000Z");
}

#[test]
fn values_that_do_not_fit_are_null_and_counted() {
    let (stats, rows) = common::rows(
        &[&data("nxlog.jsonl")],
        &ReadOptions::default(),
        "Sysmon",
        &[("User", Type::Long), ("SourcePortName", Type::Long)],
        NONE,
    );
    assert_eq!(rows[0], json!({"User": null, "SourcePortName": null}));
    // "-" is nothing, not a mistake.
    assert_eq!(stats.mistyped, 1);
    let e = stats.mistyped_example.unwrap();
    assert_eq!((&*e.column, e.value.as_str(), e.record), ("User", "\"LAB\\\\mira\"", 0));
}
