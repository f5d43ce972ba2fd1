//! Groups of events for rules that look at many at once.
//!
//! Of a correlation it is known how many hits of which rules it wants, so its groups are built. What a query
//! that aggregates wants, nobody reads from it: groups of growing size are tried until one gives a row, and
//! the largest that gives none is the near miss.

use super::bench::{Bench, Input, Probe};
use super::carrier;
use super::generate::{Made, Maker, Tests};
use crate::failure::Failure;
use std::collections::BTreeMap;
use tercel_catalog::{Detection, Plan, Role};
use tercel_ir::correlation::{Kind, Target, Trigger, UNBOUNDED};
use tercel_ir::{Expr, Name, Rel, RelKind, Span, Type, Value, time};
use tercel_verify::Event;

/// Events of one group at most.
const MOST: usize = 2_000;
/// More than anything is compared with.
const MUCH: i64 = 1_000_000_000_000;
/// Groups tried for one query.
const TRIES: usize = 80;

/// Makes groups for the rules that need them.
///
/// # Errors
/// When trying is impossible.
pub fn grow(
    maker: &Maker<'_>,
    bench: &Bench<'_>,
    rules: &mut [Detection],
    tests: &mut [Tests],
) -> Result<(), Failure> {
    for i in 0..rules.len() {
        if crate::interrupt::stopped() {
            break;
        }
        let d = &rules[i];
        if d.role() == Role::Filter {
            continue;
        }
        if let Some(plan) = d.correlation.clone() {
            match correlated(maker, rules, i, &plan) {
                Ok(made) => tests[i].made = made,
                Err(why) => tests[i].none = Some((false, why)),
            }
            continue;
        }
        if d.role() == Role::Correlation && d.correlation.is_none() {
            tests[i].none = Some((false, super::bench::not_compiled(d)));
            continue;
        }
        let groups = matches!(&tests[i].none, Some((false, why)) if why.contains("it groups events"));
        if groups && let Some(rel) = d.rel.clone() {
            match aggregated(maker, bench, rules, i, &rel)? {
                Ok(made) => tests[i] = Tests { made, ..Tests::default() },
                Err(why) => tests[i].none = Some((false, why)),
            }
        }
    }
    Ok(())
}

/// An event at a time. Rules seldom ask for the time; whether this one minds is found out when it is tried.
fn at(event: &Event, ticks: i64) -> Event {
    let mut e = event.clone();
    for column in ["TimeGenerated", "Timestamp", "UtcTime"] {
        if e.values.contains_key(column) || column == "TimeGenerated" {
            e.values.insert(column.into(), Value::DateTime(ticks));
        }
    }
    e
}

fn start() -> i64 {
    time::parse_datetime(carrier::WHEN).unwrap_or_default()
}

/// `column == value` on top of a relation; nothing where it has no such column.
fn pinned(rel: &Rel, column: &str, value: &Value) -> Option<Rel> {
    let at = Span::default();
    let known = rel.schema.get(column).or_else(|| rel.schema.get_ignore_case(column));
    let (name, ty) = match known {
        Some(c) => (c.name.clone(), c.ty),
        None if rel.schema.open => (Name::from(column), Type::String),
        None => return None,
    };
    let value = value.clone().coerce(ty);
    if value.is_null() {
        return None;
    }
    let literal = Expr { ty, ..Expr::literal(value, at) };
    let same = Expr::known("eq", vec![Expr::column(name, ty, at), literal], at);
    Some(rel.clone().filter(same, at))
}

/// An event that a relation has, with these values.
fn one(maker: &Maker<'_>, d: &Detection, rel: &Rel, pins: &[(&str, Vec<Value>)]) -> Result<Event, String> {
    let mut rel = rel.clone();
    for (column, values) in pins {
        let mut held = None;
        for v in values {
            if let Some(p) = pinned(&rel, column, v)
                && maker.hit(d, &p).is_ok()
            {
                held = Some(p);
                break;
            }
        }
        rel = held.ok_or_else(|| format!("no event that counts has a value of {column}"))?;
    }
    maker.hit(d, &rel)
}

