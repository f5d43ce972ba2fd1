//! The dumb reading of the same plans: every window by itself, over and over. Quadratic and worse.
//!
//! It shares the plans with the streaming core and nothing else. Tests hold the core to it.

use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::Value;
use tercel_ir::correlation::{Key, Kind, Plan, RuleExpr, Target, Trigger, UNBOUNDED};

/// An event that a rule matches, with all its fields.
#[derive(Clone, Debug)]
pub struct Event {
    /// The rule, by its index in the run.
    pub rule: usize,
    /// When.
    pub time: i64,
    /// Which event.
    pub reference: u64,
    /// What it says.
    pub fields: BTreeMap<String, Value>,
}

/// A firing, as far as the oracle is concerned with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    /// The rule whose plan fired.
    pub rule: usize,
    /// As [`super::Fire::time`].
    pub time: i64,
    /// As [`super::Fire::key`].
    pub key: Vec<String>,
    /// As [`super::Fire::value`]; `None` for expressions, whose number says little.
    pub value: Option<f64>,
    /// As [`super::Fire::first`].
    pub first: i64,
    /// As [`super::Fire::last`].
    pub last: i64,
    /// As [`super::Fire::hits`].
    pub hits: usize,
    /// As the hits of [`super::Outcome::End`].
    pub more: usize,
}

/// A hit of one rule of a plan.
#[derive(Clone)]
struct Given {
    rule: usize,
    time: i64,
    /// What tells it from others of the same rule and time: events by their references, firings by group.
    identity: (u64, Vec<String>),
    event: Option<u64>,
    fields: BTreeMap<String, Value>,
}

/// All firings of plans that can run, in no particular order.
pub fn firings(plans: &[(usize, Plan)], events: &[Event]) -> Vec<Firing> {
    let mut done: BTreeMap<usize, Vec<(Firing, Given)>> = BTreeMap::new();
    loop {
        let next = plans.iter().find(|(rule, plan)| {
            !done.contains_key(rule)
                && plan.rules.iter().all(|r| match r.target {
                    Target::Own => true,
                    Target::Rule(r) => done.contains_key(&r) || plans.iter().all(|p| p.0 != r),
                })
        });
        let Some((rule, plan)) = next else { break };
        let mut hits = Vec::new();
        for (i, r) in plan.rules.iter().enumerate() {
            let (of, fired) = match r.target {
                Target::Own => (*rule, None),
                Target::Rule(r) => (r, done.get(&r)),
            };
            match fired {
                Some(f) => hits.extend(f.iter().map(|(_, g)| Given { rule: i, ..g.clone() })),
                None => hits.extend(events.iter().filter(|e| e.rule == of).map(|e| Given {
                    rule: i,
                    time: e.time,
                    identity: (e.reference, Vec::new()),
                    event: Some(e.reference),
                    fields: e.fields.clone(),
                })),
            }
        }
        let fired = one(*rule, plan, hits);
        done.insert(*rule, fired);
    }
    done.into_values().flatten().map(|(f, _)| f).collect()
}

fn texts(keys: &[Key], h: &Given) -> Option<Vec<String>> {
    keys.iter()
        .map(|k| h.fields.get(&k.fields[h.rule]).map(|v| v.text().into_owned()).filter(|t| !t.is_empty()))
        .collect()
}

fn number(plan: &Plan, h: &Given) -> Option<f64> {
    let v = h.fields.get(&plan.fields[0].fields[h.rule])?;
    match v {
        Value::Str(s) => s.trim().parse().ok(),
        v => v.as_f64(),
    }
    .filter(|n: &f64| n.is_finite())
}

fn one(rule: usize, plan: &Plan, hits: Vec<Given>) -> Vec<(Firing, Given)> {
    let mut groups: BTreeMap<Vec<String>, Vec<Given>> = BTreeMap::new();
    for h in hits {
        let Some(key) = texts(&plan.group_by, &h) else { continue };
        if plan.kind == Kind::ValueCount && texts(&plan.fields, &h).is_none()
            || plan.kind.is_numeric() && number(plan, &h).is_none()
        {
            continue;
        }
        groups.entry(key).or_default().push(h);
    }
    let mut out = Vec::new();
    for (key, mut hits) in groups {
        hits.sort_by(|a, b| (a.time, a.rule, &a.identity).cmp(&(b.time, b.rule, &b.identity)));
        if !plan.kind.is_temporal() {
            let mut seen = BTreeSet::new();
            hits.retain(|h| h.event.is_none_or(|e| seen.insert((h.time, e))));
        }
        group(rule, plan, &key, &hits, &mut out);
    }
    out
}

