//! An event of a table as a product writes it: what the readers take apart, put together.

use super::junit::escaped;
use serde_json::{Map, Value as Json, json};
use tercel_ir::{Name, Value, time};
use tercel_verify::Event;

/// When made-up events happen: any moment will do, the same one keeps files the same.
pub const WHEN: &str = "2026-01-15T09:30:00Z";
/// On which computer.
const COMPUTER: &str = "ws-0001.corp.example";

const SYSMON: &str = "Microsoft-Windows-Sysmon";
const SECURITY: &str = "Microsoft-Windows-Security-Auditing";
/// Tables of Windows event logs.
const WINDOWS: [&str; 3] = ["Sysmon", "SecurityEvent", "WindowsEvents"];

/// Who wrote the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Source {
    /// Sysmon, as records of the Windows event log
    Sysmon,
    /// The Security log, as records of the Windows event log
    Security,
    /// Any Windows event log
    Windows,
    /// Any Windows event log, through Winlogbeat 7 or later
    Winlogbeat,
    /// Microsoft Defender's tables
    Defender,
    /// Tables of a Sentinel workspace; Windows events in Event and SecurityEvent
    Sentinel,
    /// Zeek's logs
    Zeek,
    /// Syslog and audit records
    Linux,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Sysmon => "sysmon",
            Source::Security => "security",
            Source::Windows => "windows",
            Source::Winlogbeat => "winlogbeat",
            Source::Defender => "defender",
            Source::Sentinel => "sentinel",
            Source::Zeek => "zeek",
            Source::Linux => "linux",
        }
    }

    /// Whether it writes events of a table.
    pub fn writes(self, table: &str, time: Option<&str>) -> bool {
        match self {
            Source::Sysmon => table == "Sysmon",
            Source::Security => table == "SecurityEvent",
            Source::Windows | Source::Winlogbeat => WINDOWS.contains(&table),
            Source::Defender => time == Some("Timestamp"),
            Source::Sentinel => {
                WINDOWS.contains(&table)
                    || table.starts_with("Device") && time == Some("Timestamp")
                    || time == Some("TimeGenerated") && table != "LinuxAudit"
            }
            Source::Zeek => table.starts_with("Zeek"),
            Source::Linux => matches!(table, "LinuxAudit" | "Syslog"),
        }
    }
}

/// Which of a rule's tables is the natural one, lower is better; `named`: the rule says it.
pub fn preference(table: &str, named: bool) -> usize {
    match table {
        _ if named => 0,
        "Sysmon" => 1,
        "WindowsEvents" => 2,
        "SecurityEvent" => 3,
        _ => 4,
    }
}

