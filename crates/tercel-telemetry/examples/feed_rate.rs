//! How fast events reach a sink by layout:
//! `cargo run --release -p tercel-telemetry --example feed_rate -- FILE... [--threads N] [--times N]`.
//!
//! One sink only counts, the other looks at twenty fields of every event.

use std::ops::ControlFlow;
use std::time::Instant;

use tercel_ir::Name;
use tercel_schema::Schemas;
use tercel_telemetry::{Inputs, LaidOut, LayoutSink, Progress, RawValue, ReadOptions};

/// Fields that rules for Windows look at most.
const FIELDS: [&str; 20] = [
    "EventID",
    "Provider",
    "Channel",
    "Computer",
    "Image",
    "CommandLine",
    "ParentImage",
    "ParentCommandLine",
    "User",
    "TargetFilename",
    "TargetObject",
    "Details",
    "ImageLoaded",
    "SourceImage",
    "TargetImage",
    "GrantedAccess",
    "CallTrace",
    "DestinationIp",
    "QueryName",
    "OriginalFileName",
];

struct Count {
    looks: bool,
    /// Of each layout the positions of the fields.
    places: Vec<Vec<usize>>,
    events: u64,
    sum: u64,
}

impl LayoutSink for Count {
    type Out = u64;
    fn source(&mut self, _: &Name) {}
    fn layout(&mut self, _: &Name, names: &[Name]) -> Option<usize> {
        let wanted = FIELDS.iter().filter(|_| self.looks);
        self.places.push(wanted.filter_map(|f| names.iter().position(|n| **n == **f)).collect());
        Some(self.places.len() - 1)
    }
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        self.events += 1;
        for i in &self.places[layout] {
            let bytes = match event.values[*i] {
                RawValue::Str { body, .. } | RawValue::Number(body) | RawValue::Text(body) => body.as_bytes(),
                _ => &[],
            };
            // The ends of the value: what a look-up by hash would touch first.
            let ends = (bytes.first(), bytes.last());
            self.sum +=
                bytes.len() as u64 + u64::from(*ends.0.unwrap_or(&0)) + u64::from(*ends.1.unwrap_or(&0));
        }
        ControlFlow::Continue(())
    }
    fn take(&mut self) -> u64 {
        std::mem::take(&mut self.events)
    }
}

/// Nanoseconds that this thread has had a processor, where the system tells: on a busy machine that says
/// more than the time on the wall.
fn cpu_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn main() {
    let mut paths = Vec::new();
    let (mut threads, mut times) = (1, 5);
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut number = |default| args.next().and_then(|n| n.parse().ok()).unwrap_or(default);
        match a.as_str() {
            "--threads" => threads = number(1),
            "--times" => times = number(5),
            _ => paths.push(a),
        }
    }
    let schemas = Schemas::builtin();
    let inputs = Inputs::open(&paths, &ReadOptions { threads, ..ReadOptions::default() });
    for p in inputs.problems() {
        eprintln!("{p}");
    }
    for looks in [false, true] {
        let mut best = f64::MAX;
        let mut best_cpu = u64::MAX;
        let mut last = (0, 0, 0);
        for _ in 0..times {
            let start = Instant::now();
            let cpu = cpu_time();
            let mut events = 0;
            let make = || Count { looks, places: Vec::new(), events: 0, sum: 0 };
            let mut deliver = |n| {
                events += n;
                ControlFlow::Continue(())
            };
            let (sinks, stats) = inputs.feed(&schemas, &make, &mut deliver, &Progress::new());
            best = best.min(start.elapsed().as_secs_f64());
            if let (Some(a), Some(b)) = (cpu, cpu_time()) {
                best_cpu = best_cpu.min(b - a);
            }
            last = (events, stats.bytes, sinks.iter().map(|s| s.sum).sum::<u64>());
        }
        let (events, bytes, sum) = last;
        println!(
            "{threads} threads, {} fields: {events} events, {bytes} bytes, best of {times}: {best:.3} s, {:.2} GB/s, {:.2} M events/s ({sum})",
            if looks { FIELDS.len() } else { 0 },
            bytes as f64 / best / 1e9,
            events as f64 / best / 1e6
        );
        if threads == 1 && best_cpu < u64::MAX {
            println!("  {:.2} GB/s of processor time", bytes as f64 / best_cpu as f64);
        }
    }
}
