//! From a value not seen before to its class: the set of parts that it satisfies.

use crate::cache::Classes;
use crate::compile::Read;
use crate::eval::{eval, truth};
use crate::hash::FastMap;
use crate::necessary::Necessary;
use crate::pattern::{address, whole};
use crate::ruleset::{RuleSet, SubjectProgram};
use crate::text::{Seen, TextIndex};
use crate::value::typed;
use tercel_ir::Value;
use tercel_telemetry::{RawValue, typing};

/// The matchers of one event type for a subject of its own.
pub(crate) struct Own {
    pub(crate) index: TextIndex,
    /// What a text has of which the index says anything but that it is there.
    pub(crate) necessary: Option<Necessary>,
}

/// Matchers of one event type, by subject.
pub(crate) type OwnIndexes = FastMap<u32, Own>;

/// Room to work in, kept between values.
#[derive(Default)]
pub(crate) struct Classifier {
    patterns: Seen,
    sets: Seen,
    parts: Seen,
    touched: Vec<u32>,
    text: String,
    folded: String,
}

/// The value of a subject's expression.
fn value_of(subject: &SubjectProgram, raws: &[RawValue<'_>], set: &RuleSet, buffer: &mut String) -> Value {
    let read = |r: &Read, buffer: &mut String| typed(&raws[r.place as usize], r.ty, buffer);
    if subject.plain {
        return read(&subject.reads[0], buffer);
    }
    let values: Vec<Value> = subject.reads.iter().map(|r| read(r, buffer)).collect();
    let row = |name: &str| {
        let at = subject.reads.iter().position(|r| *r.name == *name);
        at.map_or(Value::Null, |i| values[i].clone())
    };
    eval(&subject.native.expr, &row, &set.context)
}

impl Classifier {
    /// The class of the values of a group's columns, in the order of the columns.
    /// `own`: matchers of subjects that stand for the set's.
    pub(crate) fn class(
        &mut self,
        set: &RuleSet,
        group: u32,
        raws: &[RawValue<'_>],
        classes: &mut Classes,
        own: Option<&OwnIndexes>,
    ) -> u32 {
        let program = &set.groups[group as usize];
        let Classifier { patterns, sets, parts, touched, text, folded } = self;
        patterns.begin(set.patterns.len());
        sets.begin(set.formulas.sets.len());
        touched.clear();
        let mut hit = |pattern: u32| {
            for s in set.sets_of.get(pattern) {
                if sets.first(*s) {
                    touched.push(*s);
                }
            }
        };
        for s in &program.subjects {
            let subject = &set.subjects[*s as usize];
            let index = || own.and_then(|o| o.get(s)).map(|o| &o.index).unwrap_or_else(|| subject.index(set));
            if subject.plain_text {
                // The common case needs no value of its own.
                match typing::string(&raws[subject.reads[0].place as usize], text) {
                    Some(t) => on_text(subject, t, &index, folded, patterns, &mut hit),
                    None => subject.nulls(set).iter().for_each(|p| hit(*p)),
                }
            } else {
                let value = value_of(subject, raws, set, text);
                on_value(subject, &value, set, &index, folded, patterns, &mut hit);
            }
        }
        touched.sort_unstable();
        let holding = || {
            parts.begin(set.parts.len());
            let mut found = Vec::new();
            let of_sets = touched.iter().flat_map(|s| set.parts_of.get(*s));
            for p in of_sets.chain(&program.always) {
                let holds = || set.formulas.holds(set.parts[*p as usize].node, &|s| sets.has(s));
                if parts.first(*p) && holds() {
                    found.push(*p);
                }
            }
            found.sort_unstable();
            found
        };
        classes.of(touched, holding)
    }
}

/// Texts are neither true nor false.
fn on_text<'i>(
    subject: &SubjectProgram,
    text: &str,
    index: &dyn Fn() -> &'i TextIndex,
    folded: &mut String,
    seen: &mut Seen,
    hit: &mut impl FnMut(u32),
) {
    subject.not_null.iter().for_each(|p| hit(*p));
    if !text.is_empty() {
        subject.not_empty.iter().for_each(|p| hit(*p));
    }
    if !subject.cidrs.is_empty()
        && let Some(a) = address(text)
    {
        subject.cidrs.iter().filter(|(net, _)| net.contains(&a)).for_each(|(_, p)| hit(*p));
    }
    if subject.has_texts() {
        index().run(text, folded, seen, hit);
    }
}

fn on_value<'i>(
    subject: &SubjectProgram,
    value: &Value,
    set: &RuleSet,
    index: &dyn Fn() -> &'i TextIndex,
    folded: &mut String,
    seen: &mut Seen,
    hit: &mut impl FnMut(u32),
) {
    if value.is_null() {
        return subject.nulls(set).iter().for_each(|p| hit(*p));
    }
    if let Some(n) = whole(value) {
        subject.numbers.get(&n).into_iter().for_each(|p| hit(*p));
        subject.compares.iter().filter(|(order, m, _)| order.holds(n, *m)).for_each(|(.., p)| hit(*p));
    }
    match value {
        Value::Str(_) | Value::Dynamic(_) => on_text(subject, &value.text(), index, folded, seen, hit),
        _ => subject.not_null.iter().chain(&subject.not_empty).for_each(|p| hit(*p)),
    }
    if subject.when_true.is_some() || subject.when_false.is_some() {
        match truth(value.clone()) {
            Some(true) => subject.when_true.iter().for_each(|p| hit(*p)),
            Some(false) => subject.when_false.iter().for_each(|p| hit(*p)),
            None => {}
        }
    }
}
