//! Why a part has no effect, so that an author can follow it: what covers it, or the few other parts that
//! make it idle.

use super::{DeadKind, DeadSite, PartKind, Reason, ReasonKind, Run, Tree};
use crate::budget::Budget;
use crate::evaluate::{Memo, Truths};
use crate::formula::{Arena, Node};
use crate::prover::Answer;
use crate::questions::event;
use std::time::Instant;
use tercel_ir::Span;

/// Parts that are looked through for reasons; a rule with more gets none.
const MOST: usize = 400;
/// Siblings for which a proof is tried that they cover a part.
const COVERS: usize = 40;
/// More reasons than these are none that a person would follow.
const FEW: usize = 6;

/// What a question may cost, and when all of them must be done.
type Time<'b> = (&'b Budget, Instant);

/// Something that must be so for a part to make a difference.
struct Demand {
    node: Node,
    reason: Reason,
    hidden: bool,
}

/// What is demanded of a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    True,
    /// False or null.
    NotTrue,
    False,
}

impl Tree {
    /// A part's own alternatives or conditions one by one, where they all must be (or must not be) true.
    fn demand(&mut self, id: usize, want: Want, kind: ReasonKind, out: &mut Vec<Demand>) {
        let p = &self.parts[id];
        let (span, hidden, part, (t, f)) = (p.span, p.source, p.kind, p.truth);
        let node = match want {
            Want::True => t,
            Want::NotTrue => self.prover.builder.arena.not(t),
            Want::False => f,
        };
        // Taken out already, or so of every event.
        if node == Arena::TRUE {
            return;
        }
        let inner = match (part, want) {
            (PartKind::All, Want::True) | (PartKind::Any, Want::NotTrue | Want::False) => Some((want, kind)),
            (PartKind::Not, Want::True) => Some((Want::False, ReasonKind::Exclusion)),
            _ => None,
        };
        match inner {
            Some((want, kind)) if out.len() < MOST => {
                for c in self.parts[id].children.clone() {
                    self.demand(c, want, kind, out);
                }
            }
            _ => out.push(Demand { node, reason: Reason { span, kind }, hidden }),
        }
    }

    /// What must be so around a part for its truth to decide about the whole: what stands beside it in a
    /// conjunction is true, what stands beside it in a disjunction is not.
    fn demands(&mut self, id: usize) -> Vec<Demand> {
        let mut out = Vec::new();
        let mut at = id;
        while let Some(parent) = self.parts[at].parent {
            let kind = self.parts[parent].kind;
            if matches!(kind, PartKind::All | PartKind::Any) {
                let (want, kind) = match kind {
                    PartKind::All => (Want::True, ReasonKind::Condition),
                    _ => (Want::NotTrue, ReasonKind::Alternative),
                };
                for c in self.parts[parent].children.clone() {
                    if c != at {
                        self.demand(c, want, kind, &mut out);
                    }
                }
            }
            at = parent;
        }
        out
    }

    /// Whether the part stands under an odd number of negations.
    fn excludes(&self, id: usize) -> bool {
        let mut odd = false;
        let mut at = id;
        while let Some(parent) = self.parts[at].parent {
            odd ^= self.parts[parent].kind == PartKind::Not;
            at = parent;
        }
        odd
    }

    fn contradicts(&mut self, fixed: &[Node], some: &[&Demand], time: Time<'_>) -> bool {
        // Not shown to contradict: a core is then larger than it need be.
        if Instant::now() >= time.1 {
            return false;
        }
        let roots: Vec<Node> = fixed.iter().copied().chain(some.iter().map(|d| d.node)).collect();
        matches!(self.prover.ask(&roots, &time.0.until(time.1)), Answer::Unsat)
    }

    /// The smallest set (none of it can be left out) of demands that cannot be met together with what is
    /// fixed, by halving: a few of many cost a few proofs each. `None` when all of them can be met.
    fn core<'d>(&mut self, fixed: &[Node], all: &'d [Demand], time: Time<'_>) -> Option<Vec<&'d Demand>> {
        if all.len() > MOST {
            return None;
        }
        let list: Vec<&Demand> = all.iter().collect();
        if !self.contradicts(fixed, &list, time) {
            return None;
        }
        Some(self.shrink(fixed, &[], &list, time))
    }

    fn shrink<'d>(
        &mut self,
        fixed: &[Node],
        kept: &[&'d Demand],
        list: &[&'d Demand],
        time: Time<'_>,
    ) -> Vec<&'d Demand> {
        // `kept` with `list` contradicts; which of `list` are needed?
        if self.contradicts(fixed, kept, time) {
            return Vec::new();
        }
        if list.len() <= 1 {
            return list.to_vec();
        }
        let (left, right) = list.split_at(list.len() / 2);
        let with: Vec<&Demand> = kept.iter().chain(left).copied().collect();
        let of_right = self.shrink(fixed, &with, right, time);
        let with: Vec<&Demand> = kept.iter().chain(&of_right).copied().collect();
        let mut of_left = self.shrink(fixed, &with, left, time);
        of_left.extend(of_right);
        of_left
    }

