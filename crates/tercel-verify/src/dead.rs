//! Parts of a detection that do nothing: with the part taken out, it finds the same events.

use crate::Unknown;
use crate::atom::{Test, TextTest, VarId};
use crate::budget::{Budget, NO_TIME};
use crate::evaluate::{ColumnTests, Memo, Truths};
use crate::flatten::{Env, Flattener};
use crate::formula::{Arena, Node, NodeKind};
use crate::prover::{Answer, Prover};
use crate::questions::Event;
use std::collections::{BTreeMap, HashMap};
use tercel_ir::{Expr, ExprKind, Rel, Span};

mod explain;

/// What is wrong with a part, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeadKind {
    /// No event passes at all.
    NeverFires,
    /// An alternative of several conditions that adds no event.
    SelectionWithoutEffect,
    /// An exclusion that excludes nothing.
    FilterNeverBites,
    /// A condition that every event fulfils which gets as far.
    AlwaysTrue,
    /// An item of a list or alternative that adds no event.
    ItemNeverMatters,
    /// Another item finds everything that this one finds, or an exclusion takes it all away.
    Shadowed,
    /// A test for absence that the rest makes unnecessary: harmless.
    Redundant,
}

/// How something else makes a part idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReasonKind {
    /// A condition that must hold beside the part.
    Condition,
    /// An exclusion that must not hold.
    Exclusion,
    /// Another alternative, which would find the event anyway.
    Alternative,
}

/// Something else that makes a part idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason {
    /// Where it stands.
    pub span: Span,
    /// What it is to the part.
    pub kind: ReasonKind,
}

