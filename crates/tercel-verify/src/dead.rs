//! Parts of a detection that do nothing: with the part taken out, it finds the same events.

use crate::Unknown;
use crate::atom::{Test, TextTest, VarId};
use crate::budget::Budget;
use crate::evaluate::{ColumnTests, Memo, Truths};
use crate::flatten::{Env, Flattener};
use crate::formula::{Arena, Node, NodeKind};
use crate::prover::{Answer, Prover, Row};
use crate::questions::{Event, event};
use std::collections::{BTreeMap, HashMap};
use tercel_ir::{Expr, ExprKind, Rel, Span};

/// What is wrong with a part, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeadKind {
    /// No event passes at all.
    NeverFires,
    /// A condition that every event fulfils which gets as far.
    AlwaysTrue,
    /// An alternative of several conditions that adds no event.
    SelectionWithoutEffect,
    /// An exclusion that excludes nothing.
    FilterNeverBites,
    /// An item of a list or alternative that adds no event.
    ItemNeverMatters,
    /// Another item finds everything that this one finds.
    Shadowed,
    /// A test for absence that the rest makes unnecessary: harmless.
    Redundant,
}

/// A part without effect.
#[derive(Clone, Debug)]
pub struct DeadSite {
    /// What is wrong.
    pub kind: DeadKind,
    /// Where the part stands.
    pub span: Span,
    /// The other part that covers it, where one does.
    pub covered_by: Option<Span>,
    /// An event that the part is about: it shows what the part was meant to do and does not.
    pub example: Option<Event>,
}

/// What [`dead_sites`] found.
#[derive(Clone, Debug, Default)]
pub struct DeadReport {
    /// Worst first, then by place.
    pub sites: Vec<DeadSite>,
    /// Parts that were looked at.
    pub checked: usize,
    /// Parts of which nothing is known.
    pub unknown: usize,
    /// Why, of the first of them.
    pub reason: Option<String>,
}

/// One part of a condition.
struct Part {
    parent: Option<usize>,
    kind: PartKind,
    children: Vec<usize>,
    /// "It is true", "it is false".
    truth: (Node, Node),
    span: Span,
    /// A group of a long list, or a view's condition: nothing that an author wrote.
    hidden: bool,
    /// Only asks whether something is absent.
    absence: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PartKind {
    All,
    Any,
    Not,
    Leaf,
}

/// Children of one part; the same as the arena's, so that a change touches few nodes.
const FAN: usize = 16;

struct Tree<'p> {
    prover: &'p mut Prover,
    flattener: &'p mut Flattener,
    parts: Vec<Part>,
}

/// A name of a part that is the same in all branches: the place of its filter, and the path in it.
type Place = (Span, Vec<u32>);

#[derive(Clone)]
enum State {
    Dead(DeadSite),
    Alive,
    Unknown,
}

/// Every part of the conditions that can be taken out without changing what is found.
///
/// # Errors
/// When the relation is not one over single events, or too large.
pub fn dead_sites(rel: &Rel, budget: &Budget) -> Result<DeadReport, Unknown> {
    let mut flattener = Flattener::new();
    let branches = flattener.branches(rel)?;
    let mut report = DeadReport::default();
    let mut states: BTreeMap<Place, State> = BTreeMap::new();
    let deadline = std::time::Instant::now() + budget.time.saturating_mul(8);
    let (mut firing, mut undecided) = (0, None);
    for b in &branches {
        let mut prover = Prover::new(b.schema.clone());
        let mut tree = Tree { prover: &mut prover, flattener: &mut flattener, parts: Vec::new() };
        let root = tree.part(None, PartKind::All, Span::default(), true);
        let mut tops = Vec::new();
        for s in &b.steps {
            let top =
                if s.in_view { tree.fixed(&s.predicate, &s.env)? } else { tree.build(&s.predicate, &s.env)? };
            tops.push((top, (!s.in_view).then_some(s.predicate.span)));
        }
        let list = tops.iter().map(|t| t.0).collect();
        tree.adopt(root, list);
        let whole = tree.parts[root].truth.0;
        let row = match tree.prover.ask(&[whole], budget) {
            Answer::Sat(row) => row,
            // A dead branch has nothing to say about the parts of the others.
            Answer::Unsat => continue,
            Answer::Unknown(u) => {
                undecided.get_or_insert(u);
                continue;
            }
        };
        firing += 1;
        let assumptions = tree.flattener.assumptions().to_vec();
        let mut run = Run {
            truths: Truths::of(&tree.prover.builder.atoms, &row),
            tests: HashMap::new(),
            memo: Memo::default(),
            whole,
            budget,
            deadline,
            table: &b.table,
            tree,
            states: &mut states,
            assumptions,
            row,
        };
        for (top, span) in tops {
            let Some(span) = span else { continue };
            run.visit(top, (span, Vec::new()), root);
        }
    }
    if firing == 0 {
        if let Some(u) = undecided {
            return Err(u);
        }
        report.sites.push(DeadSite {
            kind: DeadKind::NeverFires,
            span: rel.span,
            covered_by: None,
            example: None,
        });
        return Ok(report);
    }
    report.reason = undecided.map(|u| u.reason);
    for s in states.into_values() {
        report.checked += 1;
        match s {
            State::Dead(d) => report.sites.push(d),
            State::Alive => {}
            State::Unknown => report.unknown += 1,
        }
    }
    report.sites.sort_by_key(|s| (s.kind, s.span.start, s.span.end));
    Ok(report)
}

