//! The shipped views: they lower without findings, keep the columns and domains they promise, and map
//! rows as the data files in `tests/rows` say.

use crate::interpreter;

use interpreter::run;
use serde_json::Value as Json;
use std::collections::HashMap;
use tercel_ir::catalog::LogSource;
use tercel_ir::{Catalog, Domain, Rel, RelKind, Type, Value};
use tercel_schema::{EntryKind, SUMO_RECORDS, SchemaCatalog, Schemas, TableDef, unfilled, view_gaps};

fn catalog() -> SchemaCatalog {
    SchemaCatalog::new(Schemas::builtin(), Vec::new())
}

fn relation(c: &SchemaCatalog, name: &str) -> Rel {
    c.relation(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .unwrap_or_else(|d| panic!("{name}: {}", d.message))
}

fn domain(rel: &Rel, column: &str) -> Option<Domain> {
    rel.schema.get(column).unwrap_or_else(|| panic!("no column {column}")).domain.clone()
}

#[test]
fn every_view_lowers_without_findings() {
    let found = catalog().check();
    let text: Vec<String> = found
        .iter()
        .map(|(n, d)| format!("{n}: {:?}", d.iter().map(|d| &d.message).collect::<Vec<_>>()))
        .collect();
    assert!(found.is_empty(), "{}", text.join("\n"));
}

#[test]
fn every_name_resolves() {
    let c = catalog();
    for e in c.list() {
        let d = c.describe(&e.name).unwrap_or_else(|| panic!("{}", e.name));
        let d = d.unwrap_or_else(|d| panic!("{}: {}", e.name, d.message));
        assert!(!d.columns.is_empty(), "{}", e.name);
        assert_eq!(d.kind, e.kind, "{}", e.name);
        if e.kind != EntryKind::Table {
            assert!(!d.about.is_empty(), "{}", e.name);
            assert!(!d.tables.is_empty(), "{}", e.name);
        }
    }
}

#[test]
fn a_view_over_a_table_keeps_its_columns() {
    let c = catalog();
    for name in [
        "DeviceNetworkEvents",
        "DeviceProcessEvents",
        "DeviceFileEvents",
        "DeviceImageLoadEvents",
        "DeviceRegistryEvents",
        "DeviceLogonEvents",
    ] {
        let view = relation(&c, name);
        let table = c.schemas().table(name).unwrap();
        assert!(matches!(view.kind, RelKind::View { .. }), "{name}");
        // No misspelt column and no pair of types: those would show as additional columns.
        let names: Vec<&str> = view.schema.names().collect();
        assert_eq!(names, table.columns.iter().map(|c| &*c.name).collect::<Vec<_>>(), "{name}");
        for c in &table.columns {
            assert_eq!(view.schema.get(&c.name).unwrap().ty, c.ty, "{name}.{}", c.name);
        }
        assert!(!view.schema.open, "{name}");
    }
}

#[test]
fn no_view_splits_a_column_by_type() {
    let c = catalog();
    for e in c.list() {
        let rel = relation(&c, &e.name);
        for t in ["string", "int", "long", "bool", "datetime", "dynamic", "real"] {
            for col in rel.schema.names() {
                if let Some(base) = col.strip_suffix(&format!("_{t}")) {
                    assert!(
                        rel.schema.get(base).is_some()
                            || !rel.schema.names().any(|n| n.starts_with(&format!("{base}_")) && n != col),
                        "{}.{col}",
                        e.name
                    );
                }
            }
        }
    }
}

#[test]
fn domains_survive_the_union() {
    let c = catalog();
    let asim = relation(&c, "imNetworkSession");
    let Some(Domain::Values { values, closed: true }) = domain(&asim, "NetworkDirection") else {
        panic!("{:?}", domain(&asim, "NetworkDirection"))
    };
    for v in ["Inbound", "Outbound", "Local", "External", "Listen", "NA"] {
        assert!(values.iter().any(|x| x == v), "{v}");
    }
    assert!(!values.iter().any(|x| x == "true"));
    assert_eq!(domain(&asim, "DstPortNumber"), Some(Domain::Range { from: 0, to: 65535 }));
    assert_eq!(asim.schema.get("DstPortNumber").unwrap().ty, Type::Int);
    assert_eq!(domain(&asim, "EventSubType"), Some(Domain::Never));

    let defender = relation(&c, "DeviceNetworkEvents");
    assert_eq!(domain(&defender, "InitiatingProcessFileName"), Some(Domain::FileName));
    assert_eq!(domain(&defender, "RemotePort"), Some(Domain::Range { from: 0, to: 65535 }));
    assert!(matches!(domain(&defender, "ActionType"), Some(Domain::Values { .. })));
    assert!(defender.schema.get("AccountName").is_none());

    let sigma = relation(&c, "sigma/windows/network_connection");
    assert_eq!(sigma.schema.get("Initiated").unwrap().ty, Type::Bool);
    assert_eq!(sigma.schema.get("DestinationPort").unwrap().ty, Type::Int);
}

#[test]
fn functions_have_their_documented_parameters() {
    let c = catalog();
    for name in ["_Im_NetworkSession", "imNetworkSession"] {
        let f = c.function(name).unwrap();
        let params: Vec<&str> = f.params.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(
            params,
            [
                "starttime",
                "endtime",
                "srcipaddr_has_any_prefix",
                "dstipaddr_has_any_prefix",
                "ipaddr_has_any_prefix",
                "dstportnumber",
                "hostname_has_any",
                "dvcaction",
                "eventresult",
                "pack"
            ]
        );
        assert!(f.params.iter().all(|p| p.default.is_some()));
    }
    for query in [
        "_Im_NetworkSession | where DstPortNumber == 443",
        "_Im_NetworkSession()",
        "imNetworkSession(dstportnumber = 443, srcipaddr_has_any_prefix = dynamic(['10.']), dvcaction = dynamic(['Deny']))",
        "_Im_NetworkSession(hostname_has_any=dynamic(['a','b']), eventresult='Failure', starttime=ago(1d), pack=true)",
    ] {
        let (ast, d) = tercel_kql::parse(query);
        assert!(d.is_empty(), "{query}: {d:?}");
        let (rel, d) = tercel_kql::lower(&ast, &c, &tercel_kql::Options::default());
        assert!(rel.is_some() && d.is_empty(), "{query}: {d:?}");
    }
}

#[test]
fn log_sources() {
    let c = catalog();
    let get = |category, product, service| c.log_source(LogSource { category, product, service });
    for category in
        ["process_creation", "network_connection", "file_event", "registry_set", "ps_script", "antivirus"]
    {
        get(Some(category), Some("windows"), None).unwrap_or_else(|d| panic!("{}", d.message));
    }
    for service in ["security", "system", "sysmon", "powershell", "windefend", "bits-client", "taskscheduler"]
    {
        get(None, Some("windows"), Some(service)).unwrap_or_else(|d| panic!("{}", d.message));
    }
    get(None, Some("windows"), None).unwrap();
    get(None, Some("zeek"), Some("dns")).unwrap();
    get(Some("process_creation"), None, None).unwrap();
    // Both: the category's events in the service's channel only.
    let both = get(Some("process_creation"), Some("windows"), Some("sysmon")).unwrap();
    assert!(matches!(both.kind, RelKind::Filter { .. }));
    for (category, product, service) in [
        (Some("registry_set"), Some("linux"), None),
        (None, Some("aws"), Some("cloudtrail")),
        (Some("procces_creation"), Some("windows"), None),
        (None, None, None),
    ] {
        let d = get(category, product, service).unwrap_err();
        assert_eq!(d.code, "no-log-source");
        assert!(d.help.is_some());
    }
    // What is known to have no home is said with its reason.
    let d = get(None, Some("azure"), Some("signinlogs")).unwrap_err();
    assert!(d.help.unwrap().contains("cloud"));
    // A rule that names no product means all of them.
    let every = get(Some("process_creation"), None, None).unwrap();
    assert!(every.tables().iter().any(|t| &**t == "LinuxAudit"));
    let typo = get(Some("proces_creation"), Some("windows"), None).unwrap_err();
    assert!(typo.help.unwrap().contains("process_creation"));
}

#[test]
fn every_log_source_is_listed_with_its_home_or_the_reason() {
    let c = catalog();
    let all = c.log_sources();
    let home = |s: &LogSource<'_>| c.log_source(*s).is_ok();
    for e in &all {
        let source = LogSource {
            category: e.source.category.as_deref(),
            product: e.source.product.as_deref(),
            service: e.source.service.as_deref(),
        };
        assert!(!e.about.is_empty(), "{e:?}");
        // A product may have no home as such, and some categories.
        if e.view.is_some() || source.product != Some("macos") {
            assert_eq!(e.view.is_some(), home(&source), "{e:?}");
        }
    }
    assert!(all.iter().filter(|e| e.view.is_some()).count() > 130, "{}", all.len());
    assert!(all.iter().filter(|e| e.view.is_none()).count() > 20);
}

#[test]
fn what_a_view_leaves_out_can_be_counted() {
    let c = catalog();
    let (ast, _) = tercel_kql::parse("DeviceNetworkEvents | where RemotePort == 443");
    let (rel, _) = tercel_kql::lower(&ast, &c, &tercel_kql::Options::default());
    let omitted = c.omissions(&rel.unwrap());
    assert_eq!(omitted.len(), 1);
    assert_eq!(omitted[0].view, "DeviceNetworkEvents");
    let rows = HashMap::from([
        ("Sysmon".to_string(), serde_json::json!([{"EventID": 3, "Computer": "a"}])),
        (
            "SecurityEvent".to_string(),
            serde_json::json!([
                {"EventID": 5156, "Computer": "a"}, {"EventID": 5156, "Computer": "b"}, {"EventID": 5157, "Computer": "a"}
            ]),
        ),
    ]);
    assert_eq!(run(&omitted[0].rows, &rows).len(), 1);
    assert_eq!(run(&relation(&c, "DeviceNetworkEvents"), &rows).len(), 3);
    assert!(c.omissions(&relation(&c, "Sysmon")).is_empty());
}

#[test]
fn unfilled_columns_follow_the_tables_at_hand() {
    let c = catalog();
    let sysmon = c.unfilled_columns("DeviceNetworkEvents", &["Sysmon".into()]);
    let has = |n: &str| sysmon.iter().any(|c| &**c == n);
    assert!(
        has("InitiatingProcessCommandLine")
            && has("InitiatingProcessMD5")
            && has("InitiatingProcessParentFileName")
    );
    assert!(!has("RemoteIP") && !has("RemoteIPType") && !has("Timestamp") && !has("RemoteUrl"));
    assert!(c.unfilled_columns("DeviceNetworkEvents", &["DeviceNetworkEvents".into()]).is_empty());
    assert!(
        c.unfilled_columns("DeviceNetworkEvents", &["ZeekConn".into()]).is_empty(),
        "no data, nothing to say"
    );
    let security = c.unfilled_columns("sigma/windows/network_connection", &["SecurityEvent".into()]);
    assert!(security.iter().any(|c| &**c == "User"));
    assert!(!security.iter().any(|c| &**c == "Image"));

    let (ast, _) = tercel_kql::parse(
        "DeviceNetworkEvents | where InitiatingProcessMD5 == 'x' and RemotePort == 1 | project RemoteIP",
    );
    let (rel, _) = tercel_kql::lower(&ast, &c, &tercel_kql::Options::default());
    let gaps = view_gaps(&rel.unwrap(), &|t| t == "Sysmon");
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].columns.iter().map(|c| &**c).collect::<Vec<_>>(), ["InitiatingProcessMD5"]);
    assert!(unfilled(&relation(&c, "Sysmon"), &|_| true).is_empty());
}