/// What an event of a table holds beside what a rule asks for, best first: that by which it is recognised,
/// a time, a computer. `timed`: for a rule that asks how long ago an event was the time is none of the wishes:
/// "now" is the newest event, so that an only one is always new.
pub fn given(table: &str, timed: bool) -> Vec<Vec<(Name, Value)>> {
    let at = Value::DateTime(time::parse_datetime(WHEN).unwrap_or_default());
    let text = |pairs: &[(&str, &str)]| -> Vec<(Name, Value)> {
        pairs.iter().map(|(n, v)| (Name::from(*n), Value::str(*v))).collect()
    };
    let kinds: Vec<Vec<(Name, Value)>> = match table {
        "Sysmon" => vec![
            text(&[("Provider", SYSMON), ("Channel", "Microsoft-Windows-Sysmon/Operational")]),
            text(&[("Provider", "Linux-Sysmon"), ("Channel", "Linux-Sysmon/Operational")]),
            text(&[("Provider", SYSMON)]),
        ],
        "SecurityEvent" => {
            vec![text(&[("Provider", SECURITY), ("Channel", "Security")]), text(&[("Channel", "Security")])]
        }
        "WindowsEvents" => vec![
            text(&[("Provider", "Service Control Manager"), ("Channel", "System")]),
            text(&[("Channel", "System")]),
            text(&[("Channel", "Application")]),
            Vec::new(),
        ],
        "DeviceNetworkEvents" => vec![
            text(&[("ActionType", "ConnectionSuccess")]),
            text(&[("ActionType", "InboundConnectionAccepted")]),
            Vec::new(),
        ],
        "DeviceProcessEvents" => vec![text(&[("ActionType", "ProcessCreated")]), Vec::new()],
        "DeviceFileEvents" => vec![text(&[("ActionType", "FileCreated")]), Vec::new()],
        "DeviceRegistryEvents" => vec![text(&[("ActionType", "RegistryValueSet")]), Vec::new()],
        "DeviceImageLoadEvents" => vec![text(&[("ActionType", "ImageLoaded")]), Vec::new()],
        "DeviceLogonEvents" => vec![text(&[("ActionType", "LogonSuccess")]), Vec::new()],
        _ => vec![Vec::new()],
    };
    let host = match table {
        _ if table.starts_with("Device") => Some("DeviceName"),
        "Sysmon" | "SecurityEvent" | "WindowsEvents" | "Event" | "WindowsEvent" | "Syslog" => {
            Some("Computer")
        }
        _ => None,
    };
    let mut common: Vec<(Name, Value)> = vec![("TimeGenerated".into(), at.clone())];
    match table {
        "Sysmon" => common.push(("UtcTime".into(), at)),
        _ if table.starts_with("Device") => common.push(("Timestamp".into(), at)),
        _ => {}
    }
    let mut out = Vec::new();
    for more in [host.map(|h| (Name::from(h), Value::str(COMPUTER))), None] {
        for kind in &kinds {
            out.push(kind.iter().chain(&common).chain(&more).cloned().collect());
        }
        if host.is_none() {
            break;
        }
    }
    if !timed {
        out.extend(kinds);
    }
    out
}

/// An event as its product writes it.
#[derive(Clone, PartialEq, Debug)]
pub struct Written {
    pub json: Json,
    /// The table, where the event itself does not tell.
    pub table: Option<String>,
}

/// Writes an event of a table.
///
/// # Errors
/// Why such an event cannot be written.
pub fn write(event: &Event, source: Option<Source>, time_column: Option<&str>) -> Result<Written, String> {
    if let Some((a, _)) = event.assumptions.iter().find(|(_, holds)| *holds) {
        return Err(format!("it needs more than one event: {}", a.about));
    }
    let mut fields: Vec<(&str, &Value)> = Vec::new();
    let mut anywhere = None;
    for (n, v) in &event.values {
        match &**n {
            "$event" => anywhere = Some(unescaped(&v.text())),
            "$time" => {}
            hidden if hidden.starts_with('$') => {
                return Err(format!("`{hidden}` is no part of an event"));
            }
            n => fields.push((n, v)),
        }
    }
    let table: &str = &event.table;
    let known = |json| Ok(Written { json, table: None });
    if WINDOWS.contains(&table) {
        return known(match source {
            Some(Source::Winlogbeat) => winlogbeat(&fields, anywhere)?,
            Some(Source::Sentinel) => workspace_windows(table, &fields, anywhere),
            _ => event_log(&fields, anywhere),
        });
    }
    if table == "LinuxAudit" {
        return known(audit(&fields, anywhere));
    }
    if table.starts_with("Zeek") {
        return known(zeek(table, &fields, anywhere));
    }
    let mut row = Map::new();
    for (n, v) in &fields {
        row.insert((*n).to_string(), plain(v));
    }
    if let Some(text) = anywhere {
        let name = if table == "Syslog" { "SyslogMessage" } else { "AdditionalFields" };
        row.entry(name).or_insert_with(|| text.into());
    }
    match time_column {
        Some("Timestamp") if source == Some(Source::Sentinel) => {
            let at = row.remove("Timestamp");
            row.entry("TimeGenerated").or_insert_with(|| at.unwrap_or_else(|| WHEN.into()));
            row.insert("Type".into(), table.into());
            known(row.into())
        }
        // A row is known by its action, if that is one which only this table has.
        Some("Timestamp") if row.get("ActionType").and_then(Json::as_str).is_some_and(telling) => {
            row.remove("TimeGenerated");
            row.entry("Timestamp").or_insert_with(|| WHEN.into());
            row.entry("ReportId").or_insert_with(|| 1.into());
            row.entry("DeviceId").or_insert_with(|| "0d35c1b4a7e24f0b9c6a1e5d8f7b2c3a4e6d9f01".into());
            known(row.into())
        }
        Some("Timestamp") => {
            row.remove("TimeGenerated");
            row.entry("Timestamp").or_insert_with(|| WHEN.into());
            known(json!({
                "time": WHEN, "tenantId": "00000000-0000-4000-8000-000000000001", "operationName": "Publish",
                "category": format!("AdvancedHunting-{table}"), "properties": row,
            }))
        }
        Some("TimeGenerated") => {
            row.entry("TimeGenerated").or_insert_with(|| WHEN.into());
            row.insert("Type".into(), table.into());
            known(row.into())
        }
        _ => {
            row.entry("TimeGenerated").or_insert_with(|| WHEN.into());
            Ok(Written { json: row.into(), table: Some(table.to_string()) })
        }
    }
}

