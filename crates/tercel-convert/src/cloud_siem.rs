//! Rules of Sumo Logic's Cloud SIEM, as the JSON that its API takes.
//!
//! Cloud SIEM's expressions have the operators of searches, over normalised records. So a rule becomes a search
//! first, which is proved, and the search's conditions become the expression with each field under its
//! name in a record: that of Cloud SIEM's schema where the value is kept as it is, else that of the parsed event
//! (`fields['EventData.Hashes']`).

mod expression;
mod rule;

use crate::asks::{Detection, Language, Options, Prove, Target, Vocabulary};
use crate::correlation::{self, Correlation, Member, comparisons, grows, refused};
use crate::out::{Conversion, Effect, Fidelity, Loss};
use expression::Expression;
use rule::{About, entities};
use serde_json::{Value as J, json};
use tercel_ir::correlation::{Comparison, Kind, Trigger, UNBOUNDED};
use tercel_ir::{Diagnostic, time};
use tercel_schema::SchemaCatalog;

const RECORDS: &str =
    "records are those that Sumo Logic's parser of Windows events in XML and its mappings make";
/// The search that a rule is made of.
const SEARCH: Target = Target { language: Language::Sumo, vocabulary: Vocabulary::Native };

/// A detection as a match rule.
pub(crate) fn convert(
    detection: &Detection<'_>,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    let search = crate::convert(detection, SEARCH, catalog, options, prove)?;
    if search.text.is_empty() {
        return Ok(search);
    }
    let expression = match expression::of(&search.text) {
        Ok(e) => e,
        Err(why) => return Ok(refused(&why, search.losses)),
    };
    let about = About::new(detection.meta);
    let shown: Vec<String> = detection
        .meta
        .fields
        .iter()
        .map(|f| expression::record_field(&f.node, expression.source).0)
        .chain(expression.fields.iter().cloned())
        .collect();
    let fields = json!({
        "category": about.category,
        "enabled": true,
        "entitySelectors": entities(expression.source, &[]),
        "isPrototype": about.prototype,
        "name": about.name,
        "nameExpression": about.name,
        "descriptionExpression": about.description,
        "expression": expression.text,
        "scoreMapping": {"type": "constant", "default": about.score, "field": null, "mapping": null},
        "stream": "record",
        "summaryExpression": rule::summary(&shown),
        "tags": about.tags,
        "tuningExpressionIds": [],
    });
    Ok(Conversion {
        text: pretty(&json!({ "fields": fields })),
        assumptions: search.assumptions.into_iter().chain([RECORDS.to_string()]).collect(),
        ..search
    })
}

fn pretty(j: &J) -> String {
    // Strings and numbers in maps and lists: writing them cannot fail.
    let mut out = serde_json::to_string_pretty(j).unwrap_or_default();
    out.push('\n');
    out
}

/// A correlation as a threshold, chain or aggregation rule.
pub(crate) fn correlation(
    c: &Correlation<'_>,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    let mut members = Vec::with_capacity(c.rules.len());
    for (rules, hub) in correlation::hubs(c, catalog)? {
        let m = Member::new(c, rules, hub, SEARCH, catalog, options, prove)?;
        if m.filter.text.is_empty() {
            let why = m.filter.reason.clone().unwrap_or_default();
            return Ok(refused(&format!("the rule {}: {why}", m.names(c.plan)), m.filter.losses));
        }
        members.push(m);
    }
    let mut losses = Vec::new();
    match made(c, &members, &mut losses) {
        Err(why) => Ok(refused(&why, losses)),
        Ok(j) => {
            let (fidelity, _) = correlation::fidelity(c.plan, &members, &losses);
            // How its windows overlap is described, not defined: nothing here can be called exact.
            let fidelity = if fidelity == Fidelity::Exact { Fidelity::Unproved } else { fidelity };
            let reason = "the filters are proved; Cloud SIEM's windows overlap in a way that is not documented in full, \
                          so that no more is known of the whole";
            let mut all: Vec<Loss> = members.iter().flat_map(|m| m.filter.losses.clone()).collect();
            all.extend(losses);
            let mut assumptions: Vec<String> =
                members.iter().flat_map(|m| m.filter.assumptions.clone()).collect();
            assumptions.push(RECORDS.into());
            assumptions.sort();
            assumptions.dedup();
            Ok(Conversion {
                text: pretty(&j),
                fidelity,
                losses: all,
                assumptions,
                reason: Some(reason.into()),
                pair: None,
            })
        }
    }
}

