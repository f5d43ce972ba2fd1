//! The lowest interface of all: events by layout, for sinks that look at few fields of very many events.
//!
//! Carriers write events of one kind with the same field names in the same order. Such an order of names,
//! together with the table that the events are rows of, is a *layout*. A sink learns a layout once and
//! resolves its names then; afterwards an event is only a list of raw values by position.

use std::ops::ControlFlow;

use tercel_ir::Name;

use crate::gist::TextParts;
use crate::typing;
use crate::value::RawValue;

/// The text of an event, for a sink that asks for it.
#[derive(Clone, Copy)]
pub enum EventText<'a> {
    /// As the carrier wrote it.
    Written(&'a str),
    /// Made on demand: appends the event as JSON.
    Lazy(&'a dyn Fn(&mut String)),
    /// Made on demand, from parts that can be asked first.
    Parts(&'a dyn TextParts),
}

impl EventText<'_> {
    /// Appends the event as JSON text.
    pub fn push(&self, out: &mut String) {
        match self {
            EventText::Written(text) => out.push_str(text),
            EventText::Lazy(render) => render(out),
            EventText::Parts(parts) => parts.render(out),
        }
    }
}

/// One event of a known layout, borrowed from the reader's buffer.
#[derive(Clone, Copy)]
pub struct LaidOut<'a> {
    /// One value for each name of the layout; [`RawValue::Null`] where this event has none.
    pub values: &'a [RawValue<'a>],
    /// Where its time may stand, best first.
    pub times: [RawValue<'a>; 2],
    /// 0-based record of the file; the event record id of an event log.
    pub record: i64,
    pub text: EventText<'a>,
}

impl LaidOut<'_> {
    /// The time of the event, in ticks.
    pub fn time(&self) -> Option<i64> {
        self.times.iter().find_map(|v| typing::datetime(v).ok().flatten())
    }
}

/// What events are pushed into, layout by layout. One sink belongs to one thread.
pub trait LayoutSink {
    /// What the sink hands over after each unit of work (a file, or a part of a large one).
    type Out: Send;
    /// A new file, or the next part of one.
    fn source(&mut self, source: &Name);
    /// A layout: the table, and the table's column names by position, which are distinct. The same table and
    /// names may be announced more than once, by each way that events take. `None`: the sink wants no event of
    /// this layout; they are only counted.
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize>;
    /// Takes one event of a layout, as [`LayoutSink::layout`] numbered it. `Break` ends the reading.
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()>;
    /// Every layout announced so far is forgotten; none of their numbers will come again. Happens when the
    /// data has so many layouts that the reader stops remembering them. A sink that keeps something for each
    /// layout drops it here, so that its memory stays bounded, too.
    fn forget_layouts(&mut self) {}
    /// The unit has ended: what was collected.
    fn take(&mut self) -> Self::Out;
}

/// The part of a [`LayoutSink`] that a reader pushes into, whatever the sink hands over in the end. A reader
/// that knows the layouts of its events, as event logs do by their templates, finds it by
/// [`EventSink::by_layout`](crate::EventSink::by_layout).
pub trait ByLayout {
    /// Announces a layout: see [`LayoutSink::layout`]. The names are distinct. The reader remembers the
    /// answer, as long as [`ByLayout::generation`] stays the same.
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize>;
    /// Takes an event: see [`LayoutSink::event`]. The reader counts it with its recogniser.
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()>;
    /// How often all layouts were forgotten: numbers of another generation are void.
    fn generation(&self) -> u64;
}
