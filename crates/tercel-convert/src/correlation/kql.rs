//! Correlations as KQL.
//!
//! Hits are the rows of a table with a time and the columns of their group. Joined with the times at which
//! windows end (or begin), each window is a group of rows. The join compares every two hits of a group, which
//! is the price of windows that slide; `bin` would be cheaper, and miss what lies across the edge of a bin.

use super::{
    Correlation, Member, Words, comparisons, counted_twice, number, operator, said, span_text, unique_names,
    usual_losses,
};
use crate::bridge;
use crate::out::{Effect, Loss};
use std::fmt::Write as _;
use tercel_ir::correlation::{Comparison, Kind, Trigger, UNBOUNDED};
use tercel_ir::{Expr, Name, Schema, Span, Type};

/// Names that the text uses itself.
const OWN: [&str; 12] = [
    "Time",
    "Window",
    "WindowStart",
    "WindowEnd",
    "FirstHit",
    "LastHit",
    "Hits",
    "Count",
    "Rules",
    "Rule",
    "Value",
    "Result",
];

pub(super) fn make(c: &Correlation, members: &[Member], losses: &mut Vec<Loss>) -> Result<String, String> {
    let plan = c.plan;
    let keys = unique_names(plan.group_by.iter().map(|k| k.name.as_str()), &OWN);
    usual_losses(plan, losses);
    counted_twice(plan, members, losses);
    let mut out = String::new();
    header(c, &mut out);
    if plan.timespan != UNBOUNDED {
        let span = span_text(plan.timespan).ok_or("the timespan is no whole number of milliseconds")?;
        let _ = writeln!(out, "let Window = {span};");
    }
    if plan.kind == Kind::TemporalOrdered {
        return ordered(c, members, &keys, out);
    }
    let values: Vec<String> = match plan.fields.len() {
        0 => Vec::new(),
        1 => vec!["Value".into()],
        n => (1..=n).map(|i| format!("Value{i}")).collect(),
    };
    let rules = unique_names(plan.rules.iter().map(|r| r.name.as_str()), &OWN);
    let hits = members
        .iter()
        .zip(&rules)
        .map(|(m, name)| hits(m, &keys, &values, plan.kind, plan.kind.is_temporal().then_some(name)))
        .collect::<Result<Vec<_>, String>>()?;
    // Read twice by the join.
    match hits.as_slice() {
        [one] => {
            let _ = writeln!(out, "let Hits = materialize(\n{}\n);", indented(one));
        }
        many => {
            let all: Vec<String> = many
                .iter()
                .map(|h| format!("        (\n{}\n        )", indented(&indented(&indented(h)))))
                .collect();
            let _ = writeln!(out, "let Hits = materialize(\n    union\n{}\n);", all.join(",\n"));
        }
    }
    let by = |more: &str| {
        let mut all: Vec<&str> = keys.iter().map(String::as_str).collect();
        if !more.is_empty() {
            all.push(more);
        }
        all.join(", ")
    };
    let (aggregates, condition) = reckoned(c, &rules, &values, losses)?;
    if plan.timespan == UNBOUNDED {
        let by = if keys.is_empty() { String::new() } else { format!(" by {}", by("")) };
        let _ = write!(out, "Hits\n| summarize {aggregates}{by}\n{condition}");
        return Ok(out);
    }
    // A join needs a key.
    let (hits, on) = match keys.is_empty() {
        true => ("Hits | extend Everything = 1", "Everything".to_string()),
        false => ("Hits", by("")),
    };
    if plan.waits() {
        let _ = write!(
            out,
            "{hits}\n\
             | join kind=inner ({hits} | summarize by {on}, WindowStart = Time) on {on}\n\
             | where Time between (WindowStart .. (WindowStart + Window))\n\
             | summarize {aggregates}, LastHit = max(Time) by {}\n\
             // of windows that end with the same hit, the longest\n\
             | summarize arg_min(WindowStart, *) by {}\n\
             {condition}",
            by("WindowStart"),
            by("LastHit"),
        );
    } else {
        let _ = write!(
            out,
            "{hits}\n\
             | join kind=inner ({hits} | summarize by {on}, WindowEnd = Time) on {on}\n\
             | where Time between ((WindowEnd - Window) .. WindowEnd)\n\
             | summarize {aggregates}, FirstHit = min(Time) by {}\n\
             {condition}",
            by("WindowEnd"),
        );
    }
    Ok(out)
}

