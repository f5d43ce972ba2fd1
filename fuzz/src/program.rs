//! The rule-set program beside its oracle.

use crate::world::{TABLE, rules};
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Name, Rel};
use tercel_rules::{Limits, Matcher, RuleSet, Want, dumb};
use tercel_schema::Schemas;
use tercel_telemetry::{
    EventSink, EventText, LaidOut, LayoutSink, RawEvent, RawValue, ReadOptions, read_bytes,
};

/// Meets every event twice, so that what was remembered of it counts, too.
struct Beside<'r> {
    rules: &'r [Rel],
    matchers: Vec<Matcher>,
}

impl EventSink for Beside<'_> {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let mut fields: Vec<(Name, RawValue<'_>)> = Vec::new();
        for f in e.fields {
            if fields.iter().all(|(n, _)| **n != *f.name) {
                fields.push((f.name.as_ref().into(), f.value));
            }
        }
        let text = EventText::Written(e.text.unwrap_or("{}"));
        let event =
            dumb::Event { table: TABLE, fields: &fields, time: e.time(), source: "", record: e.record, text };
        let context = Context::default();
        let want: Vec<usize> = (0..self.rules.len())
            .flat_map(|i| vec![i; dumb::rows_of(&self.rules[i], &event, &context).len()])
            .collect();
        let names: Vec<Name> = fields.iter().map(|f| f.0.clone()).collect();
        let values: Vec<RawValue<'_>> = fields.iter().map(|f| f.1).collect();
        let laid = LaidOut { values: &values, times: e.times, record: e.record, text };
        for m in &mut self.matchers {
            for _ in 0..2 {
                if let Some(layout) = m.layout(&TABLE.into(), &names) {
                    let _ = m.event(layout, &laid);
                }
                let got: Vec<usize> = m.take().hits.into_iter().map(|h| h.rule).collect();
                assert_eq!(got, want, "{:?}", e.text);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Runs rules over events, with ample memories and with memories that are too small for anything.
pub fn compare(text: &str, events: &[u8]) {
    let rules = rules(text);
    let plans: Vec<(usize, &Rel, Want)> = rules.iter().enumerate().map(|(i, r)| (i, r, Want::ROW)).collect();
    let tiny = Limits {
        cache_bytes: 64,
        cache_value: 6,
        memo_numbers: 4,
        classes: 2,
        event_types: 1,
        ..Limits::default()
    };
    let matcher = |limits| {
        let mut m = Matcher::new(Arc::new(RuleSet::compile(&plans, &Context::default(), limits).0));
        m.source(&"".into());
        m
    };
    let mut beside = Beside { rules: &rules, matchers: vec![matcher(Limits::default()), matcher(tiny)] };
    thread_local!(static SCHEMAS: Schemas = Schemas::builtin());
    SCHEMAS.with(|schemas| {
        let _ = read_bytes("events.jsonl", events, schemas, &ReadOptions::default(), &mut beside);
    });
}
