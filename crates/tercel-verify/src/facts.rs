//! What the filters before a place have let through, column by column.

use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Span, Value};

/// A test on one column that every row at this place has passed.
#[derive(Clone)]
pub(crate) struct Fact {
    pub column: Name,
    test: Expr,
    /// Its place in the user's text; `None` inside a view.
    pub span: Option<Span>,
}

/// All facts at one place.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    list: Vec<Fact>,
}

impl Facts {
    /// Adds the conjuncts of a filter that test one column against constants.
    pub(crate) fn learn(&mut self, predicate: &Expr, in_view: bool) {
        match &predicate.kind {
            ExprKind::And(items) => items.iter().for_each(|i| self.learn(i, in_view)),
            _ if is_test(predicate) => {
                let mut columns = Vec::new();
                predicate.columns(&mut columns);
                if let Some((first, _)) = columns.first()
                    && columns.iter().all(|c| c.0 == *first)
                {
                    self.list.push(Fact {
                        column: first.clone(),
                        test: predicate.clone(),
                        span: (!in_view).then_some(predicate.span),
                    });
                }
            }
            _ => {}
        }
    }

    /// Forgets a column that gets a new value.
    pub(crate) fn forget(&mut self, column: &str) {
        self.list.retain(|f| &*f.column != column);
    }

    /// Facts under new names: `(new, old)` pairs are what survives a projection.
    pub(crate) fn renamed(&self, kept: &[(Name, Name)]) -> Facts {
        let mut list = Vec::new();
        for f in &self.list {
            for (new, old) in kept {
                if f.column == *old {
                    list.push(Fact { column: new.clone(), test: f.test.clone(), span: f.span });
                }
            }
        }
        Facts { list }
    }

    /// Whether a row with this value in the column can be here.
    pub(crate) fn allow(&self, column: &str, value: &Value) -> bool {
        self.refusing(column, value).is_none()
    }

    /// The fact that keeps a value out, if one does.
    pub(crate) fn refusing(&self, column: &str, value: &Value) -> Option<&Fact> {
        self.list.iter().find(|f| {
            &*f.column == column
                && f.test.eval(&|_| value.clone(), &Context::default()).as_bool() != Some(true)
        })
    }

    /// The fact that keeps out a text in every spelling of its letters. Only facts that ignore case
    /// count: their answer on one spelling is their answer on all.
    pub(crate) fn refusing_any_case(&self, column: &str, text: &str) -> Option<&Fact> {
        self.list.iter().find(|f| {
            &*f.column == column
                && ignores_case(&f.test)
                && f.test.eval(&|_| Value::str(text), &Context::default()).as_bool() != Some(true)
        })
    }
}

/// Built of calls and connectives only, so that it can be evaluated from the column's value alone.
fn is_test(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => false,
        ExprKind::Call(f, _) if matches!(f.name, "now" | "geo_info_from_ip_address") => false,
        _ => e.children().into_iter().all(is_test),
    }
}

fn ignores_case(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::And(v) | ExprKind::Or(v) => v.iter().all(ignores_case),
        ExprKind::Not(x) => ignores_case(x),
        ExprKind::Call(f, args) => {
            matches!(
                f.name,
                "in_ci"
                    | "eq_ci"
                    | "contains"
                    | "startswith"
                    | "endswith"
                    | "has"
                    | "has_any"
                    | "has_all"
                    | "hasprefix"
                    | "hassuffix"
                    | "matches_glob_ci"
                    | "isempty"
                    | "isnotempty"
            ) && args[0].as_column().is_some()
        }
        _ => false,
    }
}
