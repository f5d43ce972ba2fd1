//! The loop between solver and theories: a model of the formula, the few literals that make it true,
//! a value for each variable, an event; or a contradiction that the solver is told.

use crate::Unknown;
use crate::atom::{Atoms, Test, TextTest, VarId, VarKind};
use crate::budget::{Budget, Meter, NO_TIME};
use crate::build::Builder;
use crate::concrete;
use crate::direct::{Ended, Search, Trial};
use crate::formula::{Arena, AtomId, Node, NodeKind};
use crate::hash::{QuickMap, QuickSet};
use crate::lemmas;
use crate::numbers;
use crate::sat::{Sat, SatLit};
use crate::strings;
use crate::theory::Outcome;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tercel_ir::{Name, Schema, Value};

/// Values of columns; a column without one is null.
pub(crate) type Row = BTreeMap<Name, Value>;

pub(crate) enum Answer {
    Sat(Row),
    Unsat,
    Unknown(Unknown),
}

/// Models for which no event was found, before a question is given up.
const MAX_DOUBTS: usize = 12;

/// Nodes of past questions that cost less than a new solver.
const MANY: usize = 2_000;
/// Clauses about tests of known texts.
const SETTLED: usize = 600_000;

type Literals = Vec<(AtomId, bool)>;

/// Decides formulas over the columns of one table. Lemmas that one question teaches help the next.
pub(crate) struct Prover {
    pub builder: Builder,
    sat: Sat,
    atoms: Vec<Option<SatLit>>,
    nodes: QuickMap<Node, SatLit>,
    /// Nodes that the solver had when it was last made anew.
    kept: usize,
    /// Everything that is known of atoms, for the next solver.
    known: Vec<Literals>,
    lemmas: lemmas::Lemmas,
    /// Of equalities with different values: "one of those so far holds".
    one_of: HashMap<lemmas::OneOf, SatLit>,
    grouped: usize,
    cache: Cache,
    /// Equalities of which all is said, and how many tests may still be decided so.
    settled: QuickSet<AtomId>,
    settled_left: usize,
    /// Events are looked for without the solver first.
    direct: bool,
    /// Sets of literals that such a search found to contradict each other.
    nogoods: Vec<Literals>,
    /// What its last run could not decide, which the solver need not try again.
    doubted: usize,
    /// How many of them the solver knows.
    told: usize,
    /// Models whose event did not behave: errors of the prover, never shown.
    pub misbehaved: usize,
}

impl Prover {
    pub(crate) fn new(schema: Arc<Schema>) -> Prover {
        Prover {
            builder: Builder::new(schema),
            sat: Sat::default(),
            atoms: Vec::new(),
            nodes: QuickMap::default(),
            kept: 0,
            known: Vec::new(),
            lemmas: lemmas::Lemmas::default(),
            one_of: HashMap::new(),
            grouped: 0,
            cache: QuickMap::default(),
            settled: QuickSet::default(),
            settled_left: SETTLED,
            direct: false,
            nogoods: Vec::new(),
            doubted: 0,
            told: 0,
            misbehaved: 0,
        }
    }

    /// The same, with an end to building formulas.
    pub(crate) fn until(mut self, deadline: std::time::Instant) -> Prover {
        self.builder.deadline = Some(deadline);
        self
    }

    /// The same, with a search before the solver is asked: for few questions about much, of which most are plain.
    pub(crate) fn direct(mut self) -> Prover {
        self.direct = true;
        self
    }

    fn atom_lit(&mut self, a: AtomId) -> SatLit {
        let at = a as usize;
        if self.atoms.len() <= at {
            self.atoms.resize(at + 1, None);
        }
        match self.atoms[at] {
            Some(l) => l,
            None => {
                let l = self.sat.variable();
                self.atoms[at] = Some(l);
                l
            }
        }
    }
    fn lit(&mut self, a: AtomId, positive: bool) -> SatLit {
        let l = self.atom_lit(a);
        if positive { l } else { !l }
    }

