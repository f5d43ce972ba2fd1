//! The part of a hunt that needs no plans: rules that look at one event at a time, all of them in one pass
//! over the events.

use super::mistyped::{self, Mistyped};
use crate::data::Data;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_catalog::Evidence;
use tercel_ir::{Name, Value};
use tercel_rules::{Matcher, Out, RuleSet};
use tercel_telemetry::{LaidOut, LayoutSink, RawValue};

/// Different kinds of events that are told apart in one table; of more, nothing is said.
const MAX_KINDS: usize = 1024;

/// Longest value that is compared with the one before it.
const MAX_LAST: usize = 64;

/// What a thread saw beside hits.
#[derive(Default)]
pub struct Seen {
    /// Kinds of events by table: the values of the column that says which.
    pub kinds: HashMap<Name, Vec<Value>>,
    /// Events outside the range of times.
    pub outside: u64,
}

/// A matcher that looks at events of a range of times, and remembers which kinds of events there were and
/// which values did not fit.
struct Watch<'d> {
    matcher: Matcher,
    data: &'d Data,
    /// The columns that rules look at, by table.
    looked_at: &'d HashMap<Name, HashSet<Name>>,
    range: (Option<i64>, Option<i64>),
    source: Name,
    mistyped: Mistyped,
    layouts: Vec<Kind>,
    tables: Vec<Kinds>,
    /// The matcher's numbers of layouts, by ours.
    inner: Vec<usize>,
    hasher: RandomState,
    outside: u64,
}

/// Where a layout says what kind of event it is, and for which table.
struct Kind {
    at: Option<usize>,
    table: usize,
    /// The bytes of the last value there: events of one kind come in rows.
    last: Vec<u8>,
    typed: Vec<mistyped::Typed>,
}

struct Kinds {
    table: Name,
    seen: HashMap<u64, Value>,
}

impl<'d> Watch<'d> {
    fn new(matcher: Matcher, data: &'d Data, looked_at: &'d HashMap<Name, HashSet<Name>>) -> Watch<'d> {
        Watch {
            matcher,
            data,
            looked_at,
            range: data.range(),
            source: "".into(),
            mistyped: Mistyped::default(),
            layouts: Vec::new(),
            tables: Vec::new(),
            inner: Vec::new(),
            hasher: RandomState::new(),
            outside: 0,
        }
    }

    fn note_kind(&mut self, layout: usize, event: &LaidOut<'_>) {
        let Kind { at: Some(at), table, ref mut last, .. } = self.layouts[layout] else { return };
        let Some(value) = event.values.get(at) else { return };
        let number;
        let bytes: &[u8] = match *value {
            RawValue::Number(s) | RawValue::Text(s) | RawValue::Str { body: s, .. } => s.as_bytes(),
            RawValue::Utf16(units) => units,
            RawValue::Long(n) => {
                number = n.to_le_bytes();
                &number
            }
            RawValue::Null => &[],
            _ => return,
        };
        if last == bytes && !bytes.is_empty() {
            return;
        }
        last.clear();
        last.extend_from_slice(&bytes[..bytes.len().min(MAX_LAST)]);
        let hash = if matches!(value, RawValue::Null) { 0 } else { self.hasher.hash_one(bytes) };
        let kinds = &mut self.tables[table];
        if kinds.seen.len() < MAX_KINDS && !kinds.seen.contains_key(&hash) {
            let value = match (Evidence::kind_is_number(&kinds.table), value) {
                (_, RawValue::Null) => Value::Null,
                (true, v) => v.as_i64().map_or(Value::Null, Value::Long),
                (false, v) => v.as_text().map_or(Value::Null, |t| Value::Str(t.into_owned())),
            };
            kinds.seen.insert(hash, value);
        }
    }
}

impl LayoutSink for Watch<'_> {
    type Out = Out;

    fn source(&mut self, source: &Name) {
        self.source = source.clone();
        self.matcher.source(source);
    }

    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        let inner = self.matcher.layout(table, names)?;
        let at = Evidence::kind_column(table).and_then(|c| names.iter().position(|n| &**n == c));
        let index = self.tables.iter().position(|k| k.table == *table).unwrap_or_else(|| {
            self.tables.push(Kinds { table: table.clone(), seen: HashMap::new() });
            self.tables.len() - 1
        });
        let looked_at = self.looked_at.get(table);
        let typed =
            looked_at.map(|l| mistyped::typed(self.data.schemas(), table, names, l)).unwrap_or_default();
        self.layouts.push(Kind { at, table: index, last: Vec::new(), typed });
        self.inner.push(inner);
        Some(self.inner.len() - 1)
    }

    fn forget_layouts(&mut self) {
        self.layouts.clear();
        self.inner.clear();
        self.matcher.forget_layouts();
    }

    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        self.note_kind(layout, event);
        let (from, until) = self.range;
        if from.is_some() || until.is_some() {
            let within =
                event.time().is_some_and(|t| from.is_none_or(|f| t >= f) && until.is_none_or(|u| t < u));
            if !within {
                self.outside += 1;
                return ControlFlow::Continue(());
            }
        }
        let Kind { typed, table, .. } = &self.layouts[layout];
        self.mistyped.look(typed, event, &self.tables[*table].table, &self.source);
        self.matcher.event(self.inner[layout], event)
    }

    fn take(&mut self) -> Out {
        self.matcher.take()
    }
}

/// Runs the rules over all events. Hits come in the order of the files, of the events in them, and of the
/// rules.
pub fn run(set: RuleSet, data: &Data, each: &mut dyn FnMut(Out) -> ControlFlow<()>) -> Seen {
    let set = Arc::new(set);
    let looked_at: HashMap<Name, HashSet<Name>> =
        set.tables().map(|t| (t.clone(), set.fields_of(t))).collect();
    let make = || Watch::new(Matcher::new(set.clone()), data, &looked_at);
    let (sinks, mut stats) = data.inputs.feed(data.schemas(), &make, each, &data.progress);
    let mut seen = Seen::default();
    let mut mistyped = Mistyped::default();
    for sink in sinks {
        mistyped.add(sink.mistyped);
        seen.outside += sink.outside;
        for k in sink.tables {
            let all = seen.kinds.entry(k.table).or_default();
            for v in k.seen.into_values() {
                if !all.contains(&v) {
                    all.push(v);
                }
            }
        }
    }
    mistyped.tell(&mut stats);
    data.saw(stats);
    seen
}
