//! Windows events: event-log JSON, flat JSON, winlogbeat 6.

use std::borrow::Cow;
use std::ops::ControlFlow;

use tercel_ir::Name;

use super::marks::{Mark, Marks};
use super::{Origin, Recogniser, Shape, open, unwrap_text};
use crate::event::EventSink;
use crate::value::{Field, RawValue, find};

const SYSMON: &str = "Microsoft-Windows-Sysmon";
const SYSMON_LINUX: &str = "Linux-Sysmon";
const SYSMON_CHANNEL: &str = "Microsoft-Windows-Sysmon/Operational";
const SECURITY: &str = "Microsoft-Windows-Security-Auditing";

/// Which of the three Windows tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Log {
    Sysmon,
    Security,
    Other,
}

impl Log {
    pub fn of(provider: Option<RawValue<'_>>, channel: Option<RawValue<'_>>) -> Log {
        let is = |v: Option<RawValue<'_>>, t: &str| v.is_some_and(|v| v.is_text(t));
        if is(provider, SYSMON) || is(provider, SYSMON_LINUX) || is(channel, SYSMON_CHANNEL) {
            Log::Sysmon
        } else if is(provider, SECURITY) || is(channel, "Security") {
            Log::Security
        } else {
            Log::Other
        }
    }
}

/// The system part of a Windows event.
#[derive(Clone, Copy, Default, Debug)]
pub struct System<'a> {
    pub provider: Option<RawValue<'a>>,
    pub channel: Option<RawValue<'a>>,
    pub computer: Option<RawValue<'a>>,
    pub event_id: Option<RawValue<'a>>,
    pub record_id: Option<RawValue<'a>>,
    pub version: Option<RawValue<'a>>,
    pub level: Option<RawValue<'a>>,
    pub task: Option<RawValue<'a>>,
    pub opcode: Option<RawValue<'a>>,
    pub keywords: Option<RawValue<'a>>,
    pub process_id: Option<RawValue<'a>>,
    pub thread_id: Option<RawValue<'a>>,
    pub user_id: Option<RawValue<'a>>,
    pub time: Option<RawValue<'a>>,
}

impl<'a> System<'a> {
    pub fn log(&self) -> Log {
        Log::of(self.provider, self.channel)
    }

    /// What identifies the record. It stands before the event's own data, so that a data field of the
    /// same name does not hide it.
    pub fn push_head(&self, fields: &mut Vec<Field<'a>>) {
        let head = [
            ("EventID", self.event_id),
            ("Provider", self.provider),
            ("Channel", self.channel),
            ("Computer", self.computer),
            ("EventRecordID", self.record_id),
            ("Version", self.version),
            ("Level", self.level),
            ("Task", self.task),
            ("Opcode", self.opcode),
            ("Keywords", self.keywords),
        ];
        fields.extend(head.into_iter().filter_map(|(n, v)| Some(Field::new(n, v?))));
    }

    /// The rest, behind the event's own data. Both names of each are in use.
    pub fn push_tail(&self, fields: &mut Vec<Field<'a>>) {
        let tail = [
            ("SystemProcessId", self.process_id),
            ("ExecutionProcessID", self.process_id),
            ("SystemThreadId", self.thread_id),
            ("ThreadID", self.thread_id),
            ("SystemUserId", self.user_id),
            ("UserID", self.user_id),
        ];
        fields.extend(tail.into_iter().filter_map(|(n, v)| Some(Field::new(n, v?))));
    }

    /// Reads `System` as the `evtx` tools write it.
    fn from_json(system: &[Field<'a>]) -> System<'a> {
        let mut s = System::default();
        let attribute = |v: RawValue<'a>, name: &str| {
            let inner = open(Some(v));
            match find(&inner, "#attributes") {
                Some(a) => find(&open(Some(a)), name),
                // `Provider_attributes`: the attributes are the object itself.
                None => find(&inner, name),
            }
        };
        for f in system {
            let v = f.value;
            match f.name.as_ref() {
                "Provider" | "Provider_attributes" => s.provider = attribute(v, "Name").or(s.provider),
                "EventID" => s.event_id = Some(unwrap_text(v)),
                "Version" => s.version = Some(v),
                "Level" => s.level = Some(v),
                "Task" => s.task = Some(v),
                "Opcode" => s.opcode = Some(v),
                "Keywords" => s.keywords = Some(v),
                "EventRecordID" => s.record_id = Some(unwrap_text(v)),
                "Channel" => s.channel = Some(v),
                "Computer" => s.computer = Some(v),
                "TimeCreated" | "TimeCreated_attributes" => s.time = attribute(v, "SystemTime").or(s.time),
                "Execution" | "Execution_attributes" => {
                    s.process_id = attribute(v, "ProcessID").or(s.process_id);
                    s.thread_id = attribute(v, "ThreadID").or(s.thread_id);
                }
                "Security" | "Security_attributes" => s.user_id = attribute(v, "UserID").or(s.user_id),
                _ => {}
            }
        }
        s
    }
}

/// Event data: an object of names, possibly with the values wrapped.
pub fn push_data<'a>(data: &[Field<'a>], fields: &mut Vec<Field<'a>>) {
    for f in data {
        if f.name != "#attributes" && f.name != "xmlns" {
            fields.push(Field { name: f.name.clone(), value: unwrap_text(f.value) });
        }
    }
}