/// Whether an action says of which of Defender's tables a row is.
fn telling(action: &str) -> bool {
    const ACTIONS: [&str; 20] = [
        "ConnectionSuccess",
        "ConnectionFailed",
        "ConnectionRequest",
        "ConnectionFound",
        "ConnectionAttempt",
        "InboundConnectionAccepted",
        "ListeningConnectionCreated",
        "ProcessCreated",
        "FileCreated",
        "FileDeleted",
        "FileModified",
        "FileRenamed",
        "RegistryKeyCreated",
        "RegistryKeyDeleted",
        "RegistryKeyRenamed",
        "RegistryValueSet",
        "RegistryValueDeleted",
        "ImageLoaded",
        "LogonSuccess",
        "LogonFailed",
    ];
    ACTIONS.contains(&action)
}

/// What stands in a JSON text, as it was before it was written there.
fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_string())
}

fn plain(v: &Value) -> Json {
    v.to_json()
}

/// As event logs write values: all is text.
fn text(v: &Value) -> String {
    match v {
        Value::Bool(b) => b.to_string(),
        Value::DateTime(t) => {
            let iso = time::format_datetime(*t);
            let stamp = iso.trim_end_matches('Z').replace('T', " ");
            stamp.get(..23).unwrap_or(&stamp).to_string()
        }
        v => v.to_text(),
    }
}

fn iso(v: &Value) -> String {
    match v {
        Value::DateTime(t) => time::format_datetime(*t),
        v => v.to_text(),
    }
}

/// The parts of a Windows event: who wrote it, and its own fields.
#[derive(Default)]
struct Parts<'v> {
    provider: Option<String>,
    channel: Option<String>,
    computer: Option<String>,
    time: Option<String>,
    id: Option<&'v Value>,
    record: Option<&'v Value>,
    process: Option<String>,
    thread: Option<String>,
    user: Option<String>,
    /// `Version`, `Level`, …
    rest: Vec<(&'v str, &'v Value)>,
    data: Vec<(String, String)>,
}

fn parts<'v>(fields: &[(&'v str, &'v Value)], anywhere: Option<String>) -> Parts<'v> {
    let mut p = Parts::default();
    for (n, v) in fields {
        match *n {
            "Provider" => p.provider = Some(text(v)),
            "Channel" => p.channel = Some(text(v)),
            "Computer" => p.computer = Some(text(v)),
            "TimeGenerated" => p.time = Some(iso(v)),
            "EventID" => p.id = Some(v),
            "EventRecordID" => p.record = Some(v),
            "SystemProcessId" | "ExecutionProcessID" => p.process = Some(text(v)),
            "SystemThreadId" | "ThreadID" => p.thread = Some(text(v)),
            "SystemUserId" | "UserID" => p.user = Some(text(v)),
            "Version" | "Level" | "Task" | "Opcode" | "Keywords" => p.rest.push((*n, v)),
            n => p.data.push((n.to_string(), text(v))),
        }
    }
    if let Some(text) = anywhere {
        p.data.push(("Data".into(), text));
    }
    p
}

