//! How fast event logs are walked, beside the JSON dump of the `evtx` crate:
//! `cargo run --release -p tercel-telemetry --example evtx_rate -- FOLDER... [--times N]`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tercel_ir::Name;
use tercel_schema::Schemas;
use tercel_telemetry::{
    EventSink, Inputs, LaidOut, LayoutSink, Progress, RawEvent, RawValue, ReadOptions, Recogniser,
    read_bytes_with,
};

/// Counts fields, and the bytes of text in them.
#[derive(Default)]
struct Count {
    fields: u64,
    bytes: u64,
    /// Whether to make the text of every event.
    texts: bool,
    text: String,
}

impl Count {
    fn take(&mut self, value: &RawValue<'_>) {
        self.fields += 1;
        self.bytes += match value {
            RawValue::Utf16(units) => units.len() as u64 / 2,
            RawValue::Str { body, .. } => body.len() as u64,
            _ => 0,
        };
    }
}

impl EventSink for Count {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        e.fields.iter().for_each(|f| self.take(&f.value));
        ControlFlow::Continue(())
    }
}

impl LayoutSink for Count {
    type Out = ();
    fn source(&mut self, _: &Name) {}
    fn layout(&mut self, _: &Name, _: &[Name]) -> Option<usize> {
        Some(0)
    }
    fn event(&mut self, _: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
        e.values.iter().for_each(|v| self.take(v));
        if self.texts {
            self.text.clear();
            e.text.push(&mut self.text);
            self.bytes += self.text.len() as u64;
        }
        ControlFlow::Continue(())
    }
    fn take(&mut self) {}
}

fn logs(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            logs(&entry.path(), out);
        }
    } else if path.extension().is_some_and(|e| e == "evtx") {
        out.push(path.to_owned());
    }
}

/// Seconds: of the processor where the system tells them, because other programs may be running; of the clock
/// otherwise.
fn seconds(clock: &Instant) -> f64 {
    let spent = || {
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse::<f64>().ok()
    };
    spent().map_or_else(|| clock.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// The best time of some, and what was counted.
fn best(times: usize, mut run: impl FnMut() -> u64) -> (f64, u64) {
    let clock = Instant::now();
    let mut best = (f64::MAX, 0);
    for _ in 0..times {
        let start = seconds(&clock);
        let events = run();
        best = (best.0.min(seconds(&clock) - start), events);
    }
    best
}

fn main() {
    let mut files = Vec::new();
    let mut times = 5;
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        match a.as_str() {
            "--times" => times = args.next().and_then(|n| n.parse().ok()).unwrap_or(times),
            path => logs(Path::new(path), &mut files),
        }
    }
    let contents: Vec<Vec<u8>> = files.iter().filter_map(|f| std::fs::read(f).ok()).collect();
    measure("as they are", &contents, times);
    // Short captures leave most of a chunk empty; logs in use do not.
    let mut dense = vec![0; 4096];
    dense[..8].copy_from_slice(b"ElfFile\0");
    for bytes in &contents {
        for chunk in bytes.get(4096..).unwrap_or_default().chunks_exact(65536) {
            let id = |at: usize| u64::from_le_bytes(chunk[at..at + 8].try_into().unwrap_or_default());
            if chunk.starts_with(b"ElfChnk\0") && id(32).saturating_sub(id(24)) >= 30 {
                dense.extend(chunk);
            }
        }
    }
    measure("full chunks only", &[dense], times);
    let schemas = Schemas::builtin();
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let paths: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    let inputs = Inputs::open(&paths, &options);
    for texts in [false, true] {
        let mut counted = (0, 0);
        let make = || Count { texts, ..Count::default() };
        let fed = best(times, || {
            let (sinks, stats) =
                inputs.feed(&schemas, &make, &mut |()| ControlFlow::Continue(()), &Progress::new());
            counted = sinks.iter().fold((0, 0), |n, s| (n.0 + s.fields, n.1 + s.bytes));
            stats.events
        });
        let what = if texts { ", and their texts" } else { "" };
        println!("events by layout, from files{what}: {:.0} k events/s", fed.1 as f64 / fed.0 / 1e3);
        println!("{} fields, {} bytes of text", counted.0, counted.1);
    }
}

fn measure(name: &str, contents: &[Vec<u8>], times: usize) {
    println!("{name}:");
    let total: usize = contents.iter().map(Vec::len).sum();
    let show = |what: &str, (seconds, events): (f64, u64)| {
        println!(
            "{what}: {events} events of {:.1} MB in {seconds:.4} s, {:.0} k events/s",
            total as f64 / 1e6,
            events as f64 / seconds / 1e3
        );
    };
    let dump = best(times, || {
        let mut events = 0;
        for bytes in contents {
            let settings = evtx::ParserSettings::new().indent(false).num_threads(1);
            let Ok(parser) = evtx::EvtxParser::from_buffer(bytes.clone()) else { continue };
            let mut parser = parser.with_configuration(settings);
            events += parser.records_json().filter(Result::is_ok).count() as u64;
        }
        events
    });
    show("JSON dump of the evtx crate", dump);
    let schemas = Schemas::builtin();
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let mut recogniser = Recogniser::new(&schemas, None);
    let walk = best(times, || {
        let before = recogniser.events();
        let mut sink = Count::default();
        for bytes in contents {
            read_bytes_with(&mut recogniser, "x.evtx", bytes, &options, &mut sink);
        }
        recogniser.events() - before
    });
    show("events by fields, from memory", walk);
}
