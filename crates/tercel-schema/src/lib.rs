//! What tercel knows about data: tables with their columns and domains, the views that give one
//! source's events another's vocabulary, Sigma's log sources, and the [`SchemaCatalog`] that the front
//! ends ask.

mod table;
mod text;

pub use table::{Schemas, TableDef, hidden};