    /// Clauses that say "if this node is true, so are enough of its parts".
    fn encode(&mut self, root: Node) -> SatLit {
        let mut stack = vec![root];
        while let Some(n) = stack.last().copied() {
            if self.nodes.contains_key(&n) {
                stack.pop();
                continue;
            }
            let kind = self.builder.arena.kind(n).clone();
            match kind {
                NodeKind::Lit(a, p) => {
                    let l = self.lit(a, p);
                    self.nodes.insert(n, l);
                }
                NodeKind::True | NodeKind::False => {
                    let v = self.sat.variable();
                    let positive = matches!(kind, NodeKind::True);
                    self.sat.clause([if positive { v } else { !v }]);
                    self.nodes.insert(n, v);
                }
                NodeKind::And(items) | NodeKind::Or(items) => {
                    let missing: Vec<Node> =
                        items.iter().copied().filter(|i| !self.nodes.contains_key(i)).collect();
                    if !missing.is_empty() {
                        stack.extend(missing);
                        continue;
                    }
                    let v = self.sat.variable();
                    let parts: Vec<SatLit> = items.iter().map(|i| self.nodes[i]).collect();
                    if matches!(self.builder.arena.kind(n), NodeKind::And(_)) {
                        for p in parts {
                            self.sat.clause([!v, p]);
                        }
                    } else {
                        self.sat.clause(parts.into_iter().chain([!v]));
                    }
                    self.nodes.insert(n, v);
                }
            }
        }
        self.nodes[&root]
    }

    /// Says a clause over atoms.
    fn learn(&mut self, clause: Literals) {
        let lits: Vec<SatLit> = clause.iter().map(|(a, p)| self.lit(*a, *p)).collect();
        self.sat.clause(lits);
        self.known.push(clause);
    }

    /// Every question leaves its nodes behind, and the solver decides about all of them every time. When most
    /// are of questions past, a new solver is told what is known.
    fn refresh(&mut self) {
        if self.nodes.len() < self.kept.saturating_mul(2).saturating_add(MANY) {
            return;
        }
        self.sat = Sat::default();
        self.atoms.clear();
        self.nodes.clear();
        self.one_of.clear();
        self.grouped = 0;
        for c in std::mem::take(&mut self.known) {
            self.learn(c);
        }
        self.kept = usize::MAX;
    }

    /// Tells the solver what is known about atoms without any search.
    fn teach(&mut self) {
        self.refresh();
        let mut clauses = std::mem::take(&mut self.builder.facts);
        self.lemmas.learn(&self.builder.atoms, &mut clauses);
        for c in clauses {
            self.learn(c);
        }
        let found = std::mem::take(&mut self.nogoods);
        for set in &found[self.told..] {
            self.settle_equality(set);
            self.learn(set.iter().map(|(a, p)| (*a, !*p)).collect());
        }
        self.told = found.len();
        self.nogoods = found;
        for a in self.grouped..self.builder.atoms.list.len() {
            let a = a as AtomId;
            let Some(group) = lemmas::one_of(&self.builder.atoms, a) else { continue };
            let x = self.atom_lit(a);
            let any = match self.one_of.get(&group).copied() {
                None => x,
                Some(before) => {
                    // A ladder: linear, where saying it of every pair would be quadratic.
                    let any = self.sat.variable();
                    self.sat.clause([!x, !before]);
                    self.sat.clause([!x, any]);
                    self.sat.clause([!before, any]);
                    any
                }
            };
            self.one_of.insert(group, any);
        }
        self.grouped = self.builder.atoms.list.len();
    }

