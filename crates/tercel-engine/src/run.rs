//! Running physical plans over the data: any number of plans, as few passes as is safe.
//!
//! # Passes
//!
//! Every scan of a plan ([`FeedExec`]) waits for batches on a bounded channel. A pass is one reading of
//! the data by one thread, which hands each batch to every scan of that table and waits where a channel
//! is full. Many scans in one pass is what makes thousands of rules affordable, and what could
//! deadlock: the reader waits for scan A to take its batch, while the plan will not look at A before
//! scan B has ended, and B cannot end because the reader waits.
//!
//! So scans share a pass only where each of them is always asked for its next batch, whatever the others
//! do. That is so below operators with one input (filters, projections, sorts, groups: they poll their
//! input until it ends or they are done, and when they are done they drop it, which closes the channel
//! and lets the reader go on), and below unions: `UnionExec` makes each input a partition, and whatever
//! brings partitions together (`CoalescePartitionsExec`, `SortPreservingMergeExec`, `RepartitionExec`)
//! starts a task for each partition, or polls every one of them.
//!
//! It is not so below joins, which read one side whole before they touch the other. Therefore: the first
//! input of an operator with several inputs that is no union belongs to the pass of the operator, every
//! further input to a pass of its own (with a thread of its own, reading the data again). Passes of a
//! plan form a tree whose edges are the joins. A pass can be held up only at a join: by its parent (its
//! side waits for the first to end) or by a child (the first side waits for the other to end). At one
//! join just one side waits for the other, so between two passes there is a wait in one direction only,
//! and the waits, being edges of a tree, form no cycle. Hence some pass always moves.
//!
//! A plan without joins needs one pass, which it shares with all other such plans; one with joins runs
//! after those, on its own ([`Prepared::needs_own_pass`]).
//!
//! # Shared views
//!
//! Many plans read the same view. Such a view is a plan of its own whose rows go to scans of the plans
//! that read it ([`Prepared::feeding`]) instead of to the caller: the view is computed once. The argument
//! above holds as before, with the view's plan as the reader of one more pass: it waits for its readers,
//! which (being plans without joins) always ask for their next batch, and nobody waits for it but them.
//!
//! Finished rows go through one bounded channel to the calling thread, which is always waiting for them.

use crate::EngineError;
use crate::scan::{Feed, FeedExec};
use crate::source::{DataSource, Demand, TableBatch, TableDemand};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_ir::{Name, Type};
use tokio::sync::mpsc;

/// Batches that may wait in front of one scan. More would only cost memory: a reader that is ahead by
/// this much is not what the plans wait for.
const WAITING: usize = 2;

/// A physical plan with its scans sorted into passes.
pub(crate) struct Prepared {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    /// The scans of each pass; the first pass is the one that can be shared.
    passes: Vec<Vec<Arc<Feed>>>,
    /// The readers of this plan's rows, if those do not go to the caller.
    feeding: Vec<Subscriber>,
}

