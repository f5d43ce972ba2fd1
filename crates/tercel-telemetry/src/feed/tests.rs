//! The reading by layout, held to the ordinary one.

use std::collections::HashSet;
use std::io::Write as _;
use std::ops::ControlFlow;

use tercel_ir::Name;
use tercel_schema::Schemas;

use super::walk::Way;
use crate::demand::ReadStats;
use crate::event::{EventSink, RawEvent};
use crate::input::Inputs;
use crate::layout::{EventText, LaidOut, LayoutSink};
use crate::options::ReadOptions;
use crate::problem::Problems;
use crate::progress::Progress;
use crate::shape::Recogniser;
use crate::value::RawValue;

/// All of one event, in words.
#[derive(PartialEq, Debug)]
struct Seen {
    source: String,
    record: i64,
    table: String,
    fields: Vec<(String, String)>,
    times: String,
    text: String,
}

/// The ordinary reading.
#[derive(Default)]
struct Plain(Vec<Seen>);

impl EventSink for Plain {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let mut seen = HashSet::new();
        self.0.push(Seen {
            source: e.source.to_string(),
            record: e.record,
            table: e.table.to_string(),
            // Of a repeated name the first counts.
            fields: e
                .fields
                .iter()
                .filter(|f| seen.insert(f.name.to_string()))
                .map(|f| (f.name.to_string(), shown(e.source, &f.value)))
                .collect(),
            times: if walked(e.source) { format!("{:?}", e.time()) } else { format!("{:?}", e.times) },
            text: e.text.unwrap_or("none").to_owned(),
        });
        ControlFlow::Continue(())
    }
}

/// Event logs are read without their JSON between.
fn walked(source: &str) -> bool {
    source.ends_with(".evtx")
}

/// A value as it was found; of an event log, as text.
fn shown(source: &str, value: &RawValue<'_>) -> String {
    match value {
        RawValue::Null => "Null".into(),
        v if walked(source) => crate::typing::string(v, &mut String::new()).unwrap_or_default().to_owned(),
        v => format!("{v:?}"),
    }
}

/// The reading by layout. Numbers of layouts are given out anew for every announcement.
#[derive(Default)]
struct Laid {
    source: String,
    layouts: Vec<(Name, Vec<Name>)>,
    forgotten: usize,
    out: Vec<Seen>,
    /// Takes nothing of this table.
    unwanted: Option<&'static str>,
}

impl LayoutSink for Laid {
    type Out = Vec<Seen>;
    fn source(&mut self, source: &Name) {
        self.source = source.to_string();
    }
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "names are distinct");
        if self.unwanted == Some(&**table) {
            return None;
        }
        self.layouts.push((table.clone(), names.to_vec()));
        Some(self.layouts.len() - 1)
    }
    fn forget_layouts(&mut self) {
        self.forgotten = self.layouts.len();
    }
    fn event(&mut self, layout: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
        assert!(layout >= self.forgotten, "the number of a layout that was forgotten");
        let (table, names) = &self.layouts[layout];
        assert_eq!(names.len(), e.values.len());
        let mut text = String::new();
        if let EventText::Written(t) = e.text {
            text.push_str(t);
        } else if walked(&self.source) {
            e.text.push(&mut text);
        }
        self.out.push(Seen {
            source: self.source.clone(),
            record: e.record,
            table: table.to_string(),
            fields: names
                .iter()
                .zip(e.values)
                .map(|(n, v)| (n.to_string(), shown(&self.source, v)))
                .collect(),
            times: if walked(&self.source) { format!("{:?}", e.time()) } else { format!("{:?}", e.times) },
            text,
        });
        ControlFlow::Continue(())
    }
    fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.out)
    }
}

fn schemas() -> &'static Schemas {
    static SCHEMAS: std::sync::LazyLock<Schemas> = std::sync::LazyLock::new(Schemas::builtin);
    &SCHEMAS
}

fn feed(inputs: &Inputs, part: u64, way: Way) -> (Vec<Seen>, ReadStats) {
    let mut out = Vec::new();
    let mut deliver = |mut seen: Vec<Seen>| {
        out.append(&mut seen);
        ControlFlow::Continue(())
    };
    let (_, stats) =
        inputs.feed_in_parts(schemas(), &Laid::default, &mut deliver, &Progress::new(), part, way);
    (out, stats)
}

