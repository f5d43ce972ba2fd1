//! What a correlation computes, with its references resolved: the input of the engine that runs it.
//!
//! A plan says *when* a correlation fires, in terms of hits of other rules. A **hit** of a rule is an
//! event that it matches; a hit of another correlation is one of its firings.
//!
//! The value of a field for a hit of a detection rule is that of the event. For a firing of a correlation
//! it is the value of its group where the field (or its alias) is one that it groups by, else that of the
//! event which made it fire. The time of a firing is that of the event which made it fire.
//!
//! **Windows** slide: a correlation looks at the hits of one group whose times are at most
//! [`CorrelationPlan::timespan`] apart from the first to the last (both ends belong to the window).

mod legacy;
mod resolve;

pub use resolve::{Entry, Resolution, resolve};

use crate::ast::Comparison;

/// Timespan of a correlation that looks at all events of a run: only old aggregations without a
/// `timeframe` have it.
pub const UNBOUNDED: i64 = i64::MAX;

/// What a correlation rule computes.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationPlan {
    /// What is counted or reckoned over the hits of a group within the timespan.
    pub kind: CorrelationKind,
    /// The rules correlated, in the order of the text, each once. Every other index of this plan
    /// ([`GroupKey::fields`], [`RuleExpr::Rule`]) counts in this list.
    pub rules: Vec<RuleRef>,
    /// Hits belong to one group when they agree in all of these; empty means that all hits are one group.
    /// A hit in which one of the fields is absent, null or empty belongs to no group and does not count.
    pub group_by: Vec<GroupKey>,
    /// Longest distance between the first and the last hit of a window, in ticks of 100 ns; more than 0.
    /// [`UNBOUNDED`]: no limit.
    pub timespan: i64,
    /// When it fires.
    pub condition: Trigger,
    /// The fields whose values are counted or reckoned with. Empty for counts of events and the temporal
    /// kinds. `value_count` may have several (then the combinations of their values are counted); the
    /// others have exactly one. A hit that lacks one of them counts in the window for nothing.
    pub fields: Vec<GroupKey>,
    /// Whether the rules referred to report their own hits too (`generate: true`).
    pub generate: bool,
}

/// In one line: `event_count of a, b by User within 600s: >= 10`.
impl std::fmt::Display for CorrelationPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.rules.iter().map(|r| r.name.as_str()).collect();
        write!(f, "{}", self.kind.as_str())?;
        if let CorrelationKind::Percentile(p) = self.kind {
            write!(f, " {p}")?;
        }
        for (i, key) in self.fields.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { " of " } else { ", " })?;
        }
        write!(f, " over {}", names.join(", "))?;
        for (i, key) in self.group_by.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { " by " } else { ", " })?;
        }
        if self.timespan != UNBOUNDED {
            write!(f, " within {}s", self.timespan / tercel_ir::time::TICKS_PER_SECOND)?;
        }
        f.write_str(": ")?;
        match &self.condition {
            Trigger::Compare(all) => {
                let all: Vec<String> = all.iter().map(|(c, n)| format!("{} {n}", c.as_str())).collect();
                f.write_str(&all.join(" and "))
            }
            Trigger::Expression(e) => e.write(f, &names),
        }
    }
}

impl std::fmt::Display for GroupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.fields.iter().any(|x| *x != self.name) {
            write!(f, "({})", self.fields.join(", "))?;
        }
        Ok(())
    }
}

/// What is counted or reckoned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CorrelationKind {
    /// Number of hits, of whichever of the rules.
    EventCount,
    /// Number of different values (compared as text, with regard to case) of the fields.
    ValueCount,
    /// Number of different rules that have a hit, or an expression over which have.
    Temporal,
    /// The same, and the hits must come in the order in which the rules are listed. Hits of the same
    /// time count as in order. With an expression as the condition, it must hold for the rules of
    /// a sequence of hits that is in order.
    TemporalOrdered,
    /// Sum of the field's values. Values that are no numbers count for nothing, here and below.
    Sum,
    /// Mean of the field's values.
    Avg,
    /// This percentile (0 to 100) of the field's values, interpolated linearly between the two nearest
    /// ranks; the 50th is the median.
    Percentile(f64),
    /// Least of the field's values (not in the specification, but in use).
    Min,
    /// Greatest of the field's values (not in the specification, but in use).
    Max,
}

