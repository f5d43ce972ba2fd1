//! Many single-event rules in one pass over the events, and correlations of what they find.
//!
//! # The rule-set program
//!
//! Detections that look at one event at a time (all of Sigma's plain rules, and every query of the other
//! languages that only filters, computes and renames) are compiled *together*. The result, a [`RuleSet`], is
//! shared by the threads; each thread runs a [`Matcher`] over the events it reads:
//!
//! ```
//! use std::sync::Arc;
//! use tercel_ir::function::Context;
//! use tercel_rules::{Limits, Matcher, RuleSet, Want};
//! use tercel_telemetry::{EventText, LaidOut, LayoutSink, RawValue};
//!
//! # let catalog = tercel_schema::SchemaCatalog::new(tercel_schema::Schemas::builtin(), Vec::new());
//! let (ast, _) = tercel_kql::parse("Sysmon | where Image endswith @'\\whoami.exe' | project User");
//! let (rel, _) = tercel_kql::lower(&ast, &catalog, &tercel_kql::Options::default());
//! let rel = rel.unwrap();
//!
//! // Each rule with a number of the caller's choice. Second: the rules that need the engine, and why.
//! let (set, not_here) = RuleSet::compile(&[(17, &rel, Want::ROW)], &Context::default(), Limits::default());
//! assert!(not_here.is_empty());
//!
//! // A matcher is a `LayoutSink`: readers push events into it. Here by hand.
//! let mut matcher = Matcher::new(Arc::new(set));
//! matcher.source(&"host.json".into());
//! let layout = matcher.layout(&"Sysmon".into(), &["Image".into(), "User".into()]).unwrap();
//! let image = RawValue::Str { body: r"C:\\Windows\\System32\\WHOAMI.EXE", escaped: true };
//! let event = LaidOut {
//!     values: &[image, RawValue::Text("eve")],
//!     times: [RawValue::Null; 2],
//!     record: 3,
//!     text: EventText::Written("{}"),
//! };
//! let _ = matcher.event(layout, &event);
//!
//! let out = matcher.take();
//! assert_eq!((out.hits[0].rule, out.hits[0].record), (17, 3));
//! assert_eq!(out.hits[0].row, Some(vec![tercel_ir::Value::str("eve")]));
//! ```
//!

pub mod correlate;
pub mod dumb;
pub mod explain;

mod cache;
mod classify;
mod compile;
mod eval;
mod event_type;
mod flatten;
mod formula;
mod hash;
mod hit;
mod leaf;
mod literal;
mod matcher;
mod pattern;
mod ruleset;
mod scan;
mod text;
mod value;

pub use flatten::NotHere;
pub use hit::{Hit, Out, Statistics};
pub use matcher::Matcher;
pub use ruleset::{Limits, RuleSet, Size, Want};
