//! What the targets of the readers share.

pub mod program;
pub mod world;

use std::ops::ControlFlow;

use tercel_schema::Schemas;
use tercel_telemetry::{
    EventSink, Inputs, LaidOut, LayoutSink, Progress, RawEvent, ReadOptions, read_bytes, typing,
};

/// Takes every event and decodes every value of it in each way that a column may want.
struct Everything;

impl EventSink for Everything {
    fn wants(&mut self, _: &tercel_ir::Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        let _ = event.time();
        let mut text = String::new();
        for field in event.fields {
            let _ = typing::bool(&field.value);
            let _ = typing::long(&field.value);
            let _ = typing::real(&field.value);
            let _ = typing::datetime(&field.value);
            let _ = typing::timespan(&field.value);
            let _ = typing::dynamic(&field.value, &mut text);
            text.clear();
            let _ = typing::string(&field.value, &mut text);
        }
        ControlFlow::Continue(())
    }
}

/// Reads the bytes as a file of that name.
pub fn read(name: &str, data: &[u8]) {
    thread_local!(static SCHEMAS: Schemas = Schemas::builtin());
    SCHEMAS.with(|schemas| {
        let _ = read_bytes(name, data, schemas, &ReadOptions::default(), &mut Everything);
    });
}

/// Takes every event without its text, so that event logs are walked.
struct Walked;

impl EventSink for Walked {
    fn wants(&mut self, _: &tercel_ir::Name) -> bool {
        true
    }
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        Everything.event(event)
    }
}

/// Makes the text of every event.
#[derive(Default)]
struct Texts(String);

impl LayoutSink for Texts {
    type Out = ();
    fn source(&mut self, _: &tercel_ir::Name) {}
    fn layout(&mut self, _: &tercel_ir::Name, _: &[tercel_ir::Name]) -> Option<usize> {
        Some(0)
    }
    fn event(&mut self, _: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
        self.0.clear();
        e.text.push(&mut self.0);
        ControlFlow::Continue(())
    }
    fn take(&mut self) {}
}

/// Reads the bytes as the chunks of an event log: without the text of events, and by layout with it.
pub fn walk(chunks: &[u8]) {
    thread_local!(static SCHEMAS: Schemas = Schemas::builtin());
    let mut log = b"ElfFile\0".to_vec();
    log.resize(4096, 0);
    log.extend(chunks);
    let path = std::env::temp_dir().join(format!("tercel-fuzz-{}.evtx", std::process::id()));
    std::fs::write(&path, &log).expect("the folder for temporary files can be written to");
    SCHEMAS.with(|schemas| {
        let options = ReadOptions { threads: 1, ..ReadOptions::default() };
        let _ = read_bytes("input.evtx", &log, schemas, &options, &mut Walked);
        let inputs = Inputs::open(&[path.display().to_string()], &options);
        let mut deliver = |()| ControlFlow::Continue(());
        let _ = inputs.feed(schemas, &Texts::default, &mut deliver, &Progress::new());
    });
}

/// An event in words: table, record, times, and its fields; of a repeated name the first.
type Seen = (String, i64, String, Vec<(String, String)>);

/// Events one by one.
#[derive(Default)]
struct Plain(Vec<Seen>);

impl EventSink for Plain {
    fn wants(&mut self, _: &tercel_ir::Name) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let mut names = std::collections::HashSet::new();
        let fields = e.fields.iter().filter(|f| names.insert(f.name.to_string()));
        let fields = fields.map(|f| (f.name.to_string(), format!("{:?}", f.value))).collect();
        self.0.push((e.table.to_string(), e.record, format!("{:?}", e.times), fields));
        ControlFlow::Continue(())
    }
}

/// Events by layout.
#[derive(Default)]
struct Laid {
    layouts: Vec<(String, Vec<String>)>,
    seen: Vec<Seen>,
}

impl LayoutSink for Laid {
    type Out = Vec<Seen>;
    fn source(&mut self, _: &tercel_ir::Name) {}
    fn layout(&mut self, table: &tercel_ir::Name, names: &[tercel_ir::Name]) -> Option<usize> {
        self.layouts.push((table.to_string(), names.iter().map(ToString::to_string).collect()));
        Some(self.layouts.len() - 1)
    }
    fn event(&mut self, layout: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
        let (table, names) = &self.layouts[layout];
        assert_eq!(names.len(), e.values.len());
        let fields = names.iter().zip(e.values).map(|(n, v)| (n.clone(), format!("{v:?}"))).collect();
        self.seen.push((table.clone(), e.record, format!("{:?}", e.times), fields));
        ControlFlow::Continue(())
    }
    fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }
}

/// Reads the bytes as lines of JSON in both ways, by layout and one by one: the same events.
pub fn feed(data: &[u8]) {
    thread_local!(static SCHEMAS: Schemas = Schemas::builtin());
    // Parquet is not read from memory.
    if data.starts_with(b"PAR") {
        return;
    }
    let path = std::env::temp_dir().join(format!("tercel-fuzz-{}.jsonl", std::process::id()));
    std::fs::write(&path, data).expect("the folder for temporary files can be written to");
    let path = path.display().to_string();
    SCHEMAS.with(|schemas| {
        let options = ReadOptions { threads: 1, ..ReadOptions::default() };
        let inputs = Inputs::open(std::slice::from_ref(&path), &options);
        let mut got = Vec::new();
        let mut deliver = |seen: Vec<Seen>| {
            got.extend(seen);
            ControlFlow::Continue(())
        };
        let _ = inputs.feed(schemas, &Laid::default, &mut deliver, &Progress::new());
        let mut want = Plain::default();
        if !inputs.files().is_empty() {
            let _ = read_bytes(&path, data, schemas, &options, &mut want);
        }
        assert_eq!(got, want.0);
    });
}