    /// Whether the conjunction of the roots can be true, with the columns for which it is.
    pub(crate) fn ask(&mut self, roots: &[Node], budget: &Budget) -> Answer {
        if roots.contains(&Arena::FALSE) {
            return Answer::Unsat;
        }
        let mut meter = Meter::new(budget);
        // A conjunction of literals is its own implicant.
        let literals: Option<Literals> = roots
            .iter()
            .map(|r| match self.builder.arena.kind(*r) {
                NodeKind::Lit(a, p) => Some((*a, *p)),
                _ => None,
            })
            .collect();
        if let Some(mut l) = literals {
            l.sort_unstable();
            if let Checked::Row(row) = self.check(&l, &mut meter) {
                return Answer::Sat(row);
            }
        }
        if self.direct
            && let Some(answer) = self.search(roots, &mut meter)
        {
            return answer;
        }
        self.teach();
        // What is known of many atoms takes a while to say, but only once.
        meter.restart(budget);
        let mut assumptions: Vec<SatLit> = roots.iter().map(|r| self.encode(*r)).collect();
        if self.kept == usize::MAX {
            self.kept = self.nodes.len();
        }
        // What is only "not decided" must not rule anything out for later questions.
        let mut guard: Option<SatLit> = None;
        let mut doubt: Option<Unknown> = None;
        let mut doubts = self.doubted;
        loop {
            if meter.steps == 0 {
                return Answer::Unknown(Unknown::new("the budget of steps is used up"));
            }
            meter.steps -= 1;
            match self.sat.solve(&assumptions, meter.deadline) {
                Some(true) => {}
                Some(false) => {
                    if let Some(g) = guard {
                        self.sat.clause([!g]);
                    }
                    return match doubt {
                        Some(d) => Answer::Unknown(d),
                        None => Answer::Unsat,
                    };
                }
                None => return Answer::Unknown(Unknown::new(NO_TIME)),
            }
            if meter.late() {
                return Answer::Unknown(Unknown::new(NO_TIME));
            }
            let implicant = self.implicant(roots);
            let (blocked, why) = match self.check(&implicant, &mut meter) {
                Checked::Row(row) => {
                    if let Some(g) = guard {
                        self.sat.clause([!g]);
                    }
                    return Answer::Sat(row);
                }
                Checked::Conflicts(cores) => {
                    for c in cores {
                        self.settle_equality(&c);
                        self.learn(c.into_iter().map(|(a, p)| (a, !p)).collect());
                    }
                    continue;
                }
                Checked::Unknown(lits, why) => (lits, why),
            };
            doubt = Some(why);
            // Other choices of the same kind mostly fail for the same reason.
            doubts += 1;
            if doubts > MAX_DOUBTS {
                if let Some(g) = guard {
                    self.sat.clause([!g]);
                }
                return Answer::Unknown(doubt.unwrap_or_else(|| Unknown::new("no values found")));
            }
            let g = match guard {
                Some(g) => g,
                None => {
                    let g = self.sat.variable();
                    assumptions.push(g);
                    guard = Some(g);
                    g
                }
            };
            let mut lits: Vec<SatLit> = blocked.iter().map(|(a, p)| self.lit(*a, !*p)).collect();
            lits.push(!g);
            self.sat.clause(lits);
        }
    }

    /// An answer that needs no solver, if there is one.
    fn search(&mut self, roots: &[Node], meter: &mut Meter) -> Option<Answer> {
        let Prover { builder, cache, nogoods, .. } = self;
        let mut search = Search::new(builder, nogoods, meter.deadline);
        let ended = search.run(roots, |literals| match check(builder, cache, literals, meter) {
            Checked::Row(row) => Trial::Found(row),
            Checked::Conflicts(sets) => Trial::Conflicts(sets),
            Checked::Unknown(literals, _) => Trial::Doubt(literals),
        });
        self.doubted = search.doubts();
        let learned = search.learned();
        self.nogoods.extend(learned);
        match ended {
            Ended::Found(row) => Some(Answer::Sat(row)),
            Ended::Nothing => Some(Answer::Unsat),
            Ended::Open => None,
        }
    }

    fn check(&mut self, implicant: &[(AtomId, bool)], meter: &mut Meter) -> Checked {
        check(&self.builder, &mut self.cache, implicant, meter)
    }

    /// A text that is known decides all tests of it that heed case no more than the equality does: one
    /// conflict of an equality tells them all, else lists on both sides cost a conflict for each pair.
    fn settle_equality(&mut self, core: &Literals) {
        if core.len() != 2 {
            return;
        }
        let atoms = &self.builder.atoms;
        let Some((a, _)) = core.iter().find(|(a, p)| *p && lemmas::one_of(atoms, *a).is_some()) else {
            return;
        };
        let equality = atoms.atom(*a);
        let Test::Text(lens, TextTest::Literal { text, ci, .. }) = &equality.test else { return };
        let others = &atoms.vars[equality.var as usize].atoms;
        if others.len() > self.settled_left || !self.settled.insert(*a) {
            return;
        }
        self.settled_left -= others.len();
        let folded = tercel_ir::function::fold(text);
        let mut clauses = Vec::with_capacity(others.len());
        for b in others.iter().filter(|b| *b != a) {
            let blind = match &atoms.atom(*b).test {
                Test::Text(l, TextTest::Literal { ci, .. } | TextTest::Term { ci, .. }) if l == lens => *ci,
                _ => continue,
            };
            if blind || !ci {
                clauses.push((*a, *b, atoms.holds_of_image(*b, text, &folded)));
            }
        }
        for (a, b, holds) in clauses {
            self.learn(vec![(a, false), (b, holds)]);
        }
    }