/// `UserData` holds one element of any name that holds the fields.
fn push_user_data<'a>(data: RawValue<'a>, fields: &mut Vec<Field<'a>>) {
    for outer in open(Some(data)) {
        if outer.name == "#attributes" {
            continue;
        }
        match outer.value {
            RawValue::Json(t) if t.starts_with('{') => push_data(&open(Some(outer.value)), fields),
            v => fields.push(Field { name: outer.name, value: v }),
        }
    }
}

impl Recogniser<'_> {
    /// The table of a log.
    pub(crate) fn log_name(&self, log: Log) -> Name {
        match log {
            Log::Sysmon => self.names.sysmon.clone(),
            Log::Security => self.names.security.clone(),
            Log::Other => self.names.windows.clone(),
        }
    }

    /// `{"Event":{"System":…,"EventData":…}}`; `event` is the inner object.
    pub(super) fn event_log(
        &mut self,
        origin: &Origin<'_>,
        event: &str,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let parts = open(Some(RawValue::Json(event)));
        let system = System::from_json(&open(find(&parts, "System")));
        let table = self.log_name(system.log());
        self.count(&table, Shape::EventLog);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        let mut fields = Vec::with_capacity(48);
        system.push_head(&mut fields);
        if let Some(data) = find(&parts, "EventData") {
            push_data(&open(Some(data)), &mut fields);
        }
        if let Some(data) = find(&parts, "UserData") {
            push_user_data(data, &mut fields);
        }
        system.push_tail(&mut fields);
        self.push_windows(origin, &table, &fields, system.time, sink)
    }

    /// Pushes with the time of the event: the record's, and only without one Sysmon's own. The two differ by
    /// days on machines that were resumed from a snapshot, and the record's is the one that all logs of a
    /// machine share.
    pub(crate) fn push_windows(
        &mut self,
        origin: &Origin<'_>,
        table: &Name,
        fields: &[Field<'_>],
        record_time: Option<RawValue<'_>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let record_time = record_time.unwrap_or(RawValue::Null);
        let times = match find(fields, "UtcTime") {
            Some(t) if std::sync::Arc::ptr_eq(table, &self.names.sysmon) => [record_time, t],
            _ => [record_time, RawValue::Null],
        };
        self.push(origin, table, fields, times, sink)
    }

    /// All fields at the top level.
    pub(super) fn flat_windows<'a>(
        &mut self,
        origin: &Origin<'_>,
        marks: &Marks,
        fields: &mut Vec<Field<'a>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        use Mark as M;
        let provider = marks.first(&[M::Provider, M::SourceName], fields);
        let channel = marks.get(M::Channel, fields);
        let mut log = Log::of(provider, channel);
        if provider.is_none() && channel.is_none() && (marks.has(M::UtcTime) || marks.has(M::ProcessGuid)) {
            log = Log::Sysmon;
        }
        let table = self.log_name(log);
        self.count(&table, Shape::FlatWindows);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        // Copies under the native names, behind the originals: what is there under its name counts.
        let f = |m: &[Mark], fields: &[Field<'a>]| marks.first(m, fields);
        let extra = [
            ("EventID", f(&[M::EventId], fields)),
            ("Provider", provider),
            ("Channel", channel),
            ("Computer", f(&[M::Computer, M::Hostname], fields)),
            ("EventRecordID", f(&[M::RecordNumber], fields)),
            ("SystemProcessId", f(&[M::ExecutionProcessId], fields)),
            ("SystemThreadId", f(&[M::ThreadId], fields)),
            ("SystemUserId", f(&[M::UserId], fields)),
        ];
        // `EventTime` is the local time of a machine whose zone nobody wrote down.
        let record_time = f(&[M::AtTimestamp, M::TimeCreated, M::TimeGenerated], fields);
        let local_time = f(&[M::EventTime], fields).unwrap_or(RawValue::Null);
        fix_nxlog(marks, fields, log);
        fields.extend(extra.into_iter().filter_map(|(n, v)| Some(Field::new(n, v?))));
        let times = match (record_time, marks.get(M::UtcTime, fields)) {
            (Some(t), Some(utc)) if log == Log::Sysmon => [t, utc],
            (Some(t), _) => [t, local_time],
            (None, Some(utc)) if log == Log::Sysmon => [utc, local_time],
            (None, _) => [local_time, RawValue::Null],
        };
        self.push(origin, &table, fields, times, sink)
    }

    /// `event_data.*`, `event_id`, `source_name`, …
    pub(super) fn winlogbeat6<'a>(
        &mut self,
        origin: &Origin<'_>,
        marks: &Marks,
        fields: &[Field<'a>],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        use Mark as M;
        let get = |m| marks.get(m, fields);
        let system = System {
            provider: get(M::SourceNameSnake),
            channel: get(M::LogNameSnake),
            computer: get(M::ComputerNameSnake),
            event_id: get(M::EventIdSnake),
            record_id: get(M::RecordNumberSnake),
            version: find(fields, "version"),
            level: find(fields, "level").map(level),
            process_id: find(fields, "process_id"),
            thread_id: find(fields, "thread_id"),
            user_id: find(&open(find(fields, "user")), "identifier"),
            time: get(M::AtTimestamp),
            ..System::default()
        };
        let table = self.log_name(system.log());
        self.count(&table, Shape::Winlogbeat6);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        let mut out = Vec::with_capacity(64);
        system.push_head(&mut out);
        push_data(&open(get(M::EventDataSnake)), &mut out);
        push_data(&open(get(M::UserDataSnake)), &mut out);
        system.push_tail(&mut out);
        if let Some(m) = find(fields, "message") {
            out.push(Field::new("Message", m));
        }
        out.extend(fields.iter().cloned());
        self.push_windows(origin, &table, &out, system.time, sink)
    }
}

