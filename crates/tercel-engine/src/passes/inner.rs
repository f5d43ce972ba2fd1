//! Relations inside expressions: run first, then replaced by what they gave.

use std::sync::Arc;
use tercel_ir::{Column, Expr, ExprKind, Name, Rel, Type, Value};

/// A relation inside an expression.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) relation: Arc<Rel>,
    /// Only the first value is wanted; otherwise the set of all values.
    pub(crate) scalar: bool,
}

impl Inner {
    fn same(&self, relation: &Arc<Rel>, scalar: bool) -> bool {
        self.scalar == scalar && Arc::ptr_eq(&self.relation, relation)
    }

    /// What has to be run: the first column, of the first row or of all distinct ones. `None` when the
    /// relation has no columns.
    pub(crate) fn plan(&self) -> Option<(Rel, Type)> {
        let Column { name, ty, .. } = self.relation.schema.columns.first()?;
        let span = self.relation.span;
        let column = || Expr::column(name.clone(), *ty, span);
        let first: Vec<(Name, Expr)> = vec![(name.clone(), column())];
        let rel = self.relation.as_ref().clone();
        let rel = if self.scalar {
            rel.limit(1, span).project(first, span)
        } else {
            rel.project(first.clone(), span).aggregate(first, vec![], span)
        };
        Some((rel, *ty))
    }
}

/// What an inner relation gave: the values of its first column.
pub(crate) struct Answer {
    pub(crate) inner: Inner,
    pub(crate) values: Vec<Value>,
}

/// Adds the inner relations that can be run now, that is those without inner relations of their own. The
/// same relation used twice is run once.
pub(crate) fn ready(rel: &Rel, out: &mut Vec<Inner>) {
    fn expr(e: &Expr, out: &mut Vec<Inner>) {
        let (relation, scalar) = match &e.kind {
            ExprKind::Scalar(r) => (r, true),
            ExprKind::InRelation { relation, .. } => (relation, false),
            _ => {
                e.children().into_iter().for_each(|c| expr(c, out));
                return;
            }
        };
        e.children().into_iter().for_each(|c| expr(c, out));
        let before = out.len();
        ready(relation, out);
        if out.len() == before && !contains_inner(relation) && !out.iter().any(|i| i.same(relation, scalar)) {
            out.push(Inner { relation: relation.clone(), scalar });
        }
    }
    rel.expressions().into_iter().for_each(|e| expr(e, out));
    rel.inputs().into_iter().for_each(|i| ready(i, out));
}

fn contains_inner(rel: &Rel) -> bool {
    fn expr(e: &Expr) -> bool {
        matches!(e.kind, ExprKind::Scalar(_) | ExprKind::InRelation { .. })
            || e.children().into_iter().any(expr)
    }
    rel.expressions().into_iter().any(expr) || rel.inputs().into_iter().any(contains_inner)
}

/// Puts the answers in the places of their relations.
pub(crate) fn substitute(rel: &mut Rel, answers: &[Answer]) {
    if !contains_inner(rel) {
        return;
    }
    rel.expressions_mut().into_iter().for_each(|e| substitute_expr(e, answers));
    rel.inputs_mut().into_iter().for_each(|i| substitute(i, answers));
}

fn substitute_expr(e: &mut Expr, answers: &[Answer]) {
    let span = e.span;
    let find = |r: &Arc<Rel>, scalar: bool| answers.iter().find(|a| a.inner.same(r, scalar));
    let replacement = match &mut e.kind {
        ExprKind::Scalar(r) => match find(r, true) {
            Some(a) => Some(ExprKind::Literal(a.values.first().cloned().unwrap_or_default())),
            None => {
                if contains_inner(r) {
                    substitute(Arc::make_mut(r), answers);
                }
                None
            }
        },
        ExprKind::InRelation { value, relation, ignore_case } => {
            substitute_expr(value, answers);
            match find(relation, false) {
                Some(a) => Some(member(value, &a.values, *ignore_case)),
                None => {
                    if contains_inner(relation) {
                        substitute(Arc::make_mut(relation), answers);
                    }
                    None
                }
            }
        }
        _ => {
            e.children_mut().into_iter().for_each(|c| substitute_expr(c, answers));
            None
        }
    };
    if let Some(kind) = replacement {
        *e = Expr { kind, ty: e.ty, span };
    }
}

/// Membership in a list of values; null is never a member.
fn member(value: &Expr, list: &[Value], ignore_case: bool) -> ExprKind {
    let span = value.span;
    let literals: Vec<Expr> =
        list.iter().filter(|v| !v.is_null()).map(|v| Expr::literal(v.clone(), span)).collect();
    if literals.is_empty() {
        return ExprKind::Literal(Value::Bool(false));
    }
    let function = if ignore_case { "in_ci" } else { "in" };
    let args = [value.clone()].into_iter().chain(literals).collect();
    let found = Expr::known(function, args, span);
    if !ignore_case {
        return found.kind;
    }
    // Text functions take null as `""`; membership does not.
    ExprKind::And(vec![Expr::known("isnotnull", vec![value.clone()], span), found])
}
