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
//! [`Plan::timespan`] apart from the first to the last (both ends belong to the window).

/// Timespan of a correlation that looks at all events of a run: only old aggregations without a
/// `timeframe` have it.
pub const UNBOUNDED: i64 = i64::MAX;

/// What a correlation rule computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is counted or reckoned over the hits of a group within the timespan.
    pub kind: Kind,
    /// The rules correlated, in the order of the text, each once. Every other index of this plan
    /// ([`Key::fields`], [`RuleExpr::Rule`]) counts in this list.
    pub rules: Vec<RuleRef>,
    /// Hits belong to one group when they agree in all of these; empty means that all hits are one group.
    /// A hit in which one of the fields is absent, null or empty belongs to no group and does not count.
    pub group_by: Vec<Key>,
    /// Longest distance between the first and the last hit of a window, in ticks of 100 ns; more than 0.
    /// [`UNBOUNDED`]: no limit.
    pub timespan: i64,
    /// When it fires.
    pub condition: Trigger,
    /// The fields whose values are counted or reckoned with. Empty for counts of events and the temporal
    /// kinds. `value_count` may have several (then the combinations of their values are counted); the
    /// others have exactly one. A hit that lacks one of them counts in the window for nothing.
    pub fields: Vec<Key>,
    /// Whether the rules referred to report their own hits too (`generate: true`).
    pub generate: bool,
}