#[test]
fn users_can_add_views() {
    let mut c = catalog();
    c.add_view("// view Ours\n// about Ours.\nSysmon | where EventID == 1 | project Image\n").unwrap();
    assert_eq!(relation(&c, "Ours").schema.columns.len(), 1);
    c.add_view("// view l\n// log source category=process_creation product=linux\nSyslog | project CommandLine = SyslogMessage\n").unwrap();
    assert!(
        c.log_source(LogSource { category: Some("process_creation"), product: Some("linux"), service: None })
            .is_ok()
    );
    // Replacing a shipped one.
    c.add_view("// view imNetworkSession\nSysmon | project NetworkDirection = 'x'\n").unwrap();
    assert_eq!(relation(&c, "imNetworkSession").schema.columns.len(), 1);
    // Faults are told where they are.
    c.add_view("// view Bad\nSysmon\n| where NoSuchFunction(1)\n").unwrap();
    let d = c.relation("Bad").unwrap().unwrap_err();
    assert_eq!(d.code, "broken-view");
    assert!(d.message.contains("line 3"), "{}", d.message);
    for (a, b) in [("A", "B"), ("B", "A")] {
        c.add_view(&format!("// view {a}\n{b} | take 1\n")).unwrap();
    }
    assert!(c.relation("A").unwrap().is_err());
    assert_eq!(c.check().len(), 3);
}

