//! Correlations as Sumo Logic searches.
//!
//! Time is cut into slices as long as the rule's timespan. A slice is a window, so that whatever is found in
//! one is a finding of the rule where more hits can only help; what lies across a cut is missed.

use super::{
    Correlation, Member, Words, comparisons, counted_twice, grows, number, operator, said, span_text,
    unique_names, usual_losses,
};
use crate::out::{Effect, Loss};
use std::fmt::Write as _;
use tercel_ir::correlation::{Comparison, Kind, Trigger, UNBOUNDED};
use tercel_ir::{Expr, Span};
use tercel_sumo::ast::{self, At, BinaryOp, ExprKind, Operator, Query, Scope, ScopeOp, TermPart};

/// Names that the text uses itself.
const OWN: [&str; 5] = ["hits", "result", "first_hit", "last_hit", "value"];

pub(super) fn make(c: &Correlation, members: &[Member], losses: &mut Vec<Loss>) -> Result<String, String> {
    let plan = c.plan;
    let keys = shared_keys(c, members)?;
    usual_losses(plan, losses);
    counted_twice(plan, members, losses);
    let mut out = String::new();
    if let Some(t) = &c.meta.title {
        let line: String = t.node.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(out, "// {line}");
    }
    let rules = unique_names(plan.rules.iter().map(|r| r.name.as_str()), &OWN);
    match members {
        [one] => out.push_str(one.filter.text.trim_end()),
        many => several(many, &rules, &mut out)?,
    }
    for (name, of) in &keys {
        if let Some(of) = of {
            let _ = write!(out, "\n| {of} as {name}");
        }
    }
    let mut by: Vec<String> = keys.iter().map(|k| k.0.clone()).collect();
    if plan.timespan != UNBOUNDED {
        let span = span_text(plan.timespan).ok_or("the timespan is no whole number of milliseconds")?;
        let _ = write!(out, "\n| timeslice {span}");
        by.push("_timeslice".into());
        let mut lose = |effect| {
            losses.push(Loss {
                what: format!("windows of {span}"),
                why: "they slide; slices of time are cut at fixed points, and what lies across a cut is not seen together"
                    .into(),
                effect,
            });
        };
        lose(Effect::Narrower);
        if !grows(plan) {
            lose(Effect::Wider);
        }
    }
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    aggregated(c, members, &rules, &by, losses, &mut out)?;
    Ok(out)
}

/// The fields that hits are grouped by. Rules that call one differently are looked at field by field.
fn shared_keys(c: &Correlation, members: &[Member]) -> Result<Vec<(String, Option<String>)>, String> {
    let field = |e: &Expr| {
        let n = e.as_column().filter(|n| crate::correlation::plain_name(n) == ***n);
        n.map(ToString::to_string).ok_or_else(|| "what hits are grouped by is computed".to_string())
    };
    let mut out = Vec::new();
    for (i, k) in c.plan.group_by.iter().enumerate() {
        let mut names = Vec::new();
        for m in members {
            let e = m.keys.get(i).ok_or("a field without a name")?;
            names.push(field(e)?);
        }
        let first = names.first().cloned().unwrap_or_default();
        if names.iter().all(|n| *n == first) {
            out.push((first, None));
            continue;
        }
        // The rule that found the event says which field.
        let mut value = names.last().cloned().unwrap_or_default();
        for (m, n) in members.iter().zip(&names).rev().skip(1) {
            value = format!("if({}, {n}, {value})", ast_text(&condition(m, true)?));
        }
        if members.iter().any(|a| members.iter().any(|b| a.rules != b.rules && a.table == b.table)) {
            return Err(format!(
                "`{}` is another field in each rule, and an event may be found by several",
                k.name
            ));
        }
        out.push((crate::correlation::plain_name(&k.name), Some(value)));
    }
    Ok(out)
}

fn ast_text(e: &ast::Expr) -> String {
    tercel_sumo::print_expr(e)
}

