//! What happens to a relation before it is planned: absent tables become empty, inner relations become
//! values, provenance is carried to the top.

mod absent;
mod inner;
mod provenance;
mod same;

pub use absent::{is_empty, prune_absent};
pub(crate) use inner::{Answer, Inner, ready, substitute};
pub use provenance::with_provenance;
pub(crate) use same::same;

use tercel_ir::{Expr, ExprKind, Rel};

/// Whether the relation asks for the present time (also inside expressions).
pub fn uses_now(rel: &Rel) -> bool {
    fn expr(e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Call(f, _) if f.name == "now" => return true,
            ExprKind::Scalar(r) if uses_now(r) => return true,
            ExprKind::InRelation { relation, .. } if uses_now(relation) => return true,
            _ => {}
        }
        e.children().into_iter().any(expr)
    }
    rel.expressions().into_iter().any(expr) || rel.inputs().into_iter().any(uses_now)
}
