//! Many single-event rules in one pass over the events, and correlations of what they find.

pub mod correlate;
