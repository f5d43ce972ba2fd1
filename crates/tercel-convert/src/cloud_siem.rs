//! Rules of Sumo Logic's Cloud SIEM.

use crate::asks::{Options, Prove};
use crate::correlation::{Correlation, refused};
use crate::out::Conversion;
use tercel_ir::Diagnostic;
use tercel_schema::SchemaCatalog;

pub(crate) fn correlation(
    _: &Correlation<'_>,
    _: &SchemaCatalog,
    _: &Options,
    _: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    Ok(refused("correlations are not written as rules of Cloud SIEM yet", Vec::new()))
}