/// A record of an event log, as the usual tools write it as JSON.
fn event_log(fields: &[(&str, &Value)], anywhere: Option<String>) -> Json {
    let p = parts(fields, anywhere);
    let mut system = Map::new();
    let mut put = |name: &str, v: Option<Json>| {
        if let Some(v) = v {
            system.insert(name.into(), v);
        }
    };
    let attribute = |name: &str, v: String| json!({ "#attributes": { name: v } });
    put("Provider", p.provider.map(|v| attribute("Name", v)));
    put("EventID", p.id.map(plain));
    for (n, v) in p.rest {
        put(n, Some(plain(v)));
    }
    put("TimeCreated", Some(attribute("SystemTime", p.time.unwrap_or_else(|| WHEN.into()))));
    put("EventRecordID", p.record.map(plain));
    let mut execution = Map::new();
    execution.extend(p.process.map(|v| ("ProcessID".to_string(), v.into())));
    execution.extend(p.thread.map(|v| ("ThreadID".to_string(), v.into())));
    put("Execution", (!execution.is_empty()).then(|| json!({ "#attributes": execution })));
    put("Channel", p.channel.map(Into::into));
    put("Computer", p.computer.map(Into::into));
    put("Security", p.user.map(|v| attribute("UserID", v)));
    let data: Map<String, Json> = p.data.into_iter().map(|(n, v)| (n, v.into())).collect();
    json!({ "Event": { "System": system, "EventData": data } })
}

/// Through Winlogbeat, without its modules: the event's own fields stay as they are.
fn winlogbeat(fields: &[(&str, &Value)], anywhere: Option<String>) -> Result<Json, String> {
    let p = parts(fields, anywhere);
    let mut log = Map::new();
    let mut put = |name: &str, v: Option<Json>| {
        if let Some(v) = v {
            log.insert(name.into(), v);
        }
    };
    put("channel", p.channel.map(Into::into));
    put("computer_name", p.computer.map(Into::into));
    put("event_id", p.id.map(|v| text(v).into()));
    put("provider_name", p.provider.clone().map(Into::into));
    put("record_id", p.record.map(plain));
    let mut level = None;
    for (n, v) in p.rest {
        match n {
            "Version" => put("version", Some(plain(v))),
            "Level" => level = Some(level_name(v).ok_or("Winlogbeat has no such level")?),
            n => return Err(format!("Winlogbeat writes {n} in words, not as the number that is asked for")),
        }
    }
    let mut process = Map::new();
    process.extend(p.process.map(|v| ("pid".to_string(), number(&v))));
    process.extend(p.thread.map(|v| ("thread".to_string(), json!({ "id": number(&v) }))));
    put("process", (!process.is_empty()).then(|| process.into()));
    put("user", p.user.map(|v| json!({ "identifier": v })));
    let data: Map<String, Json> = p.data.into_iter().map(|(n, v)| (n, v.into())).collect();
    put("event_data", Some(data.into()));
    let mut event = json!({ "kind": "event" });
    if let Some(id) = p.id {
        event["code"] = text(id).into();
    }
    if let Some(provider) = p.provider {
        event["provider"] = provider.into();
    }
    let mut out = json!({
        "@timestamp": p.time.unwrap_or_else(|| WHEN.into()), "ecs": { "version": "8.0.0" },
        "agent": { "type": "winlogbeat" }, "event": event, "winlog": log,
    });
    if let Some(level) = level {
        out["log"] = json!({ "level": level });
    }
    Ok(out)
}

/// A level as Winlogbeat calls it.
fn level_name(v: &Value) -> Option<&'static str> {
    Some(match v.as_i64()? {
        1 => "critical",
        2 => "error",
        3 => "warning",
        4 => "information",
        5 => "verbose",
        _ => return None,
    })
}

/// The time of an event.
fn when(fields: &[(&str, &Value)]) -> String {
    fields.iter().find(|(n, _)| *n == "TimeGenerated").map_or_else(|| WHEN.into(), |(_, v)| iso(v))
}

fn number(text: &str) -> Json {
    text.parse::<i64>().map_or_else(|_| text.into(), Into::into)
}

