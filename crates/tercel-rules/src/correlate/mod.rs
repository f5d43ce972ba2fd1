//! Correlations of hits: counts, sums, percentiles and sequences over windows of time, group by group.
//!
//! A [`Correlator`] is given the [`Plan`]s of all correlation rules and then every event that one of the
//! rules correlated matches (a *base hit*). It hands out [`Outcome`]s. Firings of a correlation are hits of
//! those that refer to it, to any depth.
//!
//! # When a correlation fires
//!
//! The specification leaves most of this open; here is what holds in tercel.
//!
//! **Groups.** Hits belong to one group when they agree, as text and with regard to case, in all `group-by`
//! fields (an alias stands for the field that it names for the rule of the hit). A hit in which one of them
//! is absent, null or empty belongs to no group; it is counted in [`Counts::keyless`] and does nothing.
//! The same goes for a hit without a usable value where values are reckoned with ([`Counts::valueless`]).
//!
//! **Windows** slide over event time, with both ends included: hits at `t` and at `t + timespan` are in one
//! window. There are no boundaries at full hours or days. All hits of one moment (tick) come at once,
//! so that the order in which they arrive makes no difference; for an ordered sequence they are in order.
//!
//! **Judging at once.** A condition that further hits can only help (`gt` and `gte` of counts, sums and
//! maxima, `lt` and `lte` of minima, expressions over rules without `not`) is judged at every moment `t`
//! at which the group has a hit, over the window from `t - timespan` to `t`.
//!
//! **Judging complete windows.** Whether there were *fewer* than five, *exactly* three, or what the *mean* was
//! cannot be said while more can come. All other conditions are judged over complete windows: those that
//! begin with a hit, reach over `timespan`, and are not part of another one. They are judged when the window
//! closes, at its first hit plus `timespan`; that is then the time of the firing. A group without a hit is
//! never looked at: absence of everything cannot fire.
//!
//! **Once a run.** A group fires when its condition *begins* to hold. As long as it goes on holding each time
//! the group is judged, and the group's window does not run empty (no two hits further apart than
//! `timespan`), that is the same run and it does not fire again; how long the run went on and with how many
//! hits is told by [`Outcome::End`]. Other engines fire again at every further event of a run, unless told to
//! suppress that or to forget the window; then the number of alerts says how the events were cut rather
//! than how often something happened.
//!
//! **Events that several rules match** count once in all kinds but the temporal ones, where it matters that
//! different rules have hits.
//!
//! **Time of arrival.** Windows are over the time of events, so hits are brought into order first: all of
//! them ([`Lateness::Sort`]), or within a tolerance ([`Lateness::Within`]). In the second case a hit that is
//! older than the newest one by more than the tolerance is late: it is counted ([`Stats::late`]) and
//! does nothing else. A hit without a time is counted in [`Stats::untimed`].
//!
//! # Cost
//!
//! A hit costs constant time, for percentiles, minima and maxima logarithmic in the size of its group, for
//! ordered sequences proportional to the number of rules. Nothing depends on how long or how full
//! a window is. A hit lives in 40 bytes until it is older than the timespan; a group with one hit takes
//! about 100 bytes and its key.
//!
//! ```
//! use tercel_ir::Value;
//! use tercel_rules::correlate::*;
//!
//! // Rule 7: three hits of rule 0 by the same user within ten ticks.
//! let plan = Plan {
//!     kind: Kind::EventCount,
//!     rules: vec![RuleRef { name: "failed".into(), target: Target::Rule(0) }],
//!     group_by: vec![Key { name: "User".into(), fields: vec!["User".into()] }],
//!     timespan: 10,
//!     condition: Trigger::Compare(vec![(Comparison::Gte, 3.0)]),
//!     fields: vec![],
//!     generate: false,
//! };
//! let (mut correlator, refused) = Correlator::new(vec![(7, plan)], Limits::default());
//! assert!(refused.is_empty());
//! for (reference, time) in [(100, 8), (101, 0), (102, 5)] {
//!     let hit = Hit { rule: 0, time: Some(time), reference };
//!     correlator.push(&hit, &|_field| Value::str("ann"))?;
//! }
//! correlator.finish();
//! let Some(Outcome::Fire(fire)) = correlator.take().pop() else { panic!() };
//! assert_eq!((fire.rule, fire.time, fire.hits, fire.key), (7, 8, 3, vec!["ann".to_string()]));
//! # Ok::<(), Full>(())
//! ```

