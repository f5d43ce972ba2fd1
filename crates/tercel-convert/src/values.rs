//! Values that vocabularies write differently.
//!
//! A definition says which column holds a field's value. Where the value is written in another notation too, a
//! bridge gives the parts as columns of their own, and a test of the one notation becomes tests of the parts.

use crate::flat::Flat;
use crate::rewrite::call;
use tercel_ir::{Expr, ExprKind, Name, Type, Value};

pub(crate) const NUMBERS: &str =
    "a number in the registry is recorded as its type and its decimal digits, and no text there is written like a number: \
     DWORD (0x0000002a) is 42";

/// The predicate with values in the target's notation.
pub(crate) fn mapped(e: &Expr, flat: &Flat) -> Expr {
    let there = |n: &str| flat.columns.contains_key(&Name::from(n));
    match (there("DetailsNumber"), there("DetailsText")) {
        (false, false) => e.clone(),
        (_, either) => details(e, either),
    }
}

/// Sysmon writes a registry value of 42 as `DWORD (0x0000002a)`. `either`: some rows hold the number so, others
/// in digits.
fn details(e: &Expr, either: bool) -> Expr {
    let span = e.span;
    match &e.kind {
        ExprKind::And(items) => Expr::and(items.iter().map(|i| details(i, either)).collect(), span),
        ExprKind::Or(items) => Expr::or(items.iter().map(|i| details(i, either)).collect(), span),
        ExprKind::Not(inner) => crate::logic::negate(details(inner, either)),
        _ => number(e, either).unwrap_or_else(|| e.clone()),
    }
}

fn number(e: &Expr, either: bool) -> Option<Expr> {
    let (name, args) = call(e)?;
    if &**args.first()?.as_column()? != "Details" {
        return None;
    }
    if matches!(name, "in" | "in_ci") {
        let op = if name == "in" { "eq" } else { "eq_ci" };
        let each: Vec<Expr> =
            args[1..].iter().map(|a| Expr::known(op, vec![args[0].clone(), a.clone()], e.span)).collect();
        if each.iter().all(|t| number(t, either).is_none()) {
            return None;
        }
        let each = each.iter().map(|t| number(t, either).unwrap_or_else(|| t.clone()));
        return Some(Expr::or(each.collect(), e.span));
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
            let digits = n.to_string();
            let value = match either {
                false => is("DetailsNumber", &digits),
                true => Expr::or(vec![is("DetailsText", needle), is("DetailsText", &digits)], e.span),
            };
            Some(Expr::and(vec![is("DetailsType", kind), value], e.span))
        }
        ("startswith" | "startswith_cs" | "contains" | "contains_cs", None) if " (0x".starts_with(rest) => {
            Some(is("DetailsType", kind))
        }
        _ => None,
    }
}
