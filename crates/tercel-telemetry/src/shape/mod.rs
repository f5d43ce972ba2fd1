//! Recognition: which table an event belongs to, and under which names its values stand.
//!
//! A reader hands over a flat list of fields; [`Recogniser::record`] finds out which carrier wrote it
//! and pushes the event into the sink under its native table's column names. It looks at every record
//! on its own, because real captures mix carriers and event types in one file.

mod defender;
mod ecs;
pub(crate) mod linux;
mod marks;
mod plan;
mod sentinel;
mod windows;
mod xml;
mod zeek;

use std::collections::HashMap;
use std::ops::ControlFlow;

use tercel_ir::Name;
use tercel_schema::Schemas;

use crate::event::{EventSink, RawEvent};
use crate::json;
use crate::read::evtx::Walker;
use crate::value::{Field, RawValue, find};
use marks::{Mark, Marks};
pub(crate) use plan::Plan;
pub(crate) use windows::Log;

/// Carriers: how an event was written down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Shape {
    /// A Windows event log, or its records as JSON (`Event.System`, `Event.EventData`).
    EventLog,
    /// Windows events with all fields at the top level, as NXLog writes them.
    FlatWindows,
    /// winlogbeat 6 (`event_data.*`).
    Winlogbeat6,
    /// winlogbeat 7 and later, Elastic Common Schema.
    Ecs,
    /// Rows of a Log Analytics / Sentinel table.
    Sentinel,
    /// Rows of a Defender table.
    Defender,
    /// Defender's streaming API.
    DefenderStream,
    /// Zeek logs.
    Zeek,
    /// Lines of syslog or of `audit.log`, and what is packed into syslog messages.
    Linux,
    /// Anything else; the table is named after the file.
    Other,
}

impl Shape {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Shape::EventLog => "Windows event log",
            Shape::FlatWindows => "flat Windows events",
            Shape::Winlogbeat6 => "winlogbeat 6",
            Shape::Ecs => "winlogbeat 7+/ECS",
            Shape::Sentinel => "Sentinel table",
            Shape::Defender => "Defender table",
            Shape::DefenderStream => "Defender streaming API",
            Shape::Zeek => "Zeek",
            Shape::Linux => "syslog and audit records",
            Shape::Other => "records",
        }
    }
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The file.
    pub source: &'a Name,
    /// The table for records of no known shape.
    pub stem: &'a Name,
    /// 0-based record.
    pub record: i64,
    /// The record as JSON, if the sink wants it.
    pub text: Option<&'a str>,
}

/// Recognises events. Keeps counts and small caches; one for each thread of reading.
pub struct Recogniser<'s> {
    schemas: &'s Schemas,
    time_field: Option<String>,
    names: Names,
    defender: defender::Tables,
    cloud: sentinel::Tables,
    /// Events by table and shape, wanted or not.
    counts: Vec<(Name, Shape, u64)>,
    /// The shape of the last record.
    last: Option<Shape>,
    events: u64,
    /// What the walk of event logs remembers of one file for the next.
    walker: Walker,
}

struct Names {
    sysmon: Name,
    security: Name,
    windows: Name,
    event: Name,
    windows_event: Name,
    syslog: Name,
    other: HashMap<String, Name>,
}

impl Names {
    /// The shared form of a name. Bounded: hostile data cannot make it grow without end.
    fn get(&mut self, text: &str) -> Name {
        if let Some(n) = self.other.get(text) {
            return n.clone();
        }
        let name: Name = text.into();
        if self.other.len() < 4096 {
            self.other.insert(text.to_owned(), name.clone());
        }
        name
    }
}