    /// Literals of the model that make all roots true; of every disjunction one part.
    fn implicant(&mut self, roots: &[Node]) -> Literals {
        let mut chosen: QuickMap<AtomId, bool> = QuickMap::default();
        let mut seen: QuickSet<Node> = QuickSet::default();
        let mut stack: Vec<Node> = roots.iter().rev().copied().collect();
        let mut later: Vec<Node> = Vec::new();
        loop {
            // Conjunctions first: what they demand decides what disjunctions cost nothing.
            let n = match stack.pop() {
                Some(n) => n,
                None => match later.pop() {
                    Some(n) => {
                        let NodeKind::Or(items) = self.builder.arena.kind(n) else { continue };
                        let mut pick = None;
                        for i in items.iter() {
                            if seen.contains(i) {
                                pick = None;
                                break;
                            }
                            if pick.is_none() && self.sat.is_true(self.nodes[i]) {
                                pick = Some(*i);
                            }
                        }
                        stack.extend(pick);
                        continue;
                    }
                    None => break,
                },
            };
            if !seen.insert(n) {
                continue;
            }
            match self.builder.arena.kind(n) {
                NodeKind::Lit(a, p) => {
                    chosen.insert(*a, *p);
                }
                NodeKind::And(items) => stack.extend(items.iter().rev()),
                NodeKind::Or(_) => later.push(n),
                NodeKind::True | NodeKind::False => {}
            }
        }
        let mut out: Literals = chosen.into_iter().collect();
        out.sort_unstable();
        out
    }
}

enum Checked {
    Row(Row),
    Conflicts(Vec<Literals>),
    Unknown(Literals, Unknown),
}

type Cache = QuickMap<(VarId, Literals), Outcome>;

fn check(builder: &Builder, cache: &mut Cache, implicant: &[(AtomId, bool)], meter: &mut Meter) -> Checked {
    let mut groups: BTreeMap<VarId, Literals> = BTreeMap::new();
    for (a, p) in implicant {
        groups.entry(builder.atoms.atom(*a).var).or_default().push((*a, *p));
    }
    let mut values: BTreeMap<VarId, Value> = BTreeMap::new();
    let mut conflicts = Vec::new();
    let mut unknown = None;
    for (var, lits) in &groups {
        match value_of(&builder.atoms, cache, *var, lits, meter) {
            Outcome::Sat(v) => {
                values.insert(*var, v);
            }
            Outcome::Conflict(core) => conflicts.push(core.into_iter().map(|i| lits[i]).collect()),
            Outcome::Unknown(why) => unknown = Some((lits.clone(), why)),
        }
    }
    if !conflicts.is_empty() {
        return Checked::Conflicts(conflicts);
    }
    if let Some((lits, why)) = unknown {
        return Checked::Unknown(lits, Unknown::new(why));
    }
    match concrete::row(&builder.atoms, &groups, &values, meter) {
        concrete::Made::Row(r) => Checked::Row(r),
        concrete::Made::Conflict(c) => Checked::Conflicts(vec![c]),
        concrete::Made::Unknown(lits, why) => Checked::Unknown(lits, Unknown::new(why)),
    }
}

fn value_of(atoms: &Atoms, cache: &mut Cache, var: VarId, lits: &Literals, meter: &mut Meter) -> Outcome {
    let key = (var, lits.clone());
    if let Some(o) = cache.get(&key) {
        return o.clone();
    }
    let v = &atoms.vars[var as usize];
    let o = match v.kind {
        VarKind::Text => strings::solve(atoms, v, lits, meter),
        VarKind::Integer { .. } | VarKind::Real => numbers::solve(atoms, v, lits, meter),
        VarKind::Free => Outcome::Sat(Value::Null),
    };
    // What ran out of time may go better the next time.
    if !matches!(o, Outcome::Unknown(_)) && cache.len() < 20_000 && key.1.len() <= 48 {
        cache.insert(key, o.clone());
    }
    o
}
