//! The program specialised for one type of event.
//!
//! What the columns of the type (channel, event id, provider, action) decide is the same for all events
//! of the type, and is folded away: most rules become false and vanish, the others keep only what is left of
//! them, and only the fields that those still ask for are looked at.
//!
//! What remains of a rule is a chain of decisions, each on one *part* (see [`crate::ruleset::Part`]). An event
//! is the list of its values' *local classes*: which of the parts that matter here each value satisfies.

use crate::cache::Lists;
use crate::classify::{Own, OwnIndexes};
use crate::formula::{FALSE, Leaf, MIXED, NO_GROUP, Node, TRUE};
use crate::hash::FastMap;
use crate::necessary::Necessary;
use crate::ruleset::{Grouped, RuleSet};
use crate::text::{Seen, TextIndex};

/// Where a chain of decisions ends.
const REJECT: u32 = u32::MAX;
const ACCEPT: u32 = u32::MAX - 1;
/// A class whose local class is not known yet.
const UNKNOWN: u32 = u32::MAX;

/// One decision: on the truth of a local part.
#[derive(Clone, Copy)]
struct Step {
    part: u32,
    yes: u32,
    no: u32,
}

pub(crate) struct EventType {
    /// Groups that are looked at, in order.
    pub(crate) groups: Vec<u32>,
    /// By place among the groups and by class: the local class.
    locals: Vec<Vec<u32>>,
    /// Local classes: place of the group (shifted), then the parts. Number 0 means nothing.
    local: Lists,
    /// By part of the set: its local number.
    part_ids: FastMap<u32, u32>,
    steps: Vec<Step>,
    /// Matchers of texts that are not remembered, with nothing but what this type's rules ask for.
    pub(crate) own: OwnIndexes,
    /// The rules that are left: unit and first step.
    rules: Vec<(u32, u32)>,
    /// Rules by the local part that is a witness of theirs.
    by_part: Grouped,
    /// Rules without a witness.
    always: Vec<u32>,
    /// Lists of local classes met, and by number of list what fires.
    memo: Lists,
    fired: Vec<u32>,
    /// Sets of units that fired; 0 is none.
    pub(crate) outcomes: Lists,
}

/// Truth as far as the type decides it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Yes,
    Open,
}

struct Builder<'s> {
    set: &'s RuleSet,
    /// By part: whether its group is one of the type's columns, and then its truth.
    parts: FastMap<u32, bool>,
    type_groups: &'s [u32],
    known: Vec<Option<Known>>,
    steps: Vec<Step>,
    part_ids: FastMap<u32, u32>,
    order: Vec<u32>,
}

impl Builder<'_> {
    /// A node of one group as a part: its number, and whether the node is its negation.
    fn part(&self, node: u32) -> (u32, bool) {
        self.set.part_of.get(&node).copied().unwrap_or((u32::MAX, false))
    }

    fn known(&mut self, node: u32) -> Known {
        if let Some(k) = self.known[node as usize] {
            return k;
        }
        let set = self.set;
        let k = match set.formulas.group[node as usize] {
            NO_GROUP => {
                if node == TRUE {
                    Known::Yes
                } else {
                    Known::No
                }
            }
            MIXED => match &set.formulas.nodes[node as usize] {
                Node::Not(n) => match self.known(*n) {
                    Known::No => Known::Yes,
                    Known::Yes => Known::No,
                    Known::Open => Known::Open,
                },
                Node::And(items) => self.joined(items, Known::No, Known::Yes),
                Node::Or(items) => self.joined(items, Known::Yes, Known::No),
                Node::False | Node::True | Node::Any(_) => Known::Open,
            },
            group if self.type_groups.contains(&group) => {
                let (part, negated) = self.part(node);
                if self.parts.contains_key(&part) != negated { Known::Yes } else { Known::No }
            }
            _ => Known::Open,
        };
        self.known[node as usize] = Some(k);
        k
    }

    fn joined(&mut self, items: &[u32], decides: Known, neutral: Known) -> Known {
        let mut all = neutral;
        for n in items {
            match self.known(*n) {
                k if k == decides => return decides,
                Known::Open => all = Known::Open,
                _ => {}
            }
        }
        all
    }

    /// Writes the decisions of a node, last ones first; gives the first.
    fn write(&mut self, node: u32, yes: u32, no: u32) -> u32 {
        match self.known(node) {
            Known::Yes => return yes,
            Known::No => return no,
            Known::Open => {}
        }
        let set = self.set;
        if set.formulas.group[node as usize] != MIXED {
            let (part, negated) = self.part(node);
            let (yes, no) = if negated { (no, yes) } else { (yes, no) };
            let next = self.order.len() as u32;
            let part = *self.part_ids.entry(part).or_insert(next);
            if part == next {
                self.order.push(self.part(node).0);
            }
            self.steps.push(Step { part, yes, no });
            return self.steps.len() as u32 - 1;
        }
        match &set.formulas.nodes[node as usize] {
            Node::Not(n) => self.write(*n, no, yes),
            Node::And(items) => {
                let open: Vec<u32> =
                    items.iter().copied().filter(|n| self.known(*n) == Known::Open).collect();
                open.into_iter().rev().fold(yes, |then, n| self.write(n, then, no))
            }
            Node::Or(items) => {
                let open: Vec<u32> =
                    items.iter().copied().filter(|n| self.known(*n) == Known::Open).collect();
                open.into_iter().rev().fold(no, |then, n| self.write(n, yes, then))
            }
            Node::False | Node::True | Node::Any(_) => REJECT,
        }
    }
}

