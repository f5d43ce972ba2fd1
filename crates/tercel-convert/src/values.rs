//! Values that vocabularies write differently.
//!
//! A definition says which column holds a field's value. Where the value is written in another notation too, a
//! bridge gives the parts as columns of their own, and a test of the one notation becomes tests of the parts.

use crate::flat::Flat;
use crate::rewrite::call;
use tercel_ir::{Expr, ExprKind, Name, Type, Value};

/// The predicate with values in the target's notation.
pub(crate) fn mapped(e: &Expr, flat: &Flat) -> Expr {
    let parts = flat.columns.contains_key(&Name::from("DetailsNumber"));
    if parts { details(e) } else { e.clone() }
}

/// Sysmon writes a registry value of 42 as `DWORD (0x0000002a)`.
fn details(e: &Expr) -> Expr {
    let span = e.span;
    match &e.kind {
        ExprKind::And(items) => Expr::and(items.iter().map(details).collect(), span),
        ExprKind::Or(items) => Expr::or(items.iter().map(details).collect(), span),
        ExprKind::Not(inner) => crate::logic::negate(details(inner)),
        _ => number(e).unwrap_or_else(|| e.clone()),
    }
}

fn number(e: &Expr) -> Option<Expr> {
    let (name, args) = call(e)?;
    if &**args.first()?.as_column()? != "Details" {
        return None;
    }
    if matches!(name, "in" | "in_ci") {
        let op = if name == "in" { "eq" } else { "eq_ci" };
        let each: Vec<Expr> =
            args[1..].iter().map(|a| Expr::known(op, vec![args[0].clone(), a.clone()], e.span)).collect();
        if each.iter().all(|t| number(t).is_none()) {
            return None;
        }
        return Some(Expr::or(each.iter().map(|t| number(t).unwrap_or_else(|| t.clone())).collect(), e.span));
    }
    let Some(Value::Str(needle)) = args.get(1)?.as_literal() else { return None };
    let column = |n: &str| Expr::column(n, Type::String, e.span);
    let is = |n: &str, v: &str| {
        Expr::known("eq_ci", vec![column(n), Expr::literal(Value::str(v), e.span)], e.span)
    };
    let lower = needle.to_ascii_lowercase();
    let (kind, rest) = match lower.strip_prefix("dword") {
        Some(r) => ("Dword", r),
        None => ("Qword", lower.strip_prefix("qword")?),
    };
    let hex = rest.strip_prefix(" (0x").and_then(|r| r.strip_suffix(')'));
    match (name, hex.and_then(|h| u64::from_str_radix(h, 16).ok())) {
        ("eq" | "eq_ci" | "contains" | "contains_cs", Some(n)) => {
            Some(Expr::and(vec![is("DetailsType", kind), is("DetailsNumber", &n.to_string())], e.span))
        }
        ("startswith" | "startswith_cs" | "contains" | "contains_cs", None) if " (0x".starts_with(rest) => {
            Some(is("DetailsType", kind))
        }
        _ => None,
    }
}
