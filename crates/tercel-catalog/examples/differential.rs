//! Every rule on every event, four times: by the rule-set program, event by event, by one plan a rule in the
//! engine (many in one pass, sharing the views that they read), and by one run of the engine a rule. Prints
//! how many hits there are and every difference.
//!
//! ```text
//! cargo run --release -p tercel-catalog --example differential -- RULES DATA... [--every N] [--no-engine] [--no-alone]
//! ```
//!
//! RULES is a folder of rules (or a `.tar.zst` of the public corpus, unpacked), DATA files or folders.
//! `--every N` lets the slow evaluation look at the records only whose number is a multiple of N;
//! `--no-engine` leaves out the plans in one pass, `--no-alone` the runs of one rule each.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use support::alone::by_engine_alone;
use support::dumb::{by_dumb, is_of_single_events};
use support::{Hits, World, by_engine, by_program, compile, rules};
use tercel_catalog::Detection;
use tercel_ir::Rel;

/// Plans that the engine runs at a time: their memory is not bounded by the program's limits.
const PLANS: usize = 100;

fn main() -> ExitCode {
    let mut paths = Vec::new();
    let (mut every, mut engine, mut alone) = (1, true, true);
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        match a.as_str() {
            "--every" => every = args.next().and_then(|n| n.parse().ok()).unwrap_or(1).max(1),
            "--no-engine" => engine = false,
            "--no-alone" => alone = false,
            _ => paths.push(PathBuf::from(a)),
        }
    }
    if paths.len() < 2 {
        eprintln!("usage: differential RULES DATA… [--every N] [--no-engine] [--no-alone]");
        return ExitCode::from(2);
    }
    let mut loaded = rules(&paths[..1]);
    let world = World::open(&paths[1..], 2);
    compile(&mut loaded.detections, &world);
    let bound: Vec<(usize, Rel)> =
        loaded.detections.iter().enumerate().filter_map(|(i, d)| Some((i, d.rel.clone()?))).collect();
    let (single, rest): (Vec<_>, Vec<_>) = bound.into_iter().partition(|(_, r)| is_of_single_events(r));
    println!(
        "{} rules; {} are compiled and of single events, {} need more",
        loaded.detections.len(),
        single.len(),
        rest.len()
    );

    let start = Instant::now();
    let (fast, left) = by_program(&single, &world);
    println!("program: {} hits of {} rules in {:?}", total(&fast), rules_of(&fast), start.elapsed());
    for (id, why) in &left {
        println!("  left to the engine: {}: {why}", loaded.detections[*id].path);
    }
    let mut equal = true;

    let start = Instant::now();
    let (dumb, looked) = by_dumb(&single, &world, every);
    println!("event by event: {} hits over {looked} events in {:?}", total(&dumb), start.elapsed());
    let taken = |k: &(usize, String, i64)| k.2.unsigned_abs().is_multiple_of(every);
    let left: Vec<usize> = left.into_iter().map(|(id, _)| id).collect();
    let of_fast: Hits = fast.iter().filter(|(k, _)| taken(k)).map(|(k, n)| (k.clone(), *n)).collect();
    let of_dumb: Hits = dumb.into_iter().filter(|(k, _)| !left.contains(&k.0)).collect();
    equal &= differences("program", &of_fast, "event by event", &of_dumb, &loaded.detections);

    if engine {
        let start = Instant::now();
        let mut planned = Hits::new();
        let mut failed = Vec::new();
        for some in single.chunks(PLANS) {
            let (hits, f) = by_engine(some, &world);
            planned.extend(hits);
            failed.extend(f);
        }
        println!("engine: {} hits in {:?}", total(&planned), start.elapsed());
        for f in &failed {
            println!("  {f}");
        }
        planned.retain(|k, _| !left.contains(&k.0));
        equal &= failed.is_empty() && differences("program", &fast, "engine", &planned, &loaded.detections);
    }
    if alone {
        let start = Instant::now();
        let (mut planned, failed) = by_engine_alone(&single, &world, 2);
        println!("engine, one query at a time: {} hits in {:?}", total(&planned), start.elapsed());
        for f in &failed {
            println!("  {f}");
        }
        planned.retain(|k, _| !left.contains(&k.0));
        equal &= failed.is_empty()
            && differences("program", &fast, "one query at a time", &planned, &loaded.detections);
    }
    if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn total(hits: &Hits) -> usize {
    hits.values().sum()
}

fn rules_of(hits: &Hits) -> usize {
    hits.keys().map(|k| k.0).collect::<std::collections::BTreeSet<_>>().len()
}

/// Prints where two sets of hits differ, a few examples a rule.
fn differences(one: &str, a: &Hits, other: &str, b: &Hits, rules: &[Detection]) -> bool {
    let mut by_rule: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for k in a.keys().chain(b.keys()) {
        let (x, y) = (a.get(k).copied().unwrap_or(0), b.get(k).copied().unwrap_or(0));
        if x != y {
            let list = by_rule.entry(k.0).or_default();
            let text = format!("{} record {}: {one} {x}, {other} {y}", k.1, k.2);
            if !list.contains(&text) {
                list.push(text);
            }
        }
    }
    let n: usize = by_rule.values().map(Vec::len).sum();
    println!("{one} and {other}: {n} differences in {} rules", by_rule.len());
    for (rule, list) in &by_rule {
        println!("  {} ({})", rules[*rule].path, list.len());
        list.iter().take(3).for_each(|l| println!("      {l}"));
    }
    n == 0
}
