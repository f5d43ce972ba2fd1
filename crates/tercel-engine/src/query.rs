//! One query.

use crate::prepare::{Row, plan, settle};
use crate::run::{Event, run};
use crate::source::DataSource;
use crate::{EngineError, Options, session};
use datafusion::arrow::array::RecordBatch;
use std::ops::ControlFlow;
use tercel_ir::{Column, Name, Rel};

/// What is to be said about a query besides its rows.
#[derive(Clone, Debug)]
pub struct QueryOutcome {
    /// The columns of the rows, in order.
    pub columns: Vec<Column>,
    /// Tables that the query reads and the data does not have.
    pub missing_tables: Vec<Name>,
    /// There can be no rows, because of missing tables.
    pub never: bool,
    /// What `now()` meant, if it was asked.
    pub now: Option<i64>,
}

/// Runs a relation over the data. `each` gets the rows in batches, on the calling thread, with the columns
/// of the relation's schema in order; when it breaks, the query ends early.
///
/// # Errors
/// When the relation cannot be planned, the data cannot be read, or memory runs out.
pub fn query(
    rel: &Rel,
    source: &dyn DataSource,
    options: &Options,
    each: &mut dyn FnMut(&RecordBatch) -> ControlFlow<()>,
) -> Result<QueryOutcome, EngineError> {
    let context = session(&options.session)?;
    let (mut drafts, now) = settle(vec![rel.clone()], source, &context, options);
    let Some(draft) = drafts.pop() else { return Err(EngineError::internal("no plan")) };
    if let Some(e) = draft.error {
        return Err(e);
    }
    let never = draft.never();
    let prepared = plan(&draft.rel, &context, options)?;
    let mut failed = None;
    run(vec![prepared], source, options.session.batch_rows, options.threads, &mut |_, event| match event {
        Event::Batch(b) => each(&b),
        Event::Failed(e) => {
            failed = Some(e);
            ControlFlow::Break(())
        }
    })?;
    match failed {
        Some(e) => Err(e),
        None => Ok(QueryOutcome {
            columns: rel.schema.columns.to_vec(),
            missing_tables: draft.missing,
            never,
            now,
        }),
    }
}

/// All rows of a relation, for results that are known to be small.
///
/// # Errors
/// As [`query`].
pub fn query_rows(
    rel: &Rel,
    source: &dyn DataSource,
    options: &Options,
) -> Result<(QueryOutcome, Vec<Row>), EngineError> {
    let mut out = Vec::new();
    let mut failed = None;
    let outcome =
        query(rel, source, options, &mut |batch| match crate::values::rows(batch, &rel.schema.columns) {
            Ok(rows) => {
                out.extend(rows);
                ControlFlow::Continue(())
            }
            Err(e) => {
                failed = Some(e);
                ControlFlow::Break(())
            }
        })?;
    match failed {
        Some(e) => Err(e),
        None => Ok((outcome, out)),
    }
}

/// The physical plan of a relation, as text, for people who ask why something is slow. Relations inside
/// expressions are run to get there.
///
/// # Errors
/// As [`query`].
pub fn explain(rel: &Rel, source: &dyn DataSource, options: &Options) -> Result<String, EngineError> {
    let context = session(&options.session)?;
    let (mut drafts, _) = settle(vec![rel.clone()], source, &context, options);
    let Some(draft) = drafts.pop() else { return Err(EngineError::internal("no plan")) };
    match draft.error {
        Some(e) => Err(e),
        None => Ok(plan(&draft.rel, &context, options)?.describe()),
    }
}
