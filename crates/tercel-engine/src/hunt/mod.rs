//! Many detections over the same data, in one pass wherever that is safe.
//!
//! What only looks at one event at a time could be answered without DataFusion and without Arrow; a
//! program for such rules can take them out of the list of plans before it comes here, and feed the same
//! `on_hit`. What remains here are plans: aggregates, joins, sorts.

mod share;

use crate::passes::with_provenance;
use crate::prepare::{Draft, plan_all, settle};
use crate::run::{Event, Prepared, run};
use crate::source::{DataSource, hidden};
use crate::values::{Cells, batch_cells};
use crate::{EngineError, Options, session};
use datafusion::arrow::array::RecordBatch;
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_ir::{Column, Name, Rel, Value};

/// One detection to run.
#[derive(Clone, Debug)]
pub struct HuntPlan {
    /// The caller's number for it.
    pub id: usize,
    pub rel: Rel,
}

/// Where the event of a hit came from. Each part is null where the source does not know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// Ticks.
    pub time: Option<i64>,
    pub source: Option<String>,
    pub record: Option<i64>,
    /// The whole event as JSON text.
    pub event: Option<Arc<str>>,
}

/// A row that a plan gave.
pub struct Hit<'a> {
    /// The number of the plan.
    pub plan: usize,
    /// The columns of the row.
    pub columns: &'a [Column],
    cells: &'a [Cells<'a>],
    /// The cells of the hidden columns, if the plan carries them.
    hidden: &'a [Cells<'a>],
    row: usize,
}

impl Hit<'_> {
    /// The value of column number `i`; null if there is no such column.
    pub fn value(&self, i: usize) -> Value {
        self.cells.get(i).map_or(Value::Null, |c| c.get(self.row))
    }
    /// All values, in order.
    pub fn values(&self) -> Vec<Value> {
        self.cells.iter().map(|c| c.get(self.row)).collect()
    }
    /// The row as an object, keys in column order.
    pub fn json(&self) -> serde_json::Map<String, serde_json::Value> {
        self.columns
            .iter()
            .zip(self.cells)
            .map(|(c, v)| (c.name.to_string(), v.get(self.row).to_json()))
            .collect()
    }
    /// Where the event behind the row came from; `None` where there is no single event behind it.
    pub fn provenance(&self) -> Option<Provenance> {
        let [time, source, record, event] = self.hidden else { return None };
        let text = |c: &Cells<'_>| match c.get(self.row) {
            Value::Str(s) => Some(s),
            _ => None,
        };
        Some(Provenance {
            time: time.get(self.row).as_i64(),
            source: text(source),
            record: record.get(self.row).as_i64(),
            event: text(event).map(Into::into),
        })
    }
}

/// How one plan fared.
#[derive(Clone, Debug)]
pub struct PlanOutcome {
    pub id: usize,
    /// Rows.
    pub hits: u64,
    /// Tables that the plan reads and the data does not have.
    pub missing_tables: Vec<Name>,
    /// It could not have fired on this data: the tables that it needs are not there.
    pub never: bool,
    /// It did not run, or not to its end.
    pub error: Option<EngineError>,
    /// Each of its rows stands for one event.
    pub single_event: bool,
}

/// How a hunt went.
#[derive(Clone, Debug, Default)]
pub struct HuntStats {
    /// What `now()` meant, if any plan asked.
    pub now: Option<i64>,
    /// In the order of the plans.
    pub plans: Vec<PlanOutcome>,
    /// Views that were computed once for several plans.
    pub shared_views: usize,
}

