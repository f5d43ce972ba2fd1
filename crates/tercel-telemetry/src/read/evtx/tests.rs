//! The walk against the full parser.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tercel_ir::Name;
use tercel_schema::Schemas;

use super::build::{Instance, Value, Xml, element, event, log, null, string, system, text, utf16};
use super::*;
use crate::event::{EventSink, RawEvent};
use crate::gist;
use crate::layout::ByLayout;
use crate::options::ReadOptions;
use crate::shape::Recogniser;
use crate::typing;

/// Events as text: everything that a sink could see of them.
#[derive(Default)]
struct Seen {
    with_text: bool,
    /// Only the first field of a name is written down.
    distinct: bool,
    events: Vec<String>,
    /// The same, with only the first field of a name.
    distinct_events: Vec<String>,
    texts: Vec<String>,
}

/// What a value is in a column of any type.
fn every_type(value: &RawValue<'_>, out: &mut String) {
    let (mut a, mut b) = (String::new(), String::new());
    let _ = write!(
        out,
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        typing::string(value, &mut a),
        // JSON may spell control characters in several ways.
        typing::dynamic(value, &mut b)
            .map(|t| serde_json::from_str::<serde_json::Value>(t).map_err(|e| format!("{e}: {t}"))),
        typing::long(value),
        typing::bool(value),
        typing::real(value),
        typing::datetime(value),
        typing::timespan(value),
        typing::suggest(value),
    );
}

impl EventSink for Seen {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        self.with_text
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let mut all = format!("{} {} {:?}\n", e.table, e.record, e.time());
        let mut distinct = all.clone();
        for (i, f) in e.fields.iter().enumerate() {
            let mut line = format!("{} = ", f.name);
            every_type(&f.value, &mut line);
            line.push('\n');
            all.push_str(&line);
            if !e.fields[..i].iter().any(|g| g.name == f.name) {
                distinct.push_str(&line);
            }
        }
        self.events.push(if self.distinct { distinct.clone() } else { all });
        self.distinct_events.push(distinct);
        self.texts.extend(e.text.map(str::to_owned));
        ControlFlow::Continue(())
    }
}

/// Reads a log through the walk, or through the full parser alone.
fn events(log: &[u8], full: bool) -> (Seen, Vec<String>) {
    let schemas = Schemas::builtin();
    let mut recogniser = Recogniser::new(&schemas, None);
    let mut sink = Seen { with_text: full, ..Seen::default() };
    let mut problems = Problems::new("log".into());
    let options = ReadOptions::default();
    let mut run =
        Run::new(&mut recogniser, &mut sink, &mut problems, &options, None, "log".into(), "log".into());
    read(&mut run, Box::new(log)).unwrap();
    assert_eq!(recogniser.events(), sink.events.len() as u64);
    (sink, problems.into_vec().iter().map(|p| format!("{p:?}")).collect())
}

/// A sink by layouts that writes events down in the same way; records that were not walked are counted.
#[derive(Default)]
struct Fed {
    layouts: Vec<(Name, Vec<Name>)>,
    events: Vec<String>,
    texts: Vec<String>,
    not_walked: usize,
    /// Texts that said what they are made of.
    in_parts: usize,
    /// Layouts after which all are forgotten.
    limit: usize,
    generation: u64,
}

impl ByLayout for Fed {
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        if self.limit > 0 && self.layouts.len() >= self.limit {
            self.layouts.clear();
            self.generation += 1;
        }
        let distinct: std::collections::HashSet<&Name> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        self.layouts.push((table.clone(), names.to_vec()));
        Some(self.layouts.len() - 1)
    }
    fn generation(&self) -> u64 {
        self.generation
    }
    fn event(&mut self, layout: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
        let (table, names) = &self.layouts[layout];
        assert_eq!(names.len(), e.values.len());
        let mut out = format!("{table} {} {:?}\n", e.record, e.time());
        for (name, value) in names.iter().zip(e.values) {
            let _ = write!(out, "{name} = ");
            every_type(value, &mut out);
            out.push('\n');
        }
        self.events.push(out);
        let mut text = String::new();
        e.text.push(&mut text);
        if let EventText::Parts(parts) = e.text {
            self.in_parts += usize::from(gist::check(parts, &text));
        }
        self.texts.push(text);
        ControlFlow::Continue(())
    }
}

