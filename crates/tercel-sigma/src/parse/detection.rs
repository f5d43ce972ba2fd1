//! The `detection` section.

use super::{Cx, pairs};
use crate::ast::{Detection, Item, Modifier, Scalar, Search, SearchBody, Spanned, Text, Value};
use crate::condition::{self, Condition, Expression};
use crate::yaml::{Kind, Node};
use std::collections::HashSet;
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Severity, Span};

/// A detection may have so many searches; every `1 of …` looks at all of them.
const MAX_SEARCHES: usize = 10_000;

/// Reads the section. Keys of `others` are not searches; they are handed back.
pub(super) fn detection(
    cx: &mut Cx<'_>,
    key: &Text,
    node: Node,
    others: &[&str],
) -> (Detection, Vec<(Text, Node)>) {
    let mut out = Detection { span: Spanned::new((), node.span), ..Detection::default() };
    let mut extra = Vec::new();
    if !matches!(node.kind, Kind::Map(_)) {
        cx.error(
            "invalid-detection",
            format!(
                "`{}` takes a map of searches and a condition, and this is {}",
                key.node,
                node.describe()
            ),
            key.span.to(node.span),
        );
        return (out, extra);
    }
    let mut condition = None;
    for (key, value) in pairs(node) {
        match key.node.as_str() {
            "condition" => condition = Some((key, value)),
            "timeframe" => out.timeframe = cx.scalar("timeframe", value),
            name if others.contains(&name) => extra.push((key, value)),
            _ => {
                if let Some(body) = body(cx, &key.node, value, key.span) {
                    out.searches.push(Search { name: key, body });
                }
            }
        }
    }
    out.searches.shrink_to_fit();
    match condition {
        Some((key, value)) => out.conditions = conditions(cx, &key, value),
        None => cx.sink.push(
            Diagnostic::error("missing-condition", format!("`{}` has no `condition`", key.node))
                .at(key.span)
                .meaning("nothing says how the searches are joined, so the rule cannot run")
                .help("add `condition:`, for example `condition: selection`"),
        ),
    }
    if out.searches.len() > MAX_SEARCHES {
        let message = format!("the detection has more than {MAX_SEARCHES} searches");
        cx.sink
            .push(Diagnostic::error("rule-too-large", message).at(key.span).meaning("the rule cannot run"));
        out.searches.truncate(MAX_SEARCHES);
        return (out, extra);
    }
    let names: HashSet<&str> = out.searches.iter().map(|s| s.name.node.as_str()).collect();
    for c in &out.conditions {
        references(cx, &names, &c.expr);
        if let Some(condition::Aggregation::Near(e)) = c.aggregation.as_ref().map(|a| &a.node) {
            references(cx, &names, e);
        }
    }
    (out, extra)
}

fn conditions(cx: &mut Cx<'_>, key: &Text, node: Node) -> Vec<Condition> {
    let span = key.span.to(node.span);
    let texts = cx.list("condition", node);
    if texts.is_empty() {
        cx.error("missing-condition", "the condition is empty", span);
    }
    texts.iter().map(|t| condition(cx, t)).collect()
}

pub(super) fn condition(cx: &mut Cx<'_>, text: &Text) -> Condition {
    let start = cx.within(&text.node, text.span);
    let place = |r: std::ops::Range<usize>| match start {
        Some(s) => Span::new(s + r.start, s + r.end),
        None => text.span,
    };
    match condition::parse(&text.node, &place) {
        Ok(c) => c,
        Err(mut d) => {
            // Rules of that status say of themselves that no tool can run them; some have prose for a
            // condition. They are read for what they tell, and refused when somebody wants to run them.
            if cx.unsupported {
                d.severity = Severity::Warning;
                d.meaning = Some("the rule has the status `unsupported`; it is kept and cannot run".into());
            }
            cx.sink.push(d);
            Condition {
                expr: Spanned::new(Expression::Prose(text.node.clone()), text.span),
                aggregation: None,
            }
        }
    }
}

/// Every search that the condition names must be there.
fn references(cx: &mut Cx<'_>, names: &HashSet<&str>, e: &Spanned<Expression>) {
    match &e.node {
        Expression::Search(name) => {
            if !names.contains(name.as_str()) {
                let mut d = Diagnostic::error(
                    "missing-search",
                    format!("the condition names `{name}`, and there is no such search"),
                )
                .at(e.span)
                .meaning("the rule cannot run");
                if !cx.sink.full()
                    && let Some(near) = nearest(name, names.iter().copied())
                {
                    d = d.help(format!("did you mean `{near}`?"));
                }
                cx.sink.push(d);
            }
        }
        Expression::Of(_, target) => {
            if !names.iter().any(|n| target.node.matches(n)) {
                cx.sink.push(
                    Diagnostic::error("missing-search", "no search has a name that this means")
                        .at(target.span)
                        .meaning("the rule cannot run")
                        .help("correct the pattern, or take this part out of the condition"),
                );
            }
        }
        Expression::Prose(_) => {}
        Expression::Not(inner) => references(cx, names, inner),
        Expression::And(items) | Expression::Or(items) => items.iter().for_each(|i| references(cx, names, i)),
    }
}

