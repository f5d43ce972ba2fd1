//! The `correlation` section.

use super::{Cx, boolean, pairs};
use crate::ast::{
    Alias, Comparison, Correlation, CorrelationCondition, CorrelationType, Spanned, Text, Timespan,
};
use crate::condition::Expression;
use crate::yaml::{Kind, Node};
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Span};

const KEYS: &[&str] = &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];

pub(super) fn correlation(
    cx: &mut Cx<'_>,
    key: &Text,
    node: Node,
    generate: &mut Option<Spanned<bool>>,
) -> Correlation {
    let mut out = Correlation {
        kind: None,
        rules: Vec::new(),
        group_by: Vec::new(),
        timespan: None,
        condition: None,
        aliases: Vec::new(),
        custom: Vec::new(),
        // Findings about what is missing point at the key.
        span: Spanned::new((), key.span),
    };
    if !matches!(node.kind, Kind::Map(_)) {
        cx.error(
            "invalid-correlation",
            format!("`correlation` takes a map, and this is {}", node.describe()),
            node.span,
        );
        return out;
    }
    let mut said = Vec::new();
    for (key, value) in pairs(node) {
        // A key without a value is as good as none.
        if value.kind != Kind::Null {
            said.push(key.node.clone());
        }
        match key.node.as_str() {
            "type" => out.kind = kind(cx, value),
            "rules" => out.rules = cx.list("rules", value),
            "group-by" => out.group_by = cx.list("group-by", value),
            "timespan" | "timeframe" => out.timespan = timespan(cx, value),
            "condition" => {
                // What stands inside counts as said too, so that a bad value is not called missing as well.
                said.extend(pairs_of(&value));
                out.condition = condition(cx, value);
            }
            "aliases" => out.aliases = aliases(cx, value),
            "generate" => *generate = boolean(cx, "generate", value),
            _ => {
                cx.unknown_key(&key, KEYS, "`correlation`");
                out.custom.push((key, value));
            }
        }
    }
    check(cx, &out, &said);
    out
}

/// What each type needs. `said` are the keys that are there, if perhaps with values that are no good:
/// those have been reported.
fn check(cx: &mut Cx<'_>, c: &Correlation, said: &[String]) {
    let said = |key: &str| said.iter().any(|k| k == key);
    let at = c.span.span;
    let missing = |cx: &mut Cx<'_>, what: &str, span: Span| {
        cx.sink.push(
            Diagnostic::error("incomplete-correlation", format!("the correlation has no `{what}`"))
                .at(span)
                .meaning("the rule cannot run"),
        );
    };
    let Some(kind) = c.kind else {
        if !said("type") {
            missing(cx, "type", at);
        }
        return;
    };
    if c.rules.is_empty() {
        missing(cx, "rules", at);
    }
    if !said("timespan") && !said("timeframe") {
        missing(cx, "timespan", at);
    }
    use CorrelationType as T;
    let temporal = matches!(kind.node, T::Temporal | T::TemporalOrdered);
    match c.condition.as_ref().map(|x| (&x.node, x.span)) {
        None if temporal => {}
        None if said("condition") => {}
        None => missing(cx, "condition", at),
        Some((CorrelationCondition::Compare { fields, comparisons, percentile }, span)) => {
            if comparisons.is_empty() && !Comparison::ALL.iter().any(|c| said(c.as_str())) {
                missing(cx, "gte` (or another comparison) in `condition", span);
            }
            if fields.is_empty() && !temporal && kind.node != T::EventCount && !said("field") {
                missing(cx, "field` in `condition", span);
            }
            if fields.len() > 1 && kind.node != T::ValueCount {
                cx.error(
                    "invalid-correlation",
                    format!("`{}` takes one field; only `value_count` takes several", kind.node.as_str()),
                    fields[1].span,
                );
            }
            if kind.node == T::ValuePercentile && percentile.is_none() && !said("percentile") {
                missing(cx, "percentile` (0 to 100) in `condition", span);
            }
            if (temporal || kind.node == T::EventCount) && !fields.is_empty() {
                cx.sink.push(
                    Diagnostic::warning(
                        "unused-field",
                        format!("`{}` counts no values of a field", kind.node.as_str()),
                    )
                    .at(fields[0].span)
                    .meaning("the field has no effect")
                    .help("`value_count` counts different values"),
                );
            }
        }
        Some((CorrelationCondition::Expression(e), span)) => {
            if !temporal {
                cx.sink.push(
                    Diagnostic::error(
                        "invalid-correlation",
                        format!("a condition over rules in a correlation of type `{}`", kind.node.as_str()),
                    )
                    .at(span)
                    .help(
                        "only `temporal` and `temporal_ordered` take one; others take `gte: 5` and the like",
                    ),
                );
            }
            names(cx, c, &e.expr);
        }
    }
}