impl CorrelationKind {
    /// The name used in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            CorrelationKind::EventCount => "event_count",
            CorrelationKind::ValueCount => "value_count",
            CorrelationKind::Temporal => "temporal",
            CorrelationKind::TemporalOrdered => "temporal_ordered",
            CorrelationKind::Sum => "value_sum",
            CorrelationKind::Avg => "value_avg",
            CorrelationKind::Percentile(_) => "value_percentile",
            CorrelationKind::Min => "value_min",
            CorrelationKind::Max => "value_max",
        }
    }
}

/// A rule that a correlation refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRef {
    /// The id or name by which the correlation calls it.
    pub name: String,
    /// What it is.
    pub target: Target,
}

/// Whose hits are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Those of the rule at this index of the run's rules (detections of the catalog): matches of its
    /// relation, or its firings when it has a plan of its own.
    Rule(usize),
    /// Matches of the relation of the very rule that this plan belongs to: an old aggregation
    /// (`selection | count() > 5`) is both the rule and its correlation.
    Own,
}

/// A field that may be called differently in the events of each rule.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupKey {
    /// As `group-by` (or `field`) writes it: a field, or an alias. Shown with a firing.
    pub name: String,
    /// The field in the hits of each rule, by the index in [`CorrelationPlan::rules`].
    pub fields: Vec<String>,
}

/// When a correlation fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// All of these comparisons hold for what the kind counts or reckons; at least one. A group without
    /// a hit in the window is never looked at, so that `lt` and `eq: 0` cannot fire for it.
    Compare(Vec<(Comparison, f64)>),
    /// Temporal kinds only: holds for the set of rules that have a hit in the window.
    Expression(RuleExpr),
}

impl Trigger {
    /// Whether the comparisons hold for this number; `None` for an expression.
    pub fn holds(&self, x: f64) -> Option<bool> {
        match self {
            Trigger::Compare(all) => Some(all.iter().all(|(c, y)| c.holds(x, *y))),
            Trigger::Expression(_) => None,
        }
    }
}

/// An expression over which rules have a hit.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleExpr {
    /// The rule at this index of [`CorrelationPlan::rules`] has one.
    Rule(usize),
    /// Not.
    Not(Box<RuleExpr>),
    /// All; at least one operand.
    And(Vec<RuleExpr>),
    /// Any; at least one operand.
    Or(Vec<RuleExpr>),
    /// At least so many of these rules.
    AtLeast(u32, Vec<usize>),
}

impl RuleExpr {
    /// Whether it holds; `has(i)` says whether rule `i` has a hit.
    pub fn holds(&self, has: &dyn Fn(usize) -> bool) -> bool {
        match self {
            RuleExpr::Rule(i) => has(*i),
            RuleExpr::Not(e) => !e.holds(has),
            RuleExpr::And(all) => all.iter().all(|e| e.holds(has)),
            RuleExpr::Or(any) => any.iter().any(|e| e.holds(has)),
            RuleExpr::AtLeast(n, of) => of.iter().filter(|i| has(**i)).count() >= *n as usize,
        }
    }

    /// With every chain in parentheses.
    fn write(&self, f: &mut std::fmt::Formatter<'_>, names: &[&str]) -> std::fmt::Result {
        let name = |i: &usize| names.get(*i).copied().unwrap_or("?");
        match self {
            RuleExpr::Rule(i) => f.write_str(name(i)),
            RuleExpr::Not(e) => {
                f.write_str("not ")?;
                e.write(f, names)
            }
            RuleExpr::And(list) | RuleExpr::Or(list) => {
                let word = if matches!(self, RuleExpr::And(_)) { " and " } else { " or " };
                f.write_str("(")?;
                for (i, e) in list.iter().enumerate() {
                    if i > 0 {
                        f.write_str(word)?;
                    }
                    e.write(f, names)?;
                }
                f.write_str(")")
            }
            RuleExpr::AtLeast(n, of) => {
                write!(f, "{n} of ({})", of.iter().map(name).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
