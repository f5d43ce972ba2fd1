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

/// Layouts that are remembered, and orders of their names. Real data has hundreds; hostile data may have one an event.
pub(super) const MAX_LAYOUTS: usize = 4096;

/// One sequence of names in one table.
struct Known {
    table: Name,
    /// All names of the events, repeated ones too: what is compared.
    names: Vec<Name>,
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

/// A layout of the sink, to be found by its names in any order: some carriers write the same names in another order in
/// every event.
struct Announced {
    table: Name,
    /// The names, sorted, and where in the layout each is.
    sorted: Vec<(Name, u32)>,
    id: Option<usize>,
}

type ByHash = HashMap<u64, Vec<u32>, std::hash::BuildHasherDefault<NameHasher>>;

/// What a thread knows about layouts, and the sink it pushes into.
pub(super) struct Layouts<'w, S> {
    pub sink: S,
    /// The reading is to end.
    stop: &'w AtomicBool,
    /// The sink wants no more, or the reading is to end.
    broke: bool,
    known: Vec<Known>,
    by_hash: ByHash,
    /// The one of the last event.
    last: usize,
    layouts: Vec<Announced>,
    by_names: ByHash,
    /// Layouts announced in this generation, by whomever.
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

fn hash_of<'n>(table: &Name, names: impl Iterator<Item = &'n str>) -> u64 {
    let mut hasher = NameHasher::default();
    hasher.write(table.as_bytes());
    names.for_each(|n| hasher.write(n.as_bytes()));
    hasher.finish()
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
            layouts: Vec::new(),
            by_names: HashMap::default(),
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
            self.forget_orders();
            self.layouts.clear();
            self.by_names.clear();
            self.announced = 0;
            self.generation += 1;
            self.sink.forget_layouts();
        }
        self.announced += 1;
        self.sink.layout(table, names)
    }

    fn forget_orders(&mut self) {
        self.known.clear();
        self.by_hash.clear();
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
        let hash = hash_of(table, fields.iter().map(|f| f.name.as_ref()));
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
        if self.known.len() >= MAX_LAYOUTS {
            self.forget_orders();
        }
        // Each name with its first field; those that come again do not count.
        let mut first: Vec<u32> = (0..fields.len() as u32).collect();
        let name = |i: u32| fields[i as usize].name.as_ref();
        first.sort_unstable_by(|a, b| name(*a).cmp(name(*b)).then(a.cmp(b)));
        first.dedup_by(|b, a| name(*a) == name(*b));
        let layout = self.layout_of(table, fields, &first);
        let Announced { table, sorted, id } = &self.layouts[layout];
        let mut from = vec![0; first.len()];
        for ((_, place), field) in sorted.iter().zip(&first) {
            from[*place as usize] = *field;
        }
        if from.len() == fields.len() && from.iter().zip(0..).all(|(f, i)| *f == i) {
            from.clear();
        }
        let shared = |f: &Field<'_>| {
            let at = sorted.binary_search_by(|(n, _)| (**n).cmp(f.name.as_ref()));
            at.map_or_else(|_| f.name.as_ref().into(), |i| sorted[i].0.clone())
        };
        let names = fields.iter().map(shared).collect();
        self.known.push(Known { table: table.clone(), names, from, id: *id });
        let index = self.known.len() - 1;
        self.by_hash.entry(hash).or_default().push(index as u32);
        index
    }

    /// The layout with the names of these fields, which are sorted by their names and distinct.
    fn layout_of(&mut self, table: &Name, fields: &[Field<'_>], distinct: &[u32]) -> usize {
        let names = || distinct.iter().map(|i| fields[*i as usize].name.as_ref());
        let hash = hash_of(table, names());
        let is = |l: &Announced| {
            l.table == *table
                && l.sorted.len() == distinct.len()
                && l.sorted.iter().zip(names()).all(|((a, _), b)| **a == *b)
        };
        let list = self.by_names.get(&hash).map_or(&[][..], |l| &l[..]);
        if let Some(i) = list.iter().find(|i| is(&self.layouts[**i as usize])) {
            return *i as usize;
        }
        // In the order in which they are met.
        let mut order: Vec<u32> = distinct.to_vec();
        order.sort_unstable();
        let in_order: Vec<Name> = order.iter().map(|i| fields[*i as usize].name.as_ref().into()).collect();
        let id = self.announce(table, &in_order);
        let mut sorted: Vec<(Name, u32)> = in_order.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        self.layouts.push(Announced { table: table.clone(), sorted, id });
        let index = self.layouts.len() - 1;
        self.by_names.entry(hash).or_default().push(index as u32);
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
