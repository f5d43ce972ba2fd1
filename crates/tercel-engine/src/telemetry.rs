//! Files as a source of events.

use crate::EngineError;
use crate::source::{DataSource, Demand, TableBatch, hidden};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use tercel_ir::Name;
use tercel_schema::Schemas;
use tercel_telemetry::{HiddenColumns, Inputs, Progress, ReadStats, TableDemand};

/// Opened inputs as a [`DataSource`]. Keeps what the passes saw.
pub struct Telemetry<'a> {
    inputs: &'a Inputs,
    schemas: &'a Schemas,
    progress: &'a Progress,
    present: HashSet<Name>,
    stats: Mutex<Option<ReadStats>>,
}

impl<'a> Telemetry<'a> {
    /// `present` are the tables that the survey of the inputs found; others are taken to be absent.
    pub fn new(
        inputs: &'a Inputs,
        schemas: &'a Schemas,
        present: impl IntoIterator<Item = Name>,
        progress: &'a Progress,
    ) -> Telemetry<'a> {
        Telemetry {
            inputs,
            schemas,
            progress,
            present: present.into_iter().collect(),
            stats: Mutex::new(None),
        }
    }

    /// What was seen: the counts of the fullest pass (every whole pass sees all events), the times of all.
    /// `None` when nothing had to be read.
    pub fn stats(&self) -> Option<ReadStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn saw(&self, new: ReadStats) {
        let mut kept = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(match kept.take() {
            None => new,
            Some(old) => {
                let min_time = [old.min_time, new.min_time].into_iter().flatten().min();
                let max_time = old.max_time.max(new.max_time);
                let fullest = if new.events > old.events { new } else { old };
                ReadStats { min_time, max_time, ..fullest }
            }
        });
    }
}

impl DataSource for Telemetry<'_> {
    fn has_table(&self, table: &str) -> bool {
        self.present.contains(table)
    }

    fn read(
        &self,
        demand: &Demand,
        each: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        // The readers give the hidden columns last, in an order of their own; the engine names them like
        // any other.
        let mut tables = Vec::with_capacity(demand.tables.len());
        let mut orders: Vec<(Name, Vec<usize>)> = Vec::with_capacity(demand.tables.len());
        for t in &demand.tables {
            let wants = |name: &str| t.columns.iter().any(|(n, _)| &**n == name);
            let plain: Vec<_> =
                t.columns.iter().filter(|(n, _)| hidden::type_of(n).is_none()).cloned().collect();
            let hidden = HiddenColumns {
                time: wants(hidden::TIME),
                source: wants(hidden::SOURCE),
                record: wants(hidden::RECORD),
                event: wants(hidden::EVENT),
            };
            let given: Vec<(Name, tercel_ir::Type)> =
                plain.iter().cloned().chain(hidden.names().map(|(n, ty)| (n.into(), ty))).collect();
            let order =
                t.columns.iter().map(|c| given.iter().position(|g| g == c).unwrap_or(usize::MAX)).collect();
            orders.push((t.table.clone(), order));
            tables.push(TableDemand { table: t.table.clone(), columns: plain, hidden });
        }
        let mut demand_there = tercel_telemetry::Demand::new(tables);
        if demand.batch_rows > 0 {
            demand_there.batch_rows = demand.batch_rows;
        }
        let mut failed = None;
        let stats = self.inputs.read(
            self.schemas,
            &demand_there,
            &mut |b| {
                let Some((_, order)) = orders.iter().find(|(t, _)| *t == b.table) else {
                    return ControlFlow::Continue(());
                };
                match b.batch.project(order) {
                    Ok(batch) => each(TableBatch { table: b.table, batch }),
                    Err(e) => {
                        failed =
                            Some(EngineError::internal(format!("{} came with wrong columns: {e}", b.table)));
                        ControlFlow::Break(())
                    }
                }
            },
            self.progress,
        );
        self.saw(stats);
        failed.map_or(Ok(()), Err)
    }

    fn newest_time(&self) -> Option<i64> {
        self.inputs.newest_time(self.schemas)
    }
}
