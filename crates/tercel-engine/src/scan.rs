//! Scans that are fed while they run: a table of the data as DataFusion sees it.

use crate::EngineError;
use crate::plan::Tables;
use crate::values::arrow_schema;
use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr as DfExpr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use std::sync::{Arc, Mutex};
use tercel_ir::{Name, Type};
use tokio::sync::mpsc;

/// Makes providers for the planner.
#[derive(Default)]
pub(crate) struct Feeds;

impl Tables for Feeds {
    fn scan(&mut self, table: &Name, columns: Vec<(Name, Type)>) -> Arc<dyn TableProvider> {
        Arc::new(FeedTable::new(table.clone(), columns))
    }
}

/// A table of the data with a list of its columns. Each physical scan of it gets a [`Feed`] of its own.
#[derive(Debug)]
pub(crate) struct FeedTable {
    table: Name,
    columns: Vec<(Name, Type)>,
    schema: SchemaRef,
}

impl FeedTable {
    pub(crate) fn new(table: Name, columns: Vec<(Name, Type)>) -> FeedTable {
        let schema = arrow_schema(columns.iter().map(|(n, t)| (&**n, *t)));
        FeedTable { table, columns, schema }
    }
}

#[async_trait]
impl TableProvider for FeedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[DfExpr],
        _: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let projection = projection.unwrap_or(&all);
        let mut columns: Vec<(Name, Type)> = projection.iter().map(|i| self.columns[*i].clone()).collect();
        let schema = arrow_schema(columns.iter().map(|(n, t)| (&**n, *t)));
        if columns.is_empty() {
            // Rows are counted by something that every reader has.
            columns.push((crate::source::hidden::RECORD.into(), Type::Long));
        }
        Ok(Arc::new(FeedExec::new(
            Arc::new(Feed { table: self.table.clone(), columns, open: Mutex::default() }),
            schema,
        )))
    }
}

/// What one scan of a physical plan wants, and where its batches will come from.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) table: Name,
    pub(crate) columns: Vec<(Name, Type)>,
    /// The receiving end, between [`Feed::connect`] and the start of the plan.
    open: Mutex<Option<mpsc::Receiver<Result<RecordBatch, EngineError>>>>,
}

impl Feed {
    /// Opens the way for batches. At most `capacity` wait at any time.
    pub(crate) fn connect(&self, capacity: usize) -> mpsc::Sender<Result<RecordBatch, EngineError>> {
        let (tx, rx) = mpsc::channel(capacity);
        *self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(rx);
        tx
    }
}

/// The physical scan.
#[derive(Debug)]
pub(crate) struct FeedExec {
    feed: Arc<Feed>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl FeedExec {
    fn new(feed: Arc<Feed>, schema: SchemaRef) -> FeedExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        FeedExec { feed, schema, properties: Arc::new(properties) }
    }
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }
}

impl DisplayAs for FeedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<&str> = self.feed.columns.iter().map(|c| &*c.0).collect();
        write!(f, "FeedExec: table={}, columns=[{}]", self.feed.table, columns.join(", "))
    }
}

impl ExecutionPlan for FeedExec {
    fn name(&self) -> &'static str {
        "FeedExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn execute(&self, _: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let open = self.feed.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(mut rx) = open else {
            return Err(EngineError::internal("a scan was started twice, or before its data was").into());
        };
        let schema = self.schema.clone();
        let stream = futures::stream::poll_fn(move |cx| {
            rx.poll_recv(cx).map(|next| {
                next.map(|batch| match batch {
                    Err(e) => Err(e.into()),
                    // The feed may have a column more than the plan wants (see `FeedTable::scan`).
                    Ok(b) if b.num_columns() != schema.fields().len() => {
                        let options = RecordBatchOptions::new().with_row_count(Some(b.num_rows()));
                        Ok(RecordBatch::try_new_with_options(schema.clone(), vec![], &options)?)
                    }
                    Ok(b) => Ok(b),
                })
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream)))
    }
}