impl Tree<'_> {
    fn part(&mut self, parent: Option<usize>, kind: PartKind, span: Span, hidden: bool) -> usize {
        self.parts.push(Part {
            parent,
            kind,
            children: Vec::new(),
            truth: (Arena::TRUE, Arena::FALSE),
            span,
            hidden,
            absence: false,
        });
        self.parts.len() - 1
    }

    fn fixed(&mut self, e: &Expr, env: &Env) -> Result<usize, Unknown> {
        let e = self.flattener.substitute(e, env)?;
        let id = self.part(None, PartKind::Leaf, e.span, true);
        let b = &mut self.prover.builder;
        self.parts[id].truth = (b.truth(&e, true)?, b.truth(&e, false)?);
        Ok(id)
    }

    fn build(&mut self, e: &Expr, env: &Env) -> Result<usize, Unknown> {
        match &e.kind {
            ExprKind::And(items) | ExprKind::Or(items) => {
                let kind = if matches!(e.kind, ExprKind::And(_)) { PartKind::All } else { PartKind::Any };
                let id = self.part(None, kind, e.span, false);
                let mut children = Vec::with_capacity(items.len());
                for i in items {
                    children.push(self.build(i, env)?);
                }
                self.adopt(id, children);
                Ok(id)
            }
            ExprKind::Not(x) => {
                let id = self.part(None, PartKind::Not, e.span, false);
                let child = self.build(x, env)?;
                self.adopt(id, vec![child]);
                Ok(id)
            }
            ExprKind::Call(f, args) if matches!(f.name, "in" | "in_ci" | "has_any") && args.len() > 2 => {
                let id = self.part(None, PartKind::Any, e.span, false);
                let mut children = Vec::with_capacity(args.len());
                for item in &args[1..] {
                    let one = Expr {
                        kind: ExprKind::Call(f, vec![args[0].clone(), item.clone()]),
                        ty: e.ty,
                        span: item.span,
                    };
                    children.push(self.leaf(&one, env)?);
                }
                self.adopt(id, children);
                Ok(id)
            }
            _ => self.leaf(e, env),
        }
    }

    fn leaf(&mut self, e: &Expr, env: &Env) -> Result<usize, Unknown> {
        let absence = matches!(&e.kind, ExprKind::Call(f, _)
            if matches!(f.name, "isnull" | "isempty" | "isnotnull" | "isnotempty"));
        let span = e.span;
        let e = self.flattener.substitute(e, env)?;
        let id = self.part(None, PartKind::Leaf, span, false);
        let b = &mut self.prover.builder;
        self.parts[id].truth = (b.truth(&e, true)?, b.truth(&e, false)?);
        self.parts[id].absence = absence;
        Ok(id)
    }

    /// Gives a part its children, long lists as a tree of groups.
    fn adopt(&mut self, id: usize, mut children: Vec<usize>) {
        let kind = self.parts[id].kind;
        while children.len() > FAN {
            let mut groups = Vec::with_capacity(children.len() / FAN + 1);
            for c in children.chunks(FAN) {
                let g = self.part(None, kind, Span::default(), true);
                self.adopt(g, c.to_vec());
                groups.push(g);
            }
            children = groups;
        }
        for c in &children {
            self.parts[*c].parent = Some(id);
        }
        self.parts[id].absence = !children.is_empty() && children.iter().all(|c| self.parts[*c].absence);
        self.parts[id].children = children;
        self.parts[id].truth = self.combine(id, None);
    }

    /// What a part's children make of it, one of them replaced.
    fn combine(&mut self, id: usize, instead: Option<(usize, (Node, Node))>) -> (Node, Node) {
        let p = &self.parts[id];
        let of = |c: usize| match instead {
            Some((x, t)) if x == c => t,
            _ => self.parts[c].truth,
        };
        let (t, f): (Vec<Node>, Vec<Node>) = p.children.iter().map(|c| of(*c)).unzip();
        let arena = &mut self.prover.builder.arena;
        match p.kind {
            PartKind::All => (arena.and(t), arena.or(f)),
            PartKind::Any => (arena.or(t), arena.and(f)),
            PartKind::Not => (f[0], t[0]),
            PartKind::Leaf => p.truth,
        }
    }

    /// The whole, with one part replaced by a constant.
    fn without(&mut self, id: usize, value: bool) -> Node {
        let mut now = (Arena::constant(value), Arena::constant(!value));
        let mut at = id;
        while let Some(parent) = self.parts[at].parent {
            now = self.combine(parent, Some((at, now)));
            at = parent;
        }
        now.0
    }

    /// The nearest ancestor that an author wrote.
    fn above(&self, id: usize) -> Option<usize> {
        let mut at = self.parts[id].parent?;
        while self.parts[at].hidden {
            at = self.parts[at].parent?;
        }
        Some(at)
    }

    fn siblings(&self, id: usize) -> Vec<usize> {
        let mut out = Vec::new();
        if let Some(top) = self.above(id) {
            self.visible(top, &mut out);
        }
        out.retain(|s| *s != id);
        out
    }

    fn visible(&self, id: usize, out: &mut Vec<usize>) {
        for c in &self.parts[id].children {
            if self.parts[*c].hidden && !self.parts[*c].children.is_empty() {
                self.visible(*c, out);
            } else {
                out.push(*c);
            }
        }
    }
}