/// Values for a field that events are grouped by, or counted by.
fn values_of(field: &str, nth: usize) -> Vec<Value> {
    let lower = field.to_ascii_lowercase();
    let text = if lower.contains("ip") || lower.contains("addr") {
        format!("10.20.{}.{}", nth / 250, nth % 250 + 1)
    } else if lower.contains("computer") || lower.contains("host") || lower.contains("device") {
        format!("ws-{:04}.corp.example", nth + 1)
    } else if lower.contains("user") || lower.contains("account") {
        format!("user{:04}", nth + 1)
    } else {
        format!("value{:04}", nth + 1)
    };
    let folder = Value::str(format!("C:\\Users\\alice\\app{:04}.exe", nth + 1));
    let number = Value::Long(nth as i64 + 1);
    if lower.contains("image") || lower.contains("path") {
        vec![folder, Value::Str(text), number]
    } else {
        vec![Value::Str(text), number, folder]
    }
}

/// Events of the rules that a correlation looks at.
struct Supply<'a> {
    maker: &'a Maker<'a>,
    rules: &'a [Detection],
    plan: &'a Plan,
    own: usize,
    made: BTreeMap<(usize, usize, Option<usize>, Option<i64>), Event>,
}

impl Supply<'_> {
    /// An event of a rule for a group, with a value of the field that is counted.
    fn get(
        &mut self,
        rule: usize,
        group: usize,
        value: Option<usize>,
        number: Option<i64>,
    ) -> Result<Event, String> {
        let key = (rule, group, value, number);
        if let Some(e) = self.made.get(&key) {
            return Ok(e.clone());
        }
        let target = match self.plan.rules.get(rule).map(|r| r.target) {
            Some(Target::Rule(i)) => i,
            _ => self.own,
        };
        let d = self.rules.get(target).ok_or("a rule that it correlates is not there")?;
        let nested = d.correlation.is_some() && target != self.own;
        let rel = match &d.rel {
            Some(rel) if !nested => rel,
            _ if nested || d.role() == Role::Correlation => {
                return Err("it correlates correlations, for which no groups are made".into());
            }
            _ => return Err(format!("{}: {}", d.title, super::bench::not_compiled(d))),
        };
        let field = |k: &tercel_ir::correlation::Key| k.fields.get(rule).cloned().unwrap_or_default();
        let groups: Vec<(String, Vec<Value>)> =
            self.plan.group_by.iter().map(|k| (field(k), values_of(&k.name, group))).collect();
        let counted: Vec<(String, Vec<Value>)> = self
            .plan
            .fields
            .iter()
            .filter_map(|k| {
                let values = match (value, number) {
                    (_, Some(n)) => vec![Value::Long(n), Value::Str(n.to_string())],
                    // Apart from the values that groups have.
                    (Some(v), None) => values_of(&k.name, 500 + v),
                    (None, None) => return None,
                };
                Some((field(k), values))
            })
            .collect();
        let pins: Vec<(&str, Vec<Value>)> =
            groups.iter().chain(&counted).map(|(f, v)| (f.as_str(), v.clone())).collect();
        let e = one(self.maker, d, rel, &pins).map_err(|why| format!("{}: {why}", d.title))?;
        self.made.insert(key, e.clone());
        Ok(e)
    }
}