impl Prepared {
    pub(crate) fn new(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Prepared {
        let mut passes = vec![vec![]];
        assign(&plan, 0, &mut passes);
        // A side without scans (literal rows) needs no pass.
        let shared = passes.remove(0);
        passes.retain(|p| !p.is_empty());
        passes.insert(0, shared);
        Prepared { plan, context, passes, feeding: vec![] }
    }

    /// Takes the scans of a table that the data does not have, but another plan will give.
    pub(crate) fn take_feeds(&mut self, table: &str) -> Vec<Arc<Feed>> {
        let (taken, kept) = std::mem::take(&mut self.passes[0]).into_iter().partition(|f| &*f.table == table);
        self.passes[0] = kept;
        taken
    }

    /// Makes the rows of this plan go to these scans. The plan must have the scans' columns, as
    /// `columns` lists them, in that order.
    pub(crate) fn feeding(mut self, feeds: &[Arc<Feed>], columns: &[(Name, Type)]) -> Prepared {
        self.feeding = feeds
            .iter()
            .map(|f| {
                let mut s = Subscriber::new(f);
                s.projection = f.columns.iter().filter_map(|c| columns.iter().position(|x| x == c)).collect();
                s
            })
            .collect();
        self
    }

    /// What the plan's batches look like.
    pub(crate) fn schema(&self) -> datafusion::arrow::datatypes::SchemaRef {
        self.plan.schema()
    }

    /// The plan as text.
    pub(crate) fn describe(&self) -> String {
        datafusion::physical_plan::displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// Whether the data must be read more than once for this plan.
    pub(crate) fn needs_own_pass(&self) -> bool {
        self.passes.len() > 1
    }
}

fn assign(plan: &Arc<dyn ExecutionPlan>, pass: usize, passes: &mut Vec<Vec<Arc<Feed>>>) {
    if let Some(feed) = plan.downcast_ref::<FeedExec>() {
        passes[pass].push(feed.feed().clone());
        return;
    }
    let together = plan.is::<UnionExec>() || plan.is::<InterleaveExec>();
    for (n, child) in plan.children().into_iter().enumerate() {
        if n == 0 || together {
            assign(child, pass, passes);
        } else {
            passes.push(vec![]);
            let own = passes.len() - 1;
            assign(child, own, passes);
        }
    }
}

/// What a plan gave.
pub(crate) enum Event {
    Batch(RecordBatch),
    Failed(EngineError),
}

/// Runs all plans. `each` gets what plan number `n` gives, batch by batch, on the calling thread; when it
/// breaks, that plan ends early. Returns when all plans have ended. Blocks the calling thread, so it must not
/// be called from a task of an asynchronous runtime.
///
/// # Errors
/// When a pass cannot be read at all. A plan that fails is an event, and the others go on.
pub(crate) fn run(
    plans: Vec<Prepared>,
    source: &dyn DataSource,
    batch_rows: usize,
    threads: usize,
    each: &mut dyn FnMut(usize, Event) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        // Planning and evaluation of deep expressions recurse; address space costs nothing until used.
        .thread_stack_size(16 << 20)
        .enable_time()
        .build()
        .map_err(|e| EngineError::new("no-threads", format!("cannot start worker threads: {e}")))?;
    let (shared, own): (Vec<_>, Vec<_>) =
        plans.into_iter().enumerate().partition(|(_, p)| !p.needs_own_pass());
    let mut first_error = None;
    let mut groups = vec![];
    if !shared.is_empty() {
        groups.push(shared);
    }
    groups.extend(own.into_iter().map(|p| vec![p]));
    for group in groups {
        if let Err(e) = run_together(&runtime, group, source, batch_rows, each) {
            first_error.get_or_insert(e);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Runs plans of which at most one needs more than the shared pass.
fn run_together(
    runtime: &tokio::runtime::Runtime,
    plans: Vec<(usize, Prepared)>,
    source: &dyn DataSource,
    batch_rows: usize,
    each: &mut dyn FnMut(usize, Event) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    // Every scan is connected before any plan or reader starts, so that none can miss a batch.
    let count = plans.iter().map(|(_, p)| p.passes.len()).max().unwrap_or(0);
    let mut passes: Vec<Vec<Subscriber>> = (0..count).map(|_| vec![]).collect();
    for (_, p) in &plans {
        for (n, feeds) in p.passes.iter().enumerate() {
            passes[n].extend(feeds.iter().map(|f| Subscriber::new(f)));
        }
    }
    let (out, results) = mpsc::channel::<(usize, Event)>(plans.len().clamp(4, 64));
    let mut tasks = std::collections::HashMap::new();
    for (id, p) in plans {
        let out = out.clone();
        let task = runtime.spawn(async move {
            let Prepared { plan, context, passes, feeding } = p;
            // A scan that the plan never starts must not look as if it were about to.
            drop(passes);
            if !feeding.is_empty() {
                return feed(plan, context, feeding).await;
            }
            match execute_stream(plan, context) {
                Err(e) => drop(out.send((id, Event::Failed(e.into()))).await),
                Ok(mut stream) => {
                    while let Some(next) = stream.next().await {
                        let (event, last) = match next {
                            Ok(b) => (Event::Batch(b), false),
                            Err(e) => (Event::Failed(e.into()), true),
                        };
                        if out.send((id, event)).await.is_err() || last {
                            break;
                        }
                    }
                }
            }
        });
        tasks.insert(id, task);
    }
    drop(out);
    let mut outcome = Ok(());
    std::thread::scope(|scope| {
        // Owned here, so that a panic in `each` closes the channel before the readers are waited for.
        let mut results = results;
        let readers: Vec<_> = passes
            .into_iter()
            .filter(|p| !p.is_empty())
            .map(|subscribers| scope.spawn(move || broadcast(source, subscribers, batch_rows)))
            .collect();
        let mut stopped = std::collections::HashSet::new();
        while let Some((id, event)) = results.blocking_recv() {
            if !stopped.contains(&id) && each(id, event).is_break() {
                stopped.insert(id);
                if let Some(task) = tasks.remove(&id) {
                    // Dropping the plan closes its scans; the reader goes on without them.
                    task.abort();
                }
            }
        }
        for r in readers {
            match r.join() {
                Ok(Ok(())) => {}
                Ok(Err(e)) => outcome = Err(e),
                Err(_) => outcome = Err(EngineError::internal("the thread that reads the data ended badly")),
            }
        }
    });
    for (id, task) in tasks {
        if let Err(e) = runtime.block_on(task)
            && e.is_panic()
        {
            let _ = each(id, Event::Failed(EngineError::internal("the plan ended badly")));
        }
    }
    outcome
}

/// Runs a plan whose rows are read by other plans.
async fn feed(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>, mut readers: Vec<Subscriber>) {
    let mut stream = match execute_stream(plan, context) {
        Ok(s) => s,
        Err(e) => {
            let e = EngineError::from(e);
            for r in &readers {
                let _ = r.to.send(Err(e.clone())).await;
            }
            return;
        }
    };
    while let Some(next) = stream.next().await {
        let next = next.map_err(EngineError::from);
        let mut open = Vec::with_capacity(readers.len());
        for r in readers {
            let batch = next.as_ref().map_err(Clone::clone).and_then(|b| project(b, &r));
            if r.to.send(batch).await.is_ok() {
                open.push(r);
            }
        }
        readers = open;
        if readers.is_empty() || next.is_err() {
            return;
        }
    }
}

/// One scan as the reader sees it.
struct Subscriber {
    table: Name,
    columns: Vec<(Name, Type)>,
    to: mpsc::Sender<Result<RecordBatch, EngineError>>,
    /// Which columns of the pass's batches are this scan's; set when the demand is made.
    projection: Vec<usize>,
    schema: datafusion::arrow::datatypes::SchemaRef,
}

impl Subscriber {
    fn new(feed: &Feed) -> Subscriber {
        let schema = crate::values::arrow_schema(feed.columns.iter().map(|(n, t)| (&**n, *t)));
        Subscriber {
            table: feed.table.clone(),
            columns: feed.columns.clone(),
            to: feed.connect(WAITING),
            projection: vec![],
            schema,
        }
    }
}

/// The union of what all scans want. One column of one table may be wanted as two types (a column that
/// nobody declared); then it is asked for twice.
fn demand(subscribers: &mut [Subscriber], batch_rows: usize) -> Demand {
    let mut demand = Demand { tables: vec![], batch_rows };
    for s in subscribers {
        let at = match demand.tables.iter().position(|t| t.table == s.table) {
            Some(i) => i,
            None => {
                demand.tables.push(TableDemand { table: s.table.clone(), columns: vec![] });
                demand.tables.len() - 1
            }
        };
        let table = &mut demand.tables[at];
        s.projection = s
            .columns
            .iter()
            .map(|c| {
                table.columns.iter().position(|x| x == c).unwrap_or_else(|| {
                    table.columns.push(c.clone());
                    table.columns.len() - 1
                })
            })
            .collect();
    }
    demand
}

/// One pass: reads everything once and hands it to the scans.
fn broadcast(
    source: &dyn DataSource,
    mut subscribers: Vec<Subscriber>,
    batch_rows: usize,
) -> Result<(), EngineError> {
    let demand = demand(&mut subscribers, batch_rows);
    let read = source.read(&demand, &mut |TableBatch { table, batch }| {
        subscribers.retain(|s| {
            if s.table != table {
                return !s.to.is_closed();
            }
            // A closed channel is a plan that wants no more.
            s.to.blocking_send(project(&batch, s)).is_ok()
        });
        if subscribers.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Err(e) = &read {
        // The plans must not take half of the data for all of it.
        for s in &subscribers {
            let _ = s.to.blocking_send(Err(e.clone()));
        }
    }
    read
}

fn project(batch: &RecordBatch, s: &Subscriber) -> Result<RecordBatch, EngineError> {
    let columns: Option<Vec<_>> = s.projection.iter().map(|i| batch.columns().get(*i).cloned()).collect();
    let columns =
        columns.ok_or_else(|| EngineError::internal(format!("{} came with too few columns", s.table)))?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(s.schema.clone(), columns, &options)
        .map_err(|e| EngineError::internal(format!("{} came with wrong columns: {e}", s.table)))
}
