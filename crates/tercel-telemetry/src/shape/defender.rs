//! Rows of Defender's tables.

use std::collections::HashSet;
use std::ops::ControlFlow;

use tercel_ir::Name;
use tercel_schema::Schemas;

use super::marks::{Mark, Marks};
use super::{Origin, Recogniser, Shape, open};
use crate::event::EventSink;
use crate::value::Field;

/// The columns of Defender's tables, to find out which of them a row is of.
pub struct Tables {
    /// Most likely first.
    list: Vec<(Name, HashSet<Name>)>,
}

/// Preferred where the columns of a row fit several.
pub(super) const FIRST: [&str; 7] = [
    "DeviceNetworkEvents",
    "DeviceProcessEvents",
    "DeviceFileEvents",
    "DeviceRegistryEvents",
    "DeviceImageLoadEvents",
    "DeviceLogonEvents",
    "DeviceEvents",
];

impl Tables {
    /// The table that has all these columns.
    pub fn of_columns(&self, fields: &[Field<'_>]) -> Option<Name> {
        self.best(fields).cloned()
    }

    pub fn new(schemas: &Schemas) -> Tables {
        let mut list: Vec<_> = schemas
            .tables()
            .iter()
            .filter(|t| {
                t.column("Timestamp").is_some()
                    && t.column("ReportId").is_some()
                    && !t.name.starts_with("DeviceCustom")
            })
            .map(|t| (t.name.clone(), t.columns.iter().map(|c| c.name.clone()).collect::<HashSet<_>>()))
            .collect();
        list.sort_by_key(|(n, _)| FIRST.iter().position(|f| **f == **n).unwrap_or(FIRST.len()));
        Tables { list }
    }

    /// The table that lacks the fewest of the row's columns.
    fn best(&self, fields: &[Field<'_>]) -> Option<&Name> {
        let lacks = |columns: &HashSet<Name>| {
            fields.iter().filter(|f| !f.value.is_blank() && !columns.contains(f.name.as_ref())).count()
        };
        self.list
            .iter()
            .map(|(n, c)| (lacks(c), n))
            .reduce(|a, b| if b.0 < a.0 { b } else { a })
            .map(|(_, n)| n)
    }
}

/// Action types that only one table has.
pub(super) fn by_action(action: &str) -> Option<&'static str> {
    Some(match action {
        "ConnectionSuccess"
        | "ConnectionFailed"
        | "ConnectionRequest"
        | "ConnectionFound"
        | "ConnectionAttempt"
        | "ConnectionAcknowledged"
        | "InboundConnectionAccepted"
        | "ListeningConnectionCreated"
        | "NetworkSignatureInspected"
        | "DnsConnectionInspected"
        | "SslConnectionInspected"
        | "HttpConnectionInspected"
        | "FtpConnectionInspected"
        | "SshConnectionInspected"
        | "SmtpConnectionInspected"
        | "IcmpConnectionInspected"
        | "NtlmAuthenticationInspected"
        | "KerberosConnectionInspected"
        | "InboundInternetScanInspected" => "DeviceNetworkEvents",
        "ProcessCreated" => "DeviceProcessEvents",
        "FileCreated" | "FileDeleted" | "FileModified" | "FileRenamed" => "DeviceFileEvents",
        "RegistryKeyCreated"
        | "RegistryKeyDeleted"
        | "RegistryKeyRenamed"
        | "RegistryValueSet"
        | "RegistryValueDeleted" => "DeviceRegistryEvents",
        "ImageLoaded" => "DeviceImageLoadEvents",
        "LogonSuccess" | "LogonFailed" | "LogonAttempted" => "DeviceLogonEvents",
        _ => return None,
    })
}

impl Recogniser<'_> {
    /// A row with the columns of a Defender table at the top level.
    pub(super) fn defender<'a>(
        &mut self,
        origin: &Origin<'_>,
        marks: &Marks,
        fields: &mut Vec<Field<'a>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let action = marks.get(Mark::ActionType, fields).and_then(|v| v.as_text());
        let table = match action.as_deref().and_then(by_action) {
            Some(name) => self.names.get(name),
            None => match self.defender.best(fields) {
                Some(name) => name.clone(),
                None => return self.other(origin, fields, sink),
            },
        };
        self.defender_row(origin, &table, Shape::Defender, fields, sink)
    }

    /// `{"category":"AdvancedHunting-X","properties":{row}}`.
    pub(super) fn defender_stream<'a>(
        &mut self,
        origin: &Origin<'_>,
        marks: &Marks,
        fields: &[Field<'a>],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let category = marks.get(Mark::Category, fields).and_then(|v| v.as_text());
        let Some(name) = category.as_deref().and_then(|c| c.strip_prefix("AdvancedHunting-")) else {
            return self.other(origin, fields, sink);
        };
        let name = if self.schemas.table(name).is_some() {
            self.names.get(name)
        } else {
            self.names.get(&crate::input::table_name(name))
        };
        let mut row = open(marks.get(Mark::Properties, fields));
        // The time of publication, if the row has none.
        row.extend(fields.iter().filter(|f| f.name == "time").map(|f| Field::new("TimeGenerated", f.value)));
        self.defender_row(origin, &name, Shape::DefenderStream, &mut row, sink)
    }

    fn defender_row<'a>(
        &mut self,
        origin: &Origin<'_>,
        table: &Name,
        shape: Shape,
        fields: &mut Vec<Field<'a>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        self.count(table, shape);
        if !sink.wants(table) {
            return ControlFlow::Continue(());
        }
        self.both_times(table, fields);
        let times = self.row_times(fields);
        self.push(origin, table, fields, times, sink)
    }
}
