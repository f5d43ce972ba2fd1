//! What rule logic can and cannot do, told without data.
//!
//! This crate reads relations, never syntax.
//!
//! - [`lint`]: findings with places, for rule authors, from the domains of columns alone;
//! - [`never_fires`]: why a relation can have no rows at all, for the footer of a run;
//! - [`dead_sites`]: parts of a detection that can be taken out without changing what it finds;
//! - [`Anything`]: a Sigma rule's own logic, whatever table its events come from;
//! - [`generate`]: test events, one for each part of a detection that makes a difference;
//! - [`overlaps`], [`inclusions`]: the same for all pairs of a set;
//! - [`Formula::of`], [`satisfiable`], [`compare`]: a prover over single events. It turns conditions into
//!   formulas over atoms (a text in a regular language, a number in an interval, a null), asks a SAT
//!   solver for a model, asks a theory for each column whether its atoms can hold together, and tells
//!   the solver when they cannot. A model becomes an event.
//!
//! Every "never" and "equal" holds for all events within the declared domains of columns; every event
//! that is shown has been evaluated; where something cannot be decided within the [`Budget`], the
//! answer says so and why.

mod addresses;
mod anything;
mod atom;
mod budget;
mod build;
mod concrete;
mod dead;
mod direct;
mod evaluate;
mod facts;
mod flatten;
mod formula;
pub mod generate;
mod hash;
mod key;
mod lemmas;
mod lens;
mod lint;
mod numbers;
mod outcome;
mod overlap;
mod prover;
mod questions;
mod regexes;
mod sat;
mod strings;
mod theory;

pub use anything::Anything;
pub use budget::Budget;
pub use dead::{DeadKind, DeadReport, DeadSite, Reason, ReasonKind, contradiction, dead_sites};
pub use lint::{Reach, lint, never_fires};
pub use outcome::{Outcomes, outcomes};
pub use overlap::{Pair, inclusions, overlaps};
pub use questions::{
    Assumption, BranchFormula, Comparison, Event, Formula, Relation, Unknown, Verdict, Witness, compare,
    compare_formulas, differences, satisfiable,
};