/// A Windows event as a row of a workspace: Security in its own table, others in `Event` with their fields as
/// XML.
fn workspace_windows(table: &str, fields: &[(&str, &Value)], anywhere: Option<String>) -> Json {
    if table == "SecurityEvent" {
        let mut row = Map::new();
        for (n, v) in fields {
            let n = if *n == "Provider" { "EventSourceName" } else { n };
            row.insert(
                n.to_string(),
                if let Value::DateTime(t) = v { time::format_datetime(*t).into() } else { plain(v) },
            );
        }
        if let Some(text) = anywhere {
            row.insert("EventData".into(), text.into());
        }
        row.entry("TimeGenerated").or_insert_with(|| WHEN.into());
        row.insert("Type".into(), "SecurityEvent".into());
        return row.into();
    }
    let p = parts(fields, None);
    let mut data = String::new();
    for (n, v) in &p.data {
        data.push_str(&format!("<Data Name=\"{}\">{}</Data>", escaped(n), element(v)));
    }
    let at = p.time.unwrap_or_else(|| WHEN.into());
    let xml = format!(
        "<DataItem type=\"System.XmlData\" time=\"{at}\"><EventData \
         xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\">{data}</EventData></DataItem>"
    );
    let mut row = Map::new();
    row.insert("TimeGenerated".into(), at.into());
    row.insert("Source".into(), p.provider.unwrap_or_default().into());
    row.insert("EventLog".into(), p.channel.unwrap_or_default().into());
    row.extend(p.computer.map(|v| ("Computer".to_string(), v.into())));
    row.extend(p.id.map(|v| ("EventID".to_string(), plain(v))));
    for (n, v) in p.rest {
        row.insert(if n == "Level" { "EventLevel".into() } else { n.to_string() }, plain(v));
    }
    row.insert("EventData".into(), xml.into());
    row.insert("RenderedDescription".into(), anywhere.unwrap_or_default().into());
    row.insert("Type".into(), "Event".into());
    row.into()
}

/// Text between two tags as Windows writes it: lines and tabs stay what they are.
fn element(s: &str) -> String {
    escaped(s).replace("&#10;", "\n").replace("&#13;", "\r").replace("&#9;", "\t").replace('\'', "&apos;")
}

/// A line of a Zeek log as JSON: `ZeekSmbFiles` is `smb_files`.
fn zeek(table: &str, fields: &[(&str, &Value)], anywhere: Option<String>) -> Json {
    let mut path = String::new();
    for c in table.trim_start_matches("Zeek").chars() {
        if c.is_ascii_uppercase() && !path.is_empty() {
            path.push('_');
        }
        path.push(c.to_ascii_lowercase());
    }
    let mut row = Map::new();
    row.insert("_path".into(), path.into());
    row.insert("ts".into(), when(fields).into());
    for (n, v) in fields.iter().filter(|(n, _)| *n != "TimeGenerated") {
        let name = n.strip_prefix("id_").map_or_else(|| n.to_string(), |rest| format!("id.{rest}"));
        row.insert(name, plain(v));
    }
    if let Some(text) = anywhere {
        row.insert("note".into(), text.into());
    }
    row.into()
}

/// An audit record inside a message of syslog, as a workspace stores it.
fn audit(fields: &[(&str, &Value)], anywhere: Option<String>) -> Json {
    let mut kind = "SYSCALL".to_string();
    let mut host = COMPUTER.to_string();
    let mut body = String::new();
    for (n, v) in fields {
        let v = text(v);
        match *n {
            "type" => kind = v,
            "Computer" | "node" => host = v,
            "TimeGenerated" => {}
            n => {
                // Values with blanks or quotes are written as digits.
                let simple = v.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'');
                let value =
                    if simple { format!("\"{v}\"") } else { v.bytes().map(|b| format!("{b:02X}")).collect() };
                body.push_str(&format!(" {n}={value}"));
            }
        }
    }
    if let Some(text) = anywhere {
        body.push_str(&format!(" res=\"{}\"", text.replace('"', "'")));
    }
    let at = when(fields);
    let seconds = time::parse_datetime(&at).map_or(0, |t| time::to_unix_micros(t) / 1_000_000);
    json!({
        "TimeGenerated": at, "Computer": host, "Facility": "authpriv", "ProcessName": "audispd",
        "SyslogMessage": format!("type={kind} msg=audit({seconds}.000:1):{body}"), "Type": "Syslog",
    })
}
