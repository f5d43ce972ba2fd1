//! One plan at a time: every rule is a query of its own over tables that are read once.

use super::{Hits, World};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tercel_engine::{
    DataSource, Demand, EngineError, HuntPlan, Options, TableBatch, TableDemand, Telemetry, hunt,
};
use tercel_ir::{Name, Rel, Type};
use tercel_telemetry::Progress;

/// Rules whose columns are in memory at a time.
const TOGETHER: usize = 100;

/// Notes what plans ask for, and gives them nothing.
struct Asked<'a> {
    present: &'a [Name],
    tables: Mutex<BTreeMap<Name, Vec<(Name, Type)>>>,
}

impl DataSource for Asked<'_> {
    fn has_table(&self, table: &str) -> bool {
        self.present.iter().any(|t| &**t == table)
    }
    fn read(
        &self,
        demand: &Demand,
        _: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for t in &demand.tables {
            let columns = tables.entry(t.table.clone()).or_default();
            for c in &t.columns {
                if !columns.contains(c) {
                    columns.push(c.clone());
                }
            }
        }
        Ok(())
    }
    fn newest_time(&self) -> Option<i64> {
        None
    }
}

/// Tables in memory, with the columns that were asked for, of the types that they were asked for in.
struct Held<'a> {
    present: &'a [Name],
    columns: BTreeMap<Name, Vec<(Name, Type)>>,
    batches: Vec<TableBatch>,
}

impl DataSource for Held<'_> {
    fn has_table(&self, table: &str) -> bool {
        self.present.iter().any(|t| &**t == table)
    }
    fn read(
        &self,
        demand: &Demand,
        each: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        for b in &self.batches {
            let Some(want) = demand.tables.iter().find(|t| t.table == b.table) else { continue };
            let held = &self.columns[&b.table];
            let at: Vec<usize> = want
                .columns
                .iter()
                .map(|c| {
                    held.iter().position(|h| h == c).unwrap_or_else(|| panic!("{c:?} was not asked for"))
                })
                .collect();
            let batch = b.batch.project(&at).unwrap_or_else(|e| panic!("{e}"));
            if each(TableBatch { table: b.table.clone(), batch }).is_break() {
                break;
            }
        }
        Ok(())
    }
    fn newest_time(&self) -> Option<i64> {
        None
    }
}

fn plan((id, rel): &(usize, Rel)) -> HuntPlan {
    HuntPlan { id: *id, rel: rel.clone() }
}

/// The hits of relations, each as the only plan of a run of the engine. What failed is given back in words.
pub fn by_engine_alone(rels: &[(usize, Rel)], world: &World, threads: usize) -> (Hits, Vec<String>) {
    let (mut hits, mut failed) = (Hits::new(), Vec::new());
    for some in rels.chunks(TOGETHER) {
        let (h, f) = together(some, world, threads);
        hits.extend(h);
        failed.extend(f);
    }
    (hits, failed)
}

fn together(rels: &[(usize, Rel)], world: &World, threads: usize) -> (Hits, Vec<String>) {
    let present = &world.present;
    let asked = Asked { present, tables: Mutex::default() };
    // Each alone here too: plans that run together share what they read.
    for r in rels {
        hunt(vec![plan(r)], &asked, &Options::default(), &mut |_| ControlFlow::Continue(()))
            .unwrap_or_else(|e| panic!("{e}"));
    }
    let columns = asked.tables.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tables =
        columns.iter().map(|(t, c)| TableDemand { table: t.clone(), columns: c.clone() }).collect::<Vec<_>>();
    let mut batches = Vec::new();
    let progress = Progress::new();
    Telemetry::new(&world.inputs, world.catalog.schemas(), present.iter().cloned(), &progress)
        .read(&Demand { tables, batch_rows: 0 }, &mut |b| {
            batches.push(b);
            ControlFlow::Continue(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
    let held = Held { present, columns, batches };

    let next = AtomicUsize::new(0);
    let found = Mutex::new((Hits::new(), Vec::new()));
    std::thread::scope(|s| {
        for _ in 0..threads.max(1) {
            s.spawn(|| {
                while let Some(r) = rels.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (h, f) = one(r, &held);
                    let mut all = found.lock().unwrap_or_else(PoisonError::into_inner);
                    all.0.extend(h);
                    all.1.extend(f);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(rule: &(usize, Rel), source: &Held<'_>) -> (Hits, Vec<String>) {
    let (mut hits, mut failed) = (Hits::new(), Vec::new());
    let ran = hunt(vec![plan(rule)], source, &Options::default(), &mut |hit| {
        match hit.provenance() {
            Some(p) => {
                let key = (hit.plan, p.source.unwrap_or_default(), p.record.unwrap_or(-1));
                *hits.entry(key).or_default() += 1;
            }
            None => failed.push(format!("rule {} has hits without an event", hit.plan)),
        }
        ControlFlow::Continue(())
    });
    match ran {
        Ok(stats) => failed
            .extend(stats.plans.iter().filter_map(|p| Some(format!("rule {}: {}", p.id, p.error.as_ref()?)))),
        Err(e) => failed.push(format!("rule {}: {e}", rule.0)),
    }
    (hits, failed)
}
