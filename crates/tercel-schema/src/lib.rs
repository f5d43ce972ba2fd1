//! What tercel knows about data: tables with their columns and domains, the views that give one
//! source's events another's vocabulary, Sigma's log sources, and the [`SchemaCatalog`] that the front
//! ends ask.

mod catalog;
mod coverage;
mod logsource;
mod rows;
mod sumo;
mod table;
mod text;
mod view;

pub use catalog::{Description, Entry, EntryKind, Omitted, SchemaCatalog};
pub use coverage::{ViewGap, ViewGaps, unfilled, view_gaps};
pub use logsource::LogSourceEntry;
pub use rows::{Rows, Translation};
pub use sumo::RECORDS as SUMO_RECORDS;
pub use table::{Schemas, TableDef, hidden};
pub use view::{Omission, Source, View, ViewKind};