struct Run<'a, 'p> {
    tree: Tree<'p>,
    whole: Node,
    budget: &'a Budget,
    deadline: std::time::Instant,
    table: &'a tercel_ir::Name,
    states: &'a mut BTreeMap<Place, State>,
    assumptions: Vec<crate::Assumption>,
    /// An event that fires, and the truth of all atoms for it.
    row: Row,
    truths: Truths,
    tests: HashMap<VarId, Option<ColumnTests>>,
    memo: Memo,
}

impl Run<'_, '_> {
    /// Looks at a part, and into it where it has an effect.
    fn visit(&mut self, id: usize, place: Place, root: usize) {
        let parent_kind = self.context(id, root);
        let known_alive = matches!(self.states.get(&place), Some(State::Alive));
        // A child of `not` has the effect of the `not`; the only child of something, that of its parent.
        if let Some(kind) = parent_kind
            && !self.tree.parts[id].hidden
        {
            let state = if known_alive { State::Alive } else { self.judge(id, kind) };
            let dead = matches!(state, State::Dead(_));
            self.record(place.clone(), state);
            if dead {
                return;
            }
        }
        let mut children = Vec::new();
        self.tree.visible(id, &mut children);
        for (i, c) in children.into_iter().enumerate() {
            let mut p = place.clone();
            p.1.push(i as u32);
            self.visit(c, p, root);
        }
    }

    /// Whether a part stands in a conjunction or a disjunction; `None` where it stands alone.
    fn context(&self, id: usize, root: usize) -> Option<PartKind> {
        let parent = self.tree.parts[id].parent?;
        let p = &self.tree.parts[parent];
        if parent == root {
            // Filters one after the other are a conjunction. An only filter is the whole.
            let user = p.children.iter().filter(|c| !self.tree.parts[**c].hidden).count();
            return (user > 1).then_some(PartKind::All);
        }
        (p.kind != PartKind::Not && p.children.len() > 1).then_some(p.kind)
    }

    fn record(&mut self, place: Place, state: State) {
        let merged = match (self.states.remove(&place), state) {
            (None, s) => s,
            // It must do nothing in every branch.
            (Some(State::Alive), _) | (_, State::Alive) => State::Alive,
            (Some(State::Unknown), _) | (_, State::Unknown) => State::Unknown,
            (Some(a), _) => a,
        };
        self.states.insert(place, merged);
    }

