//! Temporal correlations: which rules had hits, and whether they came in order.
//!
//! No hit is ever taken away here. A group keeps *times*, and whether they lie in the window is asked when
//! it is judged:
//! - unordered: for each rule the time of its last hit;
//! - ordered: for a prefix of a sequence of rules, the latest time at which a chain of hits of that prefix
//!   can have begun. A hit of the next rule lengthens the best chain of the prefix before, so a hit costs
//!   a few comparisons whatever the number of hits in the window.

use tercel_ir::correlation::{Kind, Plan, RuleExpr, Trigger};

/// Most rules of an ordered correlation whose condition is not "all of them".
const MAX_ORDERED: usize = 64;
/// Most rules over which sequences that satisfy an expression are sought, without and with a negation.
const MAX_EXPRESSION: usize = 16;
const MAX_NEGATED: usize = 6;
/// Most sequences of rules that may satisfy an expression.
const MAX_SEQUENCES: usize = 64;

/// How the times of a group are laid out and read.
pub(super) struct Marks {
    rules: usize,
    shape: Shape,
    /// The expression, where the condition is one.
    expression: Option<RuleExpr>,
}

enum Shape {
    /// One time a rule: its last hit.
    Last,
    /// Sequences of rules (ascending), one behind the other; one time for each prefix of each. Behind them,
    /// where an expression has negations, the last hit of each rule.
    Sequences { sequences: Vec<Vec<usize>>, last: bool },
    /// For chains of every length from 1 and every rule at their end, the latest beginning:
    /// `times[(length - 1) * rules + rule]`.
    Longest,
}

impl Marks {
    /// # Errors
    /// When the condition of an ordered correlation would take too many sequences.
    pub(super) fn new(plan: &Plan) -> Result<Marks, String> {
        let rules = plan.rules.len();
        let expression = match &plan.condition {
            Trigger::Expression(e) => Some(e.clone()),
            Trigger::Compare(_) => None,
        };
        let shape = match (plan.kind, &expression) {
            (Kind::TemporalOrdered, Some(e)) => {
                let last = e.negates();
                let limit = if last { MAX_NEGATED } else { MAX_EXPRESSION };
                if rules > limit {
                    return Err(format!(
                        "an ordered condition over {rules} rules{}; at most {limit} are supported",
                        if last { " with `not`" } else { "" },
                    ));
                }
                Shape::Sequences { sequences: sequences(e, rules, last)?, last }
            }
            (Kind::TemporalOrdered, None) => {
                // Counts up to `rules - 1` do not satisfy the condition: only the whole sequence matters.
                let whole = (0..rules).all(|n| !plan.condition.holds(n as f64));
                if whole {
                    Shape::Sequences { sequences: vec![(0..rules).collect()], last: false }
                } else if rules <= MAX_ORDERED {
                    Shape::Longest
                } else {
                    return Err(format!(
                        "an ordered condition on how many of {rules} rules have hits; at most \
                         {MAX_ORDERED} are supported"
                    ));
                }
            }
            _ => Shape::Last,
        };
        Ok(Marks { rules, shape, expression })
    }

    /// Times a group keeps.
    pub(super) fn stride(&self) -> usize {
        match &self.shape {
            Shape::Last => self.rules,
            Shape::Sequences { sequences, last } => {
                sequences.iter().map(Vec::len).sum::<usize>() + if *last { self.rules } else { 0 }
            }
            Shape::Longest => self.rules * self.rules,
        }
    }

    /// Notes a hit. Hits come in order of time, and those of one time in order of their rules.
    pub(super) fn hit(&self, times: &mut [i64], rule: usize, time: i64) {
        match &self.shape {
            Shape::Last => times[rule] = time,
            Shape::Sequences { sequences, last } => {
                let mut at = 0;
                for s in sequences {
                    if let Ok(i) = s.binary_search(&rule) {
                        times[at + i] = if i == 0 { time } else { times[at + i].max(times[at + i - 1]) };
                    }
                    at += s.len();
                }
                if *last {
                    times[at + rule] = time;
                }
            }
            Shape::Longest => {
                times[rule] = time;
                for length in 1..self.rules {
                    let before = (length - 1) * self.rules;
                    let best = times[before..before + rule].iter().copied().max().unwrap_or(i64::MIN);
                    let at = length * self.rules + rule;
                    times[at] = times[at].max(best);
                }
            }
        }
    }

    /// How many rules have a hit (in order, if that is asked) not before `since`.
    pub(super) fn value(&self, times: &[i64], since: i64) -> f64 {
        let within = |t: i64| t != i64::MIN && t >= since;
        let n = match &self.shape {
            Shape::Last => times.iter().filter(|t| within(**t)).count(),
            Shape::Sequences { sequences, .. } => {
                let mut at = 0;
                let mut most = 0;
                for s in sequences {
                    let part = &times[at..at + s.len()];
                    most = most.max(part.iter().rposition(|t| within(*t)).map_or(0, |i| i + 1));
                    at += s.len();
                }
                most
            }
            Shape::Longest => (0..self.rules)
                .rev()
                .find(|l| times[l * self.rules..(l + 1) * self.rules].iter().any(|t| within(*t)))
                .map_or(0, |l| l + 1),
        };
        n as f64
    }

    /// Whether the expression holds; `None` where there is none.
    pub(super) fn holds(&self, times: &[i64], since: i64) -> Option<bool> {
        let e = self.expression.as_ref()?;
        let within = |t: i64| t != i64::MIN && t >= since;
        Some(match &self.shape {
            Shape::Last | Shape::Longest => e.holds(&|i, _| within(times[i])),
            Shape::Sequences { sequences, last } => {
                let present = &times[times.len() - if *last { self.rules } else { 0 }..];
                let mut at = 0;
                sequences.iter().any(|s| {
                    at += s.len();
                    let complete = s.is_empty() || within(times[at - 1]);
                    complete
                        && (!last
                            || e.holds(&|i, positive| {
                                if positive { s.binary_search(&i).is_ok() } else { within(present[i]) }
                            }))
                })
            }
        })
    }
}

/// The sequences of rules to watch for: without negation the least sets that satisfy the expression,
/// with one all sets, since what is ruled out is known only when a window is judged.
fn sequences(e: &RuleExpr, rules: usize, all: bool) -> Result<Vec<Vec<usize>>, String> {
    let mut sets: Vec<u32> = (0..1u32 << rules).collect();
    sets.sort_by_key(|s| s.count_ones());
    let mut kept: Vec<u32> = Vec::new();
    for s in sets {
        let least = all || !kept.iter().any(|k| k & s == *k) && e.holds(&|i, _| s & (1 << i) != 0);
        if least {
            kept.push(s);
        }
        if kept.len() > MAX_SEQUENCES {
            return Err(format!(
                "an ordered condition that more than {MAX_SEQUENCES} sequences of rules satisfy"
            ));
        }
    }
    Ok(kept.into_iter().map(|s| (0..rules).filter(|i| s & (1 << i) != 0).collect()).collect())
}