/// A part without effect.
#[derive(Clone, Debug)]
pub struct DeadSite {
    /// What is wrong.
    pub kind: DeadKind,
    /// Where the part stands.
    pub span: Span,
    /// The part that it belongs to, such as a list, where there is one.
    pub parent: Option<Span>,
    /// Parts beside it in that part.
    pub siblings: usize,
    /// It stands under a negation: what it finds is excluded.
    pub excludes: bool,
    /// The other part that covers it, where one does.
    pub covered_by: Option<Span>,
    /// The smallest set of other parts found that together make it idle; of a detection that never fires,
    /// those that cannot hold together. Empty when none that could be shown was found.
    pub because: Vec<Reason>,
    /// What the log source or a view demands is among the reasons.
    pub by_source: bool,
    /// An event that the part is about: of an exclusion or a condition one that it would keep out, of an
    /// item or alternative one that it is for. The whole never finds it, or finds it anyway.
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
    /// A condition of a view or log source.
    source: bool,
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

/// The whole without a part: as a formula, or to be worked out.
#[derive(Clone, Copy)]
enum Without {
    Formula(Node),
    Part(usize, PartKind),
}

/// Children of one part; the same as the arena's, so that a change touches few nodes.
const FAN: usize = 16;

struct Tree {
    prover: Prover,
    parts: Vec<Part>,
    /// All parts that come from one place of the text: a search that is named twice, a value that stands
    /// for several. An author can only take out all of them.
    places: HashMap<Span, Vec<usize>>,
}

/// The time for all parts of a detection together, in budgets of one question.
const ALL: u32 = 8;

/// Every part of the conditions that can be taken out without changing what is found.
///
/// # Errors
/// When the relation is not one over single events, or too large.
pub fn dead_sites(rel: &Rel, budget: &Budget) -> Result<DeadReport, Unknown> {
    let mut flattener = Flattener::new();
    let branches = flattener.branches(rel)?;
    let deadline = std::time::Instant::now() + budget.time.saturating_mul(ALL);
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut undecided: Option<Unknown> = None;
    let mut never: Option<DeadSite> = None;
    // Filters that an author wrote, and what they are in each branch.
    let mut tops: BTreeMap<Span, Parts> = BTreeMap::new();
    for b in &branches {
        if std::time::Instant::now() >= deadline {
            undecided.get_or_insert(Unknown::new(NO_TIME));
            break;
        }
        let mut tree = Tree {
            prover: Prover::new(b.schema.clone()).until(deadline),
            parts: Vec::new(),
            places: HashMap::new(),
        };
        let root = tree.part(PartKind::All, Span::default(), true);
        let mut list = Vec::new();
        let mut written = Vec::new();
        for s in &b.steps {
            if s.in_view {
                list.push(tree.fixed(&s.predicate, &s.env, &mut flattener)?);
            } else {
                let top = tree.build(&s.predicate, None, &s.env, &mut flattener)?;
                list.push(top);
                written.push((s.predicate.span, top));
            }
        }
        tree.adopt(root, list);
        let whole = tree.parts[root].truth.0;
        match tree.prover.ask(&[whole], &budget.until(deadline)) {
            Answer::Sat(row) => {
                for (span, top) in written {
                    tops.entry(span).or_default().push((runs.len(), top));
                }
                runs.push(Run {
                    truths: Truths::of(&tree.prover.builder.atoms, &row),
                    tests: HashMap::new(),
                    memo: Memo::default(),
                    whole,
                    root,
                    budget,
                    deadline,
                    table: &b.table,
                    tree,
                    assumptions: flattener.assumptions().to_vec(),
                });
            }
            // A dead branch has nothing to say about the parts of the others.
            Answer::Unsat => {
                if never.is_none() {
                    never = Some(tree.contradiction(root, rel.span, budget, deadline));
                }
            }
            Answer::Unknown(u) => {
                undecided.get_or_insert(u);
            }
        }
    }
    let mut report = DeadReport::default();
    if runs.is_empty() {
        if let Some(u) = undecided {
            return Err(u);
        }
        report.sites.push(never.unwrap_or(DeadSite {
            kind: DeadKind::NeverFires,
            span: rel.span,
            parent: None,
            siblings: 0,
            excludes: false,
            covered_by: None,
            because: Vec::new(),
            by_source: false,
            example: None,
        }));
        return Ok(report);
    }
    // The last of several equal parts is the superfluous one.
    let mut done = HashMap::new();
    for ids in tops.into_values().rev() {
        visit(&mut runs, &ids, &mut done, &mut report);
    }
    if let Some(u) = undecided {
        // In that branch everything may have an effect.
        report.unknown += report.sites.len();
        report.sites.clear();
        report.reason = Some(u.reason);
    }
    report.sites.sort_by_key(|s| (s.kind, s.span.start, s.span.end));
    Ok(report)
}

/// The conditions that cannot hold together, when no event at all passes; `None` when some does.
///
/// # Errors
/// When that is not decided.
pub fn contradiction(rel: &Rel, budget: &Budget) -> Result<Option<DeadSite>, Unknown> {
    let branches = crate::Formula::of(rel)?;
    let mut undecided = None;
    let deadline = std::time::Instant::now() + budget.time.saturating_mul(ALL);
    for b in &branches {
        match crate::satisfiable(b, &budget.until(deadline)) {
            crate::Verdict::Sat(_) => return Ok(None),
            crate::Verdict::Unsat => {}
            crate::Verdict::Unknown(u) => undecided = Some(u),
        }
    }
    if let Some(u) = undecided {
        return Err(u);
    }
    let report = dead_sites(rel, budget)?;
    Ok(report.sites.into_iter().find(|s| s.kind == DeadKind::NeverFires))
}

/// One part as it is in each branch: which run, which part of its tree.
type Parts = Vec<(usize, usize)>;

/// Looks at a part, and into it where it has an effect. A part that has none in any branch is taken
/// out at once, so that of two parts which make each other superfluous only one is reported.
fn visit(runs: &mut [Run<'_>], ids: &Parts, done: &mut HashMap<Span, bool>, report: &mut DeadReport) {
    let Some((first, id)) = ids.first().copied() else { return };
    let span = runs[first].tree.parts[id].span;
    match done.get(&span) {
        Some(true) => return,
        Some(false) => {}
        None => {
            let dead = without_effect(runs, span, report);
            done.insert(span, dead);
            if dead {
                return;
            }
        }
    }
    let mut lists: Vec<Vec<usize>> = Vec::new();
    for (r, id) in ids {
        let mut children = Vec::new();
        runs[*r].tree.visible(*id, &mut children);
        lists.push(children);
    }
    // The trees are built from one text, so they have the same shape.
    for i in (0..lists[0].len()).rev() {
        let parts: Parts =
            ids.iter().zip(&lists).filter_map(|((r, _), l)| l.get(i).map(|c| (*r, *c))).collect();
        visit(runs, &parts, done, report);
    }
}

/// Whether what stands at one place of the text has no effect; then it is reported and taken out.
fn without_effect(runs: &mut [Run<'_>], span: Span, report: &mut DeadReport) -> bool {
    // A child of `not` has the effect of the `not`; the only child of something, that of its parent.
    let sites: Vec<Vec<(usize, PartKind)>> = runs
        .iter()
        .map(|r| {
            let ids = r.tree.places.get(&span).map_or(&[][..], Vec::as_slice);
            ids.iter().filter_map(|i| Some((*i, r.context(*i)?))).collect()
        })
        .collect();
    let Some(first) = sites.iter().position(|s| !s.is_empty()) else { return false };
    report.checked += 1;
    let mut unknown = None;
    for (r, s) in runs.iter_mut().zip(&sites) {
        match r.judge(s) {
            Effect::None => {}
            Effect::Some => return false,
            Effect::Unknown(why) => unknown = Some(why),
        }
    }
    if let Some(why) = unknown {
        report.unknown += 1;
        report.reason.get_or_insert(why);
        return false;
    }
    let (id, context) = sites[first][0];
    report.sites.push(runs[first].explain(id, context));
    for (r, s) in runs.iter_mut().zip(&sites) {
        r.take_out(s);
    }
    true
}

enum Effect {
    None,
    Some,
    Unknown(String),
}

impl Tree {
    fn part(&mut self, kind: PartKind, span: Span, hidden: bool) -> usize {
        self.parts.push(Part {
            parent: None,
            kind,
            children: Vec::new(),
            truth: (Arena::TRUE, Arena::FALSE),
            span,
            hidden,
            source: false,
            absence: false,
        });
        let id = self.parts.len() - 1;
        if !hidden {
            self.places.entry(span).or_default().push(id);
        }
        id
    }

    fn fixed(&mut self, e: &Expr, env: &Env, f: &mut Flattener) -> Result<usize, Unknown> {
        let e = f.substitute(e, env)?;
        let id = self.part(PartKind::Leaf, Span::default(), true);
        let b = &mut self.prover.builder;
        self.parts[id].truth = (b.truth(&e, true)?, b.truth(&e, false)?);
        self.parts[id].source = true;
        Ok(id)
    }

    /// The tree of a condition. `above` is what it is a child of: pieces that one value stands for have the
    /// place of the value and are nothing that an author could take out singly, and a membership test among
    /// alternatives is only how a front end writes some items of one list.
    fn build(
        &mut self,
        e: &Expr,
        above: Option<(PartKind, Span)>,
        env: &Env,
        flat: &mut Flattener,
    ) -> Result<usize, Unknown> {
        let piece = above.is_some_and(|(_, span)| span == e.span);
        match &e.kind {
            ExprKind::And(items) | ExprKind::Or(items) => {
                let kind = if matches!(e.kind, ExprKind::And(_)) { PartKind::All } else { PartKind::Any };
                let id = self.part(kind, e.span, piece);
                let mut children = Vec::with_capacity(items.len());
                for i in items {
                    children.push(self.build(i, Some((kind, e.span)), env, flat)?);
                }
                self.adopt(id, children);
                Ok(id)
            }
            ExprKind::Not(x) => {
                let id = self.part(PartKind::Not, e.span, piece);
                let child = self.build(x, Some((PartKind::Not, e.span)), env, flat)?;
                self.adopt(id, vec![child]);
                Ok(id)
            }
            ExprKind::Call(f, args) if matches!(f.name, "in" | "in_ci" | "has_any") && args.len() > 2 => {
                let among = above.is_some_and(|(kind, _)| kind == PartKind::Any);
                let id = self.part(PartKind::Any, e.span, piece || among);
                let mut children = Vec::with_capacity(args.len());
                for item in &args[1..] {
                    let one = Expr {
                        kind: ExprKind::Call(f, vec![args[0].clone(), item.clone()]),
                        ty: e.ty,
                        span: item.span,
                    };
                    children.push(self.leaf(&one, item.span == e.span, env, flat)?);
                }
                self.adopt(id, children);
                Ok(id)
            }
            _ => self.leaf(e, piece, env, flat),
        }
    }

    fn leaf(&mut self, e: &Expr, piece: bool, env: &Env, f: &mut Flattener) -> Result<usize, Unknown> {
        let absence = matches!(&e.kind, ExprKind::Call(f, _)
            if matches!(f.name, "isnull" | "isempty" | "isnotnull" | "isnotempty"));
        let span = e.span;
        let e = f.substitute(e, env)?;
        let id = self.part(PartKind::Leaf, span, piece);
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
                let g = self.part(kind, Span::default(), true);
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
        self.parts[id].truth = self.combine(id);
    }

    /// What a part's children make of it.
    fn combine(&mut self, id: usize) -> (Node, Node) {
        let p = &self.parts[id];
        let (t, f): (Vec<Node>, Vec<Node>) = p.children.iter().map(|c| self.parts[*c].truth).unzip();
        let arena = &mut self.prover.builder.arena;
        match p.kind {
            PartKind::All => (arena.and(t), arena.or(f)),
            PartKind::Any => (arena.or(t), arena.and(f)),
            PartKind::Not => (f[0], t[0]),
            PartKind::Leaf => p.truth,
        }
    }

    /// Replaces parts by what does nothing where they stand; gives back what was there.
    fn replace(&mut self, sites: &[(usize, PartKind)]) -> Vec<(usize, (Node, Node))> {
        let mut old = Vec::new();
        for (id, context) in sites {
            let value = *context == PartKind::All;
            old.push((*id, self.parts[*id].truth));
            self.parts[*id].truth = (Arena::constant(value), Arena::constant(!value));
        }
        // A part inside another of the list must not undo it, so parents of the list stay as they are.
        let listed: std::collections::HashSet<usize> = sites.iter().map(|s| s.0).collect();
        for (id, _) in sites {
            let mut at = *id;
            while let Some(parent) = self.parts[at].parent {
                if listed.contains(&parent) {
                    break;
                }
                old.push((parent, self.parts[parent].truth));
                self.parts[parent].truth = self.combine(parent);
                at = parent;
            }
        }
        old
    }

    fn restore(&mut self, old: Vec<(usize, (Node, Node))>) {
        for (id, truth) in old.into_iter().rev() {
            self.parts[id].truth = truth;
        }
    }

    /// The truth of the whole for one event, a part replaced; no formula is made for it.
    fn holds_without(&self, id: usize, context: PartKind, truths: &Truths, memo: &mut Memo) -> bool {
        let value = context == PartKind::All;
        let (mut at, mut now) = (id, (value, !value));
        while let Some(parent) = self.parts[at].parent {
            let p = &self.parts[parent];
            let arena = &self.prover.builder.arena;
            let mut of = |c: usize, yes: bool| match (c == at, yes) {
                (true, true) => now.0,
                (true, false) => now.1,
                (false, true) => truths.holds(arena, self.parts[c].truth.0, memo),
                (false, false) => truths.holds(arena, self.parts[c].truth.1, memo),
            };
            let next = match p.kind {
                PartKind::All => {
                    (p.children.iter().all(|c| of(*c, true)), p.children.iter().any(|c| of(*c, false)))
                }
                PartKind::Any => {
                    (p.children.iter().any(|c| of(*c, true)), p.children.iter().all(|c| of(*c, false)))
                }
                PartKind::Not | PartKind::Leaf => (now.1, now.0),
            };
            now = next;
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

struct Run<'a> {
    tree: Tree,
    root: usize,
    /// The formula, without the parts that were taken out.
    whole: Node,
    budget: &'a Budget,
    deadline: std::time::Instant,
    table: &'a tercel_ir::Name,
    assumptions: Vec<crate::Assumption>,
    /// The truth of all atoms for an event that fires.
    truths: Truths,
    tests: HashMap<VarId, Option<ColumnTests>>,
    memo: Memo,
}

impl Run<'_> {
    /// Whether a part stands in a conjunction or a disjunction; `None` where it stands alone.
    fn context(&self, id: usize) -> Option<PartKind> {
        let parent = self.tree.parts[id].parent?;
        let p = &self.tree.parts[parent];
        if parent == self.root {
            // Filters one after the other are a conjunction. An only filter is the whole.
            let written = p.children.iter().filter(|c| !self.tree.parts[**c].hidden).count();
            return (written > 1).then_some(PartKind::All);
        }
        (p.kind != PartKind::Not && p.children.len() > 1).then_some(p.kind)
    }

    /// Whether taking the parts out changes anything.
    fn judge(&mut self, sites: &[(usize, PartKind)]) -> Effect {
        if std::time::Instant::now() >= self.deadline {
            return Effect::Unknown(NO_TIME.into());
        }
        if let [(id, context)] = sites
            && self.shown_alive(*id, Without::Part(*id, *context))
        {
            return Effect::Some;
        }
        let old = self.tree.replace(sites);
        let without = self.tree.parts[self.root].truth.0;
        self.tree.restore(old);
        if without == self.whole {
            return Effect::None;
        }
        if sites.len() > 1 && sites.iter().any(|(id, _)| self.shown_alive(*id, Without::Formula(without))) {
            return Effect::Some;
        }
        let arena = &mut self.tree.prover.builder.arena;
        let (not_without, not_whole) = (arena.not(without), arena.not(self.whole));
        // In a disjunction the part can only add, in a conjunction only take away; under a `not` it is
        // the other way round. The trivial one of the two questions costs next to nothing.
        for roots in [[self.whole, not_without], [without, not_whole]] {
            match self.tree.prover.ask(&roots, &self.budget.until(self.deadline)) {
                Answer::Sat(row) => {
                    // What shows one part shows its neighbours too, with their texts put in.
                    self.truths = Truths::of(&self.tree.prover.builder.atoms, &row);
                    return Effect::Some;
                }
                Answer::Unsat => {}
                Answer::Unknown(u) => return Effect::Unknown(u.reason),
            }
        }
        Effect::None
    }

    fn take_out(&mut self, sites: &[(usize, PartKind)]) {
        self.tree.replace(sites);
        self.whole = self.tree.parts[self.root].truth.0;
    }

    /// The part's own text in the event that fires shows an effect at once, for most items.
    fn shown_alive(&mut self, id: usize, without: Without) -> bool {
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
        let tree = &self.tree;
        let arena = &tree.prover.builder.arena;
        for lead in ["", "C:\\x"] {
            let text = format!("{lead}{text}");
            let old = self.truths.put(atoms, tests, &text);
            self.memo.clear();
            let now = self.truths.holds(arena, self.whole, &mut self.memo);
            let then = match without {
                Without::Formula(n) => self.truths.holds(arena, n, &mut self.memo),
                Without::Part(id, context) => tree.holds_without(id, context, &self.truths, &mut self.memo),
            };
            let differs = now != then;
            self.truths.restore(old);
            if differs {
                return true;
            }
        }
        false
    }
}
