//! What the theories answer, and the plainest of them: trying all values.

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
) -> Outcome {
    let mut core: Vec<usize> = Vec::new();
    for v in values {
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
