//! The field names by which carriers are told apart, found in one pass over the fields.

use crate::value::{Field, RawValue};

use super::Shape;

macro_rules! marks {
    ($($mark:ident = $($name:literal)|+,)*) => {
        /// Field names that matter for recognition.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Mark { $(#[doc = concat!($("`", $name, "` "),+)] $mark,)* End }

        fn mark_of(name: &str) -> Option<Mark> {
            match name { $($($name)|+ => Some(Mark::$mark),)* _ => None }
        }
    };
}

marks! {
    Event = "Event",
    EventId = "EventID" | "EventCode",
    Channel = "Channel" | "LogName",
    SourceName = "SourceName",
    Provider = "Provider" | "ProviderName" | "Provider_Name",
    EventDataSnake = "event_data",
    UserDataSnake = "user_data",
    EventIdSnake = "event_id",
    SourceNameSnake = "source_name",
    LogNameSnake = "log_name",
    ComputerNameSnake = "computer_name",
    RecordNumberSnake = "record_number",
    Winlog = "winlog",
    WinlogFlat = "winlog.channel" | "winlog.provider_name" | "winlog.event_id",
    EcsEvent = "event",
    EcsAgent = "agent" | "ecs",
    AtTimestamp = "@timestamp",
    Type = "Type" | "type_s",
    EventData = "EventData" | "EventData_string" | "EventData_dynamic" | "EventData_s",
    SyslogMessage = "SyslogMessage",
    Facility = "Facility",
    Category = "category",
    Properties = "properties",
    Records = "records",
    ZeekPath = "_path",
    ZeekStream = "@stream",
    ZeekHost = "id.orig_h" | "id_orig_h",
    ZeekUid = "uid",
    ZeekTs = "ts",
    ConnState = "conn_state",
    DnsQuery = "qtype" | "qtype_name" | "rcode_name",
    SslCipher = "cipher" | "server_name",
    HttpMethod = "method" | "uri",
    ActionType = "ActionType",
    DeviceId = "DeviceId",
    DeviceName = "DeviceName",
    ReportId = "ReportId" | "ReportId_long",
    TimeGenerated = "TimeGenerated" | "TimeGenerated [UTC]",
    Timestamp = "Timestamp",
    TenantId = "TenantId",
    ResourceId = "_ResourceId",
    SourceSystem = "SourceSystem",
    EventTime = "EventTime",
    TimeCreated = "TimeCreated" | "SystemTime",
    UtcTime = "UtcTime",
    Computer = "Computer" | "ComputerName",
    Hostname = "Hostname" | "HostName",
    RecordNumber = "RecordNumber" | "EventRecordID" | "RecordId",
    EventLog = "EventLog",
    Source = "Source",
    RenderedDescription = "RenderedDescription" | "ParameterXml",
    EventSourceName = "EventSourceName",
    EventLevel = "EventLevel",
    ExecutionProcessId = "ExecutionProcessID",
    ThreadId = "ThreadID",
    UserId = "UserID",
    Opcode = "Opcode",
    OpcodeValue = "OpcodeValue",
    EventType = "EventType",
    Message = "Message",
    ProcessGuid = "ProcessGuid",
    Severity = "SeverityValue",
}

/// The places of the marks among the fields of one record.
pub struct Marks {
    /// 1 + index of the field; 0 = not there.
    at: [u16; Mark::End as usize],
}

impl Marks {
    pub fn of(fields: &[Field<'_>]) -> Marks {
        let mut at = [0u16; Mark::End as usize];
        for (i, f) in fields.iter().enumerate().take(usize::from(u16::MAX) - 1) {
            if let Some(m) = mark_of(&f.name)
                && at[m as usize] == 0
            {
                at[m as usize] = i as u16 + 1;
            }
        }
        Marks { at }
    }

    #[inline]
    pub fn has(&self, mark: Mark) -> bool {
        self.at[mark as usize] != 0
    }

    pub fn index(&self, mark: Mark) -> Option<usize> {
        usize::from(self.at[mark as usize]).checked_sub(1)
    }

    #[inline]
    pub fn get<'a>(&self, mark: Mark, fields: &[Field<'a>]) -> Option<RawValue<'a>> {
        self.index(mark).and_then(|i| fields.get(i)).map(|f| f.value)
    }

    /// The first of them that is there and not blank.
    pub fn first<'a>(&self, marks: &[Mark], fields: &[Field<'a>]) -> Option<RawValue<'a>> {
        marks.iter().filter_map(|m| self.get(*m, fields)).find(|v| !v.is_blank())
    }

    /// Which carrier writes such fields.
    pub fn shape(&self, fields: &[Field<'_>]) -> Shape {
        use Mark as M;
        let is_object =
            |m: Mark| matches!(self.get(m, fields), Some(RawValue::Json(t)) if t.starts_with('{'));
        let is_string = |m: Mark| {
            self.get(m, fields)
                .is_some_and(|v| matches!(v, RawValue::Str { .. } | RawValue::Text(_) | RawValue::Utf16(_)))
        };
        if is_object(M::Event)
            && matches!(self.get(M::Event, fields), Some(RawValue::Json(t)) if t.contains("\"System\""))
        {
            return Shape::EventLog;
        }
        if is_object(M::Winlog) || self.has(M::WinlogFlat) {
            return Shape::Ecs;
        }
        if self.has(M::EventIdSnake)
            && (is_object(M::EventDataSnake) || self.has(M::SourceNameSnake) || self.has(M::LogNameSnake))
        {
            return Shape::Winlogbeat6;
        }
        if is_object(M::Properties)
            && self
                .get(M::Category, fields)
                .and_then(|v| v.as_text())
                .is_some_and(|c| c.starts_with("AdvancedHunting-"))
        {
            return Shape::DefenderStream;
        }
        // Rows of Log Analytics carry their table's name and the workspace's columns.
        let workspace = self.has(M::TimeGenerated)
            || self.has(M::TenantId)
            || self.has(M::ResourceId)
            || self.has(M::SourceSystem);
        if workspace && is_string(M::Type) {
            return Shape::Sentinel;
        }
        if self.has(M::TimeGenerated)
            && (self.has(M::SyslogMessage) && self.has(M::Facility)
                || self.has(M::EventLog) && self.has(M::RenderedDescription)
                || self.has(M::EventId)
                    && self.has(M::Computer)
                    && !self.has(M::SourceName)
                    && (self.has(M::EventData)
                        || self.has(M::EventSourceName)
                        || !self.has(M::Channel) && !self.has(M::Provider)))
        {
            return Shape::Sentinel;
        }
        if self.has(M::EventId)
            && (self.has(M::Channel)
                || self.has(M::SourceName)
                || self.has(M::Provider)
                || self.has(M::UtcTime)
                || self.has(M::ProcessGuid))
        {
            return Shape::FlatWindows;
        }
        if self.has(M::ZeekHost) && (self.has(M::ZeekUid) || self.has(M::ZeekTs))
            || (self.has(M::ZeekPath) || self.has(M::ZeekStream)) && self.has(M::ZeekTs)
        {
            return Shape::Zeek;
        }
        let defender = [M::ActionType, M::DeviceId, M::DeviceName, M::ReportId]
            .into_iter()
            .filter(|m| self.has(*m))
            .count();
        if (self.has(M::Timestamp) || self.has(M::TimeGenerated)) && (defender >= 2 || self.has(M::ReportId))
        {
            return Shape::Defender;
        }
        if self.has(M::EcsEvent) && self.has(M::AtTimestamp) && self.has(M::EcsAgent) {
            return Shape::Ecs;
        }
        Shape::Other
    }
}
