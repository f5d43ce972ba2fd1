//! What the theories answer, and the plainest of them: trying all values.

use crate::budget::{Meter, NO_TIME};
use tercel_ir::Value;

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// This value does it.
    Sat(Value),
    /// These of the literals (by index) cannot hold together.
    Conflict(Vec<usize>),
    Unknown(String),
}

/// Tries all values there are; the core grows by one violated literal for each value that it does not
/// exclude yet.
pub(crate) fn enumerate(
    literals: usize,
    values: impl IntoIterator<Item = Value>,
    holds: impl Fn(usize, &Value) -> bool,
    meter: &mut Meter,
) -> Outcome {
    let mut core: Vec<usize> = Vec::new();
    for v in values {
        // Both loops below look at no more than this.
        if !meter.work(core.len().saturating_add(literals / 8).saturating_add(1)) {
            return Outcome::Unknown(NO_TIME.into());
        }
        if core.iter().any(|i| !holds(*i, &v)) {
            continue;
        }
        match (0..literals).find(|i| !holds(*i, &v)) {
            Some(i) => core.push(i),
            None => return Outcome::Sat(v),
        }
    }
    Outcome::Conflict(core)
}
