//! A search for an event without the solver: what must hold is taken together, of every disjunction a part is
//! chosen, and what contradicts by its texts alone is never chosen together. Most questions are settled by the
//! first choice; telling the solver about all atoms costs more than that.
//!
//! A contradiction carries the choices that it comes from, so the search goes back to one that matters. Where all
//! parts of a disjunction fail without any choice before, there is no event at all: every reason on the way was a
//! contradiction of literals, never a limit. Where a limit is reached nothing is said.

use crate::atom::{Atoms, Order, Test, TextTest, VarId};
use crate::build::Builder;
use crate::formula::{Arena, AtomId, Node, NodeKind};
use crate::hash::QuickMap;
use std::time::Instant;
use tercel_ir::Value;
use tercel_ir::function::fold;

/// Choices that something depends on, a bit each.
type Choices = u128;
const LEVELS: u32 = 128;

/// Looks at literals and pairs of them, and sets of literals that were tried on the theories, before the solver is
/// asked after all.
const LOOKS: usize = 200_000;
const TRIALS: usize = 24;
/// Trials of which nothing was learnt: the solver goes on better then.
const DOUBTS: usize = 4;

/// Parts of a conjunction or disjunction whose cost is looked at.
const ESTIMATED: usize = 64;

pub(crate) type Literals = Vec<(AtomId, bool)>;

/// What a trial of literals on the theories gave.
pub(crate) enum Trial<T> {
    /// They hold together.
    Found(T),
    /// These sets of them never do.
    Conflicts(Vec<Literals>),
    /// Not decided, because of these.
    Doubt(Literals),
}

/// How the search ended.
pub(crate) enum Ended<T> {
    Found(T),
    /// No choice is free of contradictions.
    Nothing,
    /// A limit was reached, or something could not be decided.
    Open,
}

/// Where the search stands.
pub(crate) struct Search<'a> {
    builder: &'a Builder,
    truth: QuickMap<AtomId, (bool, Choices)>,
    trail: Literals,
    of_var: QuickMap<VarId, Taken>,
    nogoods: &'a [Literals],
    made: Vec<Literals>,
    by_literal: QuickMap<(AtomId, bool), Vec<u32>>,
    weights: QuickMap<Node, u32>,
    costs: QuickMap<Node, u32>,
    looks: usize,
    deadline: Instant,
    trials: usize,
    doubts: usize,
}

/// Literals of one variable.
#[derive(Default)]
struct Taken {
    yes: Vec<AtomId>,
    no: Vec<AtomId>,
}

/// A disjunction that is still to be made true, and what it depends on.
type Pending = (Node, Choices);

enum Step<T> {
    Found(T),
    /// A contradiction that depends on these choices.
    Failed(Choices),
    Open,
}

/// An end to going deeper.
enum Stop {
    Failed(Choices),
    Open,
}