    /// Why no event passes: the conditions that cannot hold together.
    pub(super) fn contradiction(
        &mut self,
        root: usize,
        span: Span,
        budget: &Budget,
        deadline: Instant,
    ) -> DeadSite {
        let mut all = Vec::new();
        self.demand(root, Want::True, ReasonKind::Condition, &mut all);
        let (because, by_source) = reasons(self.core(&[], &all, (budget, deadline)));
        DeadSite {
            kind: DeadKind::NeverFires,
            span: because.first().map_or(span, |r| r.span),
            parent: None,
            siblings: 0,
            excludes: false,
            covered_by: None,
            because,
            by_source,
            example: None,
        }
    }
}

/// What can be shown of a core, in the order of the text.
fn reasons(core: Option<Vec<&Demand>>) -> (Vec<Reason>, bool) {
    let core = core.unwrap_or_default();
    let by_source = core.iter().any(|d| d.hidden);
    let mut out: Vec<Reason> = core.iter().filter(|d| !d.hidden).map(|d| d.reason).collect();
    out.sort_by_key(|r| (r.span.start, r.span.end));
    out.dedup();
    if out.len() > FEW {
        out.clear();
    }
    (out, by_source)
}

impl Run<'_> {
    /// What kind of thing a part without effect is, and why it has none.
    pub(super) fn explain(&mut self, id: usize, context: PartKind) -> DeadSite {
        let p = &self.tree.parts[id];
        let (span, truth, absence, kind) = (p.span, p.truth, p.absence, p.kind);
        let composite = kind == PartKind::All || kind == PartKind::Any;
        let parent = self.tree.above(id).map(|a| self.tree.parts[a].span);
        let siblings = self.tree.siblings(id).len();
        let excludes = self.tree.excludes(id);
        let about = if context == PartKind::All { truth.1 } else { truth.0 };
        // Reasons are for people; when time is short the finding stands without.
        let late = Instant::now() >= self.deadline;
        let example = match self.tree.prover.ask(&[about], &self.budget.until(self.deadline)) {
            Answer::Sat(row) => Some(row),
            _ => None,
        };
        let mut covered_by = None;
        let mut found = (Vec::new(), false);
        if context == PartKind::Any
            && let Some(row) = &example
        {
            let truths = Truths::of(&self.tree.prover.builder.atoms, row);
            covered_by = self.cover(id, &truths);
        }
        if covered_by.is_none() && !late {
            let all = self.tree.demands(id);
            found = reasons(self.tree.core(&[about], &all, (self.budget, self.deadline)));
        }
        let (because, by_source) = found;
        // Null and the empty text are one here and two elsewhere: what is idle only for that is no mistake.
        let nothing = self.asks_for_absence(id)
            && covered_by.into_iter().chain(because.iter().map(|r| r.span)).any(|s| {
                let parts = self.tree.places.get(&s).map_or(&[][..], Vec::as_slice);
                parts.iter().any(|p| self.asks_for_absence(*p))
            });
        let negation = kind == PartKind::Not;
        let kind = match context {
            _ if nothing
                || absence
                || negation && self.tree.parts[self.tree.parts[id].children[0]].absence =>
            {
                DeadKind::Redundant
            }
            PartKind::All if negation => DeadKind::FilterNeverBites,
            PartKind::All => DeadKind::AlwaysTrue,
            _ if composite => DeadKind::SelectionWithoutEffect,
            _ if covered_by.is_some() => DeadKind::Shadowed,
            _ => DeadKind::ItemNeverMatters,
        };
        let example = example.map(|row| event(self.table, &row, &self.assumptions));
        DeadSite { kind, span, parent, siblings, excludes, covered_by, because, by_source, example }
    }

    /// Whether something in the part asks whether a value is absent.
    fn asks_for_absence(&self, id: usize) -> bool {
        let p = &self.tree.parts[id];
        p.absence || p.children.iter().any(|c| self.asks_for_absence(*c))
    }

    /// A sibling that is true wherever the part is. The event is one of the part; it rules out most
    /// siblings without a proof.
    fn cover(&mut self, id: usize, truths: &Truths) -> Option<Span> {
        let mine = self.tree.parts[id].truth.0;
        let mut memo = Memo::default();
        let mut left = COVERS;
        for s in self.tree.siblings(id) {
            let theirs = self.tree.parts[s].truth.0;
            if !truths.holds(&self.tree.prover.builder.arena, theirs, &mut memo) {
                continue;
            }
            if Instant::now() >= self.deadline {
                break;
            }
            let not = self.tree.prover.builder.arena.not(theirs);
            let budget = self.budget.until(self.deadline);
            if matches!(self.tree.prover.ask(&[mine, not], &budget), Answer::Unsat) {
                return Some(self.tree.parts[s].span);
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        None
    }
}
