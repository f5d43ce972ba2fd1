//! What is known of a column decides tests of it.
//!
//! Where a conjunction says `ActionType == "ConnectionSuccess"`, every other test of `ActionType` in it is
//! decided, and so are the cases that hang on it. That is what turns a view's definitions, which are for all
//! events, into what they come to for the events of one rule.

use crate::logic::{as_bool, tidy_join};
use crate::rewrite::{call, signed};
use crate::tree::{Mark, rebuilt, same};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Value};

/// Values beyond this many are not tried.
const MAX_VALUES: usize = 64;
const MAX_DEPTH: usize = 80;

/// Columns with the only values that they can have, and tests that hold.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    values: Rc<HashMap<Name, Vec<Value>>>,
    /// Texts that a column can only be if case is of no account.
    folded: Rc<HashMap<Name, Vec<String>>>,
    holds: Rc<HashSet<Mark>>,
}

/// The column and the values of a test that lists what it may be.
fn listed(e: &Expr) -> Option<(&Name, Vec<Value>)> {
    let (name, args) = call(e)?;
    if !matches!(name, "eq" | "in") {
        return None;
    }
    let column = args.first()?.as_column()?;
    let values: Option<Vec<Value>> =
        args[1..].iter().map(|a| a.as_literal().filter(|v| !v.is_null()).cloned()).collect();
    let values = values.filter(|v| !v.is_empty() && v.len() <= MAX_VALUES)?;
    values.iter().all(|v| !matches!(v, Value::Dynamic(_))).then_some((column, values))
}

impl Facts {
    /// Learns from a test that holds. `false`: it contradicts what is known.
    pub fn learn(&mut self, e: &Expr) -> bool {
        Rc::make_mut(&mut self.holds).insert(Mark::of(e));
        if let Some((column, mut values)) = listed(e) {
            if let Some(known) = self.values.get(column) {
                values.retain(|v| known.contains(v));
            }
            let possible = !values.is_empty();
            Rc::make_mut(&mut self.values).insert(column.clone(), values);
            return possible;
        }
        if let Some(("eq_ci" | "in_ci", args)) = call(e)
            && let Some(column) = args.first().and_then(Expr::as_column)
            && args.len() <= MAX_VALUES
        {
            let texts = args[1..].iter().map(|a| match a.as_literal() {
                Some(Value::Str(s)) if !s.is_empty() => Some(tercel_ir::function::fold(s)),
                _ => None,
            });
            if let Some(mut texts) = texts.collect::<Option<Vec<String>>>() {
                if let Some(known) = self.folded.get(column) {
                    texts.retain(|t| known.contains(t));
                }
                let possible = !texts.is_empty();
                Rc::make_mut(&mut self.folded).insert(column.clone(), texts);
                return possible;
            }
        }
        true
    }

    /// Whether a test is decided.
    fn decide(&self, e: &Expr) -> Option<bool> {
        if let Some(b) = as_bool(e) {
            return Some(b);
        }
        let (test, positive) = signed(e);
        if !self.holds.is_empty() {
            if self.holds.contains(&Mark::of(test)) {
                return Some(positive);
            }
            if self.holds.contains(&Mark::of_negated(test)) {
                return Some(!positive);
            }
        }
        let mut columns = Vec::new();
        test.columns(&mut columns);
        let (column, _) = columns.first()?;
        if columns.iter().any(|(c, _)| c != column) || !plain(test) {
            return None;
        }
        let folded: Vec<Value>;
        let known = match self.values.get(column) {
            Some(known) => known,
            // Functions that ignore case give one answer for all ways to write a text.
            None if uncased(test) => {
                folded = self.folded.get(column)?.iter().map(|s| Value::str(s.as_str())).collect();
                &folded
            }
            None => return None,
        };
        let ctx = Context::default();
        let mut found: Option<bool> = None;
        for v in known {
            let b = test.eval(&|_| v.clone(), &ctx).as_bool() == Some(true);
            if found.is_some_and(|f| f != b) {
                return None;
            }
            found = Some(b);
        }
        found.map(|b| b == positive)
    }

    /// The expression where the facts hold.
    pub fn simplify(&self, e: &Expr, depth: usize) -> Expr {
        if depth > MAX_DEPTH {
            return e.clone();
        }
        let span = e.span;
        match &e.kind {
            ExprKind::And(items) => self.conjunction(items, depth, span),
            ExprKind::Or(items) => {
                tidy_join(items.iter().map(|i| self.simplify(i, depth + 1)).collect(), false, span)
            }
            _ if self.values.is_empty() && self.holds.is_empty() && self.folded.is_empty() => e.clone(),
            _ => {
                if let Some(b) = self.decide(e) {
                    return Expr::boolean(b, span);
                }
                let narrowed = self.positive(e).unwrap_or_else(|| e.clone());
                self.terms(&narrowed, depth + 1)
            }
        }
    }