fn made(c: &Correlation, members: &[Member], losses: &mut Vec<Loss>) -> Result<J, String> {
    let plan = c.plan;
    let about = About::new(c.meta);
    if plan.timespan == UNBOUNDED {
        return Err("a correlation without a timespan: rules of Cloud SIEM have windows".into());
    }
    let expressions: Vec<Expression> =
        members.iter().map(|m| expression::of(&m.filter.text)).collect::<Result<_, _>>()?;
    let source = expressions.first().map(|e| e.source).ok_or("it correlates no rules")?;
    let groups = groups(c, members, &expressions)?;
    let entities = entities(source, &groups);
    let named: Vec<&str> = entities.iter().filter_map(|e| e.get("expression").and_then(J::as_str)).collect();
    if !named.iter().all(|e| groups.iter().any(|g| g == e)) {
        losses.push(Loss {
            what: "what hits are grouped by".into(),
            why: format!("Cloud SIEM counts for each entity, here by {} too", named.join(", ")),
            effect: if grows(plan) { Effect::Narrower } else { Effect::None },
        });
    }
    if plan.generate {
        losses.push(Loss {
            what: "generate".into(),
            why: "a rule shows the correlation, not the rules' own hits as well".into(),
            effect: Effect::None,
        });
    }
    let (window, millis) = window(plan.timespan);
    let mut fields = json!({
        "category": about.category,
        "enabled": true,
        "entitySelectors": entities,
        "isPrototype": about.prototype,
        "name": about.name,
        "description": about.description,
        "score": about.score,
        "stream": "record",
        "summaryExpression": rule::summary(&groups),
        "tags": about.tags,
        "tuningExpressionIds": [],
        "groupByFields": groups,
        "windowSize": window,
    });
    let put = |fields: &mut J, more: J| {
        if let (J::Object(f), J::Object(more)) = (fields, more) {
            f.extend(more);
        }
    };
    if window == "CUSTOM" {
        put(&mut fields, json!({ "windowSizeMilliseconds": millis.to_string() }));
    }
    match (plan.kind, &plan.condition) {
        (Kind::EventCount | Kind::ValueCount, Trigger::Compare(all)) if limit(all).is_some() => {
            let expression = any(&expressions);
            let distinct = plan.kind == Kind::ValueCount;
            let field = if distinct { Some(reckoned(c, members, source)?) } else { None };
            put(
                &mut fields,
                json!({
                    "expression": expression, "limit": limit(all), "countDistinct": distinct, "countField": field,
                    "version": 1,
                }),
            );
        }
        (Kind::Temporal | Kind::TemporalOrdered, t) => {
            let all = [(Comparison::Gte, plan.rules.len() as f64)];
            if comparisons(t) != all || members.len() < 2 {
                return Err("a chain of Cloud SIEM asks for all of its rules, and for nothing else".into());
            }
            let each: Vec<J> =
                expressions.iter().map(|e| json!({ "expression": e.text, "limit": 1 })).collect();
            let ordered = plan.kind == Kind::TemporalOrdered;
            put(&mut fields, json!({ "expressionsAndLimits": each, "ordered": ordered }));
        }
        (kind, t) => {
            let (function, arguments) = match kind {
                Kind::EventCount => ("count", vec!["true".to_string()]),
                Kind::ValueCount => ("count_distinct", vec![reckoned(c, members, source)?]),
                Kind::Sum => ("sum", vec![reckoned(c, members, source)?]),
                Kind::Avg => ("avg", vec![reckoned(c, members, source)?]),
                Kind::Min => ("min", vec![reckoned(c, members, source)?]),
                Kind::Max => ("max", vec![reckoned(c, members, source)?]),
                _ => return Err("aggregation rules of Cloud SIEM have no percentiles".into()),
            };
            let trigger: Vec<String> = comparisons(t)
                .iter()
                .map(|(c, n)| {
                    format!("result {} {}", correlation::operator(*c, "="), correlation::number(*n))
                })
                .collect();
            put(
                &mut fields,
                json!({
                    "matchExpression": any(&expressions),
                    "aggregationFunctions": [{"name": "result", "function": function, "arguments": arguments}],
                    "triggerExpression": trigger.join(" and "),
                    "groupByEntity": true,
                    "nameExpression": about.name,
                    "descriptionExpression": about.description,
                    "scoreMapping": {"type": "constant", "default": about.score, "field": null, "mapping": null},
                }),
            );
            if let J::Object(f) = &mut fields {
                f.shift_remove("description");
                f.shift_remove("score");
            }
        }
    }
    Ok(json!({ "fields": fields }))
}