impl EventType {
    /// For the events of a table whose type columns satisfy `parts`, and no other parts of theirs.
    pub(crate) fn new(set: &RuleSet, table: u32, parts: &[u32]) -> EventType {
        let table = &set.tables[table as usize];
        let mut b = Builder {
            set,
            parts: parts.iter().map(|p| (*p, true)).collect(),
            type_groups: &table.type_groups,
            known: vec![None; set.formulas.nodes.len()],
            steps: Vec::new(),
            part_ids: FastMap::default(),
            order: Vec::new(),
        };
        let mut rules = Vec::new();
        let mut always = Vec::new();
        let mut by_part = Vec::new();
        for unit in &table.units {
            let node = set.units[*unit as usize].node;
            debug_assert_ne!(node, FALSE);
            let id = rules.len() as u32;
            match b.known(node) {
                Known::No => continue,
                Known::Yes => {
                    rules.push((*unit, ACCEPT));
                    always.push(id);
                    continue;
                }
                Known::Open => {}
            }
            let first = b.write(node, ACCEPT, REJECT);
            rules.push((*unit, first));
            let leaf = |n: u32, polarity: bool| match b.known[n as usize] {
                Some(Known::Yes) => {
                    if polarity {
                        Leaf::No
                    } else {
                        Leaf::Never
                    }
                }
                Some(Known::No) => {
                    if polarity {
                        Leaf::Never
                    } else {
                        Leaf::No
                    }
                }
                _ if set.formulas.group[n as usize] == MIXED => Leaf::Inner,
                _ => match b.part(n) {
                    (part, negated) if negated != polarity => {
                        Leaf::Thing(part, set.parts[part as usize].share)
                    }
                    _ => Leaf::No,
                },
            };
            match set.formulas.witness(node, true, &leaf) {
                Some((parts, _)) => {
                    let local: Option<Vec<u32>> = parts.iter().map(|p| b.part_ids.get(p).copied()).collect();
                    match local {
                        Some(parts) => by_part.extend(parts.into_iter().map(|p| (p, id))),
                        None => always.push(id),
                    }
                }
                None => always.push(id),
            }
        }
        let mut groups: Vec<u32> = b.order.iter().map(|p| set.parts[*p as usize].group).collect();
        groups.sort_unstable();
        groups.dedup();
        let own = own_indexes(set, &b.order);
        EventType {
            own,
            locals: groups.iter().map(|_| Vec::new()).collect(),
            groups,
            local: Lists::new(),
            by_part: Grouped::of(b.order.len(), by_part),
            part_ids: b.part_ids,
            steps: b.steps,
            rules,
            always,
            memo: Lists::new(),
            fired: vec![UNKNOWN],
            outcomes: Lists::new(),
        }
    }

