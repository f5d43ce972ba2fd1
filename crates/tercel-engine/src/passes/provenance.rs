//! Where a row came from, carried beside it.

use crate::source::hidden;
use tercel_ir::{Column, Expr, JoinKind, Rel, RelKind, Schema};

/// The relation with the hidden columns `$time`, `$source`, `$record` and `$event` of the event behind
/// each row added at the end. `None` where a row has no single event behind it: groups and most joins
/// (the kept side of a semi, anti or left outer join still counts).
pub fn with_provenance(rel: &Rel) -> Option<Rel> {
    let mut rel = rel.clone();
    carry(&mut rel).then_some(rel)
}

fn add(schema: &mut Schema, at: usize) {
    let missing: Vec<Column> = hidden::ALL
        .iter()
        .filter(|(n, _)| schema.get(n).is_none())
        .map(|(n, t)| Column::new(*n, *t))
        .collect();
    schema.columns.splice(at..at, missing);
}

fn carry(rel: &mut Rel) -> bool {
    let span = rel.span;
    let width = rel.schema.columns.len();
    match &mut rel.kind {
        RelKind::Scan { .. } => {}
        RelKind::Values { .. } => {
            // Literal rows come from no file.
            let nulls = hidden::ALL.iter().map(|(n, t)| ((*n).into(), Expr::null(*t, span))).collect();
            *rel = rel.clone().extend(nulls, span);
            return true;
        }
        RelKind::View { body, .. } => {
            if !carry(std::sync::Arc::make_mut(body)) {
                return false;
            }
        }
        RelKind::Filter { input: i, .. }
        | RelKind::Extend { input: i, .. }
        | RelKind::Sort { input: i, .. }
        | RelKind::Limit { input: i, .. }
        | RelKind::Unnest { input: i, .. } => {
            if !carry(i) {
                return false;
            }
        }
        RelKind::Project { input, columns } => {
            if !carry(input) {
                return false;
            }
            for (name, ty) in hidden::ALL {
                if !columns.iter().any(|(c, _)| &**c == name) {
                    columns.push((name.into(), Expr::column(name, ty, span)));
                }
            }
        }
        RelKind::Union { inputs, .. } => {
            if !inputs.iter_mut().all(carry) {
                return false;
            }
        }
        RelKind::Join { left, right, kind, .. } => match kind {
            JoinKind::LeftSemi | JoinKind::LeftAnti => {
                if !carry(left) {
                    return false;
                }
            }
            JoinKind::RightSemi | JoinKind::RightAnti => {
                if !carry(right) {
                    return false;
                }
            }
            JoinKind::LeftOuter => {
                // Output columns answer to input columns by position, so the new ones stand where the
                // left side now has them.
                let at = left.schema.columns.len();
                if !carry(left) {
                    return false;
                }
                add(&mut rel.schema, at);
                return true;
            }
            JoinKind::Inner | JoinKind::InnerUnique | JoinKind::RightOuter | JoinKind::FullOuter => {
                return false;
            }
        },
        RelKind::Aggregate { .. } => return false,
    }
    add(&mut rel.schema, width);
    true
}
