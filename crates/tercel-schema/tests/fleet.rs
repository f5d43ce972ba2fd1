//! The same fleet as Sysmon and as Defender tell it: the views bring both to the same words.

use crate::interpreter;

use interpreter::{Row, run};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::path::PathBuf;
use tercel_ir::{Catalog, Type, Value};
use tercel_schema::{SchemaCatalog, Schemas};

fn fleet(file: &str) -> Option<Vec<Json>> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/telemetry/synth_small").join(file);
    let Ok(packed) = std::fs::read(&path) else {
        println!(
            "skipped: the two shapes of a fleet are not compared, because ../shared/telemetry does not exist"
        );
        return None;
    };
    let text = zstd::decode_all(&packed[..]).unwrap();
    Some(serde_json::Deserializer::from_slice(&text).into_iter::<Json>().map(Result::unwrap).collect())
}

/// What the reader of flat Sysmon JSON does, in short: its names for the record's own columns, and types.
fn sysmon_row(mut row: Json, schemas: &Schemas) -> Json {
    let o = row.as_object_mut().unwrap();
    for (from, to) in
        [("Hostname", "Computer"), ("SourceName", "Provider"), ("RecordNumber", "EventRecordID")]
    {
        let v = o.remove(from).unwrap();
        o.insert(to.into(), v);
    }
    o.remove("@timestamp");
    let table = schemas.table("Sysmon").unwrap();
    for (k, v) in o.iter_mut() {
        let Json::String(s) = &*v else { continue };
        *v = match table.column(k).unwrap_or_else(|| panic!("{k}")).ty {
            Type::Bool => json!(s == "true"),
            Type::Int | Type::Long => json!(s.parse::<i64>().unwrap()),
            _ => continue,
        };
    }
    o.insert("TimeGenerated".into(), o["UtcTime"].clone());
    row
}

fn text(row: &Row, column: &str) -> String {
    row.get(column).map(Value::to_text).unwrap_or_default()
}

#[test]
fn both_shapes_of_a_fleet_agree() {
    let (Some(sysmon), Some(defender)) = (fleet("sysmon.jsonl.zst"), fleet("mde.jsonl.zst")) else { return };
    let schemas = Schemas::builtin();
    let c = SchemaCatalog::new(schemas.clone(), Vec::new());
    // A part is enough, and keeps the test short.
    let part = |rows: Vec<Json>| -> Vec<Json> { rows.into_iter().take(6000).collect() };
    let sysmon: Vec<Json> = part(sysmon).into_iter().map(|r| sysmon_row(r, &schemas)).collect();
    let sysmon = HashMap::from([("Sysmon".to_string(), Json::Array(sysmon))]);
    let defender = HashMap::from([("DeviceNetworkEvents".to_string(), Json::Array(part(defender)))]);

    let by = |rows: Vec<Row>, key: &str| -> HashMap<String, Row> {
        rows.into_iter().map(|r| (text(&r, key), r)).collect()
    };
    let rel = |name: &str| c.relation(name).unwrap().unwrap();

    let sigma = rel("sigma/windows/network_connection");
    let (a, b) = (by(run(&sigma, &sysmon), "EventRecordID"), by(run(&sigma, &defender), "EventRecordID"));
    let mut pairs = 0;
    for (id, x) in &a {
        // Defender tells of UDP in other words (ConnectionFound), which are no accepted connection.
        let Some(y) = b.get(id) else { continue };
        pairs += 1;
        for column in
            ["Initiated", "SourceIp", "SourcePort", "DestinationIp", "DestinationPort", "Protocol", "UtcTime"]
        {
            assert_eq!(text(x, column), text(y, column), "{id}: {column}");
        }
        assert_eq!(text(x, "Image").to_lowercase(), text(y, "Image").to_lowercase(), "{id}");
        let file = |r: &Row| text(r, "Image").rsplit('\\').next().unwrap_or_default().to_string();
        assert_eq!(file(x), file(y), "{id}: the file name keeps its case");
        // A RemoteUrl that no address resolves back to is one that Sysmon cannot know.
        if text(x, "Initiated") == "True" && text(x, "DestinationHostname") != "-" {
            assert_eq!(text(x, "DestinationHostname"), text(y, "DestinationHostname"), "{id}");
        }
    }
    assert!(pairs > 4000, "{pairs}");

    let events = rel("DeviceNetworkEvents");
    let (a, b) = (by(run(&events, &sysmon), "ReportId"), by(run(&events, &defender), "ReportId"));
    let mut urls = 0;
    for (id, x) in
        a.iter().filter(|(id, _)| b.get(*id).is_some_and(|y| text(y, "ActionType") != "ConnectionFound"))
    {
        let y = &b[id];
        for column in [
            "Timestamp",
            "ActionType",
            "RemoteIP",
            "RemotePort",
            "RemoteIPType",
            "LocalIP",
            "LocalPort",
            "Protocol",
            "InitiatingProcessFileName",
            "InitiatingProcessFolderPath",
            "DeviceName",
        ] {
            assert_eq!(text(x, column), text(y, column), "{id}: {column}");
        }
        // The fleet has a few RemoteUrl that no address resolves back to; Sysmon cannot know them.
        urls += usize::from(text(x, "RemoteUrl") != text(y, "RemoteUrl"));
    }
    assert!(urls * 100 < a.len(), "{urls} of {}", a.len());
}
