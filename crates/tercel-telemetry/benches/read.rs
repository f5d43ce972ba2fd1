//! How fast events are read: `cargo bench -p tercel-telemetry`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tercel_ir::Type;
use tercel_schema::Schemas;
use tercel_telemetry::{
    Demand, EventSink, HiddenColumns, Inputs, Progress, RawEvent, ReadOptions, TableDemand, json, read_bytes,
};

/// Flat Sysmon connections like those of an NXLog collector.
fn flat(n: usize) -> String {
    let mut out = String::new();
    for i in 0..n {
        let _ = writeln!(
            out,
            r#"{{"EventID":3,"SourceName":"Microsoft-Windows-Sysmon","Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"WS-{:05}.corp.example","RuleName":"-","ProcessGuid":"{{6034eba3-00ab-350c-0000-{:012x}}}","ProcessId":"{}","Image":"C:\\Windows\\System32\\svchost.exe","User":"NT AUTHORITY\\NETWORK SERVICE","Protocol":"tcp","Initiated":"true","SourceIsIpv6":"false","SourceIp":"10.20.0.{}","SourceHostname":"ws-{:05}.corp.example","SourcePort":"{}","SourcePortName":"-","DestinationIsIpv6":"false","DestinationIp":"10.13.10.78","DestinationHostname":"-","DestinationPort":"135","DestinationPortName":"epmap","UtcTime":"2026-05-31 00:{:02}:{:02}.000","@timestamp":"2026-05-31T00:00:00.000Z","RecordNumber":{i}}}"#,
            i % 977,
            i,
            i % 30000,
            i % 250,
            i % 977,
            1024 + i % 60000,
            i / 60 % 60,
            i % 60
        );
    }
    out
}

fn demand(text: bool) -> Demand {
    let schemas = Schemas::builtin();
    let sysmon = schemas.table("Sysmon").expect("a shipped table");
    let names = [
        "TimeGenerated",
        "EventID",
        "Computer",
        "ProcessGuid",
        "Image",
        "User",
        "Protocol",
        "Initiated",
        "SourceIp",
        "DestinationIp",
        "DestinationPort",
        "DestinationHostname",
    ];
    let columns =
        names.iter().map(|n| ((*n).into(), sysmon.column(n).map_or(Type::String, |c| c.ty))).collect();
    Demand::new(vec![TableDemand {
        table: "Sysmon".into(),
        columns,
        hidden: HiddenColumns { time: true, source: true, record: true, event: text },
    }])
}

struct Nothing(u64);

impl EventSink for Nothing {
    fn wants(&mut self, _: &tercel_ir::Name) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        self.0 += e.fields.len() as u64;
        ControlFlow::Continue(())
    }
}

fn benches(c: &mut Criterion) {
    let text = flat(50_000);
    let schemas = Schemas::builtin();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("sysmon.jsonl");
    std::fs::write(&path, &text).expect("a temporary file");
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let inputs = Inputs::open(&[path.display().to_string()], &options);

    let mut g = c.benchmark_group("ndjson");
    g.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    g.bench_function("scan", |b| {
        b.iter(|| {
            let mut fields = Vec::new();
            let mut n = 0;
            for line in text.lines() {
                fields.clear();
                let _ = json::scan_object(line, 0, &mut fields);
                n += fields.len();
            }
            black_box(n)
        });
    });
    g.bench_function("recognise", |b| {
        b.iter(|| {
            let mut sink = Nothing(0);
            read_bytes("x.jsonl", text.as_bytes(), &schemas, &options, &mut sink);
            black_box(sink.0)
        });
    });
    for (name, demand) in [("12 columns", demand(false)), ("12 columns and the event", demand(true))] {
        g.bench_function(name, |b| {
            b.iter(|| {
                let stats = inputs.read(
                    &schemas,
                    &demand,
                    &mut |b| {
                        black_box(b);
                        ControlFlow::Continue(())
                    },
                    &Progress::new(),
                );
                assert_eq!(stats.rows, 50_000);
            });
        });
    }
    g.finish();

    let logs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/telemetry/evtx");
    let inputs = Inputs::open(&[logs.to_owned()], &options);
    if inputs.files().is_empty() {
        return eprintln!("skipped: event logs, because ../shared/telemetry is absent");
    }
    let mut g = c.benchmark_group("evtx");
    g.sample_size(10).throughput(Throughput::Bytes(inputs.total_bytes()));
    let demand = demand(false);
    g.bench_function("12 columns", |b| {
        b.iter(|| inputs.read(&schemas, &demand, &mut |_| ControlFlow::Continue(()), &Progress::new()).rows);
    });
    g.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
