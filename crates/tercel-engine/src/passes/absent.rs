//! Tables that the data does not have.

use std::sync::Arc;
use tercel_ir::{Expr, ExprKind, JoinKind, Name, Rel, RelKind};

/// Whether the relation is known to have no rows.
pub fn is_empty(rel: &Rel) -> bool {
    matches!(&rel.kind, RelKind::Values { rows } if rows.is_empty())
}

/// Replaces scans of tables that are not present by relations without rows, and what follows from that
/// (an empty branch of a union, an inner join with nothing). Returns the tables that were missing, each
/// once, in order of appearance. If [`is_empty`] holds afterwards, the plan cannot give a row on this data.
pub fn prune_absent(rel: &mut Rel, present: &dyn Fn(&str) -> bool) -> Vec<Name> {
    let mut missing = Vec::new();
    prune(rel, present, &mut missing);
    missing
}

fn prune_expr(e: &mut Expr, present: &dyn Fn(&str) -> bool, missing: &mut Vec<Name>) {
    if let ExprKind::Scalar(r) | ExprKind::InRelation { relation: r, .. } = &mut e.kind
        // Relations are shared by reference; only those that change are copied.
        && r.tables().iter().any(|t| !present(t))
    {
        prune(Arc::make_mut(r), present, missing);
    }
    e.children_mut().into_iter().for_each(|c| prune_expr(c, present, missing));
}

fn has_empty(rel: &Rel) -> bool {
    is_empty(rel) || rel.inputs().into_iter().any(has_empty)
}

fn prune(rel: &mut Rel, present: &dyn Fn(&str) -> bool, missing: &mut Vec<Name>) {
    rel.expressions_mut().into_iter().for_each(|e| prune_expr(e, present, missing));
    if matches!(&rel.kind, RelKind::View { body, .. } if body.tables().iter().all(|t| present(t)) && !has_empty(body))
    {
        // Nothing in it changes: it stays shared with the other rules that read it.
        return;
    }
    rel.inputs_mut().into_iter().for_each(|i| prune(i, present, missing));
    let empty = match &mut rel.kind {
        RelKind::Scan { table } => {
            let absent = !present(table);
            if absent && !missing.contains(table) {
                missing.push(table.clone());
            }
            absent
        }
        RelKind::Values { .. } => false,
        RelKind::View { body, .. } => is_empty(body),
        RelKind::Filter { input: i, .. }
        | RelKind::Extend { input: i, .. }
        | RelKind::Project { input: i, .. }
        | RelKind::Sort { input: i, .. }
        | RelKind::Limit { input: i, .. }
        | RelKind::Unnest { input: i, .. } => is_empty(i),
        // Without keys there is one row even over nothing.
        RelKind::Aggregate { input, keys, .. } => !keys.is_empty() && is_empty(input),
        RelKind::Join { left, right, kind, .. } => {
            let (l, r) = (is_empty(left), is_empty(right));
            match kind {
                JoinKind::Inner | JoinKind::InnerUnique | JoinKind::LeftSemi | JoinKind::RightSemi => l || r,
                JoinKind::LeftOuter | JoinKind::LeftAnti => l,
                JoinKind::RightOuter | JoinKind::RightAnti => r,
                JoinKind::FullOuter => l && r,
            }
        }
        RelKind::Union { inputs, tag } => {
            let keep: Vec<bool> = inputs.iter().map(|i| !is_empty(i)).collect();
            let mut k = keep.iter();
            inputs.retain(|_| k.next().copied().unwrap_or(true));
            if let Some((_, labels)) = tag {
                let mut k = keep.iter();
                labels.retain(|_| k.next().copied().unwrap_or(true));
            }
            inputs.is_empty()
        }
    };
    if empty {
        *rel = Rel::empty(rel.schema.clone(), rel.span);
    }
}
