//! The execution engine of tercel: relations of the intermediate representation as DataFusion plans, the
//! functions of the registry as kernels, and the runs of one query ([`query`]) and of many detections in
//! one pass over the data.
//!
//! Front ends never see Arrow, and this crate never sees syntax: it takes [`tercel_ir::Rel`], and its
//! meaning is that of `tercel_ir` (`Function::eval`, `Accumulator`), to which tests hold every faster way.

mod aggregate;
mod error;
mod hunt;
mod kernels;
mod options;
mod passes;
mod plan;
mod prepare;
mod query;
mod run;
mod scan;
mod session;
mod source;
mod sql;
mod telemetry;
mod values;

pub use error::EngineError;
pub use hunt::{Hit, HuntPlan, HuntStats, PlanOutcome, Provenance, hunt};
pub use kernels::{Arg, Call};
pub use options::{Now, Options};
pub use passes::{is_empty, prune_absent, uses_now, with_provenance};
pub use plan::MAX_DEPTH;
pub use query::{QueryOutcome, explain, query, query_rows};
pub use session::{SessionOptions, session};
pub use source::{DataSource, Demand, MemorySource, TableBatch, TableDemand, hidden};
pub use sql::sql;
pub use telemetry::Telemetry;
pub use values::{array_of, arrow_schema, arrow_type, canonical, json_rows, rows};
