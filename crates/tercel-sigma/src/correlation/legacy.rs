//! Aggregations of before Sigma 2 (`selection | count(User) by Host > 5`) as the correlations that
//! replaced them.

use super::{Key, Kind, Plan, RuleRef, Target, Trigger, UNBOUNDED};
use crate::ast::{Rule, Text, Timespan};
use crate::condition::Aggregation;
use tercel_ir::{Diagnostic, Diagnostics};

/// The plan of a rule whose condition has an aggregation, over the rule's own matches.
pub(super) fn plan(rule: &Rule, found: &mut Diagnostics) -> Option<Plan> {
    let d = &rule.detection;
    let aggregation = d.conditions.iter().find_map(|c| c.aggregation.as_ref())?;
    let fail = |found: &mut Diagnostics, message: String| {
        found.push(
            Diagnostic::error("unsupported-construct", message)
                .at(aggregation.span)
                .meaning("the rule does not run")
                .help("write a correlation rule: `event_count`, `value_count`, `temporal`, …"),
        );
        None
    };
    if d.conditions.len() > 1 {
        return fail(found, "an aggregation in one of several conditions".into());
    }
    let (function, field, by, comparison, value) = match &aggregation.node {
        Aggregation::Near(_) => {
            return fail(
                found,
                "`near` in a condition never had an exact meaning and is not supported".into(),
            );
        }
        Aggregation::Reckon { function, field, by, comparison, value } => {
            (function, field, by, comparison, value)
        }
    };
    let kind = match (function.node.as_str(), field) {
        ("count", None) => Kind::EventCount,
        ("count", Some(_)) => Kind::ValueCount,
        ("sum", Some(_)) => Kind::Sum,
        ("avg", Some(_)) => Kind::Avg,
        ("min", Some(_)) => Kind::Min,
        ("max", Some(_)) => Kind::Max,
        (name, _) => return fail(found, format!("`{name}()` without a field")),
    };
    let timespan = match &d.timeframe {
        None => UNBOUNDED,
        Some(t) => match Timespan::parse(&t.node) {
            Some(t) => t.ticks(),
            None => {
                found.push(
                    Diagnostic::error("invalid-timespan", format!("`{}` is not a span of time", t.node))
                        .at(t.span)
                        .meaning("the rule does not run")
                        .help("a number and one of s, m, h, d (also w, M, y), for example `90m`"),
                );
                return None;
            }
        },
    };
    let within =
        if timespan == UNBOUNDED { "all events of a run count together" } else { "it runs all the same" };
    found.push(
        Diagnostic::warning(
            "legacy-aggregation",
            format!("`| {}` in a condition was taken out of Sigma", function.node),
        )
        .at(aggregation.span)
        .meaning(within)
        .help("write a correlation rule, which other engines take too"),
    );
    let key = |t: &Text| Key { name: t.node.clone(), fields: vec![t.node.clone()] };
    let name = rule.meta.name.as_ref().or(rule.meta.id.as_ref()).or(rule.meta.title.as_ref());
    Some(Plan {
        kind,
        rules: vec![RuleRef { name: name.map_or_else(String::new, |t| t.node.clone()), target: Target::Own }],
        group_by: by.iter().map(key).collect(),
        timespan,
        condition: Trigger::Compare(vec![(comparison.node, value.node)]),
        fields: field.iter().map(key).collect(),
        generate: false,
    })
}