impl<'a> Search<'a> {
    /// `nogoods` are sets of literals that are known never to hold together.
    pub(crate) fn new(builder: &'a Builder, nogoods: &'a [Literals], deadline: Instant) -> Search<'a> {
        let mut s = Search {
            builder,
            truth: QuickMap::default(),
            trail: Vec::new(),
            of_var: QuickMap::default(),
            nogoods,
            made: Vec::new(),
            by_literal: QuickMap::default(),
            weights: QuickMap::default(),
            costs: QuickMap::default(),
            looks: LOOKS,
            deadline,
            trials: TRIALS,
            doubts: 0,
        };
        for (n, set) in nogoods.iter().enumerate() {
            s.index(n as u32, set);
        }
        s
    }

    /// Trials that decided nothing.
    pub(crate) fn doubts(&self) -> usize {
        self.doubts
    }

    /// Sets of literals that were found never to hold together.
    pub(crate) fn learned(self) -> Vec<Literals> {
        self.made
    }

    /// Searches for literals that make all roots true and that `try_out` accepts.
    pub(crate) fn run<T>(
        &mut self,
        roots: &[Node],
        mut try_out: impl FnMut(&[(AtomId, bool)]) -> Trial<T>,
    ) -> Ended<T> {
        let mut pending = Vec::new();
        for r in roots {
            match self.take(*r, 0, &mut pending) {
                Ok(()) => {}
                Err(Stop::Failed(_)) => return Ended::Nothing,
                Err(Stop::Open) => return Ended::Open,
            }
        }
        match self.descend(pending, 0, &mut try_out) {
            Step::Found(t) => Ended::Found(t),
            Step::Failed(_) if self.doubts == 0 => Ended::Nothing,
            _ => Ended::Open,
        }
    }

    fn arena(&self) -> &'a Arena {
        &self.builder.arena
    }

    fn descend<T>(
        &mut self,
        mut pending: Vec<Pending>,
        level: u32,
        try_out: &mut impl FnMut(&[(AtomId, bool)]) -> Trial<T>,
    ) -> Step<T> {
        // What a choice made true already asks for nothing more.
        let arena = self.arena();
        let mut seen = 0;
        pending.retain(|(n, _)| match arena.kind(*n) {
            NodeKind::Or(items) => {
                seen += items.len();
                !items.iter().any(|i| {
                    matches!(arena.kind(*i), NodeKind::Lit(a, p)
                        if self.truth.get(a).is_some_and(|t| t.0 == *p))
                })
            }
            _ => false,
        });
        if !self.look(seen / 8 + 1) || Instant::now() >= self.deadline {
            return Step::Open;
        }
        let size = |n: Node| match arena.kind(n) {
            NodeKind::Or(items) => items.len(),
            _ => 0,
        };
        // What failed before first, then what leaves the fewest choices.
        let next = (0..pending.len()).min_by_key(|i| {
            let n = pending[*i].0;
            (std::cmp::Reverse(self.weights.get(&n).copied().unwrap_or(0)), size(n))
        });
        let Some(next) = next else { return self.trial(try_out) };
        if level == LEVELS {
            return Step::Open;
        }
        let (node, depends) = pending.swap_remove(next);
        let NodeKind::Or(items) = arena.kind(node) else { return Step::Open };
        let mut order: Vec<(u32, Node)> = items.iter().map(|i| (self.cost(*i), *i)).collect();
        order.sort_by_key(|o| o.0);
        let bit: Choices = 1 << level;
        let mut blame = depends;
        for (_, item) in order {
            let mark = self.trail.len();
            let mut more = Vec::new();
            let step = match self.take(item, bit, &mut more) {
                Ok(()) => {
                    more.extend(pending.iter().copied());
                    self.descend(more, level + 1, try_out)
                }
                Err(Stop::Failed(c)) => Step::Failed(c),
                Err(Stop::Open) => Step::Open,
            };
            match step {
                Step::Failed(c) => {
                    self.undo(mark);
                    if c & bit == 0 {
                        // Whatever is chosen here, this fails again.
                        return Step::Failed(c);
                    }
                    blame |= c & !bit;
                }
                done => return done,
            }
        }
        *self.weights.entry(node).or_default() += 1;
        Step::Failed(blame)
    }

    fn trial<T>(&mut self, try_out: &mut impl FnMut(&[(AtomId, bool)]) -> Trial<T>) -> Step<T> {
        if self.trials == 0 || !self.look(self.trail.len()) {
            return Step::Open;
        }
        self.trials -= 1;
        let mut literals = self.trail.clone();
        literals.sort_unstable();
        let blamed = |set: &Literals| {
            set.iter().map(|(a, _)| self.truth.get(a).map(|t| t.1)).try_fold(0, |all, c| Some(all | c?))
        };
        match try_out(&literals) {
            Trial::Found(t) => Step::Found(t),
            Trial::Doubt(set) => {
                self.doubts += 1;
                if self.doubts == DOUBTS {
                    return Step::Open;
                }
                blamed(&set).map_or(Step::Open, Step::Failed)
            }
            Trial::Conflicts(sets) => {
                // The one that goes back furthest.
                let least = sets.iter().filter_map(blamed).min();
                let step = least.map_or(Step::Open, Step::Failed);
                for set in sets {
                    self.index((self.nogoods.len() + self.made.len()) as u32, &set);
                    self.made.push(set);
                }
                step
            }
        }
    }

    fn index(&mut self, number: u32, set: &Literals) {
        for l in set {
            self.by_literal.entry(*l).or_default().push(number);
        }
    }

    fn look(&mut self, many: usize) -> bool {
        self.looks = self.looks.saturating_sub(many);
        self.looks > 0
    }

    /// Makes a node true: literals are taken, disjunctions wait.
    fn take(&mut self, node: Node, depends: Choices, pending: &mut Vec<Pending>) -> Result<(), Stop> {
        let mut stack = vec![node];
        while let Some(n) = stack.pop() {
            match self.arena().kind(n) {
                NodeKind::True => {}
                NodeKind::False => return Err(Stop::Failed(depends)),
                NodeKind::Lit(a, p) => self.literal(*a, *p, depends)?,
                NodeKind::And(items) => stack.extend(items.iter().rev()),
                NodeKind::Or(_) => {
                    if !pending.iter().any(|(m, d)| *m == n && d & !depends == 0) {
                        pending.push((n, depends));
                    }
                }
            }
        }
        Ok(())
    }

    fn literal(&mut self, a: AtomId, p: bool, depends: Choices) -> Result<(), Stop> {
        if !self.look(1) {
            return Err(Stop::Open);
        }
        if let Some((value, before)) = self.truth.get(&a) {
            return if *value == p { Ok(()) } else { Err(Stop::Failed(depends | before)) };
        }
        let atoms = &self.builder.atoms;
        let var = atoms.atom(a).var;
        if let Some(taken) = self.of_var.get(&var) {
            // Of what must not hold nothing rules out what must not hold either.
            let no: &[AtomId] = if p { &taken.no } else { &[] };
            let pairs = taken.yes.len() + no.len();
            let this = Seen::of(atoms, a);
            let excluded = taken
                .yes
                .iter()
                .find(|b| if p { this.apart(atoms, **b) } else { Seen::of(atoms, **b).implies(atoms, a) })
                .or_else(|| no.iter().find(|b| this.implies(atoms, **b)))
                .map(|b| self.truth.get(b).map_or(Choices::MAX, |t| t.1));
            if !self.look(pairs / 2) {
                return Err(Stop::Open);
            }
            if let Some(before) = excluded {
                return Err(Stop::Failed(depends | before));
            }
        }
        if let Some(sets) = self.by_literal.get(&(a, p)) {
            for s in sets {
                let s = *s as usize;
                let set = match self.nogoods.get(s) {
                    Some(set) => set,
                    None => &self.made[s - self.nogoods.len()],
                };
                let others = set.iter().filter(|l| l.0 != a);
                let all = others.map(|(b, q)| self.truth.get(b).filter(|t| t.0 == *q).map(|t| t.1));
                if let Some(c) = all.into_iter().try_fold(depends, |all, c| Some(all | c?)) {
                    return Err(Stop::Failed(c));
                }
            }
        }
        self.truth.insert(a, (p, depends));
        self.trail.push((a, p));
        let taken = self.of_var.entry(var).or_default();
        if p {
            taken.yes.push(a)
        } else {
            taken.no.push(a)
        }
        Ok(())
    }

    fn undo(&mut self, mark: usize) {
        for (a, p) in self.trail.drain(mark..).rev() {
            self.truth.remove(&a);
            if let Some(t) = self.of_var.get_mut(&self.builder.atoms.atom(a).var) {
                if p {
                    t.yes.pop()
                } else {
                    t.no.pop()
                };
            }
        }
    }

    /// How much a node asks for: events that ask for little are found soonest, and are the shortest.
    fn cost(&mut self, n: Node) -> u32 {
        if let Some(c) = self.costs.get(&n) {
            return *c;
        }
        let c = match self.arena().kind(n) {
            NodeKind::True | NodeKind::Lit(_, false) => 0,
            NodeKind::False => 1_000,
            NodeKind::Lit(a, true) => {
                let atoms = &self.builder.atoms;
                match &atoms.atom(*a).test {
                    _ if atoms.var(*a).column.is_none() => 12,
                    Test::Opaque { .. } => 6,
                    Test::Text(_, TextTest::Regex(_)) => 4,
                    _ => 2,
                }
            }
            // The recursion is as deep as the formula, which the builder limits.
            NodeKind::And(items) => {
                items.iter().take(ESTIMATED).map(|i| self.cost(*i)).fold(0, u32::saturating_add)
            }
            NodeKind::Or(items) => items.iter().take(ESTIMATED).map(|i| self.cost(*i)).min().unwrap_or(0),
        };
        self.costs.insert(n, c);
        c
    }
}

