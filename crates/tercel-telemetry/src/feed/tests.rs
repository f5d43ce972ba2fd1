//! The reading by layout, held to the ordinary one.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::ops::ControlFlow;

use proptest::prelude::*;
use tercel_ir::Name;
use tercel_schema::Schemas;

use super::walk::Way;
use crate::demand::ReadStats;
use crate::event::{EventSink, RawEvent};
use crate::input::{Format, Inputs};
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
    /// By name: a layout stands for its names in any order.
    fields: BTreeMap<String, String>,
    times: String,
    text: String,
}

/// The ordinary reading.
#[derive(Default)]
struct Plain {
    seen: Vec<Seen>,
    times: Vec<i64>,
    no_text: bool,
}

impl EventSink for Plain {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        !self.no_text
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let mut seen = HashSet::new();
        self.times.extend(e.time());
        self.seen.push(Seen {
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
            // The text of a walked event is made on demand; the walk's own tests compare it.
            text: e.text.filter(|_| !walked(e.source)).unwrap_or_default().to_owned(),
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
    /// Takes so many events.
    most: Option<usize>,
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
        if !walked(&self.source)
            && let EventText::Written(t) = e.text
        {
            text.push_str(t);
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
        if self.most.is_some_and(|n| self.out.len() >= n) {
            return ControlFlow::Break(());
        }
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
    // Event logs are walked only if nobody wants their text at once.
    let no_text = inputs.files().iter().any(|f| f.format == Format::Evtx);
    let mut sink = Plain { no_text, ..Plain::default() };
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
    stats.rows = sink.seen.len() as u64;
    (stats.min_time, stats.max_time) = (sink.times.iter().min().copied(), sink.times.iter().max().copied());
    (sink.seen, stats)
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
        assert_eq!(want_stats.min_time, got_stats.min_time);
        assert_eq!(want_stats.max_time, got_stats.max_time);
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

/// Event logs in parts of one chunk, of some chunks, and whole: sound, with a chunk that is none, with one that
/// is blank, and cut off in several places.
#[test]
fn event_logs_in_parts() {
    use crate::read::evtx::build::Xml::Slot;
    use crate::read::evtx::build::{Instance, Value, element, event, log, string, system, text};
    let data = |name: &str, slot| element("Data", vec![Slot(slot)]).with("Name", text(name));
    let templates = [
        event(Slot(14), Slot(17)),
        element("EventData", vec![data("A", 0), data("B", 1)]),
        element("EventData", vec![data("C", 0)]),
    ];
    let record = |i: u64| {
        let values =
            if i.is_multiple_of(3) { vec![string("c")] } else { vec![string(&"x".repeat(300)), string("b")] };
        let data = Value::Instance(Instance { template: if i.is_multiple_of(3) { 2 } else { 1 }, values });
        Instance { template: 0, values: system("Example-Provider", "Example/Operational", 7, i, data) }
    };
    let whole = log(&templates, &(1..500).map(record).collect::<Vec<_>>());
    let chunk = |n: usize| 4096 + n * 65536;
    assert!(whole.len() >= chunk(4));
    let mut broken = whole.clone();
    broken[chunk(1)..chunk(1) + 8].copy_from_slice(b"ElfChnj\0");
    broken[chunk(2)..chunk(3)].fill(0);
    let cuts = [whole.len() - 1, chunk(2) + 700, chunk(2), chunk(1) + 5, 4000].map(|n| whole[..n].to_vec());
    for bytes in cuts.iter().chain([&whole, &broken]) {
        let mut file = tempfile::Builder::new().suffix(".evtx").tempfile().unwrap();
        file.write_all(bytes).unwrap();
        for threads in [1, 3] {
            let options = ReadOptions { threads, ..ReadOptions::default() };
            let inputs = open(&[file.path().to_str().unwrap()], &options);
            for part in [1, 2 * 65536, 1 << 30] {
                compare(&inputs, part);
            }
        }
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

const SECURITY: &str = r#"{"EventID":4688,"SourceName":"Microsoft-Windows-Security-Auditing","Channel":"Security","Hostname":"ws1","Computer":null,"SubjectUserName":"x","NewProcessName":"C:\\a.exe","EventTime":"2026-05-31 00:00:03","ExecutionProcessID":4,"ThreadID":-7,"LogName":"Security"}"#;
const ROW: &str = r#"{"Timestamp":"2026-05-31T00:00:02.000Z","DeviceId":"d","DeviceName":"n","ActionType":"ProcessCreated","FileName":"a.exe","ReportId":3,"AdditionalFields":"{\"a\":1}"}"#;
const LATE: &str = r#"{"TimeGenerated":"2026-05-31T00:00:02Z","DeviceId":"d","DeviceName":"n","ActionType":"ConnectionSuccess","RemoteIP":"192.0.2.1"}"#;
const APP: &str = r#"{"time":"2026-05-31T00:00:05Z","level":"warn","msg":"héllo \"x\"","n":[1,{"a":[]}],"f":-1.5e3,"ok":false,"none":null,"a key that is much longer than thirty-two bytes":1}"#;

/// What is put into lines to break them.
const ODD: [&str; 18] = [
    "\"",
    "\\",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\r",
    " ",
    "\u{feff}",
    "é",
    "0",
    "-",
    "null",
    "\\\"",
    "\\\\",
    "\"EventID\":",
];

/// One way to change a line, drawn as numbers.
type Change = (u8, prop::sample::Index, prop::sample::Index);

fn change(line: &str, (kind, a, b): &Change) -> String {
    // An earlier change may have cut off all of it.
    if line.is_empty() {
        return String::new();
    }
    let mut fields: Vec<&str> = line.trim_matches(['{', '}']).split(",\"").collect();
    let n = fields.len();
    match kind % 9 {
        0 => fields.swap(a.index(n), b.index(n)),
        1 => fields.insert(a.index(n), fields[b.index(n)]),
        2 => {
            fields.remove(a.index(n));
        }
        // The value of another key.
        3 => {
            let value = fields[b.index(n)].split_once(':').map_or("", |f| f.1).to_owned();
            let key = fields[a.index(n)].split_once(':').map_or("", |f| f.0).to_owned();
            return line.replacen(fields[a.index(n)], &format!("{key}:{value}"), 1);
        }
        // A blank value.
        4 => {
            let key = fields[a.index(n)].split_once(':').map_or("", |f| f.0).to_owned();
            let blank = ["\"\"", "null", "{}", "0"][b.index(4)];
            return line.replacen(fields[a.index(n)], &format!("{key}:{blank}"), 1);
        }
        5 => {
            let at = (0..=a.index(line.len())).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
            let mut line = line.to_owned();
            line.insert_str(at, ODD[b.index(ODD.len())]);
            return line;
        }
        6 => return line.chars().take(a.index(line.len())).collect(),
        7 => return line.replace(':', " : "),
        _ => return line.replace("\":", "\": ").replace(",\"", ", \""),
    }
    // The first key has lost its quote to no split.
    let first = fields.iter().position(|f| f.starts_with('"')).unwrap_or(0);
    let parts = fields.iter().enumerate().map(|(i, f)| match (i, f.starts_with('"')) {
        (0, true) => (*f).to_owned(),
        (0, false) => format!("\"{f}"),
        (i, true) if i == first => format!(",{f}"),
        _ => format!(",\"{f}"),
    });
    format!("{{{}}}", parts.collect::<String>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn changed_lines(
        lines in prop::collection::vec(
            (0usize..5, prop::collection::vec(any::<Change>(), 0..3), 1usize..4, 0usize..8),
            1..8,
        ),
        part in prop_oneof![Just(1u64), 2u64..60, 60u64..3000],
        threads in 1usize..4,
        raw in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        time_field in prop_oneof![Just(None), Just(Some("EventTime")), Just(Some("Provider"))],
        max_record in prop_oneof![Just(1usize << 20), 100usize..700],
    ) {
        let mut text = String::new();
        // Twice, so that what was learned is met again.
        for (line, changes, times, end) in lines.iter().chain(&lines) {
            let mut line = [EVENT, SECURITY, ROW, LATE, APP][*line].to_owned();
            for c in changes {
                line = change(&line, c);
            }
            for _ in 0..*times {
                text.push_str(&line);
                text.push_str(["\n", "\n", "\n", "\n", "\r\n", "\n\n", " \n", ""][*end]);
            }
        }
        let mut bytes = text.into_bytes();
        for (at, byte) in raw {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let file = file_of(&bytes);
        let time_field = time_field.map(str::to_owned);
        let options = ReadOptions { threads, max_record, time_field, ..ReadOptions::default() };
        compare(&open(&[file.path().to_str().unwrap()], &options), part);
    }
}

#[test]
fn many_layouts() {
    // More than are remembered, each met twice; and names that are all alike, too.
    let mut text = String::new();
    for i in 0..6000 {
        for j in [i, i / 2] {
            text.push_str(&format!("{{\"EventID\":{j},\"Channel\":\"c\",\"key{j}\":\"{i}\",\"z\":1}}\n"));
        }
    }
    let file = file_of(text.as_bytes());
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    compare(&open(&[file.path().to_str().unwrap()], &options), 1 << 20);
}

#[test]
fn names_in_any_order_are_one_layout() {
    // A carrier that is read in the ordinary way, with its keys in another order each time; one event has a key more.
    let keys = [
        r#""log_name":"Security""#,
        r#""event_id":4688"#,
        r#""source_name":"Microsoft-Windows-Security-Auditing""#,
        r#""event_data":{"B":"2","NewProcessName":"a.exe"}"#,
        r#""computer_name":"host""#,
        r#""@timestamp":"2020-01-01T00:00:00Z""#,
    ];
    let mut text = String::new();
    for i in 0..60 {
        let mut keys: Vec<&str> = keys.into();
        keys.rotate_left(i % 6);
        keys.swap(1, 2 + i / 15);
        if i == 40 {
            keys.push(r#""more":1"#);
        }
        text.push_str(&format!("{{{}}}\n", keys.join(",")));
    }
    let file = file_of(text.as_bytes());
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let inputs = open(&[file.path().to_str().unwrap()], &options);
    compare(&inputs, 1 << 20);
    let (sinks, _) =
        inputs.feed(schemas(), &Laid::default, &mut |_| ControlFlow::Continue(()), &Progress::new());
    assert_eq!(sinks[0].layouts.len(), 2);
}

#[test]
fn unwanted_tables_are_counted() {
    let text = [EVENT, SECURITY, EVENT, SECURITY, EVENT].join("\n");
    let file = file_of(text.as_bytes());
    let inputs = open(&[file.path().to_str().unwrap()], &ReadOptions::default());
    let make = || Laid { unwanted: Some("Sysmon"), ..Laid::default() };
    let mut got = Vec::new();
    let mut deliver = |seen: Vec<Seen>| {
        got.extend(seen);
        ControlFlow::Continue(())
    };
    let (_, stats) = inputs.feed(schemas(), &make, &mut deliver, &Progress::new());
    assert_eq!((got.len(), stats.rows, stats.events), (2, 2, 5));
    assert_eq!(stats.tables.get("Sysmon"), Some(&3));
}

#[test]
fn reading_ends_when_asked() {
    let file = file_of([EVENT; 300].join("\n").as_bytes());
    let path = file.path().to_str().unwrap();
    let (want, _) = plain(&open(&[path], &ReadOptions::default()));
    for threads in [1, 2] {
        let inputs = open(&[path], &ReadOptions { threads, ..ReadOptions::default() });
        // By what is delivered: the first parts come in order, and nothing after the one refused.
        let mut got = Vec::new();
        let mut deliver = |seen: Vec<Seen>| {
            got.extend(seen);
            if got.len() >= 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let make = Laid::default;
        inputs.feed_in_parts(schemas(), &make, &mut deliver, &Progress::new(), 2000, Way::Portable);
        assert!((20..40).contains(&got.len()));
        assert_eq!(got[..], want[..got.len()]);
        // By a sink.
        let mut got = Vec::new();
        let mut deliver = |seen: Vec<Seen>| {
            got.extend(seen);
            ControlFlow::Continue(())
        };
        let make = || Laid { most: Some(3), ..Laid::default() };
        inputs.feed_in_parts(schemas(), &make, &mut deliver, &Progress::new(), 2000, Way::Portable);
        assert_eq!(got[..], want[..3]);
        // From outside.
        let progress = Progress::new();
        progress.cancel();
        let mut deliver = |_: Vec<Seen>| ControlFlow::Continue(());
        let (_, stats) = inputs.feed(schemas(), &Laid::default, &mut deliver, &progress);
        assert!(stats.events < 300);
    }
}

#[test]
#[should_panic(expected = "a sink that fails")]
fn a_panic_of_a_sink_is_passed_on() {
    struct Fails;
    impl LayoutSink for Fails {
        type Out = ();
        fn source(&mut self, _: &Name) {}
        fn layout(&mut self, _: &Name, _: &[Name]) -> Option<usize> {
            panic!("a sink that fails")
        }
        fn event(&mut self, _: usize, _: &LaidOut<'_>) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn take(&mut self) {}
    }
    let file = file_of([EVENT; 300].join("\n").as_bytes());
    let options = ReadOptions { threads: 3, ..ReadOptions::default() };
    let inputs = open(&[file.path().to_str().unwrap()], &options);
    let mut deliver = |()| ControlFlow::Continue(());
    inputs.feed_in_parts(schemas(), &|| Fails, &mut deliver, &Progress::new(), 2000, Way::Portable);
}
