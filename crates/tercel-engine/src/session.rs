//! The one place that builds DataFusion sessions, so that a plan means the same wherever it runs.

use crate::EngineError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

/// How sessions are built.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Partitions of one plan. With one (the default) rows keep the order of the data, so that two runs
    /// over the same data print the same; many plans still run beside each other.
    pub partitions: usize,
    /// Rows a batch.
    pub batch_rows: usize,
    /// Bytes that the operators which hold state (groups, sorts, joins) may take before they spill to
    /// temporary files or fail; no limit if absent.
    pub memory: Option<usize>,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions { partitions: 1, batch_rows: 8192, memory: None }
    }
}

/// A new session.
///
/// # Errors
/// When no temporary folder can be had for spilling.
pub fn session(options: &SessionOptions) -> Result<SessionContext, EngineError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.partitions.max(1))
        .with_batch_size(options.batch_rows.max(1))
        .with_information_schema(false)
        .with_collect_statistics(false);
    // Sorting partitions one by one shares a bound on the best rows between them, also where a key that is
    // constant within each partition has been left out of it (a union with a label): rows get lost. So
    // partitions are brought together first.
    config = config.set_bool("datafusion.optimizer.repartition_sorts", false);
    // A filter that a sort or join grows while it runs only pays where a scan can skip files with it.
    config = config.set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
    // Names of tables and columns are case-sensitive (`EventID`), so SQL must not fold them either.
    config.options_mut().sql_parser.enable_ident_normalization = false;
    let mut runtime = RuntimeEnvBuilder::new();
    if let Some(bytes) = options.memory {
        runtime = runtime.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime.build_arc()?)
        .with_default_features()
        .build();
    Ok(SessionContext::new_with_state(state))
}
