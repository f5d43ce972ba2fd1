//! Detections as a user sees them: files of three languages with what they say about themselves,
//! found in folders, read with bounds, compiled to relations, and linted.
//!
//! [`load`] finds and reads texts and gives [`Detection`]s whose syntax has been checked;
//! [`link`] settles what Sigma documents say about each other, [`Detection::compile`] binds one to the tables and views of a run; [`lint`] collects everything that
//! can be said about it without data. The built-in pack is in [`pack`].

mod compile;
mod detection;
mod header;
mod language;
mod link;
mod lint;
mod load;
mod logic;
pub mod pack;
mod pairs;
mod proof;
mod reach;
mod sigma;
mod source;
mod text;

pub use compile::{CompileOptions, compile_all};
pub use detection::{Detection, Level, Metadata, Skipped};
pub use language::Language;
pub use link::{Role, link, link_with, retain, settle_references};
pub use lint::{Finding, LintOptions, lint, lint_all, syntax_findings};
pub use load::{LoadOptions, Loaded, load};
pub use logic::Source;
pub use pairs::{Ask, Compared, compare_all, pair_findings};
pub use reach::Evidence;
pub use source::{MAX_RULE_BYTES, Problem};
pub use tercel_sigma::Plan;
pub use tercel_sigma::pipeline::{Pipeline, Pipelines, parse as parse_pipeline};
pub use text::RuleText;
