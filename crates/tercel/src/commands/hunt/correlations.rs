//! Correlation rules in a hunt: the hits that they ask for, and their firings.

use super::hits::Row;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use tercel_catalog::Detection;
use tercel_engine::Provenance;
use tercel_ir::{Expr, Name, Rel, Type, Value, time};
use tercel_rules::correlate::{Correlator, Fire, Hit, Limits, Outcome, Refused, Stats};

/// Tells an event from others of its pass: a number of the unit of work, and one of the event in it.
pub type EventKey = (u64, u64);

/// The correlations of a run.
pub struct Correlations {
    correlator: Correlator,
    /// Where the events of hits are, by reference.
    places: Vec<(Option<Name>, Option<i64>)>,
    /// The event of the last hit: several rules may match one, and then their hits come together.
    last: Option<EventKey>,
}

impl Correlations {
    /// Of all detections that are correlations. What comes second are those that cannot run.
    pub fn new(detections: &[Detection]) -> (Correlations, Vec<Refused>) {
        let plans =
            detections.iter().enumerate().filter_map(|(i, d)| Some((i, d.correlation.clone()?))).collect();
        let (correlator, refused) = Correlator::new(plans, Limits::default());
        (Correlations { correlator, places: Vec::new(), last: None }, refused)
    }

    /// Whether the events of a rule are asked for.
    pub fn takes(&self, rule: usize) -> bool {
        self.correlator.takes(rule)
    }

    /// The events of a rule with just the fields that correlations ask for. A field that the events do not
    /// have is null.
    pub fn asked(&self, rule: usize, rel: &Rel) -> Rel {
        let columns = self.correlator.wanted(rule).iter().map(|field| {
            let known = rel.schema.get(field).or_else(|| rel.schema.get_ignore_case(field));
            let e = match known {
                Some(c) => Expr::column(c.name.clone(), c.ty, rel.span),
                None if rel.schema.open => Expr::column(field.as_str(), Type::String, rel.span),
                None => Expr::null(Type::String, rel.span),
            };
            (Name::from(field.as_str()), e)
        });
        rel.clone().project(columns.collect(), rel.span)
    }

    /// A hit of a rule that [takes](Self::takes) part; `row` are the values of the fields that were asked
    /// for, `event` tells its event from others.
    pub fn push(&mut self, rule: usize, event: EventKey, from: &Provenance, row: &[Value]) {
        if self.last != Some(event) {
            self.places.push((from.source.as_deref().map(Name::from), from.record));
            self.last = Some(event);
        }
        let hit = Hit { rule, time: from.time, reference: self.places.len() as u64 - 1 };
        let wanted: Vec<String> = self.correlator.wanted(rule).to_vec();
        let field = |name: &str| {
            wanted.iter().position(|w| w == name).and_then(|i| row.get(i)).cloned().unwrap_or(Value::Null)
        };
        // A hit that is refused is counted, and said at the end.
        let _ = self.correlator.push(&hit, &field);
    }

    /// Evaluates everything. Firings come in the order of their times.
    pub fn finish(&mut self, detections: &[Detection], each: &mut dyn FnMut(usize, Option<i64>, Row)) {
        self.correlator.finish();
        let outcomes = self.correlator.take();
        let ends: HashMap<u64, (i64, u64)> = outcomes
            .iter()
            .filter_map(|o| match o {
                Outcome::End { fire, last, hits } => Some((*fire, (*last, *hits))),
                Outcome::Fire(_) => None,
            })
            .collect();
        for o in &outcomes {
            if let Outcome::Fire(f) = o
                && !f.silent
                && detections.get(f.rule).is_some_and(|d| d.reported)
            {
                each(f.rule, Some(f.time), self.row(f, ends.get(&f.id), detections));
            }
        }
    }

    /// A firing as people and scripts see it.
    fn row(&self, f: &Fire, end: Option<&(i64, u64)>, detections: &[Detection]) -> Row {
        let mut row = Row::new();
        let at = |t: i64| Json::String(time::format_datetime(t));
        let plan = detections.get(f.rule).and_then(|d| d.correlation.as_ref());
        if let Some(plan) = plan {
            row.insert("correlation".into(), plan.kind.as_str().into());
            for (key, value) in plan.group_by.iter().zip(&f.key) {
                row.insert(key.name.clone(), value.as_str().into());
            }
        }
        row.insert(
            "value".into(),
            if f.value.fract() == 0.0 { json!(f.value as i64) } else { json!(f.value) },
        );
        row.insert("first".into(), at(f.first));
        row.insert("last".into(), at(f.last));
        row.insert("hits".into(), f.hits.into());
        if let Some((last, more)) = end {
            row.insert("until".into(), at(*last));
            row.insert("more_hits".into(), (*more).into());
        }
        let events: Vec<Json> = f
            .contributions
            .iter()
            .map(|c| {
                let rule = plan.and_then(|p| p.rules.get(c.rule)).map_or("", |r| r.name.as_str());
                let place = usize::try_from(c.reference).ok().and_then(|i| self.places.get(i));
                match place {
                    Some((source, record)) if !self.is_correlation(f.rule, c.rule, detections) => {
                        json!({ "rule": rule, "time": at(c.time), "source": source.as_deref(), "record": record })
                    }
                    _ => json!({ "rule": rule, "time": at(c.time) }),
                }
            })
            .collect();
        row.insert("events".into(), events.into());
        row
    }

    /// Whether a rule that a correlation refers to is a correlation too: its firings have no one event.
    fn is_correlation(&self, rule: usize, of: usize, detections: &[Detection]) -> bool {
        use tercel_rules::correlate::Target;
        let target = detections.get(rule).and_then(|d| Some(d.correlation.as_ref()?.rules.get(of)?.target));
        matches!(target, Some(Target::Rule(i)) if detections.get(i).is_some_and(|d| d.correlation.is_some()))
    }

    /// What is to be said of hits that could not be correlated.
    pub fn notes(&self, detections: &[Detection]) -> Vec<String> {
        let Stats { untimed, refused, .. } = self.correlator.stats();
        let mut out = Vec::new();
        if untimed > 0 {
            out.push(format!("{untimed} hits without a time were not correlated"));
        }
        if refused > 0 {
            let limit = Limits::default().memory >> 20;
            out.push(format!(
                "{refused} hits were not correlated: those of correlated rules take more than {limit} MiB"
            ));
        }
        for (rule, counts) in self.correlator.counts() {
            let Some(d) = detections.get(rule) else { continue };
            if counts.keyless > 0 {
                out.push(format!(
                    "{}: {} hits belong to no group, since a field that it groups by is empty",
                    d.title, counts.keyless
                ));
            }
            if counts.refused > 0 {
                out.push(format!(
                    "{}: {} hits did not fit into memory and do not count",
                    d.title, counts.refused
                ));
            }
            if counts.valueless > 0 {
                out.push(format!("{}: {} hits have no value to reckon with", d.title, counts.valueless));
            }
        }
        out
    }
}