impl EventSink for Fed {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn by_layout(&mut self) -> Option<&mut dyn ByLayout> {
        Some(self)
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        self.not_walked += 1;
        let mut seen = Seen { with_text: true, distinct: true, ..Seen::default() };
        let flow = EventSink::event(&mut seen, e);
        self.events.append(&mut seen.events);
        self.texts.append(&mut seen.texts);
        flow
    }
}

fn fed(log: &[u8], recogniser: &mut Recogniser<'_>, out: &mut Fed) -> Vec<String> {
    let mut problems = Problems::new("log".into());
    let options = ReadOptions::default();
    let before = recogniser.events();
    let mut run = Run::new(recogniser, out, &mut problems, &options, None, "log".into(), "log".into());
    read(&mut run, Box::new(log)).unwrap();
    assert_eq!(recogniser.events() - before, out.events.len() as u64);
    problems.into_vec().iter().map(|p| format!("{p:?}")).collect()
}

/// All ways to read a log give the same. Returns how many records there were, and how many were not walked.
fn compare(log: &[u8], what: &str, recogniser: &mut Recogniser<'_>, out: &mut Fed) -> (usize, usize) {
    let (full, full_problems) = events(log, true);
    let (walked, walked_problems) = events(log, false);
    assert_eq!(walked.events.len(), full.events.len(), "{what}");
    for (i, (a, b)) in walked.events.iter().zip(&full.events).enumerate() {
        assert_eq!(a, b, "record {i} of {what}: {}", full.texts[i]);
    }
    assert_eq!(walked_problems, full_problems, "{what}");
    out.events.clear();
    out.texts.clear();
    let before = out.not_walked;
    let fed_problems = fed(log, recogniser, out);
    for (a, b) in out.events.iter().zip(&full.distinct_events) {
        assert_eq!(a, b, "{what}");
    }
    assert_eq!(out.events.len(), full.events.len(), "{what}");
    assert_eq!(out.texts.len(), full.texts.len(), "{what}");
    for (i, (a, b)) in out.texts.iter().zip(&full.texts).enumerate() {
        assert_eq!(a, b, "text of record {i} of {what}");
    }
    assert_eq!(fed_problems, full_problems, "{what}");
    (full.events.len(), out.not_walked - before)
}

fn logs(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            logs(&path, out);
        } else if path.extension().is_some_and(|e| e == "evtx") {
            out.push(path);
        }
    }
}

/// Event logs that are not ours to ship; none, where they are not beside this repository.
fn captured() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["telemetry/evtx", "conformance/sigma"] {
        logs(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(folder), &mut files);
    }
    files.sort();
    files
}

#[test]
fn captured_logs() {
    let files = captured();
    if files.is_empty() {
        return eprintln!("skipped: captured event logs, because ../shared/telemetry/evtx is absent");
    }
    // One recogniser for all files, as one thread has.
    let schemas = Schemas::builtin();
    let (mut recogniser, mut out) = (Recogniser::new(&schemas, None), Fed::default());
    let mut not_walked = BTreeMap::new();
    let (mut records, mut left) = (0, 0);
    for path in &files {
        let (n, m) =
            compare(&std::fs::read(path).unwrap(), &path.display().to_string(), &mut recogniser, &mut out);
        records += n;
        left += m;
        if m > 0 {
            not_walked.insert(path.display().to_string(), (m, n));
        }
    }
    eprintln!("{records} records, {left} of them not walked: {not_walked:#?}");
    assert!(left * 20 <= records, "{left} of {records} records were not walked: {not_walked:#?}");
    eprintln!("{} texts said what they are made of", out.in_parts);
    assert!(
        out.in_parts * 20 >= records * 19,
        "only {} texts of {records} said what they are made of",
        out.in_parts
    );
    let declined = recogniser.take_walker().declined.get();
    eprintln!("the text of {declined} was left to the full parser");
    assert!(declined * 100 <= records, "{declined} texts of {records} were left to the full parser");
}