/// In one line: `event_count of a, b by User within 600s: >= 10`.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.rules.iter().map(|r| r.name.as_str()).collect();
        write!(f, "{}", self.kind.as_str())?;
        if let Kind::Percentile(p) = self.kind {
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
            write!(f, " within {}s", self.timespan / crate::time::TICKS_PER_SECOND)?;
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

impl std::fmt::Display for Key {
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
pub enum Kind {
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

impl Kind {
    /// Whether the kind looks at which rules have hits rather than at how many hits there are.
    pub fn is_temporal(self) -> bool {
        matches!(self, Kind::Temporal | Kind::TemporalOrdered)
    }
    /// Whether it reckons with numbers.
    pub fn is_numeric(self) -> bool {
        matches!(self, Kind::Sum | Kind::Avg | Kind::Percentile(_) | Kind::Min | Kind::Max)
    }
    /// The name used in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::EventCount => "event_count",
            Kind::ValueCount => "value_count",
            Kind::Temporal => "temporal",
            Kind::TemporalOrdered => "temporal_ordered",
            Kind::Sum => "value_sum",
            Kind::Avg => "value_avg",
            Kind::Percentile(_) => "value_percentile",
            Kind::Min => "value_min",
            Kind::Max => "value_max",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
pub struct Key {
    /// As `group-by` (or `field`) writes it: a field, or an alias. Shown with a firing.
    pub name: String,
    /// The field in the hits of each rule, by the index in [`Plan::rules`].
    pub fields: Vec<String>,
}

/// Comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Comparison; 6] =
        [Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte, Comparison::Eq, Comparison::Neq];
    /// From its name, which is case-sensitive.
    pub fn parse(name: &str) -> Option<Comparison> {
        Comparison::ALL.into_iter().find(|c| c.as_str() == name)
    }
    /// The name used in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Comparison::Lt => "lt",
            Comparison::Lte => "lte",
            Comparison::Gt => "gt",
            Comparison::Gte => "gte",
            Comparison::Eq => "eq",
            Comparison::Neq => "neq",
        }
    }
    /// Whether it holds between two numbers.
    pub fn holds(self, x: f64, y: f64) -> bool {
        match self {
            Comparison::Lt => x < y,
            Comparison::Lte => x <= y,
            Comparison::Gt => x > y,
            Comparison::Gte => x >= y,
            Comparison::Eq => x == y,
            Comparison::Neq => x != y,
        }
    }
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
    /// Whether the comparisons hold for this number; an expression holds for none.
    pub fn holds(&self, x: f64) -> bool {
        match self {
            Trigger::Compare(all) => all.iter().all(|(c, y)| c.holds(x, *y)),
            Trigger::Expression(_) => false,
        }
    }
}

/// An expression over which rules have a hit.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleExpr {
    /// The rule at this index of [`Plan::rules`] has one.
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
    /// Whether it holds. `has(i, positive)` says whether rule `i` has a hit; `positive` tells whether it
    /// stands below an even number of negations.
    pub fn holds(&self, has: &dyn Fn(usize, bool) -> bool) -> bool {
        self.holds_as(has, true)
    }
    fn holds_as(&self, has: &dyn Fn(usize, bool) -> bool, positive: bool) -> bool {
        match self {
            RuleExpr::Rule(i) => has(*i, positive),
            RuleExpr::Not(e) => !e.holds_as(has, !positive),
            RuleExpr::And(all) => all.iter().all(|e| e.holds_as(has, positive)),
            RuleExpr::Or(any) => any.iter().any(|e| e.holds_as(has, positive)),
            RuleExpr::AtLeast(n, of) => of.iter().filter(|i| has(**i, positive)).count() >= *n as usize,
        }
    }
    /// Whether it has a negation; an expression without one is never made false by more hits.
    pub fn negates(&self) -> bool {
        match self {
            RuleExpr::Not(_) => true,
            RuleExpr::And(v) | RuleExpr::Or(v) => v.iter().any(RuleExpr::negates),
            RuleExpr::Rule(_) | RuleExpr::AtLeast(..) => false,
        }
    }
    /// Nested no deeper than `levels`, and naming only rules below `rules`, or why not.
    fn check(&self, rules: usize, levels: u32) -> Result<(), String> {
        let Some(below) = levels.checked_sub(1) else {
            return Err(format!("its condition is nested deeper than {MAX_DEPTH}"));
        };
        let known = |i: &usize| match *i < rules {
            true => Ok(()),
            false => Err("its condition names a rule that it does not correlate".to_string()),
        };
        match self {
            RuleExpr::Rule(i) => known(i),
            RuleExpr::AtLeast(_, of) => of.iter().try_for_each(known),
            RuleExpr::Not(e) => e.check(rules, below),
            RuleExpr::And(v) | RuleExpr::Or(v) => v.iter().try_for_each(|e| e.check(rules, below)),
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

/// Deepest nesting of a condition over rules.
const MAX_DEPTH: u32 = 200;
/// Most rules that one correlation may refer to.
const MAX_RULES: usize = 10_000;

impl Plan {
    /// Whether the plan makes sense by itself.
    ///
    /// # Errors
    /// What does not, in words that follow the name of the rule.
    pub fn check(&self) -> Result<(), String> {
        if self.rules.is_empty() {
            return Err("it correlates no rules".into());
        }
        if self.rules.len() > MAX_RULES {
            return Err(format!(
                "it correlates {} rules; at most {MAX_RULES} are supported",
                self.rules.len()
            ));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = self.rules.iter().find(|r| !seen.insert(r.target)) {
            return Err(format!("it lists the rule `{}` twice", twice.name));
        }
        if self.timespan <= 0 {
            return Err("its timespan is not longer than nothing".into());
        }
        if let Some(k) = self.group_by.iter().chain(&self.fields).find(|k| k.fields.len() != self.rules.len())
        {
            return Err(format!("`{}` has no field for each of its rules", k.name));
        }
        let (least, most) = match self.kind {
            Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => (0, 0),
            Kind::ValueCount => (1, usize::MAX),
            _ => (1, 1),
        };
        if !(least..=most).contains(&self.fields.len()) {
            return Err(format!("it takes {least} field(s) to reckon with, and has {}", self.fields.len()));
        }
        if let Kind::Percentile(p) = self.kind
            && !(0.0..=100.0).contains(&p)
        {
            return Err(format!("there is no {p}th percentile"));
        }
        match &self.condition {
            Trigger::Compare(all) if all.is_empty() => Err("it has no condition".into()),
            Trigger::Compare(all) => match all.iter().find(|(_, y)| !y.is_finite()) {
                Some((_, y)) => Err(format!("its condition compares with {y}")),
                None => Ok(()),
            },
            Trigger::Expression(_) if !self.kind.is_temporal() => {
                Err("only temporal correlations take a condition over rules".into())
            }
            Trigger::Expression(e) => e.check(self.rules.len(), MAX_DEPTH),
        }
    }

    /// Whether the condition waits for windows to be complete, because a further hit could make it false.
    /// Conditions that more hits can only help are judged at every hit. A sum counts as one that grows.
    pub fn waits(&self) -> bool {
        use Comparison::{Gt, Gte, Lt, Lte};
        let only = |a: Comparison, b: Comparison| match &self.condition {
            Trigger::Compare(all) => all.iter().all(|(c, _)| *c == a || *c == b),
            Trigger::Expression(_) => false,
        };
        match (&self.condition, self.kind) {
            (Trigger::Expression(e), _) => e.negates(),
            (_, Kind::Avg | Kind::Percentile(_)) => true,
            (_, Kind::Min) => !only(Lt, Lte),
            (
                _,
                Kind::EventCount
                | Kind::ValueCount
                | Kind::Temporal
                | Kind::TemporalOrdered
                | Kind::Sum
                | Kind::Max,
            ) => !only(Gt, Gte),
        }
    }
}
