//! The published detections that lie beside the repository lower, with the findings they deserve.

use std::path::Path;
use tercel_ir::catalog::LogSource;
use tercel_ir::{Catalog, Column, Diagnostic, Rel, RelKind, Schema, Severity, Span, StoredFunction, Type};

struct Defender;

const NETWORK: &[(&str, Type)] = &[
    ("Timestamp", Type::DateTime),
    ("TimeGenerated", Type::DateTime),
    ("DeviceId", Type::String),
    ("DeviceName", Type::String),
    ("ActionType", Type::String),
    ("RemoteIP", Type::String),
    ("RemotePort", Type::Int),
    ("RemoteUrl", Type::String),
    ("LocalPort", Type::Int),
    ("Protocol", Type::String),
    ("RemoteIPType", Type::String),
    ("InitiatingProcessMD5", Type::String),
    ("InitiatingProcessFileName", Type::String),
    ("InitiatingProcessCommandLine", Type::String),
    ("InitiatingProcessParentFileName", Type::String),
    ("InitiatingProcessAccountName", Type::String),
];

const ASIM: &[(&str, Type)] = &[
    ("TimeGenerated", Type::DateTime),
    ("NetworkDirection", Type::String),
    ("SrcProcessName", Type::String),
    ("DstProcessName", Type::String),
    ("DstPortNumber", Type::Int),
    ("DstHostname", Type::String),
];

impl Catalog for Defender {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        let columns = match name {
            "DeviceNetworkEvents" => NETWORK,
            "imNetworkSession" => ASIM,
            _ => return None,
        };
        let schema = Schema::new(columns.iter().map(|(n, t)| Column::new(*n, *t)).collect());
        Some(Ok(Rel { kind: RelKind::Scan { table: name.into() }, schema, span: Span::default() }))
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec!["DeviceNetworkEvents".into(), "imNetworkSession".into()]
    }
    fn log_source(&self, _: LogSource<'_>) -> Result<Rel, Diagnostic> {
        Err(Diagnostic::error("no-log-source", "none here"))
    }
}

#[test]
fn published_detections_lower() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    if !dir.is_dir() {
        println!(
            "skipped: no ../shared beside the repository, because the published detections are not part of it"
        );
        return;
    }
    let want: &[(&str, &[&str], &[&str])] = &[
        ("000_office_uncommon_ports.asim.kql", &["type-mismatch"], &[]),
        (
            "001_commonly_used_port.defender.kql",
            &["unknown-column"],
            &[
                "Timestamp",
                "DeviceName",
                "AccountName",
                "InitiatingProcessFileName",
                "InitiatingProcessCommandLine",
                "InitiatingProcessParentFileName",
                "RemoteIP",
                "RemotePort",
                "RemoteIPType",
                "IsInternal",
                "IsScriptInterpreter",
                "IsLOLBin",
                "IsUnusualSystem",
            ],
        ),
        ("003_suspicious_location.asim.kql", &[], &[]),
        (
            "004_rare_outgoing_ipv4.defender.kql",
            &[],
            &[
                "InitiatingProcessFileName",
                "Hashes",
                "DeviceCount",
                "SampleProcess",
                "SampleRemoteIP",
                "Ports",
                "RemoteIP_country",
            ],
        ),
        (
            "004_rare_outgoing_ipv4.sentinel.kql",
            &[],
            &[
                "InitiatingProcessFileName",
                "Hashes",
                "DeviceCount",
                "SampleProcess",
                "SampleRemoteIP",
                "Ports",
                "RemoteIP_country",
            ],
        ),
    ];
    for (file, codes, columns) in want {
        let text = std::fs::read_to_string(dir.join(file)).expect("a readable file");
        let (ast, mut found) = tercel_kql::parse(&text);
        let (rel, more) = tercel_kql::lower(&ast, &Defender, &tercel_kql::Options::default());
        found.extend(more);
        let all: Vec<String> =
            found.iter().map(|d| format!("{} {} {:?}", d.code, d.message, d.help)).collect();
        let rel = rel.unwrap_or_else(|| panic!("{file} does not lower: {all:#?}"));
        let mut got: Vec<&str> =
            found.iter().filter(|d| d.severity == Severity::Warning).map(|d| d.code).collect();
        got.dedup();
        assert_eq!(&got, codes, "{file}: {all:#?}");
        if !columns.is_empty() {
            assert_eq!(&rel.schema.names().collect::<Vec<_>>(), columns, "{file}");
        }
        if *file == "001_commonly_used_port.defender.kql" {
            let d = found.iter().find(|d| d.code == "unknown-column").expect("just seen");
            assert!(d.message.contains("AccountName in DeviceNetworkEvents"), "{}", d.message);
            assert!(
                d.help.as_deref().is_some_and(|h| h.contains("InitiatingProcessAccountName")),
                "{:?}",
                d.help
            );
        }
    }
}