/// The title, as a comment.
fn header(c: &Correlation, out: &mut String) {
    if let Some(t) = &c.meta.title {
        let line: String = t.node.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(out, "// {line}");
    }
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

/// The hits of a rule: their time, what they are grouped by, what is reckoned with.
fn hits(
    m: &Member,
    keys: &[String],
    values: &[String],
    kind: Kind,
    rule: Option<&String>,
) -> Result<String, String> {
    let mut columns: Vec<(Name, Expr)> = Vec::new();
    let time = Expr::column(m.time.clone(), Type::DateTime, Span::default());
    columns.push(("Time".into(), time));
    for (n, e) in keys.iter().zip(&m.keys) {
        columns.push((n.as_str().into(), text(e)));
    }
    for (n, e) in values.iter().zip(&m.values) {
        let e = if kind == Kind::ValueCount { text(e) } else { e.clone() };
        columns.push((n.as_str().into(), e));
    }
    if let Some(r) = rule {
        columns.push(("Rule".into(), Expr::literal(tercel_ir::Value::str(r.as_str()), Span::default())));
    }
    let scan = bridge::scan("T", Schema { open: true, ..Schema::default() });
    let ast = tercel_kql::raise::raise(&scan.project(columns, Span::default())).map_err(|d| d.message)?;
    let line = tercel_kql::raise::layout(&ast);
    let line = line.split_once('\n').map_or("", |x| x.1);
    let mut out = format!("{}\n{line}", m.filter.text.trim_end());
    if kind.is_numeric() {
        // What is no number counts for nothing.
        out.push_str("\n| extend Value = todouble(Value)\n| where Value > real(-inf) and Value < real(+inf)");
    }
    Ok(out)
}

/// Groups are told apart as text.
fn text(e: &Expr) -> Expr {
    match e.ty {
        Type::String | Type::Guid => e.clone(),
        _ => Expr::known("tostring", vec![e.clone()], e.span),
    }
}

/// What is reckoned over a window, and the condition on it.
fn reckoned(
    c: &Correlation,
    rules: &[String],
    values: &[String],
    losses: &mut Vec<Loss>,
) -> Result<(String, String), String> {
    let plan = c.plan;
    let value = values.first().map_or("Value", String::as_str);
    let one = |e: String| (e, compared("Result", comparisons(&plan.condition)));
    Ok(match (plan.kind, &plan.condition) {
        (Kind::Temporal, Trigger::Expression(e)) => {
            let each: Vec<String> = rules.iter().map(|r| format!("{r} = countif(Rule == \"{r}\")")).collect();
            (each.join(", "), format!("| where {}\n", said(e, rules, &WORDS)))
        }
        (Kind::Temporal, t) => {
            let all = [(Comparison::Gte, rules.len() as f64)];
            if comparisons(t) == all {
                // All of them, said one by one.
                let each: Vec<String> =
                    rules.iter().map(|r| format!("{r} = countif(Rule == \"{r}\")")).collect();
                let conditions: Vec<String> = rules.iter().map(|r| format!("{r} > 0")).collect();
                (each.join(", "), format!("| where {}\n", conditions.join(" and ")))
            } else {
                one("Result = count_distinct(Rule)".into())
            }
        }
        (Kind::EventCount, _) => ("Count = count()".into(), compared("Count", comparisons(&plan.condition))),
        (Kind::ValueCount, _) => match values {
            [v] => one(format!("Result = count_distinct({v})")),
            many => one(format!("Result = count_distinct(tostring(pack_array({})))", many.join(", "))),
        },
        (Kind::Sum, _) => one(format!("Result = sum({value})")),
        (Kind::Avg, _) => one(format!("Result = avg({value})")),
        (Kind::Min, _) | (Kind::Percentile(0.0), _) => one(format!("Result = min({value})")),
        (Kind::Max, _) | (Kind::Percentile(100.0), _) => one(format!("Result = max({value})")),
        (Kind::Percentile(p), _) => {
            for effect in [Effect::Wider, Effect::Narrower] {
                losses.push(Loss {
                    what: format!("the {}th percentile", number(p)),
                    why: "Kusto takes the nearest rank, and estimates it; the rule interpolates".into(),
                    effect,
                });
            }
            one(format!("Result = percentile({value}, {})", number(p)))
        }
        (Kind::TemporalOrdered, _) => return Err("a sequence is no aggregation".into()),
    })
}

fn compared(name: &str, all: &[(Comparison, f64)]) -> String {
    let all: Vec<String> =
        all.iter().map(|(c, n)| format!("{name} {} {}", operator(*c, "=="), number(*n))).collect();
    format!("| where {}\n", all.join(" and "))
}

const WORDS: Words = Words { equals: "==", not: "not", one: |hit| format!("toint({hit})") };

/// All of the rules in order: the hits of each joined with those of the next.
fn ordered(c: &Correlation, members: &[Member], keys: &[String], mut out: String) -> Result<String, String> {
    let plan = c.plan;
    let all = [(Comparison::Gte, members.len() as f64)];
    if comparisons(&plan.condition) != all {
        return Err("of an ordered sequence, KQL can ask for all of the rules only".into());
    }
    if plan.timespan == UNBOUNDED {
        return Err("a sequence without a timespan".into());
    }
    let rules = unique_names(plan.rules.iter().map(|r| r.name.as_str()), &OWN);
    for (m, r) in members.iter().zip(&rules) {
        let h = hits(m, keys, &[], plan.kind, None)?;
        let h = match keys.is_empty() {
            true => format!("{h}\n| extend Everything = 1"),
            false => h,
        };
        let _ = writeln!(out, "let {r} =\n{};", indented(&h));
    }
    let on = if keys.is_empty() { "Everything".to_string() } else { keys.join(", ") };
    let _ = write!(out, "{}\n| summarize by {on}, Time1 = Time", rules[0]);
    for (i, r) in rules.iter().enumerate().skip(1) {
        let n = i + 1;
        // Of what leads to one hit, the latest beginning decides.
        let _ = write!(
            out,
            "\n| join kind=inner ({r} | summarize by {on}, Time{n} = Time) on {on}\n\
             | where Time{n} between (Time{i} .. (Time1 + Window))\n\
             | summarize Time1 = max(Time1) by {on}, Time{n}"
        );
    }
    let last = rules.len();
    let shown = if keys.is_empty() { String::new() } else { format!("{}, ", keys.join(", ")) };
    let _ = match last {
        1 => writeln!(out, "\n| project {shown}WindowStart = Time1, WindowEnd = Time1"),
        n => writeln!(out, "\n| project {shown}WindowStart = Time1, WindowEnd = Time{n}"),
    };
    Ok(out)
}