/// The rules that a condition names must be among those correlated.
fn names(cx: &mut Cx<'_>, c: &Correlation, e: &Spanned<Expression>) {
    match &e.node {
        Expression::Search(name) => {
            if !c.rules.iter().any(|r| r.node == *name) {
                cx.error(
                    "missing-search",
                    format!("the condition names `{name}`, which is not among `rules`"),
                    e.span,
                );
            }
        }
        Expression::Of(..) | Expression::Prose(_) => {}
        Expression::Not(inner) => names(cx, c, inner),
        Expression::And(items) | Expression::Or(items) => items.iter().for_each(|i| names(cx, c, i)),
    }
}

fn pairs_of(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Map(pairs) => {
            pairs.iter().filter(|(_, v)| v.kind != Kind::Null).map(|(k, _)| k.node.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn kind(cx: &mut Cx<'_>, node: Node) -> Option<Spanned<CorrelationType>> {
    let text = cx.scalar("type", node)?;
    match CorrelationType::parse(&text.node) {
        Some(k) => Some(Spanned::new(k, text.span)),
        None => {
            let names = CorrelationType::ALL.iter().map(|t| t.as_str());
            let mut d = Diagnostic::error(
                "invalid-correlation",
                format!("there is no correlation type `{}`", text.node),
            )
            .at(text.span)
            .meaning("the rule cannot run");
            d = d.help(match nearest(&text.node, names.clone()) {
                Some(n) => format!("did you mean `{n}`?"),
                None => format!("the types are {}", names.collect::<Vec<_>>().join(", ")),
            });
            cx.sink.push(d);
            None
        }
    }
}

fn timespan(cx: &mut Cx<'_>, node: Node) -> Option<Spanned<Timespan>> {
    let text = cx.scalar("timespan", node)?;
    match Timespan::parse(&text.node) {
        Some(t) => Some(Spanned::new(t, text.span)),
        None => {
            cx.sink.push(
                Diagnostic::error("invalid-timespan", format!("`{}` is not a span of time", text.node))
                    .at(text.span)
                    .meaning("the rule cannot run")
                    .help("a number and one of s, m, h, d (also w, M, y), for example `90m`"),
            );
            None
        }
    }
}

fn condition(cx: &mut Cx<'_>, node: Node) -> Option<Spanned<CorrelationCondition>> {
    let span = node.span;
    let Kind::Map(entries) = node.kind else {
        let text = cx.scalar("condition", node)?;
        let c = super::detection::condition(cx, &text);
        if let Some(a) = &c.aggregation {
            cx.error("invalid-correlation", "an aggregation in the condition of a correlation", a.span);
        }
        return Some(Spanned::new(CorrelationCondition::Expression(c), span));
    };
    let (mut comparisons, mut fields, mut percentile) = (Vec::new(), Vec::new(), None);
    for (key, value) in entries {
        match key.node.as_str() {
            "field" => fields = cx.list("field", value),
            "percentile" => {
                percentile = number(cx, "percentile", value);
                if let Some(p) = percentile.filter(|p| !(0.0..=100.0).contains(&p.node)) {
                    cx.error("invalid-correlation", "a percentile is a number from 0 to 100", p.span);
                }
            }
            name => {
                match Comparison::parse(name) {
                    Some(c) => {
                        let c = Spanned::new(c, key.span);
                        comparisons.extend(number(cx, name, value).map(|n| (c, n)));
                    }
                    None => {
                        cx.sink.push(
                        Diagnostic::error("invalid-correlation", format!("`{name}` is no comparison"))
                            .at(key.span)
                            .help("the comparisons are lt, lte, gt, gte, eq and neq; `field` names the field"),
                    );
                    }
                }
            }
        }
    }
    Some(Spanned::new(CorrelationCondition::Compare { comparisons, fields, percentile }, span))
}

fn number(cx: &mut Cx<'_>, key: &str, node: Node) -> Option<Spanned<f64>> {
    let value = match &node.kind {
        Kind::Int(n) => Some(*n as f64),
        Kind::Float(r) => Some(*r),
        Kind::Str(s) => s.parse().ok().filter(|r: &f64| r.is_finite()),
        _ => None,
    };
    if value.is_none() {
        cx.error(
            "invalid-correlation",
            format!("`{key}` takes a number, and this is {}", node.describe()),
            node.span,
        );
    }
    value.map(|v| Spanned::new(v, node.span))
}

fn aliases(cx: &mut Cx<'_>, node: Node) -> Vec<Alias> {
    if !matches!(node.kind, Kind::Map(_) | Kind::Null) {
        cx.error(
            "invalid-correlation",
            format!("`aliases` takes a map, and this is {}", node.describe()),
            node.span,
        );
    }
    let mut out = Vec::new();
    for (name, value) in pairs(node) {
        if !matches!(value.kind, Kind::Map(_)) {
            cx.sink.push(
                Diagnostic::error(
                    "invalid-correlation",
                    format!("the alias `{}` is {}", name.node, value.describe()),
                )
                .at(name.span.to(value.span))
                .help("an alias is a map from the names of rules to the names of their fields"),
            );
            continue;
        }
        let fields =
            pairs(value).into_iter().filter_map(|(k, v)| cx.scalar(&k.node, v).map(|f| (k, f))).collect();
        out.push(Alias { name, fields });
    }
    out
}
