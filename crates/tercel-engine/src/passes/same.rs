//! Whether two relations are the same computation.

use tercel_ir::rel::Aggregation;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, SortKey};

/// Whether two relations are written alike, wherever they stand, and so mean the same. (Two that mean the
/// same but are written differently are computed twice, which is never wrong.)
pub(crate) fn same(a: &Rel, b: &Rel) -> bool {
    use RelKind as K;
    let own = match (&a.kind, &b.kind) {
        (K::Scan { table: x }, K::Scan { table: y }) => x == y,
        (K::View { name: x, .. }, K::View { name: y, .. }) => x == y,
        (K::Values { rows: x }, K::Values { rows: y }) => x == y,
        (K::Filter { .. }, K::Filter { .. }) => true,
        (K::Extend { columns: x, .. }, K::Extend { columns: y, .. })
        | (K::Project { columns: x, .. }, K::Project { columns: y, .. }) => names(x, y),
        (K::Aggregate { keys: x, aggregations: p, .. }, K::Aggregate { keys: y, aggregations: q, .. }) => {
            names(x, y) && names(p, q) && p.iter().zip(q).all(|(p, q)| same_aggregation(&p.1, &q.1))
        }
        (K::Join { kind: x, on: p, .. }, K::Join { kind: y, on: q, .. }) => x == y && p.len() == q.len(),
        (K::Union { tag: x, .. }, K::Union { tag: y, .. }) => x == y,
        (K::Sort { keys: x, .. }, K::Sort { keys: y, .. }) => {
            let order = |k: &SortKey| (k.descending, k.nulls_first);
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| order(x) == order(y))
        }
        (K::Limit { skip: s, count: n, .. }, K::Limit { skip: t, count: m, .. }) => (s, n) == (t, m),
        (K::Unnest { columns: x, index: i, .. }, K::Unnest { columns: y, index: j, .. }) => (x, i) == (y, j),
        _ => false,
    };
    // With the same shape, the expressions of the nodes stand in the same order.
    own && a.schema == b.schema
        && all(&a.expressions(), &b.expressions(), same_expr)
        && all(&a.inputs(), &b.inputs(), same)
}

fn names<T>(x: &[(Name, T)], y: &[(Name, T)]) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.0 == y.0)
}

fn same_aggregation(a: &Aggregation, b: &Aggregation) -> bool {
    std::ptr::eq(a.function, b.function)
        && a.ty == b.ty
        && a.args.len() == b.args.len()
        && a.filter.is_some() == b.filter.is_some()
}

fn all<T>(x: &[&T], y: &[&T], test: fn(&T, &T) -> bool) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| test(x, y))
}

fn same_expr(a: &Expr, b: &Expr) -> bool {
    use ExprKind as K;
    let own = match (&a.kind, &b.kind) {
        (K::Literal(x), K::Literal(y)) => x == y,
        (K::Column(x), K::Column(y)) => x == y,
        (K::And(_), K::And(_)) | (K::Or(_), K::Or(_)) | (K::Not(_), K::Not(_)) => true,
        (K::Call(f, _), K::Call(g, _)) => f == g,
        (K::Case { branches: x, .. }, K::Case { branches: y, .. }) => x.len() == y.len(),
        (K::Scalar(x), K::Scalar(y)) => same(x, y),
        (
            K::InRelation { relation: x, ignore_case: i, .. },
            K::InRelation { relation: y, ignore_case: j, .. },
        ) => i == j && same(x, y),
        _ => false,
    };
    own && a.ty == b.ty && all(&a.children(), &b.children(), same_expr)
}