    /// A negated test of a column whose values are known, as the values that are left.
    fn positive(&self, e: &Expr) -> Option<Expr> {
        let (test, false) = signed(e) else { return None };
        let (_, args) = call(test)?;
        let column = args.first()?.as_column()?;
        listed(test)?;
        let known = self.values.get(column)?;
        let ctx = Context::default();
        let left: Vec<&Value> =
            known.iter().filter(|v| test.eval(&|_| (*v).clone(), &ctx).as_bool() != Some(true)).collect();
        let subject = args[0].clone();
        let literal = |v: &Value| Expr { ty: args[1].ty, ..Expr::literal(v.clone(), e.span) };
        Some(match left.as_slice() {
            [one] => Expr::known("eq", vec![subject, literal(one)], e.span),
            many => Expr::known(
                "in",
                std::iter::once(subject).chain(many.iter().map(|v| literal(v))).collect(),
                e.span,
            ),
        })
    }

    fn conjunction(&self, items: &[Expr], depth: usize, span: tercel_ir::Span) -> Expr {
        let mut out: Vec<Expr> = items.to_vec();
        // Facts make new facts; a few rounds are enough for what views need.
        for _ in 0..4 {
            let mut changed = false;
            // What a test says must not decide the test itself.
            let mut next = self.clone();
            for e in &out {
                if !matches!(e.kind, ExprKind::And(_) | ExprKind::Or(_)) && !next.learn(e) {
                    return Expr::boolean(false, span);
                }
            }
            let facts = next;
            let mut new = Vec::with_capacity(out.len());
            for e in &out {
                let s = if matches!(e.kind, ExprKind::And(_) | ExprKind::Or(_)) {
                    facts.simplify(e, depth + 1)
                } else {
                    self.unit(e, &facts, depth)
                };
                changed |= !same(&s, e);
                match s.kind {
                    ExprKind::And(inner) => new.extend(inner),
                    _ => new.push(s),
                }
            }
            let joined = tidy_join(new, true, span);
            match joined.kind {
                ExprKind::And(items) => out = items,
                _ => return joined,
            }
            if !changed {
                break;
            }
        }
        tidy_join(out, true, span)
    }

    /// A test among those that it may follow from, or be narrowed by.
    fn unit(&self, e: &Expr, facts: &Facts, depth: usize) -> Expr {
        // Under what holds outside, the test may be decided already.
        if let Some(b) = self.decide(e) {
            return Expr::boolean(b, e.span);
        }
        if let Some((column, mine)) = listed(e) {
            let Some(known) = facts.values.get(column) else { return e.clone() };
            if known.len() < mine.len() || known.iter().any(|k| !mine.contains(k)) {
                // A narrower list stands beside it, unless it is two lists that overlap: then this one
                // becomes what both have in common.
                let args = call(e).map_or(&[] as &[Expr], |c| c.1);
                let literal = |v: &Value| Expr { ty: args[1].ty, ..Expr::literal(v.clone(), e.span) };
                let subject = args[0].clone();
                return match known.as_slice() {
                    [one] => Expr::known("eq", vec![subject, literal(one)], e.span),
                    many => Expr::known(
                        "in",
                        std::iter::once(subject).chain(many.iter().map(literal)).collect(),
                        e.span,
                    ),
                };
            }
            return e.clone();
        }
        // The test itself is among the facts; it must be decided by the others.
        let mut others = facts.clone();
        others.holds.clone_from(&self.holds);
        if matches!(call(e), Some(("eq_ci" | "in_ci", _))) {
            others.folded.clone_from(&self.folded);
        }
        others.simplify(e, depth + 1)
    }

    /// Cases inside a test, where the facts decide their conditions.
    pub fn terms(&self, e: &Expr, depth: usize) -> Expr {
        if depth > MAX_DEPTH {
            return e.clone();
        }
        if let ExprKind::Case { branches, otherwise } = &e.kind {
            let mut left = Vec::new();
            for (c, t) in branches {
                let c = match crate::logic::two_valued(c, true) {
                    Ok(c) => self.simplify(&c, depth + 1),
                    Err(_) => c.clone(),
                };
                let t = self.terms(t, depth + 1);
                match as_bool(&c) {
                    Some(true) => {
                        return match left.is_empty() {
                            true => t,
                            false => Expr {
                                kind: ExprKind::Case { branches: left, otherwise: Box::new(t) },
                                ty: e.ty,
                                span: e.span,
                            },
                        };
                    }
                    Some(false) => {}
                    None => left.push((c, t)),
                }
            }
            let otherwise = self.terms(otherwise, depth + 1);
            if left.is_empty() {
                return otherwise;
            }
            return Expr {
                kind: ExprKind::Case { branches: left, otherwise: Box::new(otherwise) },
                ty: e.ty,
                span: e.span,
            };
        }
        rebuilt(e, |c| self.terms(c, depth + 1))
    }
}

/// What may be evaluated with a value in the column's place.
fn plain(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => false,
        ExprKind::Call(f, _) if f.name == "now" => false,
        _ => e.children().into_iter().all(plain),
    }
}

fn uncased(e: &Expr) -> bool {
    let Some((name, args)) = call(e) else { return false };
    let direct = args.first().is_some_and(|a| a.as_column().is_some());
    direct
        && matches!(
            name,
            "eq_ci"
                | "in_ci"
                | "contains"
                | "startswith"
                | "endswith"
                | "has"
                | "hasprefix"
                | "hassuffix"
                | "has_any"
                | "has_all"
                | "matches_glob_ci"
                | "isempty"
                | "isnotempty"
                | "isnull"
                | "isnotnull"
        )
}
