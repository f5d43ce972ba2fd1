//! The low-level interface: events as they are found, pushed one at a time into a sink.

use std::ops::ControlFlow;

use tercel_ir::Name;

use crate::typing;
use crate::value::{Field, RawValue, find};

/// One event, borrowed from the reader's buffer. Nothing in it is decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct RawEvent<'a> {
    /// The table it is a row of.
    pub table: &'a Name,
    /// Its fields under the table's column names. Of a repeated name the first counts.
    pub fields: &'a [Field<'a>],
    /// Where its time may stand, best first.
    pub times: [RawValue<'a>; 2],
    /// The file it is from.
    pub source: &'a Name,
    /// 0-based record of the file; the event record id of an event log.
    pub record: i64,
    /// The whole event as JSON text, as the carrier wrote it. `None` if the sink did not ask for it
    /// (see [`EventSink::wants_text`]).
    pub text: Option<&'a str>,
}

impl<'a> RawEvent<'a> {
    /// The time of the event, in ticks.
    pub fn time(&self) -> Option<i64> {
        self.times.iter().find_map(|v| typing::datetime(v).ok().flatten())
    }
    /// The first field of that name.
    pub fn get(&self, name: &str) -> Option<RawValue<'a>> {
        find(self.fields, name)
    }
}

/// What events are pushed into.
pub trait EventSink {
    /// Whether rows of this table are wanted at all; if not, they are counted but not decoded further.
    fn wants(&mut self, table: &Name) -> bool;
    /// Whether the text of events is wanted (rendering it costs for anything but JSON).
    fn wants_text(&self) -> bool {
        false
    }
    /// The sink as one of events by layout, if that is what it is behind this interface: readers that
    /// know layouts push there instead of into [`EventSink::event`].
    #[doc(hidden)]
    fn by_layout(&mut self) -> Option<&mut dyn crate::layout::ByLayout> {
        None
    }
    /// Takes one event. `Break` ends the reading.
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()>;
}
