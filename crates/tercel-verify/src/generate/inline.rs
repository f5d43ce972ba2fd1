//! Conditions that a query computes first and asks for later, put where they are asked for: so that their
//! items are parts of the detection like any others.
//!
//! `extend A = x in (…) | where A or B` becomes `where x in (…) or B`; `eval A = if(c, 1, 0) | where A = 1`
//! becomes `where c`.

use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, Type, Value};

/// Nodes of a relation that are looked through for definitions; and depth of conditions.
const FAR: usize = 64;

/// The relation with such conditions put in. What it finds stays the same.
pub(super) fn inlined(rel: &Rel) -> Rel {
    let mut out = rel.clone();
    walk(&mut out, 0);
    out
}

fn walk(rel: &mut Rel, depth: usize) {
    // What a view computes is nothing that an author wrote.
    if depth > FAR || matches!(rel.kind, RelKind::View { .. }) {
        return;
    }
    if let RelKind::Filter { input, predicate } = &mut rel.kind {
        // A definition may be made of others.
        for _ in 0..4 {
            if !replace(predicate, input, true, 0) {
                break;
            }
        }
    }
    rel.inputs_mut().into_iter().for_each(|i| walk(i, depth + 1));
}

/// `positive`: the condition being null is as good as its being false.
fn replace(e: &mut Expr, input: &Rel, positive: bool, depth: usize) -> bool {
    if depth > FAR {
        return false;
    }
    let new = match &mut e.kind {
        ExprKind::And(items) | ExprKind::Or(items) => {
            let mut any = false;
            for i in items {
                any |= replace(i, input, positive, depth + 1);
            }
            return any;
        }
        ExprKind::Not(x) => return replace(x, input, false, depth + 1),
        ExprKind::Column(n) if e.ty == Type::Bool => definition(n, input),
        ExprKind::Call(f, args) if positive && matches!(f.name, "eq" | "eq_ci") => match &args[..] {
            [a, b] if b.as_literal().is_some() => a
                .as_column()
                .and_then(|n| definition(n, input))
                .and_then(|d| chosen(&d, |v| Expr::known(f.name, vec![v.clone(), b.clone()], e.span))),
            _ => None,
        },
        _ => None,
    };
    match new {
        Some(new) if new.ty == Type::Bool => {
            *e = new;
            true
        }
        _ => false,
    }
}

/// The condition of `if(condition, a, b)`, where `test` is true of `a` and of nothing else.
fn chosen(e: &Expr, test: impl Fn(&Expr) -> Expr) -> Option<Expr> {
    let ExprKind::Case { branches, otherwise } = &e.kind else { return None };
    let [(condition, then)] = &branches[..] else { return None };
    then.as_literal()?;
    otherwise.as_literal()?;
    let holds = |x: &Expr| test(x).eval(&|_| Value::Null, &Context::default()).as_bool();
    (holds(then) == Some(true) && holds(otherwise) != Some(true)).then(|| condition.clone())
}

/// What a column was computed as, if all that it was computed from is still the same where it is asked for.
fn definition(name: &Name, input: &Rel) -> Option<Expr> {
    let mut changed: Vec<&Name> = Vec::new();
    let mut now = input;
    for _ in 0..FAR {
        match &now.kind {
            RelKind::Extend { input, columns } => {
                if let Some((_, e)) = columns.iter().find(|(n, _)| n == name) {
                    let mut read = Vec::new();
                    e.columns(&mut read);
                    // Definitions of one step do not see each other.
                    let stays = |c: &Name| !changed.contains(&c) && !columns.iter().any(|(n, _)| n == c);
                    return read.iter().all(|c| stays(&c.0)).then(|| e.clone());
                }
                changed.extend(columns.iter().map(|(n, _)| n));
                now = input;
            }
            RelKind::Filter { input, .. } | RelKind::Sort { input, .. } => now = input,
            _ => return None,
        }
    }
    None
}
