//! How fast the rule-set program is, and how its memories do.
//!
//! ```text
//! cargo run --release -p tercel-rules --example rate -- [OPTIONS] RULES DATA...
//!
//! RULES                 a folder of Sigma rules
//! DATA                  files of NDJSON events
//! --ignore-logsource    every rule meets Sysmon, SecurityEvent and WindowsEvents as they are
//! --rounds N            meets the events N times (1)
//! --chunk N             as many rounds over N events before the next, so that they stay in the processor's cache
//! --threads N           in N threads (1)
//! --stream              one event a call: time of each call
//! --repeat N            every rule N times, with other values (1)
//! --unique              no command line, path or script block repeats
//! --counts              hits of each rule
//! ```
//!
//! Events are read once into memory, values in place, so that what is measured is the matcher alone.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tercel_ir::catalog::LogSource;
use tercel_ir::function::Context;
use tercel_ir::{Catalog, Diagnostic, Expr, ExprKind, Name, Rel, RelKind, Span, StoredFunction, Value};
use tercel_rules::{Limits, Matcher, Out, RuleSet, Want};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_telemetry::{
    EventSink, EventText, LaidOut, LayoutSink, RawEvent, RawValue, ReadOptions, Recogniser, read_bytes_with,
};

/// An event that outlives its reader.
struct Held {
    layout: usize,
    values: Vec<RawValue<'static>>,
    times: [RawValue<'static>; 2],
    record: i64,
    text: &'static str,
}

#[derive(Default)]
struct Recorder {
    layouts: Vec<(Name, Vec<Name>)>,
    known: HashMap<(Name, Vec<Name>), usize>,
    events: Vec<Held>,
    bytes: usize,
    unique: bool,
}

/// The value for as long as the program runs.
fn keep(v: RawValue<'_>) -> RawValue<'static> {
    let text = |s: &str| -> &'static str { Box::leak(s.to_owned().into_boxed_str()) };
    match v {
        RawValue::Null => RawValue::Null,
        RawValue::Bool(b) => RawValue::Bool(b),
        RawValue::Number(s) => RawValue::Number(text(s)),
        RawValue::Str { body, escaped } => RawValue::Str { body: text(body), escaped },
        RawValue::Text(s) => RawValue::Text(text(s)),
        RawValue::Json(s) => RawValue::Json(text(s)),
        RawValue::Utf16(b) => RawValue::Utf16(Box::leak(b.to_owned().into_boxed_slice())),
        RawValue::Long(n) => RawValue::Long(n),
        RawValue::Real(r) => RawValue::Real(r),
        RawValue::Time(t) => RawValue::Time(t),
    }
}

const LONG_FIELDS: [&str; 9] = [
    "CommandLine",
    "ParentCommandLine",
    "Image",
    "ParentImage",
    "TargetFilename",
    "TargetObject",
    "ScriptBlockText",
    "Payload",
    "CallTrace",
];

impl EventSink for Recorder {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let names: Vec<Name> = e.fields.iter().map(|f| (*f.name).into()).collect();
        let key = (e.table.clone(), names);
        let layout = match self.known.get(&key) {
            Some(l) => *l,
            None => {
                self.layouts.push(key.clone());
                self.known.insert(key, self.layouts.len() - 1);
                self.layouts.len() - 1
            }
        };
        let n = self.events.len();
        let value = |f: &tercel_telemetry::Field<'_>| match f.value {
            RawValue::Str { body, escaped } if self.unique && LONG_FIELDS.contains(&&*f.name) => {
                let body: &str = Box::leak(format!("{body} {n:08x}").into_boxed_str());
                RawValue::Str { body, escaped }
            }
            v => keep(v),
        };
        let text = e.text.unwrap_or_default();
        self.bytes += text.len() + 1;
        self.events.push(Held {
            layout,
            values: e.fields.iter().map(value).collect(),
            times: e.times.map(keep),
            record: e.record,
            text: Box::leak(text.to_owned().into_boxed_str()),
        });
        ControlFlow::Continue(())
    }
}

/// A catalog in which every log source means the same tables.
struct Everything {
    inner: SchemaCatalog,
    all: Rel,
}

