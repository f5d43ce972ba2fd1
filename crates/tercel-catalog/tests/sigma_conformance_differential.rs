//! The rule-set program, event by event, and the engine: the same hits of all public rules on public
//! telemetry. A sample here; `examples/differential.rs` runs everything.

use crate::support;

use support::dumb::{by_dumb, is_of_single_events};
use support::{Hits, World, by_engine, by_program, compile, corpus, rules, shared};
use tercel_ir::Rel;

/// Of the records, one in so many is shown to the slow evaluation.
const EVERY: u64 = 97;
/// Of the rules, one in so many is also run by the engine.
const EVERY_RULE: usize = 60;

#[test]
fn program_engine_and_event_by_event_agree() {
    let Some(folder) = corpus() else { return };
    let folders = ["evtx", "sentinel", "zeek", "mde_shapes", "mordor/cmd_psexec_lsa_secrets_dump.jsonl.zst"];
    let data: Option<Vec<_>> = folders.iter().map(|f| shared(&format!("telemetry/{f}"))).collect();
    let Some(data) = data else { return };
    let mut loaded = rules(&[folder.path().to_path_buf()]);
    let world = World::open(&data, 2);
    compile(&mut loaded.detections, &world);
    let rels: Vec<(usize, Rel)> =
        loaded.detections.iter().enumerate().filter_map(|(i, d)| Some((i, d.rel.clone()?))).collect();
    let single: Vec<(usize, Rel)> = rels.into_iter().filter(|(_, r)| is_of_single_events(r)).collect();
    assert!(single.len() > 3000, "{}", single.len());

    let (fast, left) = by_program(&single, &world);
    assert!(left.is_empty(), "{left:?}");
    assert!(fast.values().sum::<usize>() > 1000, "{}", fast.len());

    let (dumb, looked) = by_dumb(&single, &world, EVERY);
    println!("{} rules, {} hits; {looked} events by hand: {} hits", single.len(), fast.len(), dumb.len());
    assert!(looked > 30);
    let sampled: Hits = fast
        .iter()
        .filter(|(k, _)| k.2.unsigned_abs().is_multiple_of(EVERY))
        .map(|(k, n)| (k.clone(), *n))
        .collect();
    assert_eq!(sampled, dumb, "the program, and event by event");

    let hit: Vec<(usize, Rel)> = single.into_iter().filter(|(i, _)| fast.keys().any(|k| k.0 == *i)).collect();
    let some: Vec<(usize, Rel)> = hit.into_iter().step_by(EVERY_RULE / 10).collect();
    let ids: Vec<usize> = some.iter().map(|(i, _)| *i).collect();
    let (planned, failed) = by_engine(&some, &world);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let of_fast: Hits = fast.into_iter().filter(|(k, _)| ids.contains(&k.0)).collect();
    assert!(!of_fast.is_empty());
    assert_eq!(of_fast, planned, "the program, and the engine");
}
