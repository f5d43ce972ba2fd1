//! The conditions of a detection over one table as a tree, to be asked of a solver and of an event, whole and
//! with a part replaced.

use super::rows::Rows;
use crate::Unknown;
use crate::flatten::{Branch, Env, Flattener};
use crate::formula::{Arena, Node};
use crate::prover::{Prover, Row};
use std::collections::HashMap;
use std::time::Instant;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Span, Value};

/// How a part joins its children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    All,
    Any,
    Not,
    Leaf,
}

/// "It is true", "it is false": with a null it is neither.
pub(super) type Truth = (bool, bool);

pub(super) struct Part {
    pub parent: Option<usize>,
    pub kind: Kind,
    pub children: Vec<usize>,
    /// The place in the author's text; nothing for what a view or the generator adds.
    pub span: Option<Span>,
    /// The item itself, where several share a place: the elements of a list that a name stands for.
    pub item: Option<String>,
    /// Of a leaf: which one, see [`Tree::leaves`].
    leaf: Option<usize>,
    truth: (Node, Node),
}

/// A test, over the columns of the table.
pub(super) struct Leaf {
    pub expr: Expr,
    /// As it was before columns that follow from others were put in, if it reads one.
    plain: Option<Expr>,
    pub columns: Vec<Name>,
}

pub(super) struct Tree<'r> {
    pub prover: Prover,
    pub parts: Vec<Part>,
    pub leaves: Vec<Leaf>,
    /// The leaves that read a column.
    readers: HashMap<Name, Vec<usize>>,
    /// The ways to the result; the last part, [`Tree::root`], is their disjunction.
    pub ways: Vec<usize>,
    pub root: usize,
    /// What events are like, and what of it concerns the columns that are looked at.
    rows: Option<Rows<'r>>,
    pub holds: Vec<Expr>,
    /// When nothing more is tried; what was found until then stays.
    pub deadline: Instant,
}

/// An event, and what each leaf says of it.
#[derive(Clone)]
pub(super) struct Seen {
    pub row: Row,
    leaves: Vec<Truth>,
}

