//! A hit on one line, for people.

use crate::output::Cell;
use crate::times;
use serde_json::Value as Json;
use tercel_catalog::Detection;
use tercel_engine::Provenance;
use tercel_ir::Value;

/// What usually tells a hit from the next one, most telling first. Spelled as Sysmon, Defender and Windows
/// write them; carriers put them at different depths.
const TELLING: [&str; 28] = [
    "Image",
    "NewProcessName",
    "InitiatingProcessFileName",
    "Application",
    "FileName",
    "CommandLine",
    "ProcessCommandLine",
    "InitiatingProcessCommandLine",
    "ParentImage",
    "User",
    "SubjectUserName",
    "TargetUserName",
    "AccountName",
    "DestinationIp",
    "RemoteIP",
    "DestAddress",
    "DestinationHostname",
    "RemoteUrl",
    "DestinationPort",
    "RemotePort",
    "DestPort",
    "QueryName",
    "TargetFilename",
    "TargetObject",
    "ImageLoaded",
    "ServiceName",
    "id.orig_h",
    "id.resp_h",
];
/// Fields in a summary.
const FIELDS: usize = 6;
/// Characters of one value.
const VALUE: usize = 80;
/// Carriers nest values (`Event.EventData.Image`) this deep.
const DEPTH: usize = 4;

/// The cells of the table.
pub fn row(d: &Detection, from: Option<&Provenance>, event: &Cell) -> Vec<Cell> {
    let time = from.and_then(|p| p.time).map(times::show);
    let parsed;
    let event = match event {
        Cell::Value(Value::Dynamic(j)) => j,
        Cell::Json(text) => {
            parsed = serde_json::from_str(text).unwrap_or(Json::Null);
            &parsed
        }
        Cell::Value(_) => &Json::Null,
    };
    vec![
        Cell::maybe(time),
        Cell::text(d.level.as_str()),
        Cell::text(d.language.as_str()),
        Cell::text(&d.title),
        Cell::maybe(from.and_then(|p| p.source.as_deref())),
        Cell::Value(from.and_then(|p| p.record).map_or(Value::Null, Value::Long)),
        Cell::text(line(&d.metadata.fields, event)),
    ]
}

/// `Image=… DestinationPort=…`: the fields that the rule names, else telling ones, else the first.
fn line(named: &[String], event: &Json) -> String {
    let mut fields = Vec::new();
    flatten(event, 0, &mut fields);
    let pick = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        names
            .filter_map(|n| fields.iter().find(|(name, _)| *name == n))
            .map(|(n, v)| show(n, v))
            .take(FIELDS)
            .collect()
    };
    let mut shown = pick(&mut named.iter().map(String::as_str));
    if shown.is_empty() {
        shown = pick(&mut TELLING.iter().copied());
    }
    if shown.len() < 2 {
        shown = fields.iter().take(FIELDS).map(|(n, v)| show(n, v)).collect();
    }
    shown.join("  ")
}

fn show(name: &str, value: &str) -> String {
    match value.char_indices().nth(VALUE) {
        Some((at, _)) => format!("{name}={}…", &value[..at]),
        None => format!("{name}={value}"),
    }
}

/// Named values at any depth that carriers use; empty ones left out.
fn flatten<'a>(event: &'a Json, depth: usize, out: &mut Vec<(&'a str, String)>) {
    let Json::Object(map) = event else { return };
    for (name, value) in map {
        match value {
            Json::Null => {}
            Json::Object(_) if depth < DEPTH => flatten(value, depth + 1, out),
            Json::String(s) if s.is_empty() || s == "-" => {}
            Json::String(s) => out.push((name, s.clone())),
            other => out.push((name, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn telling_fields_first_at_any_depth() {
        let event = json!({"@timestamp": "t", "winlog": {"event_data": {"DestinationPort": 443, "Image": "C:\\a.exe", "User": "-"}}});
        assert_eq!(line(&[], &event), "Image=C:\\a.exe  DestinationPort=443");
        assert_eq!(
            line(&["DestinationPort".into(), "@timestamp".into()], &event),
            "DestinationPort=443  @timestamp=t"
        );
        assert_eq!(line(&[], &json!({"n": 1, "list": ["a"]})), "n=1  list=[\"a\"]");
        assert_eq!(line(&[], &Json::Null), "");
        let long = json!({"CommandLine": "x".repeat(500), "Image": "i"});
        assert!(line(&[], &long).chars().count() < 120);
    }
}
