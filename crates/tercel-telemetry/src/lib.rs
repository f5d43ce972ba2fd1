//! Readers of tercel: event logs, JSON, CSV and Parquet into typed batches of events.
//!
//! [`Inputs::open`] finds files and recognises their formats, [`Inputs::survey`] looks at their
//! beginnings, [`Inputs::read`] delivers the demanded columns of the demanded tables as Arrow batches.
//! Below that, readers push one borrowed [`RawEvent`] at a time into an [`EventSink`].
//!
//! Memory is bounded by the size of a batch and of the longest record, whatever the input.

mod batch;
mod bytes;
mod demand;
mod event;
mod feed;
mod gist;
mod input;
pub mod json;
mod layout;
mod options;
mod problem;
mod progress;
mod read;
mod reading;
mod shape;
mod survey;
pub mod typing;
pub mod utf16;
pub mod value;

pub use bytes::{read_bytes, read_bytes_with};
pub use demand::{Demand, HiddenColumns, MistypedExample, ReadStats, TableBatch, TableDemand, arrow_type};
pub use event::{EventSink, RawEvent};
pub use gist::{FixedText, PLAIN, TextParts, push_own};
pub use input::{Compression, Format, InputFile, Inputs};
pub use layout::{EventText, LaidOut, LayoutSink};
pub use options::ReadOptions;
pub use problem::{Place, Problem, ProblemKind};
pub use progress::Progress;
pub use reading::resolve_event;
pub use shape::{Origin, Recogniser, Shape};
pub use survey::{FileSummary, Survey};
pub use value::{Field, RawValue, push_json_value};