    /// Whether no event of the type can fire anything.
    pub(crate) fn is_dead(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that are left.
    pub(crate) fn rules(&self) -> usize {
        self.rules.len()
    }

    /// What a class of a group means here: 0 for nothing. `parts` are those of the class.
    #[inline]
    pub(crate) fn local(&mut self, place: u32, class: u32, parts: &Lists) -> u32 {
        match self.locals[place as usize].get(class as usize) {
            Some(l) if *l != UNKNOWN => *l,
            _ => self.new_local(place, class, parts),
        }
    }

    #[cold]
    fn new_local(&mut self, place: u32, class: u32, parts: &Lists) -> u32 {
        // Local classes of different groups differ by the parts in them.
        let mut list: Vec<u32> =
            parts.get(class).iter().filter_map(|p| self.part_ids.get(p).copied()).collect();
        list.sort_unstable();
        let id = self.local.intern(&list);
        let known = &mut self.locals[place as usize];
        if known.len() <= class as usize {
            known.resize(class as usize + 1, UNKNOWN);
        }
        known[class as usize] = id;
        id
    }

    /// What fires for an event with these local classes, if that is remembered: an outcome.
    #[inline]
    pub(crate) fn remembered(&self, classes: &[u32]) -> Option<u32> {
        let i = self.memo.find(classes)?;
        Some(self.fired[i as usize]).filter(|f| *f != UNKNOWN)
    }

    /// What fires for an event with these local classes: an outcome, remembered from now on. Returns also how
    /// many rules were evaluated.
    pub(crate) fn evaluate(&mut self, classes: &[u32], work: &mut Work) -> (u32, u64) {
        work.holds.begin(self.part_ids.len());
        work.rules.begin(self.rules.len());
        work.candidates.clear();
        for c in classes {
            for part in self.local.get(*c) {
                if work.holds.first(*part) {
                    work.candidates.extend(self.by_part.get(*part).iter().filter(|r| work.rules.first(**r)));
                }
            }
        }
        work.candidates.extend(&self.always);
        work.fired.clear();
        for r in &work.candidates {
            let (unit, first) = self.rules[*r as usize];
            let mut at = first;
            while let Some(step) = self.steps.get(at as usize) {
                at = if work.holds.has(step.part) { step.yes } else { step.no };
            }
            if at == ACCEPT {
                work.fired.push(unit);
            }
        }
        work.fired.sort_unstable();
        let outcome = self.outcomes.intern(&work.fired);
        let i = self.memo.intern(classes) as usize;
        if self.fired.len() <= i {
            self.fired.resize(i + 1, UNKNOWN);
        }
        self.fired[i] = outcome;
        (outcome, work.candidates.len() as u64)
    }

    /// Numbers in the memo.
    pub(crate) fn memo_numbers(&self) -> usize {
        self.memo.items() + self.outcomes.items() + self.fired.len()
    }

    /// Forgets what fired for which list.
    pub(crate) fn forget(&mut self) {
        self.memo.clear();
        self.fired = vec![UNKNOWN];
        self.outcomes.clear();
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.locals.iter().map(|l| l.capacity() * 4).sum::<usize>()
            + self.local.bytes()
            + self.memo.bytes()
            + self.outcomes.bytes()
            + self.fired.capacity() * 4
            + self.steps.capacity() * size_of::<Step>()
            + self.rules.capacity() * 8
            + self.part_ids.capacity() * 9
    }
}

/// Matchers for the groups of these parts whose values are looked at every time. What other event types ask
/// of the same column (the keywords of every service in the text of the event) is left out. A class found so
/// tells nothing about other parts, and nobody asks it: local classes are made of this type's parts.
fn own_indexes(set: &RuleSet, parts: &[u32]) -> OwnIndexes {
    let mut sets = vec![false; set.formulas.sets.len()];
    let mut groups = Vec::new();
    for p in parts {
        let part = &set.parts[*p as usize];
        if !set.groups[part.group as usize].cached {
            set.formulas.mark_sets(part.node, &mut sets);
            groups.push(part.group);
        }
    }
    groups.sort_unstable();
    groups.dedup();
    let mut out = OwnIndexes::default();
    for s in groups.iter().flat_map(|g| &set.groups[*g as usize].subjects) {
        let subject = &set.subjects[*s as usize];
        if subject.has_texts() {
            let asked = |p: &&u32| set.sets_of.get(**p).iter().any(|s| sets[*s as usize]);
            let texts = || subject.texts().iter().filter(asked).map(|p| (*p, &set.patterns[*p as usize].1));
            let index = TextIndex::new(texts());
            let necessary =
                if subject.only_texts() { Necessary::of(texts().map(|(_, test)| test)) } else { None };
            out.insert(*s, Own { index, necessary });
        }
    }
    out
}

/// Room to evaluate in, kept between events.
#[derive(Default)]
pub(crate) struct Work {
    holds: Seen,
    rules: Seen,
    candidates: Vec<u32>,
    fired: Vec<u32>,
}