#[test]
fn a_table_can_be_left_out_of_views() {
    let mut c = catalog();
    c.without("SecurityEvent");
    let rows = HashMap::from([(
        "SecurityEvent".to_string(),
        serde_json::json!([{"EventID": 5156, "Direction": "%%14593", "SourceAddress": "10.0.0.1"}]),
    )]);
    assert!(run(&relation(&c, "DeviceNetworkEvents"), &rows).is_empty());
    assert_eq!(run(&relation(&c, "SecurityEvent"), &rows).len(), 1);
}

#[test]
fn sumo_records_hold_what_is_there() {
    let mut other = TableDef::unknown("proxy");
    other.columns.push(tercel_ir::Column::new("_sourceCategory", Type::String));
    other.columns.push(tercel_ir::Column::new("EventID", Type::String));
    let known = |n: &str| Schemas::builtin().table(n).unwrap().clone();
    let mut c =
        SchemaCatalog::new(Schemas::builtin(), vec![known("Sysmon"), known("DeviceNetworkEvents"), other]);
    let rel = relation(&c, SUMO_RECORDS);
    assert_eq!(rel.tables().len(), 3);
    for (n, t) in
        [("_messageTime", Type::DateTime), ("_raw", Type::String), ("_sourceCategory", Type::String)]
    {
        assert_eq!(rel.schema.get(n).unwrap().ty, t, "{n}");
    }
    // Two types in two tables: text.
    assert_eq!(rel.schema.get("EventID").unwrap().ty, Type::String);
    c.set_source_category("Sysmon", "prod/win/sysmon");
    let rows = HashMap::from([
        ("Sysmon".to_string(), serde_json::json!([{"EventID": 3, "Computer": "a", "$event": "{}"}])),
        ("proxy".to_string(), serde_json::json!([{"_sourceCategory": "net/proxy", "$source": "p.log"}])),
    ]);
    let out = run(&relation(&c, SUMO_RECORDS), &rows);
    let text = |i: usize, n: &str| out[i].get(n).map(Value::to_text).unwrap_or_default();
    assert_eq!(text(0, "_sourceCategory"), "prod/win/sysmon");
    assert_eq!(
        (text(0, "_sourceHost"), text(0, "_raw"), text(0, "EventID")),
        ("a".into(), "{}".into(), "3".into())
    );
    assert_eq!((text(1, "_sourceCategory"), text(1, "_sourceName")), ("net/proxy".into(), "p.log".into()));
}