impl Everything {
    fn new(inner: SchemaCatalog) -> Everything {
        let tables = ["Sysmon", "SecurityEvent", "WindowsEvents"];
        let scans = tables.iter().filter_map(|t| inner.schemas().table(t)).map(|t| t.scan()).collect();
        let body = Rel::union(scans, Span::default());
        let schema = body.schema.clone();
        let kind = RelKind::View { name: "everything".into(), body: Arc::new(body) };
        Everything { inner, all: Rel { kind, schema, span: Span::default() } }
    }
}

impl Catalog for Everything {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        self.inner.relation(name)
    }
    fn function(&self, name: &str) -> Option<&StoredFunction> {
        self.inner.function(name)
    }
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }
    fn log_source(&self, _: LogSource<'_>) -> Result<Rel, Diagnostic> {
        Ok(self.all.clone())
    }
}

fn files(path: &Path, out: &mut Vec<PathBuf>) {
    if let Ok(dir) = std::fs::read_dir(path) {
        let mut all: Vec<PathBuf> = dir.flatten().map(|e| e.path()).collect();
        all.sort();
        all.iter().for_each(|p| files(p, out));
    } else if path.extension().is_some_and(|e| e == "yml") {
        out.push(path.to_owned());
    }
}

/// A line of `/proc/self/status`, in MB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(what));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The same rule about other values.
fn perturbed(rel: &Rel, n: usize) -> Rel {
    fn expr(e: &mut Expr, n: usize) {
        if let ExprKind::Literal(Value::Str(s)) = &mut e.kind
            && s.len() > 6
        {
            s.push_str(&n.to_string());
        }
        e.children_mut().into_iter().for_each(|c| expr(c, n));
    }
    let mut rel = rel.clone();
    if let RelKind::Filter { predicate, .. } = &mut rel.kind {
        expr(predicate, n);
    }
    rel
}

struct Args {
    flags: Vec<String>,
    paths: Vec<String>,
    numbers: HashMap<String, usize>,
}

fn args() -> Args {
    let mut out = Args { flags: Vec::new(), paths: Vec::new(), numbers: HashMap::new() };
    let mut all = std::env::args().skip(1);
    while let Some(a) = all.next() {
        match a.strip_prefix("--") {
            Some(n @ ("rounds" | "threads" | "repeat" | "chunk")) => {
                let v = all.next().and_then(|v| v.parse().ok()).unwrap_or(1);
                out.numbers.insert(n.to_owned(), v);
            }
            Some(f) => out.flags.push(f.to_owned()),
            None => out.paths.push(a),
        }
    }
    out
}

