//! Meeting events: the part of the program that runs for every one of them.

use crate::cache::{Classes, Values};
use crate::classify::{Classifier, OwnIndexes};
use crate::compile::{EVENT, RECORD, SOURCE, TIME};
use crate::eval::eval;
use crate::event_type::{EventType, Work};
use crate::hash::FastMap;
use crate::hit::{Hit, Out, Statistics};
use crate::ruleset::{Row, RuleSet};
use crate::value::{push_key, typed, with_key};
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_ir::{Name, Value};
use tercel_telemetry::{EventText, LaidOut, LayoutSink, RawValue, TextParts};

/// Where a column of an event stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Field(u32),
    /// Events of this layout do not have it.
    Absent,
    Time,
    Source,
    Record,
    Event,
}

/// One group that an event is looked at for.
enum Look {
    /// A remembered field.
    Field { place: u32, group: u32, at: u32 },
    /// Anything else.
    Many { place: u32, group: u32, at: Box<[At]> },
}

/// How to look at events of one layout and one type.
struct Plan {
    event_type: u32,
    looks: Vec<Look>,
}

struct Layout {
    table: u32,
    positions: FastMap<u32, u32>,
    /// The groups of the type's columns, and where they stand.
    types: Vec<(u32, At)>,
    /// Plans by the classes of the type's columns.
    plans: FastMap<Box<[u32]>, u32>,
    made: Vec<Plan>,
    /// The classes and the plan of the last event.
    last_classes: Vec<u32>,
    last: Option<u32>,
}

/// The values of one group: which are remembered, and what classes there are.
struct GroupState {
    values: Values,
    classes: Classes,
}

/// Runs a [`RuleSet`] over events. One for each thread; it holds the caches and memos.
pub struct Matcher {
    set: Arc<RuleSet>,
    groups: Vec<GroupState>,
    layouts: Vec<Layout>,
    /// By table and by the columns that are looked at, with their places. Layouts that differ in nothing
    /// else are one.
    layout_ids: FastMap<Vec<u32>, u32>,
    types: Vec<EventType>,
    type_ids: FastMap<(u32, Box<[u32]>), u32>,
    source: Name,
    out: Out,
    /// Numbers in all memos.
    memo_numbers: usize,
    classes: Vec<u32>,
    ids: Vec<u32>,
    work: Work,
    room: Room,
    statistics: Statistics,
}

/// Room to work in, kept between events.
#[derive(Default)]
struct Room {
    classifier: Classifier,
    key: Vec<u8>,
    text: String,
    has_text: bool,
    /// Whether text that many events share has anything that an event type looks for: by the address of what
    /// is looked for, which is its own until event types are forgotten, and this with them; and by the
    /// number of the text.
    fixed: FastMap<(usize, u64), bool>,
    /// The event's own texts, if they were asked for and could be had.
    own: Vec<u8>,
    has_own: Option<bool>,
    statistics: Statistics,
}

/// The text of an event that has nothing that is looked for.
const EMPTY: &str = "{}";

/// Shared texts of which an answer is remembered.
const MAX_FIXED: usize = 1 << 14;

impl Room {
    /// Whether the text made of these parts has nothing that a group of the event's text alone looks for, so
    /// that an empty one does as well.
    fn has_nothing(
        &mut self,
        (set, group): (&RuleSet, u32),
        at: &[At],
        parts: &dyn TextParts,
        own: Option<&OwnIndexes>,
    ) -> bool {
        let (&[At::Event], Some(own)) = (at, own) else { return false };
        let subjects = &set.groups[group as usize].subjects;
        for s in subjects {
            let subject = &set.subjects[*s as usize];
            let necessary = match own.get(s) {
                Some(o) => o.necessary.as_ref(),
                None => None,
            };
            let Some(necessary) = necessary.filter(|_| subject.only_texts()) else { return false };
            let known = self.own_texts(parts);
            let mut may = !known || necessary.stands_in(&self.own);
            let address = std::ptr::from_ref(necessary).addr();
            if self.fixed.len() > MAX_FIXED {
                self.fixed.clear();
            }
            parts.fixed(&mut |t| {
                may |= *self
                    .fixed
                    .entry((address, t.id))
                    .or_insert_with(|| !t.text.is_ascii() || necessary.stands_in(t.text.as_bytes()));
            });
            if may {
                return false;
            }
        }
        true
    }
}