/// Of several rules, any.
fn any(all: &[Expression]) -> String {
    match all {
        [one] => one.text.clone(),
        many => many.iter().map(|e| format!("({})", e.text)).collect::<Vec<_>>().join("\nor "),
    }
}

/// The fields of records that hits are grouped by; all rules call them alike.
fn groups(c: &Correlation, members: &[Member], expressions: &[Expression]) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for (i, k) in c.plan.group_by.iter().enumerate() {
        let mut names = members.iter().zip(expressions).map(|(m, e)| {
            let column = m.keys.get(i).and_then(|e| e.as_column())?;
            // Machines are told apart by either name.
            let machine = &**column == "Computer";
            Some(if machine {
                "device_hostname".into()
            } else {
                expression::record_field(column, e.source).0
            })
        });
        let first = names.next().flatten().ok_or_else(|| format!("`{}` is computed", k.name))?;
        if !names.all(|n| n.as_ref() == Some(&first)) {
            return Err(format!("`{}` is another field in each of the rules", k.name));
        }
        out.push(first);
    }
    Ok(out)
}

fn reckoned(c: &Correlation, members: &[Member], source: expression::Source) -> Result<String, String> {
    if c.plan.fields.len() != 1 {
        return Err("Cloud SIEM reckons with one field".into());
    }
    let mut names = members.iter().map(|m| m.values.first().and_then(|e| e.as_column()));
    let first = names.next().flatten().ok_or("what is reckoned with is computed")?;
    if !names.all(|n| n == Some(first)) {
        return Err("what is reckoned with is another field in each of the rules".into());
    }
    Ok(expression::record_field(first, source).0)
}

/// The count from which on a threshold is met.
fn limit(all: &[(Comparison, f64)]) -> Option<u32> {
    let [(c, n)] = all else { return None };
    let n = match c {
        Comparison::Gte => n.ceil(),
        Comparison::Gt => n.floor() + 1.0,
        _ => return None,
    };
    (1.0..=f64::from(u32::MAX)).contains(&n).then_some(n as u32)
}

/// A window by its name, and how long it is in milliseconds.
fn window(ticks: i64) -> (&'static str, i64) {
    let millis = ticks / (time::TICKS_PER_SECOND / 1000);
    let name = match millis / 60_000 {
        _ if millis % 60_000 != 0 => "CUSTOM",
        5 => "T05M",
        10 => "T10M",
        30 => "T30M",
        60 => "T60M",
        720 => "T12H",
        1440 => "T24H",
        7200 => "T05D",
        _ => "CUSTOM",
    };
    (name, millis)
}
