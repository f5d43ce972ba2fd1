//! What rule logic can and cannot do, told without data.
//!
//! This crate reads relations, never syntax. Today it knows the domains of columns and what the
//! filters before a place let through; it decides nothing by search. Every "never" it reports holds
//! for all events; where it cannot tell, it says nothing.
//!
//! - [`lint`]: findings with places, for rule authors;
//! - [`never_fires`]: why a relation can have no rows at all, for the footer of a run.

mod facts;
mod lint;
mod outcome;

pub use lint::{lint, never_fires};
pub use outcome::{Outcomes, outcomes};