fn correlated(maker: &Maker<'_>, rules: &[Detection], own: usize, plan: &Plan) -> Result<Vec<Made>, String> {
    let mut supply = Supply { maker, rules, plan, own, made: BTreeMap::new() };
    let mut out = Vec::new();
    let span = if plan.timespan == UNBOUNDED { time::TICKS_PER_HOUR } else { plan.timespan };
    let n = plan.rules.len();
    let short = |count: usize| (span / (count as i64 + 1)).clamp(1, time::TICKS_PER_SECOND);
    let far = span.saturating_add(time::TICKS_PER_SECOND);
    let make = |fires: bool, why: String, events: &[Event], step: i64| -> Result<Made, String> {
        let mut lines = Vec::with_capacity(events.len());
        for (i, e) in events.iter().enumerate() {
            let ticks = start().saturating_add(step.saturating_mul(i as i64));
            let w = maker.write(&at(e, ticks), maker.args.source)?;
            if w.table.is_some() {
                return Err(format!("events of {} are known by their file's name only", e.table));
            }
            lines.push(w.json);
        }
        Ok(Made { fires, why, events: lines, table: None, group: true })
    };
    match (plan.kind, &plan.condition) {
        (Kind::EventCount | Kind::ValueCount, trigger) => {
            let distinct = plan.kind == Kind::ValueCount;
            let k = (1..=MOST)
                .find(|k| trigger.holds(*k as f64))
                .ok_or_else(|| format!("it wants more than {MOST} events"))?;
            let mut events = Vec::with_capacity(k);
            for i in 0..k {
                events.push(supply.get(i % n, 0, distinct.then_some(i), None)?);
            }
            let what = if distinct { "different values" } else { "events" };
            out.push(make(true, format!("{k} {what} in time"), &events, short(k))?);
            if k > 1 && !trigger.holds(k as f64 - 1.0) {
                out.push(make(false, format!("{} {what}, one too few", k - 1), &events[..k - 1], short(k))?);
                if distinct {
                    let same = vec![events[0].clone(); k];
                    out.push(make(false, format!("{k} events of one value"), &same, short(k))?);
                }
                // As sparse as that, no window has two of them.
                if plan.timespan != UNBOUNDED && !trigger.holds(1.0) {
                    out.push(make(false, format!("{k} {what}, too far apart"), &events, far)?);
                }
                if !plan.group_by.is_empty() && !trigger.holds(1.0) {
                    let apart: Result<Vec<Event>, String> =
                        (0..k).map(|i| supply.get(i % n, i, distinct.then_some(i), None)).collect();
                    if let Ok(apart) = apart {
                        out.push(make(
                            false,
                            format!("{k} {what}, each in a group of its own"),
                            &apart,
                            short(k),
                        )?);
                    }
                }
            }
        }
        (Kind::Temporal | Kind::TemporalOrdered, trigger) => {
            let holds = |have: &[bool]| match trigger {
                Trigger::Expression(e) => e.holds(&|i, _| have.get(i).copied().unwrap_or(false)),
                compare => compare.holds(have.iter().filter(|h| **h).count() as f64),
            };
            // As few rules as will do: all, and then without one after the other.
            let mut have = vec![true; n];
            if !holds(&have) {
                have = vec![false; n];
                let lone = (0..n).find(|i| {
                    let mut one = vec![false; n];
                    one[*i] = true;
                    holds(&one)
                });
                have[lone.ok_or("no set of its rules was found that makes it fire")?] = true;
            }
            for i in 0..n {
                have[i] = false;
                if !holds(&have) || !have.contains(&true) {
                    have[i] = true;
                }
            }
            // What two rules both find in one event counts for both, in any order.
            let chosen: Vec<usize> = (0..n).filter(|i| have[*i]).collect();
            let mut events = Vec::new();
            for i in &chosen {
                events.push(supply.get(*i, 0, None, None)?);
            }
            let names =
                |of: &[usize]| of.iter().map(|i| plan.rules[*i].name.as_str()).collect::<Vec<_>>().join(", ");
            let k = events.len();
            out.push(make(true, format!("one event each of {}", names(&chosen)), &events, short(k))?);
            if k > 1 {
                for leave in 0..k {
                    let mut fewer = have.clone();
                    fewer[chosen[leave]] = false;
                    if holds(&fewer) {
                        continue;
                    }
                    let mut rest = events.clone();
                    rest.remove(leave);
                    let why = format!("none of {}", names(&[chosen[leave]]));
                    out.push(make(false, why, &rest, short(k))?);
                }
                if plan.timespan != UNBOUNDED {
                    out.push(make(false, "too far apart".into(), &events, far)?);
                }
                if plan.kind == Kind::TemporalOrdered {
                    let backwards: Vec<Event> = events.iter().rev().cloned().collect();
                    out.push(make(false, "in the wrong order".into(), &backwards, short(k))?);
                }
            }
        }
        (_, trigger) => {
            let Trigger::Compare(all) = trigger else { return Err("its condition has no numbers".into()) };
            let near = all.iter().flat_map(|(_, y)| {
                let y = *y as i64;
                [y, y.saturating_add(1), y.saturating_sub(1)]
            });
            let near: Vec<i64> = near.collect();
            let fits = |n: &&i64| trigger.holds(**n as f64);
            let good = *near.iter().find(fits).ok_or("no whole number is what it wants")?;
            out.push(make(
                true,
                format!("one event with {good}"),
                &[supply.get(0, 0, None, Some(good))?],
                1,
            )?);
            if let Some(bad) = near.iter().find(|n| !trigger.holds(**n as f64))
                && let Ok(e) = supply.get(0, 0, None, Some(*bad))
            {
                out.push(make(false, format!("one event with {bad}"), &[e], 1)?);
            }
        }
    }
    if maker.args.only.as_deref() == Some("hits") {
        out.retain(|m| m.fires);
    }
    Ok(out)
}

/// What an aggregating query is made of, as far as it matters here.
struct Shape<'r> {
    input: &'r Rel,
    /// Columns of the input that groups are made by, and that are reckoned with.
    keys: Vec<Name>,
    counted: Vec<(Name, Type)>,
    /// Numbers in the conditions on groups.
    numbers: Vec<i64>,
}