fn main() {
    let args = args();
    let has = |f: &str| args.flags.iter().any(|x| x == f);
    let number = |n: &str| args.numbers.get(n).copied().unwrap_or(1).max(1);
    let Some((rules, data)) = args.paths.split_first() else {
        eprintln!("usage: rate [OPTIONS] RULES DATA...");
        return;
    };

    let schemas = Schemas::builtin();
    let started = Instant::now();
    let plain = SchemaCatalog::new(schemas.clone(), Vec::new());
    let everything = Everything::new(SchemaCatalog::new(schemas.clone(), Vec::new()));
    let catalog: &dyn Catalog = if has("ignore-logsource") { &everything } else { &plain };
    let mut paths = Vec::new();
    files(Path::new(rules), &mut paths);
    let mut rels: Vec<(String, Rel)> = Vec::new();
    let mut unreadable = 0;
    for p in &paths {
        let Ok(text) = std::fs::read_to_string(p) else { continue };
        let (file, _) = tercel_sigma::parse(&text);
        for r in file.rules() {
            match tercel_sigma::lower(r, catalog, &tercel_sigma::Options::default()).0 {
                Some(rel) => rels.push((p.display().to_string(), rel)),
                None => unreadable += 1,
            }
        }
    }
    let once = rels.len();
    for n in 1..number("repeat") {
        for i in 0..once {
            rels.push((rels[i].0.clone(), perturbed(&rels[i].1, n)));
        }
    }
    println!(
        "{} rules read in {:?}, {unreadable} not lowered, {} MB",
        rels.len(),
        started.elapsed(),
        memory("VmRSS:")
    );

    let started = Instant::now();
    let plans: Vec<(usize, &Rel, Want)> =
        rels.iter().enumerate().map(|(i, (_, r))| (i, r, Want::PLACE)).collect();
    let (set, not_here) = RuleSet::compile(&plans, &Context::default(), Limits::default());
    println!("compiled in {:?}: {:?}, {} MB", started.elapsed(), set.size(), memory("VmRSS:"));
    for (i, why) in &not_here {
        println!("  not here: {}: {why}", rels[*i].0);
    }
    let set = Arc::new(set);

    let mut recorder = Recorder { unique: has("unique"), ..Recorder::default() };
    let mut recogniser = Recogniser::new(&schemas, None);
    for path in data {
        let Ok(bytes) = std::fs::read(path) else { continue };
        read_bytes_with(&mut recogniser, path, &bytes, &ReadOptions::default(), &mut recorder);
    }
    let before = memory("VmRSS:");
    println!(
        "{} events, {} MB of JSON in {} layouts",
        recorder.events.len(),
        recorder.bytes >> 20,
        recorder.layouts.len()
    );

    let threads = number("threads");
    let rounds = number("rounds");
    let chunk = args.numbers.get("chunk").copied().filter(|n| *n > 0).unwrap_or(usize::MAX);
    let started = Instant::now();
    let parts: Vec<&[Held]> =
        recorder.events.chunks(recorder.events.len().div_ceil(threads).max(1)).collect();
    let (recorder, stream) = (&recorder, has("stream"));
    let set_ref = &set;
    let done: Vec<(Out, Matcher, Vec<u32>)> = std::thread::scope(|scope| {
        let running: Vec<_> = parts
            .into_iter()
            .map(|events| {
                scope.spawn(move || {
                    let mut m = Matcher::new(set_ref.clone());
                    m.source(&"memory".into());
                    let layouts: Vec<Option<usize>> =
                        recorder.layouts.iter().map(|(t, n)| m.layout(t, n)).collect();
                    let mut times = Vec::new();
                    for chunk in events.chunks(chunk) {
                        for e in std::iter::repeat_n(chunk, rounds).flatten() {
                            let Some(layout) = layouts[e.layout] else { continue };
                            let event = LaidOut {
                                values: &e.values,
                                times: e.times,
                                record: e.record,
                                text: EventText::Written(e.text),
                            };
                            if stream {
                                let t = Instant::now();
                                let _ = m.event(layout, &event);
                                times.push(t.elapsed().as_nanos() as u32);
                            } else {
                                let _ = m.event(layout, &event);
                            }
                        }
                    }
                    (m.take(), m, times)
                })
            })
            .collect();
        running.into_iter().filter_map(|h| h.join().ok()).collect()
    });
    let took = started.elapsed();
    let events = recorder.events.len() * rounds;
    println!(
        "{events} events in {took:?}: {:.0} a second, {:.3} us each; {} MB more than before, at most {} MB",
        events as f64 / took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / events as f64,
        memory("VmRSS:").saturating_sub(before),
        memory("VmHWM:"),
    );
    let mut counts = vec![0u64; set.len()];
    let mut latencies = Vec::new();
    for (out, m, times) in &done {
        out.counts.iter().zip(&mut counts).for_each(|(c, sum)| *sum += c);
        latencies.extend_from_slice(times);
        println!("{:?}", m.statistics());
        let left: Vec<usize> = m.event_types().collect();
        println!("event types: {}, rules left at most {:?}", left.len(), left.iter().max());
    }
    println!("{} hits of {} rules", counts.iter().sum::<u64>(), counts.iter().filter(|c| **c > 0).count());
    if has("counts") {
        for (id, n) in set.ids().zip(&counts).filter(|(_, n)| **n > 0) {
            println!("{n:8} {}", rels[id].0);
        }
    }
    if !latencies.is_empty() {
        latencies.sort_unstable();
        let at = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize];
        println!("ns a call: p50 {} p99 {} p99.9 {} max {}", at(0.5), at(0.99), at(0.999), at(1.0));
    }
}
