//! A text for an expression that is the same for all expressions of the same structure, wherever they
//! stand in their texts.

use std::fmt::Write;
use tercel_ir::{Expr, ExprKind, Rel, RelKind};

/// The key of an expression.
pub(crate) fn key(e: &Expr) -> String {
    let mut out = String::new();
    expr(e, &mut out);
    out
}

/// Whether two expressions have the same structure, wherever they stand. Of those that ask other relations it says no.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    let all = |x: &[Expr], y: &[Expr]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y));
    std::ptr::eq(a, b)
        || a.ty == b.ty
            && match (&a.kind, &b.kind) {
                (ExprKind::Literal(x), ExprKind::Literal(y)) => x == y,
                (ExprKind::Column(x), ExprKind::Column(y)) => x == y,
                (ExprKind::And(x), ExprKind::And(y)) | (ExprKind::Or(x), ExprKind::Or(y)) => all(x, y),
                (ExprKind::Not(x), ExprKind::Not(y)) => same(x, y),
                (ExprKind::Call(f, x), ExprKind::Call(g, y)) => f.name == g.name && all(x, y),
                (ExprKind::Case { .. }, ExprKind::Case { .. }) => {
                    let (x, y) = (a.children(), b.children());
                    x.len() == y.len() && x.into_iter().zip(y).all(|(x, y)| same(x, y))
                }
                _ => false,
            }
}

fn list<'a>(name: &str, items: impl IntoIterator<Item = &'a Expr>, out: &mut String) {
    out.push_str(name);
    out.push('(');
    for i in items {
        expr(i, out);
        out.push(',');
    }
    out.push(')');
}

fn expr(e: &Expr, out: &mut String) {
    match &e.kind {
        ExprKind::Literal(v) => {
            let _ = write!(out, "{v:?}");
        }
        ExprKind::Column(n) => {
            let _ = write!(out, "[{n}]");
        }
        ExprKind::And(v) => list("and", v, out),
        ExprKind::Or(v) => list("or", v, out),
        ExprKind::Not(x) => list("not", [x.as_ref()], out),
        ExprKind::Call(f, a) => list(f.name, a, out),
        ExprKind::Case { .. } => list("case", e.children(), out),
        ExprKind::Scalar(r) => {
            out.push_str("scalar");
            rel(r, out);
        }
        ExprKind::InRelation { value, relation, ignore_case } => {
            let _ = write!(out, "in{ignore_case}(");
            expr(value, out);
            rel(relation, out);
            out.push(')');
        }
    }
}

fn rel(r: &Rel, out: &mut String) {
    out.push('{');
    match &r.kind {
        RelKind::Scan { table } => {
            let _ = write!(out, "scan {table}");
        }
        // A view means its body.
        RelKind::View { .. } => {}
        RelKind::Values { rows } => {
            let _ = write!(out, "values {rows:?}");
        }
        RelKind::Filter { .. } => out.push_str("filter"),
        RelKind::Extend { columns, .. } | RelKind::Project { columns, .. } => {
            out.push_str(if matches!(r.kind, RelKind::Extend { .. }) { "extend" } else { "project" });
            columns.iter().for_each(|c| {
                let _ = write!(out, " {}", c.0);
            });
        }
        RelKind::Aggregate { keys, aggregations, .. } => {
            out.push_str("aggregate");
            keys.iter().for_each(|k| {
                let _ = write!(out, " {}", k.0);
            });
            for (n, a) in aggregations {
                let _ = write!(out, " {n}={:?}/{}/{}", a.function.name, a.args.len(), a.filter.is_some());
            }
        }
        RelKind::Join { kind, on, condition, .. } => {
            let _ = write!(out, "join {kind:?} {} {}", on.len(), condition.is_some());
        }
        RelKind::Union { tag, .. } => {
            let _ = write!(out, "union {tag:?}");
        }
        RelKind::Sort { keys, .. } => keys.iter().for_each(|k| {
            let _ = write!(out, "sort {} {}", k.descending, k.nulls_first);
        }),
        RelKind::Limit { skip, count, .. } => {
            let _ = write!(out, "limit {skip} {count}");
        }
        RelKind::Unnest { columns, index, .. } => {
            let _ = write!(out, "unnest {columns:?} {index:?}");
        }
    }
    out.push(':');
    r.expressions().into_iter().for_each(|e| {
        expr(e, out);
        out.push(';');
    });
    r.inputs().into_iter().for_each(|i| rel(i, out));
    // Positions matter: two relations of equal parts and other names are not equal.
    r.schema.names().for_each(|n| {
        let _ = write!(out, "|{n}");
    });
    out.push('}');
}
