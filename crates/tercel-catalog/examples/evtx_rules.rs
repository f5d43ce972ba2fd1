//! How fast event logs meet rules, beside the JSON dump of the `evtx` crate, all from files and on one core:
//!
//! `cargo run --release -p tercel-catalog --example evtx_rules -- RULES DATA… [--times N] [--threads N]`
//!
//! Each figure is the best of N runs (3), in processor time if there is one thread. Opening and looking at the files, and compiling the rules, are
//! measured by themselves; the pass with the rules includes the text of every hit.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tercel_catalog::{CompileOptions, LoadOptions, compile_all, load};
use tercel_ir::function::Context;
use tercel_ir::{Name, Rel};
use tercel_rules::{Limits, Matcher, RuleSet, Want};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_telemetry::{Inputs, LaidOut, LayoutSink, Progress, ReadOptions};

/// Looks at every value, no more.
#[derive(Default)]
struct Count(u64);

impl LayoutSink for Count {
    type Out = ();
    fn source(&mut self, _: &Name) {}
    fn layout(&mut self, _: &Name, _: &[Name]) -> Option<usize> {
        Some(0)
    }
    fn event(&mut self, _: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
        self.0 += e.values.iter().filter(|v| !v.is_blank()).count() as u64;
        ControlFlow::Continue(())
    }
    fn take(&mut self) {}
}

fn logs(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut inside: Vec<PathBuf> =
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
        inside.sort();
        inside.iter().for_each(|p| logs(p, out));
    } else if path.extension().is_some_and(|e| e == "evtx") {
        out.push(path.to_owned());
    }
}

/// Seconds: of the processor where the system tells that of a thread, because other programs may be running; of
/// the clock otherwise.
fn seconds(clock: &Instant, one_thread: bool) -> f64 {
    let spent = || {
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse::<f64>().ok()
    };
    match spent().filter(|_| one_thread) {
        Some(nanoseconds) => nanoseconds / 1e9,
        None => clock.elapsed().as_secs_f64(),
    }
}

/// Prints the best of some runs; gives how many events a second that is.
fn best((times, one_thread): (usize, bool), what: &str, mut run: impl FnMut() -> u64) -> f64 {
    let mut best = (f64::MAX, 0);
    let clock = Instant::now();
    for _ in 0..times.max(1) {
        let start = seconds(&clock, one_thread);
        let events = run();
        best = (best.0.min(seconds(&clock, one_thread) - start), events);
    }
    let rate = best.1 as f64 / best.0;
    println!("{what}: {} events in {:.3} s, {:.0} k/s", best.1, best.0, rate / 1e3);
    rate
}

/// All records as JSON, as the crate dumps them.
fn dump(files: &[PathBuf], values: bool) -> u64 {
    let mut events = 0;
    for file in files {
        let settings = evtx::ParserSettings::new().indent(false).num_threads(1);
        let Ok(parser) = evtx::EvtxParser::from_path(file) else { continue };
        let mut parser = parser.with_configuration(settings);
        events += if values {
            parser.records_json_value().filter(Result::is_ok).count()
        } else {
            parser.records_json().filter(Result::is_ok).count()
        } as u64;
    }
    events
}

fn main() {
    let mut paths = Vec::new();
    let (mut times, mut threads) = (3, 1);
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok());
        match a.as_str() {
            "--times" => times = number().unwrap_or(times),
            "--threads" => threads = number().unwrap_or(threads),
            _ => paths.push(a),
        }
    }
    let [folder, data @ ..] = paths.as_slice() else {
        eprintln!("usage: evtx_rules RULES DATA… [--times N] [--threads N]");
        return;
    };
    let mut files = Vec::new();
    data.iter().for_each(|p| logs(Path::new(p), &mut files));
    let bytes: u64 = files.iter().filter_map(|f| Some(f.metadata().ok()?.len())).sum();
    println!("{} files, {:.1} MB", files.len(), bytes as f64 / 1e6);

    let options = ReadOptions { threads, ..ReadOptions::default() };
    let start = Instant::now();
    let inputs = Inputs::open(data, &options);
    let opened = start.elapsed();
    let survey = inputs.survey(&Schemas::builtin());
    println!(
        "opened in {:.3} s, looked at in {:.3} s",
        opened.as_secs_f64(),
        (start.elapsed() - opened).as_secs_f64()
    );

    let start = Instant::now();
    let mut loaded = load(std::slice::from_ref(folder), LoadOptions::default());
    let catalog = SchemaCatalog::new(Schemas::builtin(), survey.tables);
    let anywhere = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    compile_all(&mut loaded.detections, &catalog, &anywhere, &CompileOptions::default(), 1);
    let rels: Vec<(usize, &Rel, Want)> = loaded
        .detections
        .iter()
        .enumerate()
        .filter_map(|(i, d)| Some((i, d.rel.as_ref()?, Want::EVENT)))
        .collect();
    let (set, left) = RuleSet::compile(&rels, &Context::default(), Limits::default());
    let (set, ran) = (Arc::new(set), rels.len() - left.len());
    println!("{ran} rules in {:.3} s, {} left to the engine", start.elapsed().as_secs_f64(), left.len());

    let how = (times, threads == 1);
    let text = best((times, true), "JSON dump of the evtx crate, as text", || dump(&files, false));
    let values = best((times, true), "JSON dump of the evtx crate, as values", || dump(&files, true));
    best(how, "walk", || {
        inputs
            .feed(catalog.schemas(), &Count::default, &mut |()| ControlFlow::Continue(()), &Progress::new())
            .1
            .events
    });
    let mut hits = 0;
    let rules = best(how, "walk with all rules", || {
        hits = 0;
        let make = || Matcher::new(set.clone());
        let mut deliver = |out: tercel_rules::Out| {
            hits += out.hits.len();
            ControlFlow::Continue(())
        };
        inputs.feed(catalog.schemas(), &make, &mut deliver, &Progress::new()).1.events
    });
    println!(
        "{hits} hits; {:.2} times the dump as text, {:.2} times as values",
        rules / text,
        rules / values
    );
}
