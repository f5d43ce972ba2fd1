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
//! ## From relations to a program
//!
//! 1. *Flattening*. A relation made of scans, views, filters, computed columns and unions is, for each
//!    table it reads, one predicate over the table's own columns, and the output columns as expressions over
//!    them (a *branch*). Everything else (aggregations, joins, orders, limits) is [`NotHere`], and the engine's.
//!    Views are flattened once, however many rules read them.
//! 2. *Two-valued formulas*. A predicate can be true, false or null; a hit needs it true. So each part is asked
//!    two questions, "is it true" and "is it false", each of which has only two answers. `not` swaps the
//!    questions. This is exact: "not `e`" is true where `e` is false, and only there.
//! 3. *Patterns and parts*. The leaves are tests of one *subject* (a column, or an expression over columns):
//!    equals, contains, ends with, a number in a range, and so on. A test that is not one of those that have a
//!    shared matcher is the truth of the subject as a whole, evaluated as it is; so every function works. Tests
//!    of subjects that read the same columns are put together as far as the formulas allow. Such a *part* is
//!    decided by those columns' values alone. Parts are turned so that they are false where all the columns
//!    are null: what an event does not have, needs no look.
//!
//! ## Meeting an event
//!
//! 1. *Event type*. What the columns that tell an event's type (event id, channel, provider, action) decide is
//!    folded away, once for each combination of their classes: most rules vanish, and with them most fields. This
//!    is sound because the folded parts depend on nothing but these columns.
//! 2. *Classes*. For each field that still matters, the raw value is looked up as it stands in the reader's
//!    buffer (kind and bytes). It gives the value's *class*: the set of parts that it satisfies. Sound, since equal
//!    kinds and bytes mean equal values for every type. Only a value not seen before is decoded, folded and run
//!    through the subject's matchers: a hash of whole texts, tries of beginnings and endings, one scan (in strides,
//!    or for few rare texts many bytes at a time) for everything that may stand anywhere, among it the longest text
//!    that each regular expression cannot do without. Which sets of patterns it satisfies is a key again: values
//!    that never repeat still satisfy the same few sets. A field whose values hardly ever repeat is not remembered.
//! 3. *Memo*. The list of the classes, cut down to the parts that matter for the type, decides everything
//!    that is left. So what fires for it is remembered.
//! 4. *Evaluation*. For a list not seen before, only rules are evaluated of which a *witness* holds: a set of parts
//!    of which at least one must hold for the rule to be true. Rules without one are evaluated always.
//!
//! All memories are bounded ([`Limits`]), compare whole keys, and forget when they are full. So a collision
//! or a hostile event can cost time, never an answer, and memory does not grow with the number of events.
//!
//! ## Who checks it
//!
//! [`dumb`] reads relations row by row, from the meaning of each operator. Properties hold the program to it, with
//! ample memories and with memories too small for two values.
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
mod necessary;
mod pattern;
mod probe;
mod ruleset;
mod scan;
mod step;
mod text;
mod triples;
mod value;

pub use flatten::NotHere;
pub use hit::{Hit, Out, Statistics};
pub use matcher::Matcher;
pub use ruleset::{Limits, RuleSet, Size, Want};