/// An atom that is compared with many.
struct Seen<'a> {
    atom: AtomId,
    test: &'a Test,
    /// The one text, up to case, that an equality leaves; folded too.
    only: Option<(&'a str, String, bool)>,
}

impl<'a> Seen<'a> {
    fn of(atoms: &'a Atoms, atom: AtomId) -> Seen<'a> {
        let test = &atoms.atom(atom).test;
        let only = match test {
            Test::Text(_, TextTest::Literal { text, start: true, end: true, ci }) => {
                Some((&**text, fold(text), *ci))
            }
            _ => None,
        };
        Seen { atom, test, only }
    }

    /// The answer of the other where this one leaves one text, up to case, and the other heeds case no more.
    fn decides(&self, atoms: &Atoms, b: AtomId) -> Option<bool> {
        let (text, folded, ci) = self.only.as_ref()?;
        let blind = match &atoms.atom(b).test {
            Test::Text(_, TextTest::Literal { ci, .. } | TextTest::Term { ci, .. }) => *ci,
            _ => false,
        };
        (blind || !ci).then(|| atoms.holds_of_image(b, text, folded))
    }

    /// Whether the texts of two tests show that no value passes both. Says no where it does not know.
    fn apart(&self, atoms: &Atoms, b: AtomId) -> bool {
        match (self.test, &atoms.atom(b).test) {
            (Test::Null, Test::Null) => false,
            (Test::Null, Test::Text(..) | Test::Whole(..) | Test::Real(..)) => !atoms.holds(b, &Value::Null),
            (Test::Text(..) | Test::Whole(..) | Test::Real(..), Test::Null) => {
                !atoms.holds(self.atom, &Value::Null)
            }
            (Test::Whole(Order::Eq, k), Test::Whole(o, n))
            | (Test::Whole(o, n), Test::Whole(Order::Eq, k)) => !ordered(*o, *k, *n),
            (Test::Whole(Order::Le, k), Test::Whole(Order::Ge, n))
            | (Test::Whole(Order::Ge, n), Test::Whole(Order::Le, k)) => k < n,
            (Test::Text(l, x), Test::Text(m, y)) if l == m => {
                let known = self.decides(atoms, b).or_else(|| Seen::of(atoms, b).decides(atoms, self.atom));
                if let Some(known) = known {
                    return !known;
                }
                let (
                    TextTest::Literal { text: t, start: s, end: e, ci },
                    TextTest::Literal { text: u, start: v, end: w, ci: other },
                ) = (x, y)
                else {
                    return false;
                };
                // Two beginnings, or two ends, of which neither goes on as the other does.
                let differ = |t: &str, u: &str| {
                    *s && *v && !t.starts_with(u) && !u.starts_with(t)
                        || *e && *w && !t.ends_with(u) && !u.ends_with(t)
                };
                if ci == other { differ(t, u) } else { differ(&fold(t), &fold(u)) }
            }
            _ => false,
        }
    }

    /// Whether the texts of two tests show that the other holds wherever this one does. Says no where it does not
    /// know.
    fn implies(&self, atoms: &Atoms, b: AtomId) -> bool {
        match (self.test, &atoms.atom(b).test) {
            (Test::Null, Test::Text(..)) => atoms.holds(b, &Value::Null),
            (Test::Whole(Order::Eq, k), Test::Whole(o, n)) => ordered(*o, *k, *n),
            (Test::Whole(Order::Le, k), Test::Whole(Order::Le, n)) => k <= n,
            (Test::Whole(Order::Ge, k), Test::Whole(Order::Ge, n)) => k >= n,
            (Test::Text(l, x), Test::Text(m, y)) if l == m => {
                if let Some(known) = self.decides(atoms, b) {
                    return known;
                }
                let (
                    TextTest::Literal { text, start, end, ci },
                    TextTest::Literal { text: part, start: s, end: e, ci: blind },
                ) = (x, y)
                else {
                    return false;
                };
                if *ci && !blind || part.len() > text.len() {
                    return false;
                }
                let inside = |text: &str| match (s, e) {
                    (true, true) => *start && *end && text == &**part,
                    (true, false) => *start && text.starts_with(&**part),
                    (false, true) => *end && text.ends_with(&**part),
                    (false, false) => text.contains(&**part),
                };
                if *blind && !ci { inside(&fold(text)) } else { inside(text) }
            }
            _ => false,
        }
    }
}

fn ordered(o: Order, k: i64, n: i64) -> bool {
    match o {
        Order::Eq => k == n,
        Order::Le => k <= n,
        Order::Ge => k >= n,
        Order::Lt => k < n,
        Order::Gt => k > n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atom::{VarKind, Variable};
    use std::sync::Arc;
    use tercel_ir::{Expr, Span, Type};

    const LETTERS: [char; 4] = ['a', 'A', 'b', '\\'];

    fn texts(length: usize) -> Vec<String> {
        let mut out = vec![String::new()];
        let mut last = out.clone();
        for _ in 0..length {
            last = last.iter().flat_map(|s| LETTERS.iter().map(move |c| format!("{s}{c}"))).collect();
            out.extend(last.iter().cloned());
        }
        out
    }

    #[test]
    fn what_texts_show_is_so_for_all_texts() {
        let mut atoms = Atoms::default();
        let var = atoms.add_var(
            "[x]".into(),
            Variable {
                expr: Expr::column("x", Type::String, Span::default()),
                column: Some("x".into()),
                columns: vec!["x".into()],
                kind: VarKind::Text,
                domain: None,
                atoms: Vec::new(),
            },
        );
        let mut all = vec![atoms.intern(var, Test::Null, None).0];
        let plain = Arc::<crate::lens::Lens>::default();
        for t in texts(2) {
            for (start, end) in [(false, false), (true, false), (false, true), (true, true)] {
                for ci in [false, true] {
                    if t.is_empty() && !(start && end) {
                        continue;
                    }
                    let text = if ci { fold(&t) } else { t.clone() };
                    let test = TextTest::Literal { text: text.into(), start, end, ci };
                    all.push(atoms.intern(var, Test::Text(plain.clone(), test), None).0);
                }
            }
            let test = TextTest::Term { text: fold(&t).into(), before: true, after: true, ci: true };
            all.push(atoms.intern(var, Test::Text(plain.clone(), test), None).0);
        }
        all.sort_unstable();
        all.dedup();
        let values: Vec<Value> =
            std::iter::once(Value::Null).chain(texts(4).into_iter().map(Value::Str)).collect();
        let passed: Vec<Vec<bool>> =
            all.iter().map(|a| values.iter().map(|v| atoms.holds(*a, v)).collect()).collect();
        let (mut apart, mut implied) = (0, 0);
        for (x, a) in all.iter().enumerate() {
            let seen = Seen::of(&atoms, *a);
            for (y, b) in all.iter().enumerate().filter(|(y, _)| *y != x) {
                let both = passed[x].iter().zip(&passed[y]).position(|(p, q)| *p && *q);
                let only = passed[x].iter().zip(&passed[y]).position(|(p, q)| *p && !*q);
                let tests = || format!("{:?} {:?}", atoms.atom(*a).test, atoms.atom(*b).test);
                if seen.apart(&atoms, *b) {
                    apart += 1;
                    assert_eq!(both.map(|v| &values[v]), None, "{}", tests());
                }
                if seen.implies(&atoms, *b) {
                    implied += 1;
                    assert_eq!(only.map(|v| &values[v]), None, "{}", tests());
                }
            }
        }
        assert!(apart > 500 && implied > 500, "{apart} {implied}");
    }
}