/// Runs all plans over the data. `on_hit` gets every row of every plan, on the calling thread; rows of one
/// plan come in its order, rows of different plans as they come. When it breaks, that plan gives no more
/// rows.
///
/// # Errors
/// When the data cannot be read at all. A plan that fails is reported in its outcome, and the others go on.
pub fn hunt(
    plans: Vec<HuntPlan>,
    source: &dyn DataSource,
    options: &Options,
    on_hit: &mut dyn FnMut(&Hit<'_>) -> ControlFlow<()>,
) -> Result<HuntStats, EngineError> {
    let context = session(&options.session)?;
    let (ids, rels): (Vec<usize>, Vec<Rel>) = plans.into_iter().map(|p| (p.id, p.rel)).unzip();
    let outputs: Vec<Vec<Column>> = rels.iter().map(|r| r.schema.columns.to_vec()).collect();
    let (drafts, now) = settle(rels, source, &context, options);

    let mut stats = HuntStats { now, plans: Vec::with_capacity(drafts.len()), shared_views: 0 };
    let mut runnable: Vec<(usize, Rel)> = Vec::new();
    for (n, Draft { rel, missing, error }) in drafts.into_iter().enumerate() {
        let never = !missing.is_empty() && crate::passes::is_empty(&rel);
        let ready = error.is_none() && !never;
        stats.plans.push(PlanOutcome {
            id: ids[n],
            hits: 0,
            missing_tables: missing,
            never,
            error,
            single_event: false,
        });
        if ready {
            runnable.push((n, rel));
        }
    }
    let views = share::shared_views(&mut runnable);
    stats.shared_views = views.len();

    // The plans that read a view come before those of the views: only then is it known which columns
    // the views must have.
    let mut owners: Vec<usize> = Vec::with_capacity(runnable.len());
    let mut rels: Vec<Rel> = Vec::with_capacity(runnable.len());
    for (n, rel) in runnable {
        let carried = if share::provenance_of(&rel, &views) { with_provenance(&rel) } else { None };
        stats.plans[n].single_event = carried.is_some();
        owners.push(n);
        rels.push(carried.unwrap_or(rel));
    }
    let mut prepared: Vec<Prepared> = Vec::new();
    let mut which: Vec<Option<usize>> = Vec::new();
    for (n, planned) in owners.into_iter().zip(plan_all(&rels, &context, options)?) {
        match planned {
            Ok(p) => {
                prepared.push(p);
                which.push(Some(n));
            }
            Err(e) => stats.plans[n].error = Some(e),
        }
    }
    for p in share::plan_views(views, &mut prepared, &context, options)? {
        prepared.push(p);
        which.push(None);
    }

    run(prepared, source, options.session.batch_rows, options.threads, &mut |p, event| {
        let Some(n) = which[p] else { return ControlFlow::Continue(()) };
        let outcome = &mut stats.plans[n];
        match event {
            Event::Batch(b) => match deliver(&b, &outputs[n], outcome, on_hit) {
                Ok(flow) => flow,
                Err(e) => {
                    outcome.error = Some(e);
                    ControlFlow::Break(())
                }
            },
            Event::Failed(e) => {
                outcome.error = Some(e);
                ControlFlow::Break(())
            }
        }
    })?;
    Ok(stats)
}

fn deliver(
    batch: &RecordBatch,
    columns: &[Column],
    outcome: &mut PlanOutcome,
    on_hit: &mut dyn FnMut(&Hit<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, EngineError> {
    // The hidden columns stand among the others where a join put them, so all are found by name.
    let schema = batch.schema();
    let find = |name: &str, ty| -> Result<Cells<'_>, EngineError> {
        let at = schema
            .index_of(name)
            .map_err(|_| EngineError::internal(format!("the plan lost column {name}")))?;
        Cells::new(batch.column(at).as_ref(), ty)
    };
    let cells = if outcome.single_event {
        columns.iter().map(|c| find(&c.name, c.ty)).collect::<Result<Vec<_>, _>>()?
    } else {
        batch_cells(batch, columns)?
    };
    let hidden = if outcome.single_event {
        hidden::ALL.iter().map(|(n, t)| find(n, *t)).collect::<Result<Vec<_>, _>>()?
    } else {
        vec![]
    };
    for row in 0..batch.num_rows() {
        outcome.hits += 1;
        let hit = Hit { plan: outcome.id, columns, cells: &cells, hidden: &hidden, row };
        if on_hit(&hit).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
