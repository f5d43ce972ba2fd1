//! The Sigma front end of tercel: rules, detections, conditions, printer, lowering, lint.
//!
//! [`parse()`] reads a file of one or more YAML documents into a [`File`]: detection rules, correlations
//! and filters of Sigma 2.1, with a place for everything and as many findings at once as there are.
//! [`print()`] gives the text back, [`lint()`] says what is odd about it, and lowering turns a rule
//! into a relation over the events of its log source.

pub mod ast;
pub mod attack;
pub mod condition;
pub mod correlation;
mod lint;
pub mod lower;
mod metadata;
mod parse;
pub mod pattern;
pub mod pipeline;
mod print;
pub mod raise;
mod sink;
pub mod yaml;

pub use ast::{Document, File, Rule};
pub use correlation::Plan;
pub use lint::lint;
pub use lower::{Options, check_filter, lower, lower_document, lower_filtered};
pub use metadata::{Level, Metadata};
pub use parse::{parse, parse_with};
pub use print::print;
pub use yaml::Limits;
