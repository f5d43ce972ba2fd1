//! Truth of formulas for one event, fast enough to be asked once for every item of a long list.

use crate::atom::{Atoms, Test, TextTest, VarId, Variable};
use crate::formula::{Arena, AtomId, Node, NodeKind};
use crate::prover::Row;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use tercel_ir::Value;
use tercel_ir::function::fold;

/// Truth of every atom for one event.
#[derive(Clone)]
pub(crate) struct Truths {
    atoms: Vec<bool>,
}

/// All tests of one text column; literal ones are found by one scan of the text.
pub(crate) struct ColumnTests {
    var: VarId,
    folded: Option<(AhoCorasick, Vec<AtomId>)>,
    exact: Option<(AhoCorasick, Vec<AtomId>)>,
    others: Vec<AtomId>,
}

/// Truth of nodes that has been worked out, for one event.
#[derive(Default)]
pub(crate) struct Memo {
    nodes: Vec<u8>,
    touched: Vec<Node>,
}

impl Memo {
    pub(crate) fn clear(&mut self) {
        for n in self.touched.drain(..) {
            self.nodes[n as usize] = 0;
        }
    }
}

impl Truths {
    pub(crate) fn of(atoms: &Atoms, row: &Row) -> Truths {
        let look = |n: &str| row.get(n).cloned().unwrap_or_default();
        let mut truths = vec![false; atoms.list.len()];
        for v in &atoms.vars {
            atoms.truths(v.atoms.iter().copied(), &look, |a, t| truths[a as usize] = t);
        }
        Truths { atoms: truths }
    }
    /// The atoms of one variable as they are for an event.
    pub(crate) fn set(&mut self, atoms: &Atoms, v: &Variable, row: &Row) {
        let look = |n: &str| row.get(n).cloned().unwrap_or_default();
        atoms.truths(v.atoms.iter().copied(), &look, |a, t| self.atoms[a as usize] = t);
    }
    /// The same event with another text in one column; gives back what was changed.
    pub(crate) fn put(&mut self, atoms: &Atoms, tests: &ColumnTests, text: &str) -> Vec<(AtomId, bool)> {
        let mut old = Vec::new();
        let all = &atoms.vars[tests.var as usize].atoms;
        let mut now: Vec<AtomId> = Vec::new();
        if let Some((ac, ids)) = &tests.folded {
            scan(ac, ids, &fold(text), &mut now);
        }
        if let Some((ac, ids)) = &tests.exact {
            scan(ac, ids, text, &mut now);
        }
        let value = Value::str(text);
        now.extend(tests.others.iter().copied().filter(|a| atoms.holds(*a, &value)));
        now.sort_unstable();
        now.dedup();
        for a in all {
            let t = now.binary_search(a).is_ok();
            let slot = &mut self.atoms[*a as usize];
            if *slot != t {
                old.push((*a, *slot));
                *slot = t;
            }
        }
        old
    }
    pub(crate) fn restore(&mut self, old: Vec<(AtomId, bool)>) {
        for (a, t) in old {
            self.atoms[a as usize] = t;
        }
    }
    /// Whether a formula is true; its depth bounds the recursion.
    pub(crate) fn holds(&self, arena: &Arena, n: Node, memo: &mut Memo) -> bool {
        if memo.nodes.len() < arena.len() {
            memo.nodes.resize(arena.len(), 0);
        }
        match memo.nodes[n as usize] {
            1 => return false,
            2 => return true,
            _ => {}
        }
        let t = match arena.kind(n) {
            NodeKind::True => true,
            NodeKind::False => false,
            NodeKind::Lit(a, p) => self.atoms.get(*a as usize).copied().unwrap_or(false) == *p,
            NodeKind::And(items) => items.iter().all(|i| self.holds(arena, *i, memo)),
            NodeKind::Or(items) => items.iter().any(|i| self.holds(arena, *i, memo)),
        };
        memo.nodes[n as usize] = 1 + u8::from(t);
        memo.touched.push(n);
        t
    }
}

fn scan(ac: &AhoCorasick, ids: &[AtomId], text: &str, out: &mut Vec<AtomId>) {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    bytes.push(0xFF);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0xFE);
    out.extend(ac.find_overlapping_iter(&bytes).map(|m| ids[m.pattern().as_usize()]));
}

impl ColumnTests {
    /// `None` when other variables are computed from the column: then a new text changes them too.
    pub(crate) fn new(atoms: &Atoms, var: VarId) -> Option<ColumnTests> {
        let column = atoms.vars[var as usize].column.clone()?;
        let elsewhere =
            |(i, v): (usize, &crate::atom::Variable)| i as VarId != var && v.columns.contains(&column);
        if atoms.vars.iter().enumerate().any(elsewhere) {
            return None;
        }
        let (mut folded, mut exact, mut others) =
            ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()), Vec::new());
        for a in &atoms.vars[var as usize].atoms {
            match &atoms.atom(*a).test {
                Test::Text(l, TextTest::Literal { text, start, end, ci }) if l.is_identity() => {
                    let mut b = Vec::with_capacity(text.len() + 2);
                    b.extend(start.then_some(0xFFu8));
                    b.extend_from_slice(text.as_bytes());
                    b.extend(end.then_some(0xFEu8));
                    let (patterns, ids) = if *ci { &mut folded } else { &mut exact };
                    patterns.push(b);
                    ids.push(*a);
                }
                _ => others.push(*a),
            }
        }
        let build = |(patterns, ids): (Vec<Vec<u8>>, Vec<AtomId>)| {
            if patterns.is_empty() {
                return Some(None);
            }
            let ac = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(patterns)
                .ok()?;
            Some(Some((ac, ids)))
        };
        Some(ColumnTests { var, folded: build(folded)?, exact: build(exact)?, others })
    }
}
