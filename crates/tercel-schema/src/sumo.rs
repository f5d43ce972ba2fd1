//! `sumo/records`: every table's rows as Sumo Logic would hold them, with its metadata fields. Which
//! tables there are shows only in a run, so this view is put together here and not written in KQL.

use crate::table::{TableDef, hidden};
use std::collections::{BTreeSet, HashMap};
use tercel_ir::{Expr, Name, Rel, Span, Type, Value, function};

/// The view's name.
pub const RECORDS: &str = "sumo/records";

/// Tables of the view while nothing is known of the data (linting): those its mapped fields come from.
pub(crate) const DEFAULT_TABLES: [&str; 5] =
    ["Sysmon", "SecurityEvent", "WindowsEvents", "DeviceNetworkEvents", "DeviceProcessEvents"];

/// `_sourceCategory` of a table's rows, unless they bring their own or the user says otherwise.
pub(crate) fn category(table: &str) -> String {
    let zeek = table.strip_prefix("Zeek").map(|t| format!("zeek/{}", t.to_lowercase()));
    match table {
        "Sysmon" => "windows/sysmon".into(),
        "SecurityEvent" => "windows/security".into(),
        "WindowsEvents" => "windows/events".into(),
        "Syslog" => "linux/syslog".into(),
        t if t.starts_with("Device") => "endpoint/events".into(),
        t => zeek.unwrap_or_else(|| t.to_string()),
    }
}

fn column(rel: &Rel, name: &str) -> Option<Expr> {
    rel.schema.get_ignore_case(name).map(|c| Expr::column(c.name.clone(), c.ty, Span::default()))
}

fn text(e: Expr) -> Expr {
    if e.ty == Type::String { e } else { Expr::known("tostring", vec![e], Span::default()) }
}

/// The row's own value, or else the given one.
fn own_or(own: Option<Expr>, other: Expr) -> Expr {
    match own {
        Some(own) => Expr::known("coalesce", vec![text(own), other], Span::default()),
        None => other,
    }
}

/// Adds Sumo's metadata to the rows of one table.
pub(crate) fn with_metadata(rel: Rel, table: &TableDef, category: &str) -> Rel {
    let at = Span::default();
    let hidden_text = |name: &str| Expr::column(name, Type::String, at);
    let host = ["_sourceHost", "Computer", "DeviceName", "HostName", "Hostname", "host", "Dvc"];
    let hosts: Vec<Expr> = host.iter().filter_map(|n| column(&rel, n)).map(text).collect();
    let host = match hosts.len() {
        0 => Expr::literal(Value::str(""), at),
        1 => hosts.into_iter().next().unwrap_or_else(|| Expr::literal(Value::str(""), at)),
        _ => Expr::known("coalesce", hosts, at),
    };
    let event_time =
        column(&rel, "TimeGenerated").unwrap_or_else(|| Expr::column(hidden::TIME, Type::DateTime, at));
    let time = match column(&rel, "_messageTime") {
        Some(t) if t.ty == Type::DateTime => Expr::known("coalesce", vec![t, event_time], at),
        // Sumo's own exports write milliseconds since 1970.
        Some(t) if t.ty.is_number() => {
            let t = Expr::known("unixtime_milliseconds_todatetime", vec![t], at);
            Expr::known("coalesce", vec![t, event_time], at)
        }
        _ => event_time,
    };
    let columns: Vec<(Name, Expr)> = vec![
        ("_messageTime".into(), time),
        (
            "_sourceCategory".into(),
            own_or(column(&rel, "_sourceCategory"), Expr::literal(Value::str(category), at)),
        ),
        ("_sourceHost".into(), host),
        ("_sourceName".into(), own_or(column(&rel, "_sourceName"), hidden_text(hidden::SOURCE))),
        ("_source".into(), own_or(column(&rel, "_source"), Expr::literal(Value::str(&*table.name), at))),
        ("_collector".into(), own_or(column(&rel, "_collector"), Expr::literal(Value::str(""), at))),
        ("_raw".into(), own_or(column(&rel, "_raw"), hidden_text(hidden::EVENT))),
    ];
    rel.extend(columns, at)
}

/// Brings columns that have different types in different tables to one: whole numbers to long, the rest
/// to text.
pub(crate) fn settle_types(branches: Vec<Rel>) -> Vec<Rel> {
    let mut types: HashMap<Name, BTreeSet<&'static str>> = HashMap::new();
    for c in branches.iter().flat_map(|b| &b.schema.columns) {
        types.entry(c.name.clone()).or_default().insert(c.ty.as_str());
    }
    branches
        .into_iter()
        .map(|rel| {
            let casts: Vec<(Name, Expr)> = rel
                .schema
                .columns
                .iter()
                .filter_map(|c| {
                    let found = types.get(&c.name).filter(|t| t.len() > 1)?;
                    let integers = found.iter().all(|t| matches!(*t, "int" | "long"));
                    let (want, cast) =
                        if integers { (Type::Long, "tolong") } else { (Type::String, "tostring") };
                    let cast = function::by_kql(cast)?;
                    let e = Expr::column(c.name.clone(), c.ty, Span::default());
                    (c.ty != want)
                        .then(|| Some((c.name.clone(), Expr::call(cast, vec![e], Span::default()).ok()?)))?
                })
                .collect();
            if casts.is_empty() { rel } else { rel.extend(casts, Span::default()) }
        })
        .collect()
}
