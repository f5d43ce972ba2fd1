//! Why nothing is left of a detection, or everything would match: the conditions that make it so.

use crate::hub::{Translation, says_source};
use crate::logic::{as_bool, tidy, two_valued};
use tercel_ir::Expr;

/// Pairs of conditions that are tried.
const MAX_PAIRS: usize = 600;
/// Letters of a condition that are shown.
const MAX_TEXT: usize = 120;

/// A condition as its author knows it, and what it becomes.
struct Part {
    said: String,
    becomes: Expr,
    /// It asks whose records are meant.
    of_source: bool,
}

impl Part {
    fn new(condition: &Expr, said: String, becomes: Expr) -> Part {
        Part { said, becomes, of_source: asks_source(condition) }
    }
}

/// In words; nothing where no one or two conditions make it so.
pub(crate) fn cause(t: &mut Translation<'_>, predicate: &Expr, found: bool) -> Option<String> {
    let mut parts = Vec::new();
    for c in t.conditions().iter().flat_map(conjuncts) {
        let becomes = two_valued(c, true).ok()?;
        parts.push(Part::new(c, format!("{} (of the log source)", shown(c)), becomes));
    }
    let own = parts.len();
    for c in conjuncts(predicate) {
        parts.push(Part::new(c, shown(c), t.alone(c)));
    }
    if found {
        // Every one of them holds there.
        let said: Vec<&str> = parts[own..].iter().map(|p| p.said.as_str()).take(3).collect();
        return (!said.is_empty()).then(|| format!("{} always holds there", said.join(" and ")));
    }
    let never = |t: &mut Translation<'_>, all: Vec<Expr>| {
        let all = tidy(Expr::and(all, predicate.span));
        as_bool(&t.settle(all)) == Some(false)
    };
    for p in &parts {
        if never(t, vec![p.becomes.clone()]) {
            let elsewhere = if p.of_source { ", it asks for the records of another source" } else { "" };
            return Some(format!("{} never holds there{elsewhere}", p.said));
        }
    }
    let mut left = MAX_PAIRS;
    for (i, p) in parts.iter().enumerate() {
        for q in &parts[i + 1..] {
            left = left.checked_sub(1)?;
            if never(t, vec![p.becomes.clone(), q.becomes.clone()]) {
                return Some(format!("{} excludes {}", p.said, q.said));
            }
        }
    }
    None
}

/// Whether a condition asks nothing but whose records are meant, or in which partition they are.
fn asks_source(condition: &Expr) -> bool {
    let mut columns = Vec::new();
    condition.columns(&mut columns);
    !columns.is_empty() && columns.iter().all(|c| &*c.0 == "_index" || says_source(&c.0))
}

/// The conditions of a predicate that is never true, or always, before any target is asked.
pub(crate) fn cause_in_itself(conditions: &[Expr]) -> Option<String> {
    let constant = |e: &Expr| two_valued(e, true).ok().and_then(|e| as_bool(&e)) == Some(false);
    conditions
        .iter()
        .flat_map(conjuncts)
        .find(|c| constant(c))
        .map(|c| format!("{} never holds, whatever the event", shown(c)))
}

fn conjuncts(e: &Expr) -> &[Expr] {
    match &e.kind {
        tercel_ir::ExprKind::And(items) => items,
        _ => std::slice::from_ref(e),
    }
}

/// A condition as KQL, shortened.
fn shown(e: &Expr) -> String {
    let scan = crate::bridge::scan("T", tercel_ir::Schema { open: true, ..Default::default() });
    let text = tercel_kql::raise::raise(&scan.filter(e.clone(), e.span)).map(|ast| tercel_kql::print(&ast));
    let text = match &text {
        Ok(t) => t.split_once("where ").map_or(t.as_str(), |x| x.1),
        // What KQL has no words for is named by what it looks at.
        Err(_) => "",
    };
    let text = text.replace("| where ", "and ").split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        columns.sort();
        columns.dedup_by(|a, b| a.0 == b.0);
        let names: Vec<&str> = columns.iter().map(|c| &*c.0).collect();
        return format!(
            "a condition on {}",
            if names.is_empty() { "nothing".into() } else { names.join(", ") }
        );
    }
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("`{}…`", &text[..at]),
        None => format!("`{text}`"),
    }
}
