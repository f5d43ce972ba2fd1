//! From relations to physical plans, in the order that the parts depend on each other.

use crate::passes::{Answer, Inner, is_empty, prune_absent, ready, same, substitute, uses_now};
use crate::plan::{Planner, check_depth};
use crate::run::{Event, Prepared, run};
use crate::scan::Feeds;
use crate::source::DataSource;
use crate::values::rows;
use crate::{EngineError, Now, Options};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tercel_ir::{Column, Name, Rel, Value};

/// The stack of the thread that plans: planning recurses to the depth of the query.
const STACK: usize = 256 << 20;

/// Runs `f` on a thread with room to recurse.
pub(crate) fn with_stack<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, EngineError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, f)
            .map_err(|e| EngineError::new("no-threads", format!("cannot start a thread: {e}")))?;
        thread.join().map_err(|_| EngineError::internal("planning ended badly"))
    })
}

/// A relation on its way to a plan.
pub(crate) struct Draft {
    pub(crate) rel: Rel,
    /// Tables that it wants and the data does not have.
    pub(crate) missing: Vec<Name>,
    pub(crate) error: Option<EngineError>,
}

impl Draft {
    /// Whether it cannot give a row, because of missing tables.
    pub(crate) fn never(&self) -> bool {
        !self.missing.is_empty() && is_empty(&self.rel)
    }
}

/// Settles what a run has to know before anything is planned: the present time, absent tables, and the
/// relations inside expressions (which are run here, all that are ready in one pass). Gives the drafts and
/// the present time, if anybody asked for it.
pub(crate) fn settle(
    rels: Vec<Rel>,
    source: &dyn DataSource,
    context: &SessionContext,
    options: &Options,
) -> (Vec<Draft>, Option<i64>) {
    let mut drafts: Vec<Draft> = rels
        .into_iter()
        .map(|rel| {
            let error = check_depth(&rel).err();
            Draft { rel, missing: vec![], error }
        })
        .collect();
    let wants_now = drafts.iter().any(|d| d.error.is_none() && uses_now(&d.rel));
    let now = wants_now.then(|| match options.now {
        Now::At(ticks) => ticks,
        // Without a single event, no time is later than any other.
        Now::Newest => source.newest_time().unwrap_or(0),
    });
    for d in drafts.iter_mut().filter(|d| d.error.is_none()) {
        if let Some(ticks) = now {
            d.rel.fold_now(ticks);
        }
        d.missing = prune_absent(&mut d.rel, &|t| source.has_table(t));
    }
    answer_inner(&mut drafts, source, context, options);
    (drafts, now)
}

fn answer_inner(drafts: &mut [Draft], source: &dyn DataSource, context: &SessionContext, options: &Options) {
    // Each round answers the innermost relations of all drafts, so the rounds are as many as the
    // relations are nested.
    loop {
        let mut inner = Vec::new();
        for d in drafts.iter().filter(|d| d.error.is_none()) {
            ready(&d.rel, &mut inner);
        }
        if inner.is_empty() {
            return;
        }
        match run_inner(&inner, source, context, options) {
            Ok((answers, failed)) => {
                for d in drafts.iter_mut().filter(|d| d.error.is_none()) {
                    let mut own = Vec::new();
                    ready(&d.rel, &mut own);
                    let fault = failed
                        .iter()
                        .find(|(f, _)| own.iter().any(|o| Arc::ptr_eq(&o.relation, &f.relation)));
                    match fault {
                        Some((_, e)) => d.error = Some(e.clone()),
                        None => substitute(&mut d.rel, &answers),
                    }
                }
            }
            Err(e) => {
                for d in drafts.iter_mut() {
                    let mut own = Vec::new();
                    ready(&d.rel, &mut own);
                    if !own.is_empty() {
                        d.error = Some(e.clone());
                    }
                }
            }
        }
    }
}

type Failed = Vec<(Inner, EngineError)>;