fn shape(rel: &Rel) -> Result<Shape<'_>, String> {
    let mut numbers = Vec::new();
    let mut now = rel;
    loop {
        match &now.kind {
            // Groups of groups: events go into the innermost.
            RelKind::Aggregate { input, keys, aggregations } if groups(input) => {
                keys.iter().for_each(|(_, e)| whole_numbers(e, &mut numbers));
                for (_, a) in aggregations {
                    a.filter.iter().chain(&a.args).for_each(|e| whole_numbers(e, &mut numbers));
                }
                now = input;
            }
            RelKind::Aggregate { input, keys, aggregations } => {
                let columns = |e: &Expr| {
                    let mut c = Vec::new();
                    e.columns(&mut c);
                    c.into_iter().map(|c| c.0).collect::<Vec<_>>()
                };
                let mut counted: Vec<(Name, Type)> = Vec::new();
                for (_, a) in aggregations {
                    if let Some(f) = &a.filter {
                        whole_numbers(f, &mut numbers);
                    }
                    for e in &a.args {
                        for c in columns(e) {
                            let ty = input.schema.get(&c).map_or(Type::String, |c| c.ty);
                            if !counted.iter().any(|x| x.0 == c) && ty != Type::DateTime {
                                counted.push((c, ty));
                            }
                        }
                    }
                }
                let keys = keys.iter().flat_map(|(_, e)| columns(e)).collect();
                return Ok(Shape { input, keys, counted, numbers });
            }
            RelKind::Filter { input, predicate } => {
                whole_numbers(predicate, &mut numbers);
                now = input;
            }
            RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
                columns.iter().for_each(|(_, e)| whole_numbers(e, &mut numbers));
                now = input;
            }
            RelKind::Sort { input, .. } | RelKind::Limit { input, .. } => now = input,
            RelKind::View { body, .. } => now = body,
            RelKind::Join { .. } => return Err("it joins events".into()),
            RelKind::Union { .. } => return Err("it puts groups of several queries together".into()),
            _ => return Err("it does more than group events".into()),
        }
    }
}

/// Whether a relation groups events somewhere.
fn groups(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Aggregate { .. } => true,
        RelKind::View { .. } => false,
        _ => rel.inputs().into_iter().any(groups),
    }
}

fn whole_numbers(e: &Expr, out: &mut Vec<i64>) {
    if let Some(v) = e.as_literal()
        && let Some(n) = v.as_f64()
        && n.abs() < 1e15
        && !out.contains(&(n as i64))
        && out.len() < 16
    {
        out.push(n as i64);
    }
    e.children().into_iter().for_each(|c| whole_numbers(c, out));
}

/// Columns that differ from event to event, or all have one number.
type Strategy<'s> = (Vec<&'s (Name, Type)>, Option<i64>);

/// The outer error ends the run, the inner one is said of the rule.
type Tried = Result<Result<Vec<Made>, String>, Failure>;

