//! What a matcher hands over.

use std::sync::Arc;
use tercel_ir::{Name, Value};

/// A rule, and an event that it fires on.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// The caller's number of the rule.
    pub rule: usize,
    /// Time of the event, in ticks.
    pub time: Option<i64>,
    /// The file it is from.
    pub source: Name,
    /// The record of the file.
    pub record: i64,
    /// Which of the events of its unit of work it is: hits of one event have the same number.
    pub nth: u64,
    /// The event as JSON, if the rule [wants](crate::Want) it. Shared by all hits of one event.
    pub text: Option<Arc<str>>,
    /// The values of the relation's columns, if the rule wants them.
    pub row: Option<Vec<Value>>,
}

/// What was found in one unit of work, in the order of the events, and of the rules in each.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Out {
    pub hits: Vec<Hit>,
    /// Hits by rule (in the order of [`RuleSet::ids`](crate::RuleSet::ids)), those not kept included.
    pub counts: Vec<u64>,
    /// Events of tables that rules read.
    pub events: u64,
}

/// How a matcher's memories do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Events of tables that rules read.
    pub events: u64,
    /// Events of types that no rule is left for.
    pub dead_events: u64,
    /// Values whose class was asked for.
    pub lookups: u64,
    /// Values that were not remembered and had to be looked at.
    pub misses: u64,
    /// Of these, those too long to remember.
    pub long: u64,
    /// Lists of classes that were not remembered.
    pub memo_misses: u64,
    /// Rules evaluated for them.
    pub candidates: u64,
    /// Event types met.
    pub event_types: u64,
    /// Classes of values.
    pub classes: u64,
    /// Times that everything was forgotten because a bound was reached.
    pub resets: u64,
    /// Bytes that caches and memos hold.
    pub bytes: u64,
}
