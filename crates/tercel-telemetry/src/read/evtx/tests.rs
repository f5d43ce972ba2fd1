//! The walk against the full parser.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tercel_ir::Name;
use tercel_schema::Schemas;

use super::*;
use crate::event::{EventSink, RawEvent};
use crate::options::ReadOptions;
use crate::typing;

/// Events as text: everything that a sink could see of them.
#[derive(Default)]
struct Seen {
    with_text: bool,
    events: Vec<String>,
    texts: Vec<String>,
}

/// What a value is in a column of any type.
fn every_type(value: &RawValue<'_>, out: &mut String) {
    let (mut a, mut b) = (String::new(), String::new());
    let _ = write!(
        out,
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        typing::string(value, &mut a),
        typing::dynamic(value, &mut b),
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
        let mut out = format!("{} {} {:?}\n", e.table, e.record, e.time());
        for f in e.fields {
            let _ = write!(out, "{} = ", f.name);
            every_type(&f.value, &mut out);
            out.push('\n');
        }
        self.events.push(out);
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

/// A feed that writes events down in the same way; records that were not walked are counted.
#[derive(Default)]
struct Fed {
    layouts: Vec<(Name, Vec<Name>)>,
    events: Vec<String>,
    texts: Vec<String>,
    not_walked: usize,
}

impl Feed for Fed {
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        self.layouts.push((table.clone(), names.to_vec()));
        Some(self.layouts.len() - 1)
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
        self.texts.push(text);
        ControlFlow::Continue(())
    }
    fn json<'a>(
        &mut self,
        recogniser: &mut Recogniser<'_>,
        record: i64,
        text: &'a str,
        fields: &mut Vec<Field<'a>>,
    ) -> ControlFlow<()> {
        self.not_walked += 1;
        let name: Name = "log".into();
        let origin = Origin { source: &name, stem: &name, record, text: Some(text) };
        let mut seen = Seen { with_text: true, ..Seen::default() };
        let flow = recogniser.record(&origin, fields, &mut seen);
        self.events.append(&mut seen.events);
        self.texts.append(&mut seen.texts);
        flow
    }
    fn tell(&mut self, _: &Recogniser<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn fed(log: &[u8], walker: &mut Walker, out: &mut Fed) -> Vec<String> {
    let schemas = Schemas::builtin();
    let mut recogniser = Recogniser::new(&schemas, None);
    let mut problems = Problems::new("log".into());
    feed(&mut recogniser, &mut problems, walker, out, Box::new(log)).unwrap();
    assert_eq!(recogniser.events(), out.events.len() as u64);
    problems.into_vec().iter().map(|p| format!("{p:?}")).collect()
}

/// All ways to read a log give the same. Returns how many records there were, and how many were not walked.
fn compare(log: &[u8], what: &str, walker: &mut Walker, out: &mut Fed) -> (usize, usize) {
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
    let fed_problems = fed(log, walker, out);
    assert!(out.events == full.events, "{what}");
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

#[test]
fn captured_logs() {
    let mut files = Vec::new();
    for folder in ["telemetry/evtx", "conformance/sigma"] {
        logs(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(folder), &mut files);
    }
    if files.is_empty() {
        return eprintln!("skipped: captured event logs, because ../shared/telemetry/evtx is absent");
    }
    files.sort();
    // One walker for all files, as one thread has.
    let (mut walker, mut out) = (Walker::default(), Fed::default());
    let mut not_walked = BTreeMap::new();
    let (mut records, mut left) = (0, 0);
    for path in &files {
        let (n, m) =
            compare(&std::fs::read(path).unwrap(), &path.display().to_string(), &mut walker, &mut out);
        records += n;
        left += m;
        if m > 0 {
            not_walked.insert(path.display().to_string(), (m, n));
        }
    }
    eprintln!("{records} records, {left} of them not walked: {not_walked:#?}");
    assert!(left * 20 <= records, "{left} of {records} records were not walked: {not_walked:#?}");
}

#[test]
fn zz_debug() {
    let Ok(path) = std::env::var("EVTX_DEBUG") else { return };
    let file = std::fs::read(path).unwrap();
    let mut done = 0;
    for chunk in file[4096..].chunks(65536) {
        let Some(mut frames) = Frames::new(chunk) else {
            eprintln!("no frames");
            continue;
        };
        while let Next::Record(f) = frames.next() {
            let mut slots = Vec::new();
            let Some(i) = binxml::instance(chunk, f.xml.start, f.xml.end, &mut slots) else {
                eprintln!("no instance {:x?}", &chunk[f.xml.start..f.xml.start + 100]);
                continue;
            };
            let mut dump = |def: u32, slots: &[binxml::Slot]| {
                let d = def as usize;
                let size = binxml::u32_at(chunk, d + 20).unwrap() as usize;
                let tree = binxml::definition(chunk, d + 24, d + 24 + size).expect("tree");
                let plan = plan::compile(&tree);
                if plan.is_none() || done < 3 {
                    for (n, e) in tree.elements.iter().enumerate() {
                        eprintln!("{n}: {e:?}");
                    }
                }
                for (i, s) in slots.iter().enumerate() {
                    eprint!("{i}:{:x}/{} ", s.ty, s.len);
                }
                eprintln!("\nplan {}", plan.is_some());
                done += 1;
            };
            dump(i.definition, &slots);
            for s in slots.clone() {
                if s.ty == 0x21 && s.len > 0 {
                    let at = s.at as usize;
                    let n = slots.len();
                    match binxml::instance(chunk, at, at + s.len as usize, &mut slots) {
                        None => {
                            eprintln!("inner: no instance {:x?}", &chunk[at..at + 60.min(s.len as usize)])
                        }
                        Some(i) => dump(i.definition, &slots[n..]),
                    }
                }
            }
            if done > 6 {
                return;
            }
        }
    }
}