mod live;
mod marks;
mod network;
pub mod oracle;
mod run;
mod store;
mod sums;
mod text;
mod treap;

pub use network::Refused;
pub use run::Correlator;
pub use tercel_ir::correlation::{
    Comparison, Key, Kind, Plan, RuleExpr, RuleRef, Target, Trigger, UNBOUNDED,
};

/// An event that a rule of the run matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The rule, by its index in the run.
    pub rule: usize,
    /// When the event happened.
    pub time: Option<i64>,
    /// The caller's name for the event. Different events must have different ones: two hits with the same
    /// reference and time are taken for hits of one event.
    pub reference: u64,
}

/// In which order hits may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateness {
    /// In any: they are kept, and sorted when all are there. For files.
    Sort,
    /// At most so many ticks later than a hit (or [`Correlator::advance`]) with a later time. For streams.
    /// A clock that is ahead by more makes everything that follows late, which shows in [`Stats::late`].
    Within(i64),
}

/// What a correlator may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In which order hits may come.
    pub lateness: Lateness,
    /// Bytes for hits that wait and hits in windows, approximately: tables that grow may have twice that.
    pub memory: usize,
    /// Most contributing hits that a firing names; it counts the rest.
    pub contributions: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { lateness: Lateness::Sort, memory: 1 << 30, contributions: 100 }
    }
}

/// The memory allowed is used up: the hit was not taken. It is counted in [`Stats::refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The bytes allowed.
    pub limit: usize,
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the hits of correlated rules take more than the {} MiB allowed", self.limit >> 20)
    }
}
impl std::error::Error for Full {}

/// A hit that a firing rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// Which of the plan's rules it is a hit of.
    pub rule: usize,
    /// When.
    pub time: i64,
    /// The reference of the event; for a rule that is a correlation, [`Fire::id`] of its firing.
    pub reference: u64,
}

/// A correlation fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Fire {
    /// Counts the firings of a correlator from 0, in the order in which they come out.
    pub id: u64,
    /// The rule, by its index in the run.
    pub rule: usize,
    /// The time of the hit that made it fire, or the end of the complete window.
    pub time: i64,
    /// The values of the group, in the order of [`Plan::group_by`].
    pub key: Vec<String>,
    /// What was counted or reckoned. For an expression over rules, the number of rules with hits (in
    /// order).
    pub value: f64,
    /// Time of the first hit in the window.
    pub first: i64,
    /// Time of the last.
    pub last: i64,
    /// Number of hits in the window.
    pub hits: u64,
    /// The first of them.
    pub contributions: Vec<Contribution>,
    /// Whether only other correlations asked for it, so that it is no finding by itself.
    pub silent: bool,
}

/// What a correlator finds out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A condition began to hold.
    Fire(Fire),
    /// It holds no more. Only for runs that had hits after they fired.
    End {
        /// [`Fire::id`].
        fire: u64,
        /// Time of the last hit of the run.
        last: i64,
        /// Hits after those that the firing counted.
        hits: u64,
    },
}

/// What happened to the hits of one correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Hits that reached it, with a key and a value.
    pub hits: u64,
    /// Hits of no group: a `group-by` field was absent, null or empty.
    pub keyless: u64,
    /// Hits without a value to count or reckon with.
    pub valueless: u64,
    /// Hits not taken because the memory was used up: windows lack them.
    pub refused: u64,
    /// Firings.
    pub fires: u64,
}

/// What happened to all hits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Hits that were pushed and that some correlation takes.
    pub hits: u64,
    /// Of these, without a time: not correlated.
    pub untimed: u64,
    /// Of these, later than the tolerance allows: not correlated.
    pub late: u64,
    /// The same by rule.
    pub late_by_rule: std::collections::BTreeMap<usize, u64>,
    /// The furthest that a late hit was behind the newest one, in ticks.
    pub latest: i64,
    /// Of these, not taken because the memory was used up.
    pub refused: u64,
    /// Groups with hits in their windows, of all correlations.
    pub groups: usize,
    /// Approximate bytes in use now.
    pub bytes: usize,
    /// The most that were in use.
    pub peak_bytes: usize,
}
