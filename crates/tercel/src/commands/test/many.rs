//! Groups of events for rules that look at many: correlations and aggregations.

use super::bench::Bench;
use super::generate::{Maker, Tests};
use crate::failure::Failure;
use tercel_catalog::Detection;

/// Makes groups for the rules that need them, by trying.
///
/// # Errors
/// When trying is impossible.
pub fn grow(
    _maker: &Maker<'_>,
    _bench: &Bench<'_>,
    _rules: &mut Vec<Detection>,
    _tests: &mut [Tests],
) -> Result<(), Failure> {
    Ok(())
}