fn expr(kind: ExprKind) -> ast::Expr {
    ast::Expr { kind, at: At(Span::default()) }
}

fn parsed(m: &Member) -> Result<Query, String> {
    let (query, found) = tercel_sumo::parse(&m.filter.text);
    if found.has_errors() { Err("the filter of a rule cannot be read again".into()) } else { Ok(query) }
}

/// The filter of a rule as one condition, with what its scope says or without.
fn condition(m: &Member, scoped: bool) -> Result<ast::Expr, String> {
    let query = parsed(m)?;
    let mut all = Vec::new();
    if let Some(s) = query.scope.as_ref().filter(|_| scoped) {
        scope(s, &mut all)?;
    }
    for s in query.stages {
        match s.op {
            Operator::Where(e) => match e.kind {
                ExprKind::And(items) => all.extend(items),
                kind => all.push(expr(kind)),
            },
            _ => return Err("the filter of a rule is more than conditions".into()),
        }
    }
    Ok(match all.len() {
        0 => expr(ExprKind::Bool(true)),
        1 => all.remove(0),
        _ => expr(ExprKind::And(all)),
    })
}

/// A scope as conditions: whole values, without regard to case.
fn scope(s: &Scope, out: &mut Vec<ast::Expr>) -> Result<(), String> {
    match s {
        Scope::And(items) => items.iter().try_for_each(|i| scope(i, out)),
        Scope::Field { name, op: ScopeOp::Eq, value, .. } => {
            let [part] = value.parts.as_slice() else { return Err("a scope that is no field".into()) };
            let text = match part {
                TermPart::Word(w) => w.clone(),
                TermPart::Quoted(t) => t.cooked(),
            };
            let digits = text.chars().all(|c| c.is_ascii_digit());
            let field = expr(ExprKind::Field(name.clone()));
            let field = match digits {
                true => field,
                false => tercel_sumo::parse_expression(&format!("toLowerCase({})", ast_text(&field)))
                    .0
                    .ok_or("a field that cannot be read")?,
            };
            let raw = text.to_lowercase().replace('\\', "\\\\").replace('"', "\\\"");
            let value = ast::Text { raw, quote: '"', at: At(Span::default()) };
            let value = expr(ExprKind::String(value));
            out.push(expr(ExprKind::Binary(BinaryOp::Eq, Box::new(field), Box::new(value))));
            Ok(())
        }
        Scope::Term(t) if matches!(t.parts.as_slice(), [TermPart::Word(w)] if w == "*") => Ok(()),
        _ => Err("a scope that is no field".into()),
    }
}

/// Several rules: what any of them finds, and for each rule whether it was the one.
fn several(members: &[Member], rules: &[String], out: &mut String) -> Result<(), String> {
    let mut scopes: Vec<String> = Vec::new();
    for m in members {
        let mut q = parsed(m)?;
        q.stages.clear();
        let s = tercel_sumo::print(&q).trim().to_string();
        if !scopes.contains(&s) {
            scopes.push(s);
        }
    }
    match scopes.as_slice() {
        [one] => out.push_str(one),
        many => {
            let all: Vec<String> = many.iter().map(|s| format!("({s})")).collect();
            out.push_str(&all.join("\n OR "));
        }
    }
    for m in members {
        let name = m.rules.first().and_then(|i| rules.get(*i)).map_or("rule", String::as_str);
        let _ = write!(out, "\n| if({}, 1, 0) as {name}", ast_text(&condition(m, scopes.len() > 1)?));
    }
    let any: Vec<String> =
        members.iter().filter_map(|m| rules.get(*m.rules.first()?)).map(|r| format!("{r} = 1")).collect();
    let _ = write!(out, "\n| where {}", any.join(" or "));
    Ok(())
}