/// Compares all ways to read a log of our own; all of it is walked. Returns how many texts were left to the
/// full parser.
fn own(templates: &[Xml], records: &[Instance]) -> usize {
    let schemas = Schemas::builtin();
    let mut recogniser = Recogniser::new(&schemas, None);
    let (n, left) = compare(&log(templates, records), "our own log", &mut recogniser, &mut Fed::default());
    assert_eq!((n, left), (records.len(), 0));
    recogniser.take_walker().declined.get()
}

/// A record of the template 0 with data of another.
fn with_data(event: u16, record: u64, template: usize, values: Vec<Value>) -> Instance {
    let data = Value::Instance(Instance { template, values });
    Instance { template: 0, values: system("Example-Provider", "Example/Operational", event, record, data) }
}

fn manifest_event() -> Xml {
    event(Xml::Slot(14), Xml::Slot(17))
}

fn data(name: &str, slot: u16) -> Xml {
    element("Data", vec![Xml::Slot(slot)]).with("Name", text(name))
}

/// One value of every type, some of them twice.
fn all_types() -> Vec<Value> {
    let raw = |ty: u8, bytes: &[u8]| Value::Raw(ty, bytes.to_vec());
    vec![
        null(),
        string("C:\\Windows\\\"x\".exe \u{1}\u{8}\n"),
        string(""),
        string("näme 😀"),
        Value::Raw(0x01, vec![0x61, 0, 0, 0xd8, 0x62, 0]),
        Value::Raw(0x01, vec![0x61, 0, 0, 0, 0x62, 0]),
        string("2026-05-31 01:02:03.004"),
        string("0x1f"),
        string("-"),
        string("[1,{\"a\":2}]"),
        raw(0x02, b"ansi \"q\"\0"),
        raw(0x02, b"\0\0"),
        raw(0x03, &[0xff]),
        raw(0x04, &[0xff]),
        raw(0x05, &[0xff, 0xff]),
        raw(0x06, &[0xff, 0xff]),
        raw(0x07, &(-5i32).to_le_bytes()),
        raw(0x08, &u32::MAX.to_le_bytes()),
        raw(0x09, &i64::MIN.to_le_bytes()),
        raw(0x0a, &u64::MAX.to_le_bytes()),
        raw(0x0a, &77u64.to_le_bytes()),
        raw(0x0d, &[1, 0, 0, 0]),
        raw(0x0d, &[0, 0, 0, 0]),
        raw(0x0d, &[16, 0, 0, 0]),
        raw(0x0e, &[0xde, 0xad, 0xbe, 0xef]),
        raw(0x0e, &[]),
        Value::Raw(0x0f, (1..17).collect()),
        raw(0x10, &[1, 2, 0, 0]),
        raw(0x10, &[0, 0, 0, 0, 0, 0, 0, 0x80]),
        raw(0x11, &132_000_000_123_456_789u64.to_le_bytes()),
        raw(0x11, &[0; 8]),
        raw(0x12, &[0xe3, 7, 3, 0, 5, 0, 1, 0, 12, 0, 34, 0, 56, 0, 0x15, 3]),
        raw(0x12, &[0; 16]),
        raw(0x12, &[0xe3, 7, 2, 0, 5, 0, 30, 0, 12, 0, 34, 0, 56, 0, 0x15, 3]),
        raw(0x13, &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]),
        raw(0x14, &[0, 0, 0, 0]),
        raw(0x14, &[0xef, 0xbe, 0, 0]),
        raw(0x15, &u64::MAX.to_le_bytes()),
        raw(0x81, &utf16("one\0")),
        raw(0x81, &utf16("one\0two \"\u{1}\0\0ü\0")),
    ]
}

#[test]
fn every_type_of_value() {
    let values = all_types();
    let children: Vec<Xml> = (0..values.len()).map(|i| data(&format!("F{i}"), i as u16)).collect();
    let templates = [manifest_event(), element("EventData", children)];
    assert_eq!(own(&templates, &[with_data(1, 1, 1, values.clone()), with_data(2, 2, 1, values)]), 0);
}