/// NXLog gives its own meaning to two names that event data also uses.
fn fix_nxlog<'a>(marks: &Marks, fields: &mut Vec<Field<'a>>, log: Log) {
    // `Opcode` is the name of the operation, `OpcodeValue` its number, which is what Windows calls Opcode.
    if let (Some(name), Some(number)) = (marks.index(Mark::Opcode), marks.get(Mark::OpcodeValue, fields)) {
        fields[name].name = Cow::Borrowed("OpcodeName");
        fields.push(Field::new("Opcode", number));
    }
    // `EventType` is NXLog's severity and hides Sysmon's field of that name; the rendered message has it.
    if log == Log::Sysmon
        && marks.has(Mark::Severity)
        && let Some(at) = marks.index(Mark::EventType)
        && nxlog_severity(&fields[at].value)
    {
        fields[at].name = Cow::Borrowed("NxlogEventType");
        if let Some(RawValue::Str { body, .. }) = marks.get(Mark::Message, fields)
            && let Some(value) = message_line(body)
        {
            fields.push(Field::new("EventType", RawValue::Str { body: value, escaped: false }));
        }
    }
}

/// Whether a value of `EventType` is NXLog's.
pub(super) fn nxlog_severity(value: &RawValue<'_>) -> bool {
    matches!(
        value,
        RawValue::Str { body: "INFO" | "WARNING" | "ERROR" | "CRITICAL" | "VERBOSE" | "DEBUG", .. }
    )
}

/// The rest of the line that begins with `EventType: ` in an escaped message, if it holds no escape itself.
pub(super) fn message_line(message: &str) -> Option<&str> {
    const LABEL: &str = "EventType: ";
    static FINDER: std::sync::LazyLock<memchr::memmem::Finder<'static>> =
        std::sync::LazyLock::new(|| memchr::memmem::Finder::new(LABEL));
    let at = FINDER.find(message.as_bytes())?;
    if !message[..at].ends_with("\\n") {
        return None;
    }
    let rest = &message[at + LABEL.len()..];
    let end = rest.find('\\').unwrap_or(rest.len());
    Some(&rest[..end])
}

/// winlogbeat 6 and 7 write the level's English name.
pub fn level(value: RawValue<'_>) -> RawValue<'_> {
    let number = match value.as_text().as_deref() {
        Some("Critical" | "critical") => 1,
        Some("Error" | "error") => 2,
        Some("Warning" | "warning") => 3,
        Some("Information" | "information" | "info") => 4,
        Some("Verbose" | "verbose") => 5,
        _ => return value,
    };
    RawValue::Long(number)
}