fn run_inner(
    inner: &[Inner],
    source: &dyn DataSource,
    context: &SessionContext,
    options: &Options,
) -> Result<(Vec<Answer>, Failed), EngineError> {
    let mut answers: Vec<Answer> =
        inner.iter().map(|i| Answer { inner: i.clone(), values: vec![] }).collect();
    let mut errors: Vec<Option<EngineError>> = inner.iter().map(|_| None).collect();
    let mut owners: Vec<(usize, Vec<Column>)> = Vec::new();
    let mut rels = Vec::new();
    // Detections over one view bring the same relation each in a copy of its own; it is run once.
    let mut same_as: Vec<usize> = (0..inner.len()).collect();
    let mut first: HashMap<(bool, Vec<Name>), Vec<usize>> = HashMap::new();
    for (n, i) in inner.iter().enumerate() {
        let alike = first.entry((i.scalar, i.relation.tables())).or_default();
        if let Some(k) = alike.iter().copied().find(|k| same(&inner[*k].relation, &i.relation)) {
            same_as[n] = k;
            continue;
        }
        alike.push(n);
        let Some((rel, ty)) = i.plan() else { continue };
        owners.push((n, vec![Column::new("value", ty)]));
        rels.push(rel);
    }
    let mut prepared = Vec::new();
    let mut which: Vec<(usize, Vec<Column>)> = Vec::new();
    for (owner, planned) in owners.into_iter().zip(plan_all(&rels, context, options)?) {
        match planned {
            Ok(p) => {
                prepared.push(p);
                which.push(owner);
            }
            Err(e) => errors[owner.0] = Some(e),
        }
    }
    run(prepared, source, options.session.batch_rows, options.threads, &mut |p, event| {
        let (n, columns) = &which[p];
        match event {
            Event::Batch(b) => match rows(&b, columns) {
                Ok(rows) => {
                    answers[*n].values.extend(rows.into_iter().filter_map(|mut r| r.pop()));
                    ControlFlow::Continue(())
                }
                Err(e) => {
                    errors[*n] = Some(e);
                    ControlFlow::Break(())
                }
            },
            Event::Failed(e) => {
                errors[*n] = Some(e);
                ControlFlow::Break(())
            }
        }
    })?;
    for n in 0..inner.len() {
        if same_as[n] != n {
            answers[n].values = answers[same_as[n]].values.clone();
            errors[n] = errors[same_as[n]].clone();
        }
    }
    let mut failed = Failed::new();
    let mut good = Vec::new();
    for (a, e) in answers.into_iter().zip(errors) {
        match e {
            None => good.push(a),
            Some(e) => failed.push((a.inner, e)),
        }
    }
    Ok((good, failed))
}

/// The physical plan of a settled relation: exactly the columns of its schema.
pub(crate) fn plan(rel: &Rel, context: &SessionContext, options: &Options) -> Result<Prepared, EngineError> {
    plan_all(std::slice::from_ref(rel), context, options)?
        .pop()
        .unwrap_or_else(|| Err(EngineError::internal("no plan")))
}

/// The physical plans of settled relations, each or its error, made on as many threads as plans run on.
///
/// # Errors
/// When no thread can be had.
pub(crate) fn plan_all(
    rels: &[Rel],
    context: &SessionContext,
    options: &Options,
) -> Result<Vec<Result<Prepared, EngineError>>, EngineError> {
    // One state for all: it holds every function DataFusion has, and a copy a plan would cost more than
    // small plans do.
    let planner = Physical::new(context);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<Prepared, EngineError>>>> =
        Mutex::new(rels.iter().map(|_| None).collect());
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(rel) = rels.get(n) else { return };
            let mut logical = Planner { tables: &mut Feeds, context: options.context.clone() };
            let result = logical.root(rel).and_then(|p| planner.plan(&p));
            done.lock().unwrap_or_else(PoisonError::into_inner)[n] = Some(result);
        }
    };
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..options.threads.clamp(1, rels.len().max(1)) {
            let thread = std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, work)
                .map_err(|e| EngineError::new("no-threads", format!("cannot start a thread: {e}")))?;
            threads.push(thread);
        }
        // A thread that dies leaves its plan without a result; the others take the rest.
        threads.into_iter().for_each(|t| drop(t.join()));
        Ok::<_, EngineError>(())
    })?;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(done
        .into_iter()
        .map(|r| r.unwrap_or_else(|| Err(EngineError::internal("planning ended badly"))))
        .collect())
}

/// Makes physical plans of logical ones.
pub(crate) struct Physical {
    state: SessionState,
    task: Arc<TaskContext>,
}

impl Physical {
    pub(crate) fn new(context: &SessionContext) -> Physical {
        let state = context.state();
        let task = state.task_ctx();
        Physical { state, task }
    }
    pub(crate) fn plan(&self, plan: &LogicalPlan) -> Result<Prepared, EngineError> {
        // Our table providers do no work in the background, so planning needs no runtime.
        let physical = futures::executor::block_on(self.state.create_physical_plan(plan))?;
        Ok(Prepared::new(physical, self.task.clone()))
    }
}

/// The values of a batch's rows.
pub(crate) type Row = Vec<Value>;