fn aggregated(
    maker: &Maker<'_>,
    bench: &Bench<'_>,
    rules: &mut [Detection],
    rule: usize,
    rel: &Rel,
) -> Tried {
    let d = rules[rule].clone();
    let shape = match shape(rel) {
        Ok(s) => s,
        Err(e) => return Ok(Err(e)),
    };
    let base = match maker.hit(&d, shape.input) {
        Ok(e) => e,
        Err(e) => return Ok(Err(e)),
    };
    // In this order: the same event again; other values of what is counted; of all of it.
    let text: Vec<&(Name, Type)> = shape.counted.iter().filter(|c| !c.1.is_number()).collect();
    let numeric: Vec<&(Name, Type)> = shape.counted.iter().filter(|c| c.1.is_number()).collect();
    let mut strategies: Vec<Strategy<'_>> = vec![(Vec::new(), None)];
    if !numeric.is_empty() {
        strategies.push((numeric.clone(), Some(MUCH)));
    }
    strategies.extend(text.iter().map(|c| (vec![*c], None)));
    if text.len() > 1 {
        strategies.push((text.clone(), None));
    }
    for n in shape.numbers.iter().copied().filter(|_| !numeric.is_empty()) {
        strategies.extend([(numeric.clone(), Some(n)), (numeric.clone(), Some(n.saturating_add(1)))]);
    }
    if shape.counted.len() > 1 {
        strategies.push((shape.counted.iter().collect(), None));
    }
    let mut sizes: Vec<usize> = vec![1];
    for n in &shape.numbers {
        for k in [*n, n.saturating_add(1)] {
            sizes.extend(usize::try_from(k).ok().filter(|k| (1..=MOST).contains(k)));
        }
    }
    sizes.extend([2, 3, 5, 10]);
    sizes.sort_unstable();
    sizes.dedup();
    let mut tries = TRIES;
    let mut few = bench.few(rules, &[rule]);
    let steps = [time::TICKS_PER_SECOND, time::TICKS_PER_MINUTE, 10 * time::TICKS_PER_MINUTE];
    let every = strategies.iter().flat_map(|s| steps.map(|step| (&s.0, &s.1, step)));
    for (columns, number, step) in every {
        let events = |k: usize| -> Result<Vec<Event>, String> {
            (0..k)
                .map(|i| {
                    if columns.is_empty() {
                        return Ok(base.clone());
                    }
                    let pins: Vec<(&str, Vec<Value>)> = columns
                        .iter()
                        .filter(|c| !shape.keys.contains(&c.0))
                        .map(|c| match number {
                            Some(n) => (&*c.0, vec![Value::Long(*n)]),
                            None => (&*c.0, values_of(&c.0, i)),
                        })
                        .collect();
                    one(maker, &d, shape.input, &pins)
                })
                .collect()
        };
        // The smallest that fires, and one that does not: below it, else above it.
        let mut least: Option<usize> = None;
        let mut without: Option<usize> = None;
        for k in &sizes {
            if tries == 0 {
                break;
            }
            tries -= 1;
            let Ok(these) = events(*k) else { break };
            let lines = match lines(maker, &these, step) {
                Ok(l) => l,
                Err(e) => return Ok(Err(e)),
            };
            let fires = bench.fires(&mut few, &lines)?;
            match (fires, least) {
                (true, None) => least = Some(*k),
                (false, None) => without = Some(*k),
                (false, Some(_)) if without.is_none() => {
                    without = Some(*k);
                    break;
                }
                _ => {}
            }
            if least.is_some() && without.is_some() {
                break;
            }
        }
        let Some(mut least) = least else { continue };
        // Between the last that did not and the first that did there may be a smaller one.
        if let Some(below) = without.filter(|w| *w < least) {
            let (mut low, mut high) = (below, least);
            while high - low > 1 && tries > 0 {
                tries -= 1;
                let middle = low + (high - low) / 2;
                let fires = match events(middle).and_then(|e| lines(maker, &e, step)) {
                    Ok(l) => bench.fires(&mut few, &l)?,
                    Err(_) => break,
                };
                if fires { high = middle } else { low = middle }
            }
            (least, without) = (high, Some(low));
        }
        let mut out = Vec::new();
        for (k, fires) in [(Some(least), true), (without, false)] {
            let Some(k) = k else { continue };
            if !fires && maker.args.only.as_deref() == Some("hits") {
                continue;
            }
            let lines = match events(k).and_then(|e| lines(maker, &e, step)) {
                Ok(l) => l,
                Err(e) => return Ok(Err(e)),
            };
            let more = if fires {
                ""
            } else if k < least {
                ", too few"
            } else {
                ", too many"
            };
            let noun = if k == 1 { "event" } else { "events" };
            out.push(Made {
                fires,
                why: format!("{k} {noun}{more}"),
                events: lines,
                table: None,
                group: true,
            });
        }
        return Ok(Ok(out));
    }
    Ok(Err(format!("it groups events, and none of {} groups that were tried gave a row", TRIES - tries)))
}

/// Events so far apart, as they are written.
fn lines(maker: &Maker<'_>, events: &[Event], step: i64) -> Result<Vec<serde_json::Value>, String> {
    let mut out = Vec::with_capacity(events.len());
    for (i, e) in events.iter().enumerate() {
        let w =
            maker.write(&at(e, start().saturating_add(step.saturating_mul(i as i64))), maker.args.source)?;
        if w.table.is_some() {
            return Err(format!("events of {} are known by their file's name only", e.table));
        }
        out.push(w.json);
    }
    Ok(out)
}

impl Bench<'_> {
    /// Whether the only reported rule gives anything for these events together.
    fn fires(&self, few: &mut [Detection], lines: &[serde_json::Value]) -> Result<bool, Failure> {
        let lines = lines.iter().map(ToString::to_string).collect();
        let all: Vec<usize> = (0..few.len()).filter(|i| few[*i].reported).collect();
        let probe = Probe { input: Input::Events { lines, table: None }, rules: all };
        let found = self.run(few, std::slice::from_ref(&probe))?;
        Ok(found.values().any(|g| g.hits > 0))
    }
}