impl<'s> Recogniser<'s> {
    /// `time_field`: take the event's time from this field where an event has it.
    pub fn new(schemas: &'s Schemas, time_field: Option<&str>) -> Recogniser<'s> {
        Recogniser {
            schemas,
            time_field: time_field.map(str::to_owned),
            names: Names {
                sysmon: "Sysmon".into(),
                security: "SecurityEvent".into(),
                windows: "WindowsEvents".into(),
                event: "Event".into(),
                windows_event: "WindowsEvent".into(),
                syslog: "Syslog".into(),
                other: HashMap::new(),
            },
            defender: defender::Tables::new(schemas),
            cloud: sentinel::Tables::new(schemas),
            counts: Vec::new(),
            last: None,
            events: 0,
            walker: Walker::default(),
        }
    }

    /// What the walk of event logs remembers, for the time of one file.
    pub(crate) fn take_walker(&mut self) -> Walker {
        std::mem::take(&mut self.walker)
    }

    /// Gives it back.
    pub(crate) fn put_walker(&mut self, walker: Walker) {
        self.walker = walker;
    }

    /// Events recognised so far (an event that is a row of two tables counts once).
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Rows by table and shape so far, and starts counting anew.
    pub fn take_counts(&mut self) -> Vec<(Name, Shape, u64)> {
        std::mem::take(&mut self.counts)
    }

    fn count(&mut self, table: &Name, shape: Shape) {
        self.last = Some(shape);
        // A file has few tables, and mostly the same one again.
        match self
            .counts
            .iter_mut()
            .find(|(t, s, _)| *s == shape && (std::sync::Arc::ptr_eq(t, table) || t == table))
        {
            Some((_, _, n)) => *n += 1,
            None => self.counts.push((table.clone(), shape, 1)),
        }
    }

    /// Whether [`Recogniser::plan`] may know a plan for records like the last one.
    pub(crate) fn last_has_plan(&self) -> bool {
        matches!(self.last, Some(Shape::FlatWindows | Shape::Defender | Shape::Other))
    }

    /// The field that gives the time of events that have it, if one was named.
    pub(crate) fn time_field(&self) -> Option<&str> {
        self.time_field.as_deref()
    }

    /// The tables known.
    pub(crate) fn schemas(&self) -> &'s Schemas {
        self.schemas
    }

    /// Counts rows that were recognised together.
    pub(crate) fn count_rows(&mut self, table: &Name, shape: Shape, rows: u64) {
        self.count(table, shape);
        if let Some((_, _, n)) = self.counts.iter_mut().find(|(t, s, _)| t == table && *s == shape) {
            *n = *n - 1 + rows;
        }
        self.events += rows;
    }

    /// The table of which all records with these columns are rows. Values are those that are the same
    /// in every record. `None`: that depends on more than the columns.
    pub(crate) fn table_of_columns(&mut self, fields: &[Field<'_>], stem: &Name) -> Option<(Name, Shape)> {
        let marks = Marks::of(fields);
        let constant = |m| marks.get(m, fields).filter(|v| !v.is_text("\u{0}"));
        match marks.shape(fields) {
            Shape::FlatWindows => {
                let provider = constant(Mark::Provider).or(constant(Mark::SourceName));
                let channel = constant(Mark::Channel);
                let fixed = provider.is_some() || channel.is_some() || {
                    let sources = [Mark::Provider, Mark::SourceName, Mark::Channel];
                    sources.iter().all(|m| !marks.has(*m))
                        && (marks.has(Mark::UtcTime) || marks.has(Mark::ProcessGuid))
                };
                // NXLog's `EventType` must be mended row by row.
                if !fixed || marks.has(Mark::EventType) && marks.has(Mark::Severity) {
                    return None;
                }
                let log = match (provider, channel) {
                    (None, None) => windows::Log::Sysmon,
                    (p, c) => windows::Log::of(p, c),
                };
                // A channel of its own with events of several providers, or the other way round.
                if log == windows::Log::Other && (provider.is_none() || channel.is_none()) {
                    return None;
                }
                Some((self.log_name(log), Shape::FlatWindows))
            }
            Shape::Defender => {
                let plain: Vec<Field<'_>> = fields.to_vec();
                self.defender.of_columns(&plain).map(|n| (n, Shape::Defender))
            }
            Shape::Zeek => self.zeek_of_columns(&marks, fields).map(|n| (n, Shape::Zeek)),
            Shape::Other if !marks.has(Mark::Records) => Some((stem.clone(), Shape::Other)),
            _ => None,
        }
    }

    /// Pushes a row.
    fn push(
        &self,
        origin: &Origin<'_>,
        table: &Name,
        fields: &[Field<'_>],
        times: [RawValue<'_>; 2],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let times = match self.time_field.as_deref().and_then(|f| find(fields, f)) {
            Some(chosen) => [chosen, times[0]],
            None => times,
        };
        sink.event(&RawEvent {
            table,
            fields,
            times,
            source: origin.source,
            record: origin.record,
            text: origin.text,
        })
    }

    /// Takes one record. `fields` is scratch afterwards.
    pub fn record<'a>(
        &mut self,
        origin: &Origin<'_>,
        fields: &mut Vec<Field<'a>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let marks = Marks::of(fields);
        // Containers first: what is inside decides.
        if let Some(RawValue::Json(list)) = marks.get(Mark::Records, fields)
            && fields.len() <= 4
            && is_list_of_objects(list)
        {
            return self.records(origin, list, sink);
        }
        self.events += 1;
        let shape = marks.shape(fields);
        match shape {
            Shape::EventLog => {
                let Some(RawValue::Json(event)) = marks.get(Mark::Event, fields) else {
                    return self.other(origin, fields, sink);
                };
                self.event_log(origin, event, sink)
            }
            Shape::FlatWindows => self.flat_windows(origin, &marks, fields, sink),
            Shape::Winlogbeat6 => self.winlogbeat6(origin, &marks, fields, sink),
            Shape::Ecs => self.ecs(origin, fields, sink),
            Shape::Sentinel => self.sentinel(origin, &marks, fields, sink),
            Shape::Defender => self.defender(origin, &marks, fields, sink),
            Shape::DefenderStream => self.defender_stream(origin, &marks, fields, sink),
            Shape::Zeek => self.zeek(origin, &marks, fields, sink),
            Shape::Linux | Shape::Other => self.other(origin, fields, sink),
        }
    }

    /// `{"records":[{…},…]}`, the envelope of event hubs. Every element is a record of its own, with the
    /// number of the envelope.
    fn records<'a>(
        &mut self,
        origin: &Origin<'_>,
        list: &'a str,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let mut inner: Vec<Field<'a>> = Vec::new();
        for element in json::elements(list) {
            let RawValue::Json(text) = element else { continue };
            inner.clear();
            if json::scan_object(text, 0, &mut inner).is_err() {
                continue;
            }
            // No envelopes in envelopes: that bounds the recursion.
            inner.retain(|f| f.name != "records");
            let origin = Origin { text: origin.text.map(|_| text), ..*origin };
            self.record(&origin, &mut inner, sink)?;
        }
        ControlFlow::Continue(())
    }