    /// Whether taking the part out changes anything.
    fn judge(&mut self, id: usize, context: PartKind) -> State {
        if std::time::Instant::now() >= self.deadline {
            return State::Unknown;
        }
        let neutral = context == PartKind::All;
        let without = self.tree.without(id, neutral);
        if without == self.whole {
            return self.dead(id, context);
        }
        if self.shown_alive(id, without) {
            return State::Alive;
        }
        let arena = &mut self.tree.prover.builder.arena;
        let (not_without, not_whole) = (arena.not(without), arena.not(self.whole));
        // In a disjunction the part can only add, in a conjunction only take away; under a `not` it is
        // the other way round. The trivial one of the two questions costs next to nothing.
        for roots in [[self.whole, not_without], [without, not_whole]] {
            match self.tree.prover.ask(&roots, self.budget) {
                Answer::Sat(_) => return State::Alive,
                Answer::Unsat => {}
                Answer::Unknown(_) => return State::Unknown,
            }
        }
        self.dead(id, context)
    }

    /// The part's own text in the event that fires shows an effect at once, for most items.
    fn shown_alive(&mut self, id: usize, without: Node) -> bool {
        let NodeKind::Lit(a, _) = *self.tree.prover.builder.arena.kind(self.tree.parts[id].truth.0) else {
            return false;
        };
        let atoms = &self.tree.prover.builder.atoms;
        let atom = atoms.atom(a);
        let text = match &atom.test {
            Test::Text(l, TextTest::Literal { text, .. } | TextTest::Term { text, .. })
                if l.is_identity() =>
            {
                text.to_string()
            }
            _ => return false,
        };
        let var = atom.var;
        if atoms.vars[var as usize].domain.is_some() {
            let value = tercel_ir::Value::str(text.as_str());
            if !crate::concrete::in_domain(atoms.vars[var as usize].domain.as_ref(), &value) {
                return false;
            }
        }
        let tests = self.tests.entry(var).or_insert_with(|| ColumnTests::new(atoms, var));
        let Some(tests) = tests else { return false };
        let arena = &self.tree.prover.builder.arena;
        for lead in ["", "C:\\x"] {
            let text = format!("{lead}{text}");
            let old = self.truths.put(atoms, tests, &text);
            self.memo.clear();
            let differs = self.truths.holds(arena, self.whole, &mut self.memo)
                != self.truths.holds(arena, without, &mut self.memo);
            self.truths.restore(old);
            if differs {
                return true;
            }
        }
        false
    }

    fn dead(&mut self, id: usize, context: PartKind) -> State {
        let p = &self.tree.parts[id];
        let (span, truth, absence, kind) = (p.span, p.truth, p.absence, p.kind);
        let composite = kind == PartKind::All || kind == PartKind::Any;
        let mut covered_by = None;
        if context == PartKind::Any {
            covered_by = self.cover(id);
        }
        let kind = match context {
            _ if absence
                || kind == PartKind::Not && self.tree.parts[self.tree.parts[id].children[0]].absence =>
            {
                DeadKind::Redundant
            }
            PartKind::All if kind == PartKind::Not => DeadKind::FilterNeverBites,
            PartKind::All => DeadKind::AlwaysTrue,
            _ if covered_by.is_some() => DeadKind::Shadowed,
            _ if composite => DeadKind::SelectionWithoutEffect,
            _ => DeadKind::ItemNeverMatters,
        };
        // What the part is about: of a filter, an event that it would exclude.
        let about = if kind == DeadKind::FilterNeverBites { truth.1 } else { truth.0 };
        let example = match self.tree.prover.ask(&[about], self.budget) {
            Answer::Sat(row) => Some(event(self.table, &row, &self.assumptions)),
            _ => None,
        };
        let _ = &self.row;
        State::Dead(DeadSite { kind, span, covered_by, example })
    }

    /// A sibling that is true wherever the part is.
    fn cover(&mut self, id: usize) -> Option<Span> {
        let mine = self.tree.parts[id].truth.0;
        // An event of the part rules out most siblings without a proof.
        let Answer::Sat(row) = self.tree.prover.ask(&[mine], self.budget) else { return None };
        let truths = Truths::of(&self.tree.prover.builder.atoms, &row);
        let mut memo = Memo::default();
        let mut left = 40;
        for s in self.tree.siblings(id) {
            let theirs = self.tree.parts[s].truth.0;
            if !truths.holds(&self.tree.prover.builder.arena, theirs, &mut memo) {
                continue;
            }
            let not = self.tree.prover.builder.arena.not(theirs);
            if matches!(self.tree.prover.ask(&[mine, not], self.budget), Answer::Unsat) {
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
