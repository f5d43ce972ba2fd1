//! The last touches on a predicate before it is said.

use crate::logic::{key, negate, tidy};
use crate::out::{Effect, Loss};
use crate::rewrite::call;
use std::collections::HashMap;
use tercel_ir::{Diagnostic, Expr, ExprKind, Span, Type, Value};

/// Alternatives of one column as one list, and comparisons without the guards that every target's
/// comparisons bring along.
pub(super) fn gathered(e: &Expr) -> Expr {
    let span = e.span;
    match &e.kind {
        ExprKind::And(items) => {
            let items: Vec<Expr> = items.iter().map(gathered).collect();
            let compared: Vec<String> = items.iter().filter_map(compared).collect();
            let there: Vec<String> = items.iter().filter_map(present).collect();
            let items = items.into_iter().filter(|i| match call(i) {
                Some(("isnotnull", [x])) => !compared.contains(&key(x)),
                Some(("isnotempty", [x])) => !there.contains(&key(x)),
                _ => true,
            });
            // Excluded alternatives are one exclusion.
            let negated = merge(items.map(negate).collect());
            together(negated.into_iter().map(negate).collect(), span)
        }
        ExprKind::Or(items) => Expr::or(merge(items.iter().map(gathered).collect()), span),
        _ => e.clone(),
    }
}

/// What is excluded of one field in one way is one exclusion: `not(a or b)`.
fn together(items: Vec<Expr>, span: Span) -> Expr {
    let mut out: Vec<Expr> = Vec::with_capacity(items.len());
    let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
    for e in items {
        let place = match &e.kind {
            ExprKind::Not(inner) => call(inner).and_then(|(name, args)| Some((name, key(args.first()?)))),
            _ => None,
        };
        let Some(place) = place else {
            out.push(e);
            continue;
        };
        match places.get(&place) {
            None => {
                places.insert(place, out.len());
                out.push(e);
            }
            Some(at) => {
                let (ExprKind::Not(first), ExprKind::Not(next)) = (&out[*at].kind, e.kind) else { continue };
                let mut any = match &first.kind {
                    ExprKind::Or(list) => list.clone(),
                    _ => vec![(**first).clone()],
                };
                any.push(*next);
                out[*at] = Expr::not(Expr::or(any, span), span);
            }
        }
    }
    match out.len() {
        1 => out.remove(0),
        _ => Expr::and(out, span),
    }
}

/// What a test for some text knows to be there.
fn present(e: &Expr) -> Option<String> {
    let (name, args) = call(e)?;
    let [x, needles @ ..] = args else { return None };
    let text = |a: &Expr| matches!(a.as_literal(), Some(Value::Str(s)) if !s.is_empty());
    let looks = matches!(
        name,
        "eq" | "eq_ci"
            | "in"
            | "in_ci"
            | "contains"
            | "contains_cs"
            | "startswith"
            | "startswith_cs"
            | "endswith"
            | "endswith_cs"
    );
    (looks && x.ty == Type::String && !needles.is_empty() && needles.iter().all(text)).then(|| key(x))
}

/// What a comparison that is not null knows to be there.
fn compared(e: &Expr) -> Option<String> {
    let (test, positive) = crate::rewrite::signed(e);
    match call(test)? {
        ("lt" | "le" | "gt" | "ge", [a, b]) if b.as_literal().is_some() => Some(key(a)),
        ("eq", [a, b]) if positive && b.as_literal().is_some() => Some(key(a)),
        _ => None,
    }
}

