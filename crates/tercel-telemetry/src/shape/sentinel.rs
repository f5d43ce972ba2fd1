//! Rows of Log Analytics tables. Rows that carry a Windows event are also unpacked.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use tercel_ir::Name;
use tercel_schema::{Schemas, TableDef};

use super::marks::{Mark, Marks};
use super::windows::{System, push_data};
use super::xml::XmlEvent;
use super::{Origin, Recogniser, Shape};
use crate::event::EventSink;
use crate::json;
use crate::value::{Field, RawValue, find};

/// What exports append to a column's name when a name has had values of several types.
const SUFFIXES: [&str; 12] =
    ["_string", "_dynamic", "_long", "_int", "_real", "_datetime", "_bool", "_guid", "_s", "_d", "_b", "_t"];
/// Those that nobody would end a column's name with otherwise.
const CERTAIN_SUFFIXES: usize = 3;

/// Columns of the row around an event that would be mistaken for the event's own.
const ROW_ONLY: [&str; 14] = [
    "Type",
    "TenantId",
    "SourceSystem",
    "MG",
    "ManagementGroupName",
    "_ResourceId",
    "TimeGenerated",
    "EventData",
    "EventData_string",
    "EventData_dynamic",
    "ParameterXml",
    "RenderedDescription",
    "EventCategory",
    "SyslogMessage",
];

/// The tables of a workspace by their columns, for rows that do not say their table.
pub struct Tables {
    list: Vec<(Name, HashSet<Name>)>,
    /// What was found out before, by what the row calls itself.
    known: HashMap<String, Option<Name>>,
}

impl Tables {
    pub fn new(schemas: &Schemas) -> Tables {
        let columns = |t: &TableDef| t.columns.iter().map(|c| c.name.clone()).collect();
        let list = schemas.tables().iter().filter(|t| &*t.time == "TimeGenerated");
        Tables { list: list.map(|t| (t.name.clone(), columns(t))).collect(), known: HashMap::new() }
    }

    /// The table that has most of the row's columns, and more than half of them.
    fn of_row(&mut self, named: &str, fields: &[Field<'_>]) -> Option<Name> {
        if let Some(known) = self.known.get(named) {
            return known.clone();
        }
        let filled: Vec<&str> =
            fields.iter().filter(|f| !f.value.is_blank()).map(|f| f.name.as_ref()).collect();
        let has = |columns: &HashSet<Name>| filled.iter().filter(|n| columns.contains(**n)).count();
        let best = self.list.iter().map(|(n, c)| (has(c), n)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let found = best.filter(|(n, _)| n * 5 > filled.len() * 3).map(|(_, n)| n.clone());
        if self.known.len() < 1024 {
            self.known.insert(named.to_owned(), found.clone());
        }
        found
    }
}

impl Recogniser<'_> {
    pub(super) fn sentinel<'a>(
        &mut self,
        origin: &Origin<'_>,
        marks: &Marks,
        fields: &mut Vec<Field<'a>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        use Mark as M;
        let named = marks.get(M::Type, fields).and_then(|v| v.as_text());
        let name: &str = match named.as_deref() {
            Some(n) if !n.is_empty() => n,
            _ if marks.has(M::SyslogMessage) => "Syslog",
            _ if marks.has(M::EventLog) => "Event",
            _ if marks.has(M::Provider) && marks.has(M::EventData) => "WindowsEvent",
            _ => "SecurityEvent",
        };
        let table = match name {
            "Event" => self.names.event.clone(),
            "WindowsEvent" => self.names.windows_event.clone(),
            "SecurityEvent" => self.names.security.clone(),
            "Syslog" => self.names.syslog.clone(),
            _ if self.schemas.table(name).is_some() => self.names.get(name),
            // A query may have put something else under the name `Type`.
            _ => match self.cloud.of_row(name, fields) {
                Some(table) => table,
                None => self.names.get(&crate::input::table_name(name)),
            },
        };
        self.count(&table, Shape::Sentinel);
        let wanted = sink.wants(&table);
        let data = marks.get(M::EventData, fields);
        let data_text = data.and_then(|v| match v {
            RawValue::Json(t) => Some(Cow::Borrowed(t)),
            v => v.as_text(),
        });

        if table == self.names.security {
            if !wanted {
                return ControlFlow::Continue(());
            }
            self.strip_suffixes(&table, fields);
            let xml =
                data_text.as_deref().filter(|t| t.trim_start().starts_with('<')).and_then(XmlEvent::parse);
            let mut all: Vec<Field<'_>> = std::mem::take(fields);
            if let Some(provider) = find(&all, "EventSourceName") {
                all.push(Field::new("Provider", provider));
            }
            // A blank column is as good as none where the XML knows better.
            if let Some(xml) = &xml {
                let mut filled = Vec::new();
                xml.push_data(&mut filled);
                all.retain(|f| !f.value.is_blank() || find(&filled, &f.name).is_none());
                all.append(&mut filled);
            }
            return self.push(origin, &table, &all, self.row_times(&all), sink);
        }

        self.strip_suffixes(&table, fields);
        if wanted {
            let before = fields.len();
            self.both_times(&table, fields);
            self.push(origin, &table, fields, self.row_times(fields), sink)?;
            fields.truncate(before);
        }
        if table == self.names.event || table == self.names.windows_event {
            let system = System {
                provider: marks.first(&[M::Source, M::Provider], fields),
                channel: marks.first(&[M::EventLog, M::Channel], fields),
                computer: marks.get(M::Computer, fields),
                event_id: marks.get(M::EventId, fields),
                record_id: marks.get(M::RecordNumber, fields).or_else(|| find(fields, "EventRecordId")),
                level: marks.get(M::EventLevel, fields),
                version: find(fields, "Version"),
                task: find(fields, "Task"),
                opcode: find(fields, "Opcode"),
                keywords: find(fields, "Keywords"),
                process_id: find(fields, "SystemProcessId"),
                thread_id: find(fields, "SystemThreadId"),
                user_id: find(fields, "SystemUserId"),
                time: marks.get(M::TimeGenerated, fields),
            };
            return self.unpack(origin, &system, data_text.as_deref(), fields, sink);
        }
        if table == self.names.syslog
            && let Some(message) = marks.get(M::SyslogMessage, fields).and_then(|v| v.as_text())
        {
            let host = marks.get(M::Computer, fields).and_then(|v| v.as_text());
            let time = find(fields, "TimeGenerated").unwrap_or(RawValue::Null);
            return self.syslog_message(origin, &message, host.as_deref(), time, sink);
        }
        ControlFlow::Continue(())
    }

