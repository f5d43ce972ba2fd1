//! Events of any reader, turned into events by layout.

use std::collections::HashMap;
use std::hash::Hasher;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tercel_ir::Name;

use crate::batch::NameHasher;
use crate::event::{EventSink, RawEvent};
use crate::layout::{ByLayout, EventText, LaidOut, LayoutSink};
use crate::value::{Field, RawValue, object_text};

/// Layouts that are remembered. Real data has hundreds; hostile data may have one an event.
pub(super) const MAX_LAYOUTS: usize = 4096;

/// One sequence of names in one table.
struct Known {
    table: Name,
    /// All names of the events, repeated ones too: what is compared.
    names: Vec<Box<str>>,
    /// For each name of the layout the field it is in; empty: each is in its own.
    from: Vec<u32>,
    /// The sink's number.
    id: Option<usize>,
}

impl Known {
    fn fits(&self, table: &Name, fields: &[Field<'_>]) -> bool {
        self.names.len() == fields.len()
            && (Arc::ptr_eq(&self.table, table) || self.table == *table)
            && self.names.iter().zip(fields).all(|(n, f)| **n == *f.name)
    }
}

/// What a thread knows about layouts, and the sink it pushes into.
pub(super) struct Layouts<'w, S> {
    pub sink: S,
    /// The reading is to end.
    stop: &'w AtomicBool,
    /// The sink wants no more, or the reading is to end.
    broke: bool,
    known: Vec<Known>,
    by_hash: HashMap<u64, Vec<u32>, std::hash::BuildHasherDefault<NameHasher>>,
    /// Which one followed which, last time.
    last: usize,
    /// Layouts announced in this generation.
    announced: usize,
    generation: u64,
    values: Vec<RawValue<'static>>,
    /// Rows delivered and their times.
    pub rows: u64,
    pub times: Option<(i64, i64)>,
}

/// Gives the allocation of a list of values to another lifetime.
pub(super) fn recycle_values<'b>(mut values: Vec<RawValue<'_>>) -> Vec<RawValue<'b>> {
    values.clear();
    // Collecting an empty iterator over the same layout keeps the allocation.
    values.into_iter().map(|_| RawValue::Null).collect()
}

impl<'w, S: LayoutSink> Layouts<'w, S> {
    pub fn new(sink: S, stop: &'w AtomicBool) -> Layouts<'w, S> {
        Layouts {
            sink,
            stop,
            broke: false,
            known: Vec::new(),
            by_hash: HashMap::default(),
            last: 0,
            announced: 0,
            generation: 0,
            values: Vec::new(),
            rows: 0,
            times: None,
        }
    }

    /// Announces a layout; forgets all others if there are too many.
    pub fn announce(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        if self.announced >= MAX_LAYOUTS {
            self.known.clear();
            self.by_hash.clear();
            self.announced = 0;
            self.generation += 1;
            self.sink.forget_layouts();
        }
        self.announced += 1;
        self.sink.layout(table, names)
    }

    /// How often all layouts were forgotten.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Begins a file, or a part of one.
    pub fn begin(&mut self, source: &Name) {
        self.broke = false;
        self.sink.source(source);
    }

    /// Whether the sink wants to go on.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.broke { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Hands an event to the sink.
    #[inline]
    pub fn deliver(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        self.rows += 1;
        if let Some(t) = event.time() {
            self.times = Some(self.times.map_or((t, t), |(a, b)| (a.min(t), b.max(t))));
        }
        let flow = self.sink.event(layout, event);
        // Looked at now and then only, because another thread writes it.
        if flow.is_break() || self.rows.is_multiple_of(1024) && self.stop.load(Ordering::Relaxed) {
            self.broke = true;
            return ControlFlow::Break(());
        }
        flow
    }

    fn find(&mut self, table: &Name, fields: &[Field<'_>]) -> usize {
        // Events of one kind come in rows.
        if self.known.get(self.last).is_some_and(|k| k.fits(table, fields)) {
            return self.last;
        }
        let mut hasher = NameHasher::default();
        hasher.write(table.as_bytes());
        for f in fields {
            hasher.write(f.name.as_bytes());
        }
        let hash = hasher.finish();
        let found = self
            .by_hash
            .get(&hash)
            .and_then(|list| list.iter().copied().find(|i| self.known[*i as usize].fits(table, fields)));
        self.last = match found {
            Some(i) => i as usize,
            None => self.add(table, fields, hash),
        };
        self.last
    }

    #[cold]
    fn add(&mut self, table: &Name, fields: &[Field<'_>], hash: u64) -> usize {
        let mut names: Vec<Name> = Vec::with_capacity(fields.len());
        let mut from = Vec::with_capacity(fields.len());
        let mut seen = std::collections::HashSet::new();
        for (i, f) in fields.iter().enumerate() {
            if seen.insert(f.name.as_ref()) {
                names.push(f.name.as_ref().into());
                from.push(u32::try_from(i).unwrap_or(u32::MAX));
            }
        }
        if from.len() == fields.len() {
            from.clear();
        }
        let id = self.announce(table, &names);
        self.known.push(Known {
            table: table.clone(),
            names: fields.iter().map(|f| f.name.as_ref().into()).collect(),
            from,
            id,
        });
        let index = self.known.len() - 1;
        self.by_hash.entry(hash).or_default().push(u32::try_from(index).unwrap_or(u32::MAX));
        index
    }

    fn push(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        let known = self.find(event.table, event.fields);
        let known = &self.known[known];
        let Some(id) = known.id else { return ControlFlow::Continue(()) };
        let mut values = recycle_values(std::mem::take(&mut self.values));
        if known.from.is_empty() {
            values.extend(event.fields.iter().map(|f| f.value));
        } else {
            values.extend(known.from.iter().map(|i| event.fields[*i as usize].value));
        }
        let render = |out: &mut String| object_text(event.fields, out);
        let laid = LaidOut {
            values: &values,
            times: event.times,
            record: event.record,
            text: match event.text {
                Some(t) => EventText::Written(t),
                None => EventText::Lazy(&render),
            },
        };
        let flow = self.deliver(id, &laid);
        self.values = recycle_values(values);
        flow
    }
}

impl<S: LayoutSink> EventSink for Layouts<'_, S> {
    /// Whether a table is wanted is only known layout by layout.
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn by_layout(&mut self) -> Option<&mut dyn ByLayout> {
        Some(self)
    }
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        self.push(event)
    }
}

impl<S: LayoutSink> ByLayout for Layouts<'_, S> {
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        self.announce(table, names)
    }
    #[inline]
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        self.deliver(layout, event)
    }
    fn generation(&self) -> u64 {
        self.generation
    }
}