    /// A record of no known shape.
    fn other<'a>(
        &mut self,
        origin: &Origin<'_>,
        fields: &[Field<'a>],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let table = origin.stem;
        self.count(table, Shape::Other);
        if !sink.wants(table) {
            return ControlFlow::Continue(());
        }
        self.push(origin, table, fields, guess_times(fields), sink)
    }
}

/// Whether a JSON text is an array of objects, and of at least one.
fn is_list_of_objects(text: &str) -> bool {
    let mut any = false;
    json::elements(text).all(|e| {
        any = true;
        matches!(e, RawValue::Json(t) if t.starts_with('{'))
    }) && any
}

/// Names under which records of unknown origin give their time, best first.
const TIME_NAMES: [&str; 18] = [
    "TimeGenerated",
    "Timestamp",
    "@timestamp",
    "timestamp",
    "UtcTime",
    "EventTime",
    "_time",
    "_messageTime",
    "_messagetime",
    "time",
    "Time",
    "eventTime",
    "event_time",
    "TimeCreated",
    "ts",
    "datetime",
    "date",
    "CreationTime",
];

fn guess_times<'a>(fields: &[Field<'a>]) -> [RawValue<'a>; 2] {
    let mut found = TIME_NAMES.iter().filter_map(|n| find(fields, n).filter(|v| !v.is_blank()));
    [found.next().unwrap_or(RawValue::Null), found.next().unwrap_or(RawValue::Null)]
}

/// Those names.
pub(crate) fn time_names() -> impl Iterator<Item = &'static str> {
    TIME_NAMES.into_iter()
}

/// The name of a time column for a table nobody knows.
pub(crate) fn is_time_name(name: &str) -> bool {
    TIME_NAMES.contains(&name)
}

/// The text of a JSON value that may be wrapped as `{"#text": …}`.
fn unwrap_text(value: RawValue<'_>) -> RawValue<'_> {
    let RawValue::Json(text) = value else { return value };
    if !text.starts_with('{') || !text.contains("\"#text\"") {
        return value;
    }
    let mut inner = Vec::new();
    match json::scan_object(text, 0, &mut inner) {
        Ok(_) => find(&inner, "#text").unwrap_or(value),
        Err(_) => value,
    }
}

/// The fields of an object text; empty for anything else.
fn open(value: Option<RawValue<'_>>) -> Vec<Field<'_>> {
    let mut out = Vec::new();
    if let Some(RawValue::Json(text)) = value
        && json::scan_object(text, 0, &mut out).is_err()
    {
        out.clear();
    }
    out
}