    /// The event inside a row of `Event` or `WindowsEvent`.
    fn unpack(
        &mut self,
        origin: &Origin<'_>,
        system: &System<'_>,
        data: Option<&str>,
        row: &[Field<'_>],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let table = self.log_name(system.log());
        self.count(&table, Shape::Sentinel);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        let mut out: Vec<Field<'_>> = Vec::with_capacity(64);
        system.push_head(&mut out);
        let xml;
        match data.map(str::trim_start) {
            Some(t) if t.starts_with('<') => {
                xml = XmlEvent::parse(t);
                if let Some(x) = &xml {
                    x.push_data(&mut out);
                }
            }
            Some(t) if t.starts_with('{') => {
                let mut inner = Vec::new();
                // Half an object is no object: nothing of it counts.
                if json::scan_object(t, 0, &mut inner).is_ok() {
                    push_data(&inner, &mut out);
                }
            }
            _ => {}
        }
        system.push_tail(&mut out);
        // Queries often unpack the event into the row; then the row has the fields.
        out.extend(row.iter().filter(|f| !ROW_ONLY.contains(&f.name.as_ref())).cloned());
        if find(&out, "Message").is_none()
            && let Some(m) = find(row, "RenderedDescription")
        {
            out.push(Field::new("Message", m));
        }
        self.push_windows(origin, &table, &out, system.time, sink)
    }

    /// Gives `X_string` the name `X` where the table has `X` and the row does not.
    fn strip_suffixes(&self, table: &str, fields: &mut Vec<Field<'_>>) {
        let def = self.schemas.table(table);
        for i in 0..fields.len() {
            let name = &fields[i].name;
            // Every suffix begins with the name's last underscore.
            let Some(at) = name.rfind('_').filter(|at| *at > 0) else { continue };
            let Some(which) = SUFFIXES.iter().position(|s| *s == &name[at..]) else { continue };
            if fields[i].value.is_blank() {
                continue;
            }
            let stem = match &fields[i].name {
                Cow::Borrowed(n) => Cow::Borrowed(&n[..at]),
                Cow::Owned(n) => Cow::Owned(n[..at].to_owned()),
            };
            let declared = def.is_some_and(|d| d.column(&stem).is_some());
            if (declared || which < CERTAIN_SUFFIXES) && find(fields, &stem).is_none_or(|v| v.is_blank()) {
                let value = fields[i].value;
                // Before a blank one of that name.
                match fields.iter_mut().find(|f| f.name == stem) {
                    Some(blank) => blank.value = value,
                    None => fields.push(Field { name: stem, value }),
                }
            }
        }
    }

    /// Tables with a `Timestamp` have a `TimeGenerated` too, and the other way round.
    pub(super) fn both_times(&self, table: &str, fields: &mut Vec<Field<'_>>) {
        let has = |n: &str| self.schemas.table(table).is_some_and(|d| d.column(n).is_some());
        if has("Timestamp")
            && find(fields, "Timestamp").is_none()
            && let Some(t) = find(fields, "TimeGenerated")
        {
            fields.push(Field::new("Timestamp", t));
        }
    }

    /// The time of a row.
    pub(super) fn row_times<'x>(&self, fields: &[Field<'x>]) -> [RawValue<'x>; 2] {
        let get = |n| find(fields, n).filter(|v| !v.is_blank());
        match (get("Timestamp"), get("TimeGenerated")) {
            (Some(a), Some(b)) => [a, b],
            (Some(a), None) | (None, Some(a)) => [a, RawValue::Null],
            (None, None) => super::guess_times(fields),
        }
    }
}