fn aggregated(
    c: &Correlation,
    members: &[Member],
    rules: &[String],
    by: &str,
    losses: &mut Vec<Loss>,
    out: &mut String,
) -> Result<(), String> {
    let plan = c.plan;
    let value = || match c.plan.fields.as_slice() {
        [_] => {
            let mut names = members.iter().map(|m| m.values.first().and_then(|e| e.as_column()));
            let first = names.next().flatten().ok_or("what is reckoned with is computed")?;
            match names.all(|n| n == Some(first)) {
                true => Ok(first.to_string()),
                false => Err("what is reckoned with is another field in each rule".to_string()),
            }
        }
        _ => Err("the combinations of several fields".to_string()),
    };
    let compared = |name: &str| compared(name, comparisons(&plan.condition));
    let numeric = |out: &mut String, function: &str| -> Result<(), String> {
        let v = value()?;
        let _ = write!(out, "\n| where isNumeric({v})\n| num({v}) as value\n| {function} as result{by}");
        Ok(())
    };
    match plan.kind {
        Kind::EventCount => {
            let _ = write!(out, "\n| count as hits{by}{}", compared("hits"));
        }
        Kind::ValueCount => {
            let _ = write!(out, "\n| count_distinct({}) as result{by}{}", value()?, compared("result"));
        }
        Kind::Sum | Kind::Avg | Kind::Min | Kind::Max => {
            let function = match plan.kind {
                Kind::Sum => "sum(value)",
                Kind::Avg => "avg(value)",
                Kind::Min => "min(value)",
                _ => "max(value)",
            };
            numeric(out, function)?;
            out.push_str(&compared("result"));
        }
        Kind::Percentile(p) => {
            let p = number(p);
            for effect in [Effect::Wider, Effect::Narrower] {
                losses.push(Loss {
                    what: format!("the {p}th percentile"),
                    why: "how Sumo Logic interpolates is not documented".into(),
                    effect,
                });
            }
            numeric(out, &format!("pct(value, {p})"))?;
            out.push_str(&compared("result"));
        }
        Kind::Temporal => {
            if members.len() < rules.len() || members.len() < 2 {
                return Err("a single rule to be found with itself".into());
            }
            let sums: Vec<String> = rules.iter().map(|r| format!("sum({r}) as {r}")).collect();
            let _ =
                write!(out, "\n| {}{by}\n| where {}\n", sums.join(", "), temporal(&plan.condition, rules));
        }
        Kind::TemporalOrdered => {
            let all = [(Comparison::Gte, rules.len() as f64)];
            let ([a, b], true) = (rules, comparisons(&plan.condition) == all) else {
                return Err("of an ordered sequence, two rules can be told apart and no more".into());
            };
            // The first of one against the last of the other, which is what an order of two asks for.
            let _ = write!(
                out,
                "\n| if({a} = 1, _messageTime, 9999999999999) as first_hit\n\
                 | if({b} = 1, _messageTime, 0) as last_hit\n\
                 | min(first_hit) as first_hit, max(last_hit) as last_hit{by}\n\
                 | where first_hit <= last_hit\n"
            );
        }
    }
    Ok(())
}

fn compared(name: &str, all: &[(Comparison, f64)]) -> String {
    let all: Vec<String> =
        all.iter().map(|(c, n)| format!("{name} {} {}", operator(*c, "="), number(*n))).collect();
    format!("\n| where {}\n", all.join(" and "))
}

fn temporal(t: &Trigger, rules: &[String]) -> String {
    match t {
        Trigger::Expression(e) => said(e, rules, &WORDS),
        Trigger::Compare(all) => {
            let each: Vec<String> = rules.iter().map(|r| format!("{r} > 0")).collect();
            if all.as_slice() == [(Comparison::Gte, rules.len() as f64)] {
                return each.join(" and ");
            }
            let count: Vec<String> = each.iter().map(|e| format!("if({e}, 1, 0)")).collect();
            let count = count.join(" + ");
            let all: Vec<String> =
                all.iter().map(|(c, n)| format!("{count} {} {}", operator(*c, "="), number(*n))).collect();
            all.join(" and ")
        }
    }
}

const WORDS: Words = Words { equals: "=", not: "!", one: |hit| format!("if({hit}, 1, 0)") };