#[test]
fn shapes_of_data() {
    let user = element("UserData", vec![Xml::Slot(17)]).depends(17);
    let templates = [
        manifest_event(),
        // 1: as programs without a manifest write it.
        element(
            "EventData",
            vec![
                element("Data", vec![Xml::Slot(0)]).depends(0),
                element("Binary", vec![Xml::Slot(1)]).depends(1),
            ],
        ),
        // 2: several without names.
        element("EventData", (0..4).map(|i| element("Data", vec![Xml::Slot(i)])).collect()),
        // 3: repeated names, names of `System`, text of its own, a name that is no field.
        element(
            "EventData",
            vec![
                data("Level", 0),
                data("A", 1),
                data("Level", 2),
                element("Data", vec![text("fixed \"text\"")]).with("Name", text("B\"\\")),
                element("Data", vec![]).with("Name", text("C")),
                element("Other", vec![Xml::Slot(3)]).with("x", text("y")),
                element("Other", vec![]),
                data("xmlns", 0),
            ],
        ),
        // 4, 5: data of the user's own, in a template of its own or in part.
        element(
            "UserData",
            vec![
                element(
                    "Cleared",
                    vec![element("Who", vec![Xml::Slot(0)]), element("When", vec![Xml::Slot(1)]).depends(1)],
                )
                .with("xmlns", text("urn:x")),
            ],
        ),
        event(text("Example-Provider"), user),
        element("Cleared", vec![element("Who", vec![Xml::Slot(0)]), element("Where", vec![])]),
        // 7: no template in the template.
        event(Xml::Slot(14), element("EventData", vec![data("Name", 14), data("Id", 3)])),
        element("Lonely", vec![Xml::Slot(0)]),
        element("EventData", vec![]),
    ];
    let strings = || Value::Raw(0x81, utf16("a\0b\0"));
    let number = || Value::Raw(0x08, vec![1, 2, 3, 0]);
    let mut records = vec![
        with_data(1, 1, 1, vec![strings(), Value::Raw(0x0e, vec![1, 2])]),
        with_data(1, 2, 1, vec![Value::Raw(0x81, utf16("alone\0")), null()]),
        with_data(1, 3, 1, vec![null(), null()]),
        with_data(2, 4, 2, vec![string("x"), number(), null(), string("y \"\n")]),
        with_data(3, 5, 3, vec![string("x"), number(), null(), string("o")]),
        with_data(4, 6, 4, vec![string("x"), null()]),
        with_data(4, 7, 4, vec![string("x"), number()]),
        with_data(5, 9, 9, vec![]),
        with_data(5, 10, 8, vec![string("nobody reads this")]),
    ];
    for (n, data) in [
        Value::Instance(Instance { template: 6, values: vec![string("me")] }),
        Value::Instance(Instance { template: 8, values: vec![string("value")] }),
        Value::Instance(Instance { template: 8, values: vec![null()] }),
        null(),
    ]
    .into_iter()
    .enumerate()
    {
        records.push(Instance {
            template: 5,
            values: system("", "Microsoft-Windows-Sysmon/Operational", 104, 20 + n as u64, data),
        });
    }
    records.push(Instance {
        template: 7,
        values: system("Microsoft-Windows-Security-Auditing", "Security", 4688, 30, null()),
    });
    // Enough for several chunks, so that definitions come again elsewhere.
    let many: Vec<Instance> = records.iter().cycle().take(1500).cloned().collect();
    // That is the one whose neighbour in the event is of an unknown name.
    assert_eq!(own(&templates, &records), 1);
    own(&templates, &many);
}

/// Characters that JSON spells in several ways: in a definition and in values.
#[test]
fn control_characters() {
    let odd = "a\u{8}\u{c}\u{1}\u{1f}\u{7f}\t\"\\";
    let fixed = element("Data", vec![text(odd)]).with("Name", text("A"));
    let templates =
        [manifest_event(), element("EventData", vec![fixed]), element("EventData", vec![data("B", 0)])];
    let ansi = Value::Raw(0x02, odd.as_bytes().to_vec());
    let records =
        [with_data(1, 1, 1, vec![]), with_data(1, 2, 2, vec![string(odd)]), with_data(1, 3, 2, vec![ansi])];
    // Only the second has a text that is known without the full parser.
    assert_eq!(own(&templates, &records), 2);
}