fn group(rule: usize, plan: &Plan, key: &[String], hits: &[Given], out: &mut Vec<(Firing, Given)>) {
    let far = |from: i64, to: i64| plan.timespan != UNBOUNDED && to - from > plan.timespan;
    // Every window that is judged: when, and over which hits.
    let mut windows: Vec<(i64, Vec<&Given>)> = Vec::new();
    if plan.waits() {
        let mut last = 0;
        for (i, h) in hits.iter().enumerate() {
            let end = hits.iter().rposition(|x| !far(h.time, x.time)).map_or(i, |e| e) + 1;
            // Part of the one before, unless it reaches further.
            if end > last {
                let at = match plan.timespan {
                    UNBOUNDED => i64::MAX,
                    t => h.time + t,
                };
                windows.push((at, hits[i..end].iter().collect()));
                last = end;
            }
        }
    } else {
        let moments: BTreeSet<i64> = hits.iter().map(|h| h.time).collect();
        for t in moments {
            windows.push((t, hits.iter().filter(|h| h.time <= t && !far(h.time, t)).collect()));
        }
    }
    let (mut running, mut before) = (false, None::<i64>);
    for (at, w) in windows {
        let (first, last) = (w[0].time, w[w.len() - 1].time);
        // The hit that follows the last one of the window before.
        let next = hits.iter().map(|h| h.time).find(|t| before.is_some_and(|b| *t > b));
        if let (Some(b), Some(n)) = (before, next)
            && far(b, n)
        {
            running = false;
        }
        let new = w.iter().filter(|h| before.is_none_or(|b| h.time > b)).count();
        before = Some(last);
        let (value, holds) = judge(plan, &w);
        if let (true, true, Some(f)) = (holds, running, out.last_mut()) {
            f.0.more += new;
        }
        if holds && !running {
            let mut fields = w[w.len() - 1].fields.clone();
            let of = |k: &Key| plan.group_by.iter().position(|x| x.name == k.name).unwrap_or(0);
            for k in plan.group_by.iter().rev() {
                for f in &k.fields {
                    fields.insert(f.clone(), Value::str(key[of(k)].clone()));
                }
            }
            for k in plan.group_by.iter().rev() {
                fields.insert(k.name.clone(), Value::str(key[of(k)].clone()));
            }
            out.push((
                Firing { rule, time: at, key: key.to_vec(), value, first, last, hits: w.len(), more: 0 },
                Given { rule: 0, time: at, identity: (0, key.to_vec()), event: None, fields },
            ));
        }
        running = holds;
    }
}

fn judge(plan: &Plan, window: &[&Given]) -> (Option<f64>, bool) {
    let numbers = || -> Vec<f64> {
        let mut n: Vec<f64> = window.iter().filter_map(|h| number(plan, h)).collect();
        n.sort_by(f64::total_cmp);
        n
    };
    let present = |i: usize| window.iter().any(|h| h.rule == i);
    if let Trigger::Expression(e) = &plan.condition {
        let holds = match plan.kind {
            Kind::TemporalOrdered => in_order(plan.rules.len(), window, e, &present),
            _ => e.holds(&|i, _| present(i)),
        };
        return (None, holds);
    }
    let value = match plan.kind {
        Kind::EventCount => window.len() as f64,
        Kind::ValueCount => {
            let all: BTreeSet<_> = window.iter().filter_map(|h| texts(&plan.fields, h)).collect();
            all.len() as f64
        }
        Kind::Temporal => (0..plan.rules.len()).filter(|i| present(*i)).count() as f64,
        Kind::TemporalOrdered => longest(window) as f64,
        Kind::Sum => numbers().iter().sum(),
        Kind::Avg => numbers().iter().sum::<f64>() / numbers().len() as f64,
        Kind::Min => numbers()[0],
        Kind::Max => numbers()[numbers().len() - 1],
        Kind::Percentile(p) => {
            let n = numbers();
            let at = p / 100.0 * (n.len() - 1) as f64;
            let (below, above) = (n[at.floor() as usize], n[at.ceil() as usize]);
            if below == above { below } else { below * (1.0 - at.fract()) + above * at.fract() }
        }
    };
    (Some(value), plan.condition.holds(value))
}

/// Most rules, ascending, of hits in order of time.
fn longest(window: &[&Given]) -> usize {
    let mut best = vec![0; window.len()];
    for i in 0..window.len() {
        let before = (0..window.len())
            .filter(|j| window[*j].time <= window[i].time && window[*j].rule < window[i].rule && *j < i)
            .map(|j| best[j])
            .max();
        best[i] = before.unwrap_or(0) + 1;
    }
    best.into_iter().max().unwrap_or(0)
}

/// Whether some set of rules with hits in order satisfies the expression.
fn in_order(rules: usize, window: &[&Given], e: &RuleExpr, present: &dyn Fn(usize) -> bool) -> bool {
    (0u32..1 << rules).any(|set| {
        let mut from = i64::MIN;
        let chain = (0..rules).filter(|i| set & (1 << i) != 0).all(|i| {
            let next = window.iter().filter(|h| h.rule == i && h.time >= from).map(|h| h.time).min();
            next.inspect(|t| from = *t).is_some()
        });
        chain && e.holds(&|i, positive| if positive { set & (1 << i) != 0 } else { present(i) })
    })
}
