//! The prover of this product, asked about conversions.

use crate::asks::{Answer, Prove, Relation};
use crate::flat::{Flat, flatten};
use crate::rewrite::{call, joined_path};
use std::collections::BTreeMap;
use tercel_ir::{Expr, Name, Rel, Span};
use tercel_verify::Budget;

/// Decides by formulas and automata, within a budget.
#[derive(Clone, Debug, Default)]
pub struct Prover {
    /// Beyond it, the answer is that it is not known.
    pub budget: Budget,
}

impl Prove for Prover {
    fn compare(&self, conversion: &Rel, original: &Rel) -> Answer {
        let found = tercel_verify::compare(conversion, original, &self.budget);
        let different: Vec<_> = found.witnesses.iter().filter(|w| w.first != w.second).collect();
        // Languages differ in which characters beyond ASCII are letters, and how they fold.
        let letters = !different.is_empty() && different.iter().all(|w| w.event.beyond_ascii());
        let relation = match found.relation {
            _ if letters => Relation::Unknown,
            tercel_verify::Relation::Equal => Relation::Equal,
            tercel_verify::Relation::Subset => Relation::Narrower,
            tercel_verify::Relation::Superset => Relation::Wider,
            tercel_verify::Relation::Overlap | tercel_verify::Relation::Disjoint => Relation::Different,
            tercel_verify::Relation::Unknown => Relation::Unknown,
        };
        let mut reason = found.reason;
        if relation != Relation::Equal
            && let Some(w) = different.first()
        {
            let who = if w.first { "only the conversion finds" } else { "only the original finds" };
            let values: Vec<String> =
                w.event.values.iter().map(|(n, v)| format!("{n}: {}", v.to_text())).collect();
            let who = if letters { format!("beyond ASCII they differ: {who}") } else { who.to_string() };
            let event = format!("{who} an event of {} with {}", w.event.table, values.join(", "));
            reason = Some(match reason {
                Some(r) => format!("{r}; {event}"),
                None => event,
            });
        }
        Answer { relation, reason }
    }
}

/// Both filters in two-valued form, and in terms of whole paths only, where the last part of a path has a column of its own too.
///
/// Taken for granted is that the last part of `folder` is `name` but for case. Let p be the path with the name's
/// spelling. Then what a view joins from both is p, the name is p's last part, and the folder column is p for every
/// test that ignores case. Where a test of it regards case, nothing is replaced.
pub(crate) fn one_column(a: &Rel, b: &Rel, paths: &BTreeMap<Name, Name>) -> (Rel, Rel) {
    let same = || (a.clone(), b.clone());
    let (Ok(x), Ok(y)) = (flatten(a, None), flatten(b, None)) else { return same() };
    if x.base != y.base {
        return same();
    }
    let names: BTreeMap<&Name, &Name> = paths.iter().map(|(f, n)| (n, f)).collect();
    // Two-valued, the functions that languages have for ranges of addresses are the one that the prover knows.
    let all = |f: &Flat| {
        let each = f.conditions.iter().map(|e| replaced(e, paths, &names));
        each.map(|e| crate::logic::two_valued(&e, true).unwrap_or(e)).collect::<Vec<_>>()
    };
    let (xs, ys) = (all(&x), all(&y));
    if xs.iter().chain(&ys).any(|e| regards_case(e, paths)) {
        return same();
    }
    let rel = |f: Flat, all: Vec<Expr>| {
        crate::bridge::scan(&f.base, f.schema).filter(Expr::and(all, Span::default()), Span::default())
    };
    (rel(x, xs), rel(y, ys))
}

fn regards_case(e: &Expr, paths: &BTreeMap<Name, Name>) -> bool {
    let here = match call(e) {
        Some((name, [x, rest @ ..])) if x.as_column().is_some_and(|c| paths.contains_key(c)) => match name {
            "eq_ci" | "in_ci" | "contains" | "startswith" | "endswith" | "matches_glob_ci" | "isempty"
            | "isnotempty" | "has" | "has_any" | "has_all" | "hasprefix" | "hassuffix" | "basename"
            | "dirname" => false,
            "matches_regex" => !matches!(
                rest.first().and_then(Expr::as_literal),
                Some(tercel_ir::Value::Str(s)) if s.starts_with("(?i)") || s.starts_with("(?is)")
            ),
            _ => true,
        },
        _ => false,
    };
    here || e.children().into_iter().any(|c| regards_case(c, paths))
}

fn replaced(e: &Expr, paths: &BTreeMap<Name, Name>, names: &BTreeMap<&Name, &Name>) -> Expr {
    if let Some((f, n)) = joined_path(e)
        && let (Some(f), Some(n)) = (f.as_column(), n.as_column())
        && paths.get(f) == Some(n)
    {
        return Expr::column(f.clone(), e.ty, e.span);
    }
    if let Some(f) = e.as_column().and_then(|n| names.get(n)) {
        return Expr::known("basename", vec![Expr::column((*f).clone(), e.ty, e.span)], e.span);
    }
    let mut out = e.clone();
    for c in out.children_mut() {
        *c = replaced(c, paths, names);
    }
    out
}