#[test]
fn layouts_that_are_forgotten() {
    let templates: Vec<Xml> = std::iter::once(manifest_event())
        .chain((0..20).map(|i| element("EventData", vec![data(&format!("F{i}"), 0)])))
        .collect();
    let records: Vec<Instance> =
        (0..200).map(|i| with_data(1, i + 1, 1 + (i * 7 % 20) as usize, vec![string("v")])).collect();
    let schemas = Schemas::builtin();
    let mut recogniser = Recogniser::new(&schemas, None);
    let mut out = Fed { limit: 3, ..Fed::default() };
    compare(&log(&templates, &records), "many layouts", &mut recogniser, &mut out);
    assert!(out.generation > 10);
}

#[test]
fn the_time_field() {
    let templates = [manifest_event(), element("EventData", vec![data("When", 0), data("UtcTime", 1)])];
    let times = vec![string("2020-01-02T03:04:05Z"), string("2021-01-02 03:04:05.000")];
    let bytes = log(&templates, &[with_data(1, 1, 1, times)]);
    let schemas = Schemas::builtin();
    for field in [None, Some("When"), Some("Nothing")] {
        let time = |layouts: bool| {
            let mut recogniser = Recogniser::new(&schemas, field);
            let (mut a, mut b) = (Fed::default(), Seen { distinct: true, ..Seen::default() });
            let mut problems = Problems::new("log".into());
            let options = ReadOptions::default();
            let sink: &mut dyn EventSink = if layouts { &mut a } else { &mut b };
            let mut run =
                Run::new(&mut recogniser, sink, &mut problems, &options, None, "log".into(), "log".into());
            read(&mut run, Box::new(&*bytes)).unwrap();
            a.events.into_iter().chain(b.events).collect::<Vec<_>>()
        };
        let with_text = {
            let mut recogniser = Recogniser::new(&schemas, field);
            let mut sink = Seen { with_text: true, distinct: true, ..Seen::default() };
            let mut problems = Problems::new("log".into());
            let options = ReadOptions::default();
            let mut run = Run::new(
                &mut recogniser,
                &mut sink,
                &mut problems,
                &options,
                None,
                "log".into(),
                "log".into(),
            );
            read(&mut run, Box::new(&*bytes)).unwrap();
            sink.events
        };
        assert_eq!(time(true), with_text);
        assert_eq!(time(false), with_text);
    }
}