impl<'r> Tree<'r> {
    /// The tree of all ways from one table to the result.
    ///
    /// # Errors
    /// What is too large or takes longer than until the deadline.
    pub fn new(
        branches: &[Branch],
        flat: &mut Flattener,
        rows: Option<Rows<'r>>,
        deadline: Instant,
    ) -> Result<Tree<'r>, Unknown> {
        let mut schema = branches.first().map(|b| b.schema.as_ref().clone()).unwrap_or_default();
        for b in branches {
            schema.open |= b.schema.open;
            for c in &b.schema.columns {
                if schema.get(&c.name).is_none() {
                    schema.columns.push(c.clone());
                }
            }
        }
        let mut t = Tree {
            prover: Prover::new(schema.into()).until(deadline),
            parts: Vec::new(),
            leaves: Vec::new(),
            readers: HashMap::new(),
            ways: Vec::new(),
            root: 0,
            rows,
            holds: Vec::new(),
            deadline,
        };
        for b in branches {
            if t.late() {
                return Err(Unknown::new(super::NO_TIME));
            }
            let mut steps = Vec::with_capacity(b.steps.len());
            for s in &b.steps {
                steps.push(if s.in_view {
                    t.leaf(&s.predicate, &s.env, flat, false)?
                } else {
                    t.build(&s.predicate, &s.env, flat)?
                });
            }
            let way = t.part(Kind::All, None);
            t.adopt(way, steps);
            t.ways.push(way);
        }
        t.root = t.part(Kind::Any, None);
        let ways = t.ways.clone();
        t.adopt(t.root, ways);
        if let Some(rows) = &t.rows {
            t.holds = rows.about(t.readers.keys().cloned());
        }
        Ok(t)
    }

    pub fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn part(&mut self, kind: Kind, span: Option<Span>) -> usize {
        let truth = (Arena::TRUE, Arena::FALSE);
        self.parts.push(Part {
            parent: None,
            kind,
            children: Vec::new(),
            span,
            item: None,
            leaf: None,
            truth,
        });
        self.parts.len() - 1
    }

    /// The recursion is as deep as a condition, which flattening limits.
    fn build(&mut self, e: &Expr, env: &Env, flat: &mut Flattener) -> Result<usize, Unknown> {
        let span = (e.span != Span::default()).then_some(e.span);
        let mut children = Vec::new();
        let kind = match &e.kind {
            ExprKind::And(items) | ExprKind::Or(items) => {
                for i in items {
                    children.push(self.build(i, env, flat)?);
                }
                if matches!(e.kind, ExprKind::And(_)) { Kind::All } else { Kind::Any }
            }
            ExprKind::Not(x) => {
                children.push(self.build(x, env, flat)?);
                Kind::Not
            }
            ExprKind::Call(f, args)
                if matches!(f.name, "in" | "in_ci" | "has_any" | "has_all")
                    && args.len() > 1
                    && args[1..].iter().map(elements).sum::<usize>() > 1 =>
            {
                for item in &args[1..] {
                    let many: Vec<(Expr, Option<String>)> = match item.as_literal() {
                        Some(Value::Dynamic(serde_json::Value::Array(all))) => all
                            .iter()
                            .map(|x| {
                                let one = Value::Dynamic(vec![x.clone()].into());
                                let text = Value::Dynamic(x.clone()).to_text();
                                (Expr { span: item.span, ..Expr::literal(one, item.span) }, Some(text))
                            })
                            .collect(),
                        _ => vec![(item.clone(), None)],
                    };
                    for (item, text) in many {
                        let one = ExprKind::Call(f, vec![args[0].clone(), item.clone()]);
                        let one = Expr { kind: one, ty: e.ty, span: item.span };
                        let id = self.leaf(&one, env, flat, true)?;
                        self.parts[id].item = text;
                        children.push(id);
                    }
                }
                if f.name == "has_all" { Kind::All } else { Kind::Any }
            }
            _ => return self.leaf(e, env, flat, true),
        };
        let id = self.part(kind, span);
        self.adopt(id, children);
        Ok(id)
    }

    fn leaf(&mut self, e: &Expr, env: &Env, flat: &mut Flattener, written: bool) -> Result<usize, Unknown> {
        let span = (written && e.span != Span::default()).then_some(e.span);
        let mut expr = flat.substitute(e, env)?;
        let mut plain = None;
        if let Some(put) = self.rows.as_ref().and_then(|r| r.put_in(&expr)) {
            plain = Some(std::mem::replace(&mut expr, put));
        }
        let id = self.part(Kind::Leaf, span);
        let b = &mut self.prover.builder;
        self.parts[id].truth = (b.truth(&expr, true)?, b.truth(&expr, false)?);
        let mut found = Vec::new();
        expr.columns(&mut found);
        let mut columns: Vec<Name> = found.into_iter().map(|c| c.0).collect();
        columns.sort();
        columns.dedup();
        let at = self.leaves.len();
        for c in &columns {
            self.readers.entry(c.clone()).or_default().push(at);
        }
        self.leaves.push(Leaf { expr, plain, columns });
        self.parts[id].leaf = Some(at);
        Ok(id)
    }

    fn adopt(&mut self, id: usize, children: Vec<usize>) {
        for c in &children {
            self.parts[*c].parent = Some(id);
        }
        self.parts[id].children = children;
        self.parts[id].truth = self.combine(id, &[], (Arena::TRUE, Arena::FALSE));
    }

    /// What a part's children make of it, where those of the list are something else.
    fn combine(&mut self, id: usize, replaced: &[usize], by: (Node, Node)) -> (Node, Node) {
        let p = &self.parts[id];
        let (t, f): (Vec<Node>, Vec<Node>) =
            p.children.iter().map(|c| if replaced.contains(c) { by } else { self.parts[*c].truth }).unzip();
        let arena = &mut self.prover.builder.arena;
        match p.kind {
            Kind::All => (arena.and(t), arena.or(f)),
            Kind::Any => (arena.or(t), arena.and(f)),
            Kind::Not => (f[0], t[0]),
            Kind::Leaf => p.truth,
        }
    }

    /// "It is true", of a part.
    pub fn node(&self, id: usize) -> Node {
        self.parts[id].truth.0
    }

    /// "The whole is true", parts of one parent replaced by a constant.
    pub fn without(&mut self, parts: &[usize], value: bool) -> Node {
        let mut now = (Arena::constant(value), Arena::constant(!value));
        let mut replaced = parts.to_vec();
        while let Some(parent) = replaced.first().and_then(|p| self.parts[*p].parent) {
            now = self.combine(parent, &replaced, now);
            replaced = vec![parent];
        }
        now.0
    }

    /// Looks at an event.
    pub fn see(&self, row: Row) -> Seen {
        let leaves = self.leaves.iter().map(|l| truth(&l.expr, &row)).collect();
        Seen { row, leaves }
    }

    /// Gives a column another value; only what reads it is looked at again.
    pub fn put(&self, seen: &mut Seen, column: &Name, value: &Value) {
        if value.is_null() {
            seen.row.remove(column);
        } else {
            seen.row.insert(column.clone(), value.clone());
        }
        for at in self.readers.get(column).map_or(&[][..], Vec::as_slice) {
            seen.leaves[*at] = truth(&self.leaves[*at].expr, &seen.row);
        }
    }

    /// An event with what follows from its columns.
    pub fn whole(&self, row: &Row) -> Row {
        self.rows.as_ref().map_or_else(|| row.clone(), |r| r.follow(row))
    }

    /// Whether it is an event as the source writes it, which means to the detection what it was thought to.
    pub fn is_row(&self, seen: &Seen) -> bool {
        if self.rows.is_none() {
            return true;
        }
        if self.holds.iter().any(|e| truth(e, &seen.row).1) {
            return false;
        }
        let whole = self.whole(&seen.row);
        let as_thought = |(l, t): (&Leaf, &Truth)| l.plain.as_ref().is_none_or(|e| truth(e, &whole) == *t);
        self.leaves.iter().zip(&seen.leaves).all(as_thought)
    }

    /// Whether the whole is true of an event.
    pub fn holds(&self, seen: &Seen) -> bool {
        self.value(self.root, seen).0
    }

    /// The truth of a part for an event.
    pub fn value(&self, id: usize, seen: &Seen) -> Truth {
        let p = &self.parts[id];
        match (p.leaf, p.kind) {
            (Some(at), _) => seen.leaves[at],
            (None, Kind::All) => (
                p.children.iter().all(|c| self.value(*c, seen).0),
                p.children.iter().any(|c| self.value(*c, seen).1),
            ),
            (None, Kind::Any) => (
                p.children.iter().any(|c| self.value(*c, seen).0),
                p.children.iter().all(|c| self.value(*c, seen).1),
            ),
            (None, _) => {
                let (t, f) = p.children.first().map_or((true, false), |c| self.value(*c, seen));
                (f, t)
            }
        }
    }

    /// Whether the whole is true of an event, parts of one parent replaced by a constant.
    pub fn holds_without(&self, seen: &Seen, parts: &[usize], value: bool) -> bool {
        let mut now = (value, !value);
        let mut replaced = parts.to_vec();
        while let Some(parent) = replaced.first().and_then(|p| self.parts[*p].parent) {
            let p = &self.parts[parent];
            let of = |c: &usize| if replaced.contains(c) { now } else { self.value(*c, seen) };
            now = match p.kind {
                Kind::All => (p.children.iter().all(|c| of(c).0), p.children.iter().any(|c| of(c).1)),
                Kind::Any => (p.children.iter().any(|c| of(c).0), p.children.iter().all(|c| of(c).1)),
                Kind::Not | Kind::Leaf => (now.1, now.0),
            };
            replaced = vec![parent];
        }
        now.0
    }

    /// Gives columns such values that a part becomes true, if that is easily done. `keep`: what a column
    /// holds stays in it where that is possible. Columns of the list are left alone.
    pub fn make_true(&self, id: usize, seen: &mut Seen, keep: bool, fixed: &[Name]) -> bool {
        if self.value(id, seen).0 {
            return true;
        }
        // The choices of lists in lists multiply.
        if self.late() {
            return false;
        }
        let p = &self.parts[id];
        match (p.leaf, p.kind) {
            (Some(at), _) => self.make_leaf_true(at, seen, keep, fixed),
            (None, Kind::All) => {
                p.children.iter().all(|c| self.make_true(*c, seen, keep, fixed)) && self.value(id, seen).0
            }
            (None, Kind::Any) => p.children.iter().take(8).any(|c| {
                let mut copy = seen.clone();
                let made = self.make_true(*c, &mut copy, keep, fixed);
                if made {
                    *seen = copy;
                }
                made
            }),
            (None, _) => false,
        }
    }

    fn make_leaf_true(&self, at: usize, seen: &mut Seen, keep: bool, fixed: &[Name]) -> bool {
        let leaf = &self.leaves[at];
        let mut wanted = Vec::new();
        super::vary::literals(&leaf.expr, &mut wanted);
        let schema = &self.prover.builder.schema;
        for c in leaf.columns.iter().filter(|c| !fixed.contains(c) && !c.starts_with('$')) {
            let known = schema.get(c);
            let ty = known.map_or(tercel_ir::Type::String, |c| c.ty);
            let domain = known.and_then(|c| c.domain.as_ref());
            let before = seen.row.get(c).cloned().unwrap_or_default();
            for value in super::vary::with(c, ty, domain, &before, &wanted, keep) {
                self.put(seen, c, &value);
                if seen.leaves[at].0 {
                    return true;
                }
                if self.late() {
                    break;
                }
            }
            self.put(seen, c, &before);
        }
        false
    }

    /// What a `not` negates; anything else itself.
    pub fn inner(&self, id: usize) -> usize {
        let p = &self.parts[id];
        match (p.kind, &p.children[..]) {
            (Kind::Not, [inner]) => *inner,
            _ => id,
        }
    }

    /// The leaves under a part.
    pub fn leaves_under(&self, id: usize, out: &mut Vec<usize>) {
        out.extend(self.parts[id].leaf);
        for c in &self.parts[id].children {
            self.leaves_under(*c, out);
        }
    }
}

/// How many items an argument of a list test stands for.
fn elements(e: &Expr) -> usize {
    match e.as_literal() {
        Some(Value::Dynamic(serde_json::Value::Array(all))) => all.len(),
        _ => 1,
    }
}

fn truth(e: &Expr, row: &Row) -> Truth {
    let v = e.eval(&|n| row.get(n).cloned().unwrap_or_default(), &Context::default()).as_bool();
    (v == Some(true), v == Some(false))
}
