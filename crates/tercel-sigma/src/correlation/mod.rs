//! Correlation rules, and old aggregations, to [plans](Plan): references resolved, everything checked.

mod legacy;
mod resolve;

pub use resolve::{Entry, Resolution, resolve};
pub use tercel_ir::correlation::{Key, Kind, Plan, RuleExpr, RuleRef, Target, Trigger, UNBOUNDED};