/// Templates of all sorts, those that nobody writes included.
mod any {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            6 => Just("Data"),
            1 => Just("Binary"),
            1 => Just("X"),
            1 => Just("Level"),
            1 => Just("xmlns"),
            1 => Just("EventRecordID"),
            1 => Just("Data_1"),
        ]
    }

    fn node() -> impl Strategy<Value = Xml> {
        prop_oneof![4 => (0u16..8).prop_map(Xml::Slot), 1 => Just(text("t\"x")), 1 => Just(text(""))]
    }

    fn dependency() -> impl Strategy<Value = Option<u16>> {
        prop_oneof![4 => Just(None), 1 => (0u16..8).prop_map(Some)]
    }

    fn leaf() -> impl Strategy<Value = Xml> {
        let attribute = prop_oneof![
            3 => Just(None),
            4 => prop_oneof![Just("A"), Just("B"), Just("A"), Just("xmlns"), Just("")].prop_map(|n| Some(("Name", text(n)))),
            1 => (0u16..8).prop_map(|s| Some(("Name", Xml::Slot(s)))),
            1 => node().prop_map(|n| Some(("Type", n))),
        ];
        (name(), dependency(), attribute, proptest::collection::vec(node(), 0..2)).prop_map(
            |(name, dependency, attribute, children)| {
                let mut e = element(name, children);
                if let Some(d) = dependency {
                    e = e.depends(d);
                }
                match attribute {
                    Some((n, v)) => e.with(n, v),
                    None => e,
                }
            },
        )
    }

    fn inner() -> impl Strategy<Value = Xml> {
        prop_oneof![
            8 => leaf(),
            1 => (name(), dependency(), proptest::collection::vec(leaf(), 1..3)).prop_map(|(n, d, c)| match d {
                Some(d) => element(n, c).depends(d),
                None => element(n, c),
            }),
        ]
    }

    /// Templates of data.
    fn data() -> impl Strategy<Value = Xml> {
        let root = prop_oneof![
            5 => Just("EventData"), 2 => Just("UserData"), 1 => Just("Outer"), 1 => Just("Data"), 1 => Just("System"),
        ];
        (root, dependency(), proptest::collection::vec(inner(), 0..5)).prop_map(|(n, d, c)| match d {
            Some(d) => element(n, c).depends(d),
            None => element(n, c),
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            6 => (0..all_types().len()).prop_map(|i| all_types()[i].clone()),
            2 => Just(null()),
            // Sizes that do not fit, and types that are seldom or do not exist.
            1 => (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..9)).prop_map(|(t, b)| Value::Raw(t, b)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
        #[test]
        fn the_walk_is_the_full_parser(
            inside in data(), part in prop_oneof![Just(0), Just(1), Just(2)],
            records in proptest::collection::vec(proptest::collection::vec(value(), 8), 1..5),
            own_values in proptest::collection::vec((0usize..18, value()), 0..2),
        ) {
            let root = match part {
                0 => manifest_event(),
                1 => event(Xml::Slot(14), element("UserData", vec![Xml::Slot(17)]).depends(17)),
                // The data in the record's own template: its values are those of `System`.
                _ => event(Xml::Slot(14), inside.clone()),
            };
            let records: Vec<Instance> = records.into_iter().enumerate().map(|(i, values)| {
                let mut record = with_data(1, i as u64 + 1, 1, values);
                for (at, value) in &own_values {
                    record.values[*at] = value.clone();
                }
                if part == 2 {
                    record.values[17] = null();
                }
                record
            }).collect();
            let schemas = Schemas::builtin();
            let mut recogniser = Recogniser::new(&schemas, None);
            compare(&log(&[root, inside], &records), "a log of any shape", &mut recogniser, &mut Fed::default());
        }

        #[test]
        fn damage(at in proptest::collection::vec((512usize..4000, any::<u8>()), 1..6)) {
            let children: Vec<Xml> = (0..8).map(|i| super::data(&format!("F{i}"), i)).collect();
            let templates = [manifest_event(), element("EventData", children)];
            let records: Vec<Instance> =
                (1..4).map(|i| with_data(1, i, 1, all_types()[(i as usize * 8)..][..8].to_vec())).collect();
            let mut log = log(&templates, &records);
            for (at, byte) in at {
                log[4096 + at] = byte;
            }
            damaged(&log)?;
        }

        #[test]
        fn damage_of_captured_logs(
            which in any::<prop::sample::Index>(), chunk in any::<prop::sample::Index>(),
            at in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        ) {
            let files = captured();
            if files.is_empty() {
                return Ok(());
            }
            let bytes = std::fs::read(which.get(&files)).unwrap();
            let chunks: Vec<&[u8]> = bytes[4096..].chunks_exact(65536).filter(|c| c.starts_with(b"Elf")).collect();
            if chunks.is_empty() {
                return Ok(());
            }
            let chunk = chunk.get(&chunks);
            let mut log = bytes[..4096].to_vec();
            log.extend(*chunk);
            let used = u32::from_le_bytes(chunk[48..52].try_into().unwrap()).clamp(600, 65536) as usize;
            for (at, byte) in at {
                log[4096 + 24 + at.index(used - 24)] = byte;
            }
            damaged(&log)?;
        }
    }

    /// What is damaged may be told differently; what both can read is the same, texts included.
    fn damaged(log: &[u8]) -> Result<(), TestCaseError> {
        let (full, _) = events(log, true);
        let (walked, _) = events(log, false);
        let known: HashSet<&String> = walked.events.iter().collect();
        for event in &full.events {
            prop_assert!(known.contains(event), "{event}\n{:#?}", walked.events);
        }
        let schemas = Schemas::builtin();
        let (mut recogniser, mut out) = (Recogniser::new(&schemas, None), Fed::default());
        fed(log, &mut recogniser, &mut out);
        let events: HashSet<&String> = full.distinct_events.iter().collect();
        let texts: HashSet<(&String, &String)> = full.distinct_events.iter().zip(&full.texts).collect();
        for (event, text) in out.events.iter().zip(&out.texts) {
            prop_assert!(!events.contains(event) || texts.contains(&(event, text)), "{event}\n{text}");
        }
        Ok(())
    }
}