fn plain(inputs: &Inputs) -> (Vec<Seen>, ReadStats) {
    let mut sink = Plain::default();
    let mut stats = ReadStats { problems: inputs.problems.clone(), ..ReadStats::default() };
    let mut recogniser = Recogniser::new(schemas(), inputs.options.time_field.as_deref());
    for file in inputs.files() {
        let mut problems = Problems::new(file.name.clone());
        inputs.run(file, &mut recogniser, &mut sink, &mut problems, None).file(file);
        stats.files += 1;
        stats.unparsed += problems.lost_records();
        stats.problems.extend(problems.into_vec());
    }
    stats.events = recogniser.events();
    for (table, _, n) in recogniser.take_counts() {
        *stats.tables.entry(table).or_default() += n;
    }
    stats.rows = sink.0.len() as u64;
    (sink.0, stats)
}

/// Both readings of the same inputs, with parts of `part` bytes.
fn compare(inputs: &Inputs, part: u64) {
    let (want, want_stats) = plain(inputs);
    for way in Way::all() {
        let (got, got_stats) = feed(inputs, part, way);
        for (w, g) in want.iter().zip(&got) {
            assert_eq!(w, g, "parts of {part}, {way:?}");
        }
        assert_eq!(want.len(), got.len(), "parts of {part}, {way:?}");
        assert_eq!(want_stats.problems, got_stats.problems, "parts of {part}, {way:?}");
        assert_eq!(want_stats.files, got_stats.files);
        assert_eq!(want_stats.events, got_stats.events);
        assert_eq!(want_stats.unparsed, got_stats.unparsed);
        assert_eq!(want_stats.tables, got_stats.tables);
        assert_eq!(want_stats.rows, got_stats.rows);
    }
}

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open(paths: &[&str], options: &ReadOptions) -> Inputs {
    Inputs::open(&paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), options)
}

/// Compares for one file of these bytes, in parts of several sizes, on one thread and on three.
fn compare_bytes(bytes: &[u8]) {
    let file = file_of(bytes);
    let path = file.path().to_str().unwrap();
    for threads in [1, 3] {
        let inputs = open(&[path], &ReadOptions { threads, ..ReadOptions::default() });
        for part in [17, 100, 1 << 20] {
            compare(&inputs, part);
        }
    }
}

#[test]
fn own_samples() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    for threads in [1, 2] {
        let inputs = open(&[root, data], &ReadOptions { threads, ..ReadOptions::default() });
        assert!(inputs.files().len() > 20);
        compare(&inputs, 5000);
        compare(&inputs, 4 << 20);
    }
}

#[test]
fn real_captures() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/telemetry");
    if !std::path::Path::new(root).exists() {
        println!("skipped: real captures, because {root} is not there");
        return;
    }
    // One file at a time, so that little is held in memory.
    for file in open(&[root], &ReadOptions::default()).files() {
        let inputs = open(&[&file.name], &ReadOptions { threads: 2, ..ReadOptions::default() });
        compare(&inputs, 1 << 20);
    }
}

const EVENT: &str = r#"{"EventID":3,"SourceName":"Microsoft-Windows-Sysmon","Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"ws1","SeverityValue":2,"EventType":"INFO","Opcode":"Info","OpcodeValue":0,"Message":"Network connection detected:\r\nEventType: Set\r\nUser: é","UtcTime":"2026-05-31 00:00:01.000","@timestamp":"2026-05-31T00:00:02.000Z","Image":"C:\\a\\b.exe","tags":["a","}\"{"],"UserID":"","Level":null,"Ok":true,"RecordNumber":7}"#;

#[test]
fn odd_lines() {
    for sep in ["\n", "\r\n", "\n\n", "\n \t\r\n", ",\n"] {
        let lines = [
            EVENT,
            EVENT,
            "{}",
            r#"{"a":1}{"a":2} {"b":3}"#,
            "junk",
            r#"{"a":"#,
            r#"{"a":"\"#,
            &EVENT.replace(',', ", ").replace("\":", "\": "),
            &EVENT.replace("Sysmon", "S\\u0079smon"),
            &EVENT.replace("EventID", "Event\\u0049D"),
            r#"[{"EventID":1,"Channel":"Security"},"#,
            r#"{"EventID":2,"Channel":"Security","EventID":3}]"#,
            EVENT,
        ];
        let text = lines.join(sep);
        for bytes in [
            text.clone().into_bytes(),
            format!("\u{feff}{text}{sep}").into_bytes(),
            [text.as_bytes(), b"\n{\"a\":\"\xff\xc3\"}\n", text.as_bytes()].concat(),
        ] {
            compare_bytes(&bytes);
        }
    }
}