/// A search, or an item of a list of searches. Depth is bounded by the YAML reader.
pub(super) fn body(cx: &mut Cx<'_>, name: &str, node: Node, place: Span) -> Option<Spanned<SearchBody>> {
    let span = node.span;
    let body = match node.kind {
        Kind::Map(pairs) => {
            if pairs.is_empty() {
                empty(cx, name, place);
                return None;
            }
            SearchBody::Map(exact(pairs.into_iter().filter_map(|(k, v)| item(cx, k, v))))
        }
        Kind::Seq(items) => {
            if items.is_empty() {
                empty(cx, name, place);
                return None;
            }
            SearchBody::List(exact(items.into_iter().filter_map(|i| body(cx, name, i, place))))
        }
        Kind::Null => {
            empty(cx, name, if span.start < span.end { span } else { place });
            return None;
        }
        kind => SearchBody::Keyword(Spanned::new(scalar(kind), span)),
    };
    Some(Spanned::new(body, span))
}

/// A list without room at its end: those of thousands of rules are kept.
fn exact<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut out: Vec<T> = items.collect();
    out.shrink_to_fit();
    out
}

fn empty(cx: &mut Cx<'_>, name: &str, at: Span) {
    cx.sink.push(
        Diagnostic::error("empty-search", format!("the search `{name}` looks for nothing"))
            .at(at)
            .meaning("whether that is always or never true nobody can say, so the rule cannot run"),
    );
}

fn scalar(kind: Kind) -> Scalar {
    match kind {
        Kind::Bool(b) => Scalar::Bool(b),
        Kind::Int(n) => Scalar::Int(n),
        Kind::Float(r) => Scalar::Float(r),
        Kind::Str(s) => Scalar::Str(s),
        // Lists and maps have been dealt with by the callers.
        Kind::Null | Kind::Seq(_) | Kind::Map(_) => Scalar::Null,
    }
}

fn item(cx: &mut Cx<'_>, key: Text, node: Node) -> Option<Item> {
    let start = cx.within(&key.node, key.span);
    let part = |from: usize, to: usize| match start {
        Some(s) => Span::new(s + from, s + to),
        None => key.span,
    };
    let mut parts = key.node.split('|');
    let name = parts.next().unwrap_or_default();
    let field = (!name.is_empty()).then(|| Spanned::new(name.to_string(), part(0, name.len())));
    let mut modifiers = Vec::new();
    let mut at = name.len() + 1;
    let mut known = true;
    for m in parts {
        let span = part(at, at + m.len());
        at += m.len() + 1;
        match Modifier::parse(m) {
            Some(m) => modifiers.push(Spanned::new(m, span)),
            None => {
                known = false;
                let mut d = Diagnostic::error("unknown-modifier", format!("there is no modifier `{m}`"))
                    .at(span)
                    .meaning("the rule cannot run");
                if !cx.sink.full()
                    && let Some(near) = nearest(m, Modifier::ALL.iter().map(|m| m.as_str()))
                {
                    d = d.help(format!("did you mean `{near}`?"));
                }
                cx.sink.push(d);
            }
        }
    }
    let span = key.span.to(node.span);
    let list = matches!(node.kind, Kind::Seq(_));
    let values = match node.kind {
        Kind::Seq(items) => exact(items.into_iter().filter_map(|i| value(cx, &key.node, i))),
        _ => exact(value(cx, &key.node, node).into_iter()),
    };
    known.then(|| Item {
        field,
        modifiers,
        values,
        list,
        span: Spanned::new((), span),
        key_span: Spanned::new((), key.span),
    })
}

fn value(cx: &mut Cx<'_>, key: &str, node: Node) -> Option<Value> {
    match node.kind {
        Kind::Seq(_) | Kind::Map(_) => {
            cx.sink.push(
                Diagnostic::error(
                    "invalid-detection",
                    format!("{} stands where a value of `{key}` must", node.describe()),
                )
                .at(node.span)
                .meaning("the rule cannot run")
                .help(
                    "a field takes one value or a flat list of values; searches nest through the condition",
                ),
            );
            None
        }
        kind => Some(Spanned::new(scalar(kind), node.span)),
    }
}