impl Room {
    /// Collects the event's own texts, once an event. `false`: they cannot be had.
    fn own_texts(&mut self, parts: &dyn TextParts) -> bool {
        *self.has_own.get_or_insert_with(|| {
            self.own.clear();
            parts.own(&mut self.own)
        })
    }
}

impl Room {
    /// The text of the event that is being met, written at most once.
    fn text_of(&mut self, event: &LaidOut<'_>) -> Arc<str> {
        if let EventText::Written(text) = event.text {
            return text.into();
        }
        if !self.has_text {
            self.text.clear();
            event.text.push(&mut self.text);
            self.has_text = true;
        }
        self.text.as_str().into()
    }
}

impl Matcher {
    /// A matcher with nothing remembered.
    pub fn new(set: Arc<RuleSet>) -> Matcher {
        let group = |_| GroupState { values: Values::new(set.limits.cache_bytes), classes: Classes::new() };
        Matcher {
            groups: set.groups.iter().map(group).collect(),
            out: empty(&set),
            set,
            layouts: Vec::new(),
            layout_ids: FastMap::default(),
            types: Vec::new(),
            type_ids: FastMap::default(),
            source: "".into(),
            memo_numbers: 0,
            classes: Vec::new(),
            ids: Vec::new(),
            work: Work::default(),
            room: Room::default(),
            statistics: Statistics::default(),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// How the memories do.
    pub fn statistics(&self) -> Statistics {
        let own = &self.room.statistics;
        let bytes = self.groups.iter().map(|g| g.values.bytes() + g.classes.bytes()).sum::<usize>()
            + self.types.iter().map(EventType::bytes).sum::<usize>();
        Statistics {
            lookups: own.lookups,
            misses: own.misses,
            long: own.long,
            event_types: self.types.len() as u64,
            classes: self.groups.iter().map(|g| g.classes.parts().len() as u64 - 1).sum(),
            bytes: bytes as u64,
            ..self.statistics
        }
    }

    /// By event type met: how many rules are left of all those of its table.
    pub fn event_types(&self) -> impl Iterator<Item = usize> {
        self.types.iter().map(EventType::rules)
    }

    /// Forgets everything that was learnt. Answers do not change by it.
    fn reset(&mut self) {
        self.statistics.resets += 1;
        for g in &mut self.groups {
            g.values.clear();
            g.classes.clear();
        }
        self.types.clear();
        self.room.fixed.clear();
        self.type_ids.clear();
        self.memo_numbers = 0;
        for l in &mut self.layouts {
            l.plans.clear();
            l.made.clear();
            l.last = None;
        }
    }

    fn new_layout(&self, table: u32, names: &[Name]) -> Layout {
        let mut positions = FastMap::default();
        for (i, n) in names.iter().enumerate() {
            if let Some(c) = self.set.column_ids.get(n) {
                // The first field of a name counts.
                positions.entry(*c).or_insert(i as u32);
            }
        }
        let types = self.set.tables[table as usize]
            .type_groups
            .iter()
            .map(|g| (*g, at(&positions, self.set.groups[*g as usize].columns[0])))
            .collect();
        Layout {
            table,
            positions,
            types,
            plans: FastMap::default(),
            made: Vec::new(),
            last_classes: Vec::new(),
            last: None,
        }
    }

    /// The plan for events of a layout whose type columns have these classes.
    #[cold]
    fn plan(&mut self, layout: usize) -> u32 {
        let l = &mut self.layouts[layout];
        if let Some(p) = l.plans.get(&self.classes[..]) {
            return *p;
        }
        let key: Box<[u32]> = self.classes[..].into();
        let types = &mut self.types;
        let (set, groups) = (&self.set, &self.groups);
        let id = *self.type_ids.entry((l.table, key.clone())).or_insert_with(|| {
            let mut parts = Vec::new();
            for ((g, _), class) in l.types.iter().zip(&key) {
                parts.extend_from_slice(groups[*g as usize].classes.parts().get(*class));
            }
            types.push(EventType::new(set, l.table, &parts));
            types.len() as u32 - 1
        });
        let mut looks = Vec::new();
        for (place, group) in types[id as usize].groups.iter().enumerate() {
            let (place, group) = (place as u32, *group);
            let program = &set.groups[group as usize];
            let ats: Vec<At> = program.columns.iter().map(|c| at(&l.positions, *c)).collect();
            match ats[..] {
                // Where nothing is there, nothing holds.
                _ if ats.iter().all(|a| *a == At::Absent) => {}
                [At::Field(at)] if program.cached => looks.push(Look::Field { place, group, at }),
                _ => looks.push(Look::Many { place, group, at: ats.into() }),
            }
        }
        l.made.push(Plan { event_type: id, looks });
        let plan = l.made.len() as u32 - 1;
        l.plans.insert(key, plan);
        plan
    }

    /// The plan for an event.
    #[inline]
    fn plan_of(&mut self, layout: usize, event: &LaidOut<'_>) -> u32 {
        let l = &self.layouts[layout];
        self.classes.clear();
        for (group, at) in &l.types {
            let class = match at {
                At::Field(i) => {
                    self.groups[*group as usize].class(&self.set, *group, value(event, *i), &mut self.room)
                }
                _ => 0,
            };
            self.classes.push(class);
        }
        match l.last {
            Some(p) if l.last_classes == self.classes => p,
            _ => {
                let p = self.plan(layout);
                let l = &mut self.layouts[layout];
                l.last_classes.clone_from(&self.classes);
                l.last = Some(p);
                p
            }
        }
    }

    fn over_limits(&self) -> bool {
        self.types.len() > self.set.limits.event_types
    }

    #[cold]
    fn fire(&mut self, layout: usize, event_type: u32, outcome: u32, event: &LaidOut<'_>) {
        let set = self.set.clone();
        let time = event.time();
        let mut text: Option<Arc<str>> = None;
        for unit in self.types[event_type as usize].outcomes.get(outcome) {
            let unit = &set.units[*unit as usize];
            let (id, want) = set.rules[unit.rule as usize];
            self.out.counts[unit.rule as usize] += 1;
            if want.text && text.is_none() {
                text = Some(self.room.text_of(event));
            }
            let row = unit.row.as_ref().map(|r| row(r, &set, &self.layouts[layout], &self.source, event));
            let text = text.clone().filter(|_| want.text);
            let source = self.source.clone();
            let nth = self.out.events;
            self.out.hits.push(Hit { rule: id, time, source, record: event.record, nth, text, row });
        }
    }
}

fn empty(set: &RuleSet) -> Out {
    Out { counts: vec![0; set.rules.len()], ..Out::default() }
}

fn at(positions: &FastMap<u32, u32>, column: u32) -> At {
    match column {
        TIME => At::Time,
        SOURCE => At::Source,
        RECORD => At::Record,
        EVENT => At::Event,
        c => positions.get(&c).map_or(At::Absent, |i| At::Field(*i)),
    }
}

#[inline]
fn value<'a, 'e>(event: &'e LaidOut<'a>, position: u32) -> &'e RawValue<'a> {
    event.values.get(position as usize).unwrap_or(&RawValue::Null)
}

/// The values of output columns.
fn row(row: &Row, set: &RuleSet, layout: &Layout, source: &Name, event: &LaidOut<'_>) -> Vec<Value> {
    let mut buffer = String::new();
    let mut out = Vec::with_capacity(row.len());
    for (native, reads) in row {
        let mut values = Vec::with_capacity(reads.len());
        for r in reads {
            let mut text = String::new();
            if r.column == EVENT {
                event.text.push(&mut text);
            }
            let raw = raw_at(at(&layout.positions, r.column), source, &text, event);
            values.push(typed(&raw, r.ty, &mut buffer));
        }
        let read = |name: &str| {
            let at = reads.iter().position(|r| *r.name == *name);
            at.map_or(Value::Null, |i| values[i].clone())
        };
        out.push(eval(&native.expr, &read, &set.context));
    }
    out
}

fn raw_at<'v>(at: At, source: &'v str, text: &'v str, event: &LaidOut<'v>) -> RawValue<'v> {
    match at {
        At::Field(i) => *value(event, i),
        At::Absent => RawValue::Null,
        At::Time => event.time().map_or(RawValue::Null, RawValue::Time),
        At::Source => RawValue::Text(source),
        At::Record => RawValue::Long(event.record),
        At::Event => RawValue::Text(text),
    }
}