// ---- rows -------------------------------------------------------------------------------------

/// `tests/rows/*.json`: `[{"why", "tables": {TABLE: [row, ...]}, "expect": {VIEW: [row, ...]}}]`. Expected
/// rows stand in the view's order; only the columns they name are compared, as text; null is an absent value.
#[test]
fn rows_are_mapped_as_the_data_files_say() {
    let c = catalog();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for f in std::fs::read_dir(dir).unwrap().flatten() {
        let text = std::fs::read_to_string(f.path()).unwrap();
        let list: Json =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", f.path().display()));
        for case in list.as_array().unwrap() {
            let why = format!("{}: {}", f.file_name().display(), case["why"].as_str().unwrap());
            let tables: HashMap<String, Json> =
                case["tables"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            for (view, expected) in case["expect"].as_object().unwrap() {
                cases += 1;
                let rel = relation(&c, view);
                let rows = run(&rel, &tables);
                let expected = expected.as_array().unwrap();
                if rows.len() != expected.len() {
                    wrong.push(format!("{why}: {view} gives {} rows, not {}", rows.len(), expected.len()));
                    continue;
                }
                for (row, want) in rows.iter().zip(expected) {
                    for (name, want) in want.as_object().unwrap() {
                        assert!(rel.schema.get(name).is_some(), "{why}: {view} has no column {name}");
                        let got = row.get(name).cloned().unwrap_or_default();
                        let want = match want {
                            Json::Null => String::new(),
                            Json::Bool(b) => Value::Bool(*b).to_text(),
                            Json::String(s) => s.clone(),
                            other => other.to_string(),
                        };
                        if got.to_text() != want {
                            wrong.push(format!("{why}: {view}.{name} is {:?}, not {want:?}", got.to_text()));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 20, "{cases}");
}