/// Equalities with constants of one column, joined in the place of the first.
fn merge(items: Vec<Expr>) -> Vec<Expr> {
    let mut out: Vec<Expr> = Vec::with_capacity(items.len());
    let mut places: HashMap<(String, &'static str), usize> = HashMap::new();
    for e in items {
        let Some((name, args)) = call(&e) else {
            out.push(e);
            continue;
        };
        let list = match name {
            "eq" | "in" => "in",
            "eq_ci" | "in_ci" => "in_ci",
            _ => {
                out.push(e);
                continue;
            }
        };
        let constants = args.len() > 1
            && args[1..]
                .iter()
                .all(|a| a.as_literal().is_some_and(|v| !v.is_null() && !matches!(v, Value::Dynamic(_))))
            && args[0].ty != Type::Bool;
        if !constants {
            out.push(e);
            continue;
        }
        let place = (key(&args[0]), list);
        match places.get(&place) {
            None => {
                places.insert(place, out.len());
                out.push(e);
            }
            Some(at) => {
                let more = args[1..].to_vec();
                if let ExprKind::Call(_, known) = &out[*at].kind {
                    let mut all = known.clone();
                    all.extend(more);
                    out[*at] = Expr::known(list, all, e.span);
                }
            }
        }
    }
    out
}

/// The predicate without what cannot be said: a conjunct that is left out makes it wider, an alternative
/// narrower. `None`: nothing would be left.
pub(super) fn sayable(
    e: &Expr,
    say: &dyn Fn(&Expr) -> Result<(), Diagnostic>,
    losses: &mut Vec<Loss>,
) -> Result<Expr, Diagnostic> {
    if say(e).is_ok() {
        return Ok(e.clone());
    }
    let (items, all) = match &e.kind {
        ExprKind::And(items) => (items, true),
        ExprKind::Or(items) => (items, false),
        _ => return say(e).map(|()| e.clone()),
    };
    let mut out = Vec::with_capacity(items.len());
    let mut why = None;
    for i in items {
        match sayable(i, say, losses) {
            Ok(i) => out.push(i),
            Err(d) => {
                let mut columns = Vec::new();
                i.columns(&mut columns);
                let names: std::collections::BTreeSet<&str> = columns.iter().map(|c| &*c.0).collect();
                let names: Vec<&str> = names.into_iter().collect();
                let loss = Loss {
                    what: format!("a condition on {}", names.join(", ")),
                    why: d.message.clone(),
                    effect: if all { Effect::Wider } else { Effect::Narrower },
                };
                if !losses.contains(&loss) {
                    losses.push(loss);
                }
                why = Some(d);
            }
        }
    }
    match (out.is_empty(), why) {
        (true, Some(d)) => Err(d),
        _ => Ok(tidy(if all { Expr::and(out, e.span) } else { Expr::or(out, e.span) })),
    }
}

/// Whether a text is there, where the target only knows whether it is empty.
pub(super) fn without_null_texts(e: &Expr, why: &str, losses: &mut Vec<Loss>) -> Expr {
    let text = |t: Type| matches!(t, Type::String | Type::Guid);
    if let Some((name @ ("isnull" | "isnotnull"), [x])) = call(e)
        && text(x.ty)
    {
        let (test, effect) =
            if name == "isnull" { ("isempty", Effect::Wider) } else { ("isnotempty", Effect::Narrower) };
        let what = x.as_column().map_or_else(|| "a text".to_string(), |c| c.to_string());
        let loss = Loss { what, why: why.into(), effect };
        if !losses.contains(&loss) {
            losses.push(loss);
        }
        return Expr::known(test, vec![x.clone()], e.span);
    }
    match &e.kind {
        ExprKind::And(items) => {
            Expr::and(items.iter().map(|i| without_null_texts(i, why, losses)).collect(), e.span)
        }
        ExprKind::Or(items) => {
            Expr::or(items.iter().map(|i| without_null_texts(i, why, losses)).collect(), e.span)
        }
        _ => e.clone(),
    }
}

/// The conjuncts of a predicate.
pub(super) fn conjuncts(e: Expr) -> Vec<Expr> {
    match e.kind {
        ExprKind::And(items) => items,
        _ => vec![e],
    }
}

pub(super) fn at() -> Span {
    Span::default()
}
