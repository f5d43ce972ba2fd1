//! Detections from one language and vocabulary into another, with what is lost on the way.
//!
//! A detection arrives as a relation: a filter over a table or a view. Views say how each vocabulary's
//! columns come from a source's; so a Sigma rule becomes a Defender query by putting the view's definitions
//! in the place of Sigma's fields, for the one table that Defender fills, and simplifying (see
//! `rewrite`). The other way round, Defender's columns have definitions over Sysmon's fields, which
//! are Sigma's. Nothing here knows a pair of languages: there is one form in the middle, a predicate over the
//! fields of a Sigma log source.
//!
//! What the target does not record is a [`Loss`] with its effect; a detection of which nothing would be left
//! is refused. Whether the result means the same is for a prover to say, see [`Prove`].

mod asks;
mod bridge;
mod cause;
mod cloud_siem;
mod correlation;
mod facts;
mod flat;
mod hub;
mod logic;
mod out;
mod proof;
mod remarks;
mod rewrite;
mod sql;
mod tree;
mod values;

#[cfg(test)]
mod agreement;

pub use asks::{Answer, Detection, Language, Options, Prove, Relation, Target, Unproved, Vocabulary};
pub use correlation::{Correlation, convert_correlation};
pub use out::{Conversion, Effect, Fidelity, Loss};
pub use proof::Prover;
pub use remarks::{comments, with_remarks};
pub use sql::Dialect;

use tercel_ir::Diagnostic;
use tercel_schema::SchemaCatalog;

/// Converts a detection.
///
/// # Errors
/// When the detection is no filter, or the catalog cannot be used; a detection that the target cannot hold
/// is no error but a refused [`Conversion`].
pub fn convert(
    detection: &Detection<'_>,
    target: Target,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    if target.language == Language::Sumo && target.vocabulary == Vocabulary::CloudSiem {
        return cloud_siem::convert(detection, catalog, options, prove);
    }
    if target.language == Language::Sql
        && let Some(done) = out::grouped::convert(detection, target, catalog, options, prove)
    {
        return done;
    }
    let hub = hub::Hub::from(detection, catalog)?;
    out::convert(hub, detection, target, catalog, options, prove)
}