impl GroupState {
    /// The class of a value of a group of one remembered column.
    #[inline]
    fn class(&mut self, set: &RuleSet, group: u32, raw: &RawValue<'_>, room: &mut Room) -> u32 {
        if matches!(raw, RawValue::Null) {
            return 0;
        }
        room.statistics.lookups += 1;
        with_key(raw, |kind, bytes| {
            if bytes.len() > set.limits.cache_value.min(0xFF_FFFF) {
                room.statistics.misses += 1;
                room.statistics.long += 1;
                return room.classifier.class(set, group, std::slice::from_ref(raw), &mut self.classes, None);
            }
            match self.values.get(kind, bytes) {
                Some(c) => c,
                None => {
                    room.statistics.misses += 1;
                    let c =
                        room.classifier.class(set, group, std::slice::from_ref(raw), &mut self.classes, None);
                    self.values.insert(kind, bytes, c);
                    c
                }
            }
        })
    }

    /// The same for any group.
    fn class_of_many(
        &mut self,
        (set, group): (&RuleSet, u32),
        at: &[At],
        source: &str,
        event: &LaidOut<'_>,
        own: Option<&OwnIndexes>,
        room: &mut Room,
    ) -> u32 {
        let mut buffer = std::mem::take(&mut room.text);
        let text = match event.text {
            EventText::Written(text) => text,
            EventText::Parts(parts) if room.has_nothing((set, group), at, parts, own) => EMPTY,
            EventText::Lazy(_) | EventText::Parts(_) => {
                if at.contains(&At::Event) && !room.has_text {
                    buffer.clear();
                    event.text.push(&mut buffer);
                    room.has_text = true;
                }
                &buffer
            }
        };
        let mut few = [RawValue::Null; 8];
        let many: Vec<RawValue<'_>>;
        let raws: &[RawValue<'_>] = if at.len() <= few.len() {
            for (place, a) in few.iter_mut().zip(at) {
                *place = raw_at(*a, source, text, event);
            }
            &few[..at.len()]
        } else {
            many = at.iter().map(|a| raw_at(*a, source, text, event)).collect();
            &many
        };
        let class = self.class_of(set, group, raws, own, room);
        room.text = buffer;
        class
    }

    fn class_of(
        &mut self,
        set: &RuleSet,
        group: u32,
        raws: &[RawValue<'_>],
        own: Option<&OwnIndexes>,
        room: &mut Room,
    ) -> u32 {
        // Where everything is null nothing holds: that is what parts are made for.
        if raws.iter().all(|r| matches!(r, RawValue::Null)) {
            return 0;
        }
        room.statistics.lookups += 1;
        let mut key = std::mem::take(&mut room.key);
        key.clear();
        let long = raws.iter().map(|r| with_key(r, |_, b| b.len())).sum::<usize>() > set.limits.cache_value;
        let cached = set.groups[group as usize].cached && !long && raws.len() <= 64;
        let known = if cached {
            raws.iter().for_each(|r| push_key(r, &mut key));
            self.values.get(1, &key)
        } else {
            None
        };
        let class = known.unwrap_or_else(|| {
            room.statistics.misses += 1;
            room.statistics.long += u64::from(long);
            let c = room.classifier.class(set, group, raws, &mut self.classes, own);
            if cached {
                self.values.insert(1, &key, c);
            }
            c
        });
        room.key = key;
        class
    }
}

impl LayoutSink for Matcher {
    type Out = Out;

    fn source(&mut self, source: &Name) {
        self.source = source.clone();
    }

    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        let table = *self.set.table_ids.get(table)?;
        let mut key = vec![table];
        for (i, n) in names.iter().enumerate() {
            key.extend(self.set.column_ids.get(n).into_iter().flat_map(|c| [i as u32, *c]));
        }
        if let Some(known) = self.layout_ids.get(&key) {
            return Some(*known as usize);
        }
        let layout = self.new_layout(table, names);
        self.layouts.push(layout);
        let id = self.layouts.len() - 1;
        self.layout_ids.insert(key, id as u32);
        Some(id)
    }

    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        self.out.events += 1;
        self.statistics.events += 1;
        self.room.has_text = false;
        self.room.has_own = None;
        if self.over_limits() {
            self.reset();
        }
        let plan = self.plan_of(layout, event);
        let plan = &self.layouts[layout].made[plan as usize];
        let kind = plan.event_type;
        let event_type = &mut self.types[kind as usize];
        if event_type.is_dead() {
            self.statistics.dead_events += 1;
            return ControlFlow::Continue(());
        }
        self.ids.clear();
        let mut crowded = false;
        for look in &plan.looks {
            let (place, group, class) = match look {
                Look::Field { place, group, at } => {
                    let state = &mut self.groups[*group as usize];
                    let class = state.class(&self.set, *group, value(event, *at), &mut self.room);
                    (*place, *group, class)
                }
                Look::Many { place, group, at } => {
                    let state = &mut self.groups[*group as usize];
                    let own = (!self.set.groups[*group as usize].cached).then_some(&event_type.own);
                    let class = state.class_of_many(
                        (&self.set, *group),
                        at,
                        &self.source,
                        event,
                        own,
                        &mut self.room,
                    );
                    (*place, *group, class)
                }
            };
            if class != 0 {
                let classes = self.groups[group as usize].classes.parts();
                crowded |= classes.len() > self.set.limits.classes;
                let local = event_type.local(place, class, classes);
                if local != 0 {
                    self.ids.push(local);
                }
            }
        }
        let outcome = match event_type.remembered(&self.ids) {
            Some(o) => o,
            None => {
                let before = event_type.memo_numbers();
                let (outcome, candidates) = event_type.evaluate(&self.ids, &mut self.work);
                self.memo_numbers += event_type.memo_numbers().saturating_sub(before);
                self.statistics.memo_misses += 1;
                self.statistics.candidates += candidates;
                outcome
            }
        };
        if outcome != 0 {
            self.fire(layout, kind, outcome, event);
        }
        if self.memo_numbers > self.set.limits.memo_numbers {
            self.types.iter_mut().for_each(EventType::forget);
            self.memo_numbers = 0;
        }
        if crowded {
            self.reset();
        }
        ControlFlow::Continue(())
    }

    fn forget_layouts(&mut self) {
        self.layouts.clear();
        self.layout_ids.clear();
    }

    fn take(&mut self) -> Out {
        std::mem::replace(&mut self.out, empty(&self.set))
    }
}
